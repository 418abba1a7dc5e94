/*
 * queue_contract_life.c - waiting, several at once, death, and the end of a queue.
 */
#include "contract/queue_fixture.h"

#include <cohort/conn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int put_one(struct cohort_queue *q, void *arg)
{
	return cohort_queue_put_bytes(q, arg, strlen(arg) + 1, queue_patience()) != 0;
}

static int get_one(struct cohort_queue *q, void *arg)
{
	char buffer[64];
	size_t n;

	(void)arg;
	return cohort_queue_get_into(q, buffer, sizeof buffer, &n, queue_patience()) != 0;
}

TEST(queue, a_get_waits_for_a_put)
{
	struct cohort_queue *q = queue_open(NULL);
	char buffer[16] = "", hello[] = "hello";
	struct queue_other o;
	size_t n;

	for (int i = 0; i < 20; i++) {
		queue_begin(&o, q, put_one, hello);
		CHECK_EQ(cohort_queue_get_into(q, buffer, sizeof buffer, &n, queue_patience()), 0);
		CHECK_STR(buffer, "hello");
		CHECK_EQ(queue_end(&o), 0);
	}
	queue_close(q);
}

TEST(queue, a_put_waits_for_room)
{
	struct cohort_queue_options opts = {.most = 1};
	struct cohort_queue *q = queue_open(&opts);
	struct queue_other o;

	for (int i = 0; i < 20; i++) {
		CHECK_EQ(cohort_queue_put_bytes(q, "a", 1, queue_patience()), 0);
		queue_begin(&o, q, get_one, NULL);
		CHECK_EQ(cohort_queue_put_bytes(q, "b", 1, queue_patience()), 0);
		CHECK_EQ(queue_end(&o), 0);
		CHECK_EQ(get_one(q, NULL), 0);
	}
	queue_close(q);
}

/* ---- many ---- */

#define PUTTERS 3
#define GETTERS 3
#define EACH 4000

struct number {
	uint32_t putter, n;
};

static int put_numbers(struct cohort_queue *q, void *arg)
{
	struct number v = {.putter = *(uint32_t *)arg};

	for (v.n = 0; v.n < EACH; v.n++)
		if (cohort_queue_put_bytes(q, &v, sizeof v, queue_patience()) != 0)
			return 1;
	return 0;
}

/* Each putter's come in order; what was seen goes to the second queue, at the end. */
static int get_numbers(struct cohort_queue *q, void *arg)
{
	struct cohort_queue *sums = queue_here(arg);
	uint32_t next[PUTTERS] = {0};
	uint64_t sum = 0;
	struct number v;
	size_t n;

	while (cohort_queue_get_into(q, &v, sizeof v, &n, queue_patience()) == 0 && v.putter < PUTTERS) {
		if (v.n < next[v.putter])
			return 1;
		next[v.putter] = v.n + 1;
		sum += (uint64_t)v.n * PUTTERS + v.putter + 1;
	}
	return cohort_queue_put_bytes(sums, &sum, sizeof sum, queue_patience()) != 0;
}

TEST_TIMEOUT(queue, gives_each_item_once_and_each_putters_in_order, 60)
{
	struct cohort_queue_options opts = {.most = 500};
	struct cohort_queue *q = queue_open(&opts), *sums = queue_open(NULL);
	struct queue_other put[PUTTERS], get[GETTERS];
	uint32_t names[PUTTERS] = {0, 1, 2};
	struct number end = {.putter = UINT32_MAX};
	uint64_t sum, all = 0, want = 0;
	size_t n;

	for (int i = 0; i < GETTERS; i++)
		queue_begin(&get[i], q, get_numbers, sums);
	for (int i = 0; i < PUTTERS; i++)
		queue_begin(&put[i], q, put_numbers, &names[i]);
	for (int i = 0; i < PUTTERS; i++)
		CHECK_EQ(queue_end(&put[i]), 0);
	for (int i = 0; i < GETTERS; i++)
		CHECK_EQ(cohort_queue_put_bytes(q, &end, sizeof end, queue_patience()), 0);
	for (int i = 0; i < GETTERS; i++)
		CHECK_EQ(queue_end(&get[i]), 0);
	for (int i = 0; i < GETTERS && cohort_queue_get_into(sums, &sum, sizeof sum, &n, queue_patience()) == 0; i++)
		all += sum;
	for (uint64_t v = 1; v <= (uint64_t)PUTTERS * EACH; v++)
		want += v;
	CHECK_EQ(all, want);
	queue_close(q);
	queue_close(sums);
}

