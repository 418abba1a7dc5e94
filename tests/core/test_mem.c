/* test_mem.c - allocation, and failing it on purpose. */
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
