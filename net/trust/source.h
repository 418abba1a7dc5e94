/*
 * source.h - where strangers come from, as a number, and a hash that they cannot steer.  Pure.
 *
 * A source is an IPv4 address or the first half of an IPv6 one (a host has the other half to
 * itself); coh_sockaddr_source makes the number.  COH_SOURCE_EXEMPT is nobody in particular:
 * Unix sockets, loopback, and whom the user spares; such are neither counted nor penalised.
 */
#ifndef COH_TRUST_SOURCE_H
#define COH_TRUST_SOURCE_H

#include <stdint.h>

#define COH_SOURCE_EXEMPT ((uint64_t)0)

/* Random numbers that nobody else knows. */
struct coh_source_key {
	uint64_t k0, k1;
};

/* SipHash-2-4 of SOURCE: whoever chooses sources cannot choose where they meet (trust: H22). */
uint64_t coh_source_hash(const struct coh_source_key *key, uint64_t source);

#endif
