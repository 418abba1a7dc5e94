/*
 * dict_table.c - the inside of a dictionary: chains, growing, and what a dead process left.
 *
 * Buckets go by the upper bits of an entry's order, so that all entries stand in the order of their orders, however large
 * the table is: a walk needs to know no more than the last one it was given.
 */
#include "base/siphash.h"
#include "sync/dict_priv.h"
#include "sync/fault.h"
#include "sync/party.h"

#include <errno.h>
#include <string.h>

#define ORDER_BITS 63
#define FIRST_BITS 3 /* buckets of the first table: 64 bytes */
#define MOST_BITS 39 /* 2^42 bytes: more than a dictionary's memory */
/* Entries of one chain: with as many buckets as keys 20 are next to impossible, and with far too few there may be some more. */
#define CHAIN_MOST 100000

static int entry_size(const struct coh_dict_entry *e, size_t *size)
{
	if (e->value_size > COH_HEAP_MAX || e->key_size == 0 || e->key_size > COHORT_DICT_KEY_MAX)
		return COHORT_ESEGMENT;
	*size = sizeof *e + e->value_size + e->key_size;
	return 0;
}

struct coh_dict_entry *coh_dict_entry(struct cohort_dict *d, uint64_t place)
{
	size_t has = 0, says = 0;
	struct coh_dict_entry *e = coh_heap_at(&d->heap, place, &has);

	if (e == NULL || has < sizeof *e || entry_size(e, &says) != 0 || says != has)
		return NULL;
	return e;
}

/* ---- steps ---- */

static int redo(struct cohort_dict *d)
{
	struct coh_dict_shared *s = coh_dict_shared(d);
	struct coh_dict_step *step = &s->step;
	int rc = 0;

	if (step->where < COH_DATA_BEGIN || step->where > d->data.shared.segment.size - 8 ||
	    step->where % 8 != 0)
		return COHORT_ESEGMENT;
	atomic_store_explicit((_Atomic uint64_t *)coh_data_at(&d->data, step->where), step->what,
	    memory_order_release);
	COH_FAULT("dict.step.link");
	s->count = step->count;
	COH_FAULT("dict.step.count");
	if (step->doomed == COH_DICT_ALL)
		rc = coh_heap_clear(&d->heap);
	else if (step->doomed != 0)
		rc = coh_heap_free(&d->heap, step->doomed);
	COH_FAULT("dict.step.freed");
	s->fresh =
	    0; /* it is linked; and no longer a step in the making before it no longer counts */
	COH_FAULT("dict.step.fresh");
	atomic_store_explicit(&step->counts, 0, memory_order_release);
	COH_FAULT("dict.step.over");
	return rc == COHORT_EARGUMENT ? 0 : rc; /* it was freed before a death */
}

int coh_dict_change(
    struct cohort_dict *d, _Atomic uint64_t *link, uint64_t what, uint64_t count, uint64_t doomed)
{
	struct coh_dict_step *step = &coh_dict_shared(d)->step;

	step->where = (uintptr_t)link - (uintptr_t)d->data.shared.segment.header;
	step->what = what;
	step->count = count;
	COH_FAULT("dict.step.half");
	step->doomed = doomed;
	COH_FAULT("dict.step.noted");
	atomic_store_explicit(&step->counts, 1, memory_order_release);
	COH_FAULT("dict.step.counts");
	return redo(d);
}

int coh_dict_mend(struct cohort_dict *d)
{
	struct coh_dict_shared *s = coh_dict_shared(d);
	int rc;

	COH_FAULT("dict.mend.begin");
	if (atomic_load_explicit(&s->step.counts, memory_order_acquire) != 0)
		return redo(d);
	if (s->fresh == 0)
		return 0;
	rc = coh_heap_free(&d->heap, s->fresh); /* if it came to that: the heap knows */
	COH_FAULT("dict.mend.freed");
	s->fresh = 0;
	return rc == COHORT_EARGUMENT ? 0 : rc;
}

/* ---- the table ---- */

/* The buckets of WORD, a table's. */
static int open_table(struct cohort_dict *d, uint64_t word, struct coh_dict_table *t)
{
	size_t size = 0;

	t->bits = (unsigned)(word >> COH_DICT_BITS_SHIFT);
	t->side = (unsigned)(word & 1);
	t->bucket = coh_heap_at(&d->heap, word & COH_DICT_PLACE, &size);
	return t->bucket == NULL || t->bits > MOST_BITS || size != (size_t)8 << t->bits ? COHORT_ESEGMENT
										  : 0;
}

/* A new one of 2^BITS empty buckets, nobody's yet. */
static int new_table(struct cohort_dict *d, unsigned bits, unsigned side, uint64_t *word)
{
	struct coh_dict_shared *s = coh_dict_shared(d);
	int rc = coh_heap_alloc(&d->heap, (size_t)8 << bits, coh_party_self(), &s->fresh);
	uint64_t place = s->fresh;
	void *buckets;

	COH_FAULT("dict.table.allocated");
	if (rc != 0)
		return rc;
	buckets = coh_heap_at(&d->heap, place, NULL);
	if (buckets == NULL)
		return COHORT_ESEGMENT;
	memset(buckets, 0, (size_t)8 << bits);
	COH_FAULT("dict.table.empty");
	*word = place | (uint64_t)bits << COH_DICT_BITS_SHIFT | side;
	return 0;
}

unsigned coh_dict_bits(uint64_t keys)
{
	unsigned bits = FIRST_BITS;

	while (bits < MOST_BITS && (UINT64_C(1) << bits) < keys)
		bits++;
	return bits;
}

