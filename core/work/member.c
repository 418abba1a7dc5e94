/*
 * member.c - one member of a pool: its connection, its phases, its end.
 *
 *                    HELLO            READY
 *   DOWN -> GREETING ------> SETUP ---------> UP -> STOPPING
 *     ^         |              |               |        |
 *     +---------+--------------+---------------+--------+   the connection ended
 *
 * Happy path: start gives a connection; the member says HELLO; it is told what to set up; it says
 * READY with its slots; then TASKs go and RESULTs or ERRORs come.
 * Failures: another registry or version, or FAILED: refused, the sentence goes to the pool;
 * a frame out of phase or junk: the connection is cut; the connection ends: the launcher
 * says how, and the plan runs what was held elsewhere.
 *
 * A member is a worker or a node agent; nothing here asks which.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/object.h"
#include "os/fd.h"
#include "work/pool_priv.h"
#include "work/proto.h"
#include "work/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MEMBER_MAGIC 0xc0e3bu

static struct coh_member *member_cast(void *arg)
{
	return COH_CAST(struct coh_member, MEMBER_MAGIC, arg);
}

struct coh_member *coh_member_new(struct cohort_pool *p, const struct coh_launcher_ops *ops,
    void *data, const char *where)
{
	struct coh_member *m = coh_calloc(sizeof *m);

	if (m == NULL)
		return NULL;
	m->magic = MEMBER_MAGIC;
	m->pool = p;
	m->ops = ops;
	m->data = data;
	snprintf(m->where, sizeof m->where, "%s", where);
	m->next = p->members;
	p->members = m;
	return m;
}

void coh_member_free(struct coh_member *m)
{
	COH_ASSERT(m->state == COH_MEMBER_DOWN);
	m->ops->fini(m);
	m->magic = 0;
	coh_free(m);
}

/* ---- sending ---- */

static int member_send(
    struct coh_member *m, struct coh_frame *f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};
	int rc;

	if (m->conn == NULL)
		return 0;
	rc = coh_conn_put_frame(m->conn, f, &iov, size != 0, COHORT_NOW);
	if (!m->dirty) {
		m->dirty = true;
		m->next_dirty = m->pool->dirty;
		m->pool->dirty = m;
	}
	return rc;
}

void coh_member_put(struct coh_member *m, struct coh_frame *f, const void *body, size_t size)
{
	/* a connection that fails here is found broken by the next read */
	if (member_send(m, f, body, size) != 0)
		coh_fd_shutdown(coh_conn_fd(m->conn), COH_FD_BOTH);
}

int coh_member_give(struct coh_member *m, struct cohort_future *f)
{
	struct coh_frame frame = {
	    .type = COH_FRAME_TASK, .channel = f->kind->number, .id = f->id};

	if (member_send(m, &frame, f->body, f->args_size) == -ENOMEM)
		return -ENOMEM;
	return 0; /* any other failure is the connection's end, which the next read finds */
}

/* Wait for what the connection says, and for nothing else. */
static void member_watch(struct coh_member *m)
{
	if (coh_loop_events(coh_conn_events(m->conn)) == m->events)
		return;
	coh_engine_loop(); /* may let the lock go: M may have ended meanwhile */
	if (m->watch == NULL)
		return;
	m->events = coh_loop_events(coh_conn_events(m->conn));
	coh_watch_set(m->watch, m->events);
}

void coh_member_flush(struct coh_member *m)
{
	if (m->conn == NULL)
		return;
	(void)coh_conn_push(m->conn); /* that it failed is found by the next read */
	member_watch(m);
}

/* ---- receiving: a handler for each frame, and when it may come ---- */

static int member_refused(struct coh_member *m, const struct cohort_error *why)
{
	m->pool->refusal = *why;
	coh_log(COHORT_LOG_ERROR, "worker %s/%u cannot serve: %s", m->where, m->pid, why->text);
	return why->code;
}

/* It has other tasks than we: it knows best which, and answers FAILED. */
static void send_registry(struct coh_member *m)
{
	struct coh_frame f = {.type = COH_FRAME_REGISTRY};

	coh_member_put(m, &f, m->pool->registry, strlen(m->pool->registry));
}

/* The ordinary greeting: the initializer, if there is one. */
static void send_setup(struct coh_member *m)
{
	struct cohort_pool *p = m->pool;
	struct coh_frame f = {.type = COH_FRAME_SETUP,
	    .channel = p->setup_number,
	    .flags = p->has_setup};

	coh_member_put(m, &f, p->setup_args, p->has_setup ? p->setup_size : 0);
}

