/*
 * test_ring_kill.c - death at every instruction that matters, while others put and get.
 *
 * A victim does a bit of everything to a queue, and is killed at a fault point, at each of them in turn; what few do is tried
 * alone, by victims that do nothing else.  After each death the ring must be whole, and the ledger in order (ring_crowd.h).
 */
#include "core/ring_crowd.h"

#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cohort_queue *queue_new(const struct cohort_queue_options *options)
{
	struct cohort_queue_options o = options != NULL ? *options : ring_crowd_options();
	struct cohort_queue *q = NULL;

	ring_crowd_begin();
	REQUIRE_EQ(cohort_queue_open(&q, NULL, &o, NULL), 0);
	return q;
}

static void queue_end(struct cohort_queue *q)
{
	cohort_queue_close(q, COHORT_NOW);
	ring_crowd_end();
}

/* A victim at the Nth passing of POINT, while this process and another go on: whether it was killed. */
static bool kill_one(struct cohort_queue *q, const char *point, unsigned long n)
{
	struct ring_crowd_death d = {.point = point, .n = n, .number = 200};
	bool killed = ring_crowd_join(q, ring_crowd_fork(q, RING_VICTIM, &d), RING_VICTIM);

	ring_crowd_check(q, point);
	return killed;
}

/* Points of PREFIX that were passed while others died, seldom ones too. */
static void kill_at_spared(struct cohort_queue *q, const char *prefix)
{
	const char *names[RING_CROWD_NAMES];
	int n = coh_fault_spared(names, RING_CROWD_NAMES);

	for (int i = 0; i < n; i++)
		for (int tries = 0; strncmp(names[i], prefix, strlen(prefix)) == 0 && tries < 20; tries++)
			if (kill_one(q, names[i], 1))
				break;
}

/* How many of a hundred tries killed somebody. */
static int campaign(const char *prefix, int each)
{
	struct ring_crowd_death other = {.number = 1 << 30};
	struct cohort_queue *q = queue_new(NULL);
	const char *names[RING_CROWD_NAMES];
	int n, killed = 0, tried = 0;
	pid_t pid;

	coh_fault_share();
	for (int i = 0; i < 2000; i++) /* a bit of everything */
		ring_crowd_do(q, i % 2 != 0 ? RING_TEST : RING_VICTIM, test_random());
	n = coh_fault_names(names, RING_CROWD_NAMES);
	pid = ring_crowd_fork(q, RING_OTHER, &other);
	for (int i = 0; i < n; i++)
		for (int k = 1; strncmp(names[i], prefix, strlen(prefix)) == 0 && k <= each; k++, tried++)
			killed += kill_one(q, names[i], ring_crowd_nth(k));
	kill_at_spared(q, prefix);
	ring_crowd_stop();
	CHECK(!ring_crowd_join(q, pid, RING_OTHER));
	ring_crowd_settle(q);
	queue_end(q);
	return killed * 100 / tried;
}

TEST_TIMEOUT(ring, survives_death_at_each_point_of_its_own, 120)
{
	CHECK(campaign("ring.", ring_crowd_kills(4)) > 25);
}

TEST_TIMEOUT(ring, survives_death_in_its_locks_and_gates, 120)
{
	CHECK(campaign("mutex.", ring_crowd_kills(4)) > 25);
	CHECK(campaign("gate.", ring_crowd_kills(4)) > 0); /* more is luck: most of them are only for who sleeps */
}

TEST_TIMEOUT(ring, survives_death_in_its_heap, 120)
{
	CHECK(campaign("heap.", ring_crowd_kills(4)) > 25);
}

/* ---- what few do ---- */

/* LIFE(Q) in a process that dies at the Nth point of PREFIX; whether it did. */
static bool dies(struct cohort_queue *q, void (*life)(struct cohort_queue *q), const char *prefix, unsigned long n)
{
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		coh_fault_arm(prefix, n);
		life(q);
		_exit(0);
	}
	return ring_crowd_join(NULL, pid, RING_VICTIM);
}

static int fill(struct cohort_queue *q)
{
	int n = 0;

	while (ring_crowd_put(q, 1500) == 0)
		n++;
	return n;
}

/* Items for a lane of several pieces: it wraps, is full, jumps up, and wraps again. */
static void fill_and_empty(struct cohort_queue *q)
{
	for (int i = 0; i < 3; i++) {
		int n = fill(q);

		for (int get = 0; get < (i == 1 ? n : n / 2); get++)
			REQUIRE_EQ(ring_crowd_get(q, RING_VICTIM), 0);
	}
}

