/*
 * process.c - the children of this process: started, listed, watched, ended.
 *
 * All children hang in one list from their start until they have ended and been freed; a
 * handle freed before its process ends stays there, for cohort_shutdown must end every one.
 * A handle belongs to the process that started it: in a forked copy it answers
 * COHORT_ESTATE and touches nothing, since its descriptors are not open there.
 *
 * Whoever starts or lists also reaps what has ended, so that children nobody joins do not
 * pile up (as multiprocessing does).
 */
#include "work/process.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/object.h"
#include "conn/conn_priv.h"
#include "os/fd.h"
#include "os/zygote.h"
#include "work/init.h"
#include "work/share.h"
#include "work/task.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define MAGIC 0x70726f63u
#define START_LIMIT (10 * COHORT_SECOND) /* what process.h promises */
#define SWEEP_LEAST 16 /* children that have ended and nobody joined: a few do no harm */
#define KILLED_LIMIT (2 * COHORT_SECOND) /* for a SIGKILL to be carried out */

struct cohort_process {
	uint32_t magic;
	int owner;      /* pid of the process it is a child of */
	char *name;
	bool daemon;
	bool detached;  /* freed by the user; guarded by lock, as the links */
	struct coh_child child;
	struct cohort_conn *conn;
	struct cohort_process *prev, *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cohort_process *children; /* guarded by lock */
static int name_count;                  /* names made so far; guarded by lock */
static int child_count, sweep_at;       /* sweep when there are so many; guarded by lock */

static struct cohort_process *cast(const struct cohort_process *p)
{
	return COH_CAST(struct cohort_process, MAGIC, (struct cohort_process *)(uintptr_t)p);
}

static bool mine(const struct cohort_process *p)
{
	return cast(p)->owner == getpid();
}

/* Free P, which is in no list; its process has ended, or never began. */
static void destroy(struct cohort_process *p)
{
	cohort_conn_close(p->conn);
	if (p->child.pid > 0)
		coh_proc_release(&p->child);
	coh_free(p->name);
	p->magic = 0;
	coh_free(p);
}

/* With the lock held, P out of the list and freed. */
static void drop(struct cohort_process *p)
{
	DL_DELETE(children, p);
	child_count--;
	destroy(p);
}

/* With the lock held: reap what has ended, and drop those of which there is no handle. */
static void sweep(void)
{
	struct cohort_process *p, *next;

	DL_FOREACH_SAFE(children, p, next)
	{
		if (!coh_proc_ended(&p->child) ||
		    coh_proc_wait(&p->child, COHORT_NOW, NULL) != 0 || !p->detached)
			continue;
		drop(p);
	}
}

/* Put P into the list; now and then, so that a start costs the same however many there are, sweep. */
static void add(struct cohort_process *p)
{
	pthread_mutex_lock(&lock);
	if (child_count >= sweep_at) {
		sweep();
		sweep_at = 2 * child_count + SWEEP_LEAST;
	}
	DL_APPEND(children, p);
	child_count++;
	pthread_mutex_unlock(&lock);
}

void coh_process_reset(void)
{
	struct cohort_process *p, *next;

	pthread_mutex_init(&lock, NULL);
	DL_FOREACH_SAFE(children, p, next)
	{
		DL_DELETE(children, p);
		if (p->detached) { /* memory only: its descriptors are not open here */
			coh_free(p->name);
			coh_free(p);
		}
	}
	name_count = child_count = sweep_at = 0;
}

static char *make_name(const char *given)
{
	char text[COH_HERITAGE_NAME + 16];
	int n;

	if (given != NULL)
		return coh_strdup(given);
	pthread_mutex_lock(&lock);
	n = ++name_count;
	pthread_mutex_unlock(&lock);
	if (cohort_process_parent() == 0)
		snprintf(text, sizeof text, "task-%d", n);
	else
		snprintf(text, sizeof text, "%s:%d", cohort_process_current(), n);
	return coh_strdup(text);
}

static int make(struct cohort_process **out, const struct cohort_process_options *o,
    struct cohort_error *err)
{
	struct cohort_process *p = coh_calloc(sizeof *p);

