/* ring_crowd.c - what each of a crowd does, and how the ledger is read. */
#include "core/ring_crowd.h"
#include "core/sync_page.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDS (1u << 20)
#define SMALL 40
#define MIDDLE 1500 /* a lane is through after 170 of them */
#define LARGE 5000  /* over `inlined`, and more than a page */
#define BATCH 5

enum { NOT_PUT = 0, PUTTING, PUT };

struct ledger {
	_Atomic uint32_t next; /* id */
	_Atomic uint8_t put[IDS], got[IDS];
	uint32_t risk[RING_CROWD]; /* items that may be lost if that one dies now */
	uint32_t may;              /* that those who died had in their hands */
	_Atomic uint32_t end, closing, met;
};

static struct ledger *ledger;

struct item {
	uint32_t id;
	unsigned char fill[LARGE - 4];
};

void ring_crowd_begin(void)
{
	ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(ledger != MAP_FAILED);
}

void ring_crowd_end(void)
{
	munmap(ledger, sizeof *ledger);
	ledger = NULL;
}

struct cohort_queue_options ring_crowd_options(void)
{
	return (struct cohort_queue_options){
	    .most = 40, .memory = 128 << 10, .inlined = 2048, .priorities = 2, .takes = 16, .spin = -1};
}

int ring_crowd_kills(int usual)
{
	const char *kills = getenv("COHORT_KILLS");

	return kills != NULL ? atoi(kills) : usual;
}

unsigned long ring_crowd_nth(int k)
{
	return 1 + (unsigned long)(k * k - 1) % 40;
}

/* ---- items ---- */

static uint32_t item_begin(struct item *it, size_t size)
{
	it->id = atomic_fetch_add(&ledger->next, 1);
	REQUIRE(it->id < IDS);
	memset(it->fill, (int)it->id, size - sizeof it->id);
	atomic_store(&ledger->put[it->id], PUTTING);
	return it->id;
}

static bool is_size(size_t size)
{
	return size == SMALL || size == MIDDLE || size == LARGE;
}

static void item_got(const void *data, size_t size)
{
	struct item it;

	REQUIRE(is_size(size));
	memcpy(&it, data, size);
	REQUIRE(it.id < IDS);
	CHECK_EQ(it.fill[0], (unsigned char)it.id);
	CHECK_EQ(it.fill[size - 5], (unsigned char)it.id);
	CHECK_EQ(atomic_fetch_add(&ledger->got[it.id], 1), 0);
}

/* ---- what one can do; most may find the queue full or empty, or at its end ---- */

static int put(struct cohort_queue *q, size_t size, cohort_time deadline)
{
	struct item it;
	uint32_t id = item_begin(&it, size);
	int rc = cohort_queue_put_bytes_first(q, &it, size, id % 2, deadline);

	CHECK(rc == 0 || rc == COHORT_EFULL || rc == COHORT_ESHUTDOWN);
	atomic_store(&ledger->put[id], rc == 0 ? PUT : NOT_PUT);
	return rc;
}

int ring_crowd_put(struct cohort_queue *q, size_t size)
{
	REQUIRE(is_size(size));
	return put(q, size, COHORT_NOW);
}

static void put_many(struct cohort_queue *q)
{
	struct cohort_bytes bytes[BATCH];
	struct item it[BATCH];
	uint32_t id[BATCH];
	int rc;

	for (int i = 0; i < BATCH; i++) {
		bytes[i] = (struct cohort_bytes){&it[i], i == 2 ? LARGE : SMALL};
		id[i] = item_begin(&it[i], bytes[i].size);
	}
	rc = cohort_queue_put_many(q, bytes, BATCH, COHORT_NOW);
	CHECK(rc > 0 || rc == COHORT_EFULL);
	for (int i = 0; i < BATCH; i++)
		atomic_store(&ledger->put[id[i]], i < rc ? PUT : NOT_PUT);
}

static int get(struct cohort_queue *q, enum ring_crowd_who who, cohort_time deadline)
{
	struct item it;
	size_t n;
	int rc;

	ledger->risk[who] = 1;
	rc = cohort_queue_get_into(q, &it, sizeof it, &n, deadline);
	if (rc == 0) {
		item_got(&it, n);
		CHECK_EQ(cohort_queue_task_done(q), 0);
	}
	ledger->risk[who] = 0;
	return rc;
}

int ring_crowd_get(struct cohort_queue *q, enum ring_crowd_who who)
{
	return get(q, who, COHORT_NOW);
}

static void get_many(struct cohort_queue *q, enum ring_crowd_who who)
{
	struct cohort_bytes out[BATCH];
	struct item it[BATCH];
	int n;

	ledger->risk[who] = BATCH;
	n = cohort_queue_get_many(q, out, BATCH, it, sizeof it, COHORT_NOW);
	for (int i = 0; i < n; i++) {
		item_got(out[i].data, out[i].size);
		CHECK_EQ(cohort_queue_task_done(q), 0);
	}
	ledger->risk[who] = 0;
}

