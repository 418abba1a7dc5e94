/*
 * dial.h - connect to an address where a peer listens that holds the same key.
 *
 * Any thread; each call is independent.
 */
#ifndef COHORT_DIAL_H
#define COHORT_DIAL_H

#include <cohort/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Connect to ADDRESS ("tcp://host:port", "unix:/path") and prove to each other that both hold
 * the key.  Borrows all for the call; OPTIONS may be NULL.  Gives *CONN; NULL on failure.
 *
 * DEADLINE covers it all, and the handshake has 10 s at most.  Of a host with several addresses
 * each is tried, in the resolver's order, in an even share of the time left.  A numeric host
 * never waits for anything but the peer; one that is a name may wait for the system's
 * resolver beyond DEADLINE.
 *
 * Returns 0; COHORT_ETIMEDOUT; COHORT_EAUTH (not the same key, or the peer is none of ours);
 * COHORT_EVERSION; COHORT_ECLUSTER; COHORT_EADDR (the address that answered is another, by its
 * own word); COHORT_ESELF; COHORT_EBUSY (too many strangers there: try again); COHORT_EPROTOCOL
 * (no Cohort speaks there); COHORT_EOF, COHORT_ETRUNCATED, COHORT_EPEER (it hung up);
 * COHORT_EADDRESS; COHORT_EPLAINTEXT; COHORT_EKEY; COHORT_ENAME; COHORT_ENOTSUP (tls);
 * -ECONNREFUSED, -ENOENT, -EHOSTUNREACH, -EMFILE and others of connect(2); -ENOMEM.
 */
COHORT_API int cohort_dial(struct cohort_conn **conn, const char *address,
    const struct cohort_net_options *options, cohort_time deadline, struct cohort_error *err);

#ifdef __cplusplus
}
#endif
#endif
