/*
 * ring_priv.h - how a ring lies in memory, and what its files share.
 *
 *   ring.c         layout, making and attaching, size, stats
 *   ring_put.c     records in                ring_get.c    records out: get, peek
 *   ring_hand.c    what is lent              ring_seat.c   who uses it, what is not done, the end
 *   ring_wait.c    spinning and sleeping     ring_mend.c   after a death
 *
 * Lock order: put, get, the heap's own.  A word says which lock guards it; head, tail and those of the watch line are also read
 * without.
 */
#ifndef COH_SYNC_RING_PRIV_H
#define COH_SYNC_RING_PRIV_H

#include "sync/fault.h"
#include "sync/gate.h"
#include "sync/mutex.h"
#include "sync/ring.h"
#include "sync/segment.h"

#include <stdalign.h>

#define COH_RING_LINE 64 /* bytes of a cache line; where it is 128, neighbours share one, which is only slower */
#define COH_RING_AFTER_HEADER sizeof(struct coh_segment_header)
#define COH_RING_GETS 64 /* hands beyond `takes`, for large items while they are copied out */

/* ---- a head or tail: how many records, and where the next begins ---- */

#define COH_RING_PLACE_BITS 39 /* of a place in units of 8 bytes: 2^42 bytes, a lane (ring.c); 25 remain for the count */
#define COH_RING_COUNTS ((1u << (64 - COH_RING_PLACE_BITS)) - 1)

_Static_assert(COH_RING_MOST < COH_RING_COUNTS, "a full lane differs from an empty one");

static inline uint32_t coh_ring_count(uint64_t word)
{
	return (uint32_t)(word >> COH_RING_PLACE_BITS);
}

static inline uint64_t coh_ring_place(uint64_t word)
{
	return (word & ((UINT64_C(1) << COH_RING_PLACE_BITS) - 1)) << 3;
}

/* Counts wrap. */
static inline uint64_t coh_ring_word(uint32_t count, uint64_t place)
{
	return (uint64_t)count << COH_RING_PLACE_BITS | place >> 3;
}

/* COUNTED, all 64 bits of it, is that of WORD, behind which it lags by as many as one call moves, at most. */
static inline uint64_t coh_ring_catch_up(uint64_t counted, uint64_t word)
{
	return counted + ((coh_ring_count(word) - (uint32_t)counted) & COH_RING_COUNTS);
}

/* How many records lie between two words. */
static inline uint32_t coh_ring_between(uint64_t head, uint64_t tail)
{
	return (coh_ring_count(tail) - coh_ring_count(head)) & COH_RING_COUNTS;
}

/* ---- records ---- */

#define COH_RING_SKIP UINT32_MAX /* as a size: the next is elsewhere */
#define COH_RING_PAGE 4096u
#define COH_RING_TYPED 1u
#define COH_RING_BLOCK 2u /* what follows is the place of a block */

struct coh_ring_record {
	uint32_t size; /* of the item */
	uint8_t flags;
	uint8_t generation; /* of the seat it was put through */
	uint16_t seat;
};

/* In its place, where the next one is elsewhere. */
struct coh_ring_skip {
	uint32_t size; /* COH_RING_SKIP */
	uint32_t page; /* it begins there */
};

_Static_assert(sizeof(struct coh_ring_record) == 8, "a record's head");
_Static_assert(sizeof(struct coh_ring_skip) == sizeof(struct coh_ring_record), "and what may stand for it");

/* Bytes that a record of SIZE bytes takes, head included. */
static inline uint64_t coh_ring_span(uint64_t size)
{
	return sizeof(struct coh_ring_record) + ((size + 7) & ~UINT64_C(7));
}

/* ---- the shared words ---- */

/* The tail did not go on behind the last record, but elsewhere. */
struct coh_ring_turn {
	uint64_t count;    /* records before it, all 64 bits */
	uint64_t from, to; /* places; a jump goes up */
};
#define COH_RING_TURNS 4 /* there are at most three between head and tail (ring_put.c) */

