/*
 * test_ring.c - the inside of a queue: growing lanes, wraps, forks, many processes, stopped ones, damaged memory.
 */
#include "core/sync_page.h"
#include "support/test.h"
#include "sync/ring_priv.h"
#include "work/queue_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cohort_queue *queue_new(const struct cohort_queue_options *o)
{
	struct cohort_error err = {0};
	struct cohort_queue *q = NULL;

	if (cohort_queue_open(&q, "local:", o, &err) != 0)
		FAIL("%s", err.text);
	REQUIRE(q != NULL);
	return q;
}

static cohort_time patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

static void expect_whole(struct cohort_queue *q)
{
	const char *why = NULL;

	if (coh_ring_check(coh_queue_local_ring(q), &why) != 0)
		FAIL("%s", why);
}

/* ---- lanes ---- */

TEST(ring, words_hold_count_and_place)
{
	uint64_t place = (UINT64_C(1) << 42) - 8, word = coh_ring_word(COH_RING_COUNTS, place);

	CHECK_EQ(coh_ring_count(word), COH_RING_COUNTS);
	CHECK_EQ(coh_ring_place(word), place);
	CHECK_EQ(coh_ring_between(word, coh_ring_word(COH_RING_COUNTS + 3, 0)), 3);
	CHECK_EQ(coh_ring_between(word, word), 0);
	CHECK_EQ(coh_ring_span(0), 8);
	CHECK_EQ(coh_ring_span(1), 16);
	CHECK_EQ(coh_ring_span(8), 16);
}

/* Puts and gets items of sizes that a simple rule gives, LEAD more put than got, over N items. */
static void run_through(struct cohort_queue *q, unsigned lead, unsigned n, size_t most)
{
	char in[1024], out[1024];
	size_t got;

	for (unsigned i = 0; i < n + lead; i++) {
		if (i < n) {
			memset(in, (int)i, sizeof in);
			REQUIRE_EQ(cohort_queue_put_bytes(q, in, (i * 37) % most, COHORT_NOW), 0);
		}
		if (i < lead)
			continue;
		memset(in, (int)(i - lead), sizeof in);
		REQUIRE_EQ(cohort_queue_get_into(q, out, sizeof out, &got, COHORT_NOW), 0);
		REQUIRE_EQ(got, ((i - lead) * 37) % most);
		REQUIRE(memcmp(in, out, got) == 0);
	}
}

TEST(ring, wraps_at_every_place)
{
	struct cohort_queue_options o = {.memory = 64 << 10};
	struct cohort_queue *q = queue_new(&o);

	for (unsigned lead = 1; lead < 60; lead += 7) {
		run_through(q, lead, 2000, 1 + lead * 17 % 1000);
		expect_whole(q);
	}
	CHECK_EQ(cohort_queue_size(q), 0);
	cohort_queue_close(q, COHORT_NOW);
}

/* The sizes of what is in the queue, oldest first. */
struct shadow {
	size_t size[16384];
	unsigned first, n;
	uint64_t bytes, memory;
};

static void random_put(struct cohort_queue *q, struct shadow *s, size_t most)
{
	static char data[4096];
	size_t size = test_random_below(most);
	int rc = cohort_queue_put_bytes(q, data, size, COHORT_NOW);

	if (s->bytes + coh_ring_span(size) <= s->memory)
		REQUIRE_EQ(rc, 0);
	else
		REQUIRE_EQ(rc, COHORT_EFULL);
	if (rc != 0)
		return;
	s->size[(s->first + s->n++) % 16384] = size;
	s->bytes += coh_ring_span(size);
}

static void random_get(struct cohort_queue *q, struct shadow *s)
{
	static char data[4096];
	size_t size = 9;
	int rc = cohort_queue_get_into(q, data, sizeof data, &size, COHORT_NOW);

	REQUIRE_EQ(rc, s->n > 0 ? 0 : COHORT_EEMPTY);
	if (rc != 0)
		return;
	REQUIRE_EQ(size, s->size[s->first]);
	s->first = (s->first + 1) % 16384;
	s->n--;
	s->bytes -= coh_ring_span(size);
}

