/* test_message_memory.c - how large messages get, what they keep, and no memory at any point. */
#include "base/mem.h"
#include "core/messages.h"
#include "wire/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TEST(message_memory, largest_message_passes_and_one_byte_more_does_not)
{
	size_t head = 8 + 2 + 4; /* of an image of "B" */
	char *data = calloc(1, COHORT_MESSAGE_MAX);
	struct cohort_bytes b = {data, COHORT_MESSAGE_MAX - head}, out;
	struct cohort_message *m = message_of("B"), *got;

	REQUIRE(data != NULL);
	REQUIRE_EQ(cohort_message_pack(m, 0, &b), 0);
	got = received(m);
	CHECK_EQ(cohort_message_unpack(got, 0, &out), 1);
	CHECK_EQ(out.size, b.size);
	cohort_message_free(got);
	b.size++;
	CHECK_EQ(cohort_message_pack(m, 0, &b), COHORT_ETOOBIG);
	got = received(m); /* it is as it was */
	CHECK_EQ(cohort_message_unpack(got, 0, &out), 1);
	CHECK_EQ(out.size, b.size - 1);
	cohort_message_free(got);
	cohort_message_free(m);
	free(data);
}

TEST(message_memory, rows_are_counted_against_the_limit_as_they_come)
{
	struct cohort_message *m = message_of("A(B)"), *got;
	struct cohort_bytes b = {calloc(1, COHORT_MESSAGE_MAX), COHORT_MESSAGE_MAX / 2};
	struct cohort_bytes small = {"end", 3}, out;

	REQUIRE(b.data != NULL);
	CHECK_EQ(cohort_message_pack(m, 1, &b), 0);
	CHECK_EQ(cohort_message_pack(m, 1, &b), COHORT_ETOOBIG);
	CHECK_EQ(cohort_message_pack(m, 1, &small), 0);
	got = received(m);
	CHECK_EQ(cohort_message_unpack(got, 1, &out), 1);
	CHECK_EQ(out.size, b.size);
	CHECK_EQ(cohort_message_unpack(got, 1, &out), 1);
	CHECK_EQ(out.size, 3);
	CHECK_EQ(cohort_message_unpack(got, 1, &out), 0);
	cohort_message_free(m);
	cohort_message_free(got);
	free((void *)(uintptr_t)b.data);
}

TEST(message_memory, values_that_are_replaced_no_longer_count)
{
	struct cohort_message *m = message_of("BA(i)"), *got;
	struct cohort_bytes b = {calloc(1, COHORT_MESSAGE_MAX), COHORT_MESSAGE_MAX / 2}, out;

	REQUIRE(b.data != NULL);
	CHECK_EQ(cohort_message_pack(m, 0, &b), 0);
	CHECK_EQ(cohort_message_pack(m, 0, &b), 0);
	CHECK_EQ(cohort_message_pack(m, 0, &b), 0);
	got = received(m);
	CHECK_EQ(cohort_message_unpack(got, 0, &out), 1);
	CHECK_EQ(out.size, b.size);
	cohort_message_free(m);
	cohort_message_free(got);
	free((void *)(uintptr_t)b.data);
}

TEST(message_memory, a_row_that_is_too_large_alone_is_refused)
{
	struct cohort_message *m = message_of("A(B)"), *got;
	struct cohort_bytes b = {"", COHORT_MESSAGE_MAX + 1};

	CHECK_EQ(cohort_message_pack(m, 1, &b), COHORT_ETOOBIG);
	got = received(m);
	CHECK_EQ(cohort_message_unpack(got, 1, &b), 0);
	cohort_message_free(m);
	cohort_message_free(got);
}

/* An image of SIZE bytes at most of "A(s)" with nothing but empty strings. */
static size_t image_of_empty_strings(unsigned char *p, size_t size)
{
	static const char format[] = "A(s)";
	size_t head = 8 + sizeof format + 4;
	uint32_t count = (uint32_t)((size - head) / 4), stated = (uint32_t)head + 4 * count;

	memcpy(p, "tpl\2", 4);
	memcpy(p + 4, &stated, sizeof stated);
	memcpy(p + 8, format, sizeof format);
	memcpy(p + head - 4, &count, sizeof count);
	for (p += head; count > 0; count--, p += 4)
		*p = 1;
	return stated;
}

