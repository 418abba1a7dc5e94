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

/* Both ends promise BEAT; a dead one is found after SILENCE. */
static struct joined joined_beating(cohort_time silence)
{
	struct joined j = joined_open();
	struct coh_session_config config = {
	    .beat_out = BEAT, .beat_in = BEAT, .silence = test_span(silence)};

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
	CHECK_EQ(receive(arg, cohort_in(test_span(COHORT_SECOND))), COHORT_ETIMEDOUT);
	return NULL;
}

TEST(conn_session, two_that_wait_keep_each_other_alive)
{
	struct joined j = joined_beating(COHORT_SECOND / 2);
	struct cohort_wait_item item = {.conn = j.b};
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, wait_long, j.a), 0);
	CHECK_EQ(cohort_wait(&item, 1, cohort_in(test_span(COHORT_SECOND * 3 / 4))), 0);
	CHECK_EQ(cohort_conn_poll(j.b, cohort_in(test_span(COHORT_SECOND / 8))), 0);
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
		struct joined j = joined_beating(COHORT_SECOND / 4);
		struct cohort_wait_item item = {.conn = j.b};
		cohort_time start = cohort_now();

		if (i == 0)
			CHECK_EQ(receive(j.b, COHORT_FOREVER), COHORT_ESILENT);
		else if (i == 1)
			CHECK_EQ(cohort_wait(&item, 1, COHORT_FOREVER), 1);
		else
			CHECK_EQ(cohort_conn_poll(j.b, COHORT_FOREVER), 1);
		CHECK(cohort_now() - start >= test_span(COHORT_SECOND / 4));
		expect_silent(j.b);
		joined_close(&j);
	}
}

TEST(conn_session, a_silent_peer_is_found_while_sending_to_it)
{
	struct joined j = joined_beating(COHORT_SECOND / 4);
	char *block = calloc(1, 32 << 20);

	REQUIRE(block != NULL);
	CHECK_EQ(cohort_conn_send_bytes(j.b, block, 32 << 20, COHORT_FOREVER), COHORT_ESILENT);
	expect_silent(j.b);
	free(block);
	joined_close(&j);
}

TEST(conn_session, what_a_dead_peer_said_is_received_first)
{
	struct joined j = joined_beating(COHORT_SECOND / 4);
	cohort_time next;

	CHECK_EQ(cohort_conn_send_bytes(j.a, "last words", 10, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(coh_conn_tick(j.b, cohort_now() + i * BEAT, &next), 0);
	CHECK_EQ(receive(j.b, COHORT_NOW), 0);
	CHECK_EQ(receive(j.b, COHORT_FOREVER), COHORT_ESILENT);
	joined_close(&j);
}

TEST(conn_session, a_frame_begun_and_not_finished_ends_it)
{
	struct joined j = joined_open();
	struct coh_session_config config = {.frame = test_span(COHORT_SECOND / 4)};
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
	struct joined j = joined_beating(COHORT_SECOND / 2);
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, wait_long, j.a), 0);
	CHECK_EQ(loop(j.b, cohort_in(test_span(COHORT_SECOND * 7 / 8))), 0);
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
	j = joined_beating(COHORT_SECOND / 2);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		receive(j.a, COHORT_FOREVER);
		_exit(0);
	}
	cohort_conn_close(j.a);
	j.a = NULL;
	CHECK_EQ(receive(j.b, cohort_in(test_span(COHORT_SECOND))), COHORT_ETIMEDOUT);
	kill(pid, SIGSTOP);
	CHECK_EQ(receive(j.b, COHORT_FOREVER), COHORT_ESILENT);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	joined_close(&j);
}
