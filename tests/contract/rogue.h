/* rogue.h - a peer that writes raw frames, with descriptors of its choice beside them. */
#ifndef TESTS_CONTRACT_ROGUE_H
#define TESTS_CONTRACT_ROGUE_H

#include "conn/conn_struct.h"

struct rogue {
	struct cohort_conn *conn; /* the honest end of the pair */
	int socket;               /* the rogue's */
};

struct rogue rogue_open(enum coh_frame_phase phase);
void rogue_close(struct rogue *r);

/* F with its F.length bytes at BODY, and the N descriptors at FDS (borrowed) beside them. */
void rogue_send(struct rogue *r, struct coh_frame f, const void *body, const int *fds, int n);

/* The next frame that the honest end has sent, which must have no body. */
struct coh_frame rogue_hear(struct rogue *r);

/* CHECK that the honest end, having received what it can, ends with COHORT_EPROTOCOL and WHY; close both. */
void rogue_expect_end(struct rogue *r, const char *why);

#endif
