/*
 * queue_contract_take.c - items that are lent: acknowledged, given back, or left by the dead.
 */
#include "contract/queue_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct cohort_item take(struct cohort_queue *q, const char *text, unsigned deliveries)
{
	struct cohort_item item = {0};

	REQUIRE_EQ(cohort_queue_take(q, &item, queue_patience()), 0);
	CHECK_EQ(item.size, strlen(text) + 1);
	CHECK_STR(item.data, text);
	CHECK_EQ(item.deliveries, deliveries);
	return item;
}

static void put(struct cohort_queue *q, const char *text)
{
	CHECK_EQ(cohort_queue_put_bytes(q, text, strlen(text) + 1, COHORT_NOW), 0);
}

TEST(queue, what_is_acknowledged_is_gone)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_item a, b;

	CHECK_EQ(cohort_queue_take(q, &a, COHORT_NOW), COHORT_EEMPTY);
	put(q, "a");
	put(q, "b");
	a = take(q, "a", 1);
	b = take(q, "b", 1);
	CHECK_EQ(cohort_queue_size(q), 0);
	CHECK_EQ(cohort_queue_ack(q, &b), 0);
	CHECK_EQ(cohort_queue_ack(q, &b), COHORT_EARGUMENT);
	CHECK_HAS(cohort_queue_error(q), "not lent");
	CHECK_STR(a.data, "a");
	CHECK_EQ(cohort_queue_ack(q, &a), 0);
	CHECK_EQ(cohort_queue_join(q, COHORT_NOW), 0);
	CHECK_EQ(queue_close(q), 0);
}

TEST(queue, what_is_given_back_goes_to_the_head)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_item a, b;

	put(q, "a");
	put(q, "b");
	put(q, "c");
	a = take(q, "a", 1);
	b = take(q, "b", 1);
	CHECK_EQ(cohort_queue_return(q, &b), 0);
	CHECK_EQ(cohort_queue_return(q, &a), 0);
	CHECK_EQ(cohort_queue_return(q, &a), COHORT_EARGUMENT);
	CHECK_EQ(cohort_queue_size(q), 3);
	a = take(q, "a", 2);
	CHECK_EQ(cohort_queue_ack(q, &a), 0);
	b = take(q, "b", 2);
	a = take(q, "c", 1);
	CHECK_EQ(cohort_queue_ack(q, &a), 0);
	CHECK_EQ(cohort_queue_ack(q, &b), 0);
	queue_close(q);
}

TEST(queue, a_plain_get_gives_what_came_back)
{
	struct cohort_queue *q = queue_open(NULL);
	char buffer[8] = "";
	struct cohort_item a;
	size_t n;

	put(q, "a");
	put(q, "b");
	a = take(q, "a", 1);
	CHECK_EQ(cohort_queue_return(q, &a), 0);
	CHECK_EQ(cohort_queue_peek(q, buffer, sizeof buffer, &n, COHORT_NOW), 0);
	CHECK_STR(buffer, "a");
	CHECK_EQ(cohort_queue_get_into(q, buffer, sizeof buffer, &n, COHORT_NOW), 0);
	CHECK_STR(buffer, "a");
	CHECK_EQ(cohort_queue_get_into(q, buffer, sizeof buffer, &n, COHORT_NOW), 0);
	CHECK_STR(buffer, "b");
	CHECK_EQ(cohort_queue_size(q), 0);
	queue_close(q);
}

TEST(queue, large_items_and_messages_are_lent_too)
{
	struct cohort_queue *q = queue_open(NULL);
	size_t size = 300000;
	char *data = calloc(1, size);
	struct cohort_message *m;
	struct cohort_item item;
	int32_t v = 77;

	REQUIRE(data != NULL);
	data[size - 1] = 'z';
	REQUIRE_EQ(cohort_message_new(&m, "i", NULL), 0);
	CHECK_EQ(cohort_message_pack(m, 0, &v), 0);
	CHECK_EQ(cohort_queue_put_bytes(q, data, size, queue_patience()), 0);
	CHECK_EQ(cohort_queue_put(q, m, queue_patience()), 0);
	for (unsigned i = 1; i < 4; i++) {
		REQUIRE_EQ(cohort_queue_take(q, &item, queue_patience()), 0);
		CHECK_EQ(item.size, size);
		CHECK_EQ(item.typed, 0);
		CHECK_MEM(item.data, data, size);
		CHECK_EQ(i < 3 ? cohort_queue_return(q, &item) : cohort_queue_ack(q, &item), 0);
	}
	REQUIRE_EQ(cohort_queue_take(q, &item, queue_patience()), 0);
	CHECK_EQ(item.typed, 1);
	CHECK_EQ(cohort_message_load(m, item.data, item.size, NULL), 0);
	CHECK_EQ(cohort_queue_ack(q, &item), 0);
	cohort_message_free(m);
	free(data);
	queue_close(q);
}

