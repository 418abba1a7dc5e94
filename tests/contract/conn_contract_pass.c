/*
 * conn_contract_pass.c - descriptors and connections that travel over a connection, where they can.
 *
 * conn_contract_pass_hostile.c has peers that do it wrong.  What is left open is found by the runner.
 */
#include "contract/joined.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool passes(void)
{
	return strcmp(joined_kind(), "pair") == 0 || strcmp(joined_kind(), "unix") == 0;
}

static void expect_text(struct cohort_conn *c, const char *what)
{
	const void *data;
	size_t size;

	REQUIRE_EQ(cohort_conn_recv_bytes(c, &data, &size, joined_patience()), 0);
	if (CHECK_EQ(size, strlen(what)))
		CHECK_MEM(data, what, size);
}

static int send_text(struct cohort_conn *c, const char *what)
{
	return cohort_conn_send_bytes(c, what, strlen(what), joined_patience());
}

/* A file in memory that holds TEXT. */
static int file_of(const char *text)
{
	int fds[2];

	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	CHECK_EQ(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	return fds[0];
}

static void expect_file(int fd, const char *text)
{
	char got[64] = "";

	CHECK_EQ(read(fd, got, sizeof got), (ssize_t)strlen(text));
	CHECK_STR(got, text);
}

static int pass(struct cohort_conn *c, int fd)
{
	int rc = cohort_conn_send_fd(c, fd, joined_patience());

	close(fd);
	return rc;
}

TEST(conn_pass, a_descriptor_arrives_in_its_place_among_messages)
{
	struct joined j = joined_open();
	const void *data;
	size_t size;
	int fd = 99;

	if (passes()) {
		CHECK_EQ(cohort_conn_put_bytes(j.a, "before", 6, COHORT_FOREVER), 0);
		CHECK_EQ(pass(j.a, file_of("one")), 0);
		CHECK_EQ(pass(j.a, file_of("two")), 0);
		CHECK_EQ(send_text(j.a, "after"), 0);
		CHECK_EQ(cohort_conn_recv_fd(j.b, &fd, joined_patience()), COHORT_ESTATE);
		CHECK_EQ(fd, -1);
		expect_text(j.b, "before");
		CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
		CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, COHORT_NOW), COHORT_ESTATE);
		CHECK_HAS(cohort_conn_error(j.b), "is a descriptor");
		REQUIRE_EQ(cohort_conn_recv_fd(j.b, &fd, joined_patience()), 0);
		expect_file(fd, "one");
		CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
		close(fd);
		REQUIRE_EQ(cohort_conn_recv_fd(j.b, &fd, joined_patience()), 0);
		expect_file(fd, "two");
		close(fd);
		expect_text(j.b, "after");
		CHECK_EQ(cohort_conn_recv_fd(j.b, &fd, COHORT_NOW), COHORT_ETIMEDOUT);
	}
	joined_close(&j);
}

TEST(conn_pass, says_where_nothing_can_be_passed)
{
	struct joined j = joined_open();
	struct cohort_conn *a, *b, *got = j.a;
	int fd = 7;

	REQUIRE_EQ(cohort_conn_memory(&a, &b, NULL), 0);
	if (!passes()) {
		CHECK_EQ(cohort_conn_send_fd(j.a, 0, COHORT_NOW), COHORT_ENOTSUP);
		CHECK_HAS(cohort_conn_error(j.a), "Unix sockets");
		CHECK_EQ(cohort_conn_recv_fd(j.a, &fd, COHORT_NOW), COHORT_ENOTSUP);
		CHECK_EQ(fd, -1);
		CHECK_EQ(cohort_conn_send_conn(j.a, a, COHORT_NOW), COHORT_ENOTSUP);
		CHECK_EQ(cohort_conn_recv_conn(j.a, &got, COHORT_NOW), COHORT_ENOTSUP);
		CHECK(got == NULL);
	} else {
		CHECK_EQ(cohort_conn_send_conn(j.a, a, COHORT_NOW), COHORT_ENOTSUP);
		CHECK_HAS(cohort_conn_error(j.a), "lives in this process alone");
		CHECK_EQ(cohort_conn_send_conn(j.a, j.a, COHORT_NOW), COHORT_EARGUMENT);
		CHECK_EQ(cohort_conn_send_fd(j.a, -1, COHORT_NOW), -EBADF);
		CHECK_EQ(cohort_conn_send_fd(j.a, 1 << 20, COHORT_NOW), -EBADF);
		CHECK_HAS(cohort_conn_error(j.a), "is not open");
	}
	CHECK_EQ(send_text(j.a, "still here"), 0);
	expect_text(j.b, "still here");
	cohort_conn_close(a);
	cohort_conn_close(b);
	joined_close(&j);
}

