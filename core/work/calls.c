/*
 * calls.c - one task at a time, and a map over arrays: what most programs use of a pool.
 *
 * Submitting packs the arguments, enters the plan and sends at once; nothing here waits but
 * apply and map, and they wait in the engine like any other caller.
 */
#include "base/err.h"
#include "base/object.h"
#include "work/pool_priv.h"

#include <cohort/pool.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

int coh_pool_submit(struct cohort_pool *p, struct cohort_future *f, struct cohort_error *err)
{
	int rc;

	coh_engine_lock();
	rc = coh_pool_enter(p, f);
	if (rc == 0) {
		coh_pool_act(p);
		coh_pool_run_inline(p);
	} else if (rc == p->broken.code)
		coh_fail(err, rc, "%s", p->broken.text);
	coh_engine_unlock();
	if (rc == 0)
		return 0;
	coh_future_discard(f);
	if (rc == COHORT_ECLOSED)
		return coh_fail(err, rc, "the pool was closed: it takes no more tasks");
	return coh_fail_code(err, rc);
}

/* A future of KIND with flat arguments from AP, packed in the pool's scratch space. */
static int pack_future(struct cohort_pool *p, struct coh_pool_kind *kind,
    struct cohort_future **f, va_list ap)
{
	int rc;

	coh_engine_lock();
	coh_buf_drop(&p->scratch, coh_buf_len(&p->scratch));
	rc = coh_codec_pack(kind->task->args, &p->scratch, ap);
	if (rc == 0) {
		*f = coh_future_new(
		    p, kind, coh_buf_peek(&p->scratch), coh_buf_len(&p->scratch));
		rc = *f != NULL ? 0 : -ENOMEM;
	}
	coh_engine_unlock();
	return rc;
}

static int flat_check(const struct coh_format *f, const char *what, const char *task,
    struct cohort_error *err)
{
	if (coh_format_flat(f))
		return 0;
	return coh_fail(err, COHORT_ENOTSUP,
	    "task %s: its %s \"%s\" have arrays and cannot be passed as pointers here", task, what,
	    coh_format_text(f));
}

static int submit(struct cohort_pool *p, struct coh_pool_kind *kind, struct cohort_future **out,
    struct cohort_error *err, va_list ap)
{
	struct cohort_future *f;
	int rc;

	rc = flat_check(kind->task->args, "arguments", kind->name, err);
	if (rc != 0)
		return rc;
	rc = pack_future(p, kind, &f, ap);
	if (rc != 0)
		return coh_fail(err, rc, "task %s: arguments: %s", kind->name,
		    cohort_strerror(rc));
	rc = coh_pool_submit(p, f, err);
	if (rc == 0)
		*out = f;
	return rc;
}

int cohort_pool_submit(struct cohort_pool *p, struct cohort_future **out,
    struct cohort_error *err, const char *task, ...)
{
	struct coh_pool_kind *kind;
	va_list ap;
	int rc;

	*out = NULL;
	rc = coh_pool_kind(p, task, &kind, err);
	if (rc != 0)
		return rc;
	va_start(ap, task);
	rc = submit(p, kind, out, err, ap);
	va_end(ap);
	return rc;
}

int cohort_pool_submit_message(struct cohort_pool *p, struct cohort_future **out,
    struct cohort_error *err, const char *task, struct cohort_message *args)
{
	struct coh_pool_kind *kind;
	struct cohort_future *f;
	const void *image;
	size_t size;
	int rc;

	*out = NULL;
	rc = coh_pool_kind(p, task, &kind, err);
	if (rc != 0)
		return rc;
	if (strcmp(cohort_message_format(args), coh_format_text(kind->task->args)) != 0)
		return coh_fail(err, COHORT_EFORMAT,
		    "task %s takes \"%s\", the message is packed as \"%s\"", task,
		    coh_format_text(kind->task->args), cohort_message_format(args));
	rc = cohort_message_image(args, &image, &size);
	if (rc != 0)
		return coh_fail_code(err, rc);
	f = coh_future_new(p, kind, image, size);
	if (f == NULL)
		return coh_fail(err, -ENOMEM, "no memory for a task");
	rc = coh_pool_submit(p, f, err);
	if (rc == 0)
		*out = f;
	return rc;
}

