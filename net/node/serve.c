/*
 * serve.c - a node's side of one coordinator: its tasks in, a local pool's results out.
 *
 *	HELLO -> ; <- JOB; READY -> or FAILED -> ; then <- TASK, RESULT or ERROR ->
 *
 * The tasks are opaque here: a number and an image of arguments that only the coordinator's own
 * program, which the workers run, can read.  Scheduling, replacing dead workers and running
 * their tasks again are the local pool's, the same code that serves local:N.
 *
 * Failure modes: another version, a program that is not there or has another sum, workers that do
 * not come up: FAILED with the sentence, and the connection ends.  The coordinator goes: its
 * workers are killed and everything it held is freed.
 */
#include "node/serve.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/object.h"
#include "node/program.h"
#include "os/fd.h"
#include "work/launcher.h"
#include "work/proto.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SERVE_MAGIC 0xc05e7eu

enum serve_state {
	SERVE_GREETED, /* JOB is awaited */
	SERVE_STARTING, /* the first worker is awaited */
	SERVE_READY,
	SERVE_FAILED,   /* said so; the coordinator's end is awaited */
};

struct coh_serve {
	uint32_t magic;
	struct cohort_conn *conn;
	struct coh_watch *watch;
	const struct coh_serve_offer *offer;
	struct cohort_pool *pool;
	enum serve_state state;
	int program_fd;
	unsigned events;        /* what the watch waits for */
	struct coh_pulse pulse; /* while the connection depends on time */
	void (*on_end)(struct coh_serve *s, void *arg);
	void *arg;
};

static struct coh_serve *serve_cast(void *arg)
{
	return COH_CAST(struct coh_serve, SERVE_MAGIC, arg);
}

/* ---- sending ---- */

static void serve_put(struct coh_serve *s, struct coh_frame *f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};

	if (coh_conn_put_frame(s->conn, f, &iov, size != 0, COHORT_NOW) != 0)
		coh_fd_shutdown(coh_conn_fd(s->conn), COH_FD_BOTH); /* the next read tells */
}

static void serve_flush(struct coh_serve *s)
{
	(void)coh_conn_push(s->conn); /* that it failed is found by the next read */
	if (coh_loop_events(coh_conn_events(s->conn)) == s->events)
		return;
	coh_engine_loop();
	s->events = coh_loop_events(coh_conn_events(s->conn));
	coh_watch_set(s->watch, s->events);
}

static int serve_say_failure(
    struct coh_serve *s, struct coh_frame *f, int code, const char *text)
{
	struct coh_failure failure = {.code = code, .text = text};
	struct coh_buf body;
	int rc;

	coh_buf_init(&body, COH_FRAME_CONTROL_MAX);
	rc = coh_failure_pack(&failure, &body);
	if (rc == 0)
		serve_put(s, f, coh_buf_peek(&body), coh_buf_len(&body));
	coh_buf_fini(&body);
	return rc;
}

static int serve_hello(struct coh_serve *s)
{
	struct coh_frame f = {.type = COH_FRAME_HELLO};
	struct coh_hello hello = {.version = COH_PROTO_VERSION,
	    .pid = (uint32_t)getpid(),
	    .slots = s->offer->slots,
	    .name = s->offer->name};
	struct coh_buf body;
	int rc;

	coh_buf_init(&body, COH_FRAME_CONTROL_MAX);
	rc = coh_hello_pack(&hello, &body);
	if (rc == 0)
		serve_put(s, &f, coh_buf_peek(&body), coh_buf_len(&body));
	coh_buf_fini(&body);
	return rc;
}

static void serve_refuse(struct coh_serve *s, const struct cohort_error *err)
{
	struct coh_frame f = {.type = COH_FRAME_FAILED};

	coh_log(COHORT_LOG_ERROR, "%s: job refused: %s", cohort_conn_peer(s->conn), err->text);
	s->state = SERVE_FAILED;
	serve_say_failure(s, &f, err->code, err->text);
}

/* ---- the pool's side ---- */

static void pool_changed_cb(struct cohort_pool *p, void *owner)
{
	struct coh_serve *s = serve_cast(owner);
	struct coh_frame ready = {.type = COH_FRAME_READY, .id = s->offer->slots};

	if (p->broken.code != 0 && s->state != SERVE_FAILED)
		serve_refuse(s, &p->broken);
	else if (s->state == SERVE_STARTING && p->plan.members > 0) {
		s->state = SERVE_READY;
		serve_put(s, &ready, NULL, 0);
	}
	serve_flush(s);
}

static void pool_flush_cb(struct cohort_pool *p, void *owner)
{
	(void)p;
	serve_flush(serve_cast(owner));
}

