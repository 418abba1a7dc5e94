/*
 * worker.c - what a worker runs from its first frame to its exit code.
 *
 *	HELLO -> ; <- SETUP; READY -> ; then <- TASK, RESULT or ERROR -> until the pool closes.
 *
 * Tasks come in batches and are done in order.  Results are held back while more tasks are at
 * hand, so that a batch of short ones costs one write, but not for longer than FLUSH_AFTER: the
 * pool must be able to send more before the batch is used up.
 */
#include "work/worker.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/shm.h"
#include "work/call.h"
#include "work/proto.h"
#include "work/task.h"

#include <cohort/time.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define FLUSH_AFTER (100 * COHORT_US) /* about ten write calls' worth of work */

struct worker {
	struct cohort_conn *conn;
	struct coh_worker_status *status;
	struct cohort_call *call;
	struct coh_buf body; /* of control frames */
	uint32_t pid;
	cohort_time flushed, now; /* when results were last sent; the end of the last task */
};

static int put(struct worker *w, struct coh_frame *f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};

	return coh_conn_put_frame(w->conn, f, &iov, size != 0, COHORT_FOREVER);
}

static int put_body(struct worker *w, struct coh_frame *f, int packed)
{
	int rc = packed;

	if (rc == 0)
		rc = put(w, f, coh_buf_peek(&w->body), coh_buf_len(&w->body));
	coh_buf_drop(&w->body, coh_buf_len(&w->body));
	return rc;
}

static int say_hello(struct worker *w)
{
	struct coh_frame f = {.type = COH_FRAME_HELLO};
	struct coh_hello hello = {.version = COH_PROTO_VERSION,
	    .pid = w->pid,
	    .slots = 1,
	    .digest = coh_task_digest(),
	    .name = ""};

	return put_body(w, &f, coh_hello_pack(&hello, &w->body));
}

static int say_failure(struct worker *w, struct coh_frame *f, const struct cohort_error *err)
{
	struct coh_failure failure = {.code = err->code, .text = err->text};

	return put_body(w, f, coh_failure_pack(&failure, &w->body));
}

/* Run task NUMBER on the image; 0 with the result in w->call, or its error. */
static int run(struct worker *w, uint32_t number, const void *args, size_t size,
    struct cohort_error *err)
{
	const struct coh_task *task = coh_task_at(number);
	int rc;

	if (task == NULL)
		return coh_fail(err, COHORT_ENOTASK,
		    "this program registers %d tasks, there is no number %u", coh_task_count(),
		    number);
	rc = coh_call_work(w->call, task, args, size);
	return rc == 0 ? 0 : coh_fail(err, rc, "%s", coh_call_error(w->call)->text);
}

static int setup_frame(struct worker *w, const struct coh_frame *f, const void *body)
{
	struct coh_frame failed = {.type = COH_FRAME_FAILED};
	struct coh_frame ready = {.type = COH_FRAME_READY, .id = 1};
	struct cohort_error err;
	int rc = 0;

	if (f->flags != 0)
		rc = run(w, f->channel, body, f->length, &err);
	if (rc == 0)
		return put(w, &ready, NULL, 0);
	coh_fail_in(&err, err.code, "initializer");
	say_failure(w, &failed, &err);
	cohort_conn_flush(w->conn, COHORT_FOREVER);
	return rc;
}

/* The pool's registry, sent because its digest is not ours: say which task differs. */
static int registry_frame(struct worker *w, const struct coh_frame *f, const void *body)
{
	struct coh_frame failed = {.type = COH_FRAME_FAILED};
	struct cohort_error err = {0};

	if (coh_task_compare(body, f->length, "the program that opened the pool", &err) == 0)
		coh_fail(&err, COHORT_EREGISTRY, "the digests of the registries differ");
	say_failure(w, &failed, &err);
	cohort_conn_flush(w->conn, COHORT_FOREVER);
	return COHORT_EREGISTRY;
}

static uint32_t elapsed_since(cohort_time begin, cohort_time end)
{
	return end - begin < UINT32_MAX ? (uint32_t)(end - begin) : UINT32_MAX;
}

static int task_frame(struct worker *w, const struct coh_frame *f, const void *body)
{
	struct coh_frame out = {.type = COH_FRAME_RESULT, .id = f->id, .flags = w->pid};
	struct cohort_error err;
	cohort_time begin = w->now;
	const void *image;
	size_t size;
	int rc;

	atomic_store_explicit(&w->status->running, f->id, memory_order_relaxed);
	rc = run(w, f->channel, body, f->length, &err);
	atomic_store_explicit(&w->status->running, 0, memory_order_relaxed);
	w->now = cohort_now();
	out.channel = elapsed_since(begin, w->now);
	if (rc == 0) {
		image = coh_call_image(w->call, &size);
		rc = put(w, &out, image, size);
	} else {
		out.type = COH_FRAME_ERROR;
		rc = say_failure(w, &out, &err);
	}
	if (rc == 0 && w->now - w->flushed > FLUSH_AFTER) {
		rc = cohort_conn_flush(w->conn, COHORT_FOREVER);
		w->flushed = w->now;
	}
	return rc;
}

static int worker_frame(struct worker *w, const struct coh_frame *f, const void *body)
{
	switch (f->type) {
	case COH_FRAME_TASK:
		return task_frame(w, f, body);
	case COH_FRAME_REGISTRY:
		return registry_frame(w, f, body);
	case COH_FRAME_SETUP:
		return setup_frame(w, f, body);
	default:
		return COHORT_EPROTOCOL;
	}
}

static int worker_loop(struct worker *w)
{
	struct coh_frame f;
	const void *body;
	int rc = say_hello(w);

	while (rc == 0 && !atomic_load_explicit(&w->status->stop, memory_order_relaxed)) {
		if (!coh_conn_has_frame(w->conn)) {
			rc = coh_conn_next_frame(w->conn, &f, &body, COHORT_FOREVER);
			w->now = w->flushed = cohort_now(); /* receiving flushes */
		} else
			rc = coh_conn_next_frame(w->conn, &f, &body, COHORT_NOW);
		if (rc == 0)
			rc = worker_frame(w, &f, body);
		else if (rc == COHORT_ETIMEDOUT)
			rc = 0; /* what was held was not for us */
	}
	return rc == 0 || rc == COHORT_EOF ? 0 : 1;
}

int coh_worker_serve(struct cohort_conn *conn, struct coh_worker_status *status)
{
	struct worker w = {.conn = conn, .status = status, .pid = (uint32_t)getpid()};
	int rc = 1;

	coh_buf_init(&w.body, COH_FRAME_CONTROL_MAX);
	w.call = coh_call_new();
	if (w.call != NULL)
		rc = worker_loop(&w);
	coh_call_free(w.call);
	coh_buf_fini(&w.body);
	return rc;
}

int coh_worker_main(const struct coh_heritage *h)
{
	struct coh_worker_status *status;
	struct cohort_conn *conn;
	int rc;

	signal(SIGINT, SIG_IGN); /* Ctrl-C is the parent's to decide on */
	status = coh_shm_map(h->fd[COH_HERITAGE_STATUS], sizeof *status);
	if (status == NULL)
		return 1;
	if (coh_conn_from_fd(&conn, h->fd[COH_HERITAGE_CONN], COH_PHASE_MEMBER, "pool", NULL) != 0)
		return 1;
	rc = coh_worker_serve(conn, status);
	cohort_conn_close(conn);
	coh_shm_unmap(status, sizeof *status);
	return rc;
}
