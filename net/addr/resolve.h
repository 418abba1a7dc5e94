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
 * What A names, in the order to try.  A path or a number never waits; a host that is a name
 * asks the system's resolver, which may take seconds.  0, or COHORT_EADDRESS.
 */
int coh_resolve(const struct coh_address *a, struct coh_resolved *out, struct cohort_error *err);

#endif
