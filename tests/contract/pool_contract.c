/*
 * pool_contract.c - what a pool promises, whatever address it runs on.
 *
 * The kind of address is in $COHORT_CONTRACT: inline, thread, local, tcp, unix, listen; the
 * last three start a node agent of the installed command for each test.  Tests that kill
 * workers are for the kinds whose workers are processes.
 */
#include "contract/pool_fixture.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))

/* ---- one task ---- */

TEST(pool, apply_gives_the_result)
{
	struct cohort_pool *p = pool_begin(NULL);
	int32_t x = -70000;
	int64_t y = 0;

	CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
	CHECK_EQ(y, 4900000000);
	pool_end(p);
}

TEST(pool, submit_gives_a_future_that_lends_strings)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *text = "grüß Gott", *back = NULL;
	struct cohort_future *f;

	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "echo", &text), 0);
	CHECK_EQ(cohort_future_get(f, PATIENCE, NULL, &back), 0);
	CHECK_STR(back, text);
	CHECK_EQ(cohort_future_done(f), 1);
	CHECK_EQ(cohort_future_get(f, COHORT_NOW, NULL, &back), 0);
	CHECK_STR(back, text);
	cohort_future_free(f);
	pool_end(p);
}

TEST(pool, a_result_with_rows_is_read_row_by_row)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *text = "to be or", *word;
	static const char *const words[] = {"to", "be", "or"};
	struct cohort_future *f;
	uint64_t length;

	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "split", &text), 0);
	REQUIRE_EQ(cohort_future_wait(f, PATIENCE), 0);
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(cohort_future_row(f, 1, &word, &length), 1);
		CHECK_STR(word, words[i]);
		CHECK_EQ(length, 2);
	}
	CHECK_EQ(cohort_future_row(f, 1, &word, &length), 0);
	CHECK_EQ(cohort_future_row(f, 2, &word, &length), COHORT_EARGUMENT);
	cohort_future_free(f);
	pool_end(p);
}

TEST(pool, a_result_can_be_passed_on_as_the_image_it_is)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *text = "to be or", *word;
	const void *image;
	struct cohort_message *m;
	struct cohort_future *f;
	uint64_t length;
	size_t size;
	int32_t x = 3;

	REQUIRE_EQ(cohort_message_new(&m, "A(sU)", NULL), 0);
	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "split", &text), 0);
	REQUIRE_EQ(cohort_future_wait(f, PATIENCE), 0);
	REQUIRE_EQ(cohort_future_image(f, &image, &size), 0);
	REQUIRE_EQ(cohort_message_load(m, image, size, NULL), 0);
	REQUIRE_EQ(cohort_message_unpack(m, 1, &word, &length), 1);
	CHECK_STR(word, "to");
	cohort_message_free(m);
	cohort_future_free(f);

	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "refuse", &x), 0);
	REQUIRE_EQ(cohort_future_wait(f, PATIENCE), 0);
	CHECK_EQ(cohort_future_image(f, &image, &size), COHORT_ETASK);
	CHECK(image == NULL && size == 0);
	cohort_future_free(f);
	pool_end(p);
}

TEST(pool, arguments_with_rows_come_as_a_message)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_message *m;
	struct cohort_future *f;
	int64_t sum = 0;

	REQUIRE_EQ(cohort_message_new(&m, "A(i)", NULL), 0);
	for (int32_t i = 1; i <= 100; i++)
		REQUIRE_EQ(cohort_message_pack(m, 1, &i), 0);
	REQUIRE_EQ(cohort_pool_submit_message(p, &f, NULL, "total", m), 0);
	cohort_message_free(m);
	CHECK_EQ(cohort_future_get(f, PATIENCE, NULL, &sum), 0);
	CHECK_EQ(sum, 5050);
	cohort_future_free(f);
	pool_end(p);
}

/* ---- errors touch one future and nothing else ---- */

TEST(pool, a_failing_task_brings_its_sentence)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_error err;
	int32_t x = 3;
	int64_t y;

	CHECK_EQ(cohort_pool_apply(p, PATIENCE, &err, "refuse", &x), COHORT_ETASK);
	CHECK_HAS(err.text, "no, said the task");
	CHECK_EQ(cohort_pool_apply(p, PATIENCE, &err, "silent", &x), COHORT_ETASK);
	CHECK_EQ(cohort_pool_apply(p, PATIENCE, &err, "positive"), COHORT_ETASK);
	CHECK_HAS(err.text, "returned 3");
	CHECK_EQ(cohort_pool_apply(p, PATIENCE, &err, "missing"), COHORT_ETASK);
	CHECK_HAS(err.text, "No such file");
	CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
	CHECK_EQ(y, 9);
	pool_end(p);
}

