/*
 * conn_contract_lanes.c - what becomes of large messages, slow readers, deadlines and memory that is not
 * there, on a connection with a session.
 */
#include "base/mem.h"
#include "contract/joined.h"
#include "support/test.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BEAT (40 * COHORT_MS)
#define MANY 100 /* connections, of two ends each */

static struct joined joined_with(const struct coh_session_config *config)
{
	struct joined j = joined_open();

	coh_conn_begin_session(j.a, config);
	coh_conn_begin_session(j.b, config);
	return j;
}

static struct joined joined_lanes(void)
{
	return joined_with(&(struct coh_session_config){0});
}

struct sending {
	struct cohort_conn *conn;
	const void *data;
	size_t size;
};

static void *send_all(void *arg)
{
	struct sending *s = arg;

	CHECK_EQ(cohort_conn_send_bytes(s->conn, s->data, s->size, joined_patience()), 0);
	return NULL;
}

static unsigned char *pattern(size_t size)
{
	unsigned char *p = malloc(size);

	REQUIRE(p != NULL);
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)(i * 31 >> 4);
	return p;
}

static void expect(struct cohort_conn *c, const void *data, size_t size)
{
	const void *in;
	size_t got;

	REQUIRE_EQ(cohort_conn_recv_bytes(c, &in, &got, joined_patience()), 0);
	CHECK(got == size && memcmp(in, data, size) == 0);
}

/* It takes one read in a millisecond, so that this lasts longer than a silence is borne. */
TEST_TIMEOUT(conn_lanes, beats_go_on_while_a_slow_reader_takes_a_large_message, 120)
{
	cohort_time silence = test_span(COHORT_SECOND / 4), start = cohort_now();
	struct joined j = joined_with(
	    &(struct coh_session_config){.beat_out = BEAT, .beat_in = BEAT, .silence = silence});
	struct joined idle = joined_open();
	size_t size = COHORT_MESSAGE_MAX, got = 0;
	unsigned char *data = pattern(size);
	struct sending s = {j.a, data, size};
	const void *in = NULL, *none;
	size_t nothing;
	pthread_t thread;
	int rc;

	REQUIRE_EQ(pthread_create(&thread, NULL, send_all, &s), 0);
	while ((rc = cohort_conn_recv_bytes(j.b, &in, &got, COHORT_NOW)) == COHORT_ETIMEDOUT)
		CHECK_EQ(cohort_conn_recv_bytes(idle.b, &none, &nothing, cohort_in(COHORT_MS)),
		    COHORT_ETIMEDOUT);
	CHECK_EQ(rc, 0);
	CHECK(got == size && memcmp(in, data, size) == 0);
	CHECK(cohort_now() - start > silence);
	pthread_join(thread, NULL);
	free(data);
	joined_close(&idle);
	joined_close(&j);
}

TEST_TIMEOUT(conn_lanes, a_message_begun_before_its_deadline_goes_whole_and_the_next_behind_it, 60)
{
	struct joined j = joined_lanes();
	size_t size = 9 << 20;
	unsigned char *data = pattern(size);
	struct sending next = {j.a, "next", 4};
	pthread_t thread;

	CHECK_EQ(cohort_conn_send_bytes(j.a, data, size, cohort_in(30 * COHORT_MS)), 0);
	CHECK(coh_conn_pending(j.a) != 0);
	CHECK_EQ(
	    cohort_conn_send_bytes(j.a, "lost", 4, cohort_in(30 * COHORT_MS)), COHORT_ETIMEDOUT);
	REQUIRE_EQ(pthread_create(&thread, NULL, send_all, &next), 0);
	expect(j.b, data, size);
	expect(j.b, "next", 4);
	pthread_join(thread, NULL);
	free(data);
	joined_close(&j);
}

/* A user's, who goes on although they are told that there is no room. */
static void put_in_vain(struct cohort_conn *c, const void *block, size_t size)
{
	size_t held;
	int rc;

	for (int refused = 0; refused < 100; refused += rc != 0) {
		held = coh_conn_pending(c);
		rc = cohort_conn_put_bytes(c, block, size, COHORT_NOW);
		REQUIRE(rc == 0 || rc == COHORT_ETIMEDOUT);
		CHECK(rc == 0 || coh_conn_pending(c) <= held);
		REQUIRE(coh_conn_pending(c) <= 8 << 20);
	}
}

