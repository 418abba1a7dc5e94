/* value.c - one value in shared memory: Value, RawValue, with steps that nobody sees half done. */
#include "base/object.h"
#include "sync/typed.h"

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_VALUE)

struct cohort_value {
	struct coh_typed typed;
};

static struct coh_typed *check(const struct cohort_value *v)
{
	return &COH_SHARED_CAST(struct cohort_value, MAGIC, (void *)(uintptr_t)v)->typed;
}

int cohort_value_open(struct cohort_value **out, const char *address,
    const struct cohort_value_options *options, struct cohort_error *err)
{
	struct coh_typed_options o = {.kind = COH_SEGMENT_VALUE, .what = "shared value", .count = 1};

	if (options != NULL) {
		o.open = options->open;
		o.type = options->type;
		o.size = options->size;
		o.lock = options->lock;
		o.with = options->with;
		o.init = options->init;
	}
	return coh_typed_open(out, sizeof(struct cohort_value), address, &o, err);
}

void cohort_value_close(struct cohort_value *v)
{
	if (coh_shared_open(v))
		coh_typed_close(check(v));
}

void *cohort_value_data(struct cohort_value *v)
{
	return check(v)->at;
}

size_t cohort_value_size(const struct cohort_value *v)
{
	return check(v)->size;
}

char cohort_value_type(const struct cohort_value *v)
{
	return (char)check(v)->data.shape.type;
}

struct cohort_lock *cohort_value_lock(struct cohort_value *v)
{
	return check(v)->lock;
}

/* What of an operation is done when the memory is not all there. */
static int gone(const struct cohort_value *v)
{
	return coh_shared_gone(&v->typed.data.shared, MAGIC);
}

static bool there(const struct cohort_value *v)
{
	return coh_shared_there(&v->typed.data.shared, MAGIC);
}

int cohort_value_get(struct cohort_value *v, void *out, cohort_time deadline)
{
	return there(v) ? coh_typed_get(&v->typed, 0, 1, out, deadline) : gone(v);
}

int cohort_value_set(struct cohort_value *v, const void *in, cohort_time deadline)
{
	return there(v) ? coh_typed_set(&v->typed, 0, 1, in, deadline) : gone(v);
}

int cohort_value_add(struct cohort_value *v, int64_t delta, int64_t *old)
{
	const struct coh_typed *t = &v->typed;

	return there(v) ? coh_typed_add(t->step, t->at, delta, old) : gone(v);
}

int cohort_value_exchange(struct cohort_value *v, int64_t value, int64_t *old)
{
	const struct coh_typed *t = &v->typed;

	return there(v) ? coh_typed_exchange(t->step, t->at, value, old) : gone(v);
}

int cohort_value_compare(struct cohort_value *v, int64_t expected, int64_t value, int64_t *old)
{
	const struct coh_typed *t = &v->typed;

	return there(v) ? coh_typed_compare(t->step, t->at, expected, value, old) : gone(v);
}

int cohort_value_load(struct cohort_value *v, int64_t *value)
{
	const struct coh_typed *t = &v->typed;

	return there(v) ? coh_typed_load(t->step, t->at, value) : gone(v);
}