TEST_TIMEOUT(ring, a_put_is_refused_only_when_memory_is_used_up, 60)
{
	static const size_t sizes[] = {400, 1000, 4000};
	struct cohort_queue_options o = {.inlined = 4096};

	for (int round = 0; round < 60; round++) {
		uint64_t lean = 0;
		struct cohort_queue *q;
		static struct shadow s;

		o.memory = (size_t)65536 << round % 5;
		s = (struct shadow){.memory = o.memory};
		q = queue_new(&o);
		for (int i = 0; i < 12000; i++) {
			if (i % 1500 == 0)
				lean = test_random_below(100);
			if (test_random_below(100) < lean)
				random_put(q, &s, sizes[test_random_below(3)]);
			else
				random_get(q, &s);
		}
		CHECK_EQ(cohort_queue_size(q), s.n);
		expect_whole(q);
		cohort_queue_close(q, COHORT_NOW);
	}
}

TEST(ring, a_short_queue_stays_small)
{
	struct cohort_queue *q = queue_new(NULL);
	struct coh_ring *r = coh_queue_local_ring(q);
	uint64_t ready;

	run_through(q, 10, 20000, 1000);
	ready = r->shared->lane[0].ready;
	CHECK(ready <= 512 << 10);
	run_through(q, 5000, 20000, 1000);
	CHECK(r->shared->lane[0].ready > 2 << 20);
	CHECK(r->shared->lane[0].ready < 8 << 20);
	expect_whole(q);
	cohort_queue_close(q, COHORT_NOW);
}

TEST(ring, counts_go_round)
{
	struct cohort_queue *q = queue_new(NULL);
	struct coh_ring_lane *l = &coh_queue_local_ring(q)->shared->lane[0];
	struct cohort_queue_stats s;

	atomic_store(&l->head, coh_ring_word(COH_RING_COUNTS - 5, 0));
	atomic_store(&l->tail, coh_ring_word(COH_RING_COUNTS - 5, 0));
	l->seen = atomic_load(&l->head);
	l->puts = l->gets = COH_RING_COUNTS - 5;
	run_through(q, 20, 100, 100);
	expect_whole(q);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.put, COH_RING_COUNTS - 5 + 100);
	cohort_queue_close(q, COHORT_NOW);
}

TEST(ring, memory_is_given_back_when_items_go)
{
	struct cohort_queue_options o = {.memory = 1 << 20};
	struct cohort_queue *q = queue_new(&o);
	size_t size = 200000, n;
	char *data = calloc(1, size);
	struct cohort_queue_stats s;

	REQUIRE(data != NULL);
	for (int round = 0; round < 50; round++) {
		int put = 0;

		while (cohort_queue_put_bytes(q, data, size, COHORT_NOW) == 0)
			put++;
		CHECK(put >= 4 && put <= 5);
		while (put-- > 0)
			REQUIRE_EQ(cohort_queue_get_into(q, data, size, &n, COHORT_NOW), 0);
	}
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.memory_used, 0);
	CHECK_EQ(cohort_queue_put_bytes(q, data, 1 << 20, COHORT_NOW), COHORT_ETOOBIG);
	expect_whole(q);
	free(data);
	cohort_queue_close(q, COHORT_NOW);
}

/* Puts one large item, waiting for room. */
static void *put_large(void *arg)
{
	static char data[300000];

	CHECK_EQ(cohort_queue_put_bytes(arg, data, sizeof data, patience()), 0);
	return NULL;
}

