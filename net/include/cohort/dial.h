/*
 * dial.h - connect to an address where a peer listens that holds the same key.
 *
 * cohort_dial waits until it is done.  A cohort_dialer does the same in pieces that never wait, for a
 * program with a loop of its own:
 *
 *	rc = cohort_dialer_start(&d, "tcp://db:4700", &options, cohort_in(5 * COHORT_SECOND), &err);
 *	while (rc == 0 && (rc = cohort_dialer_step(d, &next, &err)) == 0)
 *		... wait until cohort_dialer_fd(d) is ready for cohort_dialer_events(d), or until NEXT ...
 *	if (rc == 1)
 *		conn = cohort_dialer_take(d);
 *	cohort_dialer_close(d);
 *
 * How it is done: a host that is a name is looked up beside the caller, in a thread of its own ("localhost",
 * numbers and paths need none).  Its addresses are tried with the families taking turns, the next
 * one as soon as one fails or after 250 ms, and the first that connects is the one (RFC 8305).  Then
 * both ends prove that they hold the key; once something answered, its answer is the result of this
 * try.  Connecting and proving have 10 s each at most, within the deadline, which covers all.
 *
 * A peer that is too busy for one more stranger (COHORT_EBUSY, or it hangs up without a word, which is believed
 * 20 times) is tried again until the deadline, with pauses of at most 0.5 s.  Other failures end
 * it, unless options.retry says to try again.  A rule in options.retry holds for all of them: with
 * `tries` 1 nothing is tried twice.
 *
 * Any thread; each call, and each dialer, is independent.  A dialer belongs to one thread at a
 * time.  After fork only one process may go on using it; the other closes its copy.
 */
#ifndef COHORT_DIAL_H
#define COHORT_DIAL_H

#include <cohort/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * When to try again, as data: options.retry.  Before try N+1 there is a pause between 0 and
 * the lesser of `last` and `first` * 2^(N-1), each length as likely (full jitter), so that many who lost
 * the same peer do not come back to it at once.
 *
 * Tried again is what may pass: nobody listens there, no way there, no answer in time, the resolver
 * has no answer now, the peer hung up or is busy.  Never tried again: a wrong key, another cluster, a
 * refused name or address, another version, no descriptor left.  The last failure is what is
 * returned, as soon as no try can begin before the deadline.
 */
struct cohort_backoff {
	cohort_time first; /* 0: 100 ms */
	cohort_time last;  /* 0: 5 s; no pause is longer */
	unsigned tries;    /* at most, with the first one; 0: until the deadline */
};

/*
 * Connect to ADDRESS ("tcp://host:port", "unix:/path") and prove to each other that both hold
 * the key.  Borrows all for the call; OPTIONS may be NULL.  Gives *CONN; NULL on failure.
 *
 * Waits for a peer on this machine awake (sched_yield) for half a millisecond at most, before it sleeps.
 *
 * Returns 0; COHORT_ETIMEDOUT (DEADLINE, or the 10 s of a step, passed); COHORT_EAUTH (not the same
 * key, or the peer is none of ours); COHORT_EVERSION; COHORT_ECLUSTER; COHORT_EADDR (the address that
 * answered is another, by its own word); COHORT_ESELF; COHORT_EBUSY (too many strangers there, or its
 * queue is full, until the deadline); COHORT_EPROTOCOL (no Cohort speaks there); COHORT_EOF,
 * COHORT_ETRUNCATED, COHORT_EPEER (it hung up); COHORT_EADDRESS (not understood, or no such host);
 * COHORT_EPLAINTEXT; COHORT_EKEY; COHORT_ENAME; COHORT_ENOTSUP; -EAGAIN (the resolver has no answer
 * now); -ECONNREFUSED, -ENOENT, -EHOSTUNREACH, -EMFILE and others of connect(2); -ENOMEM.
 */
COHORT_API int cohort_dial(struct cohort_conn **conn, const char *address,
    const struct cohort_net_options *options, cohort_time deadline, struct cohort_error *err);

struct cohort_dialer;

/*
 * Begin to dial ADDRESS.  Reads the key file if one is named; never waits for the network, nor connects
 * before the first step.  Borrows OPTIONS (may be NULL), and all they name, until the dialer is
 * closed; ADDRESS for the call.  Gives *D; NULL on failure.
 *
 * Returns 0; COHORT_EADDRESS (not understood); COHORT_EKEY; COHORT_ENAME; COHORT_EAUTH; -ENOMEM.
 */
COHORT_API int cohort_dialer_start(struct cohort_dialer **d, const char *address,
    const struct cohort_net_options *options, cohort_time deadline, struct cohort_error *err);

/*
 * Do what can be done without waiting.  1: connected and proved, cohort_dialer_take gives the
 * connection; 0: call again when the descriptor is ready, and at *NEXT (a moment as of cohort_now;
 * COHORT_FOREVER: no such moment) at the latest; or as cohort_dial, for good.  A call too many does no harm.
 */
COHORT_API int cohort_dialer_step(
    struct cohort_dialer *d, cohort_time *next, struct cohort_error *err);

/*
 * The descriptor to watch, D's, and the events of poll(2) to watch it for, until the next step:
 * either may be others after it, and the descriptor may be closed by it.  So watch it for one event only
 * (poll; EPOLLONESHOT; libevent without EV_PERSIST) and ask again.  -1: only time passes.
 */
COHORT_API int cohort_dialer_fd(const struct cohort_dialer *d);
COHORT_API short cohort_dialer_events(const struct cohort_dialer *d);

/* Give the connection, once, after a step returned 1; NULL at any other time. */
COHORT_API struct cohort_conn *cohort_dialer_take(struct cohort_dialer *d);

/*
 * Free D and what it has under way.  Never waits; a look-up that the resolver has not answered ends by
 * itself.  A connection that was taken lives on.  NULL is fine.
 */
COHORT_API void cohort_dialer_close(struct cohort_dialer *d);

#ifdef __cplusplus
}
#endif
#endif