/* What grows most when it is unpacked stays within the budget: all of it comes out. */
TEST_TIMEOUT(message_memory, largest_message_of_empty_strings_can_be_unpacked, 60)
{
	struct cohort_message *m = message_of("A(s)");
	unsigned char *image = calloc(1, COHORT_MESSAGE_MAX);
	size_t size, rows = 0;
	const char *s;
	int rc;

	REQUIRE(image != NULL);
	size = image_of_empty_strings(image, COHORT_MESSAGE_MAX);
	REQUIRE_EQ(coh_message_borrow(m, image, size, NULL), 0);
	while ((rc = cohort_message_unpack(m, 1, &s)) > 0)
		rows += s[0] == '\0';
	CHECK_EQ(rc, 0);
	CHECK_EQ(rows, (COHORT_MESSAGE_MAX - 17) / 4);
	cohort_message_free(m);
	free(image);
}

/* Made again and again out of what a reset keeps: the second round allocates nothing. */
TEST(message_memory, reset_keeps_memory_for_the_next_use)
{
	struct cohort_message *m = message_of("sA(iA(s))"), *got = message_of("sA(iA(s))");
	const void *image;
	size_t size;
	int32_t i;
	const char *s;

	for (int round = 0; round < 3; round++) {
		coh_mem_fail(round == 0 ? 1000000 : 1, COH_MEM_FAIL_FROM);
		cohort_message_reset(m);
		pack_nested(m);
		REQUIRE_EQ(cohort_message_image(m, &image, &size), 0);
		REQUIRE_EQ(cohort_message_load(got, image, size, NULL), 0);
		CHECK_EQ(cohort_message_unpack(got, 0, &s), 1);
		CHECK_EQ(cohort_message_unpack(got, 1, &i), 1);
		coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	}
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message_memory, reset_gives_large_memory_back)
{
	static const char *const formats[] = {"sB", "sBA(i)"};
	size_t large = 1 << 20;
	char *text = calloc(1, large + 1);

	REQUIRE(text != NULL);
	memset(text, 'x', large);
	for (int n = 0; n < 2; n++) {
		struct cohort_message *m = message_of(formats[n]), *got;
		const char *s = text;
		struct cohort_bytes b = {text, large};

		REQUIRE_EQ(cohort_message_pack(m, 0, &s, &b), 0);
		got = received(m);
		CHECK_EQ(cohort_message_unpack(got, 0, &s, &b), 1);
		cohort_message_reset(m);
		cohort_message_reset(got);
		s = text;
		coh_mem_fail(1, COH_MEM_FAIL_FROM); /* nothing of that size is held any more */
		CHECK_EQ(cohort_message_pack(m, 0, &s, &b), -ENOMEM);
		CHECK_EQ(cohort_message_pack(got, 0, &s, &b), -ENOMEM);
		coh_mem_fail(0, COH_MEM_FAIL_ONCE);
		cohort_message_free(m);
		cohort_message_free(got);
	}
	free(text);
}

/* --- out of memory at every point --- */

/* The first failure of STEPS, which go on while they give WANTED. */
#define STEP(rc, wanted, call)                                                              \
	do {                                                                                \
		if ((rc) == 0) {                                                            \
			(rc) = (call);                                                      \
			(rc) = (rc) == (wanted) ? 0 : (rc);                                 \
		}                                                                           \
	} while (0)

static int flat_life(void *arg)
{
	struct cohort_message *m = NULL, *got = NULL;
	struct cohort_bytes b = {"1234", 4};
	const void *image;
	const char *s = "text";
	size_t size;
	int rc = 0;

	STEP(rc, 0, cohort_message_new(&m, "sB", arg));
	STEP(rc, 0, cohort_message_new(&got, "sB", NULL));
	STEP(rc, 0, cohort_message_pack(m, 0, &s, &b));
	STEP(rc, 0, cohort_message_image(m, &image, &size));
	STEP(rc, 0, cohort_message_load(got, image, size, arg));
	STEP(rc, 1, cohort_message_unpack(got, 0, &s, &b));
	CHECK(rc != 0 || strcmp(s, "text") == 0);
	cohort_message_free(m);
	cohort_message_free(got);
	return rc;
}

TEST(message_memory, out_of_memory_in_a_flat_one_leaves_nothing_behind)
{
	struct cohort_error err;

	cohort_message_free(message_of("sB")); /* its format stays, and is no leak */
	test_every_allocation(flat_life, &err);
}

