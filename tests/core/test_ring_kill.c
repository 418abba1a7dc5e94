/*
 * test_ring_kill.c - death at every instruction that matters, while others put and get.
 *
 * A victim does a bit of everything to a queue, and is killed at a fault point, at each of them in turn.  A ledger in shared memory
 * says which items were put and got: none is doubled, none is lost but those the victim was getting.  After each death
 * the ring must be whole.
 */
#include "support/test.h"
#include "sync/fault.h"
#include "work/queue_priv.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDS (1u << 20)
#define SMALL 40
#define LARGE 5000 /* over `inlined`, and more than a page */
#define BATCH 5
#define NAMES 256

enum { NOT_PUT = 0, PUTTING, PUT };

/* One who puts and gets, and what it is at. */
struct who {
	uint32_t risk; /* items that may be lost if it dies now */
};

struct ledger {
	_Atomic uint32_t next; /* id */
	_Atomic uint8_t put[IDS], got[IDS];
	struct who who[3];
	_Atomic uint32_t end;
};

static struct ledger *ledger;

struct item {
	uint32_t id;
	unsigned char fill[LARGE - 4];
};

static uint32_t item_begin(struct item *it, size_t size)
{
	it->id = atomic_fetch_add(&ledger->next, 1);
	REQUIRE(it->id < IDS);
	memset(it->fill, (int)it->id, size - sizeof it->id);
	atomic_store(&ledger->put[it->id], PUTTING);
	return it->id;
}

static void item_got(const void *data, size_t size)
{
	struct item it;

	REQUIRE(size == SMALL || size == LARGE);
	memcpy(&it, data, size);
	REQUIRE(it.id < IDS);
	CHECK_EQ(it.fill[0], (unsigned char)it.id);
	CHECK_EQ(it.fill[size - 5], (unsigned char)it.id);
	CHECK_EQ(atomic_fetch_add(&ledger->got[it.id], 1), 0);
}

/* ---- what one can do; most may find the queue full or empty ---- */

static void do_put(struct cohort_queue *q, struct who *w, size_t size)
{
	struct item it;
	uint32_t id = item_begin(&it, size);
	int rc = cohort_queue_put_bytes_first(q, &it, size, id % 2, cohort_in(COHORT_MS));

	(void)w;
	CHECK(rc == 0 || rc == COHORT_EFULL);
	atomic_store(&ledger->put[id], rc == 0 ? PUT : NOT_PUT);
}

static void do_put_many(struct cohort_queue *q, struct who *w)
{
	struct cohort_bytes bytes[BATCH];
	struct item it[BATCH];
	uint32_t id[BATCH];
	int rc;

	(void)w;
	for (int i = 0; i < BATCH; i++) {
		bytes[i] = (struct cohort_bytes){&it[i], i == 2 ? LARGE : SMALL};
		id[i] = item_begin(&it[i], bytes[i].size);
	}
	rc = cohort_queue_put_many(q, bytes, BATCH, COHORT_NOW);
	CHECK(rc > 0 || rc == COHORT_EFULL);
	for (int i = 0; i < BATCH; i++)
		atomic_store(&ledger->put[id[i]], i < rc ? PUT : NOT_PUT);
}

static void do_get(struct cohort_queue *q, struct who *w, cohort_time deadline)
{
	struct item it;
	size_t n;

	w->risk = 1;
	if (cohort_queue_get_into(q, &it, sizeof it, &n, deadline) == 0) {
		item_got(&it, n);
		CHECK_EQ(cohort_queue_task_done(q), 0);
	}
	w->risk = 0;
}

static void do_get_many(struct cohort_queue *q, struct who *w)
{
	struct cohort_bytes out[BATCH];
	struct item it[BATCH];
	int n;

	w->risk = BATCH;
	n = cohort_queue_get_many(q, out, BATCH, it, sizeof it, COHORT_NOW);
	for (int i = 0; i < n; i++) {
		item_got(out[i].data, out[i].size);
		CHECK_EQ(cohort_queue_task_done(q), 0);
	}
	w->risk = 0;
}

static void do_take(struct cohort_queue *q, struct who *w, bool ack)
{
	struct cohort_item item;
	struct item copy;

	if (cohort_queue_take(q, &item, COHORT_NOW) != 0)
		return;
	REQUIRE(item.size == SMALL || item.size == LARGE);
	if (ack) {
		memcpy(&copy, item.data, item.size);
		w->risk = 1;
		CHECK_EQ(cohort_queue_ack(q, &item), 0);
		item_got(&copy, item.size);
		w->risk = 0;
	} else {
		CHECK_EQ(cohort_queue_return(q, &item), 0);
	}
}

static void do_look(struct cohort_queue *q)
{
	struct cohort_queue_stats s;
	struct item it;
	size_t n;

	(void)cohort_queue_peek(q, &it, sizeof it, &n, COHORT_NOW);
	CHECK(cohort_queue_size(q) >= 0);
	CHECK_EQ(cohort_queue_stats(q, &s), 0);
	(void)coh_ring_tend(coh_queue_local_ring(q));
}