static int hello_frame(struct coh_member *m, const struct coh_frame *f, const void *body)
{
	struct cohort_error err = {0};
	struct coh_hello hello;
	int rc;

	rc = coh_hello_unpack(&hello, body, f->length, &err);
	if (rc == 0) {
		m->pid = hello.pid;
		m->state = COH_MEMBER_SETUP;
		if (m->ops->greet != NULL)
			rc = m->ops->greet(m, &err);
		else if (hello.digest != m->pool->digest)
			send_registry(m);
		else
			send_setup(m);
	}
	coh_buf_fini(&hello.strings);
	return rc == 0 ? 0 : member_refused(m, &err);
}

static int ready_frame(struct coh_member *m, const struct coh_frame *f, const void *body)
{
	(void)body;
	if (f->id < 1 || f->id > 65535)
		return COHORT_EPROTOCOL;
	m->state = COH_MEMBER_UP;
	coh_pool_member_up(m->pool, m, (unsigned)f->id);
	return 0;
}

static int failed_frame(struct coh_member *m, const struct coh_frame *f, const void *body)
{
	struct cohort_error err = {0};
	struct coh_failure failure;

	if (coh_failure_unpack(&failure, body, f->length, &err) == 0)
		coh_fail(&err, failure.code, "%s: %s", m->where, failure.text);
	coh_buf_fini(&failure.strings);
	return member_refused(m, &err);
}

/* The future that F answers, out of the plan; NULL when the answer is late. */
static struct cohort_future *answered(struct coh_member *m, const struct coh_frame *f)
{
	struct cohort_pool *p = m->pool;
	struct cohort_future *future = coh_pool_find(p, f->id);
	int64_t ran = f->channel;

	if (f->type == COH_FRAME_ERROR && ran == 0)
		ran = -1; /* it did not even begin */
	if (future == NULL || !coh_plan_result(&p->plan, &m->plan, &future->plan, ran))
		return NULL;
	coh_pool_leave(p, future);
	future->member = m;
	future->pid = f->flags;
	future->elapsed_ns = f->channel;
	return future;
}

static void result_refused(struct cohort_future *future, const struct cohort_error *why)
{
	char text[COHORT_ERROR_TEXT];

	snprintf(text, sizeof text, "task %s: the result from %s/%u cannot be decoded: %.300s",
	    future->kind->name, future->member->where, future->pid, why->text);
	coh_future_fail(future, COHORT_ERESULT, text);
}

/* Workers of a node died of it; the node's sentence calls them its own. */
static void poisoned(struct cohort_future *future, const char *words)
{
	char text[COHORT_ERROR_TEXT];

	snprintf(text, sizeof text, "%s: %s", future->member->where, words);
	coh_future_fail(future, COHORT_EPOISON, text);
}

static int result_frame(struct coh_member *m, const struct coh_frame *f, const void *body)
{
	struct cohort_future *future = answered(m, f);
	struct cohort_error err; /* not cleared: 512 bytes, for every result */

	if (future == NULL)
		return 0;
	if (!m->pool->raw && coh_codec_check(future->kind->task->result, body, f->length, &err) != 0)
		result_refused(future, &err);
	else
		coh_future_succeed(future, body, f->length);
	return 0;
}

static int error_frame(struct coh_member *m, const struct coh_frame *f, const void *body)
{
	struct cohort_future *future = answered(m, f);
	struct cohort_error err = {0};
	struct coh_failure failure;

	if (future == NULL)
		return 0;
	if (coh_failure_unpack(&failure, body, f->length, &err) != 0)
		coh_future_fail(future, COHORT_ERESULT, err.text);
	else if (failure.code == COHORT_EPOISON)
		poisoned(future, failure.text);
	else
		coh_future_fail(future, failure.code, failure.text);
	coh_buf_fini(&failure.strings);
	return 0;
}

#define IN(state) (1u << COH_MEMBER_##state)

/* Adding a frame from members?  Also: frame.h's limits, PROTOCOL.md. */
static const struct {
	uint8_t type;
	unsigned states;
	int (*handle)(struct coh_member *m, const struct coh_frame *f, const void *body);
} handlers[] = {
    {COH_FRAME_RESULT, IN(UP) | IN(STOPPING), result_frame},
    {COH_FRAME_ERROR, IN(UP) | IN(STOPPING), error_frame},
    {COH_FRAME_HELLO, IN(GREETING), hello_frame},
    {COH_FRAME_READY, IN(SETUP), ready_frame},
    {COH_FRAME_FAILED, IN(GREETING) | IN(SETUP) | IN(UP), failed_frame},
};

