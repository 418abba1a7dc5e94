/*
 * typed.c - elements of one of Python's type codes, or structs, in a segment, with a lock or without.
 */
#include "sync/typed.h"

#include "base/err.h"
#include "base/object.h"
#include "sync/fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <wchar.h>

#define STRUCT_MOST ((size_t)1 << 30)
#define BYTES_MOST ((uint64_t)1 << 40)

/* Whose lock guards it: in the shape. */
enum guard { GUARD_OWN = 1, GUARD_NONE, GUARD_WITH };

_Static_assert(
    sizeof(struct coh_lock_cell) <= COH_DATA_LOCK, "a lock's cell has room in front of the shape");

static const struct type {
	char code;
	unsigned char size;
	enum coh_typed_step step;
} types[] = {
    {'c', sizeof(char), COH_TYPED_NONE},
    {'u', sizeof(wchar_t), COH_TYPED_NONE},
    {'b', sizeof(int8_t), COH_TYPED_I8},
    {'B', sizeof(uint8_t), COH_TYPED_U8},
    {'h', sizeof(int16_t), COH_TYPED_I16},
    {'H', sizeof(uint16_t), COH_TYPED_U16},
    {'i', sizeof(int32_t), COH_TYPED_I32},
    {'I', sizeof(uint32_t), COH_TYPED_U32},
    {'l', sizeof(long), sizeof(long) == 8 ? COH_TYPED_I64 : COH_TYPED_I32},
    {'L', sizeof(long), sizeof(long) == 8 ? COH_TYPED_U64 : COH_TYPED_U32},
    {'q', sizeof(int64_t), COH_TYPED_I64},
    {'Q', sizeof(uint64_t), COH_TYPED_U64},
    {'f', sizeof(float), COH_TYPED_NONE},
    {'d', sizeof(double), COH_TYPED_NONE},
};

static const struct type *type_of(char code)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (types[i].code == code)
			return &types[i];
	return NULL;
}

/* ---- opening ---- */

/* The size of an element of O, 0 for one that is not said; or -1 with a sentence. */
static int64_t size_of(const struct coh_typed_options *o, struct cohort_error *err)
{
	const struct type *t = type_of(o->type);

	if (o->type == 0 && o->size <= STRUCT_MOST)
		return (int64_t)o->size;
	if (o->type == 0)
		return coh_fail(err, COHORT_EARGUMENT,
			   "open the %s: a struct of %zu bytes, allowed are 1 to 2^30", o->what,
			   o->size),
		       -1;
	if (t == NULL)
		return coh_fail(err, COHORT_EARGUMENT,
			   "open the %s: its type is 0x%02x, allowed are c u b B h H i I l L q Q f "
		           "d, and 0 for a struct",
			   o->what, (unsigned char)o->type),
		       -1;
	if (o->size != 0 && o->size != t->size)
		return coh_fail(err, COHORT_EARGUMENT,
			   "open the %s: type %c of %zu bytes, it has %u (0: as it is)", o->what,
			   o->type, o->size, t->size),
		       -1;
	return t->size;
}

static int check_options(const struct coh_typed_options *o, int64_t size, struct cohort_error *err)
{
	if (o->count > BYTES_MOST / (size > 0 ? (uint64_t)size : 1))
		return coh_fail(err, COHORT_EARGUMENT,
		    "open the %s: %zu elements of %lld bytes, allowed are 2^40 bytes in all", o->what,
		    o->count, (long long)size);
	if (o->lock != COHORT_DATA_LOCKED && o->lock != COHORT_DATA_RAW)
		return coh_fail(err, COHORT_EARGUMENT,
		    "open the %s: its lock is %d, allowed are 0 (locked), 1 (raw)", o->what,
		    (int)o->lock);
	if (o->lock == COHORT_DATA_RAW && o->with != NULL)
		return coh_fail(
		    err, COHORT_EARGUMENT, "open the %s: raw, and with a lock: one of them", o->what);
	return 0;
}

static int make(struct coh_data *d, const void *options, struct cohort_error *err)
{
	const struct coh_typed_options *o = options;

	(void)err;
	((struct coh_lock_cell *)(void *)coh_data_head(d))->recursive = 1;
	if (o->init != NULL)
		memcpy(coh_data_at(d, COH_DATA_BEGIN), o->init, d->shape.size * d->shape.count);
	return 0;
}

/* The lock that guards it, of this handle. */
static int see_lock(
    struct coh_typed *t, const struct coh_typed_options *o, struct cohort_error *err)
{
	const struct coh_data_shape *s = &t->data.shape;