	if (p == NULL)
		return coh_fail_code(err, -ENOMEM);
	*p = (struct cohort_process){.magic = MAGIC, .owner = getpid(), .daemon = o->daemon != 0};
	p->name = make_name(o->name);
	if (p->name == NULL) {
		destroy(p);
		return coh_fail_code(err, -ENOMEM);
	}
	if (strlen(p->name) > COH_HERITAGE_NAME) {
		coh_fail(err, COHORT_EARGUMENT,
		    "start: the process's name has %zu bytes, allowed are %d", strlen(p->name),
		    COH_HERITAGE_NAME);
		destroy(p);
		return COHORT_EARGUMENT;
	}
	*out = p;
	return 0;
}

/* Join P and its child to be by a socket pair; the child's end goes into H. */
static int make_conn(struct cohort_process *p, struct coh_heritage *h, struct cohort_error *err)
{
	int pair[2], rc = coh_fd_pair(pair, SOCK_STREAM);

	if (rc < 0)
		return coh_fail_errno(err, -rc, "start %s: socketpair", p->name);
	rc = coh_conn_from_fd(&p->conn, pair[0], COH_PHASE_USER, p->name, err);
	if (rc != 0) {
		coh_fd_close(&pair[0]);
		coh_fd_close(&pair[1]);
		return rc;
	}
	h->fd[COH_HERITAGE_CONN] = pair[1];
	return 0;
}

static int launch(struct cohort_process *p, struct coh_heritage *h, struct cohort_error *err)
{
	char peer[COH_HERITAGE_NAME + 32];
	int rc;

	if (h->start == COHORT_START_FORK)
		rc = coh_proc_fork(h, coh_init_child_life, &p->child, err);
	else
		rc = coh_zygote_start(h, &p->child, cohort_in(START_LIMIT), err);
	if (rc != 0 || p->conn == NULL)
		return rc;
	snprintf(peer, sizeof peer, "%s (pid %d)", p->name, p->child.pid);
	(void)coh_conn_set_peer(p->conn, peer); /* without memory it keeps the name alone */
	return 0;
}

/* Start P, whose task's image is ARGS. */
static int start(struct cohort_process *p, const struct cohort_process_options *o,
    const struct cohort_task *task, const struct coh_buf *args, struct cohort_error *err)
{
	struct coh_heritage h = COH_HERITAGE_INIT;
	struct coh_inherit shares;
	int rc = coh_share_collect(&shares, o->share, o->shares, err);

	if (rc != 0)
		return coh_fail_in(err, rc, "start %s", p->name);
	coh_share_bequeath(&shares, &h);
	h.start = o->start;
	h.daemon = p->daemon;
	h.log_level = coh_log_level();
	h.parent = getpid();
	h.name = p->name;
	h.task = task->name;
	h.args = coh_buf_peek(args);
	h.args_size = coh_buf_len(args);
	if (o->connected)
		rc = make_conn(p, &h, err);
	if (rc == 0)
		rc = launch(p, &h, err);
	coh_fd_close(&h.fd[COH_HERITAGE_CONN]);
	return rc;
}

/* The image of TASK's arguments into ARGS. */
static int pack_args(const struct coh_task *t, struct coh_buf *args, va_list ap,
    struct cohort_error *err)
{
	int rc;

