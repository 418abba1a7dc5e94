/*
 * process_contract.c - what a process promises, whatever started it.
 *
 * Compiled once for each start method: PROCESS_SUITE names the suite, PROCESS_START the method.
 */
#include "contract/process_tasks.h"
#include "support/test.h"

#include <cohort/log.h>
#include <cohort/process.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))

static void init(void)
{
	struct cohort_error err = {0};

	if (!CHECK_EQ(cohort_init(&test_argc, &test_argv, &err), 0))
		FAIL("%s", err.text);
	test_require(err.code == 0);
}

static const struct cohort_process_options usual = {.start = PROCESS_START};
static const struct cohort_process_options connected = {.start = PROCESS_START, .connected = 1};

/* Start TASK with one argument. */
static struct cohort_process *start(
    const struct cohort_process_options *o, const char *task, const void *arg)
{
	struct cohort_process *p = NULL;
	struct cohort_error err = {0};

	if (!CHECK_EQ(cohort_process_start(&p, o, &err, task, arg), 0))
		FAIL("%s", err.text);
	test_require(p != NULL);
	return p;
}

static struct cohort_process *start_idle(int daemon)
{
	struct cohort_process_options o = usual;
	int32_t unused = 0;

	o.daemon = daemon;
	return start(&o, "idle", &unused);
}

/* Join P, and free it; how it ended. */
static int finish(struct cohort_process *p)
{
	int code = -1000;

	CHECK_EQ(cohort_process_join(p, SOON), 0);
	CHECK_EQ(cohort_process_exit_code(p, &code), 0);
	cohort_process_free(p);
	return code;
}

static int run(const char *task, int32_t arg)
{
	return finish(start(&usual, task, &arg));
}

TEST_TIMEOUT(PROCESS_SUITE, exit_code_is_what_the_task_returned, 40)
{
	init();
	for (int32_t code = 0; code < 256; code++)
		REQUIRE_EQ(run("return_it", code), code);
	CHECK_EQ(run("return_it", 1000), 255);
}

TEST(PROCESS_SUITE, exit_code_is_what_the_task_gave_to_exit)
{
	init();
	CHECK_EQ(run("exit_with", 0), 0);
	CHECK_EQ(run("exit_with", 77), 77);
}

TEST(PROCESS_SUITE, exit_code_of_a_signal_is_negative)
{
	static const int signals[] = {SIGTERM, SIGKILL, SIGINT, SIGUSR1, SIGPIPE, SIGALRM};

	init();
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		CHECK_EQ(run("die_by", signals[i]), -signals[i]);
}

