/* test_mem.c - allocation, and failing it on purpose. */
#include "base/copy.h"
#include "base/mem.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

TEST(mem, sizes_of_zero_are_memory_too)
{
	void *a = coh_alloc(0), *b = coh_calloc(0), *c = coh_realloc(NULL, 0),
	     *d = coh_memdup("", 0);

	CHECK(a != NULL && b != NULL && c != NULL && d != NULL);
	coh_free(a);
	coh_free(b);
	coh_free(c);
	coh_free(d);
}

TEST(mem, copies_are_copies)
{
	char *s = coh_strdup("word");
	char *m = coh_memdup("a\0b", 3);
	char *z = coh_calloc(4);

	CHECK_STR(s, "word");
	CHECK_MEM(m, "a\0b", 3);
	CHECK_MEM(z, "\0\0\0\0", 4);
	coh_free(s);
	coh_free(m);
	coh_free(z);
}

TEST(mem, a_copy_for_others_is_exact_at_any_size_and_place)
{
	enum { AROUND = 512 << 10, SPAN = AROUND + 256 };
	static const size_t sizes[] = {0, 1, 63, 4096, AROUND - 1, AROUND, AROUND + 1, AROUND + 63, AROUND + 65};
	unsigned char *from = coh_alloc(SPAN), *to = coh_alloc(SPAN);

	REQUIRE(from != NULL && to != NULL);
	for (size_t i = 0; i < SPAN; i++)
		from[i] = (unsigned char)(i * 7 + i / 251);
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (size_t at = 1; at < 80; at += 13) {
			memset(to, 0xee, SPAN);
			coh_copy_out(to + at, from + at / 2, sizes[s]);
			CHECK(memcmp(to + at, from + at / 2, sizes[s]) == 0);
			CHECK_EQ(to[at - 1], 0xee);
			CHECK_EQ(to[at + sizes[s]], 0xee);
		}
	coh_free(from);
	coh_free(to);
}

TEST(mem, free_keeps_errno_and_takes_null)
{
	errno = EXDEV;
	coh_free(NULL);
	coh_free_wiped(NULL, 10);
	coh_free(coh_alloc(100000000));
	CHECK_EQ(errno, EXDEV);
}

TEST(mem, fails_exactly_the_nth_allocation)
{
	void *a, *b, *c;

	coh_mem_fail(2, COH_MEM_FAIL_ONCE);
	a = coh_alloc(1);
	errno = 0;
	b = coh_alloc(1);
	CHECK_EQ(errno, ENOMEM);
	c = coh_alloc(1);
	CHECK_EQ(coh_mem_count(), 3);
	CHECK(a != NULL && b == NULL && c != NULL);
	coh_free(a);
	coh_free(c);
}

TEST(mem, fails_every_kind_from_the_nth_on)
{
	coh_mem_fail(1, COH_MEM_FAIL_FROM);
	CHECK(coh_alloc(1) == NULL);
	CHECK(coh_calloc(1) == NULL);
	CHECK(coh_realloc(NULL, 1) == NULL);
	CHECK(coh_strdup("s") == NULL);
	CHECK(coh_memdup("s", 1) == NULL);
	CHECK_EQ(coh_mem_count(), 5);
}

TEST(mem, failing_is_off_at_first_and_after_zero)
{
	void *a;

	coh_mem_fail(1, COH_MEM_FAIL_FROM);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	a = coh_alloc(1);
	CHECK(a != NULL);
	coh_free(a);
}