TEST(queue, a_put_that_returned_is_seen_by_a_get_that_does_not_wait)
{
	struct cohort_queue *q = queue_open(NULL), *other = queue_again(q);
	char byte = 0;
	size_t n;

	for (int i = 0; i < 2000; i++) {
		REQUIRE_EQ(cohort_queue_put_bytes(q, &byte, 1, queue_patience()), 0);
		REQUIRE_EQ(cohort_queue_get_into(other, &byte, 1, &n, COHORT_NOW), 0);
	}
	queue_close(other);
	queue_close(q);
}

/* ---- shutdown ---- */

static int get_shut(struct cohort_queue *q, void *arg)
{
	char byte;
	size_t n;

	(void)arg;
	return cohort_queue_get_into(q, &byte, 1, &n, queue_patience()) != COHORT_ESHUTDOWN;
}

static int put_shut(struct cohort_queue *q, void *arg)
{
	(void)arg;
	return cohort_queue_put_bytes(q, "x", 1, queue_patience()) != COHORT_ESHUTDOWN;
}

TEST(queue, shutdown_lets_what_is_there_be_got)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_queue_stats s;

	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_shutdown(q, COHORT_SHUTDOWN_DRAIN), 0);
	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), COHORT_ESHUTDOWN);
	CHECK_EQ(cohort_queue_size(q), 1);
	CHECK_EQ(get_one(q, NULL), 0);
	CHECK_EQ(get_shut(q, NULL), 0);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.shut, 1);
	CHECK_EQ(cohort_queue_shutdown(q, COHORT_SHUTDOWN_NOW), 0);
	queue_close(q);
}

TEST(queue, shutdown_now_drops_what_is_there)
{
	struct cohort_queue *q = queue_open(NULL);

	for (int i = 0; i < 7; i++)
		CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_shutdown(q, COHORT_SHUTDOWN_NOW), 7);
	CHECK_EQ(cohort_queue_size(q), 0);
	CHECK_EQ(get_shut(q, NULL), 0);
	CHECK_EQ(cohort_queue_join(q, queue_patience()), 0);
	CHECK_EQ(queue_close(q), 0);
}

TEST(queue, shutdown_ends_all_who_wait)
{
	struct cohort_queue_options opts = {.most = 1};
	struct cohort_queue *empty = queue_open(NULL), *full = queue_open(&opts);
	struct queue_other get[3], put[3];

	CHECK_EQ(cohort_queue_put_bytes(full, "x", 1, COHORT_NOW), 0);
	for (int i = 0; i < 3; i++) {
		queue_begin(&get[i], empty, get_shut, NULL);
		queue_begin(&put[i], full, put_shut, NULL);
	}
	poll(NULL, 0, 20); /* so that some of them are asleep; none has to be */
	CHECK_EQ(cohort_queue_shutdown(empty, COHORT_SHUTDOWN_DRAIN), 0);
	CHECK_EQ(cohort_queue_shutdown(full, COHORT_SHUTDOWN_DRAIN), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(queue_end(&get[i]), 0);
		CHECK_EQ(queue_end(&put[i]), 0);
	}
	queue_close(empty);
	queue_close(full);
}

/* Somebody who says that his call begins, and that it has ended; with WANT, or he fails. */
struct caller {
	int (*call)(struct cohort_queue *q);
	int want;
};

static int words[2]; /* of all of them, a byte each */

static int call_between_words(struct cohort_queue *q, void *arg)
{
	const struct caller *c = arg;
	int rc = write(words[1], "", 1) != 1;

	rc |= c->call(q) != c->want;
	return write(words[1], "", 1) != 1 || rc;
}

static int get_wait(struct cohort_queue *q)
{
	char room[8];

	return cohort_queue_get_into(q, room, sizeof room, NULL, queue_patience());
}

static int many_wait(struct cohort_queue *q)
{
	struct cohort_bytes items[4];
	char room[64];

	return cohort_queue_get_many(q, items, 4, room, sizeof room, queue_patience());
}

static int peek_wait(struct cohort_queue *q)
{
	char room[8];

	return cohort_queue_peek(q, room, sizeof room, NULL, queue_patience());
}

static int take_wait(struct cohort_queue *q)
{
	struct cohort_item item;

	return cohort_queue_take(q, &item, queue_patience());
}

static int put_wait(struct cohort_queue *q)
{
	return cohort_queue_put_bytes(q, "x", 1, queue_patience());
}

static int put_many_wait(struct cohort_queue *q)
{
	struct cohort_bytes items[2] = {{"x", 1}, {"y", 1}};

	return cohort_queue_put_many(q, items, 2, queue_patience());
}