TEST(ring, a_large_item_waits_for_memory)
{
	struct cohort_queue_options o = {.memory = 512 << 10};
	struct cohort_queue *q = queue_new(&o);
	char *data = malloc(300000);
	pthread_t thread;
	size_t n;

	REQUIRE(data != NULL);
	put_large(q);
	REQUIRE_EQ(pthread_create(&thread, NULL, put_large, q), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(cohort_queue_get_into(q, data, 300000, &n, patience()), 0);
	pthread_join(thread, NULL);
	free(data);
	expect_whole(q);
	cohort_queue_close(q, COHORT_NOW);
}

/* ---- processes ---- */

TEST(ring, a_forked_child_has_a_seat_of_its_own)
{
	struct cohort_queue *q = queue_new(NULL);
	int status;
	char byte;
	size_t n;

	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK_EQ(cohort_queue_put_bytes(q, "y", 1, COHORT_NOW), 0);
		CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, COHORT_NOW), 0);
		CHECK_EQ(cohort_queue_close(q, COHORT_NOW), 1);
		_exit(0);
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_task_done(q), 0);
	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_close(q, COHORT_NOW), 0);
}

#define CROWD 200

TEST_TIMEOUT(ring, serves_two_hundred_processes, 60)
{
	struct cohort_queue_options o = {.most = 64};
	struct cohort_queue *q = queue_new(&o), *back = queue_new(NULL);
	long sum = 0, v;
	int status;
	size_t n;

	for (long i = 0; i < CROWD; i++) {
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (pid == 0) {
			for (long k = 0; k < 10; k++) {
				if (cohort_queue_put_bytes(q, &i, sizeof i, patience()) != 0 ||
				    cohort_queue_get_into(q, &v, sizeof v, &n, patience()) != 0 ||
				    cohort_queue_put_bytes(back, &v, sizeof v, patience()) != 0)
					_exit(1);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < CROWD * 10; i++) {
		REQUIRE_EQ(cohort_queue_get_into(back, &v, sizeof v, &n, patience()), 0);
		sum += v;
	}
	for (int i = 0; i < CROWD; i++) {
		REQUIRE(wait(&status) > 0);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(sum, 10L * CROWD * (CROWD - 1) / 2);
	CHECK_EQ(coh_ring_tend(coh_queue_local_ring(q)), 0);
	expect_whole(q);
	cohort_queue_close(q, COHORT_NOW);
	cohort_queue_close(back, COHORT_NOW);
}

/* Keeps one or two items there, in each of the ways an item comes and goes, until *OVER. */
static void keep_one_or_two(struct cohort_queue *q, unsigned priorities, const _Atomic bool *over)
{
	struct cohort_item item;
	char byte;
	size_t n;

	for (unsigned i = 0; !atomic_load(over); i++) {
		REQUIRE_EQ(cohort_queue_put_bytes_first(q, "x", 1, i % priorities, patience()), 0);
		if (i % 3 == 0) {
			REQUIRE_EQ(cohort_queue_take(q, &item, patience()), 0);
			REQUIRE_EQ(cohort_queue_return(q, &item), 0);
		}
		REQUIRE_EQ(cohort_queue_get_into(q, &byte, 1, &n, patience()), 0);
	}
}

/* Its size, asked for from another process until both were seen and often enough: one or two, and nothing in between. */
static void expect_one_or_two(struct cohort_queue *q)
{
	cohort_time end = patience();
	int64_t seen[3] = {0}, size;

	for (int i = 0; i < 1000000 || ((seen[1] == 0 || seen[2] == 0) && cohort_now() < end); i++) {
		size = cohort_queue_size(q);
		if (!CHECK(size == 1 || size == 2))
			break;
		seen[size]++;
	}
	CHECK(seen[1] > 0 && seen[2] > 0);
}

TEST_TIMEOUT(ring, size_is_exact_at_one_instant, 60)
{
	for (unsigned priorities = 1; priorities <= 2; priorities++) {
		struct cohort_queue_options o = {.priorities = priorities};
		struct cohort_queue *q = queue_new(&o);
		_Atomic bool *over = sync_page(sizeof *over);
		pid_t pid;

		REQUIRE_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
		pid = fork();
		REQUIRE(pid >= 0);
		if (pid == 0) {
			keep_one_or_two(q, priorities, over);
			_exit(0);
		}
		expect_one_or_two(q);
		atomic_store(over, true);
		CHECK_EQ(sync_join(pid), 0);
		CHECK_EQ(cohort_queue_size(q), 1);
		expect_whole(q);
		cohort_queue_close(q, COHORT_NOW);
	}
}

TEST(ring, a_stopped_getter_holds_up_no_other)
{
	struct cohort_queue *q = queue_new(NULL);
	char byte;
	size_t n;
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(cohort_queue_get_into(q, &byte, 1, &n, COHORT_FOREVER) != 0);
	while (!coh_gate_armed(&coh_queue_local_ring(q)->shared->watch.items))
		sched_yield();
	kill(pid, SIGSTOP);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, patience()), 0);
		CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, patience()), 0);
	}
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	expect_whole(q);
	cohort_queue_close(q, COHORT_NOW);
}