static void task_done_cb(struct cohort_future *f, void *owner)
{
	struct coh_serve *s = serve_cast(owner);
	struct coh_frame out = {.type = COH_FRAME_RESULT,
	    .id = f->tag,
	    .flags = f->pid,
	    .channel = f->elapsed_ns < UINT32_MAX ? (uint32_t)f->elapsed_ns : UINT32_MAX};

	if (f->code == 0)
		serve_put(s, &out, f->result, f->result_size);
	else {
		out.type = COH_FRAME_ERROR;
		serve_say_failure(s, &out, f->code,
		    f->text != NULL ? f->text : cohort_strerror(f->code));
	}
	f->on_done = NULL;
	coh_future_unref(f); /* ours */
}

/* ---- frames from the coordinator ---- */

/* What the tasks are called, for sentences: the first word of each line of the registry. */
static void job_names(struct cohort_pool *p)
{
	char *line = coh_strdup(p->registry), *end;

	p->names = line;
	for (uint32_t i = 0; line != NULL && i < p->kind_count && *line != '\0'; i++, line = end) {
		end = line + strcspn(line, "\n");
		end += *end != '\0';
		line[strcspn(line, "\t\n")] = '\0';
		if (coh_name_valid(line, strlen(line)))
			p->kinds[i].name = line;
	}
}

static int job_registry(struct coh_serve *s, const struct coh_job *job, struct cohort_error *err)
{
	struct cohort_pool *p = s->pool;

	p->digest = job->digest;
	p->registry = coh_strdup(job->registry);
	p->address = coh_strdup(cohort_conn_peer(s->conn));
	p->strikes = job->strikes;
	coh_plan_init(&p->plan, job->strikes);
	p->has_setup = job->has_setup != 0;
	p->setup_number = job->setup_number;
	p->setup_size = job->setup_size;
	p->setup_args = coh_memdup(job->setup_args, job->setup_size);
	p->on_change = pool_changed_cb;
	p->on_flush = pool_flush_cb;
	p->owner = s;
	if (p->registry == NULL || p->address == NULL || p->setup_args == NULL)
		return coh_fail(err, -ENOMEM, "this node has no memory for the job");
	job_names(p);
	return 0;
}

static int job_start(struct coh_serve *s, const struct coh_job *job, struct cohort_error *err)
{
	int rc;

	rc = coh_program_allowed(job->program, s->offer->programs, s->offer->program_count, err);
	if (rc != 0)
		return rc;
	s->program_fd = coh_program_open(job->program, job->sha256, err);
	if (s->program_fd < 0)
		return s->program_fd;
	coh_engine_unlock(); /* opening takes it */
	rc = coh_pool_new(&s->pool, job->tasks + 1, err);
	coh_engine_lock();
	if (rc == 0)
		rc = job_registry(s, job, err);
	if (rc == 0)
		rc = coh_launcher_local_add(s->pool, s->offer->slots, s->program_fd, err);
	return rc;
}

static int job_frame(struct coh_serve *s, const struct coh_frame *f, const void *body)
{
	struct cohort_error err = {0};
	struct coh_job job;
	int rc;

	rc = coh_job_unpack(&job, body, f->length, &err);
	if (rc == 0) {
		s->state = SERVE_STARTING;
		rc = job_start(s, &job, &err);
	}
	if (rc == 0)
		coh_log(COHORT_LOG_INFO, "%s: runs %s on %u slots", cohort_conn_peer(s->conn),
		    job.program, s->offer->slots);
	else if (s->state != SERVE_FAILED)
		serve_refuse(s, &err);
	coh_buf_fini(&job.strings);
	return 0;
}

static int task_frame(struct coh_serve *s, const struct coh_frame *f, const void *body)
{
	struct coh_frame error = {.type = COH_FRAME_ERROR, .id = f->id};
	struct cohort_future *future = NULL;
	int rc = COHORT_ENOTASK;

	if (f->channel < s->pool->kind_count) {
		future = coh_future_new(s->pool, &s->pool->kinds[f->channel], body, f->length);
		rc = future == NULL ? -ENOMEM : coh_pool_enter(s->pool, future);
	}
	if (rc != 0) {
		if (future != NULL)
			coh_future_discard(future);
		return serve_say_failure(s, &error, rc, cohort_strerror(rc));
	}
	future->tag = f->id;
	future->on_done = task_done_cb;
	future->owner = s;
	return 0;
}

/* Which frames a coordinator may send when; everything else ends the connection. */
static const struct {
	uint8_t type;
	enum serve_state state;
	int (*handle)(struct coh_serve *s, const struct coh_frame *f, const void *body);
} handlers[] = {
    {COH_FRAME_TASK, SERVE_READY, task_frame},
    {COH_FRAME_JOB, SERVE_GREETED, job_frame},
};