TEST(pool, an_unknown_task_and_wrong_formats_are_told_at_once)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_message *m;
	struct cohort_future *f;
	struct cohort_error err;
	int32_t x = 0;

	CHECK_EQ(cohort_pool_submit(p, &f, &err, "sqare", &x), COHORT_ENOTASK);
	CHECK_HAS(err.text, "sqare");
	CHECK_EQ(cohort_pool_submit(p, &f, &err, "total", &x), COHORT_ENOTSUP);
	REQUIRE_EQ(cohort_message_new(&m, "s", NULL), 0);
	CHECK_EQ(cohort_pool_submit_message(p, &f, &err, "square", m), COHORT_EFORMAT);
	CHECK_HAS(err.text, "\"i\"");
	CHECK_HAS(err.text, "\"s\"");
	CHECK_EQ(cohort_pool_apply(p, PATIENCE, &err, "echo", &x, &x), COHORT_ENOTSUP);
	cohort_message_free(m);
	pool_end(p);
}

TEST_TIMEOUT(pool, a_result_over_64_MiB_is_an_error_and_the_worker_lives, 60)
{
	struct cohort_pool *p = pool_begin(NULL);
	uint64_t size = ((uint64_t)64 << 20) + 1;
	struct cohort_bytes bytes;
	struct cohort_future *f;
	struct cohort_error err;

	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "blob", &size), 0);
	CHECK_EQ(cohort_future_get(f, PATIENCE, &err, &bytes), COHORT_ETOOBIG);
	cohort_future_free(f);
	size = (uint64_t)5 << 20;
	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "blob", &size), 0);
	CHECK_EQ(cohort_future_get(f, PATIENCE, &err, &bytes), 0);
	CHECK_EQ(bytes.size, size);
	cohort_future_free(f);
	CHECK_EQ(pool_stats(p).deaths, 0);
	pool_end(p);
}

TEST_TIMEOUT(pool, large_arguments_of_quick_tasks_do_not_pile_up, 60)
{
	enum { N = 24 };
	struct cohort_pool *p = pool_begin(NULL);
	/* three times what once was a limit, 64 MiB; less under a sanitizer: on a busy machine half a gigabyte takes so long that a
	   node may be lost, which has 5 s to join and may say nothing for 8 */
	struct cohort_bytes bytes = {.size = (size_t)(test_span(1) > 1 ? 3 : 8) << 20};
	struct cohort_future *f[N];
	uint64_t size;

	bytes.data = calloc(1, bytes.size);
	REQUIRE(bytes.data != NULL);
	for (int i = 0; i < N; i++)
		REQUIRE_EQ(cohort_pool_submit(p, &f[i], NULL, "weigh", &bytes), 0);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(cohort_future_get(f[i], PATIENCE, NULL, &size), 0);
		CHECK_EQ(size, bytes.size);
		cohort_future_free(f[i]);
	}
	CHECK_EQ(pool_stats(p).deaths, 0);
	free((void *)(uintptr_t)bytes.data);
	pool_end(p);
}

/* ---- many tasks ---- */

TEST(pool, map_keeps_the_order)
{
	enum { N = 5000 };
	struct cohort_pool *p = pool_begin(NULL);
	static int32_t in[N];
	static int64_t out[N];

	for (int i = 0; i < N; i++)
		in[i] = i;
	CHECK_EQ(cohort_pool_map(p, "square", COHORT_MAP(in, out, N), PATIENCE, NULL),
	    0);
	for (int i = 0; i < N; i++)
		if (out[i] != (int64_t)i * i)
			FAIL("element %d is %lld", i, (long long)out[i]);
	pool_end(p);
}

static int count_up(struct cohort_message *args, void *arg)
{
	int32_t *next = arg;

	if (*next == 0)
		return COHORT_EOF;
	--*next;
	return cohort_message_pack(args, 0, next);
}

static int iterate(
    struct cohort_pool *p, struct cohort_iter **it, const struct cohort_imap *imap)
{
	return cohort_pool_imap(p, it, "square", imap, NULL);
}

