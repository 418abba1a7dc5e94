/*
 * ring.c - how a ring lies in its segment; making, attaching and looking at one.
 *
 *   reserved at once:   the segment's header, struct coh_ring_shared, the hands
 *   page by page:       cells of the hands, a lane for each priority, the heap
 *
 * Everything follows from the config, which has a sum: who attaches copies it once, checks it, computes the rest, and
 * never reads a size there again.
 *
 * A lane has three times the bytes that may be in use: then a record that is allowed always fits in one piece,
 * somewhere (ring_put.c).  Those bytes are addresses only, until they are used.
 */
#include "sync/ring_priv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define PAGE ((uint64_t)COH_RING_PAGE)
#define HEAP_MORE (UINT64_C(64) << 10) /* beyond `memory`: what alignment to pages wastes of one large block */
#define SIZE_TRIES 64                  /* of a look without locks */
#define SPIN_DEFAULT (20 * COHORT_US)  /* a few wake-ups' worth */
#define SPIN_FIRST 256u /* pauses */
#define PAUSE_FIRST 16u

_Static_assert(offsetof(struct coh_ring_shared, watch) % COH_RING_LINE == 0, "on lines of its own");
_Static_assert(sizeof(struct coh_segment_header) % COH_RING_LINE == 0, "what follows it is on a line of its own");
_Static_assert(sizeof(struct coh_ring_put_side) == COH_RING_LINE, "one line");
_Static_assert(sizeof(struct coh_ring_watch) == COH_RING_LINE, "one line");
_Static_assert(sizeof(struct coh_ring_hand) == COH_RING_LINE, "one line");
_Static_assert(sizeof(struct coh_ring_bytes) == 2 * sizeof(void *), "as struct cohort_bytes");

int coh_ring_config_check(const struct coh_ring_config *c)
{
	if (c->memory < COH_RING_MEMORY_MIN || c->memory > COH_RING_MEMORY_MAX)
		return COHORT_EARGUMENT;
	if (c->most < 1 || c->most > COH_RING_MOST || c->takes < 1 || c->takes > COH_RING_TAKES_MAX)
		return COHORT_EARGUMENT;
	if (c->inlined < 64 || c->inlined > COH_RING_INLINED_MAX || coh_ring_span(c->inlined) > c->memory)
		return COHORT_EARGUMENT;
	if (c->priorities < 1 || c->priorities > COH_RING_LANES)
		return COHORT_EARGUMENT;
	return c->format[COH_RING_FORMAT - 1] == '\0' ? 0 : COHORT_EARGUMENT;
}

/* FNV-1a: finds damage, no enemy. */
static uint64_t config_sum(const struct coh_ring_config *c)
{
	const unsigned char *p = (const unsigned char *)c;
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof *c; i++)
		sum = (sum ^ p[i]) * 0x100000001b3;
	return sum;
}

static uint64_t pages(uint64_t n)
{
	return (n + PAGE - 1) & ~(PAGE - 1);
}

/* ---- layout ---- */

static uint64_t heap_bytes(const struct coh_ring_config *c)
{
	uint64_t n = c->memory + HEAP_MORE;

	return n < COH_HEAP_MAX ? n : COH_HEAP_MAX;
}

/* Where things are in R, whose config is set; *END: the segment's size, *FIXED: of that reserved at once. */
static void lay_out(struct coh_ring *r, uint64_t *heap, uint64_t *fixed, uint64_t *end)
{
	const struct coh_ring_config *c = &r->config;
	uint64_t all = (uint64_t)c->most * coh_ring_span(c->inlined);

	r->hands = COH_RING_AFTER_HEADER + sizeof(struct coh_ring_shared);
	r->cell_size = (c->inlined + COH_RING_LINE - 1) & ~(uint64_t)(COH_RING_LINE - 1);
	*fixed = pages(r->hands + coh_ring_hands(r) * sizeof(struct coh_ring_hand));
	r->cells = *fixed;
	r->lanes = pages(r->cells + coh_ring_hands(r) * r->cell_size);
	r->lane_size = pages(3 * (all < c->memory ? all : c->memory) + 4 * PAGE);
	*heap = r->lanes + c->priorities * r->lane_size;
	*end = pages(*heap + coh_heap_region(heap_bytes(c)));
}

void coh_ring_layout(const struct coh_ring_config *c, size_t *fixed, size_t *sparse)
{
	struct coh_ring r = {.config = *c};
	uint64_t heap, reserved, end;

	lay_out(&r, &heap, &reserved, &end);
	*fixed = reserved;
	*sparse = end - reserved;
}

