/*
 * dialect.h - CPython's handshake of multiprocessing.connection, for both ends.  Pure.
 *
 * A state machine over messages: no descriptor, no clock, no allocation of its own.  The listener
 * speaks first; each end challenges the other and answers the other's challenge:
 *
 *   listener  #CHALLENGE# M1      ->
 *             <-                     R1 = MAC(key, M1)
 *             #WELCOME#           ->                       or #FAILURE#, and it closes
 *             <-                     #CHALLENGE# M2
 *             R2 = MAC(key, M2)   ->
 *             <-                     #WELCOME#              or #FAILURE#, and it closes
 *
 * Two dialects.  Since 3.12: M is "{sha256}" and 40 random bytes, R is "{sha256}" and the HMAC of all of
 * M (other digests by name).  Until 3.11: M is 20 random bytes and R 16 bytes of HMAC-MD5; it is spoken
 * only when the configuration says md5.  What this handshake cannot give (nothing binds the MAC to the
 * connection, the roles or what follows) is in PROTOCOL.md, "Python peers".
 *
 * How to drive it:
 *   coh_dialect_init            on failure: fini, give up
 *   coh_dialect_output          send what there is
 *   for each message: coh_dialect_feed, and whatever it returned coh_dialect_output
 *   coh_dialect_fini
 * The caller sets the time limit.  What comes behind the message that made it DONE is the user's.
 *
 * One machine belongs to one thread and is not moved in memory; different ones are independent.
 */
#ifndef COH_PYTHON_DIALECT_H
#define COH_PYTHON_DIALECT_H

#include "trust/handshake.h"

#include <stdbool.h>
#include <sys/queue.h>

#define COH_DIALECT_MESSAGE_MAX 256 /* CPython reads no more in its handshake */
#define COH_DIALECT_CHALLENGE 48    /* of ours: "{sha256}" and 40 bytes */

struct coh_dialect_config {
	enum coh_handshake_role role; /* the client is who dialled */
	const struct cohort_key
	    *key;         /* of cohort_key_load_python or _new_python; borrowed until fini */
	bool md5;         /* speak the dialect of 3.11 and before too */
	const char *peer; /* in sentences; borrowed until fini */
	coh_handshake_random_fn random; /* NULL: coh_random_bytes */
	void *random_arg;
};

/* The caller's storage; the fields are the machine's own. */
struct coh_dialect {
	struct coh_dialect_config config;
	int state;
	int key;     /* which of config.key's secrets the peer has shown, or the one we dial with */
	bool proved; /* the peer has answered well */
	bool outstanding; /* CHALLENGE is out and not answered: it stands in the process's list */
	LIST_ENTRY(coh_dialect) link;
	unsigned char challenge[COH_DIALECT_CHALLENGE];
	size_t out_size; /* 0: nothing to send */
	unsigned char out[COH_DIALECT_MESSAGE_MAX];
};

/*
 * Begin.  0; COHORT_EKEY (a key that is not Python's, or gone since this process was forked);
 * COHORT_EAUTH (no random bytes).
 */
int coh_dialect_init(
    struct coh_dialect *d, const struct coh_dialect_config *config, struct cohort_error *err);

/* Wipe it.  A zeroed struct is fine. */
void coh_dialect_fini(struct coh_dialect *d);

/*
 * Judge the message of N bytes at P, borrowed.
 *
 * Returns COH_HANDSHAKE_MORE, COH_HANDSHAKE_DONE, or, for good: COHORT_EAUTH (the answer is wrong; the
 * peer refused ours; a digest that is not spoken, MD5 without the option; a challenge that this process
 * has itself sent and waits for, which a process that dials itself meets too), COHORT_EPROTOCOL (another message than the one due, a challenge of
 * less than 20 or more than 245 bytes or without a digest's name), COHORT_EKEY, -ENOMEM.
 */
int coh_dialect_feed(struct coh_dialect *d, const void *p, size_t n, struct cohort_error *err);

/*
 * What is to be sent now, *N bytes; NULL when there is nothing.  Asking takes it.  The bytes are D's,
 * valid until the next feed or fini.
 */
const void *coh_dialect_output(struct coh_dialect *d, size_t *n);

/* True once the peer has answered our challenge well. */
bool coh_dialect_proved(const struct coh_dialect *d);

#endif
