/*
 * ring_get.c - records out of a lane.
 *
 * A get copies the record at the head, then stores the head; after that its place may be written anew.  A large item is
 * copied outside the lock: its block moves to a hand first (GETTING), so that it is found when the getter dies.
 *
 * What was read in shared memory is copied, checked, then used: it may change while we look.
 */
#include "sync/ring_priv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int coh_ring_record_at(struct coh_ring *r, unsigned lane, uint64_t head, struct coh_ring_next *n)
{
	uint64_t most = r->lane_size - sizeof n->record, place = coh_ring_place(head);
	uint64_t size = sizeof n->block;
	char *base = coh_ring_lane_at(r, lane);

	if (place > most)
		return COHORT_ESEGMENT;
	memcpy(&n->record, base + place, sizeof n->record);
	if (__builtin_expect(n->record.size == COH_RING_SKIP, 0)) {
		struct coh_ring_skip skip;

		memcpy(&skip, base + place, sizeof skip);
		place = (uint64_t)skip.page * COH_RING_PAGE;
		if (place > most)
			return COHORT_ESEGMENT;
		memcpy(&n->record, base + place, sizeof n->record);
	}
	if (!(n->record.flags & COH_RING_BLOCK)) {
		size = n->record.size;
		if (size > r->config.inlined)
			return COHORT_ESEGMENT;
	}
	if (coh_ring_span(size) > r->lane_size - place || n->record.seat >= COH_RING_SEATS)
		return COHORT_ESEGMENT;
	n->hand = NULL;
	n->lane = lane;
	n->head = coh_ring_word(coh_ring_count(head) + 1, place + coh_ring_span(size));
	n->data = base + place + sizeof n->record;
	n->block = 0;
	if (n->record.flags & COH_RING_BLOCK) {
		size_t room = 0;

		memcpy(&n->block, n->data, sizeof n->block);
		n->data = coh_heap_at(&r->heap, n->block, &room);
		if (n->data == NULL || room < n->record.size)
			return COHORT_ESEGMENT;
	}
	return 0;
}

/* Of those that came back the one that goes first: the highest priority, then the oldest. */
static struct coh_ring_hand *hand_first(struct coh_ring *r, uint32_t *index)
{
	uint32_t used = r->shared->get.used, hands = coh_ring_hands(r);
	struct coh_ring_hand *best = NULL;

	for (uint32_t i = 0; i < used && i < hands; i++) {
		struct coh_ring_hand *h = coh_ring_hand_at(r, i);

		if (atomic_load_explicit(&h->state, memory_order_relaxed) != COH_RING_BACK)
			continue;
		if (best == NULL || h->priority > best->priority ||
		    (h->priority == best->priority && h->number < best->number)) {
			best = h;
			*index = i;
		}
	}
	return best;
}

static int hand_next(struct coh_ring *r, struct coh_ring_next *n, struct coh_ring_hand *h, uint32_t index)
{
	size_t room = r->config.inlined;

	n->hand = h;
	n->index = index;
	n->lane = h->priority;
	n->record = (struct coh_ring_record){.size = h->size,
	    .flags = h->typed != 0 ? COH_RING_TYPED : 0,
	    .generation = h->from_generation,
	    .seat = h->from};
	n->block = h->block;
	n->data = n->block == 0 ? coh_ring_cell_at(r, index) : coh_heap_at(&r->heap, n->block, &room);
	if (n->data == NULL || n->record.size > room || n->lane >= r->config.priorities ||
	    n->record.seat >= COH_RING_SEATS)
		return COHORT_ESEGMENT;
	return 0;
}