static void ring_see(struct coh_ring *r, void *base, int fd, const int *bells)
{
	static const uint32_t always = COH_RING_MARK;

	*r = (struct coh_ring){.base = base, .fd = fd, .mark = &always};
	r->spin = coh_gate_may_spin() ? SPIN_DEFAULT : -1;
	r->shared = (struct coh_ring_shared *)(void *)(r->base + COH_RING_AFTER_HEADER);
	for (int i = 0; i < COH_RING_BELLS; i++) {
		r->bell[i] = bells != NULL ? bells[i] : -1;
		atomic_store(&r->learnt[i].spin, SPIN_FIRST);
		atomic_store(&r->learnt[i].pause, PAUSE_FIRST);
	}
}

int coh_ring_init(struct coh_ring *r, void *base, int fd, const int *bells, const struct coh_ring_config *c)
{
	uint64_t heap, fixed, end;

	ring_see(r, base, fd, bells);
	r->config = *c;
	lay_out(r, &heap, &fixed, &end);
	r->shared->config = *c;
	r->shared->check = config_sum(c);
	return coh_heap_init(&r->heap, base, fd, heap, heap_bytes(c));
}

int coh_ring_attach(struct coh_ring *r, void *base, size_t size, int fd, const int *bells)
{
	uint64_t heap, fixed, end;

	if (size < COH_RING_AFTER_HEADER + sizeof(struct coh_ring_shared))
		return COHORT_ESEGMENT;
	ring_see(r, base, fd, bells);
	r->config = r->shared->config;
	if (config_sum(&r->config) != r->shared->check || coh_ring_config_check(&r->config) != 0)
		return COHORT_ESEGMENT;
	lay_out(r, &heap, &fixed, &end);
	if (end != size)
		return COHORT_ESEGMENT;
	return coh_heap_attach(&r->heap, base, fd, heap, heap_bytes(&r->config));
}

/* ---- looking ---- */

/*
 * Without locks: while no head and no hand moves from one look to the next, what tails said in between was true at one
 * instant, if there is but one lane; with several the tails must not move either.
 */
struct look {
	uint64_t head[COH_RING_LANES], tail[COH_RING_LANES], back;
};

static void look(struct coh_ring *r, struct look *l)
{
	struct coh_ring_shared *s = r->shared;

	COH_FAULT("ring.look.begin");
	for (unsigned i = 0; i < r->config.priorities; i++)
		l->head[i] = atomic_load(&s->lane[i].head);
	l->back = atomic_load(&s->watch.back);
	COH_FAULT("ring.look.tails");
	for (unsigned i = 0; i < r->config.priorities; i++)
		l->tail[i] = atomic_load(&s->lane[i].tail);
}

static int64_t look_size(struct coh_ring *r, const struct look *l)
{
	int64_t n = (uint32_t)l->back;

	for (unsigned i = 0; i < r->config.priorities; i++)
		n += coh_ring_between(l->head[i], l->tail[i]);
	return n;
}

static bool looks_agree(struct coh_ring *r, const struct look *a, const struct look *b)
{
	for (unsigned i = 0; i < r->config.priorities; i++)
		if (a->head[i] != b->head[i] || (r->config.priorities > 1 && a->tail[i] != b->tail[i]))
			return false;
	return a->back == b->back;
}

int64_t coh_ring_size(struct coh_ring *r)
{
	struct look before, after;
	int rc;

	if (!coh_ring_there(r))
		return COHORT_ESEGMENT;
	look(r, &before);
	for (int i = 0; i < SIZE_TRIES; i++) {
		look(r, &after);
		if (looks_agree(r, &before, &after))
			return look_size(r, &before);
		before = after;
	}
	rc = coh_ring_lock_both(r, COHORT_FOREVER);
	if (rc != 0)
		return rc;
	look(r, &before);
	coh_ring_unlock_both(r);
	return look_size(r, &before);
}

int coh_ring_stats(struct coh_ring *r, struct coh_ring_stats *stats)
{
	struct coh_ring_shared *s = r->shared;
	struct coh_heap_stats heap = {0};
	struct look now;
	int rc = coh_ring_lock_both(r, COHORT_FOREVER);

	if (rc != 0)
		return rc;
	look(r, &now);
	*stats = (struct coh_ring_stats){.size = (uint64_t)look_size(r, &now),
	    .lent = atomic_load(&s->get.lent),
	    .owed = s->get.owed,
	    .returned = s->get.returned,
	    .failed = s->get.failed,
	    .shut = atomic_load(&s->watch.shut) != 0};
	for (unsigned i = 0; i < r->config.priorities; i++)
		stats->put += s->lane[i].puts;
	stats->got = stats->put - stats->size - stats->lent - atomic_load(&s->get.getting) - s->get.failed -
	    s->get.dropped;
	coh_ring_unlock_both(r);
	rc = coh_heap_stats(&r->heap, &heap);
	stats->memory_used = heap.used;
	return rc;
}
