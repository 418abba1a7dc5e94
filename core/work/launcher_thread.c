/*
 * launcher_thread.c - seam 2 by threads of this process: thread:N.
 *
 * A thread serves its end of a socket pair with the very code of a worker process, so that what
 * works here works there.  A thread cannot be killed: told to end by force, it ends after the
 * task it is in, and its pool waits for that.
 */
#include "work/launcher.h"

#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"
#include "sync/inherit.h"
#include "work/worker.h"

#include <cohort/process.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define AHEAD_NS (1 * COHORT_MS) /* as for processes */

struct thread {
	pthread_t id;
	struct cohort_conn *conn; /* the worker's end */
	struct coh_worker_status status;
	const struct coh_inherit *shares; /* the pool's */
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	coh_inherit_scope(t->shares);
	coh_worker_serve(t->conn, &t->status);
	cohort_conn_close(t->conn); /* tells the pool */
	return NULL;
}

static int thread_create(struct thread *t)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all); /* signals are for the program's own threads */
	sigdelset(&all, SIGBUS); /* memory of others may be cut (sync/cut.h), also under this thread */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

static int thread_start(struct coh_member *m, struct cohort_error *err)
{
	struct thread *t = m->data;
	int pair[2], rc;

	t->shares = m->pool->shares;
	rc = coh_fd_pair(pair, SOCK_STREAM);
	if (rc != 0)
		return coh_fail_errno(err, -rc, "start a worker thread");
	rc = coh_conn_from_fd(&m->conn, pair[0], COH_PHASE_MEMBER, m->where, err);
	if (rc != 0) {
		coh_fd_close(&pair[0]);
		coh_fd_close(&pair[1]);
		return rc;
	}
	rc = coh_conn_from_fd(&t->conn, pair[1], COH_PHASE_MEMBER, "pool", err);
	if (rc != 0)
		coh_fd_close(&pair[1]);
	else if ((rc = thread_create(t)) != 0) {
		coh_fail_errno(err, -rc, "start a worker thread");
		cohort_conn_close(t->conn);
	}
	if (rc != 0) {
		cohort_conn_close(m->conn);
		m->conn = NULL;
	}
	m->pid = (uint32_t)getpid();
	return rc;
}

static void thread_kill(struct coh_member *m)
{
	struct thread *t = m->data;

	atomic_store(&t->status.stop, true);
	coh_fd_shutdown(coh_conn_fd(m->conn), COH_FD_WRITING);
}

static void thread_end(struct coh_member *m, struct coh_member_end *end)
{
	struct thread *t = m->data;

	pthread_join(t->id, NULL); /* it has closed its end: it is returning */
	end->known = true;
	snprintf(end->text, sizeof end->text, "worker %s/%u ended", m->where, m->pid);
}

static void thread_fini(struct coh_member *m)
{
	coh_free(m->data);
}

static const struct coh_launcher_ops thread_ops = {
    .start = thread_start,
    .kill = thread_kill,
    .end = thread_end,
    .fini = thread_fini,
    .ahead_ns = AHEAD_NS,
};

static int thread_add(struct cohort_pool *p, int number, struct cohort_error *err)
{
	struct thread *t = coh_calloc(sizeof *t);
	struct coh_member *m;
	char where[32];

	snprintf(where, sizeof where, "thread-%d", number); /* they share a pid */
	m = t != NULL ? coh_member_new(p, &thread_ops, t, where) : NULL;
	if (m != NULL)
		return coh_member_start(m, err);
	coh_free(t);
	return coh_fail(err, -ENOMEM, "no memory for a worker");
}

static int thread_open(struct cohort_pool *p, const char *address,
    const struct cohort_pool_options *options, struct cohort_error *err)
{
	int n = coh_launcher_count(address, (unsigned)cohort_cpu_count(), err);
	int rc = 0;

	(void)options;
	if (n < 0)
		return n;
	coh_engine_lock();
	for (int i = 0; i < n && rc == 0; i++)
		rc = thread_add(p, i + 1, err);
	coh_engine_unlock();
	return rc;
}

const struct coh_scheme coh_scheme_thread = {.name = "thread", .shares = true, .open = thread_open};
