/*
 * tls_certs_openssl.c - mutual TLS by certificates of one authority.
 *
 * Believed is who shows a certificate that our own authority signed and has not taken back; the
 * system's authorities count for nothing.  The chain is short (4), the keys are of 112 bits at least
 * (no RSA below 2048, no MD5, no SHA-1), the certificate says itself that it is for this use (clientAuth
 * of who dials, serverAuth of who listens), and all that a peer sends of them fits into 16 KiB.
 *
 * With a list of what was taken back every authority in a chain must have one that is in force: a list
 * out of its time refuses everybody, as a lost one would let everybody in.
 *
 * A context is made of the files once; connections hold it, so that it may be made anew at any time.
 */
#include "trust/tls_priv.h"

#include "base/err.h"
#include "base/mem.h"
#include "trust/safefile.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DEPTH 4               /* authorities between a peer and ours, at most */
#define SHOWN (16 << 10)      /* bytes of certificates that a peer may show */
#define CHAIN_MAX ((size_t)64 << 10)
#define LIST_MAX ((size_t)4 << 20)

struct coh_tls_certs {
	SSL_CTX *ctx;
};

/* What a file holds, one after the other; each adds one thing to the context. */
typedef int (*read_fn)(SSL_CTX *ctx, BIO *bio, int n);

/* No password: who could ask for one? */
static int no_password(char *p, int size, int writing, void *arg)
{
	(void)p;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* 1 when one more was read and taken, 0 when there is none, -1 when it is no good. */
static int read_own(SSL_CTX *ctx, BIO *bio, int n)
{
	X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	int taken;

	if (cert == NULL)
		return 0;
	if (n == 0)
		taken = SSL_CTX_use_certificate(ctx, cert);
	else
		taken = (int)SSL_CTX_add1_chain_cert(ctx, cert);
	X509_free(cert);
	return taken == 1 ? 1 : -1;
}

static int read_key(SSL_CTX *ctx, BIO *bio, int n)
{
	EVP_PKEY *key = n == 0 ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	int taken;

	if (key == NULL)
		return 0;
	taken = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	return taken ? 1 : -1;
}

static int read_authority(SSL_CTX *ctx, BIO *bio, int n)
{
	X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	int taken;

	(void)n;
	if (cert == NULL)
		return 0;
	taken = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert);
	X509_free(cert);
	return taken == 1 ? 1 : -1;
}

static int read_list(SSL_CTX *ctx, BIO *bio, int n)
{
	X509_CRL *list = PEM_read_bio_X509_CRL(bio, NULL, no_password, NULL);
	int taken;

	(void)n;
	if (list == NULL)
		return 0;
	taken = X509_STORE_add_crl(SSL_CTX_get_cert_store(ctx), list);
	X509_CRL_free(list);
	return taken == 1 ? 1 : -1;
}

/* OpenSSL's last word, or OTHER. */
static const char *words(const char *other)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;

	return reason != NULL ? reason : other;
}

/* Read all that FN finds in the SIZE bytes at DATA into CTX. */
static int read_all(SSL_CTX *ctx, const void *data, size_t size, read_fn fn, struct cohort_error *err)
{
	BIO *bio = BIO_new_mem_buf(data, (int)size);
	int n = 0, more = 1, rc = 0, last;

	if (bio == NULL)
		return coh_fail(err, -ENOMEM, "no memory");
	while (more == 1) {
		ERR_clear_error();
		more = fn(ctx, bio, n);
		n += more == 1;
	}
	last = ERR_GET_REASON(ERR_peek_last_error());
	if (last == ERR_R_MALLOC_FAILURE)
		rc = coh_fail(err, -ENOMEM, "no memory");
	else if (more == 0 && n == 0)
		rc = coh_fail(err, COHORT_EKEY, "none is in it, in PEM and without a password");
	else if (more < 0 || (last != 0 && last != PEM_R_NO_START_LINE))
		rc = coh_fail(err, COHORT_EKEY, "number %d in it: %s", n + 1, words("it is no good"));
	ERR_clear_error();
	BIO_free(bio);
	return rc;
}

