/*
 * conn_contract.c - what conn.h promises, whatever carries the connection.
 *
 * Here: messages, their boundaries and order, put and flush, the other kind, bad bytes.
 * conn_contract_time.c has deadlines, ends and waiting.
 */
#include "contract/joined.h"
#include "support/test.h"

#include <cohort/message.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct cohort_message *message(const char *format)
{
	struct cohort_message *m;

	REQUIRE_EQ(cohort_message_new(&m, format, NULL), 0);
	return m;
}

/* The next message of C is the SIZE bytes at DATA. */
static void expect_bytes(struct cohort_conn *c, const void *data, size_t size)
{
	const void *got;
	size_t n;

	REQUIRE_EQ(cohort_conn_recv_bytes(c, &got, &n, joined_patience()), 0);
	if (CHECK_EQ(n, size))
		CHECK_MEM(got, data, size);
}

TEST(conn, carries_typed_messages_both_ways)
{
	struct joined j = joined_open();
	struct cohort_message *m = message("sA(I)"), *got = message("sA(I)");
	const char *word = "thirty", *seen;
	int64_t v;

	CHECK_EQ(cohort_message_pack(m, 0, &word), 0);
	for (v = 0; v < 30; v++)
		CHECK_EQ(cohort_message_pack(m, 1, &v), 0);
	CHECK_EQ(cohort_conn_send(j.a, m, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_put(j.b, m, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_flush(j.b, COHORT_FOREVER), 0);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(cohort_conn_recv(i == 0 ? j.b : j.a, got, joined_patience()), 0);
		CHECK_EQ(cohort_message_unpack(got, 0, &seen), 1);
		CHECK_STR(seen, "thirty");
		for (int64_t want = 0; cohort_message_unpack(got, 1, &v) == 1; want++)
			CHECK_EQ(v, want);
	}
	cohort_message_free(m);
	cohort_message_free(got);
	joined_close(&j);
}

/* Sends back what comes, until the end. */
static void *echo(void *arg)
{
	struct cohort_conn *c = arg;
	const void *data;
	size_t size;

	while (cohort_conn_recv_bytes(c, &data, &size, COHORT_FOREVER) == 0)
		CHECK_EQ(cohort_conn_send_bytes(c, data, size, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(c, COHORT_NOW), 1);
	cohort_conn_close(c);
	return NULL;
}

static unsigned char *noise(size_t size)
{
	unsigned char *p = malloc(size + 1);
	uint64_t x = test_random() | 1;

	REQUIRE(p != NULL);
	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (unsigned char)x;
	}
	return p;
}

TEST_TIMEOUT(conn, keeps_boundaries_of_every_size_up_to_the_limit, 60)
{
	static const size_t sizes[] = {0, 1, 23, 24, 25, 64, 4095, 16383, 16384, 16385, 65511,
	    65512, 65513, 65536, 65537, 131072, 1 << 20, (5 << 20) + 3, 0, COHORT_MESSAGE_MAX, 7};
	/* a sanitizer copies what has come so far each time that there is more: for the largest that is a minute */
	size_t most = test_span(1) > 1 ? (size_t)2 << 20 : COHORT_MESSAGE_MAX;
	struct joined j = joined_open();
	unsigned char *data = noise(most);
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, echo, j.b), 0);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t size = sizes[i] < most ? sizes[i] : most;

		CHECK_EQ(cohort_conn_send_bytes(j.a, data, size, COHORT_FOREVER), 0);
		expect_bytes(j.a, data, size);
	}
	cohort_conn_close(j.a);
	pthread_join(thread, NULL);
	free(data);
}