	if (!coh_format_flat(t->args))
		return coh_fail(err, COHORT_ENOTSUP,
		    "start: task '%s' takes \"%s\"; only arguments without arrays can be passed",
		    t->task->name, t->task->args);
	rc = coh_codec_pack(t->args, args, ap);
	if (rc != 0)
		return coh_fail(err, rc, "start: arguments of task '%s': %s", t->task->name,
		    cohort_strerror(rc));
	return 0;
}

static int prepare(const struct cohort_process_options *o, const char *name,
    const struct coh_task **t, struct cohort_error *err)
{
	int rc;

	*t = NULL;
	if ((unsigned)o->start > COHORT_START_FORK)
		return coh_fail(err, COHORT_EARGUMENT, "start: there is no start method %d",
		    (int)o->start);
	rc = coh_init_children(o->start, err);
	if (rc != 0)
		return rc;
	*t = coh_task_find(name, err);
	return *t != NULL ? 0 : COHORT_ENOTASK;
}

int cohort_process_start(struct cohort_process **out,
    const struct cohort_process_options *options, struct cohort_error *err, const char *task,
    ...)
{
	static const struct cohort_process_options usual = {.name = NULL};
	const struct cohort_process_options *o = options != NULL ? options : &usual;
	const struct coh_task *t;
	struct cohort_process *p = NULL;
	struct coh_buf args;
	va_list ap;
	int rc;

	coh_buf_init(&args, COHORT_MESSAGE_MAX);
	rc = prepare(o, task, &t, err);
	if (rc != 0)
		return rc;
	va_start(ap, task);
	rc = pack_args(t, &args, ap, err);
	va_end(ap);
	if (rc == 0)
		rc = make(&p, o, err);
	if (rc == 0)
		rc = start(p, o, t->task, &args, err);
	coh_buf_fini(&args);
	if (rc != 0) {
		if (p != NULL)
			destroy(p);
		return rc;
	}
	add(p);
	*out = p;
	return 0;
}

int cohort_process_pid(const struct cohort_process *p)
{
	return cast(p)->child.pid;
}

const char *cohort_process_name(const struct cohort_process *p)
{
	return cast(p)->name;
}

int cohort_process_alive(struct cohort_process *p)
{
	return mine(p) && !coh_proc_ended(&p->child);
}

int cohort_process_join(struct cohort_process *p, cohort_time deadline)
{
	return mine(p) ? coh_proc_wait(&p->child, deadline, NULL) : COHORT_ESTATE;
}

int cohort_process_exit_code(struct cohort_process *p, int *code)
{
	if (!mine(p) || coh_proc_wait(&p->child, COHORT_NOW, code) != 0)
		return COHORT_ESTATE;
	return 0;
}

static int send_signal(struct cohort_process *p, int sig)
{
	return mine(p) ? coh_proc_signal(&p->child, sig) : COHORT_ESTATE;
}

int cohort_process_terminate(struct cohort_process *p)
{
	return send_signal(p, SIGTERM);
}

int cohort_process_kill(struct cohort_process *p)
{
	return send_signal(p, SIGKILL);
}

int cohort_process_interrupt(struct cohort_process *p)
{
	return send_signal(p, SIGINT);
}

int cohort_process_sentinel(const struct cohort_process *p)
{
	return cast(p)->child.pidfd;
}

struct cohort_conn *cohort_process_conn(struct cohort_process *p)
{
	return cast(p)->conn;
}

void cohort_process_free(struct cohort_process *p)
{
	if (p == NULL || !mine(p))
		return;
	pthread_mutex_lock(&lock);
	cohort_conn_close(p->conn);
	p->conn = NULL;
	p->detached = true;
	if (coh_proc_ended(&p->child) && coh_proc_wait(&p->child, COHORT_NOW, NULL) == 0) {
		drop(p);
	}
	pthread_mutex_unlock(&lock);
}

int cohort_process_children(int *pids, int n)
{
	struct cohort_process *p;
	int count = 0;

	pthread_mutex_lock(&lock);
	sweep();
	DL_FOREACH(children, p)
	{
		if (coh_proc_ended(&p->child))
			continue;
		if (count < n)
			pids[count] = p->child.pid;
		count++;
	}
	pthread_mutex_unlock(&lock);
	return count;
}

/* With the lock held: wait for all; those that run at DEADLINE are counted. */
static int join_all(cohort_time deadline)
{
	struct cohort_process *p;
	int left = 0;

	DL_FOREACH(children, p)
		if (coh_proc_wait(&p->child, deadline, NULL) != 0)
			left++;
	return left;
}

int coh_process_end_all(cohort_time deadline)
{
	struct cohort_process *p;
	int killed;

	pthread_mutex_lock(&lock);
	DL_FOREACH(children, p)
		if (p->daemon)
			coh_proc_signal(&p->child, SIGTERM);
	killed = join_all(deadline);
	if (killed > 0) {
		coh_log(COHORT_LOG_WARN, "shutdown: %d processes had to be killed", killed);
		DL_FOREACH(children, p)
			coh_proc_signal(&p->child, SIGKILL);
		join_all(cohort_in(KILLED_LIMIT));
	}
	sweep();
	pthread_mutex_unlock(&lock);
	return killed > 0 ? COHORT_ETIMEDOUT : 0;
}