static int join_wait(struct cohort_queue *q)
{
	return cohort_queue_join(q, queue_patience());
}

#define TAKERS 4
#define CALLERS 7

/* A word of each. */
static void hear_all(void)
{
	char c;

	for (int i = 0; i < CALLERS; i++)
		REQUIRE_EQ(read(words[0], &c, 1), 1);
}

/* Each call that waits, the TAKERS at EMPTY, the others at FULL, which has room for one item and has it. */
static void all_wait(struct cohort_queue *empty, struct cohort_queue *full, struct queue_other who[CALLERS])
{
	static struct caller all[CALLERS] = {{get_wait, COHORT_ESHUTDOWN}, {many_wait, COHORT_ESHUTDOWN},
	    {peek_wait, COHORT_ESHUTDOWN}, {take_wait, COHORT_ESHUTDOWN}, {put_wait, COHORT_ESHUTDOWN},
	    {put_many_wait, COHORT_ESHUTDOWN}, {join_wait, 0}};

	REQUIRE_EQ(pipe(words), 0);
	CHECK_EQ(cohort_queue_put_bytes(full, "x", 1, COHORT_NOW), 0);
	for (int i = 0; i < CALLERS; i++)
		queue_begin(&who[i], i < TAKERS ? empty : full, call_between_words, &all[i]);
	hear_all();
	(void)poll(NULL, 0, 20); /* so that most of them are asleep; none has to be */
}

static void all_end(struct queue_other *who, int n)
{
	for (int i = 0; i < n; i++)
		if (!CHECK_EQ(queue_end(&who[i]), 0))
			FAIL("call %d", i);
}

static void hush(void)
{
	close(words[0]);
	close(words[1]);
}

TEST(queue, shutdown_ends_each_call_that_waits)
{
	struct cohort_queue_options opts = {.most = 1};
	struct cohort_queue *empty = queue_open(NULL), *full = queue_open(&opts);
	struct queue_other who[CALLERS];

	all_wait(empty, full, who);
	CHECK_EQ(cohort_queue_shutdown(empty, COHORT_SHUTDOWN_DRAIN), 0);
	CHECK_EQ(cohort_queue_shutdown(full, COHORT_SHUTDOWN_DRAIN), 0);
	all_end(who, CALLERS - 1);
	CHECK_EQ(cohort_queue_join(full, queue_shortly()), COHORT_ETIMEDOUT); /* what is there is still to be done */
	CHECK_EQ(get_one(full, NULL), 0);
	CHECK_EQ(cohort_queue_task_done(full), 0);
	all_end(who + CALLERS - 1, 1);
	hush();
	queue_close(empty);
	queue_close(full);
}

/* How long it takes until all have heard of it. */
static cohort_time shut_now(void)
{
	struct cohort_queue_options opts = {.most = 1};
	struct cohort_queue *empty = queue_open(NULL), *full = queue_open(&opts);
	struct queue_other who[CALLERS];
	cohort_time began;

	all_wait(empty, full, who);
	began = cohort_now();
	CHECK_EQ(cohort_queue_shutdown(empty, COHORT_SHUTDOWN_NOW), 0);
	CHECK_EQ(cohort_queue_shutdown(full, COHORT_SHUTDOWN_NOW), 1);
	hear_all();
	began = cohort_now() - began;
	all_end(who, CALLERS);
	hush();
	queue_close(empty);
	queue_close(full);
	return began;
}

/* They look by themselves ten times a second: one time of many it must have been quicker, however busy the machine is. */
TEST_TIMEOUT(queue, shutdown_now_wakes_each_call_that_waits_and_joins, 60)
{
	cohort_time took = COHORT_SECOND;

	for (int i = 0; i < 10 && took > test_span(40 * COHORT_MS); i++)
		took = shut_now();
	CHECK(took <= test_span(40 * COHORT_MS));
}

static int join_all(struct cohort_queue *q, void *arg)
{
	(void)arg;
	return join_wait(q) != 0;
}

TEST(queue, shutdown_now_lets_joins_wait_for_what_was_got)
{
	struct cohort_queue *q = queue_open(NULL);
	struct queue_other o;

	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_put_bytes(q, "y", 1, COHORT_NOW), 0);
	CHECK_EQ(get_one(q, NULL), 0);
	queue_begin(&o, q, join_all, NULL);
	CHECK_EQ(cohort_queue_shutdown(q, COHORT_SHUTDOWN_NOW), 1);
	CHECK_EQ(cohort_queue_join(q, queue_shortly()), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_queue_task_done(q), 0);
	CHECK_EQ(queue_end(&o), 0);
	queue_close(q);
}