TEST(conn, refuses_a_byte_too_many_and_goes_on)
{
	struct joined j = joined_open();
	char *data = calloc(1, COHORT_MESSAGE_MAX + 1);

	REQUIRE(data != NULL);
	CHECK_EQ(cohort_conn_send_bytes(j.a, data, COHORT_MESSAGE_MAX + 1, COHORT_FOREVER),
	    COHORT_ETOOBIG);
	CHECK_HAS(cohort_conn_error(j.a), "67108865");
	CHECK_EQ(cohort_conn_put_bytes(j.a, data, SIZE_MAX, COHORT_FOREVER), COHORT_ETOOBIG);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "still here", 10, COHORT_FOREVER), 0);
	expect_bytes(j.b, "still here", 10);
	free(data);
	joined_close(&j);
}

TEST(conn, keeps_the_order_of_many)
{
	struct joined j = joined_open();
	int seen = 0;

	for (int i = 0; i < 20000; i++) {
		REQUIRE_EQ(cohort_conn_put_bytes(j.a, &i, sizeof i, COHORT_FOREVER), 0);
		if (i % 1000 != 999)
			continue;
		CHECK_EQ(cohort_conn_flush(j.a, COHORT_FOREVER), 0);
		for (; seen <= i; seen++)
			expect_bytes(j.b, &seen, sizeof seen);
	}
	joined_close(&j);
}

struct talk {
	struct cohort_conn *conn;
	uint64_t seed;
};

/* Sizes that repeat from a seed. */
static size_t next_size(uint64_t *x)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(*x >> 33) % ((*x >> 60) == 0 ? 200000 : 300);
}

static void *talker(void *arg)
{
	struct talk *t = arg;
	static const unsigned char data[200000] = {1, 2, 3};

	for (int i = 0; i < 5000; i++)
		if (cohort_conn_put_bytes(
			t->conn, data, next_size(&t->seed), joined_patience()) != 0)
			FAIL("put %d: %s", i, cohort_conn_error(t->conn));
	CHECK_EQ(cohort_conn_flush(t->conn, joined_patience()), 0);
	return NULL;
}

TEST(conn, may_be_held_by_two_threads_one_at_each_end)
{
	struct joined j = joined_open();
	struct talk t = {j.a, test_random()};
	uint64_t seed = t.seed;
	const void *data;
	size_t size;
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, talker, &t), 0);
	for (int i = 0; i < 5000; i++) {
		REQUIRE_EQ(cohort_conn_recv_bytes(j.b, &data, &size, joined_patience()), 0);
		REQUIRE_EQ(size, next_size(&seed));
	}
	pthread_join(thread, NULL);
	joined_close(&j);
}

TEST(conn, holds_what_is_put_until_it_is_flushed)
{
	struct joined j = joined_open();

	CHECK_EQ(cohort_conn_put_bytes(j.a, "one", 3, COHORT_NOW), 0);
	CHECK_EQ(cohort_conn_put_bytes(j.a, "two", 3, COHORT_NOW), 0);
	CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
	CHECK_EQ(cohort_conn_flush(j.a, COHORT_FOREVER), 0);
	expect_bytes(j.b, "one", 3);
	expect_bytes(j.b, "two", 3);
	CHECK_EQ(cohort_conn_flush(j.a, COHORT_NOW), 0);
	joined_close(&j);
}

TEST(conn, sends_what_was_put_when_64_KiB_are_held_or_more_is_sent)
{
	struct joined j = joined_open();
	char block[1024] = "";

	for (int i = 0; i < 64; i++)
		CHECK_EQ(cohort_conn_put_bytes(j.a, block, sizeof block, COHORT_FOREVER), 0);
	for (int i = 0; i < 63; i++)
		expect_bytes(j.b, block, sizeof block);
	CHECK_EQ(cohort_conn_put_bytes(j.b, "first", 5, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.b, "second", 6, COHORT_FOREVER), 0);
	expect_bytes(j.a, "first", 5);
	expect_bytes(j.a, "second", 6);
	joined_close(&j);
}