TEST_TIMEOUT(ring, survives_death_as_a_lane_grows_and_turns, 60)
{
	static const char *const at[] = {"ring.put.grown", "ring.put.turning", "ring.put.turn", "ring.put.turned"};
	struct cohort_queue_options o = {.memory = 512 << 10, .inlined = 2048, .priorities = 2};

	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		unsigned long n = 1;
		bool died = true;

		for (; died; n++) {
			struct cohort_queue *q = queue_new(&o);

			died = dies(q, fill_and_empty, at[i], n);
			ring_crowd_check(q, at[i]);
			fill_and_empty(q);
			ring_crowd_settle(q);
			queue_end(q);
		}
		CHECK(n > 2);
	}
}

/* Somebody waits for both bells. */
static void listen(struct cohort_queue *q)
{
	struct coh_ring *r = coh_queue_local_ring(q);
	int seat = coh_ring_sit(r);

	REQUIRE(seat > 0);
	REQUIRE_EQ(coh_ring_listen(r, (unsigned)seat, COH_RING_ITEMS), 0);
	REQUIRE_EQ(coh_ring_listen(r, (unsigned)seat, COH_RING_ROOM), 0);
}

static void listen_and_use(struct cohort_queue *q)
{
	listen(q);
	for (int i = 0; i < 2; i++) {
		fill(q);
		while (ring_crowd_get(q, RING_VICTIM) == 0)
			;
	}
}

