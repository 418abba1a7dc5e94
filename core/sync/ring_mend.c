/*
 * ring_mend.c - after a death.
 *
 * Nothing here decides whether a put or a get has happened: that is what heads, tails and states say.  What follows from
 * them is made anew: allowances by being forgotten, counts by counting, the list of free hands by making another.  Dying in the
 * middle of it is no harm: the next one does it again.
 *
 * Blocks are found by the sweep: those that nothing points to, noted under somebody who is dead.  The living are
 * left alone: they may have one in their hands that is not put yet, or not freed yet.
 */
#include "base/mem.h"
#include "sync/party.h"
#include "sync/ring_priv.h"

#include <errno.h>
#include <stdlib.h>

#define TEND_EVERY (COH_GATE_SLICE / 2) /* so that one who waits for a slice finds it was done in that slice */

/* Forget turns that no record has followed. */
static void mend_turns(struct coh_ring_lane *l)
{
	while (l->turns > 0 && l->turn[(l->turns - 1) % COH_RING_TURNS].count >= l->puts)
		l->turns--;
}

void coh_ring_mend_put(struct coh_ring *r)
{
	struct coh_ring_shared *s = r->shared;

	s->put.slots = 0;
	s->put.budget = 0;
	for (unsigned i = 0; i < r->config.priorities; i++) {
		s->lane[i].limit = 0;
		s->lane[i].puts = coh_ring_catch_up(s->lane[i].puts, atomic_load(&s->lane[i].tail));
		COH_FAULT("ring.mend.puts");
		mend_turns(&s->lane[i]);
	}
	atomic_store(&s->watch.dirty, 1);
	COH_FAULT("ring.mend.put");
}

/* In a hand that was noted, and still at the head of its lane: it never left. */
static bool hand_torn(struct coh_ring *r, const struct coh_ring_hand *h)
{
	return h->priority < r->config.priorities && h->number == r->shared->lane[h->priority].gets;
}

static void mend_hands(struct coh_ring *r)
{
	struct coh_ring_get_side *g = &r->shared->get;
	uint32_t hands = coh_ring_hands(r), counts[4] = {0}, free = 0, used = 0;
	uint64_t back;

	for (uint32_t i = 0; i < hands && i <= g->used; i++) {
		struct coh_ring_hand *h = coh_ring_hand_at(r, i);
		uint32_t state = atomic_load(&h->state) & 3;

		if ((state == COH_RING_LENT || state == COH_RING_GETTING) && hand_torn(r, h)) {
			state = COH_RING_FREE;
			atomic_store(&h->state, state);
			COH_FAULT("ring.mend.torn");
		}
		counts[state]++;
		used = state != COH_RING_FREE ? i + 1 : used;
	}
	for (uint32_t i = used; i-- > 0;) {
		struct coh_ring_hand *h = coh_ring_hand_at(r, i);

		if (atomic_load(&h->state) == COH_RING_FREE) {
			h->next = free;
			free = i + 1;
		}
	}
	for (uint32_t i = used; i < hands && i <= g->used; i++)
		coh_ring_hand_at(r, i)->next = 0;
	COH_FAULT("ring.mend.listed");
	g->free = free;
	g->used = used;
	COH_FAULT("ring.mend.used");
	atomic_store(&g->lent, counts[COH_RING_LENT]);
	atomic_store(&g->getting, counts[COH_RING_GETTING]);
	back = atomic_load(&r->shared->watch.back) / COH_RING_ONCE_BACK + 1;
	atomic_store(&r->shared->watch.back, back * COH_RING_ONCE_BACK + counts[COH_RING_BACK]);
}

void coh_ring_mend_get(struct coh_ring *r)
{
	struct coh_ring_shared *s = r->shared;
	uint32_t listeners[COH_RING_BELLS] = {0};

	s->get.owed = 0;
	for (unsigned i = 0; i < r->config.priorities; i++) {
		s->lane[i].seen = atomic_load(&s->lane[i].head);
		s->lane[i].gets = coh_ring_catch_up(s->lane[i].gets, s->lane[i].seen);
	}
	COH_FAULT("ring.mend.gets");
	mend_hands(r);
	for (unsigned i = 0; i < COH_RING_SEATS; i++) {
		struct coh_ring_seat *at = &s->seat[i];

		s->get.owed += at->owed;
		for (int b = 0; b < COH_RING_BELLS; b++)
			listeners[b] += at->listens >> b & 1;
	}
	for (int b = 0; b < COH_RING_BELLS; b++)
		atomic_store(&s->watch.listeners[b], listeners[b]);
	COH_FAULT("ring.mend.listeners");
	atomic_store(&s->watch.dirty, 1);
	COH_FAULT("ring.mend.get");
}