TEST(conn, sends_what_was_put_before_it_waits)
{
	struct joined j = joined_open();
	struct cohort_wait_item item = {.conn = j.a};
	const void *data;
	size_t size;

	CHECK_EQ(cohort_conn_put_bytes(j.a, "r", 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_recv_bytes(j.a, &data, &size, COHORT_NOW), COHORT_ETIMEDOUT);
	expect_bytes(j.b, "r", 1);
	CHECK_EQ(cohort_conn_put_bytes(j.a, "p", 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(j.a, COHORT_NOW), 0);
	expect_bytes(j.b, "p", 1);
	CHECK_EQ(cohort_conn_put_bytes(j.a, "w", 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_wait(&item, 1, COHORT_NOW), 0);
	expect_bytes(j.b, "w", 1);
	joined_close(&j);
}

TEST(conn, keeps_a_message_that_was_asked_for_as_the_other_kind)
{
	struct joined j = joined_open();
	struct cohort_message *m = message("i"), *got = message("i");
	const void *data;
	size_t size;
	int32_t v = 42;

	CHECK_EQ(cohort_message_pack(m, 0, &v), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "raw", 3, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_send(j.a, m, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_recv(j.b, got, joined_patience()), COHORT_ESTATE);
	CHECK_HAS(cohort_conn_error(j.b), "plain bytes");
	expect_bytes(j.b, "raw", 3);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, joined_patience()), COHORT_ESTATE);
	CHECK_EQ(cohort_conn_recv(j.b, got, joined_patience()), 0);
	v = 0;
	CHECK_EQ(cohort_message_unpack(got, 0, &v), 1);
	CHECK_EQ(v, 42);
	cohort_message_free(m);
	cohort_message_free(got);
	joined_close(&j);
}

TEST(conn, drops_a_message_of_another_format_and_goes_on)
{
	struct joined j = joined_open();
	struct cohort_message *m = message("i"), *other = message("s");
	int32_t v = 7;

	CHECK_EQ(cohort_message_pack(m, 0, &v), 0);
	CHECK_EQ(cohort_conn_put(j.a, m, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_send(j.a, m, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_recv(j.b, other, joined_patience()), COHORT_EFORMAT);
	CHECK_HAS(cohort_conn_error(j.b), cohort_conn_peer(j.b));
	CHECK_EQ(cohort_conn_recv(j.b, m, joined_patience()), 0);
	cohort_message_free(m);
	cohort_message_free(other);
	joined_close(&j);
}

TEST(conn, drops_an_image_that_is_not_valid_and_goes_on)
{
	struct joined j = joined_open();
	struct cohort_message *m = message("B");
	/* tpl, flags, 19 bytes in all, format "B", and a B of 4 GiB - 1 bytes */
	static const unsigned char bad[] = {
	    't', 'p', 'l', 0, 14, 0, 0, 0, 'B', 0, 0xff, 0xff, 0xff, 0xff};

	joined_raw_header(j.a, COH_FRAME_MESSAGE, sizeof bad);
	joined_raw(j.a, bad, sizeof bad);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "next", 4, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_recv(j.b, m, joined_patience()), COHORT_ECODEC);
	expect_bytes(j.b, "next", 4);
	cohort_message_free(m);
	joined_close(&j);
}

TEST(conn, refuses_to_send_what_is_not_packed)
{
	struct joined j = joined_open();
	struct cohort_message *m = message("i");

	CHECK_EQ(cohort_conn_send(j.a, m, COHORT_FOREVER), COHORT_ESTATE);
	CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
	cohort_message_free(m);
	joined_close(&j);
}

/* After SIZE raw bytes the connection has ended with CODE, for every call and for good. */
static void expect_end(const void *raw, size_t size, int code)
{
	struct joined j = joined_open();
	const void *data;
	size_t n;

	joined_raw(j.a, raw, size);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &n, joined_patience()), code);
	CHECK_HAS(cohort_conn_error(j.b), cohort_conn_peer(j.b));
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &n, joined_patience()), code);
	CHECK_EQ(cohort_conn_send_bytes(j.b, "x", 1, joined_patience()), code);
	CHECK_EQ(cohort_conn_flush(j.b, joined_patience()), code);
	CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 1);
	CHECK(j.b->in.cap <= 64 << 10);
	joined_close(&j);
}

