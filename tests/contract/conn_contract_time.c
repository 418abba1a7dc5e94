/*
 * conn_contract_time.c - deadlines, ends, and waiting for many, whatever carries the connection.
 *
 * Times are checked from below exactly and from above generously: a busy machine is no fault.
 */
#include "contract/joined.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT (30 * COHORT_MS)

/* Nothing comes within SHORT, and no sooner is that said. */
static void expect_silence(struct cohort_conn *c)
{
	cohort_time start = cohort_now();
	const void *data;
	size_t size;

	CHECK_EQ(cohort_conn_recv_bytes(c, &data, &size, start + SHORT), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - start >= SHORT);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	CHECK_HAS(cohort_conn_error(c), "deadline");
}

static void expect_bytes(struct cohort_conn *c, const char *text)
{
	const void *got;
	size_t n;

	REQUIRE_EQ(cohort_conn_recv_bytes(c, &got, &n, joined_patience()), 0);
	if (CHECK_EQ(n, strlen(text)))
		CHECK_MEM(got, text, n);
}

static int receive(struct cohort_conn *c)
{
	const void *data;
	size_t size;

	return cohort_conn_recv_bytes(c, &data, &size, joined_patience());
}

/* Until J->b has a message, while what J->a holds goes on being sent. */
static void await_message(struct joined *j)
{
	struct cohort_wait_item items[2] = {{.conn = j->b}, {.conn = j->a}};

	REQUIRE_EQ(cohort_wait(items, 2, joined_patience()), 1);
	REQUIRE(items[0].ready);
}

TEST(conn_time, receive_keeps_its_deadline)
{
	struct joined j = joined_open();

	expect_silence(j.b);
	CHECK_EQ(cohort_conn_poll(j.b, cohort_in(SHORT)), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "late", 4, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	expect_bytes(j.b, "late");
	joined_close(&j);
}

TEST(conn_time, an_unfinished_message_times_out_and_is_received_when_whole)
{
	struct joined j = joined_open();

	joined_raw_header(j.a, COH_FRAME_BYTES, 8);
	joined_raw(j.a, "half", 4);
	expect_silence(j.b);
	CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
	joined_raw(j.a, "half", 4);
	expect_bytes(j.b, "halfhalf");
	joined_close(&j);
}

TEST(conn_time, a_passed_deadline_still_takes_what_is_there)
{
	struct joined j = joined_open();
	const void *data;
	size_t size;

	CHECK_EQ(cohort_conn_send_bytes(j.a, "there", 5, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, COHORT_NOW), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "there", 5, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, cohort_now() - 1), 0);
	joined_close(&j);
}

TEST(conn_time, receive_without_end_waits_until_something_comes)
{
	struct joined j = joined_open();
	const void *data;
	size_t size;
	pid_t pid;

	if (strcmp(joined_kind(), "memory") == 0) {
		joined_close(&j);
		return; /* two processes have no memory in common */
	}
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		(void)cohort_conn_poll(j.a, cohort_in(SHORT));
		_exit(cohort_conn_send_bytes(j.a, "at last", 7, COHORT_FOREVER) == 0 ? 0 : 1);
	}
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, COHORT_FOREVER), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	joined_close(&j);
}

/* Sizes of the Nth message, small ones and some larger than what a transport holds at once. */
static size_t nth_size(int n)
{
	return n % 7 == 6 ? 150000 : n % 3 == 2 ? 20000 : 100;
}

/*
 * Send to one who does not read, until nothing more is taken for a while; then all that was
 * taken, and nothing else, must arrive.
 */
static void fill_and_drain(int (*give)(struct cohort_conn *, const void *, size_t, cohort_time))
{
	struct joined j = joined_open();
	unsigned char *block = calloc(1, 150000);
	cohort_time start;
	const void *data;
	size_t size;
	int sent = 0, refused = 0, rc;

	REQUIRE(block != NULL);
	for (; refused < 3; refused += rc == COHORT_ETIMEDOUT, sent += rc == 0) {
		memcpy(block, &sent, sizeof sent);
		start = cohort_now();
		rc = give(j.a, block, nth_size(sent), start + COHORT_MS);
		REQUIRE(rc == 0 || rc == COHORT_ETIMEDOUT);
		CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	}
	for (int i = 0; i < sent; i++) {
		await_message(&j);
		REQUIRE_EQ(cohort_conn_recv_bytes(j.b, &data, &size, joined_patience()), 0);
		REQUIRE_EQ(size, nth_size(i));
		REQUIRE(memcmp(data, &i, sizeof i) == 0);
	}
	CHECK_EQ(cohort_conn_flush(j.a, COHORT_NOW), 0);
	CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "on", 2, joined_patience()), 0);
	expect_bytes(j.b, "on");
	free(block);
	joined_close(&j);
}

