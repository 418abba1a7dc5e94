/*
 * resolve.c - names to socket addresses, by the system's resolver.
 *
 * "localhost" is answered here: no file may send it elsewhere, and it costs nothing.
 * Rejected: a resolver of our own (hosts files, mDNS and directories are the system's affair).
 */
#include "addr/resolve.h"

#include "addr/sockaddr.h"
#include "base/err.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

static coh_resolve_fn resolve_fn; /* tests only; set while no lookup is under way */
static void *resolve_arg;

static void resolve_add(struct coh_resolved *out, const struct sockaddr *sa, socklen_t len)
{
	if (out->n == COH_RESOLVE_MAX || len > sizeof out->at->sa)
		return;
	memcpy(&out->at[out->n].sa, sa, len);
	out->at[out->n++].len = len;
}

bool coh_resolve_known(const struct coh_address *a, struct coh_resolved *out)
{
	static const char *const loopback[] = {"127.0.0.1", "::1"};
	struct coh_address number = *a;

	out->n = 0;
	if (coh_sockaddr_from_address(a, &out->at[0].sa, &out->at[0].len) == 0) {
		out->n = 1;
		return true;
	}
	if (strcmp(a->where, "localhost") != 0)
		return false;
	for (int i = 0; i < 2; i++) {
		snprintf(number.where, sizeof number.where, "%s", loopback[i]);
		if (coh_sockaddr_from_address(&number, &out->at[i].sa, &out->at[i].len) == 0)
			out->n++;
	}
	return out->n == 2;
}

/* What getaddrinfo(3) returned, as one of ours. */
static int resolve_failed(const struct coh_address *a, int rc, struct cohort_error *err)
{
	if (rc == EAI_MEMORY)
		return coh_fail(err, -ENOMEM, "host %s: no memory to look it up", a->where);
	if (rc == EAI_SYSTEM)
		return coh_fail_errno(err, errno, "look up host %s", a->where);
	if (rc == EAI_AGAIN)
		return coh_fail(err, -EAGAIN,
		    "host %s: the resolver has no answer now; try again, or use a number",
		    a->where);
	return coh_fail(err, COHORT_EADDRESS, "no address is known for host %s: %s", a->where,
	    gai_strerror(rc));
}

static int resolve_name(
    const struct coh_address *a, struct coh_resolved *out, struct cohort_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list;
	char port[8];
	int rc;

	snprintf(port, sizeof port, "%u", a->port);
	rc = getaddrinfo(a->where, port, &hints, &list);
	if (rc != 0)
		return resolve_failed(a, rc, err);
	for (struct addrinfo *i = list; i != NULL; i = i->ai_next)
		resolve_add(out, i->ai_addr, i->ai_addrlen);
	freeaddrinfo(list);
	if (out->n == 0)
		return resolve_failed(a, EAI_NONAME, err);
	return 0;
}

int coh_resolve(const struct coh_address *a, struct coh_resolved *out, struct cohort_error *err)
{
	int rc;

	if (coh_resolve_known(a, out))
		return 0;
	if (resolve_fn == NULL)
		return resolve_name(a, out, err);
	rc = resolve_fn(a, out, resolve_arg);
	return rc == 0 ? 0 : coh_fail(err, rc, "host %s: %s", a->where, cohort_strerror(rc));
}

void coh_resolve_replace(coh_resolve_fn fn, void *arg)
{
	resolve_fn = fn;
	resolve_arg = arg;
}
