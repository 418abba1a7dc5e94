/*
 * ring_put.c - records into a lane.
 *
 * A put writes its record behind the tail, where nobody looks, then stores the tail.  An item that is over
 * `inlined` bytes is copied into a block before any lock is taken; the block is noted under the putter, so that it is found
 * when the putter dies before the record points to it (ring_mend.c).
 *
 * Room is known by allowances (budget, slots, limit) that only shrink as records come, and are counted anew from the heads
 * when one is used up; so the line of those who get is read once for many records.
 *
 * A lane begins small and grows when it is full, so that a short queue stays in the cache however much it may hold:
 *
 *   0     tail     head      end   ready
 *   |bbbbbb|        |aaaaaaaa|      .......      wrapped: a, then b
 *   |bbbbbb|        |aaaaaaaa|      |cccccc..    full so far: the tail jumps, a, then b, then c
 *
 * After a jump the lane only goes on upwards, until all of a and b is got.  A skip at the old tail says where to go on; there
 * are always 8 bytes left for one.  With three times the bytes that may be in use there is always a place.
 */
#include "base/copy.h"
#include "base/mem.h"
#include "os/shm.h"
#include "sync/party.h"
#include "sync/ring_priv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define PAGE COH_RING_PAGE
#define GROW (256u << 10)  /* bytes a lane grows by: about a second-level cache in all */
#define AHEAD 128u         /* of a record that was written: where the one after the next begins, if they are small */
#define SKIP sizeof(struct coh_ring_skip)
#define BLOCK_HEAD 16u     /* of a block of the heap, counted with it */

/* A record to be. */
struct put {
	const void *data; /* what follows its head */
	uint32_t size;    /* of that */
	struct coh_ring_record record;
	uint64_t block;   /* what it holds in the heap, 0: nothing */
	unsigned lane;
};

/* Bytes of memory that P takes beside its record. */
static uint64_t block_cost(const struct put *p)
{
	return p->block != 0 ? p->record.size + BLOCK_HEAD : 0;
}

/* ---- allowances ---- */

/*
 * Turns that the head has before it are those whose count is not below its own: after at most two of them (in front, then up)
 * the tail cannot turn again before the head has come to the second, where it stays until it goes on: three.
 */
static const struct coh_ring_turn *turn_at(const struct coh_ring_lane *l, uint32_t back)
{
	return back < COH_RING_TURNS && back < l->turns ? &l->turn[(l->turns - 1 - back) % COH_RING_TURNS] : NULL;
}

/* The head's count, all of it, when N records lie before TAIL. */
static uint64_t head_count(const struct coh_ring_lane *l, uint64_t tail, uint32_t n)
{
	return coh_ring_catch_up(l->puts, tail) - n;
}

/* From TAIL back to the head, piece by piece. */
static uint64_t lane_used(const struct coh_ring *r, const struct coh_ring_lane *l, uint64_t tail)
{
	uint64_t head = atomic_load_explicit(&l->head, memory_order_acquire);
	uint32_t n = coh_ring_between(head, tail);
	uint64_t at = coh_ring_place(tail), used = 0, count = head_count(l, tail, n);
	const struct coh_ring_turn *t;

	if (n == 0)
		return 0;
	for (uint32_t i = 0; (t = turn_at(l, i)) != NULL && t->count >= count; i++) {
		used += at - t->to;
		at = t->from;
	}
	used += at - coh_ring_place(head);
	return used <= r->lane_size ? used : r->lane_size;
}

/* The head is still below what the tail jumped up from. */
static bool only_up(const struct coh_ring_lane *l, uint64_t tail, uint32_t n)
{
	uint64_t count = head_count(l, tail, n);
	const struct coh_ring_turn *t;

	for (uint32_t i = 0; (t = turn_at(l, i)) != NULL && t->count > count; i++)
		if (t->to > t->from)
			return true;
	return false;
}

/* From what is there, all records being committed. */
static void recount(struct coh_ring *r)
{
	struct coh_ring_shared *s = r->shared;
	struct coh_heap_stats heap = {0};
	uint64_t used, items = 0;

	used = coh_heap_stats(&r->heap, &heap) == 0 ? heap.used : r->config.memory;
	for (unsigned i = 0; i < r->config.priorities; i++) {
		struct coh_ring_lane *l = &s->lane[i];
		uint64_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed);

		used += lane_used(r, l, tail);
		items += coh_ring_between(atomic_load_explicit(&l->head, memory_order_relaxed), tail);
	}
	s->put.slots = items < r->config.most ? r->config.most - (uint32_t)items : 0;
	s->put.budget = used < r->config.memory ? r->config.memory - used : 0;
}

