/* test_process.c - what only one of the start methods promises, and wrong beginnings. */
#include "os/fd.h"
#include "os/zygote.h"
#include "support/test.h"

#include <cohort/process.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))

static int idle(struct cohort_call *call)
{
	(void)call;
	while (pause() != 0)
		continue; /* until a signal ends the process */
	return 0;
}
COHORT_TASK(idle, "", "");

static int seven(struct cohort_call *call)
{
	(void)call;
	return 7;
}
COHORT_TASK(seven, "", "");

static void init(void)
{
	struct cohort_error err = {0};

	if (!CHECK_EQ(cohort_init(&test_argc, &test_argv, &err), 0))
		FAIL("%s", err.text);
}

static void *be_a_thread(void *arg)
{
	pthread_barrier_wait(arg); /* started */
	pthread_barrier_wait(arg); /* no longer needed */
	return NULL;
}

struct helper {
	pthread_barrier_t barrier;
	pthread_t thread;
};

static void helper_start(struct helper *h)
{
	REQUIRE(pthread_barrier_init(&h->barrier, NULL, 2) == 0);
	REQUIRE(pthread_create(&h->thread, NULL, be_a_thread, &h->barrier) == 0);
	pthread_barrier_wait(&h->barrier);
}

static void helper_end(struct helper *h)
{
	pthread_barrier_wait(&h->barrier);
	pthread_join(h->thread, NULL);
	pthread_barrier_destroy(&h->barrier);
}

/* By zygote and by exec a process with threads starts children as well as any other. */
TEST(process, fork_alone_is_refused_beside_a_thread)
{
	struct cohort_process_options o = {.start = COHORT_START_FORK};
	struct cohort_process *p;
	struct cohort_error err;
	struct helper h;
	int code;

	init();
	helper_start(&h);
	CHECK_EQ(cohort_process_start(&p, &o, &err, "seven"), COHORT_ETHREADS);
	CHECK_HAS(err.text, "threads");
	for (o.start = COHORT_START_ZYGOTE; o.start <= COHORT_START_SPAWN; o.start++) {
		REQUIRE_EQ(cohort_process_start(&p, &o, &err, "seven"), 0);
		CHECK_EQ(cohort_process_join(p, SOON), 0);
		CHECK(cohort_process_exit_code(p, &code) == 0 && code == 7);
		cohort_process_free(p);
	}
	helper_end(&h);
}

TEST(process, init_is_refused_beside_a_thread)
{
	struct cohort_error err;
	struct helper h;

	helper_start(&h);
	CHECK_EQ(cohort_init(&test_argc, &test_argv, &err), COHORT_ETHREADS);
	CHECK_HAS(err.text, "threads");
	helper_end(&h);
}

TEST(process, the_death_of_the_zygote_is_told_and_ends_its_children)
{
	struct cohort_process *p, *none;
	struct cohort_error err;
	int code;

	init();
	REQUIRE_EQ(cohort_process_start(&p, NULL, &err, "idle"), 0);
	REQUIRE(kill(coh_zygote_pid(), SIGKILL) == 0);
	CHECK_EQ(cohort_process_join(p, SOON), 0);
	CHECK(cohort_process_exit_code(p, &code) == 0 && code == 255);
	CHECK_EQ(cohort_process_start(&none, NULL, &err, "idle"), COHORT_EZYGOTE);
	CHECK_HAS(err.text, "task-2");
	cohort_process_free(p);
}

/* A child forked from here is a child like any other: an application may take its end. */
TEST(process, an_end_that_the_application_took_is_unknown)
{
	struct cohort_process_options o = {.start = COHORT_START_FORK};
	struct cohort_process *p;
	int status, code;

	init();
	REQUIRE_EQ(cohort_process_start(&p, &o, NULL, "seven"), 0);
	REQUIRE_EQ(waitpid(cohort_process_pid(p), &status, 0), cohort_process_pid(p));
	CHECK_EQ(cohort_process_join(p, SOON), 0);
	CHECK(cohort_process_exit_code(p, &code) == 0 && code == 255);
	cohort_process_free(p);
}