TEST(conn, ends_at_bytes_that_are_no_frame)
{
	struct coh_frame f = {.type = COH_FRAME_BYTES, .length = 1};
	unsigned char h[COH_FRAME_SIZE];

	expect_end("GET / HTTP/1.1\r\n", 16, COHORT_EPROTOCOL);
	expect_end("\x16\x03\x01", 3, COHORT_EPROTOCOL);
	expect_end("C?", 2, COHORT_EPROTOCOL);
	coh_frame_encode(&f, h);
	h[2] = 9;
	expect_end(h, sizeof h, COHORT_EVERSION);
	f.length = UINT32_MAX;
	coh_frame_encode(&f, h);
	expect_end(h, sizeof h, COHORT_ETOOBIG);
	f = (struct coh_frame){.type = COH_FRAME_TASK, .length = 1};
	coh_frame_encode(&f, h);
	expect_end(h, sizeof h, COHORT_EPROTOCOL);
	f.type = COH_FRAME_CLIENT_HELLO;
	coh_frame_encode(&f, h);
	expect_end(h, sizeof h, COHORT_EPROTOCOL);
}

TEST(conn, gives_a_large_claim_no_memory_before_its_bytes_come)
{
	struct joined j = joined_open();
	static const unsigned char part[100000];
	const void *data;
	size_t size;

	j.b->session.on = false; /* with one the claim alone is refused */
	joined_raw_header(j.a, COH_FRAME_BYTES, COHORT_MESSAGE_MAX);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK(j.b->in.cap <= 64 << 10);
	joined_raw(j.a, part, sizeof part);
	CHECK_EQ(cohort_conn_poll(j.b, cohort_in(50 * COHORT_MS)), 0);
	CHECK(j.b->in.cap <= 2 * (sizeof part + COH_FRAME_SIZE));
	joined_close(&j);
}

TEST(conn, gives_memory_back_that_a_large_message_earned)
{
	struct joined j = joined_open();
	size_t size = 8 << 20;
	unsigned char *data = noise(size);
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, echo, j.b), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, data, size, COHORT_FOREVER), 0);
	expect_bytes(j.a, data, size);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "x", 1, COHORT_FOREVER), 0);
	expect_bytes(j.a, "x", 1);
	CHECK(j.a->in.cap <= 4 << 20);
	CHECK(j.a->out.held.cap <= 4 << 20);
	cohort_conn_close(j.a);
	pthread_join(thread, NULL);
	free(data);
}

TEST(conn, finds_the_frames_wherever_the_bytes_are_split)
{
	struct joined j = joined_open(), k = joined_open();
	unsigned char wire[64 << 10];
	size_t n, at, part;
	ssize_t got;
	int seen = 0;

	for (int i = 0; i < 300; i++)
		REQUIRE_EQ(cohort_conn_put_bytes(j.a, wire, (size_t)i / 2, COHORT_FOREVER), 0);
	REQUIRE_EQ(cohort_conn_flush(j.a, COHORT_FOREVER), 0);
	for (n = 0; n < 300 * 24 + 150 * 149; n += (size_t)got) {
		got = j.b->ops->read(j.b->self, wire + n, sizeof wire - n, joined_patience());
		REQUIRE(got > 0);
	}
	for (at = 0; at < n; at += part) {
		part = 1 + (size_t)test_random_below(70);
		part = part < n - at ? part : n - at;
		joined_raw(k.a, wire + at, part);
		while (cohort_conn_poll(k.b, COHORT_NOW)) {
			const void *data;
			size_t size;

			REQUIRE_EQ(cohort_conn_recv_bytes(k.b, &data, &size, COHORT_NOW), 0);
			REQUIRE_EQ(size, seen / 2);
			seen++;
		}
	}
	CHECK_EQ(cohort_conn_poll(k.b, cohort_in(COHORT_MS)), 0);
	CHECK_EQ(seen, 300);
	joined_close(&j);
	joined_close(&k);
}