int coh_ring_find(struct coh_ring *r, struct coh_ring_next *n)
{
	struct coh_ring_shared *s = r->shared;
	struct coh_ring_hand *back = NULL;
	uint32_t index = 0;

	if (__builtin_expect(coh_ring_came_back(r) != 0, 0))
		back = hand_first(r, &index);
	for (unsigned i = r->config.priorities; i-- > 0;) {
		struct coh_ring_lane *l = &s->lane[i];
		uint64_t head = atomic_load_explicit(&l->head, memory_order_relaxed);

		if (back != NULL && back->priority >= i)
			break;
		if (l->seen == head)
			l->seen = atomic_load_explicit(&l->tail, memory_order_acquire); /* pairs with put_commit */
		if (l->seen != head)
			return coh_ring_between(head, l->seen) - 1 < COH_RING_MOST ? coh_ring_record_at(r, i, head, n)
										   : COHORT_ESEGMENT;
	}
	return back != NULL ? hand_next(r, n, back, index) : COHORT_EEMPTY;
}

void coh_ring_advance(struct coh_ring *r, const struct coh_ring_next *n)
{
	struct coh_ring_lane *l = &r->shared->lane[n->lane];

	coh_ring_announce_room(r);
	COH_FAULT("ring.get.announced");
	atomic_store_explicit(&l->head, n->head, memory_order_release); /* pairs with find_place: what was read may be written */
	COH_FAULT("ring.get.committed");
	l->gets++;
}

bool coh_ring_ready(struct coh_ring *r)
{
	struct coh_ring_shared *s = r->shared;

	for (unsigned i = 0; i < r->config.priorities; i++)
		if (atomic_load_explicit(&s->lane[i].head, memory_order_relaxed) !=
		    atomic_load_explicit(&s->lane[i].tail, memory_order_acquire))
			return true;
	return coh_ring_came_back(r) != 0 || atomic_load_explicit(&s->watch.shut, memory_order_relaxed) != 0;
}

/* The bell rang as the item left, when its block was not free yet: whoever came then found no memory. */
static void ring_once_more(struct coh_ring *r)
{
	if (atomic_load_explicit(&r->shared->watch.listeners[COH_RING_ROOM], memory_order_relaxed) == 0 ||
	    coh_ring_lock_get(r, COHORT_FOREVER) != 0)
		return;
	coh_ring_ring_room(r);
	coh_ring_unlock_get(r);
}

void coh_ring_opened(struct coh_ring *r, bool block)
{
	struct coh_ring_watch *w = &r->shared->watch;

	if (block)
		ring_once_more(r);
	coh_gate_open(&w->room, 1);
	coh_gate_open(&w->left, INT_MAX);
	if (block)
		coh_gate_open(&w->space, INT_MAX);
}

/* ---- one ---- */

static void got_fill(struct coh_ring_got *got, const struct coh_ring_next *n)
{
	got->size = n->record.size;
	got->typed = (n->record.flags & COH_RING_TYPED) != 0;
	got->priority = n->lane;
	got->deliveries = n->hand != NULL ? n->hand->deliveries + 1 : 1;
}

/* How a get goes on once the lock is let go. */
enum after { AFTER_DONE, AFTER_COPY };

struct get {
	unsigned seat;
	const struct coh_want *want;
	void *buffer;
	struct coh_ring_got *got;
	/* of a large item that is copied outside the lock */
	const char *from;
	uint32_t hand;
	bool block;
};

/* The item at N, which is wanted, is G's.  [get] */
static enum after hand_over(struct coh_ring *r, struct get *g, const struct coh_ring_next *n)
{
	int i = n->hand != NULL ? (int)n->index : -1;

	g->block = n->block != 0;
	if (g->block && i < 0)
		i = coh_ring_hand_new(r, COH_RING_GETTING, false);
	if (g->block && i >= 0) {
		coh_ring_hand_fill(r, (uint32_t)i, n, g->seat, COH_RING_GETTING);
		g->from = n->data;
		g->hand = (uint32_t)i;
		return AFTER_COPY;
	}
	memcpy(g->buffer, n->data, n->record.size);
	COH_FAULT("ring.get.copied");
	coh_ring_owe(r, g->seat, 1);
	if (n->hand != NULL || g->block)
		coh_ring_drop(r, n);
	else
		coh_ring_advance(r, n);
	return AFTER_DONE;
}

