/*
 * peer_gearman.c - gearmand on loopback with two C workers and one C client, at its best.
 *
 * Chosen by measuring: one I/O thread (the default of four wakes other CPUs for nothing: 40 k
 * tasks/s rather than 64 k); foreground tasks 128 at a time by gearman_client_run_tasks (46 k
 * with 10, 53 k with 1000, 11 k to 23 k with 9000, whose list it walks; no faster when the
 * completion of one adds the next); a unique name given for each (else a UUID is drawn).
 * Background tasks are accepted at 440 k/s, but no result comes back: not the same work.
 */
#include "peers.h"

#ifdef BENCH_GEARMAN

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgearman-1.0/gearman.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 2
#define WINDOW 128
#define START_SECONDS 5

struct farm {
	char folder[32]; /* the server's, for its pid file, which it unlinks: never name a device there */
	in_port_t port;
	pid_t server, workers[WORKERS];
};

/* What the client counts; its callback has no other way to say it. */
static struct {
	long done, sum;
} seen;

static void *no_op(gearman_job_st *job, void *context, size_t *size, gearman_return_t *rc)
{
	int32_t *result = malloc(sizeof(*result));

	(void)context;
	memcpy(result, gearman_job_workload(job), sizeof(*result));
	*size = sizeof(*result);
	*rc = GEARMAN_SUCCESS;
	return result;
}

static void serve(in_port_t port)
{
	gearman_worker_st *w = gearman_worker_create(NULL);

	gearman_worker_add_options(w, GEARMAN_WORKER_GRAB_ALL);
	gearman_worker_add_server(w, "127.0.0.1", port);
	gearman_worker_add_function(w, "no_op", 0, no_op, NULL);
	while (gearman_worker_work(w) == GEARMAN_SUCCESS)
		;
	_exit(1);
}

static pid_t fork_bound(void)
{
	pid_t pid = fork();

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static in_port_t free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&a, size) == 0)
		getsockname(fd, (struct sockaddr *)&a, &size);
	close(fd);
	return ntohs(a.sin_port);
}

static void server_exec(const struct farm *f)
{
	char number[16], pid_file[64];
	int null = open("/dev/null", O_RDWR);

	snprintf(number, sizeof(number), "%u", (unsigned)f->port);
	snprintf(pid_file, sizeof(pid_file), "--pid-file=%s/pid", f->folder);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execl("/usr/sbin/gearmand", "gearmand", "--listen=127.0.0.1", "--port", number,
	    "--threads=1", "--log-file=none", pid_file, (char *)NULL);
	_exit(127);
}

/* Until the server answers, it ended, or the time is over. */
static int server_wait(struct farm *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(f->port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct timespec pause = {.tv_nsec = 5000000};
	int64_t start = bench_now();
	int fd, rc = -1, status;

	while (rc != 0 && bench_since(start) < START_SECONDS) {
		if (waitpid(f->server, &status, WNOHANG) == f->server) {
			f->server = 0;
			return bench_say(BENCH_MISSING, "gearmand: does not start");
		}
		fd = socket(AF_INET, SOCK_STREAM, 0);
		rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
		close(fd);
		nanosleep(&pause, NULL);
	}
	return rc == 0 ? BENCH_OK : bench_say(BENCH_FAILED, "gearmand: does not answer");
}

static int farm_open(struct farm *f)
{
	int i, rc;

	*f = (struct farm){.folder = "/tmp/cohort-bench-XXXXXX", .port = free_port()};
	if (mkdtemp(f->folder) == NULL)
		return bench_say(BENCH_FAILED, "gearmand: no folder for its pid file");
	f->server = fork_bound();
	if (f->server == 0)
		server_exec(f);
	rc = server_wait(f);
	for (i = 0; i < WORKERS && rc == BENCH_OK; i++) {
		f->workers[i] = fork_bound();
		if (f->workers[i] == 0)
			serve(f->port);
	}
	return rc;
}

static void end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void farm_close(struct farm *f)
{
	char pid_file[64];
	int i;

	for (i = 0; i < WORKERS; i++)
		end(f->workers[i]);
	end(f->server);
	snprintf(pid_file, sizeof(pid_file), "%s/pid", f->folder);
	unlink(pid_file);
	rmdir(f->folder);
}

static gearman_return_t completed(gearman_task_st *task)
{
	int32_t value;

	memcpy(&value, gearman_task_data(task), sizeof(value));
	seen.sum += value;
	seen.done++;
	return GEARMAN_SUCCESS;
}

/* Tasks FIRST to FIRST+N-1, all under way at once. */
static int run_window(gearman_client_st *c, long first, long n)
{
	int32_t values[WINDOW];
	gearman_return_t rc = GEARMAN_SUCCESS;
	char unique[32];
	long i;

	for (i = 0; i < n && rc == GEARMAN_SUCCESS; i++) {
		values[i] = (int32_t)(first + i);
		snprintf(unique, sizeof(unique), "%ld", first + i);
		gearman_client_add_task(
		    c, NULL, NULL, "no_op", unique, &values[i], sizeof(*values), &rc);
	}
	if (rc == GEARMAN_SUCCESS)
		rc = gearman_client_run_tasks(c);
	if (rc == GEARMAN_SUCCESS)
		return BENCH_OK;
	return bench_say(BENCH_FAILED, "gearman: %s", gearman_client_error(c));
}

static int run_all(gearman_client_st *c, long count)
{
	long first;
	int rc = BENCH_OK;

	seen.done = seen.sum = 0;
	for (first = 0; first < count && rc == BENCH_OK; first += WINDOW)
		rc = run_window(c, first, count - first < WINDOW ? count - first : WINDOW);
	if (rc == BENCH_OK && (seen.done != count || seen.sum != count * (count - 1) / 2))
		return bench_say(BENCH_FAILED, "gearman: wrong results");
	return rc;
}

int peer_gearman_rate(const void *load, double *tasks_per_s)
{
	long count = ((const struct bench_load *)load)->count;
	gearman_client_st *c = gearman_client_create(NULL);
	struct farm f;
	int64_t start;
	int rc = farm_open(&f);

	if (rc == BENCH_OK) {
		gearman_client_add_server(c, "127.0.0.1", f.port);
		gearman_client_add_options(c, GEARMAN_CLIENT_FREE_TASKS);
		gearman_client_set_complete_fn(c, completed);
		rc = run_all(c, WINDOW); /* the workers are up */
	}
	start = bench_now();
	if (rc == BENCH_OK)
		rc = run_all(c, count);
	*tasks_per_s = (double)count / bench_since(start);
	gearman_client_free(c);
	farm_close(&f);
	return rc;
}

#else

int peer_gearman_rate(const void *load, double *tasks_per_s)
{
	(void)load;
	(void)tasks_per_s;
	return bench_say(BENCH_MISSING, "gearman: built without libgearman-dev");
}

#endif