static int serve_frame(struct coh_serve *s, const struct coh_frame *f, const void *body)
{
	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
		if (handlers[i].type == f->type && handlers[i].state == s->state)
			return handlers[i].handle(s, f, body);
	if (s->state == SERVE_FAILED)
		return 0; /* sent before it heard */
	coh_log(COHORT_LOG_WARN, "%s sent %s out of phase", cohort_conn_peer(s->conn),
	    coh_frame_name(f->type));
	return COHORT_EPROTOCOL;
}

static int serve_read(struct coh_serve *s)
{
	const void *body;
	struct coh_frame f;
	int rc;

	do {
		rc = coh_conn_next_frame(s->conn, &f, &body, COHORT_NOW);
		if (rc == 0)
			rc = serve_frame(s, &f, body);
	} while (rc == 0 && coh_conn_has_frame(s->conn));
	return rc == COHORT_ETIMEDOUT ? 0 : rc;
}

/* The coordinator is gone: S may be, too, when this returns. */
static void serve_ended(struct coh_serve *s)
{
	coh_log(COHORT_LOG_INFO, "%s: ended: %s", cohort_conn_peer(s->conn),
	    cohort_conn_error(s->conn));
	if (s->on_end != NULL)
		s->on_end(s, s->arg);
}

static void serve_cb(unsigned events, void *arg)
{
	struct coh_serve *s = serve_cast(arg);

	(void)events; /* a transport may need room to read, or bytes to write */
	coh_engine_lock();
	(void)coh_conn_push(s->conn);
	if (serve_read(s) != 0)
		serve_ended(s);
	else {
		if (s->pool != NULL)
			coh_pool_act(s->pool);
		serve_flush(s);
	}
	coh_engine_unlock();
}

/* The connection in time: a sign of life of ours, and whether there was one of its. */
static cohort_time serve_beat(void *arg, cohort_time now)
{
	struct coh_serve *s = serve_cast(arg);
	cohort_time next;

	if (coh_conn_tick(s->conn, now, &next) == 0) {
		serve_flush(s);
		return next;
	}
	serve_ended(s);
	return COHORT_FOREVER;
}

/* ---- beginning and end ---- */

static int serve_attend(struct coh_serve *s)
{
	struct coh_loop *loop = coh_engine_loop();
	cohort_time next;

	s->events = coh_loop_events(coh_conn_events(s->conn));
	s->watch = coh_watch_new(loop, coh_conn_fd(s->conn), s->events, serve_cb, s);
	if (s->watch == NULL)
		return -ENOMEM;
	(void)coh_conn_tick(s->conn, cohort_now(), &next); /* that it has ended is for the first read */
	return next != COHORT_FOREVER ? coh_pulse_add(&s->pulse, serve_beat, s, next) : 0;
}

int coh_serve_new(struct coh_serve **out, struct cohort_conn *conn,
    const struct coh_serve_offer *offer, void (*on_end)(struct coh_serve *s, void *arg),
    void *arg)
{
	struct coh_serve *s = coh_calloc(sizeof *s);
	int rc;

	if (s == NULL)
		return -ENOMEM;
	s->magic = SERVE_MAGIC;
	s->conn = conn;
	s->offer = offer;
	s->on_end = on_end;
	s->arg = arg;
	s->program_fd = -1;
	coh_conn_set_phase(conn, COH_PHASE_MEMBER);
	coh_conn_keep_all(conn); /* the coordinator bounds what it has under way */
	rc = serve_attend(s);
	if (rc == 0)
		rc = serve_hello(s);
	if (rc != 0) {
		s->conn = NULL;
		coh_serve_free(s);
		return rc;
	}
	serve_flush(s);
	*out = s;
	return 0;
}

void coh_serve_free(struct coh_serve *s)
{
	if (s == NULL)
		return;
	coh_engine_loop();
	coh_watch_free(s->watch);
	coh_pulse_drop(&s->pulse);
	/* the pool ends its tasks here and now: they must not answer through us any more */
	if (s->pool != NULL) {
		for (uint32_t i = 0; i < s->pool->table_size; i++) {
			struct cohort_future *f = s->pool->table[i];

			if (f == NULL || f->on_done != task_done_cb)
				continue;
			f->on_done = NULL;
			coh_future_unref(f);
		}
		coh_pool_dispose(s->pool);
	}
	cohort_conn_close(s->conn);
	coh_fd_close(&s->program_fd);
	s->magic = 0;
	coh_free(s);
}