/* Every kind that is a socket can be sent, over a pair; what came before is received after. */
TEST(conn_pass, a_connection_keeps_what_it_had_received)
{
	struct joined j = joined_open();
	struct cohort_conn *a, *b, *got = NULL;
	bool session = j.a->session.on;
	char peer[256];
	int rc;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(cohort_conn_put_bytes(j.b, &"012"[i], 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_flush(j.b, COHORT_FOREVER), 0);
	joined_raw_header(j.b, COH_FRAME_BYTES, 4);
	joined_raw(j.b, "ha", 2);
	expect_text(j.a, "0");
	CHECK_EQ(cohort_conn_put_bytes(j.a, "put", 3, COHORT_FOREVER), 0);
	snprintf(peer, sizeof peer, "%s", cohort_conn_peer(j.a));
	rc = cohort_conn_send_conn(a, j.a, joined_patience());
	if (!joined_bare()) {
		CHECK_EQ(rc, COHORT_ENOTSUP);
	} else {
		REQUIRE_EQ(rc, 0);
		REQUIRE_EQ(cohort_conn_recv_conn(b, &got, joined_patience()), 0);
		j.a = got;
		CHECK_STR(cohort_conn_peer(j.a), peer);
		CHECK(coh_conn_unread(j.a) != 0);
		CHECK_EQ(j.a->session.on, session);
	}
	joined_raw(j.b, "lf", 2);
	expect_text(j.a, "1");
	expect_text(j.a, "2");
	expect_text(j.a, "half");
	CHECK_EQ(cohort_conn_flush(j.a, joined_patience()), 0);
	expect_text(j.b, "put");
	CHECK_EQ(send_text(j.a, "new"), 0);
	expect_text(j.b, "new");
	cohort_conn_close(a);
	cohort_conn_close(b);
	joined_close(&j);
}

TEST(conn_pass, a_connection_that_has_ended_or_holds_descriptors_is_not_sent)
{
	struct cohort_conn *a, *b, *c, *d;
	int fd;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	REQUIRE_EQ(cohort_conn_pair(&c, &d, NULL), 0);
	CHECK_EQ(pass(d, file_of("x")), 0);
	CHECK_EQ(cohort_conn_poll(c, joined_patience()), 1);
	CHECK_EQ(cohort_conn_send_conn(a, c, COHORT_FOREVER), COHORT_ESTATE);
	CHECK_HAS(cohort_conn_error(a), "holds descriptors");
	CHECK_EQ(cohort_conn_recv_fd(c, &fd, COHORT_NOW), 0);
	close(fd);
	cohort_conn_close(d);
	CHECK_EQ(cohort_conn_recv_fd(c, &fd, joined_patience()), COHORT_EOF);
	CHECK_EQ(cohort_conn_send_conn(a, c, COHORT_FOREVER), COHORT_ESTATE);
	CHECK_HAS(cohort_conn_error(a), "has ended");
	CHECK_EQ(cohort_conn_poll(b, COHORT_NOW), 0); /* nothing was sent */
	cohort_conn_close(a);
	cohort_conn_close(b);
	cohort_conn_close(c);
}

/* A process that is handed connections and answers on them: what a server's workers do. */
static void serve_what_is_handed_over(struct cohort_conn *from)
{
	struct cohort_conn *c;

	while (cohort_conn_recv_conn(from, &c, joined_patience()) == 0) {
		expect_text(c, "who?");
		CHECK_EQ(send_text(c, "the child"), 0);
		cohort_conn_close(c);
	}
	_exit(0);
}

TEST(conn_pass, a_connection_is_served_by_another_process)
{
	struct cohort_conn *a, *b;
	int status = -1;
	pid_t pid;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		cohort_conn_close(a);
		serve_what_is_handed_over(b);
	}
	cohort_conn_close(b);
	for (int i = 0; i < 20 && joined_bare(); i++) {
		struct joined j = joined_open();
		const void *data;
		size_t size;

		CHECK_EQ(send_text(j.b, "who?"), 0);
		REQUIRE_EQ(cohort_conn_send_conn(a, j.a, joined_patience()), 0);
		j.a = NULL;
		expect_text(j.b, "the child");
		CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &size, joined_patience()), COHORT_EOF);
		joined_close(&j);
	}
	cohort_conn_close(a);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

