/* siphash.c - SipHash-2-4: a hash of bytes under a key. */
#include "base/siphash.h"

#include <string.h>

struct state {
	uint64_t v[4];
};

/* Eight bytes, or the SIZE there are, lowest first. */
static uint64_t word(const uint8_t *p, size_t size)
{
	uint64_t w = 0;

	for (size_t i = 0; i < size; i++)
		w |= (uint64_t)p[i] << 8 * i;
	return w;
}

static uint64_t turn(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void mix(struct state *s, unsigned rounds)
{
	uint64_t a = s->v[0], b = s->v[1], c = s->v[2], d = s->v[3];

	while (rounds-- > 0) {
		a += b;
		b = turn(b, 13) ^ a;
		a = turn(a, 32);
		c += d;
		d = turn(d, 16) ^ c;
		a += d;
		d = turn(d, 21) ^ a;
		c += b;
		b = turn(b, 17) ^ c;
		c = turn(c, 32);
	}
	*s = (struct state){{a, b, c, d}};
}

uint64_t coh_siphash(const uint8_t key[COH_SIPHASH_KEY], const void *data, size_t size)
{
	uint64_t k0 = word(key, 8), k1 = word(key + 8, 8), m;
	/* "somepseudorandomlygeneratedbytes", as the paper has it */
	struct state s = {{k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
	    k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)}};
	const uint8_t *p = data;

	for (size_t left = size; left >= 8; left -= 8, p += 8) {
		m = word(p, 8);
		s.v[3] ^= m;
		mix(&s, 2);
		s.v[0] ^= m;
	}
	m = word(p, size % 8) | (uint64_t)size << 56;
	s.v[3] ^= m;
	mix(&s, 2);
	s.v[0] ^= m;
	s.v[2] ^= 0xff;
	mix(&s, 4);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
