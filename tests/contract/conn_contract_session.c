/*
 * conn_contract_session.c - a session on a connection of any kind: signs of life, silence, frames that
 * never end.
 *
 * The spans are shortened by the private configuration; both ends are begun anew with them.
 */
#include "contract/joined.h"
#include "base/clock.h"
#include "support/test.h"
#include "wire/session.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BEAT (40 * COHORT_MS)
/* Of one who beats: long enough for a busy machine to let its thread run.  A sanitizer adds little to that. */
#define LIVELY (COHORT_SECOND * 3 / 8 + test_span(COHORT_SECOND / 8))
/* Of one who will never say anything: nothing depends on speed. */
#define SILENT (COHORT_SECOND / 4)

/* Both ends promise BEAT; a dead one is found after SILENCE. */
static struct joined joined_beating(cohort_time silence)
{
	struct joined j = joined_open();
	struct coh_session_config config = {
	    .beat_out = BEAT, .beat_in = BEAT, .silence = silence};

	coh_conn_begin_session(j.a, &config);
	coh_conn_begin_session(j.b, &config);
	return j;
}

static int receive(struct cohort_conn *c, cohort_time deadline)
{
	const void *data;
	size_t size;

	return cohort_conn_recv_bytes(c, &data, &size, deadline);
}

static void *wait_long(void *arg)
{
	CHECK_EQ(receive(arg, cohort_in(2 * LIVELY)), COHORT_ETIMEDOUT);
	return NULL;
}

TEST(conn_session, two_that_wait_keep_each_other_alive)
{
	struct joined j = joined_beating(LIVELY);
	struct cohort_wait_item item = {.conn = j.b};
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, wait_long, j.a), 0);
	CHECK_EQ(cohort_wait(&item, 1, cohort_in(LIVELY * 3 / 2)), 0);
	CHECK_EQ(cohort_conn_poll(j.b, cohort_in(LIVELY / 4)), 0);
	pthread_join(thread, NULL);
	joined_close(&j);
}

/* What each call says of a peer that is silent, and says again. */
static void expect_silent(struct cohort_conn *c)
{
	CHECK_EQ(receive(c, COHORT_NOW), COHORT_ESILENT);
	CHECK_HAS(cohort_conn_error(c), "sign of life every 0.0 s");
	CHECK_EQ(cohort_conn_send_bytes(c, "x", 1, COHORT_FOREVER), COHORT_ESILENT);
	CHECK_EQ(cohort_conn_poll(c, COHORT_NOW), 1);
}

TEST(conn_session, a_silent_peer_is_found_by_every_call_that_waits)
{
	for (int i = 0; i < 3; i++) {
		struct joined j = joined_beating(SILENT);
		struct cohort_wait_item item = {.conn = j.b};
		cohort_time start = cohort_now();

		if (i == 0)
			CHECK_EQ(receive(j.b, COHORT_FOREVER), COHORT_ESILENT);
		else if (i == 1)
			CHECK_EQ(cohort_wait(&item, 1, COHORT_FOREVER), 1);
		else
			CHECK_EQ(cohort_conn_poll(j.b, COHORT_FOREVER), 1);
		CHECK(cohort_now() - start >= SILENT);
		expect_silent(j.b);
		joined_close(&j);
	}
}

TEST(conn_session, a_silent_peer_is_found_while_sending_to_it)
{
	struct joined j = joined_beating(SILENT);
	char *block = calloc(1, 32 << 20);

	REQUIRE(block != NULL);
	CHECK_EQ(cohort_conn_send_bytes(j.b, block, 32 << 20, COHORT_FOREVER), COHORT_ESILENT);
	expect_silent(j.b);
	free(block);
	joined_close(&j);
}

