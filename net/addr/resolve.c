/*
 * resolve.c - names to socket addresses, by the system's resolver.
 *
 * getaddrinfo blocks and cannot be told a deadline.  That is accepted, and documented
 * where it shows: numbers and paths, which tests and most clusters use, never get there.
 * Rejected: a thread a name (it cannot be cancelled either), a resolver of our own.
 */
#include "addr/resolve.h"

#include "addr/sockaddr.h"
#include "base/err.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

int coh_resolve(const struct coh_address *a, struct coh_resolved *out, struct cohort_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list;
	char port[8];
	int rc;

	out->n = 0;
	if (coh_sockaddr_from_address(a, &out->at[0].sa, &out->at[0].len) == 0) {
		out->n = 1;
		return 0;
	}
	snprintf(port, sizeof port, "%u", a->port);
	rc = getaddrinfo(a->where, port, &hints, &list);
	if (rc != 0)
		return coh_fail(err, COHORT_EADDRESS, "no address is known for host %s: %s",
		    a->where, gai_strerror(rc));
	for (struct addrinfo *i = list; i != NULL && out->n < COH_RESOLVE_MAX; i = i->ai_next) {
		memcpy(&out->at[out->n].sa, i->ai_addr, i->ai_addrlen);
		out->at[out->n++].len = i->ai_addrlen;
	}
	freeaddrinfo(list);
	return 0;
}