TEST(conn_time, a_send_that_times_out_sent_nothing_and_one_that_did_not_sent_all)
{
	fill_and_drain(cohort_conn_send_bytes);
}

TEST(conn_time, a_put_that_times_out_sent_nothing_and_one_that_did_not_sent_all)
{
	fill_and_drain(cohort_conn_put_bytes);
}

TEST(conn_time, frames_put_without_waiting_are_kept_up_to_a_limit)
{
	struct joined j = joined_open();
	static char block[1 << 20];
	struct iovec body = {block, sizeof block};
	struct coh_frame f = {.type = COH_FRAME_BYTES};
	int sent = 0, rc;

	while ((rc = coh_conn_put_frame(j.a, &f, &body, 1, COHORT_NOW)) == 0 && sent < 200)
		sent++;
	CHECK_EQ(rc, COHORT_ETOOBIG);
	CHECK(sent >= 64 && coh_conn_pending(j.a) <= 66 << 20);
	for (int i = 0; i < sent; i++) {
		await_message(&j);
		REQUIRE_EQ(receive(j.b), 0);
	}
	CHECK_EQ(coh_conn_pending(j.a), 0);
	joined_close(&j);
}

TEST(conn_time, a_close_between_messages_is_the_end_of_the_stream)
{
	struct joined j = joined_open();

	CHECK_EQ(cohort_conn_send_bytes(j.a, "last", 4, COHORT_FOREVER), 0);
	cohort_conn_close(j.a);
	j.a = NULL;
	expect_bytes(j.b, "last");
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	CHECK_EQ(receive(j.b), COHORT_EOF);
	CHECK_EQ(receive(j.b), COHORT_EOF);
	CHECK_EQ(coh_conn_failure(j.b), COHORT_EOF);
	CHECK_EQ(cohort_conn_send_bytes(j.b, "x", 1, COHORT_FOREVER), COHORT_EOF);
	joined_close(&j);
}

TEST(conn_time, a_close_within_a_message_is_a_truncation_at_every_byte)
{
	struct coh_frame f = {.type = COH_FRAME_BYTES, .length = 5};
	unsigned char frame[COH_FRAME_SIZE + 5] = "";

	coh_frame_encode(&f, frame);
	for (size_t cut = 1; cut < sizeof frame; cut++) {
		struct joined j = joined_open();

		CHECK_EQ(cohort_conn_send_bytes(j.a, "whole", 5, COHORT_FOREVER), 0);
		joined_raw(j.a, frame, cut);
		cohort_conn_close(j.a);
		j.a = NULL;
		expect_bytes(j.b, "whole");
		CHECK_EQ(receive(j.b), COHORT_ETRUNCATED);
		CHECK_EQ(receive(j.b), COHORT_ETRUNCATED);
		joined_close(&j);
	}
}

TEST(conn_time, a_peer_that_goes_without_reading_is_a_reset)
{
	struct joined j = joined_open();

	CHECK_EQ(cohort_conn_send_bytes(j.b, "before", 6, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "never read", 10, COHORT_FOREVER), 0);
	/* There for certain: b could read it now. */
	CHECK_EQ(cohort_conn_poll(j.a, joined_patience()), 1);
	CHECK(coh_conn_fd(j.b) >= 0);
	struct cohort_wait_item arrived = {.fd = coh_conn_fd(j.b)};
	CHECK_EQ(cohort_wait(&arrived, 1, joined_patience()), 1);
	cohort_conn_close(j.b);
	j.b = NULL;
	expect_bytes(j.a, "before");
	CHECK_EQ(receive(j.a), COHORT_EPEER);
	CHECK_EQ(receive(j.a), COHORT_EPEER);
	joined_close(&j);
}