static void take_all(struct cohort_iter *it, int n)
{
	char *seen = calloc((size_t)n, 1);
	struct cohort_future *f;
	int got = 0;
	int64_t y;

	while (cohort_iter_next(it, &f, PATIENCE) == 1) {
		REQUIRE_EQ(cohort_future_get(f, COHORT_NOW, NULL, &y), 0);
		for (int64_t x = n - 1; x >= 0; x--)
			if (x * x == y) {
				CHECK(!seen[x]);
				seen[x] = 1;
				break;
			}
		got++;
		cohort_future_free(f);
	}
	CHECK_EQ(got, n);
	free(seen);
}

TEST(pool, imap_gives_each_result_once_in_either_order)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_iter *it;
	int32_t n = 700;

	REQUIRE_EQ(iterate(p, &it, &(struct cohort_imap){count_up, &n, COHORT_UNORDERED, 0}), 0);
	take_all(it, 700);
	cohort_iter_free(it);
	n = 700;
	REQUIRE_EQ(iterate(p, &it, &(struct cohort_imap){count_up, &n, COHORT_ORDERED, 7}), 0);
	take_all(it, 700);
	cohort_iter_free(it);
	pool_end(p);
}

struct endless {
	int asked, taken, most;
};

static int endless_input(struct cohort_message *args, void *arg)
{
	struct endless *e = arg;
	int32_t x = ++e->asked % 1000;

	if (e->asked - e->taken > e->most)
		e->most = e->asked - e->taken;
	return cohort_message_pack(args, 0, &x);
}

TEST(pool, imap_over_an_endless_input_stays_within_its_window)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct endless e = {0, 0, 0};
	struct cohort_future *f;
	struct cohort_iter *it;

	REQUIRE_EQ(iterate(p, &it, &(struct cohort_imap){endless_input, &e, COHORT_UNORDERED, 50}), 0);
	for (; e.taken < 3000; e.taken++) {
		REQUIRE_EQ(cohort_iter_next(it, &f, PATIENCE), 1);
		cohort_future_free(f);
	}
	CHECK(e.most <= 50);
	cohort_iter_free(it);
	pool_end(p);
}

static int failing_input(struct cohort_message *args, void *arg)
{
	int32_t *left = arg;

	return (*left)-- > 0 ? cohort_message_pack(args, 0, left) : -EIO;
}

TEST(pool, an_error_of_the_input_comes_after_what_came_before_it)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_future *f;
	struct cohort_error err;
	struct cohort_iter *it;
	int32_t left = 3;

	REQUIRE_EQ(iterate(p, &it, &(struct cohort_imap){failing_input, &left, COHORT_ORDERED, 0}), 0);
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(cohort_iter_next(it, &f, PATIENCE), 1);
		cohort_future_free(f);
	}
	CHECK_EQ(cohort_iter_next(it, &f, PATIENCE), -EIO);
	CHECK_EQ(cohort_iter_next(it, &f, PATIENCE), -EIO);
	CHECK_EQ(cohort_iter_error(it, &err), -EIO);
	CHECK_HAS(err.text, "square");
	cohort_iter_free(it);
	pool_end(p);
}

/* ---- futures ---- */

static void count_call(struct cohort_future *f, void *arg)
{
	int *count = arg;

	if (cohort_future_done(f))
		++*count;
}

TEST(future, then_is_called_once_whether_set_before_or_after_the_end)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_future *f[2];
	int called[2] = {0, 0};
	int32_t x = 2;

	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(cohort_pool_submit(p, &f[i], NULL, "square", &x), 0);
	CHECK_EQ(cohort_future_then(f[0], count_call, &called[0]), 0);
	CHECK_EQ(cohort_future_then(f[0], count_call, &called[0]), COHORT_ESTATE);
	CHECK_EQ(cohort_future_wait_all(f, 2, PATIENCE), 0);
	CHECK_EQ(cohort_future_then(f[1], count_call, &called[1]), 0);
	CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &(int64_t){0}), 0);
	for (int i = 0; i < 2; i++)
		cohort_future_free(f[i]);
	pool_end(p); /* whatever was to be called has been */
	CHECK_EQ(called[0], 1);
	CHECK_EQ(called[1], 1);
}

