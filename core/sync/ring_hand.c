/*
 * ring_hand.c - items that are lent, and those that came back.
 *
 * One store says where an item is: the state of a hand, or the head of a lane.  Counts (lent, getting, back) and the list of
 * free hands follow from the states and are made anew after a death (ring_mend.c).
 *
 * Refused: a block of the heap for each item that is lent.  It would need memory when there may be none; a hand has
 * a cell of its own.
 */
#include "base/log.h"
#include "os/shm.h"
#include "sync/party.h"
#include "sync/ring_priv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define PAGE 4096u
#define CELLS 16u /* that get their pages at a time */

void coh_ring_own(struct coh_ring *r, uint64_t block)
{
	if (block != 0 && coh_heap_at(&r->heap, block, NULL) != NULL)
		coh_heap_set_owner(&r->heap, block, coh_party_self());
}

void coh_ring_free(struct coh_ring *r, uint64_t block)
{
	COH_FAULT("ring.block.free");
	if (block != 0)
		(void)coh_heap_free(&r->heap, block); /* damaged: its own calls say so */
}

static void state_set(struct coh_ring_hand *h, enum coh_ring_state state)
{
	/* In the order of the program also for whoever finds it after our death. */
	atomic_store_explicit(&h->state, state, memory_order_release);
}

static enum coh_ring_state state_of(const struct coh_ring_hand *h)
{
	return (enum coh_ring_state)atomic_load_explicit(&h->state, memory_order_acquire);
}

static void back_add(struct coh_ring *r, int n)
{
	_Atomic uint64_t *t = &r->shared->watch.back;
	uint64_t now = atomic_load_explicit(t, memory_order_relaxed);

	atomic_store_explicit(t, n > 0 ? now + COH_RING_ONCE_BACK + 1 : now - 1, memory_order_relaxed);
}

/* A hand more in STATE, or, with N -1, one less. */
static void tally_add(struct coh_ring *r, enum coh_ring_state state, int n)
{
	_Atomic uint32_t *t = state == COH_RING_LENT ? &r->shared->get.lent : &r->shared->get.getting;

	if (state == COH_RING_BACK)
		back_add(r, n);
	else
		atomic_store_explicit(t, atomic_load_explicit(t, memory_order_relaxed) + (uint32_t)n, memory_order_relaxed);
}

