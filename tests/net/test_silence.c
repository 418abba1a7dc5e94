/*
 * test_silence.c - nodes and programs that say nothing any more, with their connections still there.
 *
 * Each side promises a beat and is given up after four of them; what follows is measured against that
 * promise.  A process is silenced by SIGSTOP, a network by taking its interface down, in a network
 * of the test's own.
 */
#include "contract/pool_fixture.h"
#include "work/pulse.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <poll.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(30 * COHORT_SECOND))

/* Beats after which silence is noticed: four, less what had gone by of one, and a tick and a half. */
#define SOONEST 3
#define LATEST 4.5

static double beats_since(cohort_time begin)
{
	return (double)(cohort_now() - begin) / (double)COH_PULSE_BEAT;
}

static void noticed_in_time(cohort_time begin)
{
	double beats = beats_since(begin);

	CHECK(beats >= SOONEST);
	CHECK(beats <= LATEST * (double)test_span(COHORT_SECOND) / COHORT_SECOND);
	printf("noticed after %.1f beats\n", beats);
}

/* ---- nodes ---- */

struct two {
	struct cohort_pool *pool;
	char address[1024];
	int pid[2];
};

/* A pool of two nodes; only the first is reached over the network, at SCHEME. */
static void two_open(struct two *t, const char *scheme)
{
	struct cohort_pool_options o = {0};
	char first[64], second[600];
	int n;

	pool_program();
	o.key_file = pool_key();
	o.deadline = PATIENCE;
	snprintf(first, sizeof first, "%s://127.0.0.1:0", scheme);
	snprintf(second, sizeof second, "unix:%s", test_path("node.sock"));
	t->pid[0] = pool_agent((const char *const[]){"--listen", first, "--key", o.key_file,
	    "--slots", "2", "--port-file", test_path("one"), NULL});
	t->pid[1] = pool_agent((const char *const[]){"--listen", second, "--key", o.key_file,
	    "--slots", "2", "--port-file", test_path("two"), NULL});
	n = snprintf(t->address, sizeof t->address, "%s,", pool_line(test_path("one")));
	snprintf(t->address + n, sizeof t->address - (size_t)n, "%s", pool_line(test_path("two")));
	REQUIRE_EQ(cohort_pool_open(&t->pool, t->address, &o, NULL), 0);
	CHECK_EQ(pool_stats(t->pool).slots, 4);
}

/* What the first node is given after BEGIN, when it fell silent, is done by the second. */
static void done_by_the_other(struct two *t, cohort_time begin)
{
	struct cohort_future *f[100];
	struct cohort_pool_stats stats;
	int64_t y;

	for (int32_t x = 0; x < 100; x++)
		REQUIRE_EQ(cohort_pool_submit(t->pool, &f[x], NULL, "square", &x), 0);
	for (int32_t x = 0; x < 100; x++) {
		CHECK_EQ(cohort_future_get(f[x], PATIENCE, NULL, &y), 0);
		CHECK_EQ(y, (int64_t)x * x);
		cohort_future_free(f[x]);
	}
	noticed_in_time(begin);
	stats = pool_stats(t->pool);
	CHECK_EQ(stats.deaths, 1);
	CHECK(stats.reruns > 0);
	CHECK_EQ(stats.slots, 2);
}

TEST_TIMEOUT(silence, of_a_stopped_node_is_noticed_and_its_tasks_run_elsewhere, 60)
{
	cohort_time begin;
	struct two t;

	two_open(&t, "tcp");
	begin = cohort_now();
	REQUIRE_EQ(kill(t.pid[0], SIGSTOP), 0);
	done_by_the_other(&t, begin);
	kill(t.pid[0], SIGCONT);
	pool_end(t.pool);
}

/* The loopback of this network up or down.  False: not permitted. */
static bool loopback(bool up)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0};
	int rc = s >= 0 ? ioctl(s, SIOCSIFFLAGS, &r) : -1;

	if (s >= 0)
		close(s);
	return rc == 0;
}