TEST(conn_time, sending_to_one_who_is_gone_fails_and_what_it_said_can_be_received)
{
	struct joined j = joined_open();
	int rc = 0;

	CHECK_EQ(cohort_conn_send_bytes(j.b, "farewell", 8, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(j.a, joined_patience()), 1);
	cohort_conn_close(j.b);
	j.b = NULL;
	/* Over TCP the first send still finds a socket that hears of the end only by it. */
	for (cohort_time end = joined_patience(); rc == 0 && cohort_now() < end;)
		rc = cohort_conn_send_bytes(j.a, "hello?", 6, COHORT_FOREVER);
	CHECK_EQ(rc, COHORT_EPEER);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "hello?", 6, COHORT_FOREVER), COHORT_EPEER);
	expect_bytes(j.a, "farewell");
	rc = receive(j.a);
	CHECK(rc == COHORT_EOF || rc == COHORT_EPEER);
	joined_close(&j);
}

TEST(conn_time, a_peer_killed_within_a_message_is_a_truncation)
{
	struct joined j;
	pid_t pid;
	int status;

	if (strcmp(joined_kind(), "memory") == 0)
		return; /* two processes have no memory in common */
	j = joined_open();
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		joined_raw_header(j.a, COH_FRAME_BYTES, 1000);
		joined_raw(j.a, "some", 4);
		raise(SIGKILL);
		_exit(1);
	}
	cohort_conn_close(j.a);
	j.a = NULL;
	CHECK_EQ(receive(j.b), COHORT_ETRUNCATED);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	joined_close(&j);
}

static atomic_int interruptions;

static void interrupted(int sig)
{
	(void)sig;
	atomic_fetch_add(&interruptions, 1);
}

struct nagger {
	pthread_t whom;
	struct cohort_conn *conn;
};

/* Interrupts the other thread until it has been, then sends. */
static void *nag(void *arg)
{
	struct nagger *n = arg;

	while (interruptions < 50) {
		pthread_kill(n->whom, SIGUSR1);
		sched_yield();
	}
	CHECK_EQ(cohort_conn_send_bytes(n->conn, "done", 4, COHORT_FOREVER), 0);
	return NULL;
}

TEST(conn_time, signals_interrupt_nothing)
{
	struct joined j = joined_open();
	struct sigaction sa = {.sa_handler = interrupted};
	struct nagger n = {pthread_self(), j.a};
	pthread_t thread;

	REQUIRE_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	for (int i = 0; i < 3; i++) {
		struct cohort_wait_item item = {.conn = j.b};

		interruptions = 0;
		REQUIRE_EQ(pthread_create(&thread, NULL, nag, &n), 0);
		if (i == 1)
			CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
		if (i == 2)
			CHECK_EQ(cohort_wait(&item, 1, COHORT_FOREVER), 1);
		CHECK_EQ(i == 0 ? cohort_conn_poll(j.b, COHORT_FOREVER) : 1, 1);
		expect_bytes(j.b, "done");
		pthread_join(thread, NULL);
	}
	joined_close(&j);
}

