/* test_heap_death.c - a heap whose users are killed at every step of every call, while others work in it. */
#include "core/heap_world.h"
#include "core/sync_page.h"
#include "sync/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define VICTIMS 300

/* What all processes share: the heap, and what each says it has. */
struct scene {
	struct heap_world w;
	struct heap_world_model victim, worker;
	_Atomic int rounds; /* of the worker */
	_Atomic bool stop;
	const char *prefix;
	unsigned long fatal; /* the point at which the victim dies */
	uint64_t seed;
	int steps;   /* of the victim */
	bool clears; /* it begins by that */
};

static struct scene *scene_open(size_t bytes)
{
	struct scene *s =
	    mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(s != MAP_FAILED);
	heap_world_open(&s->w, bytes);
	s->prefix = "heap.";
	s->steps = 40;
	return s;
}

/* Steps on few blocks of many sizes, so that joins of every kind are among them. */
static void steps(struct scene *s, struct heap_world_model *m, int n, uint64_t owner)
{
	for (int i = 0; i < n; i++) {
		int rc = heap_world_step(&s->w, m, test_random_below(16), 200000, owner);

		CHECK(rc == 0 || rc == -ENOMEM);
	}
}

static void victim(void *arg)
{
	struct scene *s = arg;

	for (uint64_t skip = s->seed % 1000; skip > 0; skip--)
		(void)test_random(); /* not the same steps in each of them */
	coh_fault_arm(s->prefix, s->fatal);
	if (s->clears)
		CHECK_EQ(coh_heap_clear(&s->w.v), 0);
	steps(s, &s->victim, s->steps, 1);
}

static void worker(void *arg)
{
	struct scene *s = arg;

	while (!atomic_load(&s->stop)) {
		steps(s, &s->worker, 20, 2);
		atomic_fetch_add(&s->rounds, 1);
	}
}

/*
 * What the victim noted is there and as it was; beside that there may be one block, which it had
 * allocated but not noted, or noted as freed but not freed.  All of it is freed.
 */
static void bury(struct scene *s)
{
	uint64_t cursor = 0, at;
	int loose = 0, i;

	CHECK_EQ(coh_heap_check(&s->w.v), 0);
	for (i = 0; i < HEAP_WORLD_BLOCKS; i++)
		if (s->victim.block[i].at != 0)
			heap_world_look(&s->w, &s->victim.block[i]);
	while (coh_heap_next(&s->w.v, &cursor, &at) == 1) {
		if (coh_heap_owner(&s->w.v, at) != 1)
			continue;
		for (i = 0; i < HEAP_WORLD_BLOCKS && s->victim.block[i].at != at; i++)
			continue;
		loose += i == HEAP_WORLD_BLOCKS;
		CHECK_EQ(coh_heap_free(&s->w.v, at), 0);
	}
	CHECK(loose <= 1);
	memset(&s->victim, 0, sizeof s->victim);
}

/* Whether the victim died of it. */
static bool kill_one(struct scene *s)
{
	int status;

	s->seed = test_random();
	status = sync_join(sync_fork(victim, s));
	CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	return status != 0;
}

static void scene_close(struct scene *s)
{
	heap_world_clear(&s->w, &s->worker);
	heap_world_check_empty(&s->w);
	heap_world_close(&s->w);
}

TEST_TIMEOUT(heap_death, leaves_the_heap_whole_at_every_point_while_others_work, 60)
{
	struct scene *s = scene_open(MIB);
	pid_t other = sync_fork(worker, s);
	int died = 0;

	for (int i = 0; i < VICTIMS; i++) {
		s->fatal = 1 + test_random_below(300);
		died += kill_one(s);
		bury(s);
	}
	CHECK(died > VICTIMS / 2);
	CHECK(atomic_load(&s->rounds) > 0);
	atomic_store(&s->stop, true);
	CHECK_EQ(sync_join(other), 0);
	scene_close(s);
}

/* One victim after another in the same heap, nobody looking between them: the next one mends, or dies at that too. */
TEST_TIMEOUT(heap_death, of_who_mends_leaves_it_to_the_next, 60)
{
	struct scene *s = scene_open(MIB);
	int died = 0;

	for (int i = 0; i < VICTIMS / 10; i++) {
		s->prefix = "heap.";
		s->fatal = 1 + test_random_below(200);
		(void)kill_one(s);
		s->prefix = "heap.mend.";
		for (s->fatal = 1; s->fatal < 20; s->fatal++) {
			memset(&s->victim, 0, sizeof s->victim); /* they are nobody's now */
			if (!kill_one(s))
				break;
			died++;
		}
		memset(&s->victim, 0, sizeof s->victim);
		CHECK_EQ(coh_heap_check(&s->w.v), 0);
		for (uint64_t cursor = 0, at; coh_heap_next(&s->w.v, &cursor, &at) == 1;)
			CHECK_EQ(coh_heap_free(&s->w.v, at), 0);
	}
	CHECK(died > VICTIMS / 10);
	scene_close(s);
}

/* A victim in a new heap, whose first pages and blocks are its own. */
static bool kill_in_new(const char *point)
{
	struct scene *s = scene_open(MIB);
	bool died;

	s->prefix = point;
	s->fatal = 1;
	s->clears = true;
	s->steps = 2000;
	died = kill_one(s);
	bury(s);
	scene_close(s);
	return died;
}

TEST_TIMEOUT(heap_death, at_each_point_of_a_new_heap_leaves_it_whole, 60)
{
	struct scene *s = scene_open(MIB);
	const char *names[512];
	int n;

	CHECK_EQ(coh_heap_clear(&s->w.v), 0);
	steps(s, &s->worker, 10000, 2);
	n = coh_fault_names(names, 512);
	scene_close(s);
	CHECK(n > 20);
	for (int i = 0; i < n; i++) {
		bool died = strncmp(names[i], "heap.mend.", 10) == 0;

		for (int tries = 0; tries < 50 && !died; tries++) /* some are seldom passed */
			died = kill_in_new(names[i]);
		if (!died)
			FAIL("nobody died at %s", names[i]);
	}
}