/* Our own chain and key, both out of FILE. */
static int load_own(SSL_CTX *ctx, const char *file, struct cohort_error *err)
{
	static const struct coh_safefile_rule rule = {"certificate file", "", CHAIN_MAX, true};
	void *data;
	size_t size;
	int rc = coh_safefile_read(&data, &size, &rule, file, err);

	if (rc != 0)
		return rc;
	rc = read_all(ctx, data, size, read_own, err);
	if (rc != 0)
		rc = coh_fail_in(err, rc, "certificate file %.128s: certificate", file);
	else if ((rc = read_all(ctx, data, size, read_key, err)) != 0)
		rc = coh_fail_in(err, rc, "certificate file %.128s: private key", file);
	coh_free_wiped(data, size);
	return rc;
}

/* What FN finds in FILE, which everybody may read. */
static int load_public(SSL_CTX *ctx, const struct coh_safefile_rule *rule, const char *file,
    read_fn fn, struct cohort_error *err)
{
	void *data;
	size_t size;
	int rc = coh_safefile_read(&data, &size, rule, file, err);

	if (rc != 0)
		return rc;
	rc = read_all(ctx, data, size, fn, err);
	coh_free_wiped(data, size);
	return rc != 0 ? coh_fail_in(err, rc, "%s %.128s", rule->what, file) : 0;
}

/* OpenSSL lets a certificate without the extension do everything; ours must say what it is for. */
static int judge(int good, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	uint32_t use = SSL_is_server(ssl) ? XKU_SSL_CLIENT : XKU_SSL_SERVER;

	if (good != 1 || X509_STORE_CTX_get_error_depth(store) != 0)
		return good;
	if ((X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) != 0 &&
	    (X509_get_extended_key_usage(cert) & use) != 0)
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
	return 0;
}

static void set_rules(SSL_CTX *ctx, bool lists)
{
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, judge);
	SSL_CTX_set_verify_depth(ctx, DEPTH);
	SSL_CTX_set_max_cert_list(ctx, SHOWN);
	if (lists)
		X509_VERIFY_PARAM_set_flags(
		    SSL_CTX_get0_param(ctx), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

int coh_tls_certs_load(struct coh_tls_certs **out, const struct coh_tls_files *files,
    struct cohort_error *err)
{
	static const struct coh_safefile_rule authority = {"CA file", "", CHAIN_MAX, false};
	static const struct coh_safefile_rule list = {"CRL file", "", LIST_MAX, false};
	struct coh_tls_certs *certs = coh_calloc(sizeof *certs);
	int rc = 0;

	*out = NULL;
	if (certs != NULL)
		certs->ctx = (SSL_CTX *)(void *)coh_tls_context_new();
	if (certs == NULL || certs->ctx == NULL)
		rc = coh_fail(err, -ENOMEM, "certificates: no memory");
	if (rc == 0)
		rc = load_own(certs->ctx, files->cert_file, err);
	if (rc == 0)
		rc = load_public(certs->ctx, &authority, files->ca_file, read_authority, err);
	if (rc == 0 && files->crl_file != NULL)
		rc = load_public(certs->ctx, &list, files->crl_file, read_list, err);
	if (rc != 0) {
		coh_tls_certs_free(certs);
		return rc;
	}
	set_rules(certs->ctx, files->crl_file != NULL);
	*out = certs;
	return 0;
}

static bool name_take(const ASN1_STRING *text, char name[COH_NAME_MAX + 1])
{
	int n = ASN1_STRING_length(text);

	if (n < 1 || !coh_name_valid((const char *)ASN1_STRING_get0_data(text), (size_t)n))
		return false;
	memcpy(name, ASN1_STRING_get0_data(text), (size_t)n);
	name[n] = '\0';
	return true;
}

bool coh_tls_certs_name(
    const struct coh_tls_certs *certs, char name[COH_NAME_MAX + 1])
{
	X509 *own = SSL_CTX_get0_certificate(certs->ctx);
	GENERAL_NAMES *all = X509_get_ext_d2i(own, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(all) && !found; i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

		found = one->type == GEN_DNS && name_take(one->d.dNSName, name);
	}
	GENERAL_NAMES_free(all);
	ERR_clear_error();
	return found;
}

void coh_tls_certs_free(struct coh_tls_certs *certs)
{
	if (certs == NULL)
		return;
	SSL_CTX_free(certs->ctx);
	coh_free(certs);
}

struct coh_tls_context *coh_tls_context_certs(const struct coh_tls_certs *certs)
{
	return (struct coh_tls_context *)(void *)certs->ctx;
}