void ring_crowd_take(struct cohort_queue *q, enum ring_crowd_who who, bool ack)
{
	struct cohort_item item;
	struct item copy;

	if (cohort_queue_take(q, &item, COHORT_NOW) != 0)
		return;
	REQUIRE(is_size(item.size));
	if (ack) {
		memcpy(&copy, item.data, item.size);
		ledger->risk[who] = 1;
		CHECK_EQ(cohort_queue_ack(q, &item), 0);
		item_got(&copy, item.size);
		ledger->risk[who] = 0;
	} else {
		CHECK_EQ(cohort_queue_return(q, &item), 0);
	}
}

static void look(struct cohort_queue *q, enum ring_crowd_who who)
{
	struct cohort_queue_stats s;
	struct item it;
	size_t n;

	if (who == RING_VICTIM)
		CHECK(cohort_queue_fd(q) >= 0); /* till it dies there is somebody to ring for */
	(void)cohort_queue_peek(q, &it, sizeof it, &n, COHORT_NOW);
	CHECK(cohort_queue_size(q) >= 0);
	CHECK_EQ(cohort_queue_stats(q, &s), 0);
	(void)coh_ring_tend(coh_queue_local_ring(q));
}

void ring_crowd_do(struct cohort_queue *q, enum ring_crowd_who who, uint64_t dice)
{
	switch (dice % 12) {
	case 0: put(q, SMALL, cohort_in(COHORT_MS)); break;
	case 1: put(q, LARGE, cohort_in(COHORT_MS)); break;
	case 2: put_many(q); break;
	case 3: get(q, who, cohort_in(COHORT_MS)); break;
	case 4: get_many(q, who); break;
	case 5: ring_crowd_take(q, who, true); break;
	case 6: ring_crowd_take(q, who, false); break;
	case 7: look(q, who); break;
	case 8:
	case 9: put(q, MIDDLE, COHORT_NOW); break;
	default: get(q, who, COHORT_NOW); break;
	}
}

/* ---- processes ---- */

/* By its name; a maker then waits for company, without which its name goes with it. */
static struct cohort_queue *open_named(const struct ring_crowd_death *d)
{
	struct cohort_queue_options o = ring_crowd_options();
	struct cohort_queue *q;

	o.open = d->makes ? COHORT_OPEN_CREATE : COHORT_OPEN_ATTACH;
	if (cohort_queue_open(&q, d->name, &o, NULL) != 0)
		_exit(1);
	if (d->makes)
		SYNC_AWAIT(atomic_load(&ledger->met) >= 2);
	else
		ring_crowd_met();
	return q;
}

static void live(struct cohort_queue *q, enum ring_crowd_who who, const struct ring_crowd_death *d, uint64_t seed)
{
	if (d->point != NULL)
		coh_fault_arm(d->point, d->n);
	if (d->name != NULL)
		q = open_named(d);
	for (int i = 0; i < d->number && atomic_load(&ledger->end) == 0; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		ring_crowd_do(q, who, seed >> 33);
	}
	atomic_store(&ledger->closing, 1);
	cohort_queue_close(q, COHORT_NOW);
	_exit(0);
}

pid_t ring_crowd_fork(struct cohort_queue *q, enum ring_crowd_who who, const struct ring_crowd_death *d)
{
	uint64_t seed = test_random();
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0)
		live(q, who, d, seed);
	return pid;
}

void ring_crowd_stop(void)
{
	atomic_store(&ledger->end, 1);
}

void ring_crowd_met(void)
{
	atomic_fetch_add(&ledger->met, 1);
}

bool ring_crowd_join(struct cohort_queue *q, pid_t pid, enum ring_crowd_who who)
{
	int status = 0;

	while (waitpid(pid, &status, q != NULL ? WNOHANG : 0) == 0)
		ring_crowd_do(q, RING_TEST, test_random());
	CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
	ledger->may += WIFSIGNALED(status) ? ledger->risk[who] : 0;
	ledger->risk[who] = 0;
	return WIFSIGNALED(status);
}

void ring_crowd_allow(unsigned n)
{
	ledger->may += n;
}

bool ring_crowd_was_open(void)
{
	return atomic_exchange(&ledger->closing, 0) == 0;
}

/* ---- what must hold ---- */

void ring_crowd_check(struct cohort_queue *q, const char *point)
{
	const char *why = NULL;

	CHECK_EQ(coh_ring_tend(coh_queue_local_ring(q)), 0);
	if (coh_ring_check(coh_queue_local_ring(q), &why) != 0)
		FAIL("killed at %s: %s", point, why);
}

void ring_crowd_settle(struct cohort_queue *q)
{
	struct cohort_queue_stats s;
	uint32_t missing = 0;

	while (cohort_queue_size(q) > 0)
		get(q, RING_TEST, COHORT_NOW);
	ring_crowd_check(q, "the end");
	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), 0);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.memory_used, 0);
	CHECK_EQ(s.taken, 0);
	for (uint32_t i = 0; i < atomic_load(&ledger->next); i++)
		if (atomic_load(&ledger->put[i]) == PUT && atomic_load(&ledger->got[i]) == 0)
			missing++;
	if (missing > ledger->may)
		FAIL("%u items are lost, the dead were getting %u", missing, ledger->may);
}
