/*
 * queue_contract.c - what queue.h promises, wherever the queue is.
 *
 * Here: items, their order, sizes and kinds, what is refused.  queue_contract_life.c has waiting, death and the end;
 * queue_contract_take.c what is lent.
 */
#include "contract/queue_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_text(struct cohort_queue *q, const char *text)
{
	CHECK_EQ(cohort_queue_put_bytes(q, text, strlen(text) + 1, COHORT_NOW), 0);
}

static void expect_text(struct cohort_queue *q, const char *text)
{
	char buffer[64] = "";
	size_t n = 0;

	if (CHECK_EQ(cohort_queue_get_into(q, buffer, sizeof buffer, &n, queue_patience()), 0)) {
		CHECK_EQ(n, strlen(text) + 1);
		CHECK_STR(buffer, text);
	}
}

static struct cohort_message *message(const char *format)
{
	struct cohort_message *m;

	REQUIRE_EQ(cohort_message_new(&m, format, NULL), 0);
	return m;
}

TEST(queue, gives_items_in_the_order_of_their_puts)
{
	struct cohort_queue *q = queue_open(NULL);
	uint32_t v;
	size_t n;

	for (uint32_t i = 0; i < 5000; i++)
		REQUIRE_EQ(cohort_queue_put_bytes(q, &i, sizeof i, queue_patience()), 0);
	CHECK_EQ(cohort_queue_size(q), 5000);
	for (uint32_t i = 0; i < 5000; i++) {
		REQUIRE_EQ(cohort_queue_get_into(q, &v, sizeof v, &n, COHORT_NOW), 0);
		REQUIRE_EQ(v, i);
	}
	CHECK_EQ(cohort_queue_size(q), 0);
	CHECK_EQ(queue_close(q), 0);
}

TEST(queue, gives_messages_with_their_values)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_message *m = message("sA(I)"), *got = message("sA(I)");
	const char *word = "thirty", *seen;
	int64_t v;

	CHECK_EQ(cohort_message_pack(m, 0, &word), 0);
	for (v = 0; v < 3000; v++)
		CHECK_EQ(cohort_message_pack(m, 1, &v), 0);
	CHECK_EQ(cohort_queue_put(q, m, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_put(q, m, COHORT_NOW), 0);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(cohort_queue_get(q, got, queue_patience()), 0);
		CHECK_EQ(cohort_message_unpack(got, 0, &seen), 1);
		CHECK_STR(seen, "thirty");
		for (int64_t want = 0; cohort_message_unpack(got, 1, &v) == 1; want++)
			CHECK_EQ(v, want);
		CHECK_EQ(v, 2999);
	}
	cohort_message_free(m);
	cohort_message_free(got);
	queue_close(q);
}

TEST(queue, keeps_items_of_every_size_whole)
{
	static const size_t sizes[] = {0, 1, 7, 8, 9, 63, 64, 1023, 1024, 1025, 4096, 65535, 65536,
	    65537, 1 << 20, (5 << 20) + 3, 0};
	struct cohort_queue *q = queue_open(NULL);
	size_t most = sizes[15], n;
	unsigned char *in = malloc(most), *out = malloc(most);

	REQUIRE(in != NULL && out != NULL);
	for (size_t i = 0; i < most; i++)
		in[i] = (unsigned char)(i * 7 + i / 251);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		CHECK_EQ(cohort_queue_put_bytes(q, in, sizes[i], queue_patience()), 0);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		memset(out, 0xee, sizes[i]);
		n = 99;
		REQUIRE_EQ(cohort_queue_get_into(q, out, most, &n, queue_patience()), 0);
		if (CHECK_EQ(n, sizes[i]))
			CHECK_MEM(out, in, n);
	}
	free(in);
	free(out);
	queue_close(q);
}

