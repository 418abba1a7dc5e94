/*
 * resolve.h - the socket addresses behind an address.
 *
 * Any thread.
 */
#ifndef COH_ADDR_RESOLVE_H
#define COH_ADDR_RESOLVE_H

#include "addr/address.h"

#include <sys/socket.h>

#define COH_RESOLVE_MAX 16 /* of one host; more are ignored */

struct coh_resolved {
	int n;
	struct {
		struct sockaddr_storage sa;
		socklen_t len;
	} at[COH_RESOLVE_MAX];
};

/*
 * What A names when nobody need be asked: a path, a number, or "localhost", which is 127.0.0.1 and
 * then ::1 (RFC 6761, 6.3).  Never waits.  True when OUT has it.
 */
bool coh_resolve_known(const struct coh_address *a, struct coh_resolved *out);

/*
 * What A names, in the resolver's order.  A host that is a name asks the system's resolver, which
 * may take half a minute (lookup.h does not wait for it).
 * 0; COHORT_EADDRESS (there is no such host); -EAGAIN (the resolver does not know at the moment).
 */
int coh_resolve(const struct coh_address *a, struct coh_resolved *out, struct cohort_error *err);

/* Tests: FN(ARG) answers for names from now on, in any thread; NULL: the system's resolver again. */
typedef int (*coh_resolve_fn)(const struct coh_address *a, struct coh_resolved *out, void *arg);
void coh_resolve_replace(coh_resolve_fn fn, void *arg);

#endif