static int get_locked(struct coh_ring *r, struct get *g, enum after *after)
{
	struct coh_ring_next n;
	int rc = coh_ring_find(r, &n);

	COH_FAULT("ring.get.locked");
	*after = AFTER_DONE;
	if (rc != 0)
		return rc == COHORT_EEMPTY && atomic_load_explicit(&r->shared->watch.shut, memory_order_relaxed) != 0
		    ? COHORT_ESHUTDOWN
		    : rc;
	got_fill(g->got, &n);
	rc = coh_want_judge(g->want, g->got->typed, n.data, n.record.size);
	if (rc == 0)
		*after = hand_over(r, g, &n);
	return rc;
}

/* The large item is copied; then its hand is empty. */
static int get_copy(struct coh_ring *r, const struct get *g)
{
	uint64_t block;
	int rc;

	COH_FAULT("ring.get.copying");
	memcpy(g->buffer, g->from, g->got->size);
	rc = coh_ring_lock_get(r, COHORT_FOREVER);
	if (rc != 0)
		return rc;
	block = coh_ring_hand_at(r, g->hand)->block;
	coh_ring_own(r, block);
	COH_FAULT("ring.get.owned");
	coh_ring_owe(r, g->seat, 1);
	coh_ring_hand_free(r, g->hand);
	coh_ring_announce_room(r);
	coh_ring_unlock_get(r);
	COH_FAULT("ring.get.emptied");
	coh_ring_free(r, block);
	return 0;
}

static int get_once(struct coh_ring *r, struct get *g, cohort_time deadline)
{
	enum after after;
	int rc = coh_ring_lock_get(r, deadline);

	if (rc != 0)
		return rc == COHORT_ETIMEDOUT ? COHORT_EEMPTY : rc;
	rc = get_locked(r, g, &after);
	coh_ring_unlock_get(r);
	COH_FAULT("ring.get.unlocked");
	if (rc == 0 && after == AFTER_COPY)
		rc = get_copy(r, g);
	if (rc == 0)
		coh_ring_opened(r, g->block);
	return rc;
}

int coh_ring_pass_on(struct coh_ring *r, const struct coh_ring_wait *w, int rc)
{
	if (w->slept && rc != COHORT_EEMPTY && coh_ring_ready(r)) {
		atomic_thread_fence(memory_order_seq_cst);
		coh_gate_open(&r->shared->watch.items, 1);
	}
	return rc;
}

void coh_ring_quiet(struct coh_ring *r)
{
	coh_ring_tend_lent(r);
	if (atomic_load(&r->shared->watch.listeners[COH_RING_ITEMS]) != 0)
		coh_ring_hush_items(r);
}

int coh_ring_get(struct coh_ring *r, unsigned seat, const struct coh_want *want, void *buffer,
    struct coh_ring_got *got, cohort_time deadline)
{
	struct get g = {.seat = seat, .want = want, .buffer = buffer, .got = got};
	struct coh_ring_wait w = {0};
	int rc;

	coh_ring_tend_first(r);
	rc = get_once(r, &g, deadline);

	if (rc != COHORT_EEMPTY)
		return rc;
	if (deadline == COHORT_NOW) {
		coh_ring_quiet(r);
		return coh_ring_ready(r) ? get_once(r, &g, deadline) : rc;
	}
	while (rc == COHORT_EEMPTY) {
		if (coh_ring_wait_items(r, &w, deadline) != 0)
			return rc;
		rc = get_once(r, &g, deadline);
	}
	return coh_ring_pass_on(r, &w, rc);
}

/* ---- a look ---- */

static int peek_once(struct coh_ring *r, struct get *g, cohort_time deadline)
{
	struct coh_ring_next n;
	int rc = coh_ring_lock_get(r, deadline);

	if (rc != 0)
		return rc == COHORT_ETIMEDOUT ? COHORT_EEMPTY : rc;
	rc = coh_ring_find(r, &n);
	if (rc == 0) {
		got_fill(g->got, &n);
		rc = coh_want_judge(g->want, g->got->typed, n.data, n.record.size);
	} else if (rc == COHORT_EEMPTY && atomic_load(&r->shared->watch.shut) != 0) {
		rc = COHORT_ESHUTDOWN;
	}
	if (rc == 0)
		memcpy(g->buffer, n.data, n.record.size);
	coh_ring_unlock_get(r);
	return rc;
}