	if (o->lock == COHORT_DATA_RAW && s->lock != GUARD_NONE)
		return coh_fail(err, COHORT_EARGUMENT,
		    "open the %s: it has a lock, wanted was a raw one", o->what);
	if ((s->lock == GUARD_WITH) != (o->with != NULL) ||
	    (o->with != NULL && memcmp(s->with, coh_lock_id_of(o->with), sizeof s->with) != 0))
		return coh_fail(err, COHORT_EARGUMENT,
		    s->lock == GUARD_WITH
			? "open the %s: it was made with a lock: open it with the same one"
			: "open the %s: it was made without the lock that is given",
		    o->what);
	if (s->lock == GUARD_WITH)
		t->lock = o->with;
	if (s->lock != GUARD_OWN)
		return 0;
	/* its cell is where a lock's is, behind the header */
	t->own.shared.magic = COH_SHARED_MAGIC(COH_SEGMENT_LOCK);
	t->own.shared.segment = t->data.shared.segment;
	t->own.shared.segment.mark--; /* the one for this lock stands before that of the whole */
	t->lock = &t->own;
	return 0;
}

static int see(struct coh_data *d, const void *options, struct cohort_error *err)
{
	const struct coh_typed_options *o = options;
	struct coh_typed *t = (struct coh_typed *)d;
	const struct coh_data_shape *s = &d->shape;
	const struct type *type = s->type <= 127 ? type_of((char)s->type) : NULL;

	if ((s->type != 0 && type == NULL) || s->size == 0 || s->size > STRUCT_MOST ||
	    (type != NULL && s->size != type->size) || s->count == 0 ||
	    s->count > (d->shared.segment.size - COH_DATA_BEGIN) / s->size || s->lock < GUARD_OWN ||
	    s->lock > GUARD_WITH)
		return coh_fail(
		    err, COHORT_ESEGMENT, "open the %s: what it says of itself cannot be", o->what);
	if ((o->type != 0 && (uint64_t)(unsigned char)o->type != s->type) ||
	    (o->type == 0 && o->size != 0 && (s->type != 0 || s->size != o->size)))
		return coh_fail(err, COHORT_EARGUMENT,
		    "open the %s: its type is %c, of %llu bytes, wanted was %c, of %zu (0: a struct)",
		    o->what, s->type != 0 ? (char)s->type : '0', (unsigned long long)s->size,
		    o->type != 0 ? o->type : '0', o->size);
	t->step = type != NULL ? type->step : COH_TYPED_NONE;
	t->size = s->size;
	t->count = s->count;
	t->at = coh_data_at(d, COH_DATA_BEGIN);
	if (coh_data_agree(d, "count", s->count, o->count, err) != 0)
		return COHORT_EARGUMENT;
	return see_lock(t, o, err);
}

int coh_typed_open(void *out, size_t handle, const char *address, const struct coh_typed_options *o,
    struct cohort_error *err)
{
	int64_t size = size_of(o, err);
	struct coh_data_plan plan = {
	    .spec = {.kind = o->kind, .what = o->what},
	    .handle = handle,
	    .shape = {.type = (unsigned char)o->type, .size = (uint64_t)size, .count = o->count},
	    .lacks = size == 0  ? "its type and its size are both 0"
		: o->count == 0 ? "it has 0 elements"
				: NULL,
	    .make = make,
	    .see = see,
	};

	if (size < 0 || check_options(o, size, err) != 0)
		return COHORT_EARGUMENT;
	if (o->with != NULL && !coh_shared_open(o->with))
		return coh_fail(err, COHORT_ECLOSED, "open the %s: the lock that is given was closed", o->what);
	plan.spec.size = COH_DATA_BEGIN + (uint64_t)size * o->count;
	plan.shape.lock = o->with != NULL ? GUARD_WITH
	    : o->lock == COHORT_DATA_RAW  ? GUARD_NONE
					  : GUARD_OWN;
	if (o->with != NULL)
		memcpy(plan.shape.with, coh_lock_id_of(o->with), sizeof plan.shape.with);
	return coh_data_open(out, &plan, address, o->open, o, err);
}

void coh_typed_close(struct coh_typed *t)
{
	struct coh_mutex *own = &coh_data_head(&t->data)->mutex;

	if (t->lock == &t->own) {
		if (coh_mutex_mine(own))
			coh_mutex_abandon(own);
		coh_shared_mark_closed(&t->own.shared);
	}
	t->at = NULL;
	t->lock = NULL;
	t->size = t->count = 0;
	coh_data_close(&t->data);
}

/* ---- copies ---- */

int coh_typed_enter(struct coh_typed *t, cohort_time deadline)
{
	return t->lock != NULL ? cohort_lock_acquire(t->lock, deadline) : 0;
}

int coh_typed_leave(struct coh_typed *t, int rc)
{
	if (t->lock != NULL)
		(void)cohort_lock_release(t->lock); /* it is ours */
	return rc;
}

/* Without a lock: elements of 2, 4 or 8 bytes are never seen half written.  A single byte cannot be. */
static void load_raw(const struct coh_typed *t, const char *from, char *out, size_t count)
{
#define LOAD_RAW(T)                                                                                \
	for (size_t i = 0; i < count; i++) {                                                       \
		T one = atomic_load((const _Atomic T *)(const void *)(from + i * sizeof(T)));      \
		memcpy(out + i * sizeof(T), &one, sizeof(T));                                      \
	}                                                                                          \
	return
	switch (t->size) {
	case 2:
		LOAD_RAW(uint16_t);
	case 4:
		LOAD_RAW(uint32_t);
	case 8:
		LOAD_RAW(uint64_t);
	default:
		memcpy(out, from, count * t->size);
	}
#undef LOAD_RAW
}