/* Pages for the cells up to that of hand I. */
static int cells_reserve(struct coh_ring *r, uint32_t i)
{
	struct coh_ring_get_side *g = &r->shared->get;
	uint32_t want = i + CELLS < coh_ring_hands(r) ? i + CELLS : coh_ring_hands(r);
	uint64_t from, end;
	int rc;

	if (i < g->celled)
		return 0;
	from = (r->cells + g->celled * r->cell_size) & ~(uint64_t)(PAGE - 1);
	end = (r->cells + want * r->cell_size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	rc = coh_shm_reserve(r->fd, r->base + from, from, end - from);
	if (rc != 0)
		return rc == -ENOMEM ? -ENOMEM : -ENOSPC;
	g->celled = want;
	return 0;
}

int coh_ring_hand_new(struct coh_ring *r, enum coh_ring_state state, bool cell)
{
	struct coh_ring_get_side *g = &r->shared->get;
	uint32_t i = g->free != 0 ? g->free - 1 : g->used, hands = coh_ring_hands(r);
	struct coh_ring_hand *h;
	int rc = 0;

	if (state == COH_RING_LENT && atomic_load(&g->lent) + coh_ring_came_back(r) >= r->config.takes)
		return -ENOBUFS;
	if (state == COH_RING_GETTING && atomic_load(&g->getting) >= COH_RING_GETS)
		return -ENOBUFS;
	if (i >= hands)
		return g->free != 0 ? COHORT_ESEGMENT : -ENOBUFS;
	h = coh_ring_hand_at(r, i);
	if (state_of(h) != COH_RING_FREE || h->next > hands)
		return COHORT_ESEGMENT;
	if (cell)
		rc = cells_reserve(r, i);
	if (rc != 0)
		return rc;
	if (g->free != 0)
		g->free = h->next;
	else
		g->used++;
	COH_FAULT("ring.hand.new");
	h->deliveries = 0;
	return (int)i;
}

void coh_ring_hand_free(struct coh_ring *r, uint32_t i)
{
	struct coh_ring_get_side *g = &r->shared->get;
	struct coh_ring_hand *h = coh_ring_hand_at(r, i);
	enum coh_ring_state was = state_of(h);

	state_set(h, COH_RING_FREE);
	COH_FAULT("ring.hand.free");
	if (was != COH_RING_FREE)
		tally_add(r, was, -1);
	COH_FAULT("ring.hand.counted");
	h->next = g->free;
	COH_FAULT("ring.hand.listed");
	g->free = i + 1;
}

void coh_ring_hand_fill(struct coh_ring *r, uint32_t i, const struct coh_ring_next *n, unsigned seat,
    enum coh_ring_state state)
{
	struct coh_ring_hand *h = coh_ring_hand_at(r, i);

	if (n->hand == NULL) {
		h->block = n->block;
		h->number = r->shared->lane[n->lane].gets;
		h->size = n->record.size;
		h->from = n->record.seat;
		h->from_generation = n->record.generation;
		h->typed = (n->record.flags & COH_RING_TYPED) != 0;
		h->priority = (uint8_t)n->lane;
		if (n->block == 0)
			memcpy(coh_ring_cell_at(r, i), n->data, n->record.size);
	}
	h->seat = (uint16_t)seat;
	h->generation++;
	h->deliveries += state == COH_RING_LENT;
	COH_FAULT("ring.hand.filled");
	state_set(h, state);
	COH_FAULT("ring.hand.noted");
	coh_ring_own(r, n->block);
	COH_FAULT("ring.hand.owned");
	tally_add(r, state, 1);
	COH_FAULT("ring.hand.tallied");
	if (n->hand == NULL)
		coh_ring_advance(r, n);
	else
		tally_add(r, COH_RING_BACK, -1);
}

void coh_ring_drop(struct coh_ring *r, const struct coh_ring_next *n)
{
	coh_ring_own(r, n->block);
	COH_FAULT("ring.drop.owned");
	if (n->hand == NULL) {
		coh_ring_advance(r, n);
	} else {
		coh_ring_announce_room(r);
		coh_ring_hand_free(r, n->index);
	}
	coh_ring_free(r, n->block);
}

bool coh_ring_hand_back(struct coh_ring *r, uint32_t i)
{
	struct coh_ring_get_side *g = &r->shared->get;
	struct coh_ring_hand *h = coh_ring_hand_at(r, i);
	const struct coh_ring_config *c = &r->config;
	enum coh_ring_state was = state_of(h);
	bool fails = was == COH_RING_LENT && (c->once != 0 || (c->tries != 0 && h->deliveries >= c->tries));
	uint64_t block = h->block;

	if (fails || atomic_load(&r->shared->watch.shut) > 1) {
		g->failed += fails;
		g->dropped += !fails;
		COH_FAULT("ring.hand.failed");
		coh_ring_own(r, block);
		coh_ring_announce_room(r);
		coh_ring_hand_free(r, i);
		coh_ring_free(r, block);
		return false;
	}
	coh_ring_announce_items(r);
	state_set(h, COH_RING_BACK);
	COH_FAULT("ring.hand.back");
	tally_add(r, was, -1);
	COH_FAULT("ring.hand.between");
	tally_add(r, COH_RING_BACK, 1);
	g->returned++;
	return true;
}

/* ---- take ---- */

struct take {
	unsigned seat;
	const struct coh_want *want;
	struct coh_ring_lent *lent;
};

static int take_locked(struct coh_ring *r, const struct take *t)
{
	struct coh_ring_next n;
	struct coh_ring_hand *h;
	bool typed;
	int rc = coh_ring_find(r, &n), i;

	if (rc == COHORT_EEMPTY && atomic_load_explicit(&r->shared->watch.shut, memory_order_relaxed) != 0)
		return COHORT_ESHUTDOWN;
	if (rc != 0)
		return rc;
	typed = (n.record.flags & COH_RING_TYPED) != 0;
	t->lent->got = (struct coh_ring_got){.size = n.record.size, .typed = typed, .priority = n.lane};
	rc = coh_want_judge(t->want, typed, n.data, n.record.size);
	if (rc != 0)
		return rc;
	i = n.hand != NULL ? (int)n.index : coh_ring_hand_new(r, COH_RING_LENT, n.block == 0);
	if (i < 0)
		return i;
	coh_ring_hand_fill(r, (uint32_t)i, &n, t->seat, COH_RING_LENT);
	h = coh_ring_hand_at(r, (uint32_t)i);
	t->lent->data = n.block != 0 ? n.data : coh_ring_cell_at(r, (uint32_t)i);
	t->lent->got.deliveries = h->deliveries;
	t->lent->id = (uint64_t)h->generation << 32 | ((uint32_t)i + 1);
	return 0;
}

static int take_once(struct coh_ring *r, const struct take *t, cohort_time deadline)
{
	int rc = coh_ring_lock_get(r, deadline);

	if (rc != 0)
		return rc == COHORT_ETIMEDOUT ? COHORT_EEMPTY : rc;
	rc = take_locked(r, t);
	coh_ring_unlock_get(r);
	COH_FAULT("ring.take.unlocked");
	if (rc == 0)
		coh_ring_opened(r, false);
	return rc;
}

int coh_ring_take(struct coh_ring *r, unsigned seat, const struct coh_want *want,
    struct coh_ring_lent *lent, cohort_time deadline)
{
	struct take t = {.seat = seat, .want = want, .lent = lent};
	struct coh_ring_wait w = {0};
	int rc;

	coh_ring_tend_first(r);
	rc = take_once(r, &t, deadline);

	if (rc != COHORT_EEMPTY)
		return rc;
	if (deadline == COHORT_NOW) {
		coh_ring_quiet(r);
		return coh_ring_ready(r) ? take_once(r, &t, deadline) : rc;
	}
	while (rc == COHORT_EEMPTY) {
		if (coh_ring_wait_items(r, &w, deadline) != 0)
			return rc;
		rc = take_once(r, &t, deadline);
	}
	return coh_ring_pass_on(r, &w, rc);
}

/* The hand of ID, lent to this process: its index, or COHORT_EARGUMENT. */
static int hand_of(struct coh_ring *r, uint64_t id)
{
	uint32_t i = (uint32_t)id - 1;
	const struct coh_ring_hand *h;

	if ((uint32_t)id == 0 || i >= coh_ring_hands(r))
		return COHORT_EARGUMENT;
	h = coh_ring_hand_at(r, i);
	if (state_of(h) != COH_RING_LENT || h->generation != (uint32_t)(id >> 32) || h->seat >= COH_RING_SEATS)
		return COHORT_EARGUMENT;
	if (atomic_load(&r->shared->seat[h->seat].party) != coh_party_self())
		return COHORT_EARGUMENT;
	return (int)i;
}

int coh_ring_ack(struct coh_ring *r, uint64_t id)
{
	uint64_t block = 0;
	bool last = false;
	int rc = coh_ring_lock_get(r, COHORT_FOREVER), i;

	if (rc != 0)
		return rc;
	i = hand_of(r, id);
	if (i >= 0) {
		block = coh_ring_hand_at(r, (uint32_t)i)->block;
		coh_ring_own(r, block);
		COH_FAULT("ring.ack.owned");
		coh_ring_announce_room(r);
		coh_ring_hand_free(r, (uint32_t)i);
		last = coh_ring_unfinished(r) == 0;
	}
	coh_ring_unlock_get(r);
	COH_FAULT("ring.ack.unlocked");
	if (i < 0)
		return i;
	coh_ring_free(r, block);
	coh_ring_opened(r, block != 0);
	if (last)
		coh_gate_open(&r->shared->watch.done, INT_MAX);
	return 0;
}

int coh_ring_return(struct coh_ring *r, uint64_t id)
{
	bool back = false, last = false;
	uint32_t deliveries = 0;
	int rc = coh_ring_lock_both(r, COHORT_FOREVER), i;

	if (rc != 0)
		return rc;
	i = hand_of(r, id);
	if (i >= 0) {
		deliveries = coh_ring_hand_at(r, (uint32_t)i)->deliveries;
		back = coh_ring_hand_back(r, (uint32_t)i);
		last = coh_ring_unfinished(r) == 0;
	}
	coh_ring_unlock_both(r);
	if (i < 0)
		return i;
	if (back)
		coh_gate_open(&r->shared->watch.items, 1);
	else
		coh_ring_failed(r, 1, deliveries);
	if (last)
		coh_gate_open(&r->shared->watch.done, INT_MAX);
	return 0;
}

void coh_ring_failed(struct coh_ring *r, uint32_t n, uint32_t deliveries)
{
	coh_ring_opened(r, true);
	if (atomic_load(&r->shared->watch.shut) <= 1)
		coh_log(COHORT_LOG_WARN, "queue: %u item%s dropped, after %u time%s lent", n,
		    n == 1 ? " was" : "s were", deliveries, deliveries == 1 ? "" : "s");
}