/* Threads that put and get while the process forks: children do a little and end. */
static _Atomic int forks_over;

static void *busy(void *arg)
{
	char byte;
	size_t n;

	while (atomic_load(&forks_over) == 0) {
		(void)cohort_queue_put_bytes(arg, "x", 1, cohort_in(COHORT_MS));
		(void)cohort_queue_get_into(arg, &byte, 1, &n, cohort_in(COHORT_MS));
	}
	return NULL;
}

TEST(ring, forks_in_the_middle_do_no_harm)
{
	struct cohort_queue *q = queue_new(NULL);
	pthread_t thread[2];
	int status;

	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(pthread_create(&thread[i], NULL, busy, q), 0);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (pid == 0)
			_exit(cohort_queue_put_bytes(q, "y", 1, patience()) != 0);
		REQUIRE_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
	}
	atomic_store(&forks_over, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	expect_whole(q);
	cohort_queue_close(q, COHORT_NOW);
}

TEST_TIMEOUT(ring, seats_of_the_dead_are_taken_again, 60)
{
	struct cohort_queue *q = queue_new(NULL);
	struct coh_ring *r = coh_queue_local_ring(q);

	for (int i = 0; i < COH_RING_SEATS + 50; i++) {
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (pid == 0)
			_exit(coh_ring_sit(r) <= 0);
		REQUIRE_EQ(waitpid(pid, NULL, 0), pid);
	}
	CHECK(coh_ring_sit(r) > 0);
	for (int i = 2; i < COH_RING_SEATS - 1; i++)
		REQUIRE(coh_ring_sit(r) > 0);
	CHECK_EQ(coh_ring_sit(r), -ENOSPC);
	cohort_queue_close(q, COHORT_NOW);
}

/* ---- a file that may not grow: no memory is an error ---- */

TEST(ring, a_queue_that_cannot_be_had_is_an_error)
{
	struct cohort_queue_options o = {.memory = (size_t)1 << 40, .priorities = 16};
	struct rlimit limit = {1 << 20, 1 << 20};
	struct cohort_queue *q = NULL;
	struct cohort_error err = {0};
	int rc;

	REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rc = cohort_queue_open(&q, "local:", NULL, &err);
	CHECK(rc == -EFBIG || rc == -ENOSPC);
	CHECK(q == NULL);
	CHECK_HAS(err.text, "queue");
	limit.rlim_cur = limit.rlim_max;
	o.memory++;
	CHECK_EQ(cohort_queue_open(&q, "local:", &o, &err), COHORT_EARGUMENT);
	CHECK_HAS(err.text, "memory");
}

struct refused {
	const char *word; /* of the sentence */
	struct cohort_queue_options o;
};

