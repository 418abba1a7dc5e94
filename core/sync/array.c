/* array.c - many values of one type in shared memory: Array, RawArray; of type c also as text. */
#include "base/object.h"
#include "sync/fault.h"
#include "sync/typed.h"

#include <limits.h>
#include <string.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_ARRAY)

struct cohort_array {
	struct coh_typed typed;
};

static struct coh_typed *check(const struct cohort_array *a)
{
	return &COH_SHARED_CAST(struct cohort_array, MAGIC, (void *)(uintptr_t)a)->typed;
}

int cohort_array_open(struct cohort_array **out, const char *address,
    const struct cohort_array_options *options, struct cohort_error *err)
{
	struct coh_typed_options o = {.kind = COH_SEGMENT_ARRAY, .what = "shared array"};

	if (options != NULL) {
		o.open = options->open;
		o.type = options->type;
		o.size = options->size;
		o.count = options->count;
		o.lock = options->lock;
		o.with = options->with;
		o.init = options->init;
	}
	return coh_typed_open(out, sizeof(struct cohort_array), address, &o, err);
}

void cohort_array_close(struct cohort_array *a)
{
	if (coh_shared_open(a))
		coh_typed_close(check(a));
}

void *cohort_array_data(struct cohort_array *a)
{
	return check(a)->at;
}

size_t cohort_array_count(const struct cohort_array *a)
{
	return check(a)->count;
}

size_t cohort_array_size(const struct cohort_array *a)
{
	return check(a)->size;
}

char cohort_array_type(const struct cohort_array *a)
{
	return (char)check(a)->data.shape.type;
}

struct cohort_lock *cohort_array_lock(struct cohort_array *a)
{
	return check(a)->lock;
}

/* ---- elements ---- */

/* A, whose memory is there; NULL: it is not (see gone). */
static struct coh_typed *there(struct cohort_array *a)
{
	return coh_shared_there(&a->typed.data.shared, MAGIC) ? &a->typed : NULL;
}

static int gone(struct cohort_array *a)
{
	return coh_shared_gone(&a->typed.data.shared, MAGIC);
}

static bool within(const struct coh_typed *t, size_t first, size_t count)
{
	return first <= t->count && count <= t->count - first;
}

int cohort_array_get(
    struct cohort_array *a, size_t first, size_t count, void *out, cohort_time deadline)
{
	struct coh_typed *t = there(a);

	if (t == NULL)
		return gone(a);
	return within(t, first, count) ? coh_typed_get(t, first, count, out, deadline)
				       : COHORT_EARGUMENT;
}

int cohort_array_set(
    struct cohort_array *a, size_t first, size_t count, const void *in, cohort_time deadline)
{
	struct coh_typed *t = there(a);

	if (t == NULL)
		return gone(a);
	return within(t, first, count) ? coh_typed_set(t, first, count, in, deadline)
				       : COHORT_EARGUMENT;
}

int cohort_array_add(struct cohort_array *a, size_t at, int64_t delta, int64_t *old)
{
	const struct coh_typed *t = there(a);

	if (t == NULL)
		return gone(a);
	return at < t->count ? coh_typed_add(t->step, t->at + at * t->size, delta, old)
			     : COHORT_EARGUMENT;
}

int cohort_array_exchange(struct cohort_array *a, size_t at, int64_t value, int64_t *old)
{
	const struct coh_typed *t = there(a);

	if (t == NULL)
		return gone(a);
	return at < t->count ? coh_typed_exchange(t->step, t->at + at * t->size, value, old)
			     : COHORT_EARGUMENT;
}

int cohort_array_compare(
    struct cohort_array *a, size_t at, int64_t expected, int64_t value, int64_t *old)
{
	const struct coh_typed *t = there(a);

	if (t == NULL)
		return gone(a);
	return at < t->count
	    ? coh_typed_compare(t->step, t->at + at * t->size, expected, value, old)
	    : COHORT_EARGUMENT;
}

/* ---- text ---- */

int cohort_array_text(struct cohort_array *a, char *out, size_t size, cohort_time deadline)
{
	struct coh_typed *t = there(a);
	size_t length;
	int rc;

	if (t == NULL)
		return gone(a);
	if (t->data.shape.type != 'c')
		return COHORT_ENOTSUP;
	rc = coh_typed_enter(t, deadline);
	if (rc != 0 && rc != COHORT_EOWNERDEAD)
		return rc;
	length = strnlen(t->at, t->count);
	if (length >= size || length > INT_MAX)
		return coh_typed_leave(t, COHORT_ETOOBIG);
	memcpy(out, t->at, length);
	out[length] = '\0';
	return coh_typed_leave(t, rc != 0 ? rc : (int)length);
}

int cohort_array_set_text(struct cohort_array *a, const char *text, cohort_time deadline)
{
	struct coh_typed *t = there(a);
	size_t length = strlen(text);
	int rc;

	if (t == NULL)
		return gone(a);
	if (t->data.shape.type != 'c')
		return COHORT_ENOTSUP;
	if (length > t->count || length > INT_MAX)
		return COHORT_ETOOBIG;
	rc = coh_typed_enter(t, deadline);
	if (rc != 0 && rc != COHORT_EOWNERDEAD)
		return rc;
	COH_FAULT("array.text.held");
	memcpy(t->at, text, length + (length < t->count));
	COH_FAULT("array.text.done");
	return coh_typed_leave(t, rc != 0 ? rc : (int)length);
}
