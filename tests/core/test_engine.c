/*
 * test_engine.c - many threads, one loop: whoever waits does the work, and nobody is forgotten.
 */
#include "contract/pool_fixture.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))

static void *apply_many(void *arg)
{
	struct cohort_pool *p = arg;

	for (int32_t x = 0; x < 500; x++) {
		int64_t y = -1;

		CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
		CHECK_EQ(y, (int64_t)x * x);
	}
	return NULL;
}

TEST(engine, threads_that_wait_at_once_each_get_their_own)
{
	struct cohort_pool *p = pool_begin(NULL);
	pthread_t threads[6];

	for (int i = 0; i < 6; i++)
		REQUIRE_EQ(pthread_create(&threads[i], NULL, apply_many, p), 0);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(pool_stats(p).done, 3000);
	pool_end(p);
}

static void tell(struct cohort_future *f, void *arg)
{
	int *fd = arg;

	(void)f;
	CHECK_EQ(write(*fd, "x", 1), 1);
}

TEST(engine, work_goes_on_while_nobody_waits)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_future *f[50];
	struct pollfd end;
	int fds[2], told = 0;
	int32_t x = 1;

	REQUIRE_EQ(pipe(fds), 0);
	for (int i = 0; i < 50; i++) {
		REQUIRE_EQ(cohort_pool_submit(p, &f[i], NULL, "square", &x), 0);
		REQUIRE_EQ(cohort_future_then(f[i], tell, &fds[1]), 0);
	}
	end = (struct pollfd){fds[0], POLLIN, 0};
	while (told < 50 && poll(&end, 1, 10000) == 1) {
		char bytes[50];

		told += (int)read(fds[0], bytes, sizeof bytes);
	}
	CHECK_EQ(told, 50);
	for (int i = 0; i < 50; i++)
		cohort_future_free(f[i]);
	pool_end(p); /* the callbacks have returned */
	close(fds[0]);
	close(fds[1]);
}

static void *wait_for(void *arg)
{
	return (void *)(intptr_t)cohort_future_wait(arg, PATIENCE);
}

/* A program told by callbacks, one task at a time: were each held up by a tick, it would take 2 s. */
TEST(engine, a_callback_is_not_held_up_where_nobody_waits)
{
	struct cohort_pool *p = pool_begin(NULL);
	cohort_time begin = cohort_now();
	struct cohort_future *f;
	struct pollfd end;
	int fds[2];
	int32_t x = 1;
	char byte;

	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	end = (struct pollfd){.fd = fds[0], .events = POLLIN};
	for (int i = 0; i < 400; i++) {
		REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "square", &x), 0);
		REQUIRE_EQ(cohort_future_then(f, tell, &fds[1]), 0);
		REQUIRE_EQ(poll(&end, 1, 10000), 1);
		REQUIRE_EQ(read(fds[0], &byte, 1), 1);
		cohort_future_free(f);
	}
	CHECK(cohort_now() - begin < test_span(COHORT_SECOND));
	close(fds[0]);
	close(fds[1]);
	pool_end(p);
}

TEST(engine, a_wait_that_times_out_passes_the_lead_on)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *fifo = test_path("held");
	struct cohort_future *f;
	pthread_t other;
	void *rc;
	int fd;

	REQUIRE_EQ(mkfifo(fifo, 0600), 0);
	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "held", &fifo), 0);
	fd = open(fifo, O_WRONLY); /* it is running */
	REQUIRE_EQ(pthread_create(&other, NULL, wait_for, f), 0);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(cohort_future_wait(f, cohort_in(2 * COHORT_MS)), COHORT_ETIMEDOUT);
	close(fd);
	pthread_join(other, &rc);
	CHECK_EQ((intptr_t)rc, 0);
	cohort_future_free(f);
	pool_end(p);
}

static void *open_and_close(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		struct cohort_pool *p;
		int32_t x = 3;
		int64_t y = 0;

		REQUIRE_EQ(cohort_pool_open(&p, "thread:1", NULL, NULL), 0);
		CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
		CHECK_EQ(y, 9);
		cohort_pool_free(p);
	}
	return NULL;
}

TEST(engine, pools_come_and_go_in_several_threads)
{
	pthread_t threads[3];

	pool_program();
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(pthread_create(&threads[i], NULL, open_and_close, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

struct chain {
	struct cohort_pool *pool;
	atomic_int left;
	int fd;
};

static void again(struct cohort_future *f, void *arg)
{
	struct chain *c = arg;
	struct cohort_future *next;
	int32_t x = 2;

	(void)f;
	if (atomic_fetch_sub(&c->left, 1) == 1) {
		CHECK_EQ(write(c->fd, "x", 1), 1);
		return;
	}
	if (cohort_pool_submit(c->pool, &next, NULL, "square", &x) == 0) {
		cohort_future_then(next, again, c);
		cohort_future_free(next);
	}
}

TEST(engine, a_callback_may_submit_the_next_task)
{
	struct chain c = {.pool = pool_begin(NULL), .left = 200};
	struct pollfd end;
	int fds[2];

	REQUIRE_EQ(pipe(fds), 0);
	c.fd = fds[1];
	again(NULL, &c);
	end = (struct pollfd){fds[0], POLLIN, 0};
	CHECK_EQ(poll(&end, 1, 10000), 1);
	pool_end(c.pool); /* the callback has returned */
	close(fds[0]);
	close(fds[1]);
}

TEST(engine, shutdown_ends_pools_that_were_left_open)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_future *f;
	const char *fifo = test_path("running");
	int fd;

	REQUIRE_EQ(mkfifo(fifo, 0600), 0);
	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "loop", &fifo), 0);
	fd = open(fifo, O_RDONLY);
	CHECK_EQ(cohort_shutdown(PATIENCE), 0);
	CHECK_EQ(cohort_future_error(f, NULL), COHORT_ECLOSED);
	cohort_future_free(f);
	close(fd);
	pool_end(p);
}

TEST(engine, a_pool_without_descriptors_left_says_so_and_leaks_none)
{
	struct rlimit limit, low;
	struct cohort_error err;
	struct cohort_pool *p;
	int rc;

	pool_program();
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t n = 4; n < 20; n++) {
		low = (struct rlimit){n, limit.rlim_max};
		REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
		rc = cohort_pool_open(&p, "local:2", NULL, &err);
		REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
		if (rc == 0)
			cohort_pool_free(p);
		else {
			CHECK(rc == -EMFILE || rc == -ENOMEM);
			CHECK(strlen(err.text) > 10);
		}
	}
}

TEST(engine, a_pool_needs_cohort_init)
{
	struct cohort_error err = {0};
	struct cohort_pool *p;

	CHECK_EQ(cohort_pool_open(&p, "inline:", NULL, &err), COHORT_EINIT);
	CHECK_HAS(err.text, "cohort_init");
}

TEST(engine, addresses_that_are_none_are_told)
{
	static const char *const wrong[] = {
	    "local", "local:0", "local:x", "thread:-1", "remote:2", "inline:3", "local:99999", ":"};
	struct cohort_error err;
	struct cohort_pool *p;

	pool_program();
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK_EQ(cohort_pool_open(&p, wrong[i], NULL, &err), COHORT_EADDRESS);
		CHECK_HAS(err.text, wrong[i]);
	}
}