TEST(conn, answers_a_ping_while_it_receives)
{
	struct joined j = joined_open();
	struct coh_frame f = {.type = COH_FRAME_PING, .id = 77};
	char text[] = "echo me";
	struct iovec body = {text, 7};
	const void *data;
	size_t size;

	CHECK_EQ(coh_conn_put_frame(j.a, &f, &body, 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "m", 1, COHORT_FOREVER), 0);
	expect_bytes(j.b, "m", 1);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, COHORT_NOW), COHORT_ETIMEDOUT);
	REQUIRE_EQ(coh_conn_next_frame(j.a, &f, &data, joined_patience()), 0);
	CHECK_EQ(f.type, COH_FRAME_PONG);
	CHECK_EQ(f.id, 77);
	REQUIRE_EQ(f.length, 7);
	CHECK_MEM(data, "echo me", 7);
	joined_close(&j);
}

TEST(conn, shows_no_pong_to_the_user)
{
	struct joined j = joined_open();
	struct coh_frame f = {.type = COH_FRAME_PONG};

	CHECK_EQ(coh_conn_put_frame(j.a, &f, NULL, 0, COHORT_NOW), 0);
	CHECK_EQ(coh_conn_push(j.a), 0);
	CHECK_EQ(cohort_conn_poll(j.b, cohort_in(20 * COHORT_MS)), 0);
	CHECK_EQ(coh_conn_put_frame(j.a, &f, NULL, 0, COHORT_NOW), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "m", 1, COHORT_FOREVER), 0);
	expect_bytes(j.b, "m", 1);
	joined_close(&j);
}

TEST(conn, does_not_hoard_answers_for_one_who_only_pings)
{
	struct joined j = joined_open();
	static char big[60 << 10];
	struct coh_frame f = {.type = COH_FRAME_PING};
	struct iovec body = {big, sizeof big};

	for (int i = 0; i < 400; i++) {
		(void)coh_conn_put_frame(j.a, &f, &body, 1, cohort_in(COHORT_MS));
		(void)cohort_conn_poll(j.b, COHORT_NOW);
	}
	CHECK(coh_conn_pending(j.b) <= 512 << 10);
	joined_close(&j);
}

/* Open, send and receive a small and a large message over a pair; -ENOMEM as soon as one says so. */
static int every_step(void *arg)
{
	struct cohort_conn *a = NULL, *b = NULL;
	struct cohort_message *m = NULL;
	static const char block[100000];
	const char *word = "w";
	const void *data;
	size_t size;
	int rc = strcmp(joined_kind(), "memory") == 0 ? cohort_conn_memory(&a, &b, NULL)
						      : cohort_conn_pair(&a, &b, NULL);

	(void)arg;
	if (rc == 0)
		rc = cohort_message_new(&m, "s", NULL);
	if (rc == 0)
		rc = cohort_message_pack(m, 0, &word);
	if (rc == 0)
		rc = cohort_conn_send(a, m, joined_patience());
	if (rc == 0)
		rc = cohort_conn_recv(b, m, joined_patience());
	if (rc == 0)
		rc = cohort_conn_send_bytes(a, block, sizeof block, joined_patience());
	if (rc == 0)
		rc = cohort_conn_recv_bytes(b, &data, &size, joined_patience());
	if (rc == 0)
		CHECK_MEM(data, block, size);
	cohort_message_free(m);
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc;
}

TEST(conn, survives_every_failed_allocation)
{
	test_every_allocation(every_step, NULL);
}
