/*
 * dict.c - a dictionary that processes share: keys to bytes.
 */
#include "base/err.h"
#include "base/object.h"
#include "sync/dict_priv.h"
#include "sync/fault.h"
#include "sync/party.h"

#include <errno.h>
#include <string.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_MAP)
#define MEMORY_LEAST ((size_t)64 << 10)
#define MEMORY_USUAL                                                                               \
	((size_t)64                                                                                \
	    << 20) /* some 500,000 short keys and values; only address space until it is used */
#define KEY_LEAST 64u /* bytes: head, key, and a bucket */
#define REGION COH_HEAP_PAGE
_Static_assert(
    COH_DATA_BEGIN + sizeof(struct coh_dict_shared) <= REGION, "the head fits in the first page");

/* ---- opening ---- */

static int make(struct coh_data *d, const void *options, struct cohort_error *err)
{
	struct cohort_dict *dict = (struct cohort_dict *)d;
	const struct cohort_dict_options *o = options;
	struct coh_segment *s = &d->shared.segment;
	struct coh_dict_table t;
	int rc = coh_heap_init(&dict->heap, s->header, s->fd, REGION, d->shape.size);

	if (rc == 0 && o != NULL && o->keys != 0) {
		coh_dict_shared(dict)->bits = coh_dict_bits(o->keys);
		rc = coh_dict_table(dict, &t);
	}
	return rc != 0 ? coh_fail_errno(err, -rc, "make a dictionary: its first pages") : 0;
}

static int see(struct coh_data *d, const void *options, struct cohort_error *err)
{
	struct cohort_dict *dict = (struct cohort_dict *)d;
	const struct cohort_dict_options *o = options;
	struct coh_segment *s = &d->shared.segment;
	uint64_t size = d->shape.size;

	if (size < MEMORY_LEAST || size > COH_HEAP_MAX || s->size < REGION ||
	    coh_heap_region(size) > s->size - REGION ||
	    coh_heap_attach(&dict->heap, s->header, s->fd, REGION, size) != 0)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open a dictionary: it says it may take %llu bytes, but its memory of %zu is "
		    "not made so",
		    (unsigned long long)size, s->size);
	return coh_data_agree(d, "memory", size, o != NULL ? o->memory : 0, err);
}

int cohort_dict_open(struct cohort_dict **out, const char *address,
    const struct cohort_dict_options *options, struct cohort_error *err)
{
	uint64_t memory = options != NULL && options->memory != 0 ? options->memory : MEMORY_USUAL;
	struct coh_data_plan plan = {
	    .spec = {.kind = COH_SEGMENT_MAP, .size = REGION, .what = "dictionary"},
	    .handle = sizeof(struct cohort_dict),
	    .shape = {.size = memory},
	    .make = make,
	    .see = see,
	};

	if (memory < MEMORY_LEAST || memory > COH_HEAP_MAX)
		return coh_fail(err, COHORT_EARGUMENT,
		    "open a dictionary: its memory is %llu bytes, allowed are 65536 to 2^40 (0: 64 "
		    "MiB)",
		    (unsigned long long)memory);
	if (options != NULL && options->keys > memory / KEY_LEAST)
		return coh_fail(err, COHORT_EARGUMENT,
		    "open a dictionary: %zu keys are expected in %llu bytes of memory, allowed are up to %llu, "
		    "for each takes %u at least: more memory, or fewer keys",
		    options->keys, (unsigned long long)memory, (unsigned long long)(memory / KEY_LEAST), KEY_LEAST);
	plan.spec.tail = coh_heap_region(memory);
	return coh_data_open(out, &plan, address,
	    options != NULL ? options->open : COHORT_OPEN_EITHER, options, err);
}

static struct cohort_dict *check(struct cohort_dict *d)
{
	return COH_SHARED_CAST(struct cohort_dict, MAGIC, d);
}

void cohort_dict_close(struct cohort_dict *d)
{
	if (coh_shared_open(d))
		coh_data_close(&check(d)->data);
}

/* ---- what all calls do ---- */

static int leave(struct cohort_dict *d, int rc)
{
	coh_mutex_unlock(&coh_data_head(&d->data)->mutex);
	return rc;
}

static int enter(struct cohort_dict *d)
{
	int rc = coh_data_check(&d->data, MAGIC);

	if (rc != 0)
		return rc;
	rc = coh_mutex_lock(&coh_data_head(&d->data)->mutex, COHORT_FOREVER);
	if (rc != COHORT_EOWNERDEAD)
		return rc;
	rc = coh_dict_mend(d);
	return rc != 0 ? leave(d, rc) : 0;
}

