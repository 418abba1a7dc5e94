/* test_buf.c - growable bytes with a hard maximum. */
#include "base/buf.h"
#include "base/mem.h"
#include "support/test.h"

#include <cohort/error.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

TEST(buf, holds_nothing_before_a_maximum_is_set)
{
	struct coh_buf b = {0};

	CHECK_EQ(coh_buf_put_u8(&b, 1), COHORT_ETOOBIG);
	CHECK_EQ(coh_buf_put(&b, "", 0), 0);
	coh_buf_fini(&b);
}

TEST(buf, gives_back_what_was_put_in_order)
{
	struct coh_buf b;
	uint8_t a8;
	uint16_t a16;
	uint32_t a32;
	uint64_t a64;

	coh_buf_init(&b, 100);
	CHECK_EQ(coh_buf_put_u8(&b, 0x01), 0);
	CHECK_EQ(coh_buf_put_u16(&b, 0x0203), 0);
	CHECK_EQ(coh_buf_put_u32(&b, 0x04050607), 0);
	CHECK_EQ(coh_buf_put_u64(&b, 0x08090a0b0c0d0e0f), 0);
	CHECK_MEM(coh_buf_peek(&b), "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 15);
	CHECK(coh_buf_get_u8(&b, &a8) == 0 && a8 == 0x01);
	CHECK(coh_buf_get_u16(&b, &a16) == 0 && a16 == 0x0203);
	CHECK(coh_buf_get_u32(&b, &a32) == 0 && a32 == 0x04050607);
	CHECK(coh_buf_get_u64(&b, &a64) == 0 && a64 == 0x08090a0b0c0d0e0f);
	CHECK_EQ(coh_buf_len(&b), 0);
	coh_buf_fini(&b);
}

TEST(buf, takes_nothing_when_too_few_bytes_are_held)
{
	struct coh_buf b;
	uint32_t v = 77;

	coh_buf_init(&b, 100);
	CHECK_EQ(coh_buf_put(&b, "abc", 3), 0);
	CHECK_EQ(coh_buf_get_u32(&b, &v), COHORT_ECODEC);
	CHECK_EQ(v, 77);
	CHECK_EQ(coh_buf_len(&b), 3);
	coh_buf_fini(&b);
}

TEST(buf, fills_to_its_maximum_and_not_a_byte_more)
{
	struct coh_buf b;

	coh_buf_init(&b, 1000);
	for (int i = 0; i < 1000; i++)
		REQUIRE(coh_buf_put_u8(&b, (uint8_t)i) == 0);
	CHECK_EQ(coh_buf_put_u8(&b, 0), COHORT_ETOOBIG);
	CHECK_EQ(coh_buf_len(&b), 1000);
	CHECK(b.cap <= 1000);
	coh_buf_drop(&b, 1);
	CHECK_EQ(coh_buf_put_u8(&b, 0), 0);
	CHECK_EQ(coh_buf_peek(&b)[0], 1);
	coh_buf_fini(&b);
}

TEST(buf, refuses_a_reservation_that_overflows)
{
	struct coh_buf b;

	coh_buf_init(&b, SIZE_MAX);
	CHECK_EQ(coh_buf_put_u8(&b, 1), 0);
	CHECK_EQ(coh_buf_reserve(&b, SIZE_MAX), COHORT_ETOOBIG);
	CHECK_EQ(coh_buf_len(&b), 1);
	coh_buf_fini(&b);
}

/* Against a plain array that never moves. */
TEST(buf, agrees_with_an_array_over_random_moves)
{
	static unsigned char model[1 << 20];
	size_t head = 0, tail = 0, n;
	unsigned char piece[300];
	struct coh_buf b;

	coh_buf_init(&b, 3000);
	while (tail + sizeof piece < sizeof model) {
		n = test_random_below(sizeof piece);
		for (size_t i = 0; i < n; i++)
			piece[i] = (unsigned char)test_random();
		if (coh_buf_put(&b, piece, n) == 0) {
			memcpy(model + tail, piece, n);
			tail += n;
		} else {
			REQUIRE(tail - head + n > 3000);
		}
		n = test_random_below(sizeof piece);
		if (coh_buf_get(&b, piece, n) == 0) {
			REQUIRE(CHECK_MEM(piece, model + head, n));
			head += n;
		}
		REQUIRE(coh_buf_len(&b) == tail - head);
	}
	coh_buf_fini(&b);
}

static int fill_and_free(void *arg)
{
	struct coh_buf b;
	int rc = 0;

	(void)arg;
	coh_buf_init(&b, 5000);
	for (int i = 0; rc == 0 && i < 600; i++)
		rc = coh_buf_put_u64(&b, 7);
	coh_buf_fini_wiped(&b);
	return rc;
}

TEST(buf, survives_every_failed_allocation)
{
	test_every_allocation(fill_and_free, NULL);
}

TEST(buf, keeps_its_bytes_when_growing_fails)
{
	struct coh_buf b;

	coh_buf_init(&b, 5000);
	CHECK_EQ(coh_buf_put(&b, "kept", 4), 0);
	coh_mem_fail(1, COH_MEM_FAIL_FROM);
	CHECK_EQ(coh_buf_reserve(&b, 4000), -ENOMEM);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	CHECK_EQ(coh_buf_len(&b), 4);
	CHECK_MEM(coh_buf_peek(&b), "kept", 4);
	coh_buf_fini(&b);
}