TEST(queue, empty_and_full_are_told_at_once)
{
	struct cohort_queue_options o = {.most = 2};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_message *m = message("i");
	char byte = 1;
	size_t n;

	CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, COHORT_NOW), COHORT_EEMPTY);
	CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, cohort_now() - 5), COHORT_EEMPTY);
	CHECK_EQ(cohort_queue_get(q, m, COHORT_NOW), COHORT_EEMPTY);
	CHECK_HAS(cohort_queue_error(q), cohort_queue_address(q));
	CHECK_HAS(cohort_queue_error(q), "empty");
	for (int i = 0; i < 2; i++)
		CHECK_EQ(cohort_queue_put_bytes(q, &byte, 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_put_bytes(q, &byte, 1, COHORT_NOW), COHORT_EFULL);
	CHECK_HAS(cohort_queue_error(q), "full");
	CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_put_bytes(q, &byte, 1, COHORT_NOW), 0);
	CHECK_EQ(queue_close(q), 2);
	cohort_message_free(m);
}

TEST(queue, waits_no_longer_than_the_deadline)
{
	struct cohort_queue_options o = {.most = 1};
	struct cohort_queue *q = queue_open(&o);
	cohort_time began = cohort_now(), until = queue_shortly();
	char byte = 1;
	size_t n;

	CHECK_EQ(cohort_queue_get_into(q, &byte, 1, &n, until), COHORT_EEMPTY);
	CHECK(cohort_now() >= until);
	CHECK_EQ(cohort_queue_put_bytes(q, &byte, 1, COHORT_NOW), 0);
	until = queue_shortly();
	CHECK_EQ(cohort_queue_put_bytes(q, &byte, 1, until), COHORT_EFULL);
	CHECK(cohort_now() >= until);
	CHECK(cohort_now() - began < test_span(10 * COHORT_SECOND));
	queue_close(q);
}