TEST(future, any_and_all_wait_for_one_and_for_all)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_future *f[3];
	int32_t x = 5;
	int first;

	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(cohort_pool_submit(p, &f[i], NULL, "square", &x), 0);
	first = cohort_future_wait_any(f, 3, PATIENCE);
	CHECK(first >= 0 && first < 3 && cohort_future_done(f[first]));
	CHECK_EQ(cohort_future_wait_all(f, 3, PATIENCE), 0);
	CHECK_EQ(cohort_future_wait_any(f, 0, PATIENCE), COHORT_EARGUMENT);
	for (int i = 0; i < 3; i++)
		cohort_future_free(f[i]);
	pool_end(p);
}

TEST(future, says_who_ran_it)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_future *f;
	char who[128], pid[24];
	int32_t process;

	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "whoami"), 0);
	CHECK_EQ(cohort_future_get(f, PATIENCE, NULL, &process), 0);
	cohort_future_worker(f, who, sizeof who);
	snprintf(pid, sizeof pid, "/%d", process);
	CHECK_HAS(who, pid);
	CHECK(cohort_future_elapsed(f) >= 0 && cohort_future_elapsed(f) < 10 * COHORT_SECOND);
	cohort_future_free(f);
	pool_end(p);
}

TEST(future, cancel_takes_what_has_not_begun)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *fifo = test_path("held");
	struct cohort_future *f[6];
	int cancelled = 0, fd;

	if (pool_parallel()) {
		REQUIRE_EQ(mkfifo(fifo, 0600), 0);
		for (int i = 0; i < 6; i++)
			REQUIRE_EQ(cohort_pool_submit(p, &f[i], NULL, "held", &fifo), 0);
		fd = open(fifo, O_WRONLY); /* when this returns at least one is running */
		for (int i = 5; i >= 0; i--)
			cancelled += cohort_future_cancel(f[i]) == 0;
		CHECK(cancelled >= 1 && cancelled <= 5);
		CHECK_EQ(cohort_future_error(f[5], NULL), COHORT_ECANCELLED);
		CHECK_EQ(cohort_future_cancel(f[5]), COHORT_ESTATE);
		close(fd);
		for (int i = 0; i < 6; i++) {
			CHECK_EQ(pool_release_held(f[i], fifo), 0);
			cohort_future_free(f[i]);
		}
	}
	pool_end(p);
}

/* ---- the pool's own life ---- */

TEST(pool, the_initializer_runs_in_each_worker_first)
{
	struct cohort_pool_options o = {.initializer = "prepare"};
	struct cohort_pool *p;
	int32_t with = 42, got;

	pool_program();
	REQUIRE_EQ(cohort_message_new(&o.initargs, "i", NULL), 0);
	REQUIRE_EQ(cohort_message_pack(o.initargs, 0, &with), 0);
	p = pool_begin(&o);
	cohort_message_free(o.initargs);
	for (int i = 0; i < 8; i++) {
		got = 0;
		CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "prepared_with", &got), 0);
		CHECK_EQ(got, 42);
	}
	pool_end(p);
}

TEST(pool, an_initializer_that_fails_breaks_the_pool_with_its_sentence)
{
	struct cohort_pool_options o = {.initializer = "unprepared"};
	struct cohort_error err = {0};
	struct cohort_pool *p = NULL;
	int32_t x = 1;
	int64_t y;
	int rc;

	rc = pool_try(&p, &o, &err);
	if (rc == 0)
		rc = cohort_pool_apply(p, PATIENCE, &err, "square", &x, &y);
	CHECK_EQ(rc, COHORT_ETASK);
	CHECK_HAS(err.text, "the licence has run out");
	pool_end(p);
}

TEST(pool, a_closed_pool_finishes_and_takes_no_more)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_future *f[20], *late;
	struct cohort_error err;
	int32_t x = 3;
	int64_t y;

	for (int i = 0; i < 20; i++)
		REQUIRE_EQ(cohort_pool_submit(p, &f[i], NULL, "square", &x), 0);
	CHECK_EQ(cohort_pool_join(p, COHORT_NOW), COHORT_ESTATE);
	cohort_pool_close(p);
	CHECK_EQ(cohort_pool_submit(p, &late, &err, "square", &x), COHORT_ECLOSED);
	CHECK_EQ(cohort_pool_join(p, PATIENCE), 0);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(cohort_future_get(f[i], COHORT_NOW, NULL, &y), 0);
		cohort_future_free(f[i]);
	}
	pool_end(p);
}

