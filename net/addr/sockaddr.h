/*
 * sockaddr.h - the kernel's addresses: their text, and whether they leave the machine.  Pure.
 *
 * What a connection really is joined to is what getpeername and getsockname say, not
 * what was typed: proof and the rule on clear text go by these.  An IPv4 address that
 * came through an IPv6 socket (::ffff:a.b.c.d) counts, and prints, as the IPv4 address.
 * No state: any thread, and after fork.
 */
#ifndef COH_ADDR_SOCKADDR_H
#define COH_ADDR_SOCKADDR_H

#include "addr/address.h"

#include <stdint.h>
#include <sys/socket.h>

#define COH_SOCKADDR_TEXT 176 /* room for any of the texts below, with its end */

/*
 * True when what is sent to SA (LEN bytes of it) cannot leave this machine: a Unix socket,
 * 127.0.0.0/8, ::1.  False for anything else, also for the wildcard addresses.
 */
bool coh_sockaddr_is_local(const struct sockaddr *sa, socklen_t len);

/*
 * True when a socket bound or connected to SA has that very address as its end: TCP, and no wildcard.
 * (The wildcard becomes another, and a Unix path may be a link or relative to another directory.)
 */
bool coh_sockaddr_is_definite(const struct sockaddr *sa, socklen_t len);

/*
 * Whom to hold responsible for what comes from SA: a number that is the same for an IPv4 address, or
 * for the 64 bits of network of an IPv6 one, and for no other; 0 when it is local.
 */
uint64_t coh_sockaddr_source(const struct sockaddr *sa, socklen_t len);

/* Such a number for people: "10.1.2.3", "2001:db8::/64", "this machine". */
#define COH_SOCKADDR_SOURCE_TEXT 64
void coh_sockaddr_source_text(uint64_t source, char out[COH_SOCKADDR_SOURCE_TEXT]);

/*
 * SA as the handshake's transcript names it: "tcp:127.0.0.1:47000", "tcp:[::1]:47000",
 * "unix:/path"; "unix:" for a socket without a name.  0, or COHORT_EADDRESS with OUT empty
 * for another family, an abstract name or a LEN that does not fit.
 */
int coh_sockaddr_text(const struct sockaddr *sa, socklen_t len, char out[COH_SOCKADDR_TEXT]);

/* SA as an address, for people and port files: prints "tcp://127.0.0.1:47000".  As above. */
int coh_sockaddr_to_address(const struct sockaddr *sa, socklen_t len, struct coh_address *a);

/*
 * The socket address that A names by number or path, into OUT and LEN.
 * 0; COHORT_EADDRESS for a host that is a name (it needs looking up) or for inline, thread
 * and local.
 */
int coh_sockaddr_from_address(
    const struct coh_address *a, struct sockaddr_storage *out, socklen_t *len);

#endif