static int member_frame(struct coh_member *m, const struct coh_frame *f, const void *body)
{
	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
		if (handlers[i].type == f->type && (handlers[i].states & 1u << m->state))
			return handlers[i].handle(m, f, body);
	if (m->state == COH_MEMBER_STOPPING)
		return 0; /* said before it heard that it should end */
	coh_log(COHORT_LOG_ERROR, "worker %s/%u sent %s out of phase", m->where, m->pid,
	    coh_frame_name(f->type));
	return COHORT_EPROTOCOL;
}

static void member_ended(struct coh_member *m)
{
	coh_engine_loop(); /* we are the leader here, or hold the loop */
	coh_watch_free(m->watch);
	m->watch = NULL;
	coh_pulse_drop(&m->pulse);
	coh_pool_member_down(m->pool, m);
}

static void member_read(struct coh_member *m)
{
	const void *body;
	struct coh_frame f;
	int rc;

	do {
		rc = coh_conn_next_frame(m->conn, &f, &body, COHORT_NOW);
		if (rc == 0)
			rc = member_frame(m, &f, body);
	} while (rc == 0 && coh_conn_has_frame(m->conn));
	if (rc != 0 && rc != COHORT_ETIMEDOUT)
		member_ended(m);
}

static void member_cb(unsigned events, void *arg)
{
	struct coh_member *m = member_cast(arg);
	struct cohort_pool *p = m->pool;

	coh_engine_lock();
	if (events & COH_LOOP_WRITE)
		coh_member_flush(m);
	if (m->conn != NULL)
		member_read(m);
	coh_pool_act(p);
	coh_member_flush(m); /* what came may permit more to be sent */
	coh_engine_unlock();
}

/* M's connection in time: a sign of life of ours, and whether there was one of its. */
static cohort_time member_beat(void *arg, cohort_time now)
{
	struct coh_member *m = member_cast(arg);
	cohort_time next;

	if (coh_conn_tick(m->conn, now, &next) == 0) {
		coh_member_flush(m);
		return next;
	}
	member_ended(m);
	coh_pool_act(m->pool);
	return COHORT_FOREVER;
}

/* Watch the connection that M was started with.  0 or -errno. */
static int member_attend(struct coh_member *m)
{
	struct coh_loop *loop = coh_engine_loop();
	cohort_time next;
	int rc = 0;

	m->events = coh_loop_events(coh_conn_events(m->conn));
	m->watch = coh_watch_new(loop, coh_conn_fd(m->conn), m->events, member_cb, m);
	if (m->watch == NULL)
		return -ENOMEM;
	(void)coh_conn_tick(m->conn, cohort_now(), &next); /* that it has ended is for the first read */
	if (next != COHORT_FOREVER)
		rc = coh_pulse_add(&m->pulse, member_beat, m, next);
	if (rc != 0) {
		coh_watch_free(m->watch);
		m->watch = NULL;
	}
	return rc;
}

/* ---- beginning and end ---- */

int coh_member_start(struct coh_member *m, struct cohort_error *err)
{
	int rc;

	m->plan = (struct coh_plan_member){0};
	rc = m->ops->start(m, err);
	if (rc != 0)
		return rc;
	m->state = COH_MEMBER_GREETING;
	coh_conn_keep_all(m->conn); /* the plan bounds what a member is given */
	rc = member_attend(m);
	if (rc != 0) {
		coh_member_kill(m);
		coh_pool_member_down(m->pool, m);
		return coh_fail_errno(err, -rc, "watch worker %s", m->where);
	}
	if (coh_conn_has_frame(m->conn)) { /* it came with the end of the handshake */
		member_read(m);
		coh_pool_flush(m->pool);
	}
	return 0;
}

void coh_member_stop(struct coh_member *m)
{
	if (m->state == COH_MEMBER_DOWN || m->state == COH_MEMBER_STOPPING)
		return;
	m->state = m->conn != NULL ? COH_MEMBER_STOPPING : COH_MEMBER_DOWN;
	coh_member_flush(m);
	if (m->conn != NULL)
		coh_conn_end(m->conn);
}

void coh_member_kill(struct coh_member *m)
{
	if (m->state == COH_MEMBER_DOWN)
		return;
	m->state = COH_MEMBER_STOPPING;
	if (m->ops->kill != NULL)
		m->ops->kill(m);
	else
		coh_fd_shutdown(coh_conn_fd(m->conn), COH_FD_BOTH);
}