TEST(conn_session, what_a_dead_peer_said_is_received_first)
{
	struct joined j = joined_beating(SILENT);
	cohort_time next;

	CHECK_EQ(cohort_conn_send_bytes(j.a, "last words", 10, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	for (int i = 0; i < 4 * SILENT / BEAT; i++)
		CHECK_EQ(coh_conn_tick(j.b, cohort_now() + i * BEAT, &next), 0);
	CHECK_EQ(receive(j.b, COHORT_NOW), 0);
	CHECK_EQ(receive(j.b, COHORT_FOREVER), COHORT_ESILENT);
	joined_close(&j);
}

TEST(conn_session, a_frame_begun_and_not_finished_ends_it)
{
	struct joined j = joined_open();
	struct coh_session_config config = {.frame = SILENT};
	cohort_time start;

	coh_conn_begin_session(j.b, &config);
	joined_raw_header(j.a, COH_FRAME_BYTES, 8);
	start = cohort_now();
	CHECK_EQ(receive(j.b, COHORT_FOREVER), COHORT_ESTALLED);
	CHECK(cohort_now() - start >= config.frame);
	CHECK_HAS(cohort_conn_error(j.b), "did not finish it within");
	CHECK_EQ(receive(j.b, COHORT_FOREVER), COHORT_ESTALLED);
	joined_close(&j);
}

/* A loop of a user's own. */
static int loop(struct cohort_conn *c, cohort_time until)
{
	struct pollfd p = {.fd = cohort_conn_fd(c)};
	cohort_time next;
	struct timespec ts;

	while (!cohort_conn_step(c, &next)) {
		if (cohort_now() >= until)
			return 0;
		ts = coh_clock_timespec(coh_clock_left(next < until ? next : until));
		p.events = cohort_conn_events(c);
		REQUIRE(ppoll(&p, 1, &ts, NULL) >= 0);
	}
	return receive(c, COHORT_NOW);
}

TEST(conn_session, a_loop_of_ones_own_beats_and_finds_silence)
{
	struct joined j = joined_beating(LIVELY);
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, wait_long, j.a), 0);
	CHECK_EQ(loop(j.b, cohort_in(LIVELY * 7 / 4)), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(loop(j.b, COHORT_FOREVER), COHORT_ESILENT);
	joined_close(&j);
}

TEST(conn_session, step_tells_of_messages_and_of_the_end)
{
	struct joined j = joined_open();
	cohort_time next = 0;

	CHECK_EQ(cohort_conn_step(j.b, NULL), 0);
	CHECK_EQ(cohort_conn_put_bytes(j.a, "put", 3, COHORT_NOW), 0);
	CHECK_EQ(cohort_conn_step(j.a, &next), 0);
	CHECK_EQ(next, COHORT_FOREVER);
	CHECK_EQ(loop(j.b, joined_patience()), 0);
	cohort_conn_close(j.a);
	j.a = NULL;
	CHECK_EQ(loop(j.b, joined_patience()), COHORT_EOF);
	joined_close(&j);
}

TEST(conn_session, a_stopped_process_is_found_and_one_that_goes_on_is_not)
{
	struct joined j;
	pid_t pid;

	if (strcmp(joined_kind(), "memory") == 0)
		return; /* two processes have no memory in common */
	j = joined_beating(LIVELY);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		receive(j.a, COHORT_FOREVER);
		_exit(0);
	}
	cohort_conn_close(j.a);
	j.a = NULL;
	CHECK_EQ(receive(j.b, cohort_in(2 * LIVELY)), COHORT_ETIMEDOUT);
	kill(pid, SIGSTOP);
	CHECK_EQ(receive(j.b, COHORT_FOREVER), COHORT_ESILENT);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	joined_close(&j);
}

/* ---- lanes and windows ---- */

struct sending {
	struct cohort_conn *conn;
	const unsigned char *data;
	size_t size;
	int rc;
};

static void *send_all(void *arg)
{
	struct sending *s = arg;

	s->rc = cohort_conn_send_bytes(s->conn, s->data, s->size, joined_patience());
	return NULL;
}

static struct joined joined_session(void)
{
	struct joined j = joined_open();
	struct coh_session_config config = {0};

	coh_conn_begin_session(j.a, &config);
	coh_conn_begin_session(j.b, &config);
	return j;
}

/* Send all, and only then receive as much, which must be the same. */
static void *send_then_receive(void *arg)
{
	struct sending *s = arg;
	const void *in;
	size_t got;

	CHECK_EQ(cohort_conn_send_bytes(s->conn, s->data, s->size, joined_patience()), 0);
	REQUIRE_EQ(cohort_conn_recv_bytes(s->conn, &in, &got, joined_patience()), 0);
	CHECK(got == s->size && memcmp(in, s->data, got) == 0);
	return NULL;
}

