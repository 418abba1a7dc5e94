/*
 * dict_priv.h - how a dictionary lies in memory: a table of chains of entries, all in a heap of its own.
 *
 *	head (data.h) | struct coh_dict_shared | page 1: a heap (heap.h) with the table and the entries
 *
 * Every change is one store to one link (a bucket, an entry's next, the table's own place), and is noted as a step before it
 * is made: link, what it becomes, the count after it, and what is to be freed then.  Once the note counts, the change has
 * happened: whoever finds it after a death makes it (again), which does no harm.
 */
#ifndef COH_SYNC_DICT_PRIV_H
#define COH_SYNC_DICT_PRIV_H

#include "sync/data.h"
#include "sync/heap.h"

#include <cohort/data.h>
#include <stdatomic.h>

/*
 * The table's word: its place, its buckets as a power of two in the upper byte, and which of the two links of an entry belongs to
 * it in the lowest bit.  So the chains of a new table are made beside those of the old one, and one store exchanges them.
 */
#define COH_DICT_PLACE UINT64_C(0x00fffffffffffff0)
#define COH_DICT_BITS_SHIFT 56

struct coh_dict_step {
	_Atomic uint64_t counts; /* 1: from here on it has happened */
	uint64_t where, what; /* the link's offset in the segment, and its value after the step */
	uint64_t count;
	uint64_t doomed; /* to be freed after it, 0: nothing; COH_DICT_ALL: everything */
};
#define COH_DICT_ALL 1

struct coh_dict_shared {
	_Atomic uint64_t table; /* 0: none yet */
	uint64_t count;
	struct coh_dict_step step;
	uint64_t bits;  /* of the first table, a power of two; 0: the usual one */
	uint64_t fresh; /* the block that a step in the making has allocated; 0: none */
};

struct coh_dict_entry {
	_Atomic uint64_t next[2];
	uint64_t order; /* 63 bits, unlike any other's: the hash of the key, but for the lowest 8 */
	uint64_t value_size;
	uint32_t key_size, spare;
	unsigned char bytes[]; /* the value, then the key */
};

/* What of an order is the hash; the rest tells apart keys of the same. */
#define COH_DICT_HASH UINT64_C(0x7fffffffffffff00)

struct cohort_dict {
	struct coh_data data;
	struct coh_heap_view heap;
};

/* The table as it is, for one call.  Held: the lock. */
struct coh_dict_table {
	_Atomic uint64_t *bucket;
	unsigned bits, side;
};

/* Where a key is, or would be. */
struct coh_dict_spot {
	_Atomic uint64_t *link;       /* that leads to it, or ends its chain */
	struct coh_dict_entry *entry; /* NULL: it is not there */
	uint64_t place;               /* the entry's */
	uint64_t order;               /* the entry's, or of a new one */
};

static inline struct coh_dict_shared *coh_dict_shared(const struct cohort_dict *d)
{
	return coh_data_at(&d->data, COH_DATA_BEGIN);
}

/* The first table of one for KEYS (not 0): as coh_dict_shared.bits. */
unsigned coh_dict_bits(uint64_t keys);

/* dict_table.c.  All: 0, or COHORT_ESEGMENT. */

/* The table, made if there is none: also -ENOMEM, -ENOSPC. */
int coh_dict_table(struct cohort_dict *d, struct coh_dict_table *t);
/* KEY in it.  Also -ENOMEM: 256 keys have its hash. */
int coh_dict_find(struct cohort_dict *d, const struct coh_dict_table *t,
    struct cohort_dict_bytes key, struct coh_dict_spot *spot);
/* The entry at PLACE, or NULL if what is there is none. */
struct coh_dict_entry *coh_dict_entry(struct cohort_dict *d, uint64_t place);
/* Larger, if it has become too small; stays as it is if there is no memory for that. */
int coh_dict_grow(struct cohort_dict *d);
/* LINK becomes WHAT, there are COUNT keys, DOOMED is freed. */
int coh_dict_change(
    struct cohort_dict *d, _Atomic uint64_t *link, uint64_t what, uint64_t count, uint64_t doomed);
/* After a death: what counted happens, what did not leaves nothing. */
int coh_dict_mend(struct cohort_dict *d);
/* The entry whose order is the lowest of at least ORDER; *ENTRY is NULL if there is none. */
int coh_dict_from(struct cohort_dict *d, const struct coh_dict_table *t, uint64_t order,
    struct coh_dict_entry **entry);

#endif
