/*
 * ring_seat.c - who uses a ring, what was got and is not done, and the end.
 *
 * A seat is taken for a handle, or a client of a server, and given up with it; those of the dead are found by who waits.
 * What is unfinished is what is there, what is lent, and what seats owe: got through them, and not said to be done.
 * A seat that is given up owes nothing any more, so that the death of a consumer holds up no join.
 */
#include "sync/party.h"
#include "sync/ring_priv.h"

#include <errno.h>
#include <limits.h>

/* ---- what is not done ---- */

static uint64_t lanes_size(struct coh_ring *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->config.priorities; i++) {
		struct coh_ring_lane *l = &r->shared->lane[i];

		n += coh_ring_between(atomic_load_explicit(&l->head, memory_order_relaxed),
		    atomic_load_explicit(&l->tail, memory_order_acquire));
	}
	return n;
}

uint64_t coh_ring_unfinished(struct coh_ring *r)
{
	struct coh_ring_shared *s = r->shared;

	return lanes_size(r) + coh_ring_came_back(r) + atomic_load(&s->get.lent) + atomic_load(&s->get.getting) + s->get.owed;
}

/* A seat that owes something: SEAT itself if it does. */
static struct coh_ring_seat *debtor(struct coh_ring *r, unsigned seat)
{
	struct coh_ring_seat *all = r->shared->seat;

	if (all[seat].owed != 0)
		return &all[seat];
	for (unsigned i = 0; i < COH_RING_SEATS; i++)
		if (all[i].owed != 0)
			return &all[i];
	return NULL;
}

int coh_ring_task_done(struct coh_ring *r, unsigned seat)
{
	struct coh_ring_seat *s;
	bool last = false;
	int rc = coh_ring_lock_get(r, COHORT_FOREVER);

	if (rc != 0)
		return rc;
	s = r->shared->get.owed != 0 ? debtor(r, seat) : NULL;
	if (s != NULL) {
		s->owed--;
		COH_FAULT("ring.done.seat");
		r->shared->get.owed--;
		last = coh_ring_unfinished(r) == 0;
	}
	coh_ring_unlock_get(r);
	if (last)
		coh_gate_open(&r->shared->watch.done, INT_MAX);
	return s != NULL ? 0 : COHORT_EOVER;
}

int coh_ring_join(struct coh_ring *r, cohort_time deadline)
{
	struct coh_ring_wait w = {0};
	uint64_t left;
	int rc;

	for (;;) {
		rc = coh_ring_lock_get(r, deadline);
		if (rc != 0)
			return rc;
		left = coh_ring_unfinished(r);
		coh_ring_unlock_get(r);
		if (left == 0)
			return 0;
		if (coh_ring_wait_gate(r, &r->shared->watch.done, &w, deadline) != 0)
			return COHORT_ETIMEDOUT;
		rc = w.slept ? coh_ring_tend(r) : 0;
		if (rc != 0)
			return rc;
	}
}

/* ---- seats ---- */

static int seat_find(struct coh_ring *r)
{
	struct coh_ring_seat *all = r->shared->seat;

	for (int i = 1; i < COH_RING_SEATS; i++)
		if (atomic_load(&all[i].party) == 0)
			return i;
	return -ENOSPC;
}

int coh_ring_sit(struct coh_ring *r)
{
	int rc, seat = -ENOSPC;

	for (int tries = 0; seat < 0 && tries < 2; tries++) {
		rc = tries == 0 ? 0 : coh_ring_tend(r);
		if (rc == 0)
			rc = coh_ring_lock_both(r, COHORT_FOREVER);
		if (rc != 0)
			return rc;
		seat = seat_find(r);
		if (seat > 0)
			atomic_store(&r->shared->seat[seat].party, coh_party_self());
		COH_FAULT("ring.seat.taken");
		coh_ring_unlock_both(r);
	}
	return seat;
}

static bool was_put_by(const struct coh_ring_seat *s, unsigned seat, unsigned from, unsigned generation)
{
	return from == seat && generation == (uint8_t)s->generation;
}

/* Items of SEAT in LANE, or COHORT_ESEGMENT.  [get] */
static int64_t lane_left(struct coh_ring *r, unsigned seat, unsigned lane)
{
	struct coh_ring_lane *l = &r->shared->lane[lane];
	uint64_t head = atomic_load_explicit(&l->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&l->tail, memory_order_acquire);
	struct coh_ring_next n;
	int64_t left = 0;

	if (coh_ring_between(head, tail) > COH_RING_MOST)
		return COHORT_ESEGMENT;
	for (uint32_t todo = coh_ring_between(head, tail); todo > 0; todo--) {
		if (coh_ring_record_at(r, lane, head, &n) != 0)
			return COHORT_ESEGMENT;
		left += was_put_by(&r->shared->seat[seat], seat, n.record.seat, n.record.generation);
		head = n.head;
	}
	return left;
}