static bool is_key(struct cohort_dict_bytes key)
{
	return key.data != NULL && key.size >= 1 && key.size <= COHORT_DICT_KEY_MAX;
}

static bool is_value(struct cohort_dict_bytes value)
{
	return value.data != NULL || value.size == 0;
}

/* Take the lock and find KEY: held on 0 alone. */
static int enter_at(struct cohort_dict *d, struct cohort_dict_bytes key, struct coh_dict_table *t,
    struct coh_dict_spot *spot)
{
	int rc;

	if (!is_key(key))
		return COHORT_EARGUMENT;
	rc = enter(d);
	if (rc != 0)
		return rc;
	rc = coh_dict_table(d, t);
	if (rc == 0)
		rc = coh_dict_find(d, t, key, spot);
	return rc != 0 ? leave(d, rc) : 0;
}

/* The same to read: a key nobody could add is absent, and so is everything where there is no table. */
static int enter_to_read(struct cohort_dict *d, struct cohort_dict_bytes key,
    struct coh_dict_table *t, struct coh_dict_spot *spot)
{
	int rc = enter_at(d, key, t, spot);

	if (rc == -ENOMEM || rc == -ENOSPC)
		return -ENOENT;
	if (rc == 0 && spot->entry == NULL)
		return leave(d, -ENOENT);
	return rc;
}

static bool is_word(const struct coh_dict_entry *e)
{
	return e->value_size == sizeof(uint64_t);
}

/* Eight bytes are exchanged where they are, in one step. */
static _Atomic uint64_t *word_of(struct coh_dict_entry *e)
{
	return (_Atomic uint64_t *)(void *)e->bytes;
}

/* An entry in place of the one in SPOT, or new there.  Held: the lock. */
static int put(struct cohort_dict *d, const struct coh_dict_table *t,
    const struct coh_dict_spot *spot, struct cohort_dict_bytes key, struct cohort_dict_bytes value)
{
	struct coh_dict_shared *s = coh_dict_shared(d);
	struct coh_dict_entry *e, *old = spot->entry;
	uint64_t word, place, count = s->count + (old == NULL);
	int rc;

	if (old != NULL && is_word(old) && value.size == sizeof word) {
		memcpy(&word, value.data, sizeof word);
		atomic_store_explicit(word_of(old), word, memory_order_release);
		COH_FAULT("dict.put.word");
		return 0;
	}
	if (value.size > COH_HEAP_MAX)
		return -ENOMEM;
	rc = coh_heap_alloc(
	    &d->heap, sizeof *e + value.size + key.size, coh_party_self(), &s->fresh);
	COH_FAULT("dict.put.allocated");
	if (rc != 0)
		return rc;
	place = s->fresh;
	e = coh_heap_at(&d->heap, place, NULL);
	if (e == NULL)
		return COHORT_ESEGMENT;
	e->order = spot->order;
	e->value_size = value.size;
	e->key_size = (uint32_t)key.size;
	e->spare = 0;
	COH_FAULT("dict.put.head");
	atomic_store_explicit(&e->next[t->side],
	    old != NULL ? atomic_load_explicit(&old->next[t->side], memory_order_relaxed) : 0,
	    memory_order_relaxed);
	if (value.size != 0)
		memcpy(e->bytes, value.data, value.size);
	memcpy(e->bytes + value.size, key.data, key.size);
	COH_FAULT("dict.put.written");
	rc = coh_dict_change(d, spot->link, place, count, spot->place);
	return rc != 0 ? rc : coh_dict_grow(d);
}

static int copy_value(const struct coh_dict_entry *e, void *buffer, size_t size, size_t *got)
{
	if (got != NULL)
		*got = e->value_size;
	if (e->value_size > size || (buffer == NULL && e->value_size != 0))
		return COHORT_ETOOBIG;
	if (e->value_size != 0)
		memcpy(buffer, e->bytes, e->value_size);
	return 0;
}

/* ---- calls ---- */

int cohort_dict_set(
    struct cohort_dict *d, struct cohort_dict_bytes key, struct cohort_dict_bytes value)
{
	struct coh_dict_table t;
	struct coh_dict_spot spot;
	int rc = is_value(value) ? enter_at(d, key, &t, &spot) : COHORT_EARGUMENT;

	return rc != 0 ? rc : leave(d, put(d, &t, &spot, key, value));
}

int cohort_dict_add(
    struct cohort_dict *d, struct cohort_dict_bytes key, struct cohort_dict_bytes value)
{
	struct coh_dict_table t;
	struct coh_dict_spot spot;
	int rc = is_value(value) ? enter_at(d, key, &t, &spot) : COHORT_EARGUMENT;

