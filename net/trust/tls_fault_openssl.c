/*
 * tls_fault_openssl.c - what went wrong with TLS, in a code and a sentence of ours.
 *
 * OpenSSL names its faults and the alerts of the peer by hundreds of numbers; what a user can
 * do about them are a few things, and those are said.
 */
#include "trust/tls_priv.h"

#include "base/err.h"
#include "wire/frame.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define CONTENT_FIRST 20 /* what a record may be: RFC 8446, 5.1 */
#define CONTENT_LAST 23

/* What a fault of OpenSSL means to us. */
static const struct meaning {
	int reason, code;
	const char *sentence;
} meanings[] = {
	{SSL_R_BINDER_DOES_NOT_VERIFY, COHORT_EAUTH, "its key is another one"},
	{SSL_R_NO_SHARED_CIPHER, COHORT_EAUTH, "it offered no key"},
	{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, COHORT_EAUTH, "it offered no key"},
	{SSL_R_NO_SUITABLE_KEY_SHARE, COHORT_EAUTH, "it offered no exchange of keys that we do"},
	{SSL_R_CERTIFICATE_VERIFY_FAILED, COHORT_EAUTH, "its certificate is not believed"},
	{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, COHORT_EAUTH, "it has no certificate"},
	{SSL_R_EXCESSIVE_MESSAGE_SIZE, COHORT_EAUTH, "its certificates are larger than is allowed"},
	{SSL_R_UNSUPPORTED_PROTOCOL, COHORT_EVERSION, "it speaks no TLS 1.3"},
	{SSL_R_WRONG_SSL_VERSION, COHORT_EVERSION, "it speaks no TLS 1.3"},
	{SSL_R_VERSION_TOO_LOW, COHORT_EVERSION, "it speaks no TLS 1.3"},
	{SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, COHORT_EVERSION, "it speaks no TLS 1.3"},
	{SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, COHORT_EAUTH, "it does not accept us"},
	{SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER, COHORT_EAUTH, "it does not accept us"},
	{SSL_R_TLSV1_ALERT_DECRYPT_ERROR, COHORT_EAUTH, "it does not accept us"},
	{SSL_R_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY, COHORT_EAUTH, "it does not accept us"},
	{SSL_R_TLSV1_ALERT_ACCESS_DENIED, COHORT_EAUTH, "it does not accept us"},
	{SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, COHORT_EAUTH, "it wants a certificate of us"},
	{SSL_R_TLSV1_ALERT_UNKNOWN_CA, COHORT_EAUTH, "it does not know who signed our certificate"},
	{SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, COHORT_EAUTH, "it does not believe our certificate"},
	{SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, COHORT_EAUTH, "our certificate is not for this use"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, COHORT_EAUTH, "our certificate is taken back, it says"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, COHORT_EAUTH, "our certificate is out of its time, it says"},
	{SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, COHORT_EAUTH, "it does not believe our certificate"},
	{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, COHORT_EPROTOCOL, "the bytes were altered on the way"},
	{SSL_R_SSLV3_ALERT_BAD_RECORD_MAC, COHORT_EPROTOCOL, "the bytes were altered on the way to it"},
};

static const struct meaning *meaning_of(int reason)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].reason == reason)
			return &meanings[i];
	return NULL;
}

/* The peer's first bytes are none of TLS. */
static int why_not_tls(const struct coh_tls_fault *t, struct cohort_error *err)
{
	struct coh_frame f;

	if (t->first[0] != COH_FRAME_MAGIC >> 8)
		return coh_fail(err, COHORT_EPROTOCOL, "it does not speak TLS");
	if (t->server)
		return coh_fail(err, COHORT_EPROTOCOL,
		    "it speaks in clear text, and here is TLS; it should dial tls://");
	if (t->first_size == COH_TLS_FIRST && coh_frame_decode(&f, t->first, COH_PHASE_STRANGER, NULL) == 0 &&
	    f.type == COH_FRAME_REFUSE && t->first[COH_TLS_FIRST - 1] == COH_REFUSE_BUSY)
		return coh_fail(err, COHORT_EBUSY, "it refused: it takes no more peers now, or none from here for a while");
	return coh_fail(err, COHORT_EPROTOCOL,
	    "it speaks in clear text, not TLS; dial tcp:// if it is on this machine");
}

/* The words for a fault in the proof of who we are. */
static const char *why_advice(const struct coh_tls_fault *t, int reason)
{
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return X509_verify_cert_error_string(t->verify);
	return t->by_key ? "are the key and the cluster the same at both ends?"
			 : "do both ends use certificates of the same authority?";
}

int coh_tls_fault_why(const struct coh_tls_fault *t, struct cohort_error *err)
{
	int reason = ERR_GET_REASON(t->word);
	const struct meaning *m = meaning_of(reason);
	const char *words = ERR_reason_error_string(t->word);

	if (t->first != NULL && t->first_size != 0 &&
	    (t->first[0] < CONTENT_FIRST || t->first[0] > CONTENT_LAST))
		return why_not_tls(t, err);
	if (t->foreign)
		return coh_fail(err, COHORT_ECLUSTER, "TLS: it belongs to another cluster");
	if (m != NULL && m->code == COHORT_EAUTH)
		return coh_fail(err, m->code, "TLS: %s: %s", m->sentence, why_advice(t, reason));
	if (m != NULL)
		return coh_fail(err, m->code, "TLS: %s", m->sentence);
	return coh_fail(err, COHORT_EPROTOCOL, "TLS: %s", words != NULL ? words : "it failed");
}