/* Text large enough that its copies do not fit into what the arena has at hand. */
static int rows_life(void *arg)
{
	struct cohort_message *m = NULL, *got = NULL;
	const char *s = arg, *out = NULL;
	const void *image;
	int32_t i = 7;
	size_t size;
	int rc = 0;

	STEP(rc, 0, cohort_message_new(&m, "sA(iA(s))", NULL));
	STEP(rc, 0, cohort_message_new(&got, "sA(iA(s))", NULL));
	for (int n = 0; n < 3; n++) {
		STEP(rc, 0, cohort_message_pack(m, 2, &s));
		STEP(rc, 0, cohort_message_pack(m, 1, &i));
	}
	STEP(rc, 0, cohort_message_pack(m, 0, &s));
	STEP(rc, 0, cohort_message_image(m, &image, &size));
	STEP(rc, 0, cohort_message_load(got, image, size, NULL));
	STEP(rc, 1, cohort_message_unpack(got, 0, &out));
	for (int n = 0; n < 3; n++) {
		STEP(rc, 1, cohort_message_unpack(got, 1, &i));
		STEP(rc, 1, cohort_message_unpack(got, 2, &out));
		STEP(rc, 0, cohort_message_unpack(got, 2, &out));
	}
	STEP(rc, 0, cohort_message_unpack(got, 1, &i));
	CHECK(rc != 0 || strcmp(out, arg) == 0);
	cohort_message_free(m);
	cohort_message_free(got);
	return rc;
}

TEST(message_memory, out_of_memory_in_arrays_leaves_nothing_behind)
{
	static char large[40001], middle[901];

	memset(large, 'x', sizeof large - 1);
	memset(middle, 'y', sizeof middle - 1);
	cohort_message_free(message_of("sA(iA(s))"));
	test_every_allocation(rows_life, large);
	test_every_allocation(rows_life, middle);
	test_every_allocation(rows_life, (void *)(uintptr_t)"z");
}

static int no_rows_life(void *arg)
{
	struct cohort_message *m = NULL;
	const void *image;
	size_t size;
	int rc = 0;

	(void)arg;
	STEP(rc, 0, cohort_message_new(&m, "A(iA(sB))A(c)A(c)A(c)A(A(c))", NULL));
	STEP(rc, 0, cohort_message_image(m, &image, &size));
	cohort_message_free(m);
	return rc;
}

TEST(message_memory, out_of_memory_without_a_row_leaves_nothing_behind)
{
	cohort_message_free(message_of("A(iA(sB))A(c)A(c)A(c)A(A(c))"));
	test_every_allocation(no_rows_life, NULL);
}

TEST(message_memory, pack_without_memory_leaves_an_empty_one_that_works)
{
	struct cohort_message *m = message_of("iA(s)"), *got;
	static char large[100001];
	const char *s = "small", *out;
	int32_t i = 1;

	memset(large, 'x', sizeof large - 1);
	REQUIRE_EQ(cohort_message_pack(m, 1, &s), 0);
	s = large;
	coh_mem_fail(1, COH_MEM_FAIL_ONCE);
	CHECK_EQ(cohort_message_pack(m, 1, &s), -ENOMEM);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	s = "after";
	CHECK_EQ(cohort_message_pack(m, 1, &s), 0);
	CHECK_EQ(cohort_message_pack(m, 0, &i), 0);
	got = received(m);
	CHECK_EQ(cohort_message_unpack(got, 1, &out), 1);
	CHECK_STR(out, "after");
	CHECK_EQ(cohort_message_unpack(got, 1, &out), 0);
	cohort_message_free(m);
	cohort_message_free(got);
}

/* tpl has counted the element that was lost, so the rest may not be taken for all. */
TEST(message_memory, unpack_without_memory_goes_on_failing_until_reset)
{
	struct cohort_message *m = message_of("A(s)"), *got;
	static char large[100001];
	const char *s = large, *small = "small", *first, *out;

	memset(large, 'x', sizeof large - 1);
	REQUIRE_EQ(cohort_message_pack(m, 1, &small), 0);
	REQUIRE_EQ(cohort_message_pack(m, 1, &s), 0);
	REQUIRE_EQ(cohort_message_pack(m, 1, &small), 0);
	got = received(m);
	REQUIRE_EQ(cohort_message_unpack(got, 1, &first), 1);
	coh_mem_fail(1, COH_MEM_FAIL_ONCE);
	CHECK_EQ(cohort_message_unpack(got, 1, &out), -ENOMEM);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	CHECK_EQ(cohort_message_unpack(got, 1, &out), -ENOMEM);
	CHECK_EQ(cohort_message_unpack(got, 0), -ENOMEM);
	CHECK_STR(first, "small");
	cohort_message_free(got);
	got = received(m);
	for (int n = 0; n < 3; n++)
		CHECK_EQ(cohort_message_unpack(got, 1, &out), 1);
	cohort_message_free(m);
	cohort_message_free(got);
}
