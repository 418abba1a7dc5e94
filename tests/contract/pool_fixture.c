/*
 * pool_fixture.c - pools of every kind for the contract.
 *
 * Agents are real: the built `cohort` command ($COHORT_COMMAND), which runs this very test program
 * for its workers, as a coordinator's program always is run.
 */
#include "contract/pool_fixture.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t agents[8];
static int agent_count;
static bool is_program;

static const char *kind(void)
{
	const char *k = getenv("COHORT_CONTRACT");

	return k != NULL ? k : "local";
}

bool pool_processes(void)
{
	return strcmp(kind(), "inline") != 0 && strcmp(kind(), "thread") != 0;
}

bool pool_parallel(void)
{
	return strcmp(kind(), "inline") != 0;
}

void pool_program(void)
{
	struct cohort_error err = {0};

	if (!is_program && !CHECK_EQ(cohort_init(&test_argc, &test_argv, &err), 0))
		FAIL("%s", err.text);
	is_program = true;
	if (getenv("COHORT_TEST_LOG") != NULL)
		cohort_log_to(cohort_log_stderr, COHORT_LOG_DEBUG, NULL);
}

const char *pool_key(void)
{
	static char path[4096];
	char command[9000];
	const char *cohort = getenv("COHORT_COMMAND");

	snprintf(path, sizeof path, "%s", test_path("key"));
	if (access(path, F_OK) != 0) {
		snprintf(command, sizeof command, "'%s' keygen '%s'", cohort, path);
		REQUIRE_EQ(system(command), 0);
	}
	return path;
}

int pool_agent(const char *const *args)
{
	const char *argv[16] = {getenv("COHORT_COMMAND"), "node"};
	int n = 2;
	pid_t pid;

	REQUIRE(argv[0] != NULL);
	while (*args != NULL && n < 15)
		argv[n++] = *args++;
	pid = test_fork();
	if (pid == 0) {
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	agents[agent_count++] = pid;
	return pid;
}

static bool line_read(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool good;

	if (f == NULL)
		return false;
	good = fgets(line, (int)size, f) != NULL && strchr(line, '\n') != NULL;
	fclose(f);
	if (good)
		*strchr(line, '\n') = '\0';
	return good;
}

const char *pool_line(const char *path)
{
	cohort_time deadline = cohort_in(test_span(10 * COHORT_SECOND));
	int in = inotify_init1(IN_CLOEXEC);
	static char line[512];
	char events[4096];
	bool got;

	REQUIRE(in >= 0 && inotify_add_watch(in, test_folder(), IN_MOVED_TO | IN_CLOSE_WRITE) >= 0);
	while (!(got = line_read(path, line, sizeof line)) && cohort_now() < deadline) {
		struct pollfd p = {in, POLLIN, 0};

		if (poll(&p, 1, 1000) == 1)
			(void)!read(in, events, sizeof events);
	}
	close(in);
	REQUIRE(got);
	return line;
}

/* What a node, or the pool itself, listens at; NULL: the kind has no nodes. */
static const char *listening_at(char address[512])
{
	if (strcmp(kind(), "tcp") == 0 || strcmp(kind(), "listen") == 0)
		return "tcp://127.0.0.1:0";
	if (strcmp(kind(), "tls") == 0 || strcmp(kind(), "listen_tls") == 0)
		return "tls://127.0.0.1:0";
	if (strcmp(kind(), "unix") != 0)
		return NULL;
	snprintf(address, 512, "unix:%s", test_path("node.sock"));
	return address;
}

static int open_node(struct cohort_pool **p, const char *address, struct cohort_pool_options *o,
    struct cohort_error *err)
{
	pool_agent((const char *const[]){"--listen", address, "--key", o->key_file, "--slots", "2",
	    "--port-file", test_path("port"), NULL});
	return cohort_pool_open(p, pool_line(test_path("port")), o, err);
}

static int open_listen(struct cohort_pool **p, const char *address, struct cohort_pool_options *o,
    struct cohort_error *err)
{
	char home[600];
	int rc;

	snprintf(home, sizeof home, "listen:%s", address);
	rc = cohort_pool_open(p, home, o, err);
	if (rc == 0)
		pool_agent((const char *const[]){"--join", cohort_pool_address(*p), "--key",
		    o->key_file, "--slots", "2", NULL});
	return rc;
}

int pool_try(struct cohort_pool **p, const struct cohort_pool_options *options,
    struct cohort_error *err)
{
	struct cohort_pool_options o = {0};
	char text[512];
	const char *address = listening_at(text);

	pool_program();
	if (options != NULL)
		o = *options;
	o.deadline = cohort_in(test_span(10 * COHORT_SECOND));
	if (address != NULL) {
		o.key_file = pool_key();
		return strncmp(kind(), "listen", 6) == 0 ? open_listen(p, address, &o, err)
							 : open_node(p, address, &o, err);
	}
	return cohort_pool_open(p,
	    strcmp(kind(), "inline") == 0	? "inline:"
		: strcmp(kind(), "thread") == 0 ? "thread:2"
						: "local:2",
	    &o, err);
}

struct cohort_pool *pool_begin(const struct cohort_pool_options *options)
{
	struct cohort_error err = {0};
	struct cohort_pool *p = NULL;

	if (pool_try(&p, options, &err) != 0) {
		FAIL("open: %s", err.text);
		test_require(false);
	}
	return p;
}

void pool_end(struct cohort_pool *p)
{
	cohort_pool_free(p);
	for (int i = 0; i < agent_count; i++) {
		kill(agents[i], SIGTERM);
		waitpid(agents[i], NULL, 0);
	}
	agent_count = 0;
}

struct cohort_pool_stats pool_stats(struct cohort_pool *p)
{
	struct cohort_pool_stats stats;

	cohort_pool_stats(p, &stats);
	return stats;
}

int pool_release_held(struct cohort_future *f, const char *fifo)
{
	int rc;

	while (cohort_future_wait(f, cohort_in(20 * COHORT_MS)) == COHORT_ETIMEDOUT) {
		int again = open(fifo, O_WRONLY | O_NONBLOCK); /* lets one that waits in open go on */

		if (again >= 0)
			close(again);
	}
	rc = cohort_future_error(f, NULL);
	return rc == COHORT_ECANCELLED ? 0 : rc;
}