/* ---- work that is done ---- */

static int work_all(struct cohort_queue *q, void *arg)
{
	char byte;
	size_t n;

	(void)arg;
	while (cohort_queue_get_into(q, &byte, 1, &n, queue_patience()) == 0)
		if (cohort_queue_task_done(q) != 0)
			return 1;
	return 0;
}

TEST(queue, join_waits_until_all_work_is_done)
{
	struct cohort_queue *q = queue_open(NULL);
	struct queue_other o[2];

	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), 0);
	for (int i = 0; i < 50; i++)
		CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_join(q, queue_shortly()), COHORT_ETIMEDOUT);
	for (int i = 0; i < 2; i++)
		queue_begin(&o[i], q, work_all, NULL);
	CHECK_EQ(cohort_queue_join(q, queue_patience()), 0);
	CHECK_EQ(cohort_queue_size(q), 0);
	CHECK_EQ(cohort_queue_shutdown(q, COHORT_SHUTDOWN_DRAIN), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(queue_end(&o[i]), 0);
	queue_close(q);
}

TEST(queue, one_task_done_too_many_is_refused)
{
	struct cohort_queue *q = queue_open(NULL);

	CHECK_EQ(cohort_queue_task_done(q), COHORT_EOVER);
	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	CHECK_EQ(get_one(q, NULL), 0);
	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_queue_task_done(q), 0);
	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_task_done(q), COHORT_EOVER);
	queue_close(q);
}

/* Gets one, says so, and is never done. */
static int get_and_stay(struct cohort_queue *q, void *arg)
{
	char byte = 1;
	size_t n;

	if (cohort_queue_get_into(q, &byte, 1, &n, queue_patience()) != 0)
		return 1;
	cohort_queue_put_bytes(queue_here(arg), &byte, 1, queue_patience());
	cohort_queue_get_into(q, &byte, 1, &n, cohort_in(test_span(60 * COHORT_SECOND)));
	return 0;
}

TEST(queue, the_death_of_a_consumer_holds_up_no_join)
{
	struct cohort_queue *q, *said;
	struct queue_other o;

	if (!queue_kills())
		return;
	q = queue_open(NULL);
	said = queue_open(NULL);
	queue_begin(&o, q, get_and_stay, said);
	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, queue_patience()), 0);
	CHECK_EQ(get_one(said, NULL), 0);
	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), COHORT_ETIMEDOUT);
	queue_kill(&o);
	CHECK_EQ(queue_end(&o), -1);
	CHECK_EQ(cohort_queue_join(q, queue_patience()), 0);
	queue_close(said);
	queue_close(q);
}

/* ---- closing ---- */

