/* test_shared_arena.c - memory that several processes allocate from (the heap itself: test_heap.c). */
#include "core/sync_page.h"
#include "support/test.h"

#include <cohort/data.h>
#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>

static struct cohort_arena *open_arena(const char *address, enum cohort_open how, size_t size)
{
	struct cohort_arena_options o = {.open = how, .size = size};
	struct cohort_arena *a = NULL;

	CHECK_EQ(cohort_arena_open(&a, address, &o, NULL), 0);
	REQUIRE(a != NULL);
	return a;
}

TEST(shared_arena, gives_blocks_and_takes_them_back)
{
	struct cohort_arena *a = open_arena("local:", COHORT_OPEN_EITHER, 4096);
	struct cohort_arena_stats s;
	uint64_t at = 0;

	REQUIRE_EQ(cohort_arena_alloc(a, 100, &at), 0);
	CHECK_EQ(cohort_arena_size_at(a, at), 100);
	memset(cohort_arena_at(a, at), 1, 100);
	cohort_arena_stats(a, &s);
	CHECK_EQ(s.size, 4096);
	CHECK_EQ(s.used, 128);
	CHECK_EQ(s.blocks, 1);
	CHECK_EQ(s.largest, 4096 - 128 - 16);
	CHECK(cohort_arena_at(a, at + 16) == NULL && cohort_arena_at(a, 0) == NULL);
	CHECK_EQ(cohort_arena_size_at(a, at + 16), 0);
	CHECK_EQ(cohort_arena_free(a, at + 16), COHORT_EARGUMENT);
	CHECK_EQ(cohort_arena_free(a, at), 0);
	CHECK_EQ(cohort_arena_free(a, at), COHORT_EARGUMENT);
	CHECK_EQ(cohort_arena_alloc(a, 4096 - 16, &at), 0);
	CHECK_EQ(cohort_arena_alloc(a, 1, &at), -ENOMEM);
	cohort_arena_close(a);
}

TEST(shared_arena, refuses_sizes_that_cannot_be)
{
	struct cohort_arena_options o = {.size = 4095};
	struct cohort_arena *a = NULL;
	uint64_t at;

	CHECK_EQ(cohort_arena_open(&a, "local:", &o, NULL), COHORT_EARGUMENT);
	o.size = ((size_t)1 << 40) + 1;
	CHECK_EQ(cohort_arena_open(&a, "local:", &o, NULL), COHORT_EARGUMENT);
	a = open_arena("local:", COHORT_OPEN_EITHER, 8192);
	CHECK_EQ(cohort_arena_alloc(a, 0, &at), COHORT_EARGUMENT);
	CHECK_EQ(cohort_arena_alloc(a, 8193, &at), COHORT_EARGUMENT);
	CHECK_EQ(cohort_arena_alloc(a, SIZE_MAX, &at), COHORT_EARGUMENT);
	CHECK_EQ(cohort_arena_alloc(a, 8192, &at), -ENOMEM);
	cohort_arena_close(a);
}

/* It is only address space until it is used.  (Not the most that is allowed: TSan may have no TiB in one piece.) */
TEST(shared_arena, may_be_larger_than_the_memory)
{
	struct sysinfo machine;
	struct cohort_arena *a;
	size_t all;
	uint64_t at;

	REQUIRE_EQ(sysinfo(&machine), 0);
	all = (machine.totalram + machine.totalswap) * machine.mem_unit;
	a = open_arena("local:", COHORT_OPEN_EITHER, 4 * all);
	REQUIRE_EQ(cohort_arena_alloc(a, 1 << 20, &at), 0);
	memset(cohort_arena_at(a, at), 7, 1 << 20);
	CHECK_EQ(at % 4096, 0);
	CHECK_EQ(cohort_arena_alloc(a, 2 * all, &at), -ENOSPC); /* and kills nobody */
	CHECK_EQ(cohort_arena_alloc(a, 100, &at), 0);
	cohort_arena_close(a);
}

struct note {
	_Atomic uint64_t at;
};

static void fill(void *arg)
{
	struct cohort_arena *a = open_arena("local:arena", COHORT_OPEN_ATTACH, 0);
	struct note *n = arg;
	uint64_t mine;

	CHECK_EQ(cohort_arena_free(a, n->at), 0); /* what the parent allocated */
	REQUIRE_EQ(cohort_arena_alloc(a, 20, &mine), 0);
	memcpy(cohort_arena_at(a, mine), "from the child", 15);
	n->at = mine;
	cohort_arena_close(a);
}

TEST(shared_arena, blocks_go_from_process_to_process)
{
	struct cohort_arena *a = open_arena("local:arena", COHORT_OPEN_CREATE, 1 << 20), *b = NULL;
	struct cohort_arena_options o = {.size = 1 << 21};
	struct note *n = sync_page(sizeof *n);
	struct cohort_arena_stats s;
	uint64_t at;

	REQUIRE_EQ(cohort_arena_alloc(a, 1000, &at), 0);
	n->at = at;
	CHECK_EQ(sync_join(sync_fork(fill, n)), 0);
	CHECK_STR((char *)cohort_arena_at(a, n->at), "from the child");
	cohort_arena_stats(a, &s);
	CHECK_EQ(s.blocks, 1); /* it stays although its process has ended */
	CHECK_EQ(cohort_arena_open(&b, "local:arena", &o, NULL), COHORT_EARGUMENT);
	cohort_arena_close(a);
}
