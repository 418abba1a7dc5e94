/*
 * pair.h - a futex word with a serial number beside it, changed together by one 64-bit operation.
 *
 * A word alone cannot tell that it left a value and came back to it.  Who looked, made a system call and now wants to
 * clear a bit in it clears only what it saw: word and serial.
 */
#ifndef COH_SYNC_PAIR_H
#define COH_SYNC_PAIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct coh_pair {
	union {
		_Atomic uint64_t both;
		struct {
			_Atomic uint32_t word, serial; /* in this order in memory, whatever the byte order */
		};
	};
};

static inline uint64_t coh_pair_of(uint32_t word, uint32_t serial)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint64_t)serial << 32 | word;
#else
	return (uint64_t)word << 32 | serial;
#endif
}

static inline uint32_t coh_pair_word(uint64_t both)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint32_t)both;
#else
	return (uint32_t)(both >> 32);
#endif
}

static inline uint32_t coh_pair_serial(uint64_t both)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint32_t)(both >> 32);
#else
	return (uint32_t)both;
#endif
}

/* P was (WORD, SERIAL), and its word is now TO.  Sequentially consistent. */
static inline bool coh_pair_change(struct coh_pair *p, uint32_t word, uint32_t serial, uint32_t to)
{
	uint64_t was = coh_pair_of(word, serial);

	return atomic_compare_exchange_strong(&p->both, &was, coh_pair_of(to, serial));
}

#endif