TEST(queue, close_waits_for_its_items_to_be_got)
{
	struct cohort_queue *q = queue_open(NULL), *other = queue_again(q);
	struct queue_other o;

	CHECK_EQ(cohort_queue_put_bytes(other, "x", 1, COHORT_NOW), 0);
	queue_begin(&o, q, get_one, NULL);
	CHECK_EQ(cohort_queue_close(other, queue_patience()), 0);
	CHECK_EQ(queue_end(&o), 0);
	other = queue_again(q);
	CHECK_EQ(cohort_queue_put_bytes(other, "x", 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_close(other, queue_shortly()), 1);
	CHECK_EQ(cohort_queue_size(q), 1);
	CHECK_EQ(cohort_queue_close(NULL, COHORT_FOREVER), 0);
	queue_close(q);
}

/* Puts as fast as it can, until it is killed. */
static int put_for_ever(struct cohort_queue *q, void *arg)
{
	uint64_t v[4] = {0};

	(void)arg;
	for (;; v[0]++) {
		v[3] = ~v[0];
		if (cohort_queue_put_bytes(q, v, sizeof v, COHORT_FOREVER) != 0)
			return 1;
	}
}

TEST_TIMEOUT(queue, a_killed_putter_leaves_whole_items_and_holds_up_nobody, 60)
{
	struct cohort_queue_options opts = {.most = 100};
	struct cohort_queue *q;
	struct queue_other o;
	uint64_t v[4], next = 0;
	size_t n;

	if (!queue_kills())
		return;
	q = queue_open(&opts);
	for (int round = 0; round < 20; round++, next = 0) {
		queue_begin(&o, q, put_for_ever, NULL);
		for (int i = 0; i < 300; i++, next++) {
			REQUIRE_EQ(cohort_queue_get_into(q, v, sizeof v, &n, queue_patience()), 0);
			REQUIRE_EQ(v[0], next);
		}
		queue_kill(&o);
		CHECK_EQ(queue_end(&o), -1);
		for (; cohort_queue_get_into(q, v, sizeof v, &n, cohort_in(5 * COHORT_MS)) == 0; next++) {
			REQUIRE_EQ(v[0], next);
			REQUIRE_EQ(v[3], ~v[0]);
		}
		CHECK_EQ(cohort_queue_put_bytes(q, v, sizeof v, COHORT_NOW), 0);
		CHECK_EQ(cohort_queue_get_into(q, v, sizeof v, &n, COHORT_NOW), 0);
	}
	queue_close(q);
}

/* ---- a descriptor ---- */

static bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

TEST(queue, its_descriptor_is_readable_when_there_may_be_something)
{
	struct cohort_queue *q = queue_open(NULL), *other = queue_again(q);
	int fd = cohort_queue_fd(q);
	char byte;
	size_t n;

	REQUIRE(fd >= 0);
	CHECK_EQ(cohort_queue_fd(q), fd);
	for (int i = 0; i < 20; i++) {
		while (cohort_queue_get_into(q, &byte, 1, &n, COHORT_NOW) == 0)
			;
		CHECK(!readable(fd, 0));
		CHECK_EQ(cohort_queue_put_bytes(other, "x", 1, COHORT_NOW), 0);
		CHECK(readable(fd, (int)(test_span(10 * COHORT_SECOND) / COHORT_MS)));
		CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, COHORT_NOW), 0);
	}
	while (cohort_queue_get_into(q, &byte, 1, &n, COHORT_NOW) == 0)
		;
	CHECK_EQ(cohort_queue_shutdown(other, COHORT_SHUTDOWN_DRAIN), 0);
	CHECK(readable(fd, (int)(test_span(10 * COHORT_SECOND) / COHORT_MS)));
	CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, COHORT_NOW), COHORT_ESHUTDOWN);
	queue_close(other);
	queue_close(q);
}

static int say_hello(struct cohort_queue *q, void *conn)
{
	(void)q;
	return cohort_conn_send_bytes(conn, "hello", 5, queue_patience()) != 0;
}

static bool hears_hello(struct cohort_conn *c)
{
	const void *data;
	size_t size = 0;

	return CHECK_EQ(cohort_conn_recv_bytes(c, &data, &size, COHORT_NOW), 0) && CHECK_EQ(size, 5);
}

/* Nothing is in Q, and it has been looked at. */
static void drain(struct cohort_queue *q)
{
	char room[16];

	while (cohort_queue_get_into(q, room, sizeof room, NULL, COHORT_NOW) == 0)
		;
}

TEST(queue, its_descriptor_and_a_connection_are_waited_for_together)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_wait_item items[2] = {{.fd = cohort_queue_fd(q)}};
	struct cohort_conn *other;
	char hello[] = "hello";
	struct queue_other o;

	REQUIRE(items[0].fd >= 0);
	REQUIRE_EQ(cohort_conn_pair(&items[1].conn, &other, NULL), 0);
	drain(q);
	CHECK_EQ(cohort_wait(items, 2, queue_shortly()), 0);

	queue_begin(&o, q, put_one, hello);
	CHECK_EQ(cohort_wait(items, 2, queue_patience()), 1);
	CHECK(items[0].ready && !items[1].ready);
	CHECK_EQ(queue_end(&o), 0);
	CHECK_EQ(get_one(q, NULL), 0);
	drain(q);

	queue_begin(&o, q, say_hello, other);
	CHECK_EQ(cohort_wait(items, 2, queue_patience()), 1);
	CHECK(!items[0].ready && items[1].ready);
	CHECK_EQ(queue_end(&o), 0);
	hears_hello(items[1].conn);

	queue_begin(&o, q, put_one, hello);
	CHECK_EQ(cohort_wait(items, 1, queue_patience()), 1);
	CHECK_EQ(queue_end(&o), 0);
	CHECK_EQ(cohort_conn_send_bytes(other, "hello", 5, queue_patience()), 0);
	CHECK_EQ(cohort_wait(items, 2, queue_patience()), 2);
	CHECK(items[0].ready && items[1].ready);
	hears_hello(items[1].conn);
	CHECK_EQ(get_one(q, NULL), 0);
	cohort_conn_close(items[1].conn);
	cohort_conn_close(other);
	queue_close(q);
}
