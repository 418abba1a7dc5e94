/* test_siphash.c - SipHash-2-4: the vectors of its authors. */
#include "base/siphash.h"
#include "support/test.h"

TEST(siphash, gives_what_the_paper_and_its_vectors_say)
{
	static const uint64_t want[] = {UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd),
	    UINT64_C(0x0d6c8009d9a94f5a), UINT64_C(0x85676696d7fb7e2d),
	    UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
	    UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137),
	    UINT64_C(0x93f5f5799a932462)};
	uint8_t key[COH_SIPHASH_KEY], data[16];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = data[i] = i;
	for (size_t n = 0; n < sizeof want / sizeof want[0]; n++)
		CHECK_EQ(coh_siphash(key, data, n), want[n]);
	CHECK_EQ(coh_siphash(key, data, 15), UINT64_C(0xa129ca6149be45e5)); /* appendix A */
	key[0] ^= 1;
	CHECK(coh_siphash(key, data, 15) != UINT64_C(0xa129ca6149be45e5));
}
