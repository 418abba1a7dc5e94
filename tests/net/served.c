/*
 * served.c - the process forks, serves, says its address, and ends when its pipe does.
 */
#include "net/served.h"

#include "base/mem.h"
#include "conn/conn_priv.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STARVE 'm'

const char *served_key(void)
{
	static char path[4096];

	if (path[0] == '\0')
		snprintf(path, sizeof path, "%s", test_path("served.key"));
	if (access(path, F_OK) != 0)
		REQUIRE_EQ(cohort_key_generate(path, NULL), 0);
	return path;
}

static void listening_at(const char *kind, char address[300])
{
	static unsigned number;

	if (strcmp(kind, "unix") == 0)
		snprintf(address, 300, "unix:%s.%d.%u", test_path("s"), (int)getpid(), number++);
	else
		snprintf(address, 300, "%s://127.0.0.1:0", kind);
}

/* The wish of who drives us: let allocation *N from now fail (0: none); how many there were since the last wish. */
static bool starve(int in, int out)
{
	uint64_t n, count = coh_mem_count();

	if (read(in, &n, sizeof n) != sizeof n)
		return false;
	coh_mem_fail(n, COH_MEM_FAIL_ONCE);
	return write(out, &count, sizeof count) == sizeof count;
}

/* In the new process, until IN ends or says so. */
static int serve(const char *at, const struct cohort_queue_options *options, int in, int out)
{
	struct cohort_net_options net = {.key_file = served_key(), .heartbeat = 200 * COHORT_MS};
	struct cohort_error err = {0};
	struct cohort_server *s = NULL;
	struct cohort_queue *q = NULL;
	char c, line[400] = "";
	ssize_t n;
	int rc;

	if (getenv("COHORT_TEST_LOG") != NULL)
		cohort_log_to(cohort_log_stderr, COHORT_LOG_DEBUG, NULL);
	rc = cohort_queue_open(&q, "local:", options, &err);
	if (rc == 0)
		rc = cohort_server_open(&s, at, &net, &err);
	if (rc == 0)
		rc = cohort_server_publish(s, "jobs", q, &err);
	if (rc == 0)
		snprintf(line, sizeof line, "%s/jobs", cohort_server_address(s));
	else
		fprintf(stderr, "served: %s\n", err.text);
	rc = write(out, line, sizeof line) == sizeof line ? rc : -EIO;
	while (rc == 0 && ((n = read(in, &c, 1)) < 0 ? errno == EINTR : n == 1 && c == STARVE && starve(in, out)))
		;
	close(out);
	cohort_server_close(s);
	cohort_queue_close(q, COHORT_NOW);
	return rc != 0;
}

static void begin(struct served *s, const char *at, const struct cohort_queue_options *options)
{
	int in[2], out[2];
	ssize_t n;

	(void)served_key();
	REQUIRE_EQ(pipe2(in, O_CLOEXEC), 0);
	REQUIRE_EQ(pipe2(out, O_CLOEXEC), 0);
	s->pid = test_fork();
	REQUIRE(s->pid >= 0);
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(in[1]);
		close(out[0]);
		_exit(serve(at, options, in[0], out[1]));
	}
	close(in[0]);
	close(out[1]);
	s->say = in[1];
	s->hear = out[0];
	n = read(s->hear, s->address, sizeof s->address);
	REQUIRE_EQ(n, sizeof s->address);
	REQUIRE(s->address[0] != '\0');
}

void served_begin(struct served *s, const char *kind, const struct cohort_queue_options *options)
{
	char at[300];

	listening_at(kind, at);
	begin(s, at, options);
}

void served_again(struct served *s)
{
	char at[sizeof s->address];

	memcpy(at, s->address, sizeof at);
	*strrchr(at, '/') = '\0';
	begin(s, at, NULL);
}

uint64_t served_starve(struct served *s, uint64_t n)
{
	char what[1 + sizeof n] = {STARVE};
	uint64_t count = 0;

	memcpy(what + 1, &n, sizeof n);
	REQUIRE_EQ(write(s->say, what, sizeof what), sizeof what);
	REQUIRE_EQ(read(s->hear, &count, sizeof count), sizeof count);
	return count;
}

static void served_reap(struct served *s, int want)
{
	int status = 0;

	if (want == 0) /* closing alone is not heard while another child has this end too */
		CHECK_EQ(write(s->say, "", 1), 1);
	close(s->say);
	close(s->hear);
	CHECK_EQ(waitpid(s->pid, &status, 0), s->pid);
	CHECK_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), want);
	s->pid = 0;
}

void served_stop(struct served *s)
{
	int status = 0;

	kill(s->pid, SIGSTOP);
	REQUIRE_EQ(waitpid(s->pid, &status, WUNTRACED), s->pid);
	REQUIRE(WIFSTOPPED(status));
}

void served_end(struct served *s)
{
	served_reap(s, 0);
}

void served_kill(struct served *s)
{
	kill(s->pid, SIGKILL);
	served_reap(s, -SIGKILL);
}

int served_try(struct served *s, struct cohort_queue **q, struct cohort_error *err)
{
	struct cohort_net_options net = {.heartbeat = 200 * COHORT_MS};
	struct cohort_queue_options o = {
	    .key_file = served_key(), .net = &net, .deadline = cohort_in(test_span(10 * COHORT_SECOND))};

	return cohort_queue_open(q, s->address, &o, err);
}

struct cohort_queue *served_open(struct served *s)
{
	struct cohort_error err = {0};
	struct cohort_queue *q = NULL;

	if (served_try(s, &q, &err) != 0)
		FAIL("%s", err.text);
	REQUIRE(q != NULL);
	return q;
}

struct cohort_conn *served_bare(const struct served *s, const char *name)
{
	struct cohort_net_options net = {.key_file = served_key(), .name = name};
	cohort_time patience = cohort_in(test_span(15 * COHORT_SECOND));
	struct cohort_error err = {0};
	struct cohort_conn *c = NULL;
	char where[sizeof s->address];

	memcpy(where, s->address, sizeof where);
	*strrchr(where, '/') = '\0';
	if (cohort_dial(&c, where, &net, patience, &err) != 0)
		FAIL("%s", err.text);
	REQUIRE(c != NULL);
	coh_conn_set_phase(c, COH_PHASE_SHARED);
	coh_conn_keep_all(c);
	return c;
}
