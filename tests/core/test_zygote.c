/* test_zygote.c - the zygote by itself: many at once, large heritages, its own death. */
#include "os/fd.h"
#include "os/zygote.h"
#include "support/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))

/*
 * What the children of these tests do: with a connection, wait for its end; then exit with the
 * first byte of the arguments, or with their sum where a work blob asks for it.
 */
static void life(const struct coh_heritage *h)
{
	const unsigned char *p = h->args;
	unsigned sum = 0;
	char byte;

	if (h->fd[COH_HERITAGE_CONN] >= 0)
		while (read(h->fd[COH_HERITAGE_CONN], &byte, 1) > 0)
			continue;
	for (size_t i = 0; h->work_size > 0 && i < h->args_size; i++)
		sum += p[i];
	exit(h->work_size > 0 ? (int)(sum & 0xff) : h->args_size > 0 ? p[0] : 0);
}

static void open_zygote(void)
{
	struct cohort_error err = {0};

	if (!CHECK_EQ(coh_zygote_open(life, &err), 0))
		FAIL("%s", err.text);
	REQUIRE(coh_zygote_pid() > 0);
}

/* Start a child that exits with CODE, once the other end of CONN (if any) is closed. */
static int start(struct coh_child *c, unsigned char code, int conn)
{
	struct coh_heritage h = COH_HERITAGE_INIT;
	struct cohort_error err = {0};
	int rc;

	h.name = "test";
	h.args = &code;
	h.args_size = 1;
	h.fd[COH_HERITAGE_CONN] = conn;
	rc = coh_zygote_start(&h, c, SOON, &err);
	CHECK_EQ(err.code, rc);
	return rc;
}

static void check_code(struct coh_child *c, int want)
{
	int code = -1000;

	CHECK_EQ(coh_proc_wait(c, SOON, &code), 0);
	CHECK_EQ(code, want);
	coh_proc_release(c);
}

TEST(zygote, starts_children_and_says_how_they_ended)
{
	struct coh_child a = {0}, b = {0};

	open_zygote();
	REQUIRE(start(&a, 3, -1) == 0 && start(&b, 5, -1) == 0);
	CHECK(a.pid != b.pid && a.pid != getpid());
	check_code(&b, 5); /* not in the order they ended in */
	check_code(&a, 3);
	coh_zygote_close();
}

TEST(zygote, a_wait_keeps_its_deadline_while_others_come_and_go)
{
	struct coh_child slow = {0}, quick = {0};
	cohort_time start_time;
	int pair[2], code;

	open_zygote();
	REQUIRE(coh_fd_pair(pair, SOCK_STREAM) == 0);
	REQUIRE_EQ(start(&slow, 9, pair[1]), 0);
	coh_fd_close(&pair[1]);
	REQUIRE_EQ(start(&quick, 1, -1), 0);
	check_code(&quick, 1);
	start_time = cohort_now();
	CHECK_EQ(coh_proc_wait(&slow, start_time + 30 * COHORT_MS, &code), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - start_time >= 30 * COHORT_MS);
	CHECK(cohort_now() - start_time < test_span(COHORT_SECOND));
	CHECK(!coh_proc_ended(&slow));
	coh_fd_close(&pair[0]);
	check_code(&slow, 9);
	coh_zygote_close();
}

TEST(zygote, a_heritage_too_large_for_a_packet_arrives_whole)
{
	struct coh_heritage h = COH_HERITAGE_INIT;
	struct coh_child c = {0};
	size_t size = (size_t)3 << 20;
	unsigned char *args = calloc(1, size);

	open_zygote();
	REQUIRE(args != NULL);
	args[0] = 100;
	args[size - 1] = 55;
	h.args = args;
	h.args_size = size;
	h.work = "sum";
	h.work_size = 3;
	REQUIRE_EQ(coh_zygote_start(&h, &c, SOON, NULL), 0);
	check_code(&c, 155);
	free(args);
	coh_zygote_close();
}

static void *start_many(void *arg)
{
	int *failed = arg;

	for (int i = 0; i < 50; i++) {
		struct coh_child c = {0};
		int code = -1;

		if (start(&c, (unsigned char)i, -1) != 0 || coh_proc_wait(&c, SOON, &code) != 0 ||
		    code != i)
			++*failed;
		coh_proc_release(&c);
	}
	return NULL;
}

TEST(zygote, serves_several_threads_at_once)
{
	pthread_t threads[4];
	int failed[4] = {0};

	open_zygote();
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, start_many, &failed[i]) == 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		CHECK_EQ(failed[i], 0);
	}
	coh_zygote_close();
}

static void *wait_for(void *arg)
{
	int code = -1;

	return coh_proc_wait(arg, SOON, &code) == 0 && code == 6 ? arg : NULL;
}