/* ---- blocks ---- */

struct places {
	uint64_t *at;
	size_t n, room;
};

static int places_add(struct places *p, uint64_t at)
{
	uint64_t *more;

	if (p->n == p->room) {
		more = coh_realloc(p->at, (p->room * 2 + 64) * sizeof *p->at);
		if (more == NULL)
			return -ENOMEM;
		p->at = more;
		p->room = p->room * 2 + 64;
	}
	p->at[p->n++] = at;
	return 0;
}

static int place_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The blocks that lanes and hands hold, sorted.  [put and get] */
static int places_held(struct coh_ring *r, struct places *p)
{
	struct coh_ring_next n;
	int rc = 0;

	for (unsigned i = 0; i < r->config.priorities; i++) {
		uint64_t head = atomic_load(&r->shared->lane[i].head);
		uint64_t tail = atomic_load(&r->shared->lane[i].tail);

		if (coh_ring_between(head, tail) > COH_RING_MOST)
			return COHORT_ESEGMENT;
		for (uint32_t todo = coh_ring_between(head, tail); rc == 0 && todo > 0; todo--) {
			rc = coh_ring_record_at(r, i, head, &n);
			head = n.head;
			if (rc == 0 && n.block != 0)
				rc = places_add(p, n.block);
		}
	}
	for (uint32_t i = 0; rc == 0 && i < r->shared->get.used && i < coh_ring_hands(r); i++) {
		struct coh_ring_hand *h = coh_ring_hand_at(r, i);

		if (atomic_load(&h->state) != COH_RING_FREE && h->block != 0)
			rc = places_add(p, h->block);
	}
	if (rc == 0 && p->n > 0)
		qsort(p->at, p->n, sizeof *p->at, place_compare);
	return rc;
}

static void blocks_free_lost(struct coh_ring *r, const struct places *p)
{
	uint64_t cursor = 0, at, owner, alive = 0;
	struct coh_heap_stats stats;

	(void)coh_heap_stats(&r->heap, &stats); /* has the heap mended, so that the walk sees what was half freed */
	while (coh_heap_next(&r->heap, &cursor, &at) == 1) {
		if (p->n > 0 && bsearch(&at, p->at, p->n, sizeof at, place_compare) != NULL)
			continue;
		owner = coh_heap_owner(&r->heap, at);
		if (owner == alive || owner == coh_party_self())
			continue;
		if (coh_party_alive(owner))
			alive = owner;
		else
			(void)coh_heap_free(&r->heap, at);
	}
}

int coh_ring_sweep(struct coh_ring *r)
{
	struct places p = {0};
	int rc = coh_ring_lock_both(r, COHORT_FOREVER);

	if (rc != 0)
		return rc;
	if (atomic_exchange(&r->shared->watch.dirty, 0) != 0) {
		COH_FAULT("ring.sweep.begin");
		rc = places_held(r, &p);
		if (rc == 0)
			blocks_free_lost(r, &p);
		else
			atomic_store(&r->shared->watch.dirty, 1);
		COH_FAULT("ring.sweep.done");
	}
	coh_ring_unlock_both(r);
	coh_free(p.at);
	if (rc == 0)
		coh_ring_opened(r, true);
	return rc == -ENOMEM ? 0 : rc; /* another time */
}

/* ---- those who are gone ---- */

int coh_ring_tend(struct coh_ring *r)
{
	struct coh_ring_shared *s = r->shared;
	uint64_t self = coh_party_self(), alive = self, party;

	atomic_store_explicit(&s->tended, cohort_now(), memory_order_relaxed);
	for (unsigned i = 1; i < COH_RING_SEATS; i++) {
		party = atomic_load_explicit(&s->seat[i].party, memory_order_relaxed);
		if (party == 0 || party == self || party == alive)
			continue;
		if (coh_party_alive(party))
			alive = party;
		else
			coh_ring_seat_reap(r, i, party);
	}
	return atomic_load(&s->watch.dirty) != 0 ? coh_ring_sweep(r) : 0;
}

void coh_ring_tend_lent(struct coh_ring *r)
{
	struct coh_ring_shared *s = r->shared;
	int64_t last = atomic_load_explicit(&s->tended, memory_order_relaxed), now;

	if (atomic_load_explicit(&s->get.lent, memory_order_relaxed) == 0 &&
	    atomic_load_explicit(&s->get.getting, memory_order_relaxed) == 0 &&
	    !coh_mutex_dead(&s->get.mutex) && !coh_mutex_dead(&s->put.mutex))
		return;
	now = cohort_now();
	if (now - last >= TEND_EVERY && atomic_compare_exchange_strong(&s->tended, &last, now))
		(void)coh_ring_tend(r);
}