TEST_TIMEOUT(silence, of_a_node_that_is_cut_off_is_noticed_without_a_fin, 60)
{
	cohort_time begin;
	struct two t;

	if (unshare(CLONE_NEWNET) != 0 || !loopback(true)) {
		printf("skipped: no network of one's own may be made here\n");
		return;
	}
	two_open(&t, "tls");
	begin = cohort_now();
	REQUIRE(loopback(false));
	done_by_the_other(&t, begin);
	REQUIRE(loopback(true));
	pool_end(t.pool);
}

/* ---- programs ---- */

/* A program with a pool, stopped while it waits: it learns that its nodes are gone, and goes on. */
static int stopped_program(struct cohort_call *call)
{
	struct cohort_pool_options o = {0};
	struct cohort_future *f;
	struct cohort_pool *p;
	const char *address, *fifo;
	int code;

	cohort_call_args(call, &address, &o.key_file, &fifo);
	if (cohort_pool_open(&p, address, &o, NULL) != 0 ||
	    cohort_pool_submit(p, &f, NULL, "told", &fifo) != 0)
		return 1;
	if (cohort_future_wait(f, PATIENCE) != 0)
		return 2;
	code = cohort_future_error(f, NULL);
	cohort_future_free(f);
	cohort_pool_free(p);
	return code == COHORT_ELOST ? 0 : 3;
}
COHORT_TASK(stopped_program, "sss", "");

/* Say one's pid into the FIFO and never end. */
static int told(struct cohort_call *call)
{
	int32_t pid = getpid();
	const char *fifo;
	int fd;

	cohort_call_args(call, &fifo);
	fd = open(fifo, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, &pid, sizeof pid) != (ssize_t)sizeof pid)
		return -EIO;
	for (;;)
		pause();
}
COHORT_TASK(told, "s", "");

/* A descriptor that is readable once the process that says its pid into FIFO has ended. */
static struct pollfd end_of_who_says(const char *fifo)
{
	int fd = open(fifo, O_RDONLY | O_CLOEXEC);
	int32_t pid = 0;

	REQUIRE(fd >= 0);
	REQUIRE_EQ(read(fd, &pid, sizeof pid), (ssize_t)sizeof pid);
	close(fd);
	fd = pidfd_open(pid, 0);
	REQUIRE(fd >= 0);
	return (struct pollfd){.fd = fd, .events = POLLIN};
}

TEST_TIMEOUT(silence, of_a_stopped_program_frees_the_node_and_the_program_wakes_up_to_that, 60)
{
	struct cohort_process *program;
	const char *address, *key, *fifo = test_path("fifo");
	struct pollfd worker;
	cohort_time begin;
	int code = -1;

	pool_program();
	key = pool_key();
	pool_agent((const char *const[]){"--listen", "tcp://127.0.0.1:0", "--key", key, "--slots", "1",
	    "--port-file", test_path("port"), NULL});
	address = pool_line(test_path("port"));
	REQUIRE_EQ(mkfifo(fifo, 0600), 0);
	REQUIRE_EQ(cohort_process_start(&program, NULL, NULL, "stopped_program", &address, &key, &fifo), 0);
	worker = end_of_who_says(fifo);
	begin = cohort_now();
	REQUIRE_EQ(kill(cohort_process_pid(program), SIGSTOP), 0);
	CHECK_EQ(poll(&worker, 1, (int)(test_span(30 * COHORT_SECOND) / COHORT_MS)), 1);
	noticed_in_time(begin);
	close(worker.fd);
	REQUIRE_EQ(kill(cohort_process_pid(program), SIGCONT), 0);
	CHECK_EQ(cohort_process_join(program, PATIENCE), 0);
	CHECK_EQ(cohort_process_exit_code(program, &code), 0);
	CHECK_EQ(code, 0);
	cohort_process_free(program);
	pool_end(NULL);
}
