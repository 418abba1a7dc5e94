/*
 * ring.h - the queue in shared memory: many who put, many who get, each of whom may be killed at any instruction.
 *
 * A lane for each priority is a ring of bytes in which records follow one another: 8 bytes of head,
 * then the item, or, when that is over `inlined` bytes, the place of a block of the heap (heap.h) that
 * holds it.  One lock is for those who put, one for those who get, each on cache lines of its own,
 * together with what it last saw of the other side; so with one of each nothing is contended, and neither
 * looks at the other's lines before its own copy says that the ring is full, or empty.
 *
 * A lane's `tail` is one 64-bit word, how many records were put in all and where the next begins; `head`
 * likewise how many were got.  A put is the store of a tail, a get that of a head: before it nothing has happened, after it
 * everything.  All other words follow from these and are mended by whoever next takes the lock of one who died.
 * Their difference is the number of items, exact at any instant.
 *
 * What is lent (take) is in a *hand*: a row that says whose it is and where, with room for an item that lay in the
 * ring itself.  The hand is filled, then the head is stored: one who is killed between leaves it in both, and the
 * hand is dropped, since the head is still where it was.  What comes back waits in its hand, before its lane.
 *
 * Who uses a ring has a *seat* in it, which counts what was got through it and is not done, and marks what was put
 * through it.  A handle has one; a server takes one for each of its clients, so that each leaves as if it were a process.
 *
 * Everything that is read in shared memory meets a bound first: COHORT_ESEGMENT, never a crash.
 * Deadlines as in queue.h; COHORT_NOW never waits (but for another's operation, which is short).
 * Any thread; codes only, the sentences are made above.
 */
#ifndef COH_SYNC_RING_H
#define COH_SYNC_RING_H

#include "sync/heap.h"
#include "sync/want.h"

#include <cohort/time.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define COH_RING_LANES 16          /* priorities at most */
#define COH_RING_MOST (1u << 24)   /* items at most: fewer than the counts of a head or tail can tell apart */
#define COH_RING_INLINED_MAX 65536 /* above that a copy costs more than a block */
#define COH_RING_TAKES_MAX 65536
#define COH_RING_MEMORY_MIN ((uint64_t)64 << 10)
#define COH_RING_MEMORY_MAX ((uint64_t)1 << 40)
#define COH_RING_SEATS 1024
#define COH_RING_FORMAT 136 /* a format of tpl and its NUL, padded */

enum coh_ring_bell { COH_RING_ITEMS = 0, COH_RING_ROOM, COH_RING_BELLS };

/* What a ring is: fixed when it is made. */
struct coh_ring_config {
	uint64_t memory;     /* bytes for items */
	uint32_t most;       /* items */
	uint32_t inlined;    /* bytes */
	uint32_t priorities;
	uint32_t takes;
	uint32_t tries;      /* 0: without end */
	uint32_t once;       /* what goes back fails at once */
	char format[COH_RING_FORMAT]; /* with its NUL; "" and `typed` 0: anything */
	uint32_t typed;
	uint32_t spare;
};

struct coh_ring_shared;

/* A ring as this process sees it. */
/* What waiting has taught a handle, in pauses of the CPU. */
struct coh_ring_learnt {
	_Atomic uint32_t spin;  /* that are worth it before sleeping */
	_Atomic uint32_t pause; /* before each look */
};

struct coh_ring {
	struct coh_ring_shared *shared;
	struct coh_ring_config config; /* copied once, then believed */
	char *base;                    /* of the segment */
	const uint32_t *mark;  /* of the segment (segment.h), by who has that; else one that always holds */
	int fd;
	int bell[COH_RING_BELLS];      /* -1: none */
	uint64_t lanes, lane_size, hands, cells, cell_size; /* where things are: see ring.c */
	struct coh_heap_view heap;
	cohort_time spin;              /* before sleeping; negative: none */
	bool spin_asked;               /* always so long, not only as far as it pays off */
	struct coh_ring_learnt learnt[COH_RING_BELLS]; /* of getters, of putters */
};

struct coh_ring_item {
	const void *data;
	size_t size;
	bool typed;
	unsigned priority;
};

/* As struct cohort_bytes and in its place (message.h is not below this layer). */
struct coh_ring_bytes {
	const void *data;
	size_t size;
};

struct coh_ring_got {
	size_t size; /* set too when it does not fit */
	bool typed;
	unsigned priority, deliveries;
};

struct coh_ring_lent {
	const void *data; /* in the segment */
	struct coh_ring_got got;
	uint64_t id; /* never 0 */
};