TEST_TIMEOUT(conn_session, both_ends_may_send_much_before_they_read, 60)
{
	struct joined j = joined_session();
	size_t size = 10 << 20;
	unsigned char *data = malloc(size);
	struct sending a = {j.a, data, size, -1}, b = {j.b, data, size, -1};
	pthread_t thread;

	REQUIRE(data != NULL);
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 31 >> 4);
	REQUIRE_EQ(pthread_create(&thread, NULL, send_then_receive, &a), 0);
	send_then_receive(&b);
	pthread_join(thread, NULL);
	free(data);
	joined_close(&j);
}

TEST_TIMEOUT(conn_session, a_large_message_may_be_sent_back_from_where_it_lies, 60)
{
	struct joined j = joined_session();
	size_t size = 9 << 20;
	unsigned char *data = calloc(1, size);
	struct sending s = {j.a, data, size, -1}, again = {j.a, data, size, -1}, back = {.conn = j.b};
	const void *in;
	pthread_t thread;

	REQUIRE(data != NULL);
	memset(data, 7, size);
	REQUIRE_EQ(pthread_create(&thread, NULL, send_all, &s), 0);
	REQUIRE_EQ(cohort_conn_recv_bytes(j.b, &in, &back.size, joined_patience()), 0);
	pthread_join(thread, NULL);
	back.data = in;
	REQUIRE_EQ(pthread_create(&thread, NULL, send_then_receive, &again), 0);
	send_all(&back);
	CHECK_EQ(back.rc, 0);
	CHECK_EQ(receive(j.b, joined_patience()), 0);
	pthread_join(thread, NULL);
	free(data);
	joined_close(&j);
}

TEST(conn_session, one_that_does_not_take_is_sent_no_more_than_its_window)
{
	struct joined j = joined_session();
	static const unsigned char block[60000];
	size_t sent = 0;
	int n = 0;

	/* It reads, as one does who sends; it only takes nothing. */
	for (; sent < 64 << 20; sent += sizeof block, n++) {
		if (cohort_conn_put_bytes(j.a, block, sizeof block, COHORT_NOW) != 0)
			break;
		(void)coh_conn_push(j.a);
		while (coh_conn_hear(j.b))
			;
	}
	CHECK(sent <= COH_SESSION_WINDOW_ORDERED);
	CHECK(sent >= COH_SESSION_WINDOW_ORDERED - (256 << 10));
	CHECK_EQ(cohort_conn_put_bytes(j.a, "x", 1, cohort_in(30 * COHORT_MS)), 0);
	for (int i = 0; i < n; i++)
		REQUIRE_EQ(receive(j.b, joined_patience()), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, block, sizeof block, joined_patience()), 0);
	CHECK_EQ(receive(j.b, joined_patience()), 0);
	CHECK_EQ(receive(j.b, joined_patience()), 0);
	joined_close(&j);
}

/* A frame of the peer's with these fields ends the connection. */
static void expect_refused(const struct coh_frame *frames, int n, const char *why)
{
	static const unsigned char zeros[COH_SESSION_SLICE + 1]; /* the longest, a byte too long */
	struct coh_frame inner = {.type = COH_FRAME_BYTES, .length = 100000};
	struct joined j = joined_session();
	unsigned char h[COH_FRAME_SIZE];
	const void *data;
	size_t size;

	for (int i = 0; i < n; i++) {
		coh_frame_encode(&frames[i], h);
		joined_raw(j.a, h, sizeof h);
		coh_frame_encode(&inner, h);
		if (frames[i].type == COH_FRAME_OPEN)
			joined_raw(j.a, h, frames[i].length);
		else
			joined_raw(j.a, zeros, frames[i].length);
	}
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, joined_patience()), COHORT_EPROTOCOL);
	CHECK_HAS(cohort_conn_error(j.b), why);
	joined_close(&j);
}

#define OPEN(total) {.type = COH_FRAME_OPEN, .length = COH_FRAME_SIZE, .id = (total)}
#define SLICE(bytes) {.type = COH_FRAME_SLICE, .length = (bytes)}

