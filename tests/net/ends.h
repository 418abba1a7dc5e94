/*
 * ends.h - a client and a server of the handshake in one process, and hands between them.
 */
#ifndef TESTS_NET_ENDS_H
#define TESTS_NET_ENDS_H

#include "trust/handshake.h"

#include <cohort/auth.h>

/* One end: its configuration, which a test may change before ends_begin, and its machine. */
struct end {
	struct coh_handshake_config config;
	struct coh_handshake hs;
	unsigned char uuid[COH_HANDSHAKE_UUID];
	unsigned char nonce, session; /* what its "random" bytes are, when not 0 */
};

struct ends {
	struct cohort_key *key;
	struct end client, server;
};

/* A frame on its way. */
struct parcel {
	struct coh_frame f;
	unsigned char body[COH_FRAME_STRANGER_MAX];
};

/* The ends of the known answers: key 00..1f, cluster demo, w1 and mgr.  ends_close it. */
void ends_open(struct ends *e);
void ends_close(struct ends *e);

/* Begin both machines; a test has failed if one refuses its configuration. */
void ends_begin(struct ends *e);

/* Use real random bytes, and uuids of their own, from now on. */
void ends_randomize(struct ends *e);

/* What FROM has to send; false when it has nothing. */
bool ends_take(struct end *from, struct parcel *p);

/* Give P to TO; the result of the feed. */
int ends_give(struct end *to, const struct parcel *p, struct cohort_error *err);

/* From one to the other, what must be there to be sent. */
int ends_pass(struct end *from, struct end *to, struct cohort_error *err);

/* Pass the first N frames of a handshake, each of which must succeed (N = 4: all). */
void ends_run(struct ends *e, int n);

/* E has a REFUSE of BYTE to send, and nothing else. */
void ends_refuses(struct end *e, enum coh_handshake_refusal byte);

/* E has nothing to send. */
void ends_silent(struct end *e);

#endif