TEST(queue, no_more_are_lent_than_it_says)
{
	struct cohort_queue_options o = {.takes = 2};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_item a, b, c;

	put(q, "a");
	put(q, "b");
	put(q, "c");
	a = take(q, "a", 1);
	b = take(q, "b", 1);
	CHECK_EQ(cohort_queue_take(q, &c, COHORT_NOW), -ENOBUFS);
	CHECK_EQ(cohort_queue_return(q, &b), 0);
	b = take(q, "b", 2);
	CHECK_EQ(cohort_queue_ack(q, &a), 0);
	c = take(q, "c", 1);
	CHECK_EQ(cohort_queue_ack(q, &b), 0);
	CHECK_EQ(cohort_queue_ack(q, &c), 0);
	queue_close(q);
}

TEST(queue, an_item_fails_when_its_tries_are_used_up)
{
	struct cohort_queue_options o = {.tries = 2};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_queue_stats s;
	struct cohort_item a;

	put(q, "a");
	a = take(q, "a", 1);
	CHECK_EQ(cohort_queue_return(q, &a), 0);
	a = take(q, "a", 2);
	CHECK_EQ(cohort_queue_return(q, &a), 0);
	CHECK_EQ(cohort_queue_take(q, &a, COHORT_NOW), COHORT_EEMPTY);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.returned, 1);
	CHECK_EQ(s.failed, 1);
	CHECK_EQ(s.unfinished, 0);
	queue_close(q);
}

TEST(queue, policy_fail_gives_nothing_back)
{
	struct cohort_queue_options o = {.policy = COHORT_QUEUE_FAIL};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_queue_stats s;
	struct cohort_item a;

	put(q, "a");
	a = take(q, "a", 1);
	CHECK_EQ(cohort_queue_return(q, &a), 0);
	CHECK_EQ(cohort_queue_size(q), 0);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.failed, 1);
	queue_close(q);
}

TEST(queue, close_gives_back_what_it_was_lent)
{
	struct cohort_queue *q = queue_open(NULL), *other = queue_again(q);
	struct cohort_item a;

	put(q, "a");
	take(other, "a", 1);
	CHECK_EQ(cohort_queue_size(q), 0);
	queue_close(other);
	a = take(q, "a", 2);
	CHECK_EQ(cohort_queue_ack(q, &a), 0);
	queue_close(q);
}

/* Takes one, says so on the other queue, and stays. */
static int take_and_stay(struct cohort_queue *q, void *arg)
{
	struct cohort_item item;

	if (cohort_queue_take(q, &item, queue_patience()) != 0)
		return 1;
	cohort_queue_put_bytes(queue_here(arg), item.data, item.size, queue_patience());
	cohort_queue_take(q, &item, cohort_in(test_span(60 * COHORT_SECOND)));
	return 0;
}

static void taken_by_one_who_is_killed(size_t size)
{
	struct cohort_queue *q = queue_open(NULL), *said = queue_open(NULL);
	char *data = calloc(2, size);
	struct cohort_item item;
	struct queue_other o;
	size_t n;

	REQUIRE(data != NULL);
	data[0] = 'k';
	CHECK_EQ(cohort_queue_put_bytes(q, data, size, queue_patience()), 0);
	queue_begin(&o, q, take_and_stay, said);
	CHECK_EQ(cohort_queue_get_into(said, data + size, size, &n, queue_patience()), 0);
	CHECK_EQ(cohort_queue_take(q, &item, COHORT_NOW), COHORT_EEMPTY);
	queue_kill(&o);
	CHECK_EQ(queue_end(&o), -1);
	REQUIRE_EQ(cohort_queue_take(q, &item, queue_patience()), 0);
	CHECK_EQ(item.deliveries, 2);
	if (CHECK_EQ(item.size, size))
		CHECK_MEM(item.data, data, size);
	CHECK_EQ(cohort_queue_ack(q, &item), 0);
	free(data);
	queue_close(said);
	queue_close(q);
}

TEST(queue, what_the_dead_had_taken_comes_back)
{
	if (!queue_kills())
		return;
	taken_by_one_who_is_killed(2);
	taken_by_one_who_is_killed(200000);
}