static bool allowed(const struct coh_ring_put_side *side, uint64_t bytes)
{
	return side->slots != 0 && bytes <= side->budget;
}

static bool admit(struct coh_ring *r, const struct put *p)
{
	struct coh_ring_put_side *side = &r->shared->put;
	uint64_t bytes = coh_ring_span(p->size), all = bytes + block_cost(p);

	if (!allowed(side, all)) {
		recount(r);
		all = bytes; /* what is in the heap has been counted */
		if (!allowed(side, all))
			return false;
	}
	side->slots--;
	COH_FAULT("ring.put.admitted");
	side->budget -= all;
	return true;
}

/* ---- a place ---- */

/* Have pages up to END, and 8 bytes more for a skip. */
static int lane_grow(struct coh_ring *r, unsigned lane, uint64_t end)
{
	struct coh_ring_lane *l = &r->shared->lane[lane];
	uint64_t most = r->lane_size - SKIP, want = l->ready + GROW, from;
	char *base = coh_ring_lane_at(r, lane);
	int rc;

	if (end > most)
		return COHORT_ESEGMENT;
	want = end > want ? end : want;
	want = want < most ? want : most;
	from = l->ready & ~(uint64_t)(PAGE - 1);
	end = (want + SKIP + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	rc = coh_shm_reserve(r->fd, base + from, (size_t)(base - r->base) + from, end - from);
	if (rc != 0)
		return rc == -ENOMEM ? -ENOMEM : -ENOSPC;
	l->ready = want;
	COH_FAULT("ring.put.grown");
	return 0;
}

/* TAIL goes on at TO. */
static void turn(struct coh_ring *r, unsigned lane, uint64_t tail, uint64_t to)
{
	struct coh_ring_lane *l = &r->shared->lane[lane];
	struct coh_ring_skip skip = {.size = COH_RING_SKIP, .page = (uint32_t)(to / PAGE)};

	l->turn[l->turns % COH_RING_TURNS] = (struct coh_ring_turn){
	    .count = coh_ring_catch_up(l->puts, tail), .from = coh_ring_place(tail), .to = to};
	atomic_signal_fence(memory_order_seq_cst); /* in this order for who finds it after our death */
	COH_FAULT("ring.put.turning");
	l->turns++;
	COH_FAULT("ring.put.turn");
	memcpy(coh_ring_lane_at(r, lane) + coh_ring_place(tail), &skip, sizeof skip);
	COH_FAULT("ring.put.turned");
}

/* Up to pages nobody has used. */
static int jump(struct coh_ring *r, unsigned lane, uint64_t tail, uint64_t bytes, uint64_t *place)
{
	struct coh_ring_lane *l = &r->shared->lane[lane];
	uint64_t to = (l->ready + 2 * PAGE - 1) & ~(uint64_t)(PAGE - 1);
	int rc = lane_grow(r, lane, to + bytes);

	if (rc != 0)
		return rc;
	turn(r, lane, tail, to);
	l->limit = l->ready;
	*place = to;
	return 0;
}

/* Where a record of BYTES goes that follows TAIL, into *PLACE, when it is not simply behind it. */
static int find_place(struct coh_ring *r, unsigned lane, uint64_t tail, uint64_t bytes, uint64_t *place)
{
	struct coh_ring_lane *l = &r->shared->lane[lane];
	uint64_t head = atomic_load_explicit(&l->head, memory_order_acquire);
	uint64_t t = coh_ring_place(tail), h = coh_ring_place(head), most = r->lane_size - SKIP;
	uint32_t n = coh_ring_between(head, tail);
	bool up;
	int rc;

	if (t > most || h > most || l->ready > most || n > COH_RING_MOST)
		return COHORT_ESEGMENT;
	up = n != 0 && only_up(l, tail, n);
	if (!up && n != 0 && t <= h) {
		if (t + SKIP > h)
			return COHORT_ESEGMENT;
		l->limit = h - SKIP;
		return t + bytes + SKIP <= h ? 0 : jump(r, lane, tail, bytes, place);
	}
	if (!up && t + bytes > l->ready && bytes + SKIP <= h) {
		turn(r, lane, tail, 0);
		l->limit = h - SKIP;
		*place = 0;
		return 0;
	}
	rc = t + bytes > l->ready ? lane_grow(r, lane, t + bytes) : 0;
	if (rc == 0)
		l->limit = l->ready;
	return rc;
}

/* Write P behind *TAIL, and move *TAIL; the lane's own stays. */
static inline int put_write(struct coh_ring *r, const struct put *p, uint64_t *tail)
{
	struct coh_ring_lane *l = &r->shared->lane[p->lane];
	uint64_t bytes = coh_ring_span(p->size), place = coh_ring_place(*tail);
	char *at;
	int rc;

	if (place + bytes > l->limit || l->limit > r->lane_size) {
		rc = find_place(r, p->lane, *tail, bytes, &place);
		if (rc != 0)
			return rc;
	}
	at = coh_ring_lane_at(r, p->lane) + place;
	memcpy(at, &p->record, sizeof p->record);
	COH_FAULT("ring.put.headed");
	memcpy(at + sizeof p->record, p->data, p->size);
	coh_ring_claim(at + bytes + AHEAD);
	COH_FAULT("ring.put.written");
	*tail = coh_ring_word(coh_ring_count(*tail) + 1, place + bytes);
	return 0;
}

static inline void put_commit(struct coh_ring *r, unsigned lane, uint64_t tail, uint32_t n)
{
	struct coh_ring_lane *l = &r->shared->lane[lane];

	coh_ring_announce_items(r);
	COH_FAULT("ring.put.announced");
	atomic_store_explicit(&l->tail, tail, memory_order_release); /* pairs with the load in coh_ring_find */
	COH_FAULT("ring.put.committed");
	l->puts += n;
}

/* ---- one ---- */

static int put_locked(struct coh_ring *r, const struct put *p)
{
	uint64_t tail = atomic_load_explicit(&r->shared->lane[p->lane].tail, memory_order_relaxed);
	int rc;

	COH_FAULT("ring.put.locked");
	if (atomic_load_explicit(&r->shared->watch.shut, memory_order_relaxed) != 0)
		return COHORT_ESHUTDOWN;
	if (!admit(r, p))
		return COHORT_EFULL;
	rc = put_write(r, p, &tail);
	if (rc == 0)
		put_commit(r, p->lane, tail, 1);
	else
		r->shared->put.slots = 0; /* admitted in vain: count anew */
	return rc;
}

static int put_once(struct coh_ring *r, const struct put *p, cohort_time deadline)
{
	int rc = coh_ring_lock_put(r, deadline);

	if (rc != 0)
		return rc == COHORT_ETIMEDOUT ? COHORT_EFULL : rc;
	rc = put_locked(r, p);
	coh_ring_unlock_put(r);
	COH_FAULT("ring.put.unlocked");
	if (rc == 0)
		coh_gate_open(&r->shared->watch.items, 1);
	return rc;
}

/* After a first try that found it full. */
static int put_patiently(struct coh_ring *r, const struct put *p, cohort_time deadline)
{
	struct coh_ring_lane *l = &r->shared->lane[p->lane];
	struct coh_ring_wait w = {0};
	int rc = COHORT_EFULL;

	if (deadline == COHORT_NOW) {
		if (atomic_load(&r->shared->watch.listeners[COH_RING_ROOM]) == 0)
			return COHORT_EFULL;
		coh_ring_hush_room(r);
		return put_once(r, p, deadline);
	}
	while (rc == COHORT_EFULL) {
		uint64_t head = atomic_load_explicit(&l->head, memory_order_relaxed);

		if (coh_ring_wait_room(r, &w, p->lane, head, deadline) != 0)
			return COHORT_EFULL;
		rc = put_once(r, p, deadline);
	}
	return rc;
}

static void put_init(struct coh_ring *r, struct put *p, unsigned seat, const struct coh_ring_item *item)
{
	*p = (struct put){.data = item->data,
	    .size = (uint32_t)item->size,
	    .record = {.size = (uint32_t)item->size,
		.flags = item->typed ? COH_RING_TYPED : 0,
		.generation = (uint8_t)r->shared->seat[seat].generation,
		.seat = (uint16_t)seat},
	    .lane = item->priority};
}

/* ---- large ones ---- */

/* A block with ITEM in it, without waiting. */
static int block_try(struct coh_ring *r, struct put *p, const struct coh_ring_item *item)
{
	char *to;
	int rc = coh_heap_alloc(&r->heap, item->size, coh_party_self(), &p->block);

	if (rc != 0) {
		p->block = 0;
		return rc == COHORT_EARGUMENT ? COHORT_ESEGMENT : rc;
	}
	COH_FAULT("ring.block.made");
	to = coh_heap_at(&r->heap, p->block, NULL);
	if (to == NULL)
		return COHORT_ESEGMENT;
	coh_copy_out(to, item->data, item->size);
	COH_FAULT("ring.block.filled");
	p->data = &p->block;
	p->size = sizeof p->block;
	p->record.flags |= COH_RING_BLOCK;
	return 0;
}

static int block_make(struct coh_ring *r, struct put *p, const struct coh_ring_item *item,
    cohort_time deadline)
{
	struct coh_ring_wait w = {0};
	int rc = block_try(r, p, item);

	if (rc == -ENOMEM && coh_ring_tend(r) == 0)
		rc = block_try(r, p, item); /* what the dead left may have been freed */
	while (rc == -ENOMEM) {
		if (atomic_load(&r->shared->watch.shut) != 0)
			return COHORT_ESHUTDOWN;
		if (!coh_ring_there(r))
			return COHORT_ESEGMENT;
		if (coh_ring_wait_gate(r, &r->shared->watch.space, &w, deadline) != 0)
			return COHORT_EFULL;
		rc = block_try(r, p, item);
	}
	return rc;
}

static int put_large(struct coh_ring *r, unsigned seat, const struct coh_ring_item *item, cohort_time deadline)
{
	struct put p;
	int rc;

	if (item->size + BLOCK_HEAD + coh_ring_span(sizeof p.block) > r->config.memory)
		return COHORT_ETOOBIG;
	if (!coh_ring_there(r))
		return COHORT_ESEGMENT;
	if (atomic_load(&r->shared->watch.shut) != 0)
		return COHORT_ESHUTDOWN;
	put_init(r, &p, seat, item);
	rc = block_make(r, &p, item, deadline);
	if (rc == 0)
		rc = put_once(r, &p, deadline);
	if (rc == COHORT_EFULL && p.block != 0)
		rc = put_patiently(r, &p, deadline);
	if (rc != 0 && p.block != 0)
		coh_ring_free(r, p.block);
	return rc;
}

int coh_ring_put(struct coh_ring *r, unsigned seat, const struct coh_ring_item *item, cohort_time deadline)
{
	struct put p;
	int rc;

	coh_ring_claim(&r->shared->lane[item->priority].tail);
	if (item->size > r->config.inlined)
		return put_large(r, seat, item, deadline);
	put_init(r, &p, seat, item);
	rc = put_once(r, &p, deadline);
	return rc != COHORT_EFULL ? rc : put_patiently(r, &p, deadline);
}

/* ---- many ---- */

/* Items of a call, and the blocks of those that need one (NULL: none does). */
struct many {
	const struct coh_ring_bytes *items;
	uint64_t *blocks;
	int n, ready; /* up to here blocks are made */
	unsigned seat;
};

static struct coh_ring_item many_item(const struct many *m, int i)
{
	struct coh_ring_bytes b;

	memcpy(&b, (const char *)m->items + (size_t)i * sizeof b, sizeof b); /* it may be a struct cohort_bytes */
	return (struct coh_ring_item){.data = b.data, .size = b.size};
}

static void many_put(struct coh_ring *r, const struct many *m, int i, struct put *p)
{
	struct coh_ring_item item = many_item(m, i);

	put_init(r, p, m->seat, &item);
	if (item.size > r->config.inlined) {
		p->block = m->blocks[i];
		p->data = &p->block;
		p->size = sizeof p->block;
		p->record.flags |= COH_RING_BLOCK;
	}
}

/* Make the blocks that can be made without waiting. */
static int many_prepare(struct coh_ring *r, struct many *m)
{
	for (m->ready = 0; m->ready < m->n; m->ready++) {
		struct coh_ring_item item = many_item(m, m->ready);
		struct put p = {0};

		if (item.size <= r->config.inlined)
			continue;
		if (m->blocks == NULL)
			m->blocks = coh_calloc((size_t)m->n * sizeof *m->blocks);
		if (m->blocks == NULL)
			return -ENOMEM;
		if (block_try(r, &p, &item) != 0) {
			if (p.block != 0)
				coh_ring_free(r, p.block);
			break;
		}
		m->blocks[m->ready] = p.block;
	}
	return 0;
}

static void many_forget(struct coh_ring *r, struct many *m, int done)
{
	for (int i = done; m->blocks != NULL && i < m->n; i++)
		if (m->blocks[i] != 0)
			coh_ring_free(r, m->blocks[i]);
	coh_free(m->blocks);
}

/*
 * Small ones from WRITTEN on that go simply behind *TAIL and need no look at anything that is not in the put side's lines: as
 * many as there are; *TAIL moves.  The same as one by one, without what is not needed for these.
 */
static int many_small(struct coh_ring *r, const struct many *m, int written, uint64_t *tail)
{
	struct coh_ring_put_side *side = &r->shared->put;
	struct coh_ring_lane *l = &r->shared->lane[0];
	uint64_t place = coh_ring_place(*tail), limit = l->limit < r->lane_size ? l->limit : r->lane_size;
	uint64_t budget = side->budget, bytes;
	uint32_t slots = side->slots;
	struct coh_ring_record record = {
	    .generation = (uint8_t)r->shared->seat[m->seat].generation, .seat = (uint16_t)m->seat};
	char *base = coh_ring_lane_at(r, 0);
	int i = written;

	for (; i < m->ready && slots != 0; i++, slots--) {
		struct coh_ring_item item = many_item(m, i);

		bytes = coh_ring_span(item.size);
		if (item.size > r->config.inlined || bytes > budget || place + bytes > limit)
			break;
		record.size = (uint32_t)item.size;
		memcpy(base + place, &record, sizeof record);
		memcpy(base + place + sizeof record, item.data, item.size);
		place += bytes;
		budget -= bytes;
		coh_ring_claim(base + place + AHEAD);
		COH_FAULT("ring.many.written");
	}
	side->slots = slots;
	COH_FAULT("ring.many.admitted");
	side->budget = budget;
	*tail = coh_ring_word(coh_ring_count(*tail) + (uint32_t)(i - written), place);
	return i - written;
}

/* As many as there is room for from *DONE on; *DONE moves with what is committed. */
static int many_locked(struct coh_ring *r, const struct many *m, int *done)
{
	uint64_t tail = atomic_load_explicit(&r->shared->lane[0].tail, memory_order_relaxed);
	int written = *done, rc = 0;
	struct put p;

	if (atomic_load_explicit(&r->shared->watch.shut, memory_order_relaxed) != 0)
		return COHORT_ESHUTDOWN;
	while (rc == 0) {
		written += many_small(r, m, written, &tail);
		if (written == m->ready)
			break;
		many_put(r, m, written, &p);
		if (!allowed(&r->shared->put, coh_ring_span(p.size) + block_cost(&p)) && written > *done) {
			put_commit(r, 0, tail, (uint32_t)(written - *done)); /* counting anew wants it so */
			*done = written;
		}
		rc = admit(r, &p) ? put_write(r, &p, &tail) : COHORT_EFULL;
		written += rc == 0;
	}
	if (written > *done)
		put_commit(r, 0, tail, (uint32_t)(written - *done));
	*done = written;
	if (rc != 0)
		r->shared->put.slots = 0;
	return rc;
}

static int many_once(struct coh_ring *r, const struct many *m, int *done, cohort_time deadline)
{
	int rc = coh_ring_lock_put(r, deadline), before = *done;

	if (rc != 0)
		return rc == COHORT_ETIMEDOUT ? COHORT_EFULL : rc;
	rc = many_locked(r, m, done);
	coh_ring_unlock_put(r);
	if (*done > before)
		coh_gate_open(&r->shared->watch.items, *done - before);
	return rc;
}

/* The item at *DONE alone, waiting for room. */
static int many_single(struct coh_ring *r, struct many *m, int *done, cohort_time deadline)
{
	struct coh_ring_item item = many_item(m, *done);
	int rc;

	if (m->blocks != NULL && m->blocks[*done] != 0) {
		coh_ring_free(r, m->blocks[*done]);
		m->blocks[*done] = 0;
	}
	rc = coh_ring_put(r, m->seat, &item, deadline);
	*done += rc == 0;
	if (*done > m->ready)
		m->ready = *done;
	return rc;
}

int coh_ring_put_many(struct coh_ring *r, unsigned seat, const struct coh_ring_bytes *items, int n,
    cohort_time deadline)
{
	struct many m = {.items = items, .n = n, .seat = seat};
	int done = 0, rc = many_prepare(r, &m);

	while (rc == 0 && done < n) {
		rc = done < m.ready ? many_once(r, &m, &done, deadline) : COHORT_EFULL;
		if (rc == COHORT_EFULL && done < n)
			rc = many_single(r, &m, &done, deadline);
	}
	many_forget(r, &m, done);
	return done > 0 ? done : rc;
}