/* Standard error goes to a file while BODY runs; what was written is in TEXT. */
static void capture_stderr(void (*body)(void), char *text, size_t size)
{
	int saved = fcntl(2, F_DUPFD_CLOEXEC, 3);
	int file = open(test_path("stderr"), O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
	ssize_t n;

	REQUIRE(saved >= 0 && file >= 0 && dup2(file, 2) == 2);
	body();
	REQUIRE(dup2(saved, 2) == 2);
	close(saved);
	n = pread(file, text, size - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	close(file);
}

static void run_failing(void)
{
	struct cohort_process_options o = usual;
	const char *why = "no cheese left";

	o.name = "mouse";
	init();
	CHECK_EQ(finish(start(&o, "fail_because", &why)), 1);
}

TEST(PROCESS_SUITE, a_failed_task_exits_with_1_and_says_why)
{
	char text[1024];

	capture_stderr(run_failing, text, sizeof text);
	CHECK_HAS(text, "mouse: no cheese left\n");
}

TEST(PROCESS_SUITE, join_keeps_its_deadline)
{
	struct cohort_process *p;
	cohort_time begin;
	int code;

	init();
	p = start_idle(0);
	begin = cohort_now();
	CHECK_EQ(cohort_process_join(p, begin + 30 * COHORT_MS), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - begin >= 30 * COHORT_MS);
	CHECK(cohort_now() - begin < test_span(COHORT_SECOND));
	CHECK_EQ(cohort_process_join(p, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_process_exit_code(p, &code), COHORT_ESTATE);
	CHECK_EQ(cohort_process_alive(p), 1);
	CHECK_EQ(cohort_process_kill(p), 0);
	CHECK_EQ(finish(p), -SIGKILL);
}

TEST(PROCESS_SUITE, terminate_kill_and_interrupt_end_it)
{
	struct cohort_process *p;

	init();
	p = start_idle(0);
	CHECK_EQ(cohort_process_terminate(p), 0);
	CHECK_EQ(finish(p), -SIGTERM);
	p = start_idle(0);
	CHECK_EQ(cohort_process_kill(p), 0);
	CHECK_EQ(finish(p), -SIGKILL);
	p = start_idle(0);
	CHECK_EQ(cohort_process_interrupt(p), 0);
	CHECK_EQ(finish(p), -SIGINT);
}

TEST(PROCESS_SUITE, join_is_repeatable_and_signals_to_the_dead_are_fine)
{
	int32_t five = 5;
	struct cohort_process *p;
	int code;

	init();
	p = start(&usual, "return_it", &five);
	CHECK_EQ(cohort_process_join(p, SOON), 0);
	CHECK_EQ(cohort_process_join(p, COHORT_NOW), 0);
	CHECK_EQ(cohort_process_terminate(p), 0);
	CHECK_EQ(cohort_process_kill(p), 0);
	CHECK_EQ(cohort_process_alive(p), 0);
	CHECK(cohort_process_exit_code(p, &code) == 0 && code == 5);
	cohort_process_free(p);
}

TEST(PROCESS_SUITE, sentinel_is_ready_when_it_ends)
{
	struct cohort_wait_item items[2] = {{0}};
	struct cohort_process *a, *b;
	int code;

	init();
	a = start_idle(0);
	b = start_idle(0);
	items[0].fd = cohort_process_sentinel(a);
	items[1].fd = cohort_process_sentinel(b);
	CHECK_EQ(cohort_wait(items, 2, cohort_in(10 * COHORT_MS)), 0);
	CHECK_EQ(cohort_process_kill(b), 0);
	CHECK_EQ(cohort_wait(items, 2, SOON), 1);
	CHECK(!items[0].ready && items[1].ready);
	CHECK_EQ(cohort_process_alive(b), 0);
	CHECK(cohort_process_exit_code(b, &code) == 0 && code == -SIGKILL);
	cohort_process_free(b);
	cohort_process_kill(a);
	finish(a);
}

/* Names, pids and parents as the child sees them, in the order of "siii". */
TEST(PROCESS_SUITE, a_child_knows_itself_and_its_parent)
{
	struct cohort_process_options o = connected;
	struct cohort_process *p;
	struct cohort_message *m;
	int32_t pid, parent, alive, unused = 0;
	const char *name;

	init();
	CHECK_STR(cohort_process_current(), "main");
	CHECK_EQ(cohort_process_parent(), 0);
	CHECK_EQ(cohort_process_parent_alive(), 0);
	CHECK(cohort_process_parent_conn() == NULL);
	o.name = "the child";
	p = start(&o, "tell_self", &unused);
	CHECK_STR(cohort_process_name(p), "the child");
	REQUIRE(cohort_message_new(&m, "siii", NULL) == 0);
	REQUIRE_EQ(cohort_conn_recv(cohort_process_conn(p), m, SOON), 0);
	REQUIRE_EQ(cohort_message_unpack(m, 0, &name, &pid, &parent, &alive), 1);
	CHECK_STR(name, "the child");
	CHECK_EQ(pid, cohort_process_pid(p));
	CHECK_EQ(parent, getpid());
	CHECK_EQ(alive, 1);
	cohort_message_free(m);
	CHECK_EQ(finish(p), 0);
}

TEST(PROCESS_SUITE, names_are_numbered_and_those_of_grandchildren_show_descent)
{
	int32_t unused = 0;
	struct cohort_process *p, *q;
	struct cohort_message *m;
	const char *name;

	init();
	p = start(&usual, "return_it", &unused);
	q = start(&connected, "tell_name_of_child", &unused);
	CHECK_STR(cohort_process_name(p), "task-1");
	CHECK_STR(cohort_process_name(q), "task-2");
	REQUIRE(cohort_message_new(&m, "s", NULL) == 0);
	REQUIRE_EQ(cohort_conn_recv(cohort_process_conn(q), m, SOON), 0);
	REQUIRE_EQ(cohort_message_unpack(m, 0, &name), 1);
	CHECK_STR(name, "task-2:1");
	cohort_message_free(m);
	CHECK_EQ(finish(p), 0);
	CHECK_EQ(finish(q), 0);
}

TEST(PROCESS_SUITE, children_that_run_are_listed)
{
	struct cohort_process *a, *b;
	int pids[4] = {0};

	init();
	CHECK_EQ(cohort_process_children(pids, 4), 0);
	a = start_idle(0);
	b = start_idle(0);
	CHECK_EQ(cohort_process_children(NULL, 0), 2);
	REQUIRE_EQ(cohort_process_children(pids, 4), 2);
	CHECK(pids[0] == cohort_process_pid(a) && pids[1] == cohort_process_pid(b));
	cohort_process_kill(a);
	CHECK_EQ(cohort_process_join(a, SOON), 0);
	CHECK_EQ(cohort_process_children(pids, 4), 1);
	cohort_process_kill(b);
	finish(a);
	finish(b);
}

TEST(PROCESS_SUITE, a_connected_pair_exchanges_messages)
{
	struct cohort_process *p;
	struct cohort_message *m;
	int32_t unused = 0, x;

	init();
	p = start(&connected, "add_one", &unused);
	REQUIRE(cohort_message_new(&m, "i", NULL) == 0);
	for (x = 0; x < 100; x += 2) {
		cohort_message_reset(m);
		REQUIRE_EQ(cohort_message_pack(m, 0, &x), 0);
		REQUIRE_EQ(cohort_conn_send(cohort_process_conn(p), m, SOON), 0);
		REQUIRE_EQ(cohort_conn_recv(cohort_process_conn(p), m, SOON), 0);
		REQUIRE_EQ(cohort_message_unpack(m, 0, &unused), 1);
		CHECK_EQ(unused, x + 1);
	}
	cohort_message_free(m);
	cohort_process_free(p); /* closes the connection, which ends the child */
	CHECK_EQ(cohort_shutdown(SOON), 0);
}

TEST(PROCESS_SUITE, the_end_of_a_child_is_the_end_of_its_connection)
{
	struct cohort_process *p;
	const void *data;
	size_t size;
	int32_t unused = 0;

	init();
	p = start(&connected, "return_it", &unused);
	CHECK_EQ(cohort_conn_recv_bytes(cohort_process_conn(p), &data, &size, SOON), COHORT_EOF);
	CHECK_EQ(finish(p), 0);
}

TEST(PROCESS_SUITE, a_child_may_have_children_of_its_own)
{
	init();
	CHECK_EQ(run("return_by_child", 42), 42);
}

TEST(PROCESS_SUITE, a_daemon_may_not_have_children)
{
	struct cohort_process_options o = usual;
	int32_t code = 42;

	o.daemon = 1;
	init();
	/* the task returns 100 where the start was refused with COHORT_ESTATE */
	CHECK_EQ(finish(start(&o, "return_by_child", &code)), 100);
}

/* In the child: no descriptor but the standard ones and, if asked for, the connection. */
TEST(PROCESS_SUITE, no_descriptor_is_inherited_by_accident)
{
	int32_t unused = 0;
	int careless = open("/dev/null", O_RDONLY), fds[2];

	REQUIRE(careless >= 0 && pipe(fds) == 0); /* before init, and not close-on-exec */
	init();
	CHECK_EQ(run("count_descriptors", 0), 3);
	CHECK_EQ(finish(start(&connected, "count_descriptors", &unused)), 4);
	close(careless);
	close(fds[0]);
	close(fds[1]);
}

TEST(PROCESS_SUITE, standard_input_is_dev_null)
{
	init();
	CHECK_EQ(run("read_stdin", 0), 0);
}

TEST(PROCESS_SUITE, signals_are_as_at_the_start_of_a_program)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	REQUIRE(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	REQUIRE(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	init();
	CHECK_EQ(run("check_signals", 0), 0);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
}

TEST(PROCESS_SUITE, log_level_is_inherited)
{
	cohort_log_to(cohort_log_stderr, COHORT_LOG_WARN, NULL);
	init();
	CHECK_EQ(run("return_log_level", 0), COHORT_LOG_WARN);
	cohort_log_to(NULL, COHORT_LOG_ERROR, NULL);
	CHECK_EQ(run("return_log_level", 0), 0);
}

static void print_and_run(void)
{
	fprintf(stderr, "%s", ""); /* stderr is unbuffered; the buffered one is stdout */
	REQUIRE(dup2(2, 1) == 1);
	printf("parent,");
	init();
	CHECK_EQ(run("print_it", 7), 0);
	printf("end");
	fflush(stdout);
}

TEST(PROCESS_SUITE, output_is_flushed_once)
{
	char text[1024];

	capture_stderr(print_and_run, text, sizeof text);
	CHECK_STR(text, "parent,child 7,end");
	CHECK(dup2(2, 1) == 1);
}

TEST(PROCESS_SUITE, large_arguments_arrive_whole)
{
	size_t size = (size_t)4 << 20;
	unsigned char *data = calloc(1, size);
	struct cohort_bytes b = {data, size};
	struct cohort_process *p;

	init();
	REQUIRE(data != NULL);
	data[0] = 1;
	data[size / 2] = 20;
	data[size - 1] = 200;
	p = start(&usual, "sum_bytes", &b);
	CHECK_EQ(finish(p), 221);
	free(data);
}

TEST(PROCESS_SUITE, what_cannot_be_started_is_refused_with_its_reason)
{
	struct cohort_process_options o = usual;
	struct cohort_process *p = NULL;
	struct cohort_error err;
	int32_t x = 0;
	char name[200];

	init();
	CHECK_EQ(cohort_process_start(&p, &usual, &err, "nobody", &x), COHORT_ENOTASK);
	CHECK_HAS(err.text, "'nobody'");
	CHECK_EQ(cohort_process_start(&p, &usual, &err, "take_rows", &x), COHORT_ENOTSUP);
	CHECK_HAS(err.text, "A(i)");
	o.start = (enum cohort_start)9;
	CHECK_EQ(cohort_process_start(&p, &o, &err, "return_it", &x), COHORT_EARGUMENT);
	o = usual;
	o.name = memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	CHECK_EQ(cohort_process_start(&p, &o, &err, "return_it", &x), COHORT_EARGUMENT);
	CHECK_HAS(err.text, "199 bytes");
	CHECK(p == NULL);
	CHECK_EQ(cohort_process_children(NULL, 0), 0);
}

TEST(PROCESS_SUITE, needs_cohort_init_and_ends_with_cohort_shutdown)
{
	struct cohort_process *p = NULL;
	struct cohort_error err;
	int32_t x = 0;

	CHECK_EQ(cohort_process_start(&p, &usual, &err, "return_it", &x), COHORT_EINIT);
	CHECK_EQ(cohort_shutdown(COHORT_NOW), 0);
	init();
	CHECK_EQ(cohort_init(&test_argc, &test_argv, &err), COHORT_ESTATE);
	CHECK_EQ(run("return_it", 3), 3);
	CHECK_EQ(cohort_shutdown(SOON), 0);
	CHECK_EQ(cohort_shutdown(SOON), 0);
	CHECK_EQ(cohort_process_start(&p, &usual, &err, "return_it", &x), COHORT_ESTATE);
}

/* However few descriptors may be open: a start fails with -EMFILE and leaves nothing, or works. */
TEST(PROCESS_SUITE, without_descriptors_a_start_fails_and_leaves_nothing)
{
	struct rlimit old, tight;
	struct cohort_process *p = NULL;
	struct cohort_error err;
	int32_t code = 9;
	int rc = -EMFILE;

	init();
	REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
	tight = old;
	for (tight.rlim_cur = 3; rc != 0 && tight.rlim_cur < 400; tight.rlim_cur++) {
		REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
		rc = cohort_process_start(&p, &connected, &err, "return_it", &code);
		REQUIRE(setrlimit(RLIMIT_NOFILE, &old) == 0);
		if (rc != 0)
			CHECK(rc == -EMFILE && p == NULL);
	}
	REQUIRE_EQ(rc, 0);
	/* by fork the child inherits the limit, and may have no room for its /dev/null */
	code = (int32_t)finish(p);
	CHECK(code == 9 || (PROCESS_START == COHORT_START_FORK && code == 255));
}

static int count_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

TEST_TIMEOUT(PROCESS_SUITE, two_hundred_quick_starts_leak_nothing, 40)
{
	int before;

	init();
	CHECK_EQ(run("return_it", 1), 1);
	before = count_open();
	for (int32_t i = 0; i < 200; i++)
		REQUIRE_EQ(run("return_it", i), i);
	CHECK_EQ(count_open(), before);
	CHECK_EQ(cohort_process_children(NULL, 0), 0);
}

TEST(PROCESS_SUITE, a_process_freed_while_it_runs_goes_on_until_shutdown)
{
	struct cohort_process *p;
	int pidfd, before;

	init();
	before = count_open();
	p = start_idle(1);
	pidfd = pidfd_open(cohort_process_pid(p), 0);
	cohort_process_free(p);
	CHECK_EQ(cohort_process_children(NULL, 0), 1);
	CHECK_EQ(cohort_shutdown(SOON), 0);
	CHECK_EQ(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 0), 1);
	close(pidfd);
	CHECK(count_open() <= before);
}

TEST(PROCESS_SUITE, a_process_freed_while_it_runs_is_dropped_once_it_has_ended)
{
	struct pollfd end = {.events = POLLIN};
	struct cohort_process *p;
	int before;

	init();
	before = count_open();
	p = start_idle(0);
	end.fd = pidfd_open(cohort_process_pid(p), 0);
	CHECK_EQ(cohort_process_kill(p), 0);
	cohort_process_free(p);
	CHECK_EQ(poll(&end, 1, 10000), 1);
	CHECK_EQ(cohort_process_children(NULL, 0), 0);
	close(end.fd);
	CHECK_EQ(count_open(), before);
}

TEST(PROCESS_SUITE, shutdown_terminates_daemons_and_kills_at_the_deadline)
{
	struct cohort_process *daemon, *other;
	cohort_time begin;
	int code;

	init();
	daemon = start_idle(1);
	other = start_idle(0);
	begin = cohort_now();
	CHECK_EQ(cohort_shutdown(begin + 50 * COHORT_MS), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - begin >= 50 * COHORT_MS);
	CHECK(cohort_now() - begin < test_span(2 * COHORT_SECOND));
	CHECK(cohort_process_exit_code(daemon, &code) == 0 && code == -SIGTERM);
	CHECK(cohort_process_exit_code(other, &code) == 0 && code == -SIGKILL);
	cohort_process_free(daemon);
	cohort_process_free(other);
}

TEST(PROCESS_SUITE, a_copy_forked_by_the_application_touches_nothing)
{
	struct cohort_process *p;
	int status, code;
	pid_t pid;

	init();
	p = start_idle(0);
	pid = test_fork();
	if (pid == 0) {
		CHECK_EQ(cohort_process_join(p, COHORT_NOW), COHORT_ESTATE);
		CHECK_EQ(cohort_process_exit_code(p, &code), COHORT_ESTATE);
		CHECK_EQ(cohort_process_kill(p), COHORT_ESTATE);
		CHECK_EQ(cohort_shutdown(COHORT_NOW), 0);
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK_EQ(cohort_process_alive(p), 1);
	cohort_process_kill(p);
	CHECK_EQ(finish(p), -SIGKILL);
}

/* Be a program that starts a child, tells its pid, and is killed. */
static void be_victim(int tell, const char *task)
{
	struct cohort_process *p;
	struct cohort_message *m;
	int32_t pid, unused = 0;

	init();
	p = start(&connected, task, &unused);
	REQUIRE(cohort_message_new(&m, "i", NULL) == 0);
	REQUIRE_EQ(cohort_conn_recv(cohort_process_conn(p), m, SOON), 0);
	REQUIRE_EQ(cohort_message_unpack(m, 0, &pid), 1);
	REQUIRE_EQ(write(tell, &pid, sizeof pid), sizeof pid);
	for (;;)
		pause();
}

/* When its program is killed, the process whose pid TASK tells is gone soon. */
static void check_no_orphan(const char *task)
{
	struct pollfd orphan = {.events = POLLIN};
	int fds[2];
	int32_t child = 0;
	pid_t victim;

	REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
	victim = test_fork();
	if (victim == 0)
		be_victim(fds[1], task);
	REQUIRE_EQ(read(fds[0], &child, sizeof child), sizeof child);
	orphan.fd = pidfd_open(child, 0);
	REQUIRE(orphan.fd >= 0);
	CHECK_EQ(poll(&orphan, 1, 0), 0);
	REQUIRE(kill(victim, SIGKILL) == 0);
	REQUIRE_EQ(waitpid(victim, NULL, 0), victim);
	CHECK_EQ(poll(&orphan, 1, 5000), 1);
	close(orphan.fd);
	close(fds[0]);
	close(fds[1]);
}

TEST(PROCESS_SUITE, no_child_outlives_a_killed_parent)
{
	check_no_orphan("tell_pid_and_idle");
}

TEST(PROCESS_SUITE, no_grandchild_outlives_a_killed_parent)
{
	check_no_orphan("tell_pid_of_idle_child");
}