/* Takes one, says so on the other queue, and stays with it. */
static int take_one_and_stay(struct cohort_queue *q, void *arg)
{
	struct cohort_item item;

	if (cohort_queue_take(q, &item, queue_patience()) != 0)
		return 1;
	cohort_queue_put_bytes(queue_here(arg), item.data, item.size, queue_patience());
	for (;;)
		pause();
}

/* One who takes the next item of Q and is killed with it. */
static void killed_with_the_next(struct cohort_queue *q)
{
	struct cohort_queue *said = queue_open(NULL);
	struct queue_other o;
	char text[8];
	size_t n;

	queue_begin(&o, q, take_one_and_stay, said);
	CHECK_EQ(cohort_queue_get_into(said, text, sizeof text, &n, queue_patience()), 0);
	queue_kill(&o);
	CHECK_EQ(queue_end(&o), -1);
	queue_close(said);
}

TEST(queue, what_the_dead_had_taken_goes_to_the_head)
{
	struct cohort_queue *q;
	struct cohort_item item;
	char text[8];
	size_t n;

	if (!queue_kills())
		return;
	q = queue_open(NULL);
	put(q, "first");
	put(q, "second");
	killed_with_the_next(q);
	while (cohort_queue_size(q) < 2) /* who finds something at once looks for the dead too */
		CHECK_EQ(cohort_queue_peek(q, text, sizeof text, &n, queue_patience()), 0);
	item = take(q, "first", 2);
	CHECK_EQ(cohort_queue_ack(q, &item), 0);
	item = take(q, "second", 1);
	CHECK_EQ(cohort_queue_ack(q, &item), 0);
	queue_close(q);
}

/* By OPTIONS an item is not given twice. */
static void fails_with_the_dead(const struct cohort_queue_options *options)
{
	struct cohort_queue *q = queue_open(options);
	struct cohort_queue_stats s = {0};
	cohort_time until = queue_patience();
	char text[8];

	put(q, "x");
	killed_with_the_next(q);
	while (s.failed == 0 && CHECK(cohort_now() < until)) {
		CHECK_EQ(cohort_queue_get_into(q, text, sizeof text, NULL, cohort_in(COHORT_MS)), COHORT_EEMPTY);
		REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	}
	CHECK_EQ(s.failed, 1);
	CHECK_EQ(s.returned, 0);
	CHECK_EQ(cohort_queue_join(q, queue_patience()), 0);
	queue_close(q);
}

TEST(queue, what_the_dead_had_taken_fails_by_policy)
{
	if (!queue_kills())
		return;
	fails_with_the_dead(&(struct cohort_queue_options){.policy = COHORT_QUEUE_FAIL});
	fails_with_the_dead(&(struct cohort_queue_options){.tries = 1});
}

/* Takes one, and another thread of it uses the queue, when it becomes another program. */
static void *waits_for_another(void *arg)
{
	struct cohort_item item;

	(void)cohort_queue_take(arg, &item, queue_patience());
	return NULL;
}

static int take_and_exec(struct cohort_queue *q, void *arg)
{
	char name[] = "true", *argv[] = {name, NULL};
	struct cohort_item item;
	pthread_t thread;

	(void)arg;
	if (cohort_queue_take(q, &item, queue_patience()) != 0 ||
	    pthread_create(&thread, NULL, waits_for_another, q) != 0)
		return 1;
	execvp(name, argv);
	return 2;
}

TEST(queue, what_one_had_taken_who_became_another_program_comes_back_when_that_ends)
{
	struct cohort_queue *q;
	struct cohort_item item;
	struct queue_other o;

	if (!queue_kills())
		return;
	q = queue_open(NULL);
	for (int i = 1; i <= 20; i++) {
		put(q, "x");
		queue_begin(&o, q, take_and_exec, NULL);
		CHECK_EQ(queue_end(&o), 0);
		item = take(q, "x", 2);
		CHECK_EQ(cohort_queue_ack(q, &item), 0);
	}
	CHECK_EQ(cohort_queue_size(q), 0);
	queue_close(q);
}

TEST(queue, items_that_came_back_keep_their_priority)
{
	struct cohort_queue_options o = {.priorities = 2};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_item low, high;

	put(q, "low");
	low = take(q, "low", 1);
	CHECK_EQ(cohort_queue_put_bytes_first(q, "high", 5, 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_return(q, &low), 0);
	high = take(q, "high", 1);
	CHECK_EQ(high.priority, 1);
	low = take(q, "low", 2);
	CHECK_EQ(low.priority, 0);
	CHECK_EQ(cohort_queue_ack(q, &low), 0);
	CHECK_EQ(cohort_queue_ack(q, &high), 0);
	queue_close(q);
}