int coh_dict_table(struct cohort_dict *d, struct coh_dict_table *t)
{
	struct coh_dict_shared *s = coh_dict_shared(d);
	uint64_t word = atomic_load_explicit(&s->table, memory_order_acquire), bits = s->bits;
	int rc = 0;

	if (word == 0) {
		rc = bits > MOST_BITS ? COHORT_ESEGMENT
				      : new_table(d, bits != 0 ? (unsigned)bits : FIRST_BITS, 0, &word);
		if (rc == 0)
			rc = coh_dict_change(d, &s->table, word, 0, 0);
	}
	return rc != 0 ? rc : open_table(d, word, t);
}

static _Atomic uint64_t *bucket_of(const struct coh_dict_table *t, uint64_t order)
{
	return &t->bucket[(order & (COH_DICT_HASH | 0xff)) >> (ORDER_BITS - t->bits)];
}

static bool is_key(const struct coh_dict_entry *e, struct cohort_dict_bytes key)
{
	return e->key_size == key.size && memcmp(e->bytes + e->value_size, key.data, key.size) == 0;
}

int coh_dict_find(struct cohort_dict *d, const struct coh_dict_table *t,
    struct cohort_dict_bytes key, struct coh_dict_spot *spot)
{
	uint64_t hash = coh_siphash(d->data.shared.segment.id, key.data, key.size) & COH_DICT_HASH;
	unsigned n = 0;

	*spot = (struct coh_dict_spot){.link = bucket_of(t, hash), .order = hash};
	while ((spot->place = atomic_load_explicit(spot->link, memory_order_relaxed)) != 0) {
		struct coh_dict_entry *e = coh_dict_entry(d, spot->place);

		if (e == NULL || n++ > CHAIN_MOST)
			return COHORT_ESEGMENT;
		if ((e->order & COH_DICT_HASH) == hash) {
			if (is_key(e, key)) {
				spot->entry = e;
				spot->order = e->order;
				return 0;
			}
			spot->order = e->order >= spot->order ? e->order + 1 : spot->order;
		}
		spot->link = &e->next[t->side];
	}
	return (spot->order & COH_DICT_HASH) == hash ? 0 : -ENOMEM;
}

int coh_dict_from(struct cohort_dict *d, const struct coh_dict_table *t, uint64_t order,
    struct coh_dict_entry **entry)
{
	_Atomic uint64_t *end = t->bucket + ((size_t)1 << t->bits);

	*entry = NULL;
	if (order >> ORDER_BITS != 0)
		return 0;
	for (_Atomic uint64_t *b = bucket_of(t, order); b < end && *entry == NULL; b++) {
		uint64_t place = atomic_load_explicit(b, memory_order_relaxed);

		for (unsigned n = 0; place != 0; n++) {
			struct coh_dict_entry *e = coh_dict_entry(d, place);

			if (e == NULL || n > CHAIN_MOST)
				return COHORT_ESEGMENT;
			if (e->order >= order && (*entry == NULL || e->order < (*entry)->order))
				*entry = e;
			place = atomic_load_explicit(&e->next[t->side], memory_order_relaxed);
		}
	}
	return 0;
}

/* ---- growing ---- */

/* Put the chain that begins at PLACE into table NEW, by the other link of each entry. */
static int copy_chain(
    struct cohort_dict *d, uint64_t place, unsigned side, const struct coh_dict_table *new)
{
	for (unsigned n = 0; place != 0; n++) {
		struct coh_dict_entry *e = coh_dict_entry(d, place);
		_Atomic uint64_t *bucket;

		if (e == NULL || n > CHAIN_MOST)
			return COHORT_ESEGMENT;
		bucket = bucket_of(new, e->order);
		atomic_store_explicit(&e->next[1 - side],
		    atomic_load_explicit(bucket, memory_order_relaxed), memory_order_relaxed);
		COH_FAULT("dict.grow.linked");
		atomic_store_explicit(bucket, place, memory_order_relaxed);
		place = atomic_load_explicit(&e->next[side], memory_order_relaxed);
	}
	return 0;
}

/* Table OLD, whose word is WORD, in a new one of twice its size. */
static int double_table(struct cohort_dict *d, const struct coh_dict_table *old, uint64_t word)
{
	struct coh_dict_shared *s = coh_dict_shared(d);
	struct coh_dict_table new;
	uint64_t larger;
	int rc = new_table(d, old->bits + 1, 1 - old->side, &larger);

	if (rc != 0)
		return rc == COHORT_ESEGMENT ? rc : 0; /* longer chains are better than none */
	rc = open_table(d, larger, &new);
	for (size_t i = 0; rc == 0 && i < (size_t)1 << old->bits; i++)
		rc = copy_chain(d, atomic_load_explicit(&old->bucket[i], memory_order_relaxed),
		    old->side, &new);
	COH_FAULT("dict.grow.copied");
	return rc != 0 ? rc
		       : coh_dict_change(d, &s->table, larger, s->count, word & COH_DICT_PLACE);
}

int coh_dict_grow(struct cohort_dict *d)
{
	struct coh_dict_shared *s = coh_dict_shared(d);
	uint64_t word = atomic_load_explicit(&s->table, memory_order_acquire);
	struct coh_dict_table t;

	if (open_table(d, word, &t) != 0)
		return COHORT_ESEGMENT;
	return s->count >> t.bits <= 1 ? 0 : double_table(d, &t, word);
}