TEST(pool, join_keeps_its_deadline_and_terminate_ends_what_loops)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *fifo = test_path("running");
	struct cohort_future *f;
	struct cohort_error err;
	cohort_time begin;
	int fd;

	if (!pool_processes())
		goto out;
	REQUIRE_EQ(mkfifo(fifo, 0600), 0);
	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "loop", &fifo), 0);
	fd = open(fifo, O_RDONLY); /* returns when the task is inside */
	cohort_pool_close(p);
	begin = cohort_now();
	CHECK_EQ(cohort_pool_join(p, cohort_in(50 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - begin >= 50 * COHORT_MS);
	CHECK_EQ(cohort_future_wait(f, COHORT_NOW), COHORT_ETIMEDOUT);
	cohort_pool_terminate(p);
	CHECK_EQ(cohort_future_error(f, &err), COHORT_ECLOSED);
	CHECK_EQ(cohort_pool_join(p, PATIENCE), 0);
	cohort_future_free(f);
	close(fd);
out:
	pool_end(p);
}

/* ---- death ---- */

TEST(pool, a_worker_killed_in_a_task_is_replaced_and_the_task_runs_again)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *file = test_path("died");
	int32_t one = 0;

	if (pool_processes()) {
		CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "die_once", &file, &one), 0);
		CHECK_EQ(one, 1);
	}
	pool_end(p);
}

TEST(pool, a_worker_killed_in_mid_result_is_replaced_and_the_task_runs_again)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *file = test_path("spoke");
	int32_t one = 0;

	if (pool_processes()) {
		CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "die_speaking", &file, &one), 0);
		CHECK_EQ(one, 1);
	}
	pool_end(p);
}

static long file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void poison(int32_t sig, const char *words)
{
	struct cohort_pool *p = pool_begin(NULL);
	const char *file = test_path("runs");
	struct cohort_error err;
	int32_t x = 4;
	int64_t y;

	if (pool_processes()) {
		CHECK_EQ(
		    cohort_pool_apply(p, PATIENCE, &err, "die", &file, &sig), COHORT_EPOISON);
		CHECK_HAS(err.text, words);
		CHECK_HAS(err.text, "/"); /* where and which pid */
		CHECK_HAS(err.text, "task die was running when 3 workers died");
		CHECK_EQ(file_size(file), 3);
		CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
		CHECK_EQ(y, 16);
	}
	pool_end(p);
}

TEST(pool, a_task_that_segfaults_fails_after_three_workers)
{
	poison(SIGSEGV, "signal 11");
}

TEST(pool, a_task_that_exits_fails_after_three_workers)
{
	poison(0, "exit code 7");
}

TEST(pool, an_idle_worker_that_is_killed_is_replaced)
{
	struct cohort_pool *p = pool_begin(NULL);
	int32_t pid = 0, x = 6;
	int64_t y;

	if (pool_processes()) {
		for (int i = 0; i < 4; i++) {
			REQUIRE_EQ(cohort_pool_apply(p, PATIENCE, NULL, "whoami", &pid), 0);
			REQUIRE(pid > 1); /* 0 would be this very group */
			kill(pid, SIGKILL);
		}
		CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
		CHECK_EQ(y, 36);
	}
	pool_end(p);
}

TEST(pool, workers_killed_under_load_lose_nothing)
{
	struct cohort_pool *p = pool_begin(NULL);
	struct cohort_future *f;
	struct cohort_iter *it;
	int32_t n = 3000, pid;
	int got = 0;

	if (!pool_processes())
		goto out;
	REQUIRE_EQ(iterate(p, &it, &(struct cohort_imap){count_up, &n, COHORT_UNORDERED, 100}), 0);
	while (cohort_iter_next(it, &f, PATIENCE) == 1) {
		char who[128];

		REQUIRE_EQ(cohort_future_error(f, NULL), 0);
		if (++got % 500 == 0) {
			cohort_future_worker(f, who, sizeof who);
			pid = atoi(strrchr(who, '/') + 1);
			REQUIRE(pid > 1);
			kill(pid, SIGKILL);
		}
		cohort_future_free(f);
	}
	CHECK_EQ(got, 3000);
	cohort_iter_free(it);
out:
	pool_end(p);
}
