/* test_heap.c - allocating inside a segment: what is given, where, and what becomes of it. */
#include "core/heap_world.h"
#include "core/sync_page.h"
#include "os/shm.h"
#include "sync/heap_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#define MIB ((size_t)1 << 20)

static uint64_t get(struct heap_world *w, size_t size)
{
	uint64_t at = 0;

	REQUIRE_EQ(coh_heap_alloc(&w->v, size, 1, &at), 0);
	return at;
}

TEST(heap, is_empty_at_first_and_may_be_given_as_one)
{
	static const size_t sizes[] = {64, 4096, 5000 / 16 * 16, MIB, 3 * MIB};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct heap_world_block b = {0};
		struct heap_world w;

		heap_world_open(&w, sizes[i]);
		heap_world_check_empty(&w);
		CHECK_EQ(heap_world_alloc(&w, &b, sizes[i] - 15, 1), -ENOMEM);
		CHECK_EQ(heap_world_alloc(&w, &b, sizes[i] - 16, 1), 0);
		CHECK_EQ(coh_heap_check(&w.v), 0);
		heap_world_free(&w, &b);
		heap_world_check_empty(&w);
		heap_world_close(&w);
	}
}

TEST(heap, refuses_sizes_it_cannot_have)
{
	struct heap_world w;
	uint64_t at;

	heap_world_open(&w, MIB);
	CHECK_EQ(coh_heap_alloc(&w.v, 0, 1, &at), COHORT_EARGUMENT);
	CHECK_EQ(coh_heap_alloc(&w.v, MIB, 1, &at), -ENOMEM);
	CHECK_EQ(coh_heap_alloc(&w.v, SIZE_MAX, 1, &at), -ENOMEM);
	CHECK_EQ(coh_heap_alloc(&w.v, SIZE_MAX - 15, 1, &at), -ENOMEM);
	heap_world_check_empty(&w);
	heap_world_close(&w);
}

TEST(heap, aligns_data_to_16_and_large_data_to_pages)
{
	struct heap_world w;

	heap_world_open(&w, 64 * MIB);
	for (size_t i = 0; i < 200; i++) {
		size_t size = 1 + test_random_below(COH_HEAP_LARGE);

		CHECK_EQ(get(&w, size) % 16, 0);
		CHECK_EQ(get(&w, COH_HEAP_LARGE + size) % COH_HEAP_PAGE, 0);
	}
	CHECK_EQ(coh_heap_check(&w.v), 0);
	heap_world_close(&w);
}

TEST(heap, gives_a_large_block_back_to_the_next_of_its_size)
{
	struct heap_world w;
	uint64_t a, b, c;

	heap_world_open(&w, 16 * MIB);
	a = get(&w, MIB);
	b = get(&w, MIB);
	CHECK_EQ(b - a, MIB + COH_HEAP_PAGE); /* nothing is lost between them but the head's page */
	CHECK_EQ(coh_heap_free(&w.v, a), 0);
	for (int i = 0; i < 10; i++) {
		c = get(&w, MIB);
		CHECK_EQ(c, a);
		CHECK_EQ(coh_heap_free(&w.v, c), 0);
	}
	CHECK_EQ(coh_heap_free(&w.v, b), 0);
	heap_world_check_empty(&w);
	heap_world_close(&w);
}

/* Free blocks of COUNT different sizes, each between two used ones: their places and sizes. */
static void make_holes(struct heap_world *w, uint64_t *at, size_t *size, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size[i] = heap_world_size(test_random(), COH_HEAP_LARGE - 1);
		at[i] = get(w, size[i]);
		get(w, 16);
	}
	for (size_t i = 0; i < count; i++)
		REQUIRE_EQ(coh_heap_free(&w->v, at[i]), 0);
	CHECK_EQ(coh_heap_check(&w->v), 0);
}

static size_t whole(size_t size)
{
	return size <= 16 ? 32 : (size + 16 + 15) / 16 * 16;
}

/* The smallest hole that SIZE fits in. */
static size_t least(const size_t *sizes, const uint64_t *at, size_t count, size_t size)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < count; i++)
		if (at[i] != 0 && whole(sizes[i]) >= whole(size) && whole(sizes[i]) < best)
			best = whole(sizes[i]);
	return best;
}

TEST(heap, takes_the_smallest_free_block_that_fits)
{
	enum { COUNT = 1000 };
	uint64_t at[COUNT], got;
	size_t size[COUNT], want, best, i;
	struct heap_world w;

	heap_world_open(&w, 64 * MIB);
	make_holes(&w, at, size, COUNT);
	for (int round = 0; round < COUNT; round++) {
		want = size[test_random_below(COUNT)];
		best = least(size, at, COUNT, want);
		got = get(&w, want);
		for (i = 0; i < COUNT && at[i] != got; i++)
			continue;
		/* what is left of one that was taken before is no hole of ours any more */
		if (!CHECK(i == COUNT || whole(size[i]) == best))
			break;
		if (i < COUNT)
			at[i] = 0;
	}
	CHECK_EQ(coh_heap_check(&w.v), 0);
	heap_world_close(&w);
}