int coh_ring_peek(struct coh_ring *r, const struct coh_want *want, void *buffer,
    struct coh_ring_got *got, cohort_time deadline)
{
	struct get g = {.want = want, .buffer = buffer, .got = got};
	struct coh_ring_wait w = {0};
	int rc;

	coh_ring_tend_first(r);
	rc = peek_once(r, &g, deadline);

	if (rc == COHORT_EEMPTY && deadline == COHORT_NOW)
		coh_ring_quiet(r);
	while (rc == COHORT_EEMPTY && deadline != COHORT_NOW && coh_ring_wait_items(r, &w, deadline) == 0)
		rc = peek_once(r, &g, deadline);
	return coh_ring_pass_on(r, &w, rc);
}

/* ---- many ---- */

/* Where a batch stands. */
struct filling {
	const struct coh_ring_batch *batch;
	int n;
	size_t used;
	struct coh_ring_next last; /* lane and head of it alone; the head is not stored yet */
	uint32_t pending;          /* records up to it */
};

static void batch_note(const struct filling *f, const void *data, size_t size)
{
	struct coh_ring_bytes b = {.data = data, .size = size};

	memcpy((char *)f->batch->items + (size_t)f->n * sizeof b, &b, sizeof b);
}

/* The item N, in a lane and inline, joins the batch: 0, or why not. */
static int batch_add(struct filling *f, const struct coh_ring_next *n)
{
	struct coh_want want = {.form = COH_WANT_BYTES, .most = f->batch->size - f->used};
	char *to = (char *)f->batch->buffer + f->used;
	int rc = coh_want_judge(&want, (n->record.flags & COH_RING_TYPED) != 0, n->data, n->record.size);

	if (rc != 0) {
		if (f->n == 0)
			batch_note(f, NULL, n->record.size);
		return rc;
	}
	memcpy(to, n->data, n->record.size);
	batch_note(f, to, n->record.size);
	f->n++;
	f->used += n->record.size;
	f->last.lane = n->lane;
	f->last.head = n->head;
	f->pending++;
	return 0;
}

/* What joined leaves its lane: 0, or why it stays there, and has not joined. */
static int batch_commit(struct coh_ring *r, struct filling *f, unsigned seat)
{
	const struct coh_ring_batch *b = f->batch;
	int rc = f->pending != 0 && b->fits != NULL ? b->fits(b->arg, f->n, f->used) : 0;

	if (rc != 0)
		f->n -= (int)f->pending;
	if (f->pending == 0 || rc != 0)
		return rc;
	coh_ring_owe(r, seat, f->pending);
	coh_ring_advance(r, &f->last);
	COH_FAULT("ring.get.batch");
	r->shared->lane[f->last.lane].gets += f->pending - 1;
	f->pending = 0;
	return 0;
}

/*
 * Small ones behind what joined last, up to SEEN: as many as there is room for.  The same as one by one, without what is not
 * needed for these.
 */
static void batch_small(struct coh_ring *r, struct filling *f, uint64_t seen)
{
	uint64_t head = f->last.head, place = coh_ring_place(head), most = r->lane_size - sizeof(struct coh_ring_record);
	const char *base = coh_ring_lane_at(r, f->last.lane);
	char *to = (char *)f->batch->buffer + f->used;
	size_t room = f->batch->size - f->used;
	uint32_t n = 0, there = coh_ring_between(head, seen), wanted = (uint32_t)(f->batch->n - f->n);
	struct coh_ring_record record;

	for (there = there < wanted ? there : wanted; n < there && place <= most; n++) {
		memcpy(&record, base + place, sizeof record);
		if (record.flags != 0 || record.size > r->config.inlined || record.size > room ||
		    coh_ring_span(record.size) > r->lane_size - place)
			break;
		memcpy(to, base + place + sizeof record, record.size);
		batch_note(f, to, record.size);
		f->n++;
		to += record.size;
		room -= record.size;
		place += coh_ring_span(record.size);
	}
	f->used = f->batch->size - room;
	f->pending += n;
	f->last.head = coh_ring_word(coh_ring_count(head) + n, place);
}