/* Each is refused at ADDRESS, by name. */
static void all_refused(const char *address, int code, const struct refused *r, size_t n)
{
	struct cohort_error err;
	struct cohort_queue *q;

	for (size_t i = 0; i < n; i++) {
		err = (struct cohort_error){0};
		q = NULL;
		CHECK_EQ(cohort_queue_open(&q, address, &r[i].o, &err), code);
		CHECK(q == NULL);
		CHECK_HAS(err.text, r[i].word);
	}
}

TEST(ring, options_out_of_their_ranges_are_refused)
{
	static const struct refused numbers[] = {
	    {"most", {.most = COH_RING_MOST + 1}},
	    {"most", {.most = UINT32_MAX}},
	    {"memory", {.memory = 1}},
	    {"memory", {.memory = SIZE_MAX}},
	    {"inlined", {.inlined = 63}},
	    {"inlined", {.inlined = UINT32_MAX}},
	    {"priorities", {.priorities = 17}},
	    {"priorities", {.priorities = UINT32_MAX}},
	    {"takes", {.takes = UINT32_MAX}},
	    {"policy", {.policy = (enum cohort_queue_policy)7}},
	    {"open", {.open = (enum cohort_open)-1}},
	};
	static const struct refused formats[] = {{"format", {.format = "q("}}, {"format", {.format = "?"}}};

	all_refused("local:", COHORT_EARGUMENT, numbers, sizeof numbers / sizeof *numbers);
	all_refused("local:", COHORT_EFORMAT, formats, sizeof formats / sizeof *formats);
}

TEST(ring, options_other_than_those_it_was_made_with_are_refused)
{
	static const struct refused numbers[] = {
	    {"most", {.most = 6}},
	    {"memory", {.memory = 128 << 10}},
	    {"inlined", {.inlined = 128}},
	    {"priorities", {.priorities = 3}},
	    {"takes", {.takes = 8}},
	    {"tries", {.tries = 4}},
	    {"policy", {.policy = COHORT_QUEUE_FAIL}},
	};
	static const struct refused format = {"format", {.format = "is"}};
	struct cohort_queue_options o = {.most = 5, .memory = 64 << 10, .inlined = 64, .priorities = 2, .takes = 4, .tries = 3};
	struct cohort_queue *q, *same;

	REQUIRE_EQ(cohort_queue_open(&q, "local:agree", &o, NULL), 0);
	all_refused("local:agree", COHORT_EARGUMENT, numbers, sizeof numbers / sizeof *numbers);
	all_refused("local:agree", COHORT_EFORMAT, &format, 1);
	CHECK_EQ(cohort_queue_open(&same, "local:agree", &o, NULL), 0);
	cohort_queue_close(same, COHORT_NOW);
	cohort_queue_close(q, COHORT_NOW);
}

/* A process that was there before the queue is handed it over a connection. */
TEST(ring, is_handed_to_a_process_that_did_not_know_it)
{
	struct cohort_queue *q = NULL;
	struct cohort_conn *a, *b;
	int status;
	pid_t pid;
	char c = 0;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(cohort_queue_recv(&q, b, NULL, patience(), NULL) != 0 ||
		    cohort_queue_put_bytes(q, "x", 1, COHORT_NOW) != 0);
	q = queue_new(NULL);
	CHECK_EQ(cohort_queue_send(q, a, patience()), 0);
	CHECK_EQ(cohort_queue_get_into(q, &c, 1, NULL, patience()), 0);
	CHECK_EQ(c, 'x');
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	cohort_conn_close(a);
	cohort_conn_close(b);
	cohort_queue_close(q, COHORT_NOW);
}

/* ---- damage ---- */

