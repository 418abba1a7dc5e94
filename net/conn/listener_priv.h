/*
 * listener_priv.h - a listener inside an event loop, and what tests may turn.
 */
#ifndef COH_CONN_LISTENER_PRIV_H
#define COH_CONN_LISTENER_PRIV_H

#include "conn/greeting.h"
#include "trust/strangers.h"

#include <cohort/listener.h>

/*
 * Do what there is to do without waiting: when cohort_listener_fd is readable (it also is when a
 * stranger's time is up).  At most one peer comes out: call it until it returns 0.
 * 1: *CONN is given, and PEER (may be NULL) says who it is; 0: nobody now; -errno.
 */
int coh_listener_step(struct cohort_listener *l, struct cohort_conn **conn,
    struct coh_handshake_peer *peer, struct cohort_error *err);

/*
 * From now on FN(ARG) is asked about everyone who has proved the key, before the answer to the proof
 * (handshake.h: COHORT_ENAME refuses a name that is taken).  Called within a step.
 */
void coh_listener_admit(struct cohort_listener *l, coh_handshake_admit_fn fn, void *arg);

/* Warn once more, as cohort_listen did, if it is met in clear text over a network.  True when it is. */
bool coh_listener_warn(const struct cohort_listener *l);

/* Whom it says it is.  Tests, in which both ends are one process, change the uuid. */
struct coh_identity *coh_listener_identity(struct cohort_listener *l);

/*
 * Tests: change the limits of a new listener: the time a stranger has and how many there may be, all of
 * them before anybody is dropped early; or each of them.
 */
void coh_listener_limit(struct cohort_listener *l, cohort_time handshake, int strangers);
void coh_listener_limits(struct cohort_listener *l, const struct coh_strangers_limits *limits);

/* Tests: who counts as one source (otherwise coh_sockaddr_source). */
typedef uint64_t (*coh_listener_source_fn)(const struct sockaddr *sa, socklen_t len);
void coh_listener_source_by(struct cohort_listener *l, coh_listener_source_fn fn);

/* How many strangers it holds. */
int coh_listener_strangers(const struct cohort_listener *l);

#endif