TEST(conn_pass, one_that_finds_no_room_is_lost_alone)
{
	struct cohort_conn *a, *b;
	struct rlimit old, tight;
	int fd;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	CHECK_EQ(pass(a, file_of("one")), 0);
	CHECK_EQ(pass(a, file_of("two")), 0);
	fd = dup(0);
	close(fd);
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = (struct rlimit){(rlim_t)fd, old.rlim_max};
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
	CHECK_EQ(cohort_conn_recv_fd(b, &fd, joined_patience()), -EMFILE);
	CHECK_HAS(cohort_conn_error(b), "no room");
	CHECK_EQ(fd, -1);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	REQUIRE_EQ(cohort_conn_recv_fd(b, &fd, joined_patience()), 0);
	expect_file(fd, "two");
	close(fd);
	cohort_conn_close(a);
	cohort_conn_close(b);
}

/* Sends descriptors and messages in turn, as long as somebody takes them. */
static void *passer(void *arg)
{
	struct cohort_conn *c = arg;
	static const char block[20000];

	for (size_t i = 0; i < 500; i++) {
		CHECK_EQ(cohort_conn_send_bytes(c, block, 37 * i, joined_patience()), 0);
		CHECK_EQ(pass(c, file_of("many")), 0);
	}
	return NULL;
}

TEST(conn_pass, many_go_through_between_two_threads)
{
	struct cohort_conn *a, *b;
	pthread_t thread;
	const void *data;
	size_t size;
	int fd;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, passer, a), 0);
	for (size_t i = 0; i < 500; i++) {
		REQUIRE_EQ(cohort_conn_recv_bytes(b, &data, &size, joined_patience()), 0);
		REQUIRE_EQ(size, 37 * i);
		REQUIRE_EQ(cohort_conn_recv_fd(b, &fd, joined_patience()), 0);
		expect_file(fd, "many");
		close(fd);
	}
	pthread_join(thread, NULL);
	cohort_conn_close(a);
	cohort_conn_close(b);
}

TEST(conn_pass, one_that_times_out_was_not_sent)
{
	static const char block[1 << 16];
	struct cohort_conn *a, *b;
	const void *data;
	size_t size;
	int fd, sent = 0, rc;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	while (cohort_conn_send_bytes(a, block, sizeof block, COHORT_NOW) == 0)
		sent++;
	CHECK_EQ(cohort_conn_send_fd(a, 0, COHORT_NOW), COHORT_ETIMEDOUT);
	for (int i = 0; i < sent; i++)
		while ((rc = cohort_conn_recv_bytes(b, &data, &size, COHORT_NOW)) != 0) {
			REQUIRE_EQ(rc, COHORT_ETIMEDOUT);
			(void)cohort_conn_flush(a, COHORT_NOW);
		}
	CHECK_EQ(cohort_conn_poll(b, COHORT_NOW), 0);
	CHECK_EQ(pass(a, file_of("now")), 0);
	REQUIRE_EQ(cohort_conn_recv_fd(b, &fd, joined_patience()), 0);
	expect_file(fd, "now");
	close(fd);
	cohort_conn_close(a);
	cohort_conn_close(b);
}

TEST(conn_pass, nothing_is_left_open_when_nobody_takes_them)
{
	struct cohort_conn *a, *b;

	for (int i = 0; i < 4; i++) {
		REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
		CHECK_EQ(pass(a, file_of("x")), 0);
		CHECK_EQ(pass(a, file_of("y")), 0);
		if (i & 1)
			CHECK_EQ(
			    cohort_conn_poll(b, joined_patience()), 1); /* in the process already */
		cohort_conn_close(i & 2 ? a : b);
		cohort_conn_close(i & 2 ? b : a);
	}
	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	cohort_conn_close(b);
	CHECK_EQ(pass(a, file_of("z")), COHORT_EPEER);
	cohort_conn_close(a);
}

/* Send a connection that has received something over another; -ENOMEM as soon as one says so. */
static int every_step(void *arg)
{
	struct cohort_conn *a = NULL, *b = NULL, *c = NULL, *d = NULL, *got = NULL;
	struct coh_frame f;
	int rc = cohort_conn_pair(&a, &b, NULL);

	(void)arg;
	if (rc == 0)
		rc = cohort_conn_pair(&c, &d, NULL);
	if (rc == 0)
		rc = cohort_conn_send_bytes(d, "hello", 5, joined_patience());
	if (rc == 0)
		rc = coh_conn_in_peek(c, &f, joined_patience());
	if (rc == 0)
		rc = cohort_conn_send_conn(a, c, joined_patience());
	if (rc == 0)
		c = NULL;
	if (rc == 0)
		rc = cohort_conn_recv_conn(b, &got, joined_patience());
	if (rc == 0)
		expect_text(got, "hello");
	cohort_conn_close(a);
	cohort_conn_close(b);
	cohort_conn_close(c);
	cohort_conn_close(d);
	cohort_conn_close(got);
	return rc;
}

TEST(conn_pass, survives_every_failed_allocation)
{
	test_every_allocation(every_step, NULL);
}
