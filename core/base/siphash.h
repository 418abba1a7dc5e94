/*
 * siphash.h - a hash of bytes under a key: who does not know the key cannot make keys that collide.
 *
 * SipHash-2-4 of Aumasson and Bernstein (2012).
 */
#ifndef COH_BASE_SIPHASH_H
#define COH_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define COH_SIPHASH_KEY 16 /* bytes */

uint64_t coh_siphash(const uint8_t key[COH_SIPHASH_KEY], const void *data, size_t size);

#endif
