/*
 * launcher_local.c - seam 2 by processes of this machine: local:N.
 *
 * A worker comes from the zygote with two things: its end of a socket pair and a page shared with
 * the pool in which it notes the task it is in.  It ends when the pool closes its end; one that
 * dies is seen by the end of its connection, and the zygote says how it died.
 */
#include "work/launcher.h"

#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/shm.h"
#include "os/zygote.h"
#include "work/share.h"
#include "work/worker.h"

#include <cohort/process.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define START_PATIENCE (10 * COHORT_SECOND)
#define END_PATIENCE (200 * COHORT_MS) /* for a worker that closed its end to be gone */
#define AHEAD_NS (1 * COHORT_MS)       /* hides a wake-up many times over; the most a task waits needlessly */

struct local {
	struct coh_child child;
	struct coh_worker_status *status;
	int program_fd;
};

static int local_spawn(struct coh_member *m, int conn_fd, int status_fd, struct cohort_error *err)
{
	struct coh_heritage h = COH_HERITAGE_INIT;
	struct local *l = m->data;

	h.role = COH_ROLE_WORKER;
	h.name = "worker";
	h.daemon = true;
	h.start = l->program_fd >= 0 ? COHORT_START_SPAWN : COHORT_START_ZYGOTE;
	h.fd[COH_HERITAGE_CONN] = conn_fd;
	h.fd[COH_HERITAGE_STATUS] = status_fd;
	h.fd[COH_HERITAGE_PROGRAM] = l->program_fd;
	coh_share_bequeath(m->pool->shares, &h);
	return coh_zygote_start(&h, &l->child, cohort_in(START_PATIENCE), err);
}

/* The worker has closed its end, or is to be gone: how it ended. */
static int local_reap(struct local *l)
{
	int code = COH_CODE_UNKNOWN;

	if (coh_proc_wait(&l->child, cohort_in(END_PATIENCE), &code) != 0) {
		coh_proc_signal(&l->child, SIGKILL); /* it closed its end and lives on */
		coh_proc_wait(&l->child, cohort_in(START_PATIENCE), &code);
	}
	coh_proc_release(&l->child);
	return code;
}

static int local_start(struct coh_member *m, struct cohort_error *err)
{
	struct local *l = m->data;
	int pair[2] = {-1, -1}, status_fd, rc;

	status_fd = coh_shm_new("cohort-worker", sizeof *l->status);
	rc = status_fd < 0 ? status_fd : coh_fd_pair(pair, SOCK_STREAM);
	if (rc == 0) {
		l->status = coh_shm_map(status_fd, sizeof *l->status);
		rc = l->status == NULL ? -errno : 0;
	}
	if (rc == 0)
		rc = local_spawn(m, pair[1], status_fd, err);
	if (rc == 0) {
		m->pid = (uint32_t)l->child.pid;
		rc = coh_conn_from_fd(&m->conn, pair[0], COH_PHASE_MEMBER, m->where, err);
		if (rc == 0)
			pair[0] = -1; /* the connection's */
		else
			local_reap(l);
	}
	coh_fd_close(&pair[0]);
	coh_fd_close(&pair[1]);
	coh_fd_close(&status_fd);
	if (rc == 0)
		return 0;
	coh_shm_unmap(l->status, sizeof *l->status);
	l->status = NULL;
	return coh_fail_in(err, rc, "start a worker process");
}

static void local_kill(struct coh_member *m)
{
	struct local *l = m->data;

	coh_proc_signal(&l->child, SIGKILL);
}

static void local_end(struct coh_member *m, struct coh_member_end *end)
{
	struct local *l = m->data;
	char words[80];
	int code = local_reap(l);

	end->known = true;
	end->running = atomic_load(&l->status->running);
	snprintf(end->text, sizeof end->text, "worker %s/%u ended with %s", m->where, m->pid,
	    coh_proc_words(code, words, sizeof words));
	coh_shm_unmap(l->status, sizeof *l->status);
	l->status = NULL;
}

static void local_fini(struct coh_member *m)
{
	coh_free(m->data);
}

static const struct coh_launcher_ops local_ops = {
    .start = local_start,
    .kill = local_kill,
    .end = local_end,
    .fini = local_fini,
    .restarts = true,
    .ahead_ns = AHEAD_NS,
};

int coh_launcher_local_add(
    struct cohort_pool *p, unsigned n, int program_fd, struct cohort_error *err)
{
	struct coh_member *m;
	struct local *l;
	int rc = 0;

	for (unsigned i = 0; i < n && rc == 0; i++) {
		l = coh_calloc(sizeof *l);
		m = l != NULL ? coh_member_new(p, &local_ops, l, "local") : NULL;
		if (m == NULL) {
			coh_free(l);
			return coh_fail(err, -ENOMEM, "no memory for a worker");
		}
		l->program_fd = program_fd;
		rc = coh_member_start(m, err);
	}
	return rc;
}

int coh_launcher_count(const char *address, unsigned fallback, struct cohort_error *err)
{
	const char *number = strchr(address, ':') + 1;
	char *end;
	unsigned long n = strtoul(number, &end, 10);

	if (*number == '\0')
		return (int)fallback;
	if (*end == '\0' && *number >= '0' && *number <= '9' && n >= 1 && n <= 4096)
		return (int)n;
	return coh_fail(err, COHORT_EADDRESS,
	    "pool address %.100s: expected a number of workers from 1 to 4096 after the colon",
	    address);
}

static int local_open(struct cohort_pool *p, const char *address,
    const struct cohort_pool_options *options, struct cohort_error *err)
{
	int n = coh_launcher_count(address, (unsigned)cohort_cpu_count(), err);
	int rc;

	(void)options;
	if (n < 0)
		return n;
	coh_engine_lock();
	rc = coh_launcher_local_add(p, (unsigned)n, -1, err);
	coh_engine_unlock();
	return rc;
}

const struct coh_scheme coh_scheme_local = {
    .name = "local", .children = true, .shares = true, .open = local_open};