static void do_anything(struct cohort_queue *q, struct who *w, uint64_t dice)
{
	switch (dice % 10) {
	case 0: do_put(q, w, SMALL); break;
	case 1: do_put(q, w, LARGE); break;
	case 2: do_put_many(q, w); break;
	case 3: do_get(q, w, cohort_in(COHORT_MS)); break;
	case 4: do_get_many(q, w); break;
	case 5: do_take(q, w, true); break;
	case 6: do_take(q, w, false); break;
	case 7: do_look(q); break;
	case 8: do_put(q, w, SMALL); break;
	default: do_get(q, w, COHORT_NOW); break;
	}
}

/* ---- the campaign ---- */

static struct cohort_queue *queue_new(void)
{
	struct cohort_queue_options o = {
	    .most = 40, .memory = 128 << 10, .inlined = 64, .priorities = 2, .takes = 16, .spin = -1};
	struct cohort_queue *q = NULL;

	ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(ledger != MAP_FAILED);
	REQUIRE_EQ(cohort_queue_open(&q, NULL, &o, NULL), 0);
	return q;
}

/* Does anything, NUMBER times, or until it dies. */
static pid_t someone(struct cohort_queue *q, struct who *w, const char *point, unsigned long n, int number)
{
	uint64_t seed = test_random();
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid != 0)
		return pid;
	if (point != NULL)
		coh_fault_arm(point, n);
	for (int i = 0; i < number && atomic_load(&ledger->end) == 0; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		do_anything(q, w, seed >> 33);
	}
	coh_fault_arm("", 0);
	cohort_queue_close(q, COHORT_NOW);
	_exit(0);
}

/* All points that a bit of everything passes. */
static int points(struct cohort_queue *q, const char *names[NAMES])
{
	for (int i = 0; i < 600; i++)
		do_anything(q, &ledger->who[2], test_random());
	return coh_fault_names(names, NAMES);
}

static void expect_whole(struct cohort_queue *q, const char *point)
{
	const char *why = NULL;

	CHECK_EQ(coh_ring_tend(coh_queue_local_ring(q)), 0);
	if (coh_ring_check(coh_queue_local_ring(q), &why) != 0)
		FAIL("killed at %s: %s", point, why);
}

/* One victim; how many items it may have taken with it. */
static uint32_t kill_one(struct cohort_queue *q, const char *point, unsigned long n, int *killed)
{
	pid_t pid = someone(q, &ledger->who[0], point, n, 200);
	uint32_t lost;
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0)
		do_anything(q, &ledger->who[2], test_random());
	lost = WIFSIGNALED(status) ? ledger->who[0].risk : 0;
	CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
	*killed += WIFSIGNALED(status);
	ledger->who[0].risk = 0;
	expect_whole(q, point);
	return lost;
}

/* All are gone: get what is left, and read the ledger.  MAY items may be missing. */
static void settle(struct cohort_queue *q, uint32_t may)
{
	struct cohort_queue_stats s;
	uint32_t missing = 0;

	while (cohort_queue_size(q) > 0)
		do_get(q, &ledger->who[2], COHORT_NOW);
	expect_whole(q, "the end");
	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), 0);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.memory_used, 0);
	CHECK_EQ(s.taken, 0);
	for (uint32_t i = 0; i < atomic_load(&ledger->next); i++)
		if (atomic_load(&ledger->put[i]) == PUT && atomic_load(&ledger->got[i]) == 0)
			missing++;
	if (missing > may)
		FAIL("%u items are lost, the dead were getting %u", missing, may);
}

static void campaign(const char *prefix, int each)
{
	struct cohort_queue *q = queue_new();
	const char *names[NAMES];
	int n = points(q, names), killed = 0, tried = 0, status;
	pid_t other = someone(q, &ledger->who[1], NULL, 0, 1 << 30);
	uint32_t may = 0;

	for (int i = 0; i < n; i++) {
		if (strncmp(names[i], prefix, strlen(prefix)) != 0)
			continue;
		for (int k = 1; k <= each; k++, tried++)
			may += kill_one(q, names[i], (unsigned long)(k * k), &killed);
	}
	atomic_store(&ledger->end, 1);
	REQUIRE_EQ(waitpid(other, &status, 0), other);
	CHECK_EQ(status, 0);
	CHECK(killed > tried / 4);
	settle(q, may);
	cohort_queue_close(q, COHORT_NOW);
	munmap(ledger, sizeof *ledger);
}

TEST_TIMEOUT(ring, survives_death_at_each_point_of_its_own, 120)
{
	campaign("ring.", 12);
}

TEST_TIMEOUT(ring, survives_death_in_its_locks_and_gates, 120)
{
	campaign("mutex.", 8);
	campaign("gate.", 8);
}

TEST_TIMEOUT(ring, survives_death_in_its_heap, 120)
{
	campaign("heap.", 8);
}