/* ---- looking at everything ---- */

static const char *lane_check(struct coh_ring *r, unsigned i)
{
	struct coh_ring_lane *l = &r->shared->lane[i];
	uint64_t head = atomic_load(&l->head), tail = atomic_load(&l->tail);
	struct coh_ring_next n;

	if (l->ready > r->lane_size || l->limit > r->lane_size || coh_ring_between(head, tail) > COH_RING_MOST)
		return "a lane reaches behind its end";
	if (((uint32_t)l->puts & COH_RING_COUNTS) != coh_ring_count(tail) ||
	    ((uint32_t)l->gets & COH_RING_COUNTS) != coh_ring_count(head))
		return "a lane's counts do not fit its head and tail";
	for (uint32_t todo = coh_ring_between(head, tail); todo > 0; todo--) {
		if (coh_ring_record_at(r, i, head, &n) != 0)
			return "a record is damaged";
		head = n.head;
	}
	return head == tail ? NULL : "a lane's records do not end at its tail";
}

static const char *hands_check(struct coh_ring *r)
{
	struct coh_ring_get_side *g = &r->shared->get;
	uint32_t counts[4] = {0}, listed = 0;

	for (uint32_t i = 0; i < coh_ring_hands(r); i++) {
		struct coh_ring_hand *h = coh_ring_hand_at(r, i);
		uint32_t state = atomic_load(&h->state);

		if (state > COH_RING_GETTING || (i >= g->used && state != COH_RING_FREE))
			return "a hand has no known state";
		counts[state] += i < g->used;
		if (state == COH_RING_FREE || h->block == 0)
			continue;
		if (coh_heap_at(&r->heap, h->block, NULL) == NULL)
			return "a hand holds no block";
	}
	for (uint32_t at = g->free; at != 0 && listed <= g->used; listed++) {
		if (at > g->used || at > coh_ring_hands(r) || atomic_load(&coh_ring_hand_at(r, at - 1)->state) != COH_RING_FREE)
			return "the list of free hands is damaged";
		at = coh_ring_hand_at(r, at - 1)->next;
	}
	if (listed != counts[COH_RING_FREE])
		return "a free hand is not in the list";
	if (counts[COH_RING_LENT] != atomic_load(&g->lent) || counts[COH_RING_GETTING] != atomic_load(&g->getting) ||
	    counts[COH_RING_BACK] != coh_ring_came_back(r))
		return "the counts of hands are wrong";
	return NULL;
}

static const char *seats_check(struct coh_ring *r)
{
	uint64_t owed = 0;

	for (unsigned i = 0; i < COH_RING_SEATS; i++)
		owed += r->shared->seat[i].owed;
	return owed == r->shared->get.owed ? NULL : "what seats owe is not the sum";
}

/* Each block is held once, or not at all and somebody's who lives. */
static const char *blocks_check(struct coh_ring *r)
{
	struct places p = {0};
	uint64_t cursor = 0, at;
	const char *why = places_held(r, &p) == 0 ? NULL : "the blocks cannot be listed";

	for (size_t i = 1; why == NULL && i < p.n; i++)
		if (p.at[i] == p.at[i - 1])
			why = "a block is held twice";
	while (why == NULL && coh_heap_next(&r->heap, &cursor, &at) == 1)
		if ((p.n == 0 || bsearch(&at, p.at, p.n, sizeof at, place_compare) == NULL) &&
		    !coh_party_alive(coh_heap_owner(&r->heap, at)))
			why = "a block is lost";
	coh_free(p.at);
	return why;
}

int coh_ring_check(struct coh_ring *r, const char **why)
{
	int rc = coh_ring_lock_both(r, COHORT_FOREVER);

	*why = NULL;
	if (rc != 0)
		return rc;
	for (unsigned i = 0; *why == NULL && i < r->config.priorities; i++)
		*why = lane_check(r, i);
	if (*why == NULL)
		*why = hands_check(r);
	if (*why == NULL)
		*why = seats_check(r);
	if (*why == NULL && coh_heap_check(&r->heap) != 0)
		*why = "the heap is damaged";
	if (*why == NULL)
		*why = blocks_check(r);
	coh_ring_unlock_both(r);
	return *why == NULL ? 0 : COHORT_ESEGMENT;
}