struct coh_ring_lane {
	alignas(COH_RING_LINE) _Atomic uint64_t tail; /* put */
	alignas(COH_RING_LINE) _Atomic uint64_t head; /* get */
	/* put; what may be wrong after a death is too small */
	alignas(COH_RING_LINE) uint64_t limit; /* a record may reach so far without another look at the head */
	uint64_t ready;  /* bytes that have pages, but for 8 that are left for a skip */
	uint64_t puts;   /* the tail's count, all 64 bits of it */
	uint32_t turns;  /* how often the tail went on elsewhere; the last of them: */
	struct coh_ring_turn turn[COH_RING_TURNS];
	/* get */
	alignas(COH_RING_LINE) uint64_t seen; /* a tail */
	uint64_t gets;   /* the head's count, all of it */
};

/* Who puts. */
struct coh_ring_put_side {
	alignas(COH_RING_LINE) struct coh_mutex mutex;
	uint64_t budget; /* bytes that may come without another look */
	uint32_t slots;  /* items that may */
	uint32_t rung;   /* the bell of items is readable */
};

/* Who gets. */
struct coh_ring_get_side {
	alignas(COH_RING_LINE) struct coh_mutex mutex;
	uint64_t owed;    /* got and not done, through all seats */
	uint32_t rung;    /* the bell of room is readable */
	uint32_t free;    /* the first free hand + 1; 0: none but those never used */
	uint32_t used;    /* hands ever used: from here on all are zero */
	uint32_t celled;  /* cells that have pages */
	_Atomic uint32_t lent, getting; /* hands LENT; GETTING */
	uint64_t returned, failed, dropped;
};

/* Who looks without locks sees by it that a hand came back, and went again. */
#define COH_RING_ONCE_BACK ((uint64_t)1 << 32)

/* Read with every call, written seldom. */
struct coh_ring_watch {
	alignas(COH_RING_LINE) struct coh_gate items;
	struct coh_gate room, space, done, left;
	_Atomic uint64_t back; /* hands BACK; and each one that comes there adds COH_RING_ONCE_BACK [get] */
	_Atomic uint32_t shut; /* 1: no more puts; 2: and what was there is dropped */
	_Atomic uint32_t listeners[COH_RING_BELLS];
	_Atomic uint32_t dirty; /* someone died: blocks may be lost */
};

/* A process, or a server's client. */
struct coh_ring_seat {
	alignas(COH_RING_LINE) _Atomic uint64_t party; /* 0: free [put and get] */
	uint64_t owed;       /* got through it and not done [get] */
	uint32_t generation; /* how often it was given up: the low 8 bits are in its records */
	uint32_t listens;    /* a bit for each bell */
};

enum coh_ring_state {
	COH_RING_FREE = 0,
	COH_RING_LENT,
	COH_RING_BACK,    /* came back: it is got before what is in its lane */
	COH_RING_GETTING, /* handed over, but still being copied */
};

/* An item that is neither in a lane nor gone [get]. */
struct coh_ring_hand {
	alignas(COH_RING_LINE) _Atomic uint32_t state;
	uint32_t next;    /* FREE: the next free one + 1 */
	uint64_t block;   /* its place in the heap; 0: it is in the cell */
	uint64_t number;  /* which of its lane: `gets` when it left */
	uint32_t size;
	uint32_t deliveries;
	uint32_t generation; /* how often it was lent: part of the id */
	uint16_t seat;       /* who has it */
	uint16_t from;       /* who put it, as in the record */
	uint8_t from_generation, typed, priority, spare;
};

struct coh_ring_shared {
	struct coh_ring_config config;
	uint64_t check; /* over the config */
	_Atomic int64_t tended; /* when somebody last looked for the dead */
	struct coh_ring_watch watch;
	struct coh_ring_put_side put;
	struct coh_ring_get_side get;
	struct coh_ring_lane lane[COH_RING_LANES];
	struct coh_ring_seat seat[COH_RING_SEATS];
};

/*
 * Have the cache line of P ready to be written, if others have read it: letting go of a lock waits for all stores, for
 * this one 100 ns.  P need not be a valid place.  (GCC's prefetch for writing is one for reading unless told of the CPU;
 * PREFETCHW is known to all of 64 bits, or ignored: Intel SDM volume 2, AMD64 volume 3.)
 */
