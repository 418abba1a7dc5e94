/*
 * conn_contract_wait.c - cohort_wait: all sorts of items together, and none starved by another.
 */
#include "contract/joined.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void take_one(struct cohort_conn *c)
{
	const void *data;
	size_t size;

	REQUIRE_EQ(cohort_conn_recv_bytes(c, &data, &size, joined_patience()), 0);
}

TEST(conn_wait, hears_of_everything_a_descriptor_can_stand_for)
{
	enum { CONN, SENTINEL, EVENT, TIMER, PIPE, COUNT };
	struct joined j = joined_open();
	struct cohort_wait_item items[COUNT] = {{.conn = j.b}};
	struct itimerspec soon = {.it_value.tv_nsec = 1};
	uint64_t one = 1;
	int fds[2];
	pid_t pid = test_fork();

	REQUIRE(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	items[SENTINEL].fd = pidfd_open(pid, 0);
	items[EVENT].fd = eventfd(0, EFD_CLOEXEC);
	items[TIMER].fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	items[PIPE].fd = fds[0];
	CHECK_EQ(cohort_wait(items, COUNT, COHORT_NOW), 0);
	CHECK_EQ(write(items[EVENT].fd, &one, sizeof one), sizeof one);
	CHECK_EQ(cohort_wait(items, COUNT, joined_patience()), 1);
	CHECK(items[EVENT].ready);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(cohort_wait(items + SENTINEL, 1, joined_patience()), 1);
	CHECK_EQ(timerfd_settime(items[TIMER].fd, 0, &soon, NULL), 0);
	CHECK_EQ(cohort_wait(items + TIMER, 1, joined_patience()), 1);
	close(fds[1]); /* the end counts too */
	CHECK_EQ(cohort_conn_send_bytes(j.a, "", 0, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	CHECK_EQ(cohort_wait(items, COUNT, joined_patience()), COUNT);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	for (int i = SENTINEL; i < COUNT; i++)
		close(items[i].fd);
	joined_close(&j);
}

TEST(conn_wait, says_which_of_its_items_is_not_open)
{
	struct joined j = joined_open();
	struct cohort_wait_item items[3] = {{.conn = j.b}, {.fd = 0}, {.fd = 1 << 20}};
	int fd = eventfd(1, EFD_CLOEXEC);

	items[1].fd = fd;
	CHECK_EQ(cohort_conn_send_bytes(j.a, "x", 1, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_wait(items, 3, joined_patience()), -EBADF);
	CHECK(!items[0].ready && !items[1].ready && items[2].ready);
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	CHECK_EQ(cohort_wait(items, 2, joined_patience()), 2);
	close(fd);
	joined_close(&j);
}

TEST(conn_wait, counts_a_connection_that_has_ended_as_ready_for_ever)
{
	struct joined j = joined_open();
	struct cohort_wait_item item = {.conn = j.b};

	joined_raw(j.a, "GET / HTTP/1.1\r\n", 16);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(cohort_wait(&item, 1, joined_patience()), 1);
		CHECK(item.ready);
	}
	joined_close(&j);
}

struct flood {
	struct cohort_conn *conn;
	atomic_bool stop;
};

/* Messages of several sizes without a pause. */
static void *flood_thread(void *arg)
{
	static const char block[100000];
	struct flood *f = arg;

	for (size_t i = 0; !atomic_load(&f->stop); i++) {
		size_t size = i % 64 == 0 ? sizeof block : i % 300;
		int rc = cohort_conn_put_bytes(f->conn, block, size, cohort_in(10 * COHORT_MS));

		if (rc != 0 && rc != COHORT_ETIMEDOUT)
			FAIL("put: %s", cohort_conn_error(f->conn));
	}
	return NULL;
}

/*
 * One connection is flooded by a thread, 8 others say something now and then: however much
 * is said on the first, the others are marked by the call after theirs came.
 */
TEST(conn_wait, a_flood_on_one_keeps_no_other_waiting)
{
	enum { QUIET = 8, ENOUGH = 1000 };
	struct joined loud = joined_open(), quiet[QUIET];
	struct cohort_wait_item items[1 + QUIET] = {{.conn = loud.b}};
	struct flood f = {.conn = loud.a};
	int served = 0, worst = 0;
	pthread_t thread;

	for (int i = 0; i < QUIET; i++) {
		quiet[i] = joined_open();
		items[1 + i] = (struct cohort_wait_item){.conn = quiet[i].b};
	}
	REQUIRE_EQ(pthread_create(&thread, NULL, flood_thread, &f), 0);
	for (int round = 0; served < ENOUGH; round++) {
		int who = round % QUIET, before = served;

		REQUIRE_EQ(cohort_conn_send_bytes(quiet[who].a, "?", 1, COHORT_FOREVER), 0);
		do {
			REQUIRE(cohort_wait(items, 1 + QUIET, joined_patience()) > 0);
			if (items[0].ready) {
				take_one(loud.b);
				served++;
			}
		} while (!items[1 + who].ready);
		take_one(quiet[who].b);
		worst = served - before > worst ? served - before : worst;
	}
	CHECK(worst <= 32); /* 1, and more only where TCP took its time */
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL); /* it waits for room in vain, but not for long */
	for (int i = 0; i < QUIET; i++)
		joined_close(&quiet[i]);
	joined_close(&loud);
}

/* A message that never gets whole must not hold the caller beyond its deadline either. */
TEST(conn_wait, a_flood_of_an_unfinished_message_keeps_the_deadline)
{
	static const char block[1 << 20];
	struct joined j = joined_open();
	struct cohort_wait_item item = {.conn = j.b};
	struct iovec part;
	cohort_time start;

	j.b->session.on = false; /* with one the claim alone is refused */
	joined_raw_header(j.a, COH_FRAME_BYTES, COHORT_MESSAGE_MAX);
	for (int i = 0; i < 40; i++) {
		part = (struct iovec){(void *)(uintptr_t)block, sizeof block};
		(void)j.a->ops->write(j.a->self, &part, 1, COHORT_NOW);
		start = cohort_now();
		CHECK_EQ(cohort_wait(&item, 1, COHORT_NOW), 0);
		CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	}
	joined_close(&j);
}