struct coh_ring_stats {
	uint64_t size, lent, owed, put, got, returned, failed, memory_used;
	bool shut;
};

/* ---- a ring in a segment ---- */

/* 0, or COHORT_EARGUMENT: C is out of its ranges. */
int coh_ring_config_check(const struct coh_ring_config *c);

/* Bytes from the segment's beginning that are reserved at once, and the sparse rest. */
void coh_ring_layout(const struct coh_ring_config *c, size_t *fixed, size_t *sparse);

/*
 * See in R the ring in the segment of SIZE bytes mapped at BASE from FD, with BELLS (borrowed; -1).
 * init makes an empty one as C says, in zeroed memory: 0, -ENOSPC, -ENOMEM; attach looks at one that is there and checks
 * it: 0, COHORT_ESEGMENT.
 */
int coh_ring_init(struct coh_ring *r, void *base, int fd, const int *bells, const struct coh_ring_config *c);
int coh_ring_attach(struct coh_ring *r, void *base, size_t size, int fd, const int *bells);

/* ---- seats ---- */

/* A seat for this process: 1 to COH_RING_SEATS - 1; -ENOSPC (all are taken by those who live); COHORT_ESEGMENT. */
int coh_ring_sit(struct coh_ring *r);

/* Items put through SEAT that are still there (lent ones too); or a code. */
int64_t coh_ring_left(struct coh_ring *r, unsigned seat);

/*
 * Give SEAT up: what was lent through it goes back, what was got through it counts as done.  Waits until
 * DEADLINE for what was put through it to be got; returns how many items were not, or a code.
 */
int64_t coh_ring_leave(struct coh_ring *r, unsigned seat, cohort_time deadline);

/* ---- items: results as in queue.h ---- */

int coh_ring_put(struct coh_ring *r, unsigned seat, const struct coh_ring_item *item, cohort_time deadline);
int coh_ring_put_many(struct coh_ring *r, unsigned seat, const struct coh_ring_bytes *items, int n,
    cohort_time deadline);
int coh_ring_get(struct coh_ring *r, unsigned seat, const struct coh_want *want, void *buffer,
    struct coh_ring_got *got, cohort_time deadline);
/* Room for N items, and for SIZE bytes of theirs at BUFFER. */
struct coh_ring_batch {
	struct coh_ring_bytes *items;
	int n;
	void *buffer;
	size_t size;
	/* As of struct coh_want: may the first COUNT, of SIZE bytes together, be handed over?  Asked with more and more of them. */
	int (*fits)(void *arg, int count, size_t size);
	void *arg;
};
int coh_ring_get_many(struct coh_ring *r, unsigned seat, const struct coh_ring_batch *b, cohort_time deadline);
/* Nothing was found: what the dead were lent comes back, and while there is nothing the bell for items is silent. */
void coh_ring_quiet(struct coh_ring *r);
int coh_ring_peek(struct coh_ring *r, const struct coh_want *want, void *buffer,
    struct coh_ring_got *got, cohort_time deadline);

/* Its bytes stay where they are until coh_ring_ack or _return with its id, by this process. */
int coh_ring_take(struct coh_ring *r, unsigned seat, const struct coh_want *want,
    struct coh_ring_lent *lent, cohort_time deadline);
int coh_ring_ack(struct coh_ring *r, uint64_t id);
int coh_ring_return(struct coh_ring *r, uint64_t id);

/* ---- the whole ---- */

int coh_ring_task_done(struct coh_ring *r, unsigned seat);
int coh_ring_join(struct coh_ring *r, cohort_time deadline);
/* `now`: drop what is there.  How many were dropped, or a code. */
int64_t coh_ring_shutdown(struct coh_ring *r, bool now);
int64_t coh_ring_size(struct coh_ring *r);
int coh_ring_stats(struct coh_ring *r, struct coh_ring_stats *stats);

/*
 * Have the bell WHICH rung for this process from now on: readable when a get may find something (put may find
 * room), or it was shut down.  A get with COHORT_NOW that finds nothing (a put: no room) hushes it.  0 or a code.
 */
int coh_ring_listen(struct coh_ring *r, unsigned seat, enum coh_ring_bell which);

/*
 * Look for what the dead left: lent items, things undone, blocks.  Those who wait do so by themselves, once a slice
 * (gate.h); one who only polls should too.  0 or a code.
 */
int coh_ring_tend(struct coh_ring *r);

/* Everything fits together: 0, or COHORT_ESEGMENT with *WHY.  Takes both locks.  For tests. */
int coh_ring_check(struct coh_ring *r, const char **why);

#endif