int64_t coh_ring_left(struct coh_ring *r, unsigned seat)
{
	int64_t left = 0, n;
	int rc = coh_ring_lock_get(r, COHORT_FOREVER);

	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < r->config.priorities && left >= 0; i++) {
		n = lane_left(r, seat, i);
		left = n < 0 ? n : left + n;
	}
	for (uint32_t i = 0; left >= 0 && i < r->shared->get.used && i < coh_ring_hands(r); i++) {
		struct coh_ring_hand *h = coh_ring_hand_at(r, i);

		left += atomic_load(&h->state) != COH_RING_FREE &&
		    was_put_by(&r->shared->seat[seat], seat, h->from, h->from_generation);
	}
	coh_ring_unlock_get(r);
	return left;
}

/* What SEAT was lent goes back, what it owes is done.  [put and get] */
static void seat_settle(struct coh_ring *r, unsigned seat, struct coh_ring_settled *done)
{
	struct coh_ring_shared *s = r->shared;
	struct coh_ring_seat *at = &s->seat[seat];

	for (uint32_t i = 0; i < s->get.used && i < coh_ring_hands(r); i++) {
		struct coh_ring_hand *h = coh_ring_hand_at(r, i);
		uint32_t state = atomic_load(&h->state), deliveries = h->deliveries;

		if (h->seat != seat || (state != COH_RING_LENT && state != COH_RING_GETTING))
			continue;
		if (coh_ring_hand_back(r, i)) {
			done->back++;
		} else {
			done->failed++;
			done->deliveries = deliveries;
		}
	}
	s->get.owed -= at->owed < s->get.owed ? at->owed : s->get.owed;
	COH_FAULT("ring.seat.forgiven");
	at->owed = 0;
	done->last = coh_ring_unfinished(r) == 0;
}

/* SEAT is free for others.  [put and get] */
static void seat_free(struct coh_ring *r, unsigned seat)
{
	struct coh_ring_seat *at = &r->shared->seat[seat];

	for (int i = 0; i < COH_RING_BELLS; i++)
		if (at->listens & 1u << i)
			atomic_fetch_sub(&r->shared->watch.listeners[i], 1);
	COH_FAULT("ring.seat.deaf");
	at->listens = 0;
	at->generation++;
	COH_FAULT("ring.seat.settled");
	atomic_store(&at->party, 0);
	COH_FAULT("ring.seat.free");
}

/* After the locks. */
static void settled(struct coh_ring *r, const struct coh_ring_settled *done)
{
	if (done->failed > 0)
		coh_ring_failed(r, done->failed, done->deliveries);
	if (done->back > 0)
		coh_gate_open(&r->shared->watch.items, (int)done->back);
	if (done->last)
		coh_gate_open(&r->shared->watch.done, INT_MAX);
}

void coh_ring_seat_reap(struct coh_ring *r, unsigned seat, uint64_t party)
{
	struct coh_ring_settled done = {0};

	if (coh_ring_lock_both(r, COHORT_FOREVER) != 0)
		return;
	if (atomic_load(&r->shared->seat[seat].party) == party) {
		seat_settle(r, seat, &done);
		seat_free(r, seat);
		atomic_store(&r->shared->watch.dirty, 1);
	}
	coh_ring_unlock_both(r);
	settled(r, &done);
}

int64_t coh_ring_leave(struct coh_ring *r, unsigned seat, cohort_time deadline)
{
	struct coh_ring_settled done = {0};
	struct coh_ring_wait w = {0};
	int64_t left;
	int rc = coh_ring_lock_both(r, COHORT_FOREVER);

	if (rc != 0)
		return rc;
	seat_settle(r, seat, &done);
	coh_ring_unlock_both(r);
	settled(r, &done);
	do {
		left = coh_ring_left(r, seat);
		if (left > 0 && w.slept)
			(void)coh_ring_tend(r); /* one may be lent to somebody who died */
	} while (left > 0 && coh_ring_wait_gate(r, &r->shared->watch.left, &w, deadline) == 0);
	rc = coh_ring_lock_both(r, COHORT_FOREVER);
	if (rc != 0)
		return rc;
	seat_free(r, seat);
	coh_ring_unlock_both(r);
	return left;
}

/* ---- the end ---- */

int64_t coh_ring_shutdown(struct coh_ring *r, bool now)
{
	struct coh_ring_watch *w = &r->shared->watch;
	struct coh_ring_next n;
	int64_t dropped = 0;
	int rc = coh_ring_lock_both(r, COHORT_FOREVER), end = COHORT_EEMPTY;

	if (rc != 0)
		return rc;
	coh_ring_announce_items(r);
	coh_ring_announce_room(r);
	COH_FAULT("ring.shutdown.announced");
	if (atomic_load(&w->shut) < (now ? 2u : 1u))
		atomic_store(&w->shut, now ? 2 : 1);
	COH_FAULT("ring.shutdown.said");
	while (now && (end = coh_ring_find(r, &n)) == 0) {
		coh_ring_drop(r, &n);
		r->shared->get.dropped++;
		COH_FAULT("ring.shutdown.dropped");
		dropped++;
	}
	coh_ring_unlock_both(r);
	coh_gate_open(&w->items, INT_MAX);
	coh_gate_open(&w->room, INT_MAX);
	coh_gate_open(&w->space, INT_MAX);
	coh_gate_open(&w->done, INT_MAX);
	coh_gate_open(&w->left, INT_MAX);
	return end == COHORT_EEMPTY ? dropped : end;
}
