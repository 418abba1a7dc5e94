/*
 * test_node.c - pools on node agents: what can go wrong between a program and its nodes.
 *
 * That a pool on nodes does what every pool does is the contract's business (contract/); here
 * are the program's identity, keys, and the death of nodes.
 */
#include "contract/pool_fixture.h"

#include "node/program.h"
#include "os/fd.h"
#include "os/zygote.h"

#include <cohort/auth.h>
#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))

struct nodes {
	struct cohort_pool_options options;
	char address[1024];
	int pid[2];
};

/* COUNT agents of two slots each, with EXTRA as one more argument pair (or NULLs). */
static void nodes_start(struct nodes *n, int count, const char *option, const char *value)
{
	char file[64], *at = n->address;

	pool_program();
	memset(n, 0, sizeof *n);
	n->options.key_file = pool_key();
	n->options.deadline = PATIENCE;
	for (int i = 0; i < count; i++) {
		snprintf(file, sizeof file, "port%d", i);
		n->pid[i] = pool_agent((const char *const[]){"--listen", "tcp://127.0.0.1:0",
		    "--key", n->options.key_file, "--slots", "2", "--port-file",
		    test_path(file), option, value, NULL});
		at += sprintf(at, "%s%s", i != 0 ? "," : "", pool_line(test_path(file)));
	}
}

static int32_t left;

static int countdown(struct cohort_message *args, void *arg)
{
	(void)arg;
	if (left == 0)
		return COHORT_EOF;
	left--;
	return cohort_message_pack(args, 0, &left);
}

TEST(node, killing_one_of_two_in_mid_run_loses_nothing)
{
	enum { N = 20000 };
	static bool seen[N];
	struct cohort_future *f;
	struct cohort_iter *it;
	struct cohort_pool *p;
	struct nodes n;
	int64_t y;
	int got = 0;

	nodes_start(&n, 2, NULL, NULL);
	REQUIRE_EQ(cohort_pool_open(&p, n.address, &n.options, NULL), 0);
	CHECK_EQ(pool_stats(p).slots, 4);
	left = N;
	REQUIRE_EQ(cohort_pool_imap(
		       p, &it, "square", &(struct cohort_imap){.input = countdown}, NULL),
	    0);
	while (cohort_iter_next(it, &f, PATIENCE) == 1) {
		if (++got == N / 2)
			kill(n.pid[0], SIGKILL);
		REQUIRE_EQ(cohort_future_get(f, COHORT_NOW, NULL, &y), 0);
		for (int x = 0; x < N; x++)
			if ((int64_t)x * x == y) {
				CHECK(!seen[x]);
				seen[x] = true;
				break;
			}
		cohort_future_free(f);
	}
	CHECK_EQ(got, N);
	CHECK_EQ(pool_stats(p).deaths, 1);
	CHECK_EQ(pool_stats(p).slots, 2);
	cohort_iter_free(it);
	pool_end(p);
}

TEST(node, when_every_node_is_gone_each_future_says_so)
{
	struct cohort_error err = {0};
	struct cohort_future *f;
	struct cohort_pool *p;
	const char *fifo = test_path("running");
	struct nodes n;
	int fd;

	nodes_start(&n, 1, NULL, NULL);
	REQUIRE_EQ(mkfifo(fifo, 0600), 0);
	REQUIRE_EQ(cohort_pool_open(&p, n.address, &n.options, NULL), 0);
	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "loop", &fifo), 0);
	fd = open(fifo, O_RDONLY); /* it is running */
	kill(n.pid[0], SIGKILL);
	CHECK_EQ(cohort_future_wait(f, PATIENCE), 0);
	CHECK_EQ(cohort_future_error(f, &err), COHORT_ELOST);
	CHECK_HAS(err.text, "tcp://127.0.0.1:");
	cohort_future_free(f);
	CHECK_EQ(cohort_pool_submit(p, &f, &err, "loop", &fifo), COHORT_ELOST);
	close(fd);
	pool_end(p);
}