	if (rc != 0)
		return rc;
	if (spot.entry != NULL)
		return leave(d, 0);
	rc = put(d, &t, &spot, key, value);
	return leave(d, rc != 0 ? rc : 1);
}

int cohort_dict_get(
    struct cohort_dict *d, struct cohort_dict_bytes key, void *buffer, size_t size, size_t *got)
{
	struct coh_dict_table t;
	struct coh_dict_spot spot;
	int rc = enter_to_read(d, key, &t, &spot);

	return rc != 0 ? rc : leave(d, copy_value(spot.entry, buffer, size, got));
}

int cohort_dict_remove(
    struct cohort_dict *d, struct cohort_dict_bytes key, void *buffer, size_t size, size_t *got)
{
	struct coh_dict_table t;
	struct coh_dict_spot spot;
	int rc = enter_to_read(d, key, &t, &spot);

	if (rc != 0)
		return rc;
	rc = buffer != NULL ? copy_value(spot.entry, buffer, size, got) : 0;
	if (rc == 0)
		rc = coh_dict_change(d, spot.link,
		    atomic_load_explicit(&spot.entry->next[t.side], memory_order_relaxed),
		    coh_dict_shared(d)->count - 1, spot.place);
	return leave(d, rc);
}

static bool is_expected(const struct coh_dict_entry *e, struct cohort_dict_bytes expected)
{
	if (e == NULL || expected.data == NULL)
		return e == NULL && expected.data == NULL;
	return e->value_size == expected.size &&
	    memcmp(e->bytes, expected.data, expected.size) == 0;
}

int cohort_dict_compare(struct cohort_dict *d, struct cohort_dict_bytes key,
    struct cohort_dict_bytes expected, struct cohort_dict_bytes value)
{
	struct coh_dict_table t;
	struct coh_dict_spot spot;
	int rc =
	    is_value(value) && is_value(expected) ? enter_at(d, key, &t, &spot) : COHORT_EARGUMENT;

	if (rc != 0)
		return rc;
	if (!is_expected(spot.entry, expected))
		return leave(d, 0);
	rc = put(d, &t, &spot, key, value);
	return leave(d, rc != 0 ? rc : 1);
}

int cohort_dict_incr(
    struct cohort_dict *d, struct cohort_dict_bytes key, int64_t delta, int64_t *now)
{
	struct coh_dict_table t;
	struct coh_dict_spot spot;
	int64_t sum = 0;
	int rc = enter_at(d, key, &t, &spot);

	if (rc != 0)
		return rc;
	if (spot.entry != NULL && !is_word(spot.entry))
		return leave(d, COHORT_EFORMAT);
	if (spot.entry != NULL)
		sum = (int64_t)atomic_load_explicit(word_of(spot.entry), memory_order_relaxed);
	if (__builtin_add_overflow(sum, delta, &sum))
		return leave(d, -EOVERFLOW);
	rc = put(d, &t, &spot, key, (struct cohort_dict_bytes){&sum, sizeof sum});
	if (rc == 0 && now != NULL)
		*now = sum;
	return leave(d, rc);
}

size_t cohort_dict_count(struct cohort_dict *d)
{
	size_t count;

	if (enter(d) != 0)
		return 0;
	count = coh_dict_shared(d)->count;
	(void)leave(d, 0);
	return count;
}

int cohort_dict_clear(struct cohort_dict *d)
{
	int rc = enter(d);

	return rc != 0
	    ? rc
	    : leave(d, coh_dict_change(d, &coh_dict_shared(d)->table, 0, 0, COH_DICT_ALL));
}

int cohort_dict_next(
    struct cohort_dict *d, uint64_t *cursor, void *buffer, size_t size, size_t *got)
{
	struct coh_dict_entry *e = NULL;
	struct coh_dict_table t;
	int rc = enter(d);

	if (rc != 0)
		return rc;
	rc = coh_dict_shared(d)->count == 0 ? 0 : coh_dict_table(d, &t);
	if (rc == 0 && coh_dict_shared(d)->count != 0)
		rc = coh_dict_from(d, &t, *cursor, &e);
	if (rc != 0 || e == NULL)
		return leave(d, rc);
	*got = e->key_size;
	if (e->key_size > size)
		return leave(d, COHORT_ETOOBIG);
	memcpy(buffer, e->bytes + e->value_size, e->key_size);
	*cursor = e->order + 1;
	return leave(d, 1);
}
