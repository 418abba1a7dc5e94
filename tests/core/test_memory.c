/* test_memory.c - blocks of shared memory, of exactly the size that was asked for. */
#include "core/sync_page.h"
#include "support/test.h"

#include <cohort/data.h>
#include <errno.h>
#include <string.h>

static struct cohort_memory *open_block(const char *address, enum cohort_open how, size_t size)
{
	struct cohort_memory_options o = {.open = how, .size = size};
	struct cohort_memory *m = NULL;

	CHECK_EQ(cohort_memory_open(&m, address, &o, NULL), 0);
	REQUIRE(m != NULL);
	return m;
}

TEST(memory, has_exactly_the_bytes_that_were_asked_for_zeroed_and_aligned)
{
	static const size_t sizes[] = {1, 63, 4096, 5000, 1 << 20};

	for (size_t i = 0; i < 5; i++) {
		struct cohort_memory *m = open_block("local:", COHORT_OPEN_EITHER, sizes[i]);
		unsigned char *p = cohort_memory_data(m);

		CHECK_EQ(cohort_memory_size(m), sizes[i]);
		CHECK_EQ((uintptr_t)p % 64, 0);
		CHECK(p[0] == 0 && p[sizes[i] - 1] == 0);
		memset(p, 0xff, sizes[i]);
		CHECK(cohort_memory_name(m) == NULL);
		cohort_memory_close(m);
	}
}

TEST(memory, sizes_that_cannot_be_are_refused)
{
	struct cohort_memory_options o = {.size = 0};
	struct cohort_memory *m = NULL;

	CHECK_EQ(cohort_memory_open(&m, "local:", &o, NULL), COHORT_EARGUMENT);
	CHECK_EQ(cohort_memory_open(&m, "local:", NULL, NULL), COHORT_EARGUMENT);
	o.size = ((size_t)1 << 40) + 1;
	CHECK_EQ(cohort_memory_open(&m, "local:", &o, NULL), COHORT_EARGUMENT);
	o.size = SIZE_MAX;
	CHECK_EQ(cohort_memory_open(&m, "local:", &o, NULL), COHORT_EARGUMENT);
}

static void write_there(void *arg)
{
	struct cohort_memory *m = open_block(arg, COHORT_OPEN_ATTACH, 0);

	CHECK_EQ(cohort_memory_size(m), 5000);
	CHECK_STR(cohort_memory_name(m), "block");
	memcpy((char *)cohort_memory_data(m) + 4990, "here", 5);
	cohort_memory_close(m);
}

TEST(memory, is_the_same_for_who_attaches_by_name_and_stays)
{
	struct cohort_memory *m = open_block("local:block", COHORT_OPEN_CREATE, 5000), *more = NULL;
	struct cohort_memory_options o = {.size = 5001};

	CHECK_EQ(sync_join(sync_fork(write_there, (void *)(uintptr_t) "local:block")), 0);
	CHECK_STR((char *)cohort_memory_data(m) + 4990, "here");
	CHECK_EQ(cohort_memory_open(&more, "local:block", &o, NULL), COHORT_EARGUMENT);
	o.size = 17; /* less than there is: all of it */
	REQUIRE_EQ(cohort_memory_open(&more, "local:block", &o, NULL), 0);
	CHECK_EQ(cohort_memory_size(more), 5000);
	cohort_memory_close(more);
	cohort_memory_close(m);
}
