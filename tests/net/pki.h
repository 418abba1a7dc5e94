/*
 * pki.h - an authority of the test's own, and certificates of every kind.
 *
 * Files lie in the test's folder.  Keys are of P-256 unless the sin is in the key.
 */
#ifndef TESTS_NET_PKI_H
#define TESTS_NET_PKI_H

#include <cohort/listener.h>

enum pki_kind {
	PKI_GOOD,
	PKI_EXPIRED,
	PKI_EARLY,
	PKI_OTHER_AUTHORITY,
	PKI_SELF_SIGNED,
	PKI_OTHER_USE, /* for signing code */
	PKI_NO_USE,    /* says nothing of its use */
	PKI_REVOKED,
	PKI_WEAK_KEY,  /* RSA of 1024 bits */
	PKI_WEAK_HASH, /* signed over MD5 */
	PKI_LONG_CHAIN,
	PKI_HUGE,
	PKI_KINDS
};

/* The authority, and its list of what was taken back; once a test. */
void pki_open(void);
const char *pki_authority(void);
const char *pki_list(void);

/*
 * A certificate of KIND for NAME, which is also good for localhost and 127.0.0.1, its chain and its
 * key, in one file: its path, in static storage that is good for the next 16 calls.
 */
const char *pki_issue(const char *name, enum pki_kind kind);

/* From now on the list has also what was issued last. */
void pki_take_back(void);

/* The options of one called NAME who has a good certificate. */
struct cohort_net_options pki_options(const char *name);

#endif
