/*
 * future.c - one task under way, then its result or its error.
 *
 * A future is the task itself: the struct holds the plan's hooks, the arguments and, once it has
 * ended, the result, which takes the place of the arguments when it fits, so that a small
 * task costs one allocation in all.  It ends exactly once, by coh_future_succeed or
 * coh_future_fail; what was ended no longer changes and is read without the lock.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"
#include "work/pool_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FUTURE_MAGIC 0xc0f07u
#define BODY_LEAST 48 /* room for small results where the arguments are smaller still */

static struct cohort_future *future_cast(struct cohort_future *f)
{
	return COH_CAST(struct cohort_future, FUTURE_MAGIC, f);
}

struct cohort_future *coh_future_new(
    struct cohort_pool *p, struct coh_pool_kind *kind, const void *args, size_t size)
{
	size_t room = size > BODY_LEAST ? size : BODY_LEAST;
	struct cohort_future *f = coh_alloc(sizeof *f + room);

	if (f == NULL)
		return NULL;
	memset(f, 0, sizeof *f);
	f->magic = FUTURE_MAGIC;
	f->refs = 1;
	f->pool = p;
	f->kind = kind;
	f->plan.kind = &kind->plan;
	f->strings.max = COHORT_MESSAGE_MAX;
	f->body_size = room;
	f->args_size = size;
	f->plan.size = size;
	if (size != 0)
		memcpy(f->body, args, size);
	return f;
}

void coh_future_discard(struct cohort_future *f)
{
	f->magic = 0;
	if (f->result != f->body)
		coh_free((void *)(uintptr_t)f->result);
	coh_free(f->text);
	coh_buf_fini(&f->strings);
	cohort_message_free(f->reader);
	coh_free(f);
}

void coh_future_unref(struct cohort_future *f)
{
	struct cohort_pool *p = f->pool;

	COH_ASSERT(f->refs > 0);
	if (--f->refs != 0)
		return;
	coh_future_discard(f);
	coh_pool_unref(p);
}

static void then_cb(void *arg)
{
	struct cohort_future *f = future_cast(arg);

	f->then_fn(f, f->then_arg);
	coh_engine_lock();
	coh_future_unref(f);
	coh_engine_unlock();
}

static void future_end(struct cohort_future *f)
{
	COH_ASSERT(!f->done);
	f->done = true;
	if (f->then_fn != NULL)
		coh_engine_call(&f->call);
	if (f->on_done != NULL)
		f->on_done(f, f->owner);
	coh_future_unref(f); /* the plan's */
}

void coh_future_succeed(struct cohort_future *f, const void *image, size_t size)
{
	unsigned char *copy = f->body;

	if (size > f->body_size) {
		copy = coh_alloc(size);
		if (copy == NULL) {
			coh_future_fail(f, -ENOMEM, "no memory for the result");
			return;
		}
	}
	if (size != 0)
		memcpy(copy, image, size);
	f->result = copy;
	f->result_size = size;
	f->pool->stats.done++;
	future_end(f);
}

void coh_future_note(struct cohort_future *f, const char *text)
{
	coh_free(f->text);
	f->text = text != NULL ? coh_strdup(text) : NULL; /* without memory the code must do */
}

void coh_future_fail(struct cohort_future *f, int code, const char *text)
{
	f->code = code;
	if (text != NULL)
		coh_future_note(f, text);
	if (code == COHORT_ECANCELLED)
		f->pool->stats.cancelled++;
	else
		f->pool->stats.failed++;
	future_end(f);
}

/* ---- the user's calls ---- */

static bool done_test(void *arg)
{
	return ((struct cohort_future *)arg)->done;
}

int cohort_future_done(struct cohort_future *f)
{
	bool done;

	coh_engine_lock();
	done = future_cast(f)->done;
	coh_engine_unlock();
	return done;
}

int cohort_future_wait(struct cohort_future *f, cohort_time deadline)
{
	int rc = 0;

	coh_engine_lock();
	if (!future_cast(f)->done)
		rc = coh_engine_wait(done_test, f, deadline);
	coh_engine_unlock();
	return rc;
}

static int ended_error(const struct cohort_future *f, struct cohort_error *err)
{
	if (f->code != 0)
		coh_fail(err, f->code, "%s", f->text != NULL ? f->text : cohort_strerror(f->code));
	return f->code;
}

int cohort_future_error(struct cohort_future *f, struct cohort_error *err)
{
	if (!cohort_future_done(f))
		return coh_fail(err, COHORT_ESTATE, "the future has not ended yet");
	return ended_error(f, err);
}