static void store_raw(const struct coh_typed *t, char *to, const char *in, size_t count)
{
#define STORE_RAW(T)                                                                               \
	for (size_t i = 0; i < count; i++) {                                                       \
		T one;                                                                             \
		memcpy(&one, in + i * sizeof(T), sizeof(T));                                       \
		atomic_store((_Atomic T *)(void *)(to + i * sizeof(T)), one);                      \
		COH_FAULT("typed.set.one");                                                        \
	}                                                                                          \
	return
	switch (t->size) {
	case 2:
		STORE_RAW(uint16_t);
	case 4:
		STORE_RAW(uint32_t);
	case 8:
		STORE_RAW(uint64_t);
	default:
		memcpy(to, in, count * t->size);
	}
#undef STORE_RAW
}

int coh_typed_get(struct coh_typed *t, size_t first, size_t count, void *out, cohort_time deadline)
{
	const char *from = t->at + first * t->size;
	int rc;

	if (count == 0)
		return 0;
	if (t->lock == NULL) {
		load_raw(t, from, out, count);
		return 0;
	}
	rc = coh_typed_enter(t, deadline);
	if (rc != 0 && rc != COHORT_EOWNERDEAD)
		return rc;
	memcpy(out, from, count * t->size);
	return coh_typed_leave(t, rc);
}

int coh_typed_set(
    struct coh_typed *t, size_t first, size_t count, const void *in, cohort_time deadline)
{
	char *to = t->at + first * t->size;
	int rc;

	if (count == 0)
		return 0;
	if (t->lock == NULL) {
		store_raw(t, to, in, count);
		return 0;
	}
	rc = coh_typed_enter(t, deadline);
	if (rc != 0 && rc != COHORT_EOWNERDEAD)
		return rc;
	COH_FAULT("typed.set.held");
	memcpy(to, in, count * t->size);
	COH_FAULT("typed.set.done");
	return coh_typed_leave(t, rc);
}

/* ---- steps on integers ---- */

/* DO(TYPE) for the type of STEP, all of them one instruction or a few. */
#define BY_STEP(step, DO)                                                                          \
	switch (step) {                                                                            \
	case COH_TYPED_I8:                                                                         \
		DO(int8_t);                                                                        \
	case COH_TYPED_U8:                                                                         \
		DO(uint8_t);                                                                       \
	case COH_TYPED_I16:                                                                        \
		DO(int16_t);                                                                       \
	case COH_TYPED_U16:                                                                        \
		DO(uint16_t);                                                                      \
	case COH_TYPED_I32:                                                                        \
		DO(int32_t);                                                                       \
	case COH_TYPED_U32:                                                                        \
		DO(uint32_t);                                                                      \
	case COH_TYPED_I64:                                                                        \
		DO(int64_t);                                                                       \
	case COH_TYPED_U64:                                                                        \
		DO(uint64_t);                                                                      \
	default:                                                                                   \
		return COHORT_ENOTSUP;                                                             \
	}

int coh_typed_add(enum coh_typed_step step, void *p, int64_t delta, int64_t *old)
{
	int64_t dummy;

	if (old == NULL)
		old = &dummy;
#define ADD(T)                                                                                     \
	*old = (int64_t)atomic_fetch_add((_Atomic T *)p, (T)delta);                                \
	return 0
	BY_STEP(step, ADD)
#undef ADD
}

int coh_typed_exchange(enum coh_typed_step step, void *p, int64_t value, int64_t *old)
{
	int64_t dummy;

	if (old == NULL)
		old = &dummy;
#define EXCHANGE(T)                                                                                \
	*old = (int64_t)atomic_exchange((_Atomic T *)p, (T)value);                                 \
	return 0
	BY_STEP(step, EXCHANGE)
#undef EXCHANGE
}

int coh_typed_compare(
    enum coh_typed_step step, void *p, int64_t expected, int64_t value, int64_t *old)
{
	int64_t dummy;

	if (old == NULL)
		old = &dummy;
		/* an EXPECTED that the type cannot hold is never there, and not what is left of it when it is cut */
#define COMPARE(T)                                                                                 \
	{                                                                                          \
		T was = (T)expected;                                                               \
		int done;                                                                          \
		if ((int64_t)was != expected) {                                                    \
			*old = (int64_t)atomic_load((_Atomic T *)p);                               \
			return 0;                                                                  \
		}                                                                                  \
		done = atomic_compare_exchange_strong((_Atomic T *)p, &was, (T)value);             \
		*old = (int64_t)was;                                                               \
		return done;                                                                       \
	}
	BY_STEP(step, COMPARE)
#undef COMPARE
}

int coh_typed_load(enum coh_typed_step step, const void *p, int64_t *value)
{
#define LOAD(T)                                                                                    \
	*value = (int64_t)atomic_load((const _Atomic T *)p);                                       \
	return 0
	BY_STEP(step, LOAD)
#undef LOAD
}