static inline void coh_ring_claim(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/* ---- where things are ---- */

static inline char *coh_ring_lane_at(const struct coh_ring *r, unsigned lane)
{
	return r->base + r->lanes + lane * r->lane_size;
}

static inline struct coh_ring_hand *coh_ring_hand_at(const struct coh_ring *r, uint32_t i)
{
	return (struct coh_ring_hand *)(void *)(r->base + r->hands) + i;
}

static inline char *coh_ring_cell_at(const struct coh_ring *r, uint32_t i)
{
	return r->base + r->cells + i * r->cell_size;
}

/* Hands there are. */
static inline uint32_t coh_ring_hands(const struct coh_ring *r)
{
	return r->config.takes + COH_RING_GETS;
}

/* ---- locks ---- */

#define COH_RING_MARK COH_SEGMENT_MARK(COH_SEGMENT_QUEUE)

/* The memory is all there: every call asks on its way to a lock. */
static inline bool coh_ring_there(const struct coh_ring *r)
{
	return __builtin_expect(*r->mark == COH_RING_MARK, 1);
}

/*
 * 0; COHORT_ETIMEDOUT: its holder is stopped, and DEADLINE and some grace passed; COHORT_ESEGMENT: the memory is not all there.
 */
int coh_ring_lock_put_slowly(struct coh_ring *r, cohort_time deadline);
int coh_ring_lock_get_slowly(struct coh_ring *r, cohort_time deadline);
int coh_ring_lock_both(struct coh_ring *r, cohort_time deadline);
void coh_ring_unlock_both(struct coh_ring *r);

static inline int coh_ring_lock_put(struct coh_ring *r, cohort_time deadline)
{
	return coh_ring_there(r) && coh_mutex_take(&r->shared->put.mutex) ? 0 : coh_ring_lock_put_slowly(r, deadline);
}

static inline int coh_ring_lock_get(struct coh_ring *r, cohort_time deadline)
{
	return coh_ring_there(r) && coh_mutex_take(&r->shared->get.mutex) ? 0 : coh_ring_lock_get_slowly(r, deadline);
}

/* Letting go is an atomic read-modify-write: after it gates can be opened. */
static inline void coh_ring_unlock_put(struct coh_ring *r)
{
	coh_mutex_unlock(&r->shared->put.mutex);
	coh_gate_fence_after_rmw();
}

static inline void coh_ring_unlock_get(struct coh_ring *r)
{
	coh_mutex_unlock(&r->shared->get.mutex);
	coh_gate_fence_after_rmw();
}

/* How far a call is in waiting; zeroed at first. */
struct coh_ring_wait {
	int stage;
	uint32_t ticket;
	bool slept;
};

/* ---- ring_get.c ---- */

/* The next item: in its lane, or in a hand that came back. */
struct coh_ring_next {
	struct coh_ring_hand *hand; /* NULL: in the lane */
	uint32_t index;             /* of the hand */
	unsigned lane;
	uint64_t head;              /* the lane's head when it is got */
	struct coh_ring_record record;
	const char *data;
	uint64_t block;             /* 0: none */
};

/* The record that HEAD of LANE points at, which is there: 0 or COHORT_ESEGMENT. */
int coh_ring_record_at(struct coh_ring *r, unsigned lane, uint64_t head, struct coh_ring_next *n);

/* 0, COHORT_EEMPTY or COHORT_ESEGMENT.  [get] */
int coh_ring_find(struct coh_ring *r, struct coh_ring_next *n);

/* N leaves its lane, whose head this stores.  [get] */
void coh_ring_advance(struct coh_ring *r, const struct coh_ring_next *n);

/* Something may be there for a get.  No lock. */
bool coh_ring_ready(struct coh_ring *r);

/* Open the gates that a get may have to, but for that of items.  BLOCK: one was freed.  No lock held. */
void coh_ring_opened(struct coh_ring *r, bool block);

/* A waiting get ends with RC: if it was woken and leaves something behind, another one is.  RC. */
int coh_ring_pass_on(struct coh_ring *r, const struct coh_ring_wait *w, int rc);

/* ---- ring_hand.c [get] ---- */

/* Hands BACK. */
static inline uint32_t coh_ring_came_back(const struct coh_ring *r)
{
	return (uint32_t)atomic_load_explicit(&r->shared->watch.back, memory_order_relaxed);
}

/* A free hand for what is to be STATE, its cell ready if CELL: its index; -ENOBUFS, -ENOSPC, COHORT_ESEGMENT. */
int coh_ring_hand_new(struct coh_ring *r, enum coh_ring_state state, bool cell);
/* What was in hand I is gone (its block has another owner, or none). */
void coh_ring_hand_free(struct coh_ring *r, uint32_t i);
/* Hand I, in its cell if need be, has N, which leaves where it was. */
void coh_ring_hand_fill(struct coh_ring *r, uint32_t i, const struct coh_ring_next *n, unsigned seat,
    enum coh_ring_state state);
/* Hand I, LENT or GETTING, goes back: true; or it fails, or there is no queue any more: false.  [put and get] */
bool coh_ring_hand_back(struct coh_ring *r, uint32_t i);
/* After the locks: N items failed, the last after so many DELIVERIES. */
void coh_ring_failed(struct coh_ring *r, uint32_t n, uint32_t deliveries);
/* What N holds is dropped: it is gone, its block freed.  [get] */
void coh_ring_drop(struct coh_ring *r, const struct coh_ring_next *n);
/* BLOCK (0: none) is noted under this process, and freed: before and after nothing points to it any more. */
void coh_ring_own(struct coh_ring *r, uint64_t block);
void coh_ring_free(struct coh_ring *r, uint64_t block);

/* ---- ring_seat.c [get] ---- */

/* N more items were got through SEAT; done. */
static inline void coh_ring_owe(struct coh_ring *r, unsigned seat, uint32_t n)
{
	r->shared->seat[seat].owed += n;
	COH_FAULT("ring.owe.seat");
	r->shared->get.owed += n;
}

uint64_t coh_ring_unfinished(struct coh_ring *r);

/* What became of what a seat had. */
struct coh_ring_settled {
	uint32_t back, failed, deliveries;
	bool last; /* nothing is unfinished now */
};

/* PARTY, whose SEAT was, is dead.  No lock held. */
void coh_ring_seat_reap(struct coh_ring *r, unsigned seat, uint64_t party);

/* ---- ring_wait.c ---- */

/* After a try that found nothing: 0: try again; COHORT_ETIMEDOUT: it is over. */
int coh_ring_wait_items(struct coh_ring *r, struct coh_ring_wait *w, cohort_time deadline);
/* WORD: the head of the lane before the try. */
int coh_ring_wait_room(struct coh_ring *r, struct coh_ring_wait *w, unsigned lane, uint64_t head,
    cohort_time deadline);
/* At G without spinning. */
int coh_ring_wait_gate(struct coh_ring *r, struct coh_gate *g, struct coh_ring_wait *w, cohort_time deadline);

/* ---- bells ---- */

/* Before what is announced becomes visible.  [put; get] */
void coh_ring_ring_items(struct coh_ring *r);
void coh_ring_ring_room(struct coh_ring *r);

static inline void coh_ring_announce_items(struct coh_ring *r)
{
	if (atomic_load_explicit(&r->shared->watch.listeners[COH_RING_ITEMS], memory_order_relaxed) != 0)
		coh_ring_ring_items(r);
}

static inline void coh_ring_announce_room(struct coh_ring *r)
{
	if (atomic_load_explicit(&r->shared->watch.listeners[COH_RING_ROOM], memory_order_relaxed) != 0)
		coh_ring_ring_room(r);
}

/* A try found nothing: make the bell silent if that is still so. */
void coh_ring_hush_items(struct coh_ring *r);
void coh_ring_hush_room(struct coh_ring *r);

/* ---- ring_mend.c ---- */

/* Who held the lock died.  [put; get] */
void coh_ring_mend_put(struct coh_ring *r);
void coh_ring_mend_get(struct coh_ring *r);

/* As coh_ring_tend, if nobody did it lately and something is lent. */
void coh_ring_tend_lent(struct coh_ring *r);

/* The same before a get that may well find something at once: those who never wait look after the dead too. */
static inline void coh_ring_tend_first(struct coh_ring *r)
{
	if (__builtin_expect(atomic_load_explicit(&r->shared->get.lent, memory_order_relaxed) != 0, 0))
		coh_ring_tend_lent(r);
}

/* Free blocks of the dead that nothing points to. */
int coh_ring_sweep(struct coh_ring *r);

#endif