TEST(zygote, several_threads_may_wait_for_the_same_child)
{
	struct coh_child c = {0};
	pthread_t threads[4];
	int pair[2];
	void *got;

	open_zygote();
	REQUIRE(coh_fd_pair(pair, SOCK_STREAM) == 0);
	REQUIRE_EQ(start(&c, 6, pair[1]), 0);
	coh_fd_close(&pair[1]);
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, wait_for, &c) == 0);
	coh_fd_close(&pair[0]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &got);
		CHECK(got == &c);
	}
	coh_proc_release(&c);
	coh_zygote_close();
}

TEST(zygote, neither_it_nor_its_children_meet_the_applications_own_wait)
{
	struct coh_child c = {0};

	open_zygote();
	REQUIRE_EQ(start(&c, 2, -1), 0);
	if (!COH_PROC_TSAN) { /* there the zygote is an ordinary child */
		CHECK_EQ(waitpid(-1, NULL, 0), -1);
		CHECK_EQ(errno, ECHILD);
	}
	check_code(&c, 2);
	coh_zygote_close();
}

TEST(zygote, its_death_ends_the_children_and_is_told)
{
	struct coh_child c = {0}, none = {0};
	int pair[2], code;

	open_zygote();
	REQUIRE(coh_fd_pair(pair, SOCK_STREAM) == 0);
	REQUIRE_EQ(start(&c, 2, pair[1]), 0);
	REQUIRE(kill(coh_zygote_pid(), SIGKILL) == 0);
	REQUIRE_EQ(coh_proc_wait(&c, SOON, &code), 0);
	CHECK_EQ(code, COH_CODE_UNKNOWN);
	CHECK_EQ(start(&none, 0, -1), COHORT_EZYGOTE);
	coh_proc_release(&c);
	coh_fd_close(&pair[0]);
	coh_fd_close(&pair[1]);
	coh_zygote_close();
}

TEST(zygote, a_child_that_was_forgotten_leaves_nothing)
{
	struct coh_child c = {0};

	open_zygote();
	for (int i = 0; i < 200; i++) {
		REQUIRE_EQ(start(&c, 1, -1), 0);
		coh_proc_release(&c); /* its end is told to nobody */
	}
	REQUIRE_EQ(start(&c, 7, -1), 0);
	check_code(&c, 7);
	coh_zygote_close();
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++) {
		struct pollfd p = {.fd = fd};

		n += poll(&p, 1, 0) >= 0 && !(p.revents & POLLNVAL);
	}
	return n;
}

/* However few descriptors may be open: a start fails with -EMFILE and leaves none, or works. */
TEST(zygote, without_descriptors_a_start_fails_and_leaves_nothing)
{
	struct rlimit old, tight;
	struct coh_child c = {0};
	int before, rc;

	open_zygote();
	before = open_descriptors();
	REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
	tight = old;
	for (tight.rlim_cur = 3; tight.rlim_cur < old.rlim_cur; tight.rlim_cur++) {
		REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
		rc = start(&c, 4, -1);
		REQUIRE(setrlimit(RLIMIT_NOFILE, &old) == 0);
		if (rc == 0)
			break;
		CHECK_EQ(rc, -EMFILE);
		CHECK_EQ(open_descriptors(), before);
	}
	check_code(&c, 4);
	coh_zygote_close();
}

TEST(zygote, a_start_that_timed_out_leaves_no_child)
{
	struct coh_heritage h = COH_HERITAGE_INIT;
	struct coh_child c = {0};
	char byte;
	int pair[2];

	open_zygote();
	REQUIRE(coh_fd_pair(pair, SOCK_STREAM) == 0);
	h.fd[COH_HERITAGE_CONN] = pair[1];
	REQUIRE(kill(coh_zygote_pid(), SIGSTOP) == 0);
	CHECK_EQ(coh_zygote_start(&h, &c, cohort_in(20 * COHORT_MS), NULL), COHORT_ETIMEDOUT);
	REQUIRE(kill(coh_zygote_pid(), SIGCONT) == 0);
	coh_fd_close(&pair[1]);
	REQUIRE_EQ(start(&c, 8, -1), 0); /* meets the late answer, and ends that child */
	CHECK_EQ(coh_fd_wait(pair[0], POLLIN, SOON), 1);
	CHECK_EQ(read(pair[0], &byte, 1), 0);
	check_code(&c, 8);
	coh_fd_close(&pair[0]);
	coh_zygote_close();
}

TEST(zygote, is_refused_beside_another_and_fine_to_close_twice)
{
	struct coh_child c = {0};

	CHECK_EQ(start(&c, 0, -1), COHORT_EINIT);
	open_zygote();
	CHECK_EQ(coh_zygote_open(life, NULL), COHORT_ESTATE);
	coh_zygote_close();
	coh_zygote_close();
	CHECK_EQ(coh_zygote_pid(), 0);
}