/* A bit of everything, whatever comes back. */
static void try_everything(struct cohort_queue *q)
{
	struct cohort_queue_stats s;
	struct cohort_item item;
	struct cohort_bytes out[4], in[2] = {{"ab", 2}, {"cd", 2}};
	static char data[5000];
	const char *why;
	size_t n;

	(void)cohort_queue_put_bytes(q, data, 40, COHORT_NOW);
	(void)cohort_queue_put_bytes(q, data, sizeof data, COHORT_NOW);
	(void)cohort_queue_put_many(q, in, 2, COHORT_NOW);
	(void)cohort_queue_peek(q, data, sizeof data, &n, COHORT_NOW);
	if (cohort_queue_take(q, &item, COHORT_NOW) == 0)
		(void)cohort_queue_return(q, &item);
	if (cohort_queue_take(q, &item, COHORT_NOW) == 0)
		(void)cohort_queue_ack(q, &item);
	(void)cohort_queue_get_into(q, data, sizeof data, &n, COHORT_NOW);
	(void)cohort_queue_get_many(q, out, 4, data, sizeof data, COHORT_NOW);
	(void)cohort_queue_task_done(q);
	(void)cohort_queue_stats(q, &s);
	(void)cohort_queue_size(q);
	(void)coh_ring_tend(coh_queue_local_ring(q));
	(void)coh_ring_check(coh_queue_local_ring(q), &why);
	(void)cohort_queue_shutdown(q, test_random_below(8) == 0 ? COHORT_SHUTDOWN_NOW : COHORT_SHUTDOWN_DRAIN);
}

/* Some words of the ring's own, but for its locks, become something else. */
static void damage(struct coh_ring *r)
{
	char *from = (char *)r->shared, *at;
	size_t size = sizeof *r->shared + 20 * sizeof(struct coh_ring_hand) + 4096;
	uint64_t v;

	for (int i = 0; i < 6; i++) {
		at = i < 3 ? (char *)&r->shared->watch + test_random_below(2048) : from + test_random_below(size);
		if (i == 5)
			at = coh_ring_lane_at(r, 0) + test_random_below(400);
		at = from + ((at - from) & ~7L);
		v = test_random() >> test_random_below(64);
		memcpy(at, &v, sizeof v);
	}
	memset(&r->shared->put.mutex, 0, sizeof r->shared->put.mutex);
	memset(&r->shared->get.mutex, 0, sizeof r->shared->get.mutex);
}

TEST_TIMEOUT(ring, damage_is_an_error_and_no_crash, 100)
{
	struct cohort_queue_options o = {
	    .memory = 64 << 10, .inlined = 64, .most = 50, .takes = 4, .priorities = 2, .spin = -1};

	for (int i = 0; i < 300; i++) {
		struct cohort_queue *q = queue_new(&o);

		for (int k = 0; k < 3; k++)
			try_everything(q);
		damage(coh_queue_local_ring(q));
		for (int k = 0; k < 3; k++)
			try_everything(q);
		cohort_queue_close(q, COHORT_NOW);
	}
}

TEST(ring, a_damaged_config_is_refused)
{
	struct cohort_queue *q = queue_new(NULL);
	struct coh_ring *r = coh_queue_local_ring(q), other;
	size_t size = q->shared.segment.size;

	for (size_t i = 0; i < sizeof r->config * 8; i += 5) {
		unsigned char *byte = (unsigned char *)&r->shared->config + i / 8;

		*byte ^= (unsigned char)(1u << i % 8);
		CHECK_EQ(coh_ring_attach(&other, r->base, size, r->fd, NULL), COHORT_ESEGMENT);
		*byte ^= (unsigned char)(1u << i % 8);
	}
	CHECK_EQ(coh_ring_attach(&other, r->base, size - 4096, r->fd, NULL), COHORT_ESEGMENT);
	CHECK_EQ(coh_ring_attach(&other, r->base, 100, r->fd, NULL), COHORT_ESEGMENT);
	CHECK_EQ(coh_ring_attach(&other, r->base, size, r->fd, NULL), 0);
	cohort_queue_close(q, COHORT_NOW);
}