/* The reader of a result with arrays, made at first use. */
static int future_reader(struct cohort_future *f, struct cohort_error *err)
{
	int rc;

	if (f->reader != NULL)
		return 0;
	f->reader = coh_message_new(f->kind->task->result);
	if (f->reader == NULL)
		return coh_fail(err, -ENOMEM, "no memory to read the result");
	rc = coh_message_borrow(f->reader, f->result, f->result_size, err);
	if (rc != 0) {
		cohort_message_free(f->reader);
		f->reader = NULL;
	}
	return rc;
}

static int future_values(struct cohort_future *f, struct cohort_error *err, va_list ap)
{
	int rc;

	if (coh_format_flat(f->kind->task->result))
		return coh_codec_unpack(f->kind->task->result, f->result, &f->strings, ap);
	rc = future_reader(f, err);
	if (rc == 0)
		rc = coh_message_unpack(f->reader, 0, ap);
	return rc < 0 ? rc : 0;
}

int cohort_future_get(struct cohort_future *f, cohort_time deadline, struct cohort_error *err, ...)
{
	va_list ap;
	int rc;

	rc = cohort_future_wait(f, deadline);
	if (rc != 0)
		return coh_fail(err, rc, "task %s: not done by the deadline", f->kind->name);
	rc = ended_error(f, err);
	if (rc != 0)
		return rc;
	va_start(ap, err);
	rc = future_values(f, err, ap);
	va_end(ap);
	return rc;
}

int cohort_future_row(struct cohort_future *f, int index, ...)
{
	va_list ap;
	int rc;

	if (!cohort_future_done(f) || f->code != 0)
		return COHORT_ESTATE;
	if (index < 1 || coh_format_parts(f->kind->task->result, index) < 0)
		return COHORT_EARGUMENT;
	rc = future_reader(f, NULL);
	if (rc != 0)
		return rc;
	va_start(ap, index);
	rc = coh_message_unpack(f->reader, index, ap);
	va_end(ap);
	return rc;
}

int cohort_future_image(struct cohort_future *f, const void **data, size_t *size)
{
	*data = NULL;
	*size = 0;
	if (!cohort_future_done(f))
		return COHORT_ESTATE;
	if (f->code == 0) {
		*data = f->result;
		*size = f->result_size;
	}
	return f->code;
}

int cohort_future_then(struct cohort_future *f, cohort_future_fn fn, void *arg)
{
	int rc = COHORT_ESTATE;

	coh_engine_lock();
	if (future_cast(f)->then_fn == NULL) {
		f->then_fn = fn;
		f->then_arg = arg;
		f->call = (struct coh_engine_call){.fn = then_cb, .arg = f};
		f->refs++; /* given up by then_cb */
		if (f->done)
			coh_engine_call(&f->call);
		rc = 0;
	}
	coh_engine_unlock();
	return rc;
}

int cohort_future_cancel(struct cohort_future *f)
{
	int rc = COHORT_ESTATE;

	coh_engine_lock();
	if (!future_cast(f)->done && coh_plan_cancel(&f->pool->plan, &f->plan)) {
		coh_pool_leave(f->pool, f);
		coh_future_fail(f, COHORT_ECANCELLED, "the task was cancelled before it began");
		rc = 0;
	}
	coh_engine_unlock();
	return rc;
}

struct several {
	struct cohort_future *const *futures;
	int n, first;
};

static bool any_test(void *arg)
{
	struct several *s = arg;

	for (s->first = 0; s->first < s->n; s->first++)
		if (s->futures[s->first]->done)
			return true;
	return false;
}

int cohort_future_wait_any(struct cohort_future *const *futures, int n, cohort_time deadline)
{
	struct several s = {futures, n, 0};
	int rc;

	if (n < 1)
		return COHORT_EARGUMENT;
	coh_engine_lock();
	rc = coh_engine_wait(any_test, &s, deadline);
	coh_engine_unlock();
	return rc != 0 ? rc : s.first;
}

int cohort_future_wait_all(struct cohort_future *const *futures, int n, cohort_time deadline)
{
	int rc = 0;

	for (int i = 0; i < n && rc == 0; i++)
		rc = cohort_future_wait(futures[i], deadline);
	return rc;
}

int cohort_future_worker(struct cohort_future *f, char *text, size_t size)
{
	if (!cohort_future_done(f) || f->member == NULL)
		return snprintf(text, size, "%s", "");
	return snprintf(text, size, "%s/%u", f->member->where, f->pid);
}

int64_t cohort_future_elapsed(struct cohort_future *f)
{
	return cohort_future_done(f) ? f->elapsed_ns : 0;
}

void cohort_future_free(struct cohort_future *f)
{
	if (f == NULL)
		return;
	coh_engine_lock();
	coh_future_unref(future_cast(f));
	coh_engine_unlock();
}
