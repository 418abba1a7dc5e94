/*
 * typed.h - what values and arrays have in common: elements of one type in a segment, with a lock or without.
 */
#ifndef COH_SYNC_TYPED_H
#define COH_SYNC_TYPED_H

#include "sync/data.h"
#include "sync/lock.h"

#include <cohort/data.h>

/* How elements can be changed in one step. */
enum coh_typed_step {
	COH_TYPED_NONE = 0, /* no integer */
	COH_TYPED_I8,
	COH_TYPED_U8,
	COH_TYPED_I16,
	COH_TYPED_U16,
	COH_TYPED_I32,
	COH_TYPED_U32,
	COH_TYPED_I64,
	COH_TYPED_U64,
};

/* A value is an array of one. */
struct coh_typed {
	struct coh_data data;
	enum coh_typed_step step;
	size_t size, count;       /* bytes of an element; elements */
	char *at;                 /* where they are */
	struct cohort_lock *lock; /* NULL: raw */
	struct cohort_lock own;   /* the one inside, if it has that */
};

/* What options say, of a value or an array. */
struct coh_typed_options {
	enum cohort_open open;
	char type;
	size_t size, count;
	enum cohort_data_lock lock;
	struct cohort_lock *with;
	const void *init;
	enum coh_segment_kind kind;
	const char *what;
};

/* Gives *OUT, of HANDLE bytes, which begins with a struct coh_typed.  Ends with coh_typed_close. */
int coh_typed_open(void *out, size_t handle, const char *address, const struct coh_typed_options *o,
    struct cohort_error *err);
void coh_typed_close(struct coh_typed *t);

/* COUNT elements from FIRST on, which are there, to OUT or from IN, as cohort_array_get and set. */
int coh_typed_get(struct coh_typed *t, size_t first, size_t count, void *out, cohort_time deadline);
int coh_typed_set(
    struct coh_typed *t, size_t first, size_t count, const void *in, cohort_time deadline);

/* With the lock, if it has one: 0, COHORT_EOWNERDEAD (held too), or why not. */
int coh_typed_enter(struct coh_typed *t, cohort_time deadline);
/* Let go; gives RC. */
int coh_typed_leave(struct coh_typed *t, int rc);

/* On the element at P, as cohort_value_add and so on. */
int coh_typed_add(enum coh_typed_step step, void *p, int64_t delta, int64_t *old);
int coh_typed_exchange(enum coh_typed_step step, void *p, int64_t value, int64_t *old);
int coh_typed_compare(
    enum coh_typed_step step, void *p, int64_t expected, int64_t value, int64_t *old);
int coh_typed_load(enum coh_typed_step step, const void *p, int64_t *value);

#endif