TEST(conn_session, hostile_slices_end_it)
{
	const struct coh_frame too_many[] = {OPEN(100000), SLICE(65536), SLICE(40000)};
	const struct coh_frame none[] = {SLICE(5)};
	const struct coh_frame empty[] = {OPEN(100000), SLICE(0)};
	const struct coh_frame twice[] = {OPEN(100000), SLICE(65536), OPEN(100000)};
	const struct coh_frame other_size[] = {OPEN(200000)};
	const struct coh_frame lane[] = {
	    {.type = COH_FRAME_OPEN, .length = COH_FRAME_SIZE, .id = 100000, .channel = 7}};
	const struct coh_frame whole[] = {{.type = COH_FRAME_BYTES, .length = 65537}};
	const struct coh_frame credit[] = {{.type = COH_FRAME_CREDIT, .id = 1}};
	const struct coh_frame credits[] = {{.type = COH_FRAME_CREDIT, .channel = 2}};

	expect_refused(too_many, 3, "more bytes than its OPEN announced");
	expect_refused(none, 1, "no OPEN came before it");
	expect_refused(empty, 2, "or none");
	expect_refused(twice, 3, "the one before it is not finished");
	expect_refused(other_size, 1, "announces no frame");
	expect_refused(lane, 1, "in this lane");
	expect_refused(whole, 1, "not in slices");
	expect_refused(credit, 1, "gives back more");
	expect_refused(credits, 1, "gives back more");
}

TEST(conn_session, a_transfer_that_is_given_up_costs_that_message_alone)
{
	struct joined j = joined_session();
	struct coh_frame open = OPEN(100000), part = SLICE(1000);
	struct coh_frame up = {.type = COH_FRAME_SLICE, .length = 4, .flags = COH_SLICE_GIVEN_UP};
	struct coh_frame inner = {.type = COH_FRAME_BYTES, .length = 100000};
	static const unsigned char zeros[1000];
	unsigned char h[COH_FRAME_SIZE];

	coh_frame_encode(&open, h);
	joined_raw(j.a, h, sizeof h);
	coh_frame_encode(&inner, h);
	joined_raw(j.a, h, sizeof h);
	coh_frame_encode(&part, h);
	joined_raw(j.a, h, sizeof h);
	joined_raw(j.a, zeros, 1000);
	coh_frame_encode(&up, h);
	joined_raw(j.a, h, sizeof h);
	joined_raw(j.a, zeros, 4);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "next", 4, COHORT_FOREVER), 0);
	CHECK_EQ(receive(j.b, joined_patience()), 0);
	joined_close(&j);
}

TEST(conn_session, an_end_between_two_slices_is_in_the_middle_of_a_message)
{
	struct joined j = joined_session();
	struct coh_frame open = OPEN(100000), inner = {.type = COH_FRAME_BYTES, .length = 100000};
	unsigned char h[COH_FRAME_SIZE];

	coh_frame_encode(&open, h);
	joined_raw(j.a, h, sizeof h);
	coh_frame_encode(&inner, h);
	joined_raw(j.a, h, sizeof h);
	CHECK_EQ(receive(j.b, cohort_in(30 * COHORT_MS)), COHORT_ETIMEDOUT);
	cohort_conn_close(j.a);
	j.a = NULL;
	CHECK_EQ(receive(j.b, joined_patience()), COHORT_ETRUNCATED);
	joined_close(&j);
}

TEST(conn_session, an_idle_connection_holds_next_to_nothing)
{
	struct joined j = joined_session();
	static const unsigned char block[300000];
	struct sending s = {j.a, block, sizeof block, -1};
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, send_all, &s), 0);
	CHECK_EQ(receive(j.b, joined_patience()), 0);
	pthread_join(thread, NULL);
	CHECK_EQ(receive(j.b, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(receive(j.a, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK(j.b->in.data == NULL && j.b->in.parts == NULL && j.b->out.held.data == NULL);
	CHECK(j.a->in.data == NULL && j.a->out.held.data == NULL);
	CHECK(sizeof *j.a + sizeof *j.a->error <= 2048);
	joined_close(&j);
}