/* Nothing lent: its values outlive the future they came from. */
static int owned_check(const struct coh_format *f, const char *task, struct cohort_error *err)
{
	if (coh_format_flat(f) && strpbrk(coh_format_text(f), "sB") == NULL)
		return 0;
	return coh_fail(err, COHORT_ENOTSUP,
	    "task %s: its result \"%s\" cannot outlive its future: submit it and keep the future",
	    task, coh_format_text(f));
}

/* Step AP over the pointers to KIND's arguments. */
static void skip_args(const struct coh_pool_kind *kind, va_list *ap)
{
	for (int i = coh_format_parts(kind->task->args, 0); i > 0; i--)
		(void)va_arg(*ap, void *);
}

static int result_values(struct cohort_future *f, cohort_time deadline, struct cohort_error *err,
    va_list ap)
{
	int rc = cohort_future_wait(f, deadline);

	if (rc != 0)
		return coh_fail(err, rc, "task %s: not done by the deadline",
		    f->kind->name);
	rc = cohort_future_error(f, err);
	if (rc == 0)
		coh_codec_unpack(f->kind->task->result, f->result, NULL, ap);
	return rc;
}

int cohort_pool_apply(struct cohort_pool *p, cohort_time deadline, struct cohort_error *err,
    const char *task, ...)
{
	struct coh_pool_kind *kind;
	struct cohort_future *f;
	va_list ap;
	int rc;

	rc = coh_pool_kind(p, task, &kind, err);
	if (rc == 0)
		rc = owned_check(kind->task->result, task, err);
	if (rc != 0)
		return rc;
	va_start(ap, task);
	rc = submit(p, kind, &f, err, ap);
	va_end(ap);
	if (rc != 0)
		return rc;
	va_start(ap, task);
	skip_args(kind, &ap);
	rc = result_values(f, deadline, err, ap);
	va_end(ap);
	cohort_future_free(f);
	return rc;
}

struct map_input {
	const char *at;
	size_t size, left;
};

static int map_next(struct cohort_message *args, void *arg)
{
	struct map_input *in = arg;
	const void *value = in->at;

	if (in->left == 0)
		return COHORT_EOF;
	in->left--;
	in->at += in->size;
	return cohort_message_pack(args, 0, value);
}

/* Take the results in order into OUT; the first error wins. */
static int map_collect(struct cohort_iter *it, const struct cohort_map *map,
    cohort_time deadline, struct cohort_error *err)
{
	char *out = map->out;
	struct cohort_future *f;
	int first = 0, rc;

	while ((rc = cohort_iter_next(it, &f, deadline)) == 1) {
		rc = cohort_future_get(f, COHORT_NOW, first == 0 ? err : NULL, out);
		if (first == 0)
			first = rc;
		out += map->out_size;
		cohort_future_free(f);
	}
	if (rc < 0)
		return coh_fail_code(err, rc);
	return first;
}

int cohort_pool_map(struct cohort_pool *p, const char *task, const struct cohort_map *map,
    cohort_time deadline, struct cohort_error *err)
{
	struct map_input input = {.at = map->in, .size = map->in_size, .left = map->count};
	struct cohort_imap imap = {
	    .input = map_next, .arg = &input, .order = COHORT_ORDERED};
	struct cohort_error own = {0};
	struct coh_pool_kind *kind;
	struct cohort_iter *it;
	int rc;

	err = err != NULL ? err : &own;
	err->code = 0;
	rc = coh_pool_kind(p, task, &kind, err);
	if (rc == 0)
		rc = owned_check(kind->task->result, task, err);
	if (rc != 0)
		return rc;
	if (!coh_format_flat(kind->task->args) || coh_format_parts(kind->task->args, 0) != 1 ||
	    coh_format_parts(kind->task->result, 0) != 1)
		return coh_fail(err, COHORT_ENOTSUP,
		    "task %s takes \"%s\" and gives \"%s\": a map over arrays needs one value each",
		    task, coh_format_text(kind->task->args), coh_format_text(kind->task->result));
	rc = cohort_pool_imap(p, &it, task, &imap, err);
	if (rc != 0)
		return rc;
	rc = map_collect(it, map, deadline, err);
	cohort_iter_free(it);
	return rc;
}