TEST(heap, joins_freed_neighbours_in_every_order)
{
	static const int orders[6][3] = {
	    {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static const size_t sizes[] = {16, 100, 2000, 20000};

	for (size_t s = 0; s < 4; s++)
		for (int o = 0; o < 6; o++) {
			struct heap_world w;
			uint64_t at[3], last, all;

			heap_world_open(&w, MIB);
			for (int i = 0; i < 3; i++)
				at[i] = get(&w, sizes[s]);
			last = get(&w, 16);
			for (int i = 0; i < 3; i++)
				CHECK_EQ(coh_heap_free(&w.v, at[orders[o][i]]), 0);
			CHECK_EQ(coh_heap_check(&w.v), 0);
			all = last - 16 - w.v.begin - 16; /* head of the last, and of this */
			CHECK_EQ(get(&w, all), w.v.begin + 16);
			heap_world_close(&w);
		}
}

TEST(heap, frees_only_what_begins_there)
{
	struct heap_world w;
	uint64_t a, b, v;

	heap_world_open(&w, 4096);
	a = get(&w, 100);
	b = get(&w, 200);
	memset((char *)w.base + a, 0x11, 100);
	CHECK_EQ(coh_heap_free(&w.v, a), 0);
	for (v = 0; v < w.mapped + 64; v++)
		if (v != b)
			CHECK_EQ(coh_heap_free(&w.v, v), COHORT_EARGUMENT);
	CHECK_EQ(coh_heap_free(&w.v, UINT64_MAX), COHORT_EARGUMENT);
	CHECK_EQ(coh_heap_free(&w.v, UINT64_MAX - 15), COHORT_EARGUMENT);
	CHECK(coh_heap_at(&w.v, a, NULL) == NULL && coh_heap_at(&w.v, b, NULL) != NULL);
	CHECK_EQ(coh_heap_check(&w.v), 0);
	CHECK_EQ(coh_heap_free(&w.v, b), 0);
	heap_world_check_empty(&w);
	heap_world_close(&w);
}

TEST(heap, does_as_a_model_for_random_steps)
{
	static struct heap_world_model m;
	struct heap_world w;

	heap_world_open(&w, MIB);
	for (int i = 0; i < 20000; i++) {
		int rc = heap_world_step(&w, &m, test_random_below(HEAP_WORLD_BLOCKS), MIB, 7);

		CHECK(rc == 0 || rc == -ENOMEM);
		if (!CHECK_EQ(coh_heap_check(&w.v), 0))
			break;
	}
	heap_world_clear(&w, &m);
	heap_world_check_empty(&w);
	heap_world_close(&w);
}

TEST(heap, walks_through_all_blocks_and_their_owners)
{
	uint64_t at[100], cursor = 0, got;
	struct heap_world w;
	int n = 0;

	heap_world_open(&w, MIB);
	CHECK_EQ(coh_heap_next(&w.v, &cursor, &got), 0);
	for (int i = 0; i < 100; i++) {
		at[i] = get(&w, heap_world_size(test_random(), 4000));
		coh_heap_set_owner(&w.v, at[i], (uint64_t)i + 1000);
	}
	for (int i = 0; i < 100; i += 2)
		CHECK_EQ(coh_heap_free(&w.v, at[i]), 0);
	while (coh_heap_next(&w.v, &cursor, &got) == 1) {
		CHECK(coh_heap_owner(&w.v, got) % 2 == 1);
		CHECK_EQ(at[coh_heap_owner(&w.v, got) - 1000], got);
		n++;
	}
	CHECK_EQ(n, 50);
	heap_world_close(&w);
}

TEST(heap, keeps_count_of_what_it_has)
{
	struct coh_heap_stats s;
	struct heap_world w;
	uint64_t a, b;

	heap_world_open(&w, 10 * 4096);
	a = get(&w, 100);
	b = get(&w, 32);
	REQUIRE_EQ(coh_heap_stats(&w.v, &s), 0);
	CHECK_EQ(s.size, 10 * 4096);
	CHECK_EQ(s.used, 128 + 48);
	CHECK_EQ(s.blocks, 2);
	CHECK_EQ(s.largest, 10 * 4096 - 128 - 48 - 16);
	get(&w, s.largest);
	CHECK_EQ(coh_heap_free(&w.v, a), 0);
	REQUIRE_EQ(coh_heap_stats(&w.v, &s), 0);
	CHECK_EQ(s.largest, 128 - 16);
	CHECK_EQ(coh_heap_free(&w.v, b), 0);
	REQUIRE_EQ(coh_heap_stats(&w.v, &s), 0);
	CHECK_EQ(s.largest, 128 + 48 - 16);
	heap_world_close(&w);
}

TEST(heap, is_seen_alike_by_who_attaches)
{
	struct coh_heap_view v;
	struct heap_world w;
	uint64_t at;

	heap_world_open(&w, MIB);
	at = get(&w, 77);
	memcpy((char *)w.base + at, "seen", 5);
	REQUIRE_EQ(coh_heap_attach(&v, w.base, w.fd, 0, MIB), 0);
	CHECK_STR((char *)coh_heap_at(&v, at, NULL), "seen");
	CHECK_EQ(coh_heap_free(&v, at), 0);
	CHECK_EQ(coh_heap_attach(&v, w.base, w.fd, 0, MIB / 2), COHORT_ESEGMENT);
	heap_world_check_empty(&w);
	heap_world_close(&w);
}

/* ---- several processes ---- */

struct crowd {
	struct heap_world w;
	struct heap_world_model m[8];
	_Atomic int next;
};

static void work(void *arg)
{
	struct crowd *c = arg;
	int me = atomic_fetch_add(&c->next, 1);

	for (int i = 0; i < 5000; i++) {
		int rc = heap_world_step(&c->w, &c->m[me], test_random_below(HEAP_WORLD_BLOCKS / 8),
		    300000, (uint64_t)me);

		CHECK(rc == 0 || rc == -ENOMEM);
	}
}

TEST(heap, serves_processes_at_once)
{
	struct crowd *c =
	    mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[8];

	REQUIRE(c != MAP_FAILED);
	heap_world_open(&c->w, 4 * MIB);
	for (int i = 0; i < 8; i++)
		pids[i] = sync_fork(work, c);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(coh_heap_check(&c->w.v), 0);
	for (int i = 0; i < 8; i++)
		heap_world_clear(&c->w, &c->m[i]); /* what others allocated is freed here */
	heap_world_check_empty(&c->w);
	heap_world_close(&c->w);
}

/* ---- no more pages ---- */

/* A file of SIZE bytes in a file system of LIMIT, which only this test sees; -1: that is not allowed here. */
static int small_file(size_t size, const char *limit)
{
	int fd;

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", test_folder(), "tmpfs", 0, limit) != 0)
		return -1;
	fd = open(test_path("heap"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	umount2(test_folder(), MNT_DETACH);
	return fd;
}

TEST(heap, says_so_when_the_system_has_no_pages_and_goes_on_with_those_it_has)
{
	struct heap_world w = {.bytes = 16 * MIB, .mapped = coh_heap_region(16 * MIB)};
	uint64_t at[64];
	int n = 0, rc = 0;

	w.fd = small_file(w.mapped, "size=1m");
	if (w.fd < 0)
		return;
	w.base = coh_shm_map(w.fd, w.mapped);
	REQUIRE(w.base != NULL);
	REQUIRE_EQ(coh_heap_init(&w.v, w.base, w.fd, 0, w.bytes), 0);
	while (n < 64 && (rc = coh_heap_alloc(&w.v, 50000, 1, &at[n])) == 0)
		memset(coh_heap_at(&w.v, at[n++], NULL), 1, 50000);
	CHECK_EQ(rc, -ENOSPC);
	CHECK(n > 15 && n < 21);
	CHECK_EQ(coh_heap_free(&w.v, at[3]), 0);
	CHECK_EQ(get(&w, 50000), at[3]);
	for (int i = 0; i < n; i++)
		CHECK_EQ(coh_heap_free(&w.v, at[i]), 0);
	heap_world_check_empty(&w);
	heap_world_close(&w);
}

/* ---- damage ---- */

/* Bytes anywhere but in the lock are changed; whatever follows, no call may crash or go round for ever. */
static void damage(struct heap_world *w)
{
	size_t first = offsetof(struct coh_heap, bytes), span, at;
	unsigned n = 1 + (unsigned)test_random_below(8);

	while (n-- > 0) {
		span = test_random_below(3) == 0 ? sizeof(struct coh_heap) : w->v.begin + 20000;
		at = first + test_random_below(span - first);
		((volatile unsigned char *)w->base)[at] = (unsigned char)test_random();
	}
}

TEST(heap, says_so_when_it_was_damaged_and_never_crashes)
{
	int told = 0;

	for (int round = 0; round < 500; round++) {
		struct heap_world w;
		uint64_t at[64], cursor = 0, got;
		int rc = 0;

		heap_world_open(&w, MIB);
		for (int i = 0; i < 64; i++)
			at[i] = get(&w, heap_world_size(test_random(), 4000));
		for (int i = 0; i < 64; i += 2)
			REQUIRE_EQ(coh_heap_free(&w.v, at[i]), 0);
		damage(&w);
		for (int i = 1; i < 64; i += 2)
			rc |= coh_heap_free(&w.v, at[i]) == COHORT_ESEGMENT;
		for (int i = 0; i < 64; i++)
			rc |= coh_heap_alloc(&w.v, 1 + test_random_below(3000), 1, &got) ==
			    COHORT_ESEGMENT;
		while (coh_heap_next(&w.v, &cursor, &got) == 1)
			(void)coh_heap_at(&w.v, got, NULL);
		told += rc != 0 || coh_heap_check(&w.v) == COHORT_ESEGMENT;
		heap_world_close(&w);
	}
	CHECK(told > 50); /* most of it hits what nobody looks at */
}
