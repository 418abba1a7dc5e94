/*
 * sockaddr.c - socket addresses to text and back, by the bytes the kernel gave.
 *
 * Two processes on one connection must print the same text for the same end, since the
 * handshake compares it.  So a mapped IPv4 address is unmapped first, and a Unix path is
 * taken up to its end or the length, whichever comes first (unix(7) allows both forms).
 * Abstract names are refused: any local user may squat them.
 */
#include "addr/sockaddr.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(COH_ADDRESS_PATH_MAX + 1 == sizeof(((struct sockaddr_un *)0)->sun_path),
    "the longest path is what a Unix socket address holds");

/* SA in a form where IPv4 is always AF_INET; false when LEN does not fit its family. */
static bool sockaddr_plain(
    const struct sockaddr *sa, socklen_t len, struct sockaddr_storage *out)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in4 = {.sin_family = AF_INET};

	memset(out, 0, sizeof *out);
	if (len < sizeof sa->sa_family || len > sizeof *out)
		return false;
	memcpy(out, sa, len);
	if (out->ss_family == AF_INET)
		return len >= sizeof in4;
	if (out->ss_family != AF_INET6)
		return out->ss_family == AF_UNIX && len <= sizeof(struct sockaddr_un);
	if (len < sizeof in6)
		return false;
	memcpy(&in6, out, sizeof in6);
	if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
		in4.sin_port = in6.sin6_port;
		memcpy(&in4.sin_addr, &in6.sin6_addr.s6_addr[12], sizeof in4.sin_addr);
		memcpy(out, &in4, sizeof in4);
	}
	return true;
}

bool coh_sockaddr_is_local(const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_storage plain;
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (!sockaddr_plain(sa, len, &plain))
		return false;
	if (plain.ss_family == AF_UNIX)
		return true;
	if (plain.ss_family == AF_INET) {
		memcpy(&in4, &plain, sizeof in4);
		return ntohl(in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	memcpy(&in6, &plain, sizeof in6);
	return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

bool coh_sockaddr_is_definite(const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_storage plain;
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (!sockaddr_plain(sa, len, &plain) || plain.ss_family == AF_UNIX)
		return false;
	if (plain.ss_family == AF_INET) {
		memcpy(&in4, &plain, sizeof in4);
		return in4.sin_addr.s_addr != htonl(INADDR_ANY) && in4.sin_port != 0;
	}
	memcpy(&in6, &plain, sizeof in6);
	return !IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr) && in6.sin6_port != 0;
}

/*
 * IPv4 addresses are told apart from IPv6 networks by what stands in front: all of ::/8 is reserved (RFC
 * 4291), and so is whatever begins with 64 zero bits, which is made 1 lest it look local.
 */
#define SOURCE_IPV4 ((uint64_t)0xffff)

uint64_t coh_sockaddr_source(const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_storage plain;
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;
	uint64_t network;

	if (!sockaddr_plain(sa, len, &plain) || coh_sockaddr_is_local(sa, len))
		return 0;
	if (plain.ss_family == AF_INET) {
		memcpy(&in4, &plain, sizeof in4);
		return SOURCE_IPV4 << 32 | ntohl(in4.sin_addr.s_addr);
	}
	memcpy(&in6, &plain, sizeof in6);
	network = coh_get_u64(in6.sin6_addr.s6_addr);
	return network != 0 ? network : 1;
}

void coh_sockaddr_source_text(uint64_t source, char out[COH_SOCKADDR_SOURCE_TEXT])
{
	struct in6_addr network = {0};
	struct in_addr host = {.s_addr = htonl((uint32_t)source)};
	char text[INET6_ADDRSTRLEN] = "";

	if (source == 0) {
		snprintf(out, COH_SOCKADDR_SOURCE_TEXT, "this machine");
	} else if (source >> 32 == SOURCE_IPV4) {
		inet_ntop(AF_INET, &host, out, COH_SOCKADDR_SOURCE_TEXT);
	} else {
		coh_put_u64(network.s6_addr, source);
		inet_ntop(AF_INET6, &network, text, sizeof text);
		snprintf(out, COH_SOCKADDR_SOURCE_TEXT, "%s/64", text);
	}
}

static int unix_address(const struct sockaddr_storage *sa, socklen_t len, struct coh_address *a)
{
	size_t room = len - offsetof(struct sockaddr_un, sun_path), n;
	struct sockaddr_un un;

	memcpy(&un, sa, sizeof un);
	a->kind = COH_ADDRESS_UNIX;
	if (len <= offsetof(struct sockaddr_un, sun_path))
		return 0; /* never bound: has no name */
	n = strnlen(un.sun_path, room);
	if (n == 0 || n > COH_ADDRESS_PATH_MAX)
		return COHORT_EADDRESS;
	memcpy(a->where, un.sun_path, n);
	return 0;
}

int coh_sockaddr_to_address(const struct sockaddr *sa, socklen_t len, struct coh_address *a)
{
	struct sockaddr_storage plain;
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	*a = (struct coh_address){.kind = COH_ADDRESS_TCP};
	if (!sockaddr_plain(sa, len, &plain))
		return COHORT_EADDRESS;
	if (plain.ss_family == AF_UNIX)
		return unix_address(&plain, len, a);
	if (plain.ss_family == AF_INET) {
		memcpy(&in4, &plain, sizeof in4);
		a->port = ntohs(in4.sin_port);
		inet_ntop(AF_INET, &in4.sin_addr, a->where, sizeof a->where);
		return 0;
	}
	memcpy(&in6, &plain, sizeof in6);
	a->port = ntohs(in6.sin6_port);
	inet_ntop(AF_INET6, &in6.sin6_addr, a->where, sizeof a->where);
	return 0;
}

int coh_sockaddr_text(const struct sockaddr *sa, socklen_t len, char out[COH_SOCKADDR_TEXT])
{
	struct coh_address a;
	int rc = coh_sockaddr_to_address(sa, len, &a);

	out[0] = '\0';
	if (rc < 0)
		return rc;
	if (a.kind == COH_ADDRESS_UNIX)
		snprintf(out, COH_SOCKADDR_TEXT, "unix:%.*s", COH_ADDRESS_PATH_MAX, a.where);
	else if (strchr(a.where, ':') != NULL)
		snprintf(out, COH_SOCKADDR_TEXT, "tcp:[%.*s]:%u", INET6_ADDRSTRLEN, a.where,
		    (unsigned)a.port);
	else
		snprintf(out, COH_SOCKADDR_TEXT, "tcp:%.*s:%u", INET_ADDRSTRLEN, a.where,
		    (unsigned)a.port);
	return 0;
}

static int from_path(const char *path, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	memcpy(un.sun_path, path, strnlen(path, COH_ADDRESS_PATH_MAX));
	memcpy(out, &un, sizeof un);
	*len = sizeof un;
	return 0;
}

int coh_sockaddr_from_address(
    const struct coh_address *a, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};

	memset(out, 0, sizeof *out);
	if (coh_address_is_path(a))
		return from_path(a->where, out, len);
	if (!coh_address_is_node(a) && !coh_address_is_python(a))
		return COHORT_EADDRESS;
	if (inet_pton(AF_INET, a->where, &in4.sin_addr) == 1) {
		memcpy(out, &in4, sizeof in4);
		*len = sizeof in4;
		return 0;
	}
	if (inet_pton(AF_INET6, a->where, &in6.sin6_addr) == 1) {
		memcpy(out, &in6, sizeof in6);
		*len = sizeof in6;
		return 0;
	}
	return COHORT_EADDRESS;
}