TEST(conn_lanes, what_is_put_for_one_who_does_not_read_is_refused_before_it_is_much)
{
	static unsigned char block[2 << 20];
	static const size_t sizes[] = {100, 60000, sizeof block};
	struct coh_frame f = {.type = COH_FRAME_BYTES};
	struct iovec body = {block, sizeof block};
	struct joined j;
	int rc;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		j = joined_lanes();
		put_in_vain(j.a, block, sizes[i]);
		joined_close(&j);
	}
	j = joined_lanes();
	while ((rc = coh_conn_put_frame(j.a, &f, &body, 1, COHORT_NOW)) == 0)
		REQUIRE(coh_conn_pending(j.a) <= (64 << 20) + sizeof block + COH_FRAME_SIZE);
	CHECK_EQ(rc, COHORT_ETOOBIG);
	joined_close(&j);
}

/* Messages of both sizes over J, sent without waiting; each allocation that fails is tried again. */
static void carry(struct joined *j, const unsigned char *data, size_t size)
{
	static const size_t turns = 10000;
	const void *in;
	size_t got = 0, sent = 0, came = 0;

	for (size_t i = 0; i < turns && came < 6; i++) {
		size_t want = sent % 2 == 0 ? 1000 : size;
		int rc = sent < 6 ? cohort_conn_send_bytes(j->a, data, want, COHORT_NOW) : 0;

		CHECK(rc == 0 || rc == -ENOMEM || rc == COHORT_ETIMEDOUT);
		sent += rc == 0 && sent < 6;
		rc = coh_conn_push(j->a);
		if (rc < 0)
			break;
		rc = cohort_conn_recv_bytes(j->b, &in, &got, COHORT_NOW);
		if (rc == 0)
			CHECK(memcmp(in, data, got) == 0);
		came += rc == 0;
		if (rc != 0 && rc != -ENOMEM && rc != COHORT_ETIMEDOUT)
			break;
		(void)cohort_conn_poll(j->a, COHORT_NOW);
	}
	/* What was given up is sent again; only half a slice that could not be kept ends sending. */
	CHECK(came == 6 || coh_conn_failure(j->a) == -ENOMEM);
}

TEST_TIMEOUT(conn_lanes, survives_every_failed_allocation, 120)
{
	size_t size = 600000;
	unsigned char *data = pattern(size);
	unsigned long n = 1, count;

	do {
		struct joined j =
		    joined_with(&(struct coh_session_config){.window = {200000, 200000}});

		coh_mem_fail(n, COH_MEM_FAIL_ONCE);
		carry(&j, data, size);
		count = coh_mem_count();
		coh_mem_fail(0, COH_MEM_FAIL_ONCE);
		joined_close(&j);
	} while (count >= n++);
	CHECK(n > 3);
	free(data);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED false /* their allocator counts nothing */
#else
#define COUNTED true
#endif

TEST_TIMEOUT(conn_lanes, an_idle_end_costs_little_of_the_heap, 60)
{
	struct joined many[MANY], warm = joined_open();
	bool tls = strncmp(joined_kind(), "tls", 3) == 0;
	/* By certificates each end also keeps the peer's chain, and each dial here a context of its own. */
	size_t before, after, size;
	size_t most = strcmp(joined_kind(), "tlscert") == 0 ? 64 << 10 : tls ? 24 << 10 : 4 << 10;
	const void *data;

	if (!COUNTED || strcmp(joined_kind(), "memory") == 0) { /* its two ways are memory */
		joined_close(&warm);
		return;
	}
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (int i = 0; i < MANY; i++) {
		many[i] = joined_lanes();
		CHECK_EQ(
		    cohort_conn_recv_bytes(many[i].a, &data, &size, COHORT_NOW), COHORT_ETIMEDOUT);
		CHECK_EQ(
		    cohort_conn_recv_bytes(many[i].b, &data, &size, COHORT_NOW), COHORT_ETIMEDOUT);
	}
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	if (after > before && (after - before) / (2 * MANY) > most)
		FAIL("%zu bytes an end, %zu are allowed", (after - before) / (2 * MANY), most);
	for (int i = 0; i < MANY; i++)
		joined_close(&many[i]);
	joined_close(&warm);
}