static int start_and_join(void *arg)
{
	struct cohort_process *p;
	int rc = cohort_process_start(&p, arg, NULL, "seven");

	if (rc != 0)
		return rc;
	rc = cohort_process_join(p, SOON);
	cohort_process_free(p);
	return rc;
}

TEST(process, a_start_survives_the_lack_of_memory)
{
	init();
	test_every_allocation(start_and_join, NULL);
}

/* Whichever descriptor of a start cannot be made: that is its error, and nothing is left. */
TEST(process, a_start_survives_the_lack_of_each_descriptor)
{
	struct cohort_process_options o = {.connected = 1};
	unsigned long n = 0;
	int rc;

	init();
	for (o.start = COHORT_START_ZYGOTE; o.start <= COHORT_START_SPAWN; o.start++) {
		do {
			coh_fd_fail(++n, EMFILE);
			rc = start_and_join(&o);
			CHECK(rc == (coh_fd_count() >= n ? -EMFILE : 0));
		} while (rc != 0 && n < 100);
		CHECK(n > 2); /* the connection, the pipe, the room for the pidfd */
		coh_fd_fail(n = 0, 0);
	}
}

/* Start task "seven" by spawn out of the program at PATH, as a node does for a coordinator. */
static int start_program(struct coh_child *c, const char *path)
{
	struct coh_heritage h = COH_HERITAGE_INIT;
	struct cohort_message *none = NULL;
	int rc;

	REQUIRE_EQ(cohort_message_new(&none, "", NULL), 0);
	REQUIRE_EQ(cohort_message_image(none, &h.args, &h.args_size), 0);
	h.start = COHORT_START_SPAWN;
	h.task = "seven";
	h.name = "spawned";
	h.fd[COH_HERITAGE_PROGRAM] = coh_fd_open(path, O_RDONLY);
	REQUIRE(h.fd[COH_HERITAGE_PROGRAM] >= 0);
	rc = coh_zygote_start(&h, c, SOON, NULL);
	coh_fd_close(&h.fd[COH_HERITAGE_PROGRAM]);
	cohort_message_free(none);
	return rc;
}

TEST(process, a_program_given_as_a_descriptor_is_run)
{
	struct coh_child c;
	int code;

	init();
	REQUIRE_EQ(start_program(&c, "/proc/self/exe"), 0);
	CHECK_EQ(coh_proc_wait(&c, SOON, &code), 0);
	CHECK_EQ(code, 7);
	coh_proc_release(&c);
}

TEST(process, a_program_that_cannot_be_run_is_an_error_of_the_start)
{
	const char *path = test_path("text");
	struct coh_child c;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

	init();
	REQUIRE(fd >= 0 && write(fd, "words\n", 6) == 6);
	close(fd);
	CHECK_EQ(start_program(&c, path), -ENOEXEC);
	REQUIRE(chmod(path, 0600) == 0);
	CHECK_EQ(start_program(&c, path), -EACCES);
}

static void check_argument(const char *argument)
{
	char program[] = "program", text[64];
	char *args[] = {program, text, NULL}, **argv = args;
	struct cohort_error err;
	int argc = 2;

	strcpy(text, argument);
	CHECK_EQ(cohort_init(&argc, &argv, &err), COHORT_EPROTOCOL);
	CHECK_HAS(err.text, argument);
}

TEST(process, a_descriptor_that_is_not_there_makes_no_child)
{
	check_argument("--cohort-child=4711");
}

TEST(process, standard_input_makes_no_child)
{
	check_argument("--cohort-child=0");
}

TEST(process, no_number_makes_no_child)
{
	check_argument("--cohort-child=3x");
}

TEST(process, a_wrong_task_is_named_by_init)
{
	static struct cohort_task t = {"w!", seven, "", "", NULL};
	struct cohort_error err;

	REQUIRE_EQ(cohort_task_register(&t), 0);
	CHECK_EQ(cohort_init(&test_argc, &test_argv, &err), COHORT_ENAME);
	CHECK_HAS(err.text, "'w!'");
}

TEST(process, words_say_how_it_ended)
{
	char text[64];

	CHECK_STR(coh_proc_words(3, text, sizeof text), "exit code 3");
	CHECK_STR(coh_proc_words(-9, text, sizeof text), "signal 9 (Killed)");
}