/* Records of LANE from its head on, as many as join.  0: go on with another lane or hand. */
static int batch_lane(struct coh_ring *r, struct filling *f, const struct coh_ring_next *first)
{
	struct coh_ring_lane *l = &r->shared->lane[first->lane];
	struct coh_ring_next n = *first;
	int rc = 0;

	while (rc == 0 && f->n < f->batch->n) {
		if (n.block != 0)
			return COHORT_ENOTSUP; /* alone, by coh_ring_get */
		rc = batch_add(f, &n);
		if (rc == 0)
			batch_small(r, f, l->seen);
		if (rc != 0 || f->last.head == l->seen || f->n == f->batch->n)
			break;
		rc = coh_ring_record_at(r, first->lane, f->last.head, &n);
	}
	return rc;
}

static int batch_locked(struct coh_ring *r, struct filling *f, unsigned seat)
{
	struct coh_ring_next n;
	int rc = 0, refused;

	while (rc == 0 && f->n < f->batch->n) {
		rc = coh_ring_find(r, &n);
		if (rc == 0 && n.hand != NULL)
			rc = COHORT_ENOTSUP;
		if (rc == 0)
			rc = batch_lane(r, f, &n);
		refused = batch_commit(r, f, seat);
		rc = refused != 0 ? refused : rc;
	}
	if (rc == COHORT_EEMPTY && f->n == 0 && atomic_load(&r->shared->watch.shut) != 0)
		return COHORT_ESHUTDOWN;
	return rc;
}

static int batch_once(struct coh_ring *r, struct filling *f, unsigned seat, cohort_time deadline)
{
	int rc = coh_ring_lock_get(r, deadline);

	if (rc != 0)
		return rc == COHORT_ETIMEDOUT ? COHORT_EEMPTY : rc;
	rc = batch_locked(r, f, seat);
	coh_ring_unlock_get(r);
	COH_FAULT("ring.get.batched");
	if (f->n > 0) {
		coh_gate_open(&r->shared->watch.room, f->n);
		coh_gate_open(&r->shared->watch.left, INT_MAX);
	}
	return rc;
}

static int alone_fits(void *arg, size_t size)
{
	const struct coh_ring_batch *b = arg;

	return b->fits(b->arg, 1, size);
}

/* The first is in a hand, or large. */
static int batch_alone(struct coh_ring *r, struct filling *f, unsigned seat)
{
	struct coh_want want = {.form = COH_WANT_BYTES,
	    .most = f->batch->size,
	    .fits = f->batch->fits != NULL ? alone_fits : NULL,
	    .arg = (void *)(uintptr_t)f->batch};
	struct coh_ring_got got = {0};
	int rc = coh_ring_get(r, seat, &want, f->batch->buffer, &got, COHORT_NOW);

	if (rc == 0 || rc == COHORT_ETOOBIG)
		batch_note(f, rc == 0 ? f->batch->buffer : NULL, got.size);
	f->n = rc == 0;
	return rc;
}

int coh_ring_get_many(struct coh_ring *r, unsigned seat, const struct coh_ring_batch *b, cohort_time deadline)
{
	struct filling f = {.batch = b};
	struct coh_ring_wait w = {0};
	int rc;

	coh_ring_tend_first(r);
	rc = batch_once(r, &f, seat, deadline);

	for (;;) {
		if (rc == COHORT_ENOTSUP && f.n == 0)
			rc = batch_alone(r, &f, seat);
		if (f.n > 0 || rc != COHORT_EEMPTY)
			break;
		if (deadline == COHORT_NOW) {
			coh_ring_quiet(r);
			break;
		}
		if (coh_ring_wait_items(r, &w, deadline) != 0)
			break;
		rc = batch_once(r, &f, seat, deadline);
	}
	coh_ring_pass_on(r, &w, f.n > 0 ? 0 : rc);
	return f.n > 0 ? f.n : rc;
}