TEST(queue, memory_bounds_it_too)
{
	struct cohort_queue_options o = {.memory = 65536};
	struct cohort_queue *q = queue_open(&o);
	static char large[70000];
	char item[500] = {0};
	size_t n;
	int put = 0;

	while (put < 1000 && cohort_queue_put_bytes(q, item, sizeof item, COHORT_NOW) == 0)
		put++;
	CHECK(put > 100 && put <= 131);
	CHECK_EQ(cohort_queue_get_into(q, item, sizeof item, &n, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_put_bytes(q, item, sizeof item, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_size(q), put);
	CHECK_EQ(cohort_queue_put_bytes(q, large, sizeof large, COHORT_NOW), COHORT_ETOOBIG);
	queue_close(q);
}

TEST(queue, refuses_what_can_never_fit)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_bytes items[2] = {{"fine", 5}, {"", COHORT_MESSAGE_MAX + 1}};

	CHECK_EQ(cohort_queue_put_bytes(q, "", COHORT_MESSAGE_MAX + 1, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_HAS(cohort_queue_error(q), "67108865");
	CHECK_EQ(cohort_queue_put_bytes(q, "", SIZE_MAX, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(cohort_queue_put_many(q, items, 2, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(cohort_queue_put_many(q, items, 0, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_queue_put_many(q, items, -1, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_queue_put_many(q, items, 65537, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_queue_put_bytes_first(q, "", 1, 1, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_HAS(cohort_queue_error(q), "priority 1");
	CHECK_EQ(cohort_queue_size(q), 0);
	queue_close(q);
}

TEST(queue, a_bad_value_takes_no_slot)
{
	struct cohort_queue_options o = {.format = "iB"};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_message *m = message("iB"), *other = message("s");
	const char *word = "x";

	CHECK_EQ(cohort_queue_put(q, m, COHORT_NOW), COHORT_ESTATE);
	CHECK_EQ(cohort_message_pack(other, 0, &word), 0);
	CHECK_EQ(cohort_queue_put(q, other, COHORT_NOW), COHORT_EFORMAT);
	CHECK_HAS(cohort_queue_error(q), "iB");
	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), COHORT_EFORMAT);
	CHECK_EQ(cohort_queue_size(q), 0);
	cohort_message_free(m);
	cohort_message_free(other);
	queue_close(q);
}

TEST(queue, keeps_an_item_that_a_get_did_not_want)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_message *m = message("i"), *other = message("ii");
	char buffer[4] = "";
	int32_t v = 7;
	size_t n = 0;

	put_text(q, "plain");
	CHECK_EQ(cohort_queue_get(q, m, COHORT_NOW), COHORT_ESTATE);
	CHECK_EQ(cohort_queue_get_into(q, buffer, sizeof buffer, &n, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(n, 6);
	expect_text(q, "plain");
	CHECK_EQ(cohort_message_pack(m, 0, &v), 0);
	CHECK_EQ(cohort_queue_put(q, m, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_get(q, other, queue_patience()), COHORT_EFORMAT);
	CHECK_EQ(cohort_queue_get_into(q, buffer, sizeof buffer, &n, COHORT_NOW), COHORT_ESTATE);
	CHECK_EQ(cohort_queue_get(q, m, COHORT_NOW), 0);
	CHECK_EQ(cohort_message_unpack(m, 0, &v), 1);
	CHECK_EQ(v, 7);
	cohort_message_free(m);
	cohort_message_free(other);
	queue_close(q);
}

TEST(queue, higher_priorities_go_first)
{
	struct cohort_queue_options o = {.priorities = 3};
	struct cohort_queue *q = queue_open(&o);

	put_text(q, "low");
	CHECK_EQ(cohort_queue_put_bytes_first(q, "high", 5, 2, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_put_bytes_first(q, "middle", 7, 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_put_bytes_first(q, "high too", 9, 2, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_put_bytes_first(q, "", 1, 3, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_queue_size(q), 4);
	expect_text(q, "high");
	expect_text(q, "high too");
	expect_text(q, "middle");
	expect_text(q, "low");
	queue_close(q);
}

TEST(queue, a_peek_consumes_nothing)
{
	struct cohort_queue *q = queue_open(NULL);
	char buffer[8] = "";
	size_t n = 0;

	CHECK_EQ(cohort_queue_peek(q, buffer, sizeof buffer, &n, COHORT_NOW), COHORT_EEMPTY);
	put_text(q, "first");
	put_text(q, "second");
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(cohort_queue_peek(q, buffer, sizeof buffer, &n, queue_patience()), 0);
		CHECK_STR(buffer, "first");
	}
	CHECK_EQ(cohort_queue_peek(q, buffer, 3, &n, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(n, 6);
	CHECK_EQ(cohort_queue_size(q), 2);
	expect_text(q, "first");
	expect_text(q, "second");
	queue_close(q);
}

/* ---- batches ---- */

TEST(queue, puts_and_gets_many_at_once)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_bytes in[100], out[100];
	char words[100][8], buffer[1000];

	for (int i = 0; i < 100; i++) {
		snprintf(words[i], sizeof words[i], "%d", i);
		in[i] = (struct cohort_bytes){words[i], strlen(words[i]) + 1};
	}
	CHECK_EQ(cohort_queue_get_many(q, out, 100, buffer, sizeof buffer, COHORT_NOW), COHORT_EEMPTY);
	CHECK_EQ(cohort_queue_put_many(q, in, 100, queue_patience()), 100);
	CHECK_EQ(cohort_queue_get_many(q, out, 30, buffer, sizeof buffer, queue_patience()), 30);
	CHECK_EQ(cohort_queue_get_many(q, out + 30, 70, buffer + 200, 800, queue_patience()), 70);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(out[i].size, in[i].size);
		CHECK_STR(out[i].data, words[i]);
	}
	CHECK_EQ(cohort_queue_size(q), 0);
	queue_close(q);
}

TEST(queue, a_batch_ends_before_what_does_not_fit)
{
	struct cohort_queue *q = queue_open(NULL);
	struct cohort_message *m = message("i");
	struct cohort_bytes out[10];
	char buffer[10];
	int32_t v = 1;

	put_text(q, "1234");
	put_text(q, "5678");
	CHECK_EQ(cohort_queue_get_many(q, out, 10, buffer, 4, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(out[0].size, 5);
	CHECK_EQ(cohort_queue_get_many(q, out, 10, buffer, 9, COHORT_NOW), 1);
	CHECK_EQ(cohort_message_pack(m, 0, &v), 0);
	CHECK_EQ(cohort_queue_put(q, m, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_get_many(q, out, 10, buffer, 10, COHORT_NOW), 1);
	CHECK_STR(out[0].data, "5678");
	CHECK_EQ(cohort_queue_get_many(q, out, 10, buffer, 10, COHORT_NOW), COHORT_ESTATE);
	CHECK_EQ(cohort_queue_size(q), 1);
	cohort_message_free(m);
	queue_close(q);
}

TEST(queue, a_batch_may_have_large_items)
{
	struct cohort_queue *q = queue_open(NULL);
	size_t large = 100000;
	char *data = calloc(2, large);
	struct cohort_bytes in[3] = {{"small", 6}, {data, large}, {"last", 5}}, out[3];

	REQUIRE(data != NULL);
	memset(data, 'x', large);
	CHECK_EQ(cohort_queue_put_many(q, in, 3, queue_patience()), 3);
	for (int n = 0, got; n < 3; n += got) {
		got = cohort_queue_get_many(q, out, 3 - n, data + large, large, queue_patience());
		REQUIRE(got > 0);
		for (int i = 0; i < got; i++)
			if (CHECK_EQ(out[i].size, in[n + i].size))
				CHECK_MEM(out[i].data, in[n + i].data, out[i].size);
	}
	free(data);
	queue_close(q);
}

TEST(queue, a_batch_puts_what_there_is_room_for)
{
	struct cohort_queue_options o = {.most = 5};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_bytes in[8];

	for (int i = 0; i < 8; i++)
		in[i] = (struct cohort_bytes){&"abcdefgh"[i], 1};
	CHECK_EQ(cohort_queue_put_many(q, in, 8, COHORT_NOW), 5);
	CHECK_EQ(cohort_queue_put_many(q, in, 8, queue_shortly()), COHORT_EFULL);
	CHECK_EQ(cohort_queue_size(q), 5);
	queue_close(q);
}

/* ---- the handle ---- */

TEST(queue, every_handle_sees_the_same_queue)
{
	struct cohort_queue *q = queue_open(NULL), *other = queue_again(q);

	put_text(q, "one");
	put_text(other, "two");
	CHECK_EQ(cohort_queue_size(other), 2);
	expect_text(other, "one");
	expect_text(q, "two");
	CHECK_EQ(queue_close(other), 0);
	put_text(q, "three");
	expect_text(q, "three");
	queue_close(q);
}

TEST(queue, close_says_how_many_of_its_own_were_not_got)
{
	struct cohort_queue *q = queue_open(NULL), *other = queue_again(q);

	put_text(q, "mine");
	for (int i = 0; i < 3; i++)
		put_text(other, "other's");
	expect_text(q, "mine");
	CHECK_EQ(queue_close(other), 3);
	CHECK_EQ(queue_close(q), 0);
}

TEST(queue, stats_tell_all)
{
	struct cohort_queue_options o = {.most = 10, .memory = 1 << 20};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_queue_stats s;
	struct cohort_item item;

	for (int i = 0; i < 4; i++)
		put_text(q, "x");
	expect_text(q, "x");
	CHECK_EQ(cohort_queue_take(q, &item, COHORT_NOW), 0);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.put, 4);
	CHECK_EQ(s.got, 1);
	CHECK_EQ(s.size, 2);
	CHECK_EQ(s.taken, 1);
	CHECK_EQ(s.unfinished, 4);
	CHECK_EQ(s.most, 10);
	CHECK_EQ(s.memory, 1 << 20);
	CHECK_EQ(s.shut, 0);
	CHECK_EQ(cohort_queue_ack(q, &item), 0);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.got, 2);
	queue_close(q);
}

TEST(queue, messages_have_priorities_too)
{
	struct cohort_queue_options o = {.priorities = 2};
	struct cohort_queue *q = queue_open(&o);
	struct cohort_message *m;
	int32_t n = 1;

	REQUIRE_EQ(cohort_message_new(&m, "i", NULL), 0);
	REQUIRE_EQ(cohort_message_pack(m, 0, &n), 0);
	CHECK_EQ(cohort_queue_put(q, m, queue_patience()), 0);
	n = 2;
	cohort_message_reset(m);
	REQUIRE_EQ(cohort_message_pack(m, 0, &n), 0);
	CHECK_EQ(cohort_queue_put_first(q, m, 2, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_queue_put_first(q, m, 1, queue_patience()), 0);
	for (int32_t want = 2; want >= 1; want--) {
		CHECK_EQ(cohort_queue_get(q, m, queue_patience()), 0);
		CHECK_EQ(cohort_message_unpack(m, 0, &n), 1);
		CHECK_EQ(n, want);
	}
	cohort_message_free(m);
	queue_close(q);
}