TEST(node, workers_end_when_their_agent_is_killed)
{
	struct cohort_pool *p;
	struct pollfd end;
	struct nodes n;
	int32_t pid = 0;

	nodes_start(&n, 1, NULL, NULL);
	REQUIRE_EQ(cohort_pool_open(&p, n.address, &n.options, NULL), 0);
	REQUIRE_EQ(cohort_pool_apply(p, PATIENCE, NULL, "whoami", &pid), 0);
	end = (struct pollfd){pidfd_open(pid, 0), POLLIN, 0};
	REQUIRE(end.fd >= 0);
	kill(n.pid[0], SIGKILL);
	CHECK_EQ(poll(&end, 1, 10000), 1);
	close(end.fd);
	pool_end(p);
}

TEST(node, a_wrong_key_is_refused_with_the_address)
{
	struct cohort_error err = {0};
	struct cohort_pool *p = NULL;
	struct nodes n;

	nodes_start(&n, 1, NULL, NULL);
	n.options.key_file = test_path("other");
	REQUIRE_EQ(cohort_key_generate(n.options.key_file, NULL), 0);
	CHECK_EQ(cohort_pool_open(&p, n.address, &n.options, &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "127.0.0.1:");
	pool_end(p);
}

TEST(node, nobody_listening_is_refused_with_the_address)
{
	struct cohort_error err = {0};
	struct cohort_pool_options o = {0};
	struct cohort_pool *p = NULL;

	pool_program();
	o.key_file = pool_key();
	CHECK_EQ(cohort_pool_open(&p, "tcp://127.0.0.1:1", &o, &err), -ECONNREFUSED);
	CHECK_HAS(err.text, "tcp://127.0.0.1:1");
	pool_end(p);
}

TEST(node, a_program_that_is_not_listed_is_refused)
{
	struct cohort_error err = {0};
	struct cohort_pool *p = NULL;
	struct nodes n;

	nodes_start(&n, 1, "--program", "/bin/true");
	CHECK_EQ(cohort_pool_open(&p, n.address, &n.options, &err), COHORT_EPROGRAM);
	CHECK_HAS(err.text, "--program");
	CHECK_HAS(err.text, "127.0.0.1:");
	pool_end(p);
}

TEST(node, a_program_that_is_listed_runs)
{
	struct cohort_pool *p = NULL;
	char self[4096] = {0};
	struct nodes n;
	int32_t x = 9;
	int64_t y = 0;

	REQUIRE(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	nodes_start(&n, 1, "--program", self);
	REQUIRE_EQ(cohort_pool_open(&p, n.address, &n.options, NULL), 0);
	CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
	CHECK_EQ(y, 81);
	pool_end(p);
}

/* Runs in a process whose program is a copy at PATH: put another file there and try a pool. */
static int changed_program(struct cohort_call *call)
{
	struct cohort_pool_options o = {0};
	struct cohort_error err = {0};
	struct cohort_pool *p = NULL;
	const char *path, *address;
	FILE *f;

	cohort_call_args(call, &path, &address, &o.key_file);
	if (unlink(path) != 0 || (f = fopen(path, "we")) == NULL)
		return 10;
	if (fputs("#!/bin/true\n", f) < 0 || fclose(f) != 0 || chmod(path, 0700) != 0)
		return 11;
	if (cohort_pool_open(&p, address, &o, &err) != COHORT_EPROGRAM)
		return 12;
	/* two sums of 64 digits */
	return strstr(err.text, "SHA-256") != NULL && strlen(err.text) > 128 ? 0 : 13;
}
COHORT_TASK(changed_program, "sss", "");

static void copy_self(const char *path)
{
	char command[4600];

	snprintf(command, sizeof command, "cp /proc/%d/exe '%s'", getpid(), path);
	REQUIRE_EQ(system(command), 0);
}

TEST(node, a_program_that_differs_on_the_node_is_refused_with_both_sums)
{
	struct coh_heritage h = COH_HERITAGE_INIT;
	const char *path = test_path("copy");
	struct coh_child child = {0};
	struct cohort_message *m;
	const char *address;
	struct nodes n;
	int code = -1, fd;

	nodes_start(&n, 1, NULL, NULL);
	copy_self(path);
	address = n.address;
	REQUIRE_EQ(cohort_message_new(&m, "sss", NULL), 0);
	REQUIRE_EQ(cohort_message_pack(m, 0, &path, &address, &n.options.key_file), 0);
	REQUIRE_EQ(cohort_message_image(m, &h.args, &h.args_size), 0);
	h.name = h.task = "changed_program";
	h.start = COHORT_START_SPAWN;
	h.fd[COH_HERITAGE_PROGRAM] = fd = coh_fd_open(path, O_RDONLY);
	REQUIRE_EQ(coh_zygote_start(&h, &child, PATIENCE, NULL), 0);
	CHECK_EQ(coh_proc_wait(&child, PATIENCE, &code), 0);
	CHECK_EQ(code, 0);
	coh_proc_release(&child);
	coh_fd_close(&fd);
	cohort_message_free(m);
	pool_end(NULL);
}

/* A task that only processes with $COHORT_TEST_EXTRA have. */
static int extra(struct cohort_call *call)
{
	(void)call;
	return 0;
}
static struct cohort_task extra_task = {"extra", extra, "", "", NULL};
__attribute__((constructor)) static void register_extra(void)
{
	if (getenv("COHORT_TEST_EXTRA") != NULL)
		cohort_task_register(&extra_task);
}

TEST(node, registries_that_differ_name_the_task)
{
	struct cohort_error err = {0};
	struct cohort_pool *p = NULL;
	struct nodes n;

	pool_program(); /* before the variable is set: the agent alone has it */
	setenv("COHORT_TEST_EXTRA", "1", 1);
	nodes_start(&n, 1, NULL, NULL);
	CHECK_EQ(cohort_pool_open(&p, n.address, &n.options, &err), COHORT_EREGISTRY);
	CHECK_HAS(err.text, "extra");
	pool_end(p);
}

TEST(node, two_programs_share_an_agent)
{
	struct cohort_pool *a, *b;
	struct nodes n;
	int32_t x = 5;
	int64_t y = 0;

	nodes_start(&n, 1, NULL, NULL);
	REQUIRE_EQ(cohort_pool_open(&a, n.address, &n.options, NULL), 0);
	REQUIRE_EQ(cohort_pool_open(&b, n.address, &n.options, NULL), 0);
	CHECK_EQ(cohort_pool_apply(a, PATIENCE, NULL, "square", &x, &y), 0);
	cohort_pool_free(a);
	CHECK_EQ(cohort_pool_apply(b, PATIENCE, NULL, "square", &x, &y), 0);
	CHECK_EQ(y, 25);
	pool_end(b);
}

TEST(node, a_node_calls_home_again_when_the_pool_comes_back)
{
	struct cohort_pool_options o = {0};
	struct cohort_pool *p = NULL;
	char address[512];
	int32_t x = 7;
	int64_t y = 0;

	pool_program();
	o.key_file = pool_key();
	snprintf(address, sizeof address, "unix:%s", test_path("home.sock"));
	pool_agent((const char *const[]){"--join", address, "--key", o.key_file, NULL});
	snprintf(address, sizeof address, "listen:unix:%s", test_path("home.sock"));
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(cohort_pool_open(&p, address, &o, NULL), 0);
		CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
		CHECK_EQ(y, 49);
		cohort_pool_free(p);
	}
	pool_end(NULL);
}

TEST(node, an_agent_told_to_end_ends_in_order)
{
	struct stat st;
	struct nodes n;
	int status = -1;

	nodes_start(&n, 1, NULL, NULL);
	kill(n.pid[0], SIGTERM);
	CHECK_EQ(waitpid(n.pid[0], &status, 0), n.pid[0]);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK_EQ(stat(test_path("port0"), &st), -1);
	pool_end(NULL);
}