static bool rings(struct cohort_queue *q, enum coh_ring_bell which)
{
	struct pollfd p = {.fd = coh_queue_local_ring(q)->bell[which], .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

TEST_TIMEOUT(ring, has_no_silent_bell_after_a_death, 60)
{
	struct cohort_queue_options o = {.most = 3, .memory = 64 << 10, .inlined = 2048, .priorities = 2};
	bool died = true;

	for (unsigned long n = 1; died; n++) {
		struct cohort_queue *q = queue_new(&o);

		listen(q);
		died = dies(q, listen_and_use, "ring.", n);
		if (cohort_queue_size(q) > 0)
			CHECK(rings(q, COH_RING_ITEMS));
		if (cohort_queue_size(q) < 3)
			CHECK(rings(q, COH_RING_ROOM));
		ring_crowd_check(q, "a bell");
		ring_crowd_settle(q);
		queue_end(q);
	}
}

#define LARGE 30000

static struct cohort_queue *queue_of_large;

static int put_large(void)
{
	static char data[LARGE];

	return cohort_queue_put_bytes(queue_of_large, data, LARGE, COHORT_NOW);
}

static void try_in_vain(void)
{
	(void)put_large();
}

/* Whoever tries to put at any point of a get finds no memory yet, makes the bell silent, and must be told once there is some. */
TEST(ring, has_no_silent_bell_when_memory_comes_last)
{
	struct cohort_queue_options o = {.memory = 64 << 10, .inlined = 2048};
	static char data[LARGE];
	unsigned long n = 0;
	size_t size;

	do {
		queue_of_large = queue_new(&o);
		listen(queue_of_large);
		while (put_large() == 0)
			;
		CHECK(!rings(queue_of_large, COH_RING_ROOM));
		coh_fault_arm("ring.get.", ++n);
		coh_fault_do(try_in_vain);
		CHECK_EQ(cohort_queue_get_into(queue_of_large, data, LARGE, &size, COHORT_NOW), 0);
		coh_fault_do(NULL);
		if (cohort_queue_size(queue_of_large) == 1)
			CHECK(rings(queue_of_large, COH_RING_ROOM));
		queue_end(queue_of_large);
	} while (coh_fault_count() >= n);
	coh_fault_arm("none", 0);
	CHECK(n > 4);
}

/* ---- the size is looked at while others work ---- */

static struct cohort_queue *queue_seen;
static struct cohort_item item_lent;

static void put_small(int n)
{
	while (n-- > 0)
		CHECK_EQ(cohort_queue_put_bytes(queue_seen, "x", 1, COHORT_NOW), 0);
}

/* What came back goes again: the look before this one and the look after it find as many. */
static void put_and_take(void)
{
	struct cohort_item item;

	coh_fault_arm("none", 0);
	put_small(5);
	CHECK_EQ(cohort_queue_take(queue_seen, &item, COHORT_NOW), 0);
	CHECK_EQ(item.deliveries, 2);
}

static void give_back_and_put(void)
{
	CHECK_EQ(cohort_queue_return(queue_seen, &item_lent), 0);
	put_small(3);
	coh_fault_arm("ring.look.begin", 1);
	coh_fault_do(put_and_take);
}

TEST(ring, size_was_true_at_one_instant)
{
	struct cohort_queue_options o = {.most = 100, .priorities = 1};
	int64_t size;

	queue_seen = queue_new(&o);
	put_small(1);
	CHECK_EQ(cohort_queue_take(queue_seen, &item_lent, COHORT_NOW), 0);
	coh_fault_arm("ring.look.tails", 1);
	coh_fault_do(give_back_and_put);
	size = cohort_queue_size(queue_seen); /* 0, 1, 2, 3, 4, then 5 to 9, then 8; never 3 without what came back */
	coh_fault_do(NULL);
	CHECK_EQ(size, 8);
	queue_end(queue_seen);
}

/* ---- the end ---- */

static enum cohort_shutdown_mode mode;

static void end_it(struct cohort_queue *q)
{
	(void)cohort_queue_shutdown(q, mode);
	cohort_queue_close(q, COHORT_NOW);
}

/* Full or empty, and the bell that would ring otherwise is silent. */
static struct cohort_queue *queue_new_hushed(bool full)
{
	struct cohort_queue_options o = {.most = 3, .priorities = 2};
	struct cohort_queue *q = queue_new(&o);

	listen(q);
	if (full)
		CHECK_EQ(fill(q), 3);
	else
		CHECK_EQ(ring_crowd_get(q, RING_TEST), COHORT_EEMPTY);
	CHECK(!rings(q, full ? COH_RING_ROOM : COH_RING_ITEMS));
	return q;
}

/* Who ends the queue dies at its Nth step: it is ended, for those who only listen too, or not at all. */
static bool dies_ending(bool full, unsigned long n)
{
	struct cohort_queue *q = queue_new_hushed(full);
	bool died = dies(q, end_it, "ring.", n);
	struct cohort_queue_stats s;

	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	if (s.shut)
		CHECK(rings(q, COH_RING_ITEMS) && rings(q, COH_RING_ROOM));
	else
		CHECK(died);
	ring_crowd_check(q, "the end of the queue");
	CHECK(cohort_queue_shutdown(q, COHORT_SHUTDOWN_NOW) >= 0);
	CHECK_EQ(ring_crowd_get(q, RING_TEST), COHORT_ESHUTDOWN);
	CHECK_EQ(ring_crowd_put(q, 40), COHORT_ESHUTDOWN);
	ring_crowd_check(q, "the end of the queue");
	queue_end(q);
	return died;
}

TEST_TIMEOUT(ring, is_ended_or_not_by_who_dies_of_it, 60)
{
	unsigned long n;

	for (int way = 0; way < 4; way++) {
		mode = way / 2 != 0 ? COHORT_SHUTDOWN_NOW : COHORT_SHUTDOWN_DRAIN;
		for (n = 1; dies_ending(way % 2 != 0, n); n++)
			;
		CHECK(n > 2);
	}
}

/* ---- mending ---- */

/* By all ways in and out, once. */
static void use(struct cohort_queue *q)
{
	CHECK(cohort_queue_fd(q) >= 0);
	ring_crowd_put(q, 40);
	ring_crowd_put(q, 5000);
	ring_crowd_put(q, 5000);
	ring_crowd_take(q, RING_VICTIM, true);
	for (int i = 0; i < 2; i++)
		ring_crowd_get(q, RING_VICTIM);
}

static void tend(struct cohort_queue *q)
{
	ring_crowd_get(q, RING_VICTIM);
	(void)coh_ring_tend(coh_queue_local_ring(q));
	ring_crowd_put(q, 40);
}

/* One dies at POINT, then another at each step of tending; all of it again until one is through. */
static int die_mending(const char *point, enum cohort_queue_policy policy)
{
	struct cohort_queue_options o = ring_crowd_options();
	int deaths = 0;
	bool died = true;

	o.policy = policy;
	for (unsigned long n = 1; died; n++) {
		struct cohort_queue *q = queue_new(&o);

		ring_crowd_allow(policy == COHORT_QUEUE_FAIL);
		ring_crowd_put(q, 40);
		if (!dies(q, use, point, 1))
			FAIL("nobody died at %s", point);
		died = dies(q, tend, "ring.", n);
		deaths += died;
		ring_crowd_check(q, point);
		ring_crowd_settle(q);
		queue_end(q);
	}
	return deaths;
}

TEST_TIMEOUT(ring, survives_death_of_those_who_mend_it, 60)
{
	static const char *const at[] = {"ring.put.announced", "ring.get.announced", "ring.hand.noted",
	    "ring.get.copying", "ring.take.unlocked", "ring.ack.owned", "ring.block.filled"};

	for (size_t i = 0; i < sizeof at / sizeof *at; i++)
		CHECK(die_mending(at[i], COHORT_QUEUE_RETURN) > 10);
	CHECK(die_mending("ring.take.unlocked", COHORT_QUEUE_FAIL) > 10);
}
