/* test_arena.c - memory taken piece by piece and given back all at once. */
#include "base/mem.h"
#include "support/test.h"
#include "wire/arena.h"

#include <string.h>

TEST(arena, pieces_are_aligned_and_do_not_overlap)
{
	struct coh_arena a = {.max = SIZE_MAX};
	unsigned char *p[500];

	for (size_t i = 0; i < 500; i++) {
		p[i] = coh_arena_alloc(&a, i);
		REQUIRE(p[i] != NULL);
		CHECK_EQ((uintptr_t)p[i] % COH_ARENA_ALIGN, 0);
		memset(p[i], (int)i, i);
	}
	for (size_t i = 0; i < 500; i++)
		for (size_t n = 0; n < i; n++)
			REQUIRE_EQ(p[i][n], (unsigned char)i);
	coh_arena_fini(&a);
	CHECK_EQ(a.held, 0);
}

TEST(arena, small_pieces_cost_little_more_than_their_size)
{
	struct coh_arena a = {.max = SIZE_MAX};
	size_t sum = 0;

	for (size_t i = 0; i < 100000; i++, sum += 8)
		REQUIRE(coh_arena_alloc(&a, 1 + i % 8) != NULL);
	CHECK(a.held >= sum && a.held < sum + (512 << 10));
	coh_arena_fini(&a);
}

TEST(arena, pieces_of_any_size_waste_an_eighth_at_most)
{
	struct coh_arena a = {.max = SIZE_MAX};
	size_t sum = 0;

	for (size_t n = 1; n < 40000; n += 37, sum += n)
		REQUIRE(coh_arena_alloc(&a, n) != NULL);
	CHECK(a.held < sum + sum / 8 + (512 << 10));
	coh_arena_fini(&a);
}

TEST(arena, a_large_piece_leaves_the_room_that_was_left)
{
	struct coh_arena a = {.max = SIZE_MAX};
	char *first = coh_arena_alloc(&a, 8), *large = coh_arena_alloc(&a, 1 << 20);

	REQUIRE(first != NULL && large != NULL);
	CHECK(coh_arena_alloc(&a, 8) == first + 8);
	coh_arena_fini(&a);
}

TEST(arena, the_maximum_holds)
{
	struct coh_arena a = {.max = 4096};
	size_t taken = 0;

	CHECK(coh_arena_alloc(&a, SIZE_MAX) == NULL);
	CHECK(coh_arena_alloc(&a, SIZE_MAX / 2) == NULL);
	CHECK(coh_arena_alloc(&a, 1 << 20) == NULL);
	while (coh_arena_alloc(&a, 100) != NULL)
		taken += 100;
	CHECK(taken > 2000 && a.held <= 4096);
	coh_arena_fini(&a);
}

TEST(arena, reset_keeps_one_block_of_bounded_size)
{
	struct coh_arena a = {.max = SIZE_MAX};
	void *first = coh_arena_alloc(&a, 8);

	coh_arena_reset(&a);
	CHECK(coh_arena_alloc(&a, 8) == first);
	for (int i = 0; i < 100000; i++)
		REQUIRE(coh_arena_alloc(&a, 32) != NULL);
	coh_arena_reset(&a);
	CHECK(a.held <= COH_ARENA_KEEP);
	REQUIRE(coh_arena_alloc(&a, 1 << 20) != NULL);
	coh_arena_reset(&a);
	CHECK_EQ(a.held, 0);
	coh_arena_reset(&a);
	coh_arena_fini(&a);
}

TEST(arena, without_memory_it_stays_as_it_was)
{
	struct coh_arena a = {.max = SIZE_MAX};

	coh_mem_fail(1, COH_MEM_FAIL_FROM);
	CHECK(coh_arena_alloc(&a, 8) == NULL);
	CHECK(coh_arena_alloc(&a, 1 << 20) == NULL);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	CHECK_EQ(a.held, 0);
	CHECK(coh_arena_alloc(&a, 8) != NULL);
	coh_arena_fini(&a);
}