TEST(conn_wait, marks_all_that_are_ready_and_no_other)
{
	struct joined j[4];
	struct cohort_wait_item items[5];
	int fds[2];

	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	for (int i = 0; i < 4; i++) {
		j[i] = joined_open();
		items[i] = (struct cohort_wait_item){.conn = j[i].b};
	}
	items[4] = (struct cohort_wait_item){.fd = fds[0]};
	CHECK_EQ(cohort_wait(items, 5, cohort_in(SHORT)), 0);
	CHECK_EQ(cohort_conn_send_bytes(j[1].a, "1", 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_wait(items, 5, joined_patience()), 1);
	CHECK(items[1].ready && !items[0].ready && !items[2].ready && !items[3].ready);
	CHECK_EQ(write(fds[1], "x", 1), 1);
	joined_raw_header(j[2].a, COH_FRAME_BYTES, 10); /* not whole: not ready */
	cohort_conn_close(j[3].a);
	j[3].a = NULL;
	CHECK_EQ(cohort_conn_poll(j[3].b, joined_patience()), 1);
	CHECK_EQ(cohort_wait(items, 5, joined_patience()), 3);
	CHECK(items[1].ready && !items[2].ready && items[3].ready && items[4].ready);
	for (int i = 0; i < 4; i++)
		joined_close(&j[i]);
	close(fds[0]);
	close(fds[1]);
}

TEST(conn_wait, finds_a_message_that_is_held_already)
{
	struct joined j = joined_open();
	struct cohort_wait_item item = {.conn = j.b};

	CHECK_EQ(cohort_conn_put_bytes(j.a, "1", 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_put_bytes(j.a, "2", 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_flush(j.a, COHORT_FOREVER), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(cohort_wait(&item, 1, COHORT_FOREVER), 1);
		expect_bytes(j.b, i == 0 ? "1" : "2");
	}
	CHECK_EQ(cohort_wait(&item, 1, COHORT_NOW), 0);
	CHECK_EQ(item.ready, 0);
	joined_close(&j);
}

TEST(conn_wait, reads_a_large_message_until_it_is_whole)
{
	struct joined j = joined_open();
	struct cohort_wait_item items[2] = {{.conn = j.b}, {.conn = j.a}};
	static char block[3 << 20];
	struct iovec body = {block, sizeof block};
	struct coh_frame f = {.type = COH_FRAME_BYTES};

	/* Kept in memory where the transport is full: the wait itself goes on sending it. */
	CHECK_EQ(coh_conn_put_frame(j.a, &f, &body, 1, COHORT_NOW), 0);
	CHECK_EQ(cohort_wait(items, 2, joined_patience()), 1);
	CHECK(items[0].ready && !items[1].ready);
	CHECK_EQ(receive(j.b), 0);
	joined_close(&j);
}

TEST(conn_wait, hears_of_the_end_of_a_process)
{
	struct joined j = joined_open();
	int fds[2];
	struct cohort_wait_item items[2] = {{.conn = j.b}};
	pid_t pid;

	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(0);
	close(fds[1]); /* the child has the other copy: its end is our end of file */
	items[1].fd = fds[0];
	CHECK_EQ(cohort_wait(items, 2, joined_patience()), 1);
	CHECK(items[1].ready && !items[0].ready);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	close(fds[0]);
	joined_close(&j);
}

TEST(conn_wait, refuses_what_cannot_be_waited_for)
{
	struct cohort_wait_item item = {.fd = -1};

	CHECK_EQ(cohort_wait(&item, 1, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_wait(&item, -1, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_wait(NULL, 0, COHORT_FOREVER), COHORT_EARGUMENT);
	CHECK_EQ(cohort_wait(NULL, 0, COHORT_NOW), 0);
	item.fd = 1 << 20;
	CHECK_EQ(cohort_wait(&item, 1, COHORT_NOW), -EBADF);
}

TEST(conn_wait, manages_more_than_a_few)
{
	struct joined j[40];
	struct cohort_wait_item items[40];

	for (int i = 0; i < 40; i++) {
		j[i] = joined_open();
		items[i] = (struct cohort_wait_item){.conn = j[i].b};
	}
	CHECK_EQ(cohort_wait(items, 40, COHORT_NOW), 0);
	for (int i = 0; i < 40; i++)
		CHECK_EQ(cohort_conn_send_bytes(j[i].a, "x", 1, COHORT_FOREVER), 0);
	for (int i = 0; i < 40; i++)
		CHECK_EQ(cohort_conn_poll(j[i].b, joined_patience()), 1);
	CHECK_EQ(cohort_wait(items, 40, COHORT_FOREVER), 40);
	for (int i = 0; i < 40; i++)
		joined_close(&j[i]);
}

TEST(conn_wait, a_socket_is_given_up_only_when_nothing_is_held)
{
	struct joined j = joined_open();
	int fd;

	CHECK_EQ(cohort_conn_put_bytes(j.a, "x", 1, COHORT_FOREVER), 0);
	fd = coh_conn_release_fd(j.a);
	if (!joined_bare()) {
		CHECK_EQ(fd, COHORT_ENOTSUP);
	} else {
		CHECK_EQ(fd, COHORT_ESTATE);
		CHECK_EQ(cohort_conn_flush(j.a, COHORT_FOREVER), 0);
		fd = coh_conn_release_fd(j.a);
		REQUIRE(fd >= 0);
		j.a = NULL;
		CHECK_EQ(send(fd, "?", 1, 0), 1);
		close(fd);
		expect_bytes(j.b, "x");
		CHECK_EQ(receive(j.b), COHORT_EPROTOCOL);
	}
	joined_close(&j);
}
