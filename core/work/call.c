/*
 * call.c - one task at a time, as its function sees it.
 *
 * Everything the function touches goes through the call, so it can run in a child, in a
 * worker, in a thread, or inline, and never know.  Arguments are lent out of the image that
 * came; the result is packed where it will be sent from.
 *
 * The task's own errors keep the function's sentence under one code, COHORT_ETASK: a task
 * that returns -ENOENT has failed, the library has not.
 */
#include "work/call.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* The messages of one task, NULL until it is first run. */
struct slot {
	struct cohort_message *args;
	struct cohort_message *result;
};

struct cohort_call {
	const struct coh_task *task;
	struct slot *now;          /* of `task` */
	int failed;                /* the first failure to pack the result, or 0 */
	const void *image;
	size_t image_size;
	struct cohort_error error;
	int slot_count;
	struct slot slots[];       /* by the tasks' numbers */
};

struct cohort_call *coh_call_new(void)
{
	int n = coh_task_count();
	struct cohort_call *c = coh_calloc(sizeof *c + sizeof c->slots[0] * (size_t)n);

	if (c != NULL)
		c->slot_count = n;
	return c;
}

void coh_call_free(struct cohort_call *c)
{
	for (int i = 0; c != NULL && i < c->slot_count; i++) {
		cohort_message_free(c->slots[i].args);
		cohort_message_free(c->slots[i].result);
	}
	coh_free(c);
}

static int slot_fill(struct slot *s, const struct coh_task *t)
{
	if (s->args == NULL)
		s->args = coh_message_new(t->args);
	if (s->result == NULL)
		s->result = coh_message_new(t->result);
	return s->args != NULL && s->result != NULL ? 0 : -ENOMEM;
}

/* Get ready for a run of T with ARGS. */
static int begin(struct cohort_call *c, const struct coh_task *t, const void *args, size_t size)
{
	struct cohort_error why; /* not cleared: 512 bytes, for every task */
	int rc;

	why.code = 0;
	c->task = t;
	c->now = &c->slots[t->number];
	c->failed = 0;
	c->image = NULL;
	c->image_size = 0;
	c->error.code = 0;
	c->error.text[0] = '\0';
	rc = slot_fill(c->now, t);
	if (rc != 0)
		return coh_fail(&c->error, rc, "task '%s': %s", t->task->name, cohort_strerror(rc));
	cohort_message_reset(c->now->result);
	rc = coh_message_borrow(c->now->args, args, size, &why);
	if (rc != 0)
		return coh_fail(&c->error, rc, "task '%s': its arguments: %s", t->task->name,
		    why.code == rc ? why.text : cohort_strerror(rc));
	return 0;
}

/* The function returned without a failure: take its result. */
static int finish(struct cohort_call *c)
{
	const char *name = c->task->task->name;
	int rc = c->failed;

	if (rc == 0)
		rc = cohort_message_image(c->now->result, &c->image, &c->image_size);
	if (rc == COHORT_ESTATE)
		return coh_fail(&c->error, COHORT_ETASK,
		    "task '%s' returned without a result of format \"%s\"", name,
		    coh_format_text(c->task->result));
	if (rc == COHORT_ETOOBIG)
		return coh_fail(&c->error, rc,
		    "task '%s': its result is over the %zu bytes that a message may have", name,
		    COHORT_MESSAGE_MAX);
	if (rc != 0)
		return coh_fail(&c->error, rc, "task '%s': its result: %s", name,
		    cohort_strerror(rc));
	return 0;
}

int coh_call_run(struct cohort_call *c, const struct coh_task *t, const void *args, size_t size)
{
	int rc = begin(c, t, args, size), value;

	if (rc != 0)
		return rc;
	value = t->task->fn(c);
	if (value == 0 || (value < 0 && value == c->failed)) {
		rc = finish(c);
	} else if (value < 0) {
		rc = COHORT_ETASK;
		if (c->error.code == 0)
			coh_fail(&c->error, rc, "task '%s': %s", t->task->name,
			    cohort_strerror(value));
		c->error.code = rc;
	}
	cohort_message_reset(c->now->args); /* borrowed bytes end with the call */
	return rc != 0 ? rc : value;
}

int coh_call_work(struct cohort_call *c, const struct coh_task *t, const void *args, size_t size)
{
	int rc = coh_call_run(c, t, args, size);

	if (rc <= 0)
		return rc;
	return coh_fail(&c->error, COHORT_ETASK,
	    "task '%s' returned %d: in a pool a task returns 0 or a negative code", t->task->name,
	    rc);
}

const void *coh_call_image(const struct cohort_call *c, size_t *size)
{
	*size = c->image_size;
	return c->image;
}

const struct cohort_error *coh_call_error(const struct cohort_call *c)
{
	return &c->error;
}

int cohort_call_args(struct cohort_call *call, ...)
{
	va_list ap;
	int rc;

	va_start(ap, call);
	rc = coh_message_unpack(call->now->args, 0, ap);
	va_end(ap);
	return rc;
}

int cohort_call_args_row(struct cohort_call *call, int index, ...)
{
	va_list ap;
	int rc;

	va_start(ap, index);
	rc = index > 0 ? coh_message_unpack(call->now->args, index, ap) : COHORT_EARGUMENT;
	va_end(ap);
	return rc;
}

static int pack(struct cohort_call *call, int index, va_list ap)
{
	int rc = coh_message_pack(call->now->result, index, ap);

	if (call->failed == 0)
		call->failed = rc; /* told even if the function does not look */
	return rc;
}

int cohort_call_result(struct cohort_call *call, ...)
{
	va_list ap;
	int rc;

	va_start(ap, call);
	rc = pack(call, 0, ap);
	va_end(ap);
	return rc;
}

int cohort_call_result_row(struct cohort_call *call, int index, ...)
{
	va_list ap;
	int rc = COHORT_EARGUMENT;

	va_start(ap, index);
	if (index > 0)
		rc = pack(call, index, ap);
	va_end(ap);
	return rc;
}

int cohort_call_fail(struct cohort_call *call, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(call->error.text, sizeof call->error.text, format, ap);
	va_end(ap);
	call->error.code = COHORT_ETASK;
	return COHORT_ETASK;
}
