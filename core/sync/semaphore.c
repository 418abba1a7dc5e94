/*
 * semaphore.c - permits, and which process holds how many of them.
 *
 * What there is to take follows from the rest: INITIAL + ADDED - USED - all that is HELD.  So each
 * change is one store: a process killed at any instruction has made it or not, and whoever comes
 * next only counts anew.  FREE is that sum, kept so that nobody has to count.  Bounded, nothing is
 * ADDED: who releases what it did not take releases for another.
 *
 * A row belongs to a process while it holds permits.  One who finds nothing to take asks, once a
 * slice, which of those processes live, without the lock: a party's id is never used again, so what
 * is dead stays dead.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/object.h"
#include "sync/fault.h"
#include "sync/gate.h"
#include "sync/party.h"
#include "sync/primitive.h"

#include <cohort/sync.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_SEMAPHORE)
#define ROWS 1024        /* processes that hold permits at a time */
#define VALUE_MAX INT32_MAX

/* How often the dead are looked for, and who waits looks: together the tenth of a second promised. */
#define ASK (COH_GATE_SLICE / 2)

struct row {
	uint64_t party; /* party.h; counts only while HELD is not 0 */
	uint64_t held;
};

struct semaphore_cell {
	struct coh_mutex mutex;
	uint32_t initial, bounded, signals;
	uint32_t top; /* rows from here on were never used */
	struct coh_gate gate;
	uint64_t added; /* beyond INITIAL, by those who did not hold any */
	uint64_t used;  /* signals that were taken */
	uint64_t free;
	_Atomic int64_t asked; /* when it was last asked who lives */
	struct row row[ROWS];
};

struct cohort_semaphore {
	struct coh_shared shared;
	_Atomic uint64_t took; /* by this handle, not released yet: given back when it is closed */
};

static int make(void *cell, const void *options, struct cohort_error *err)
{
	static const struct cohort_semaphore_options usual = {.value = 1};
	const struct cohort_semaphore_options *o = options != NULL ? options : &usual;
	struct semaphore_cell *s = cell;

	(void)err;
	s->initial = o->value;
	s->bounded = o->bounded != 0;
	s->signals = o->signals != 0;
	s->free = o->value;
	return 0;
}

static int agree(const void *cell, const void *options, struct cohort_error *err)
{
	const struct cohort_semaphore_options *o = options;
	const struct semaphore_cell *s = cell;

	if (o == NULL)
		return 0;
	if (s->initial != o->value)
		return coh_fail(err, COHORT_EARGUMENT,
		    "semaphore: it was made with %u permits, and is opened with %u", s->initial,
		    o->value);
	if (s->bounded != (o->bounded != 0) || s->signals != (o->signals != 0))
		return coh_fail(err, COHORT_EARGUMENT,
		    "semaphore: it was made with bounded %u, signals %u, and is opened with bounded %d, "
		    "signals %d",
		    s->bounded, s->signals, o->bounded != 0, o->signals != 0);
	return 0;
}

static const struct coh_primitive kind = {
	.spec = {.kind = COH_SEGMENT_SEMAPHORE,
	    .size = sizeof(struct coh_segment_header) + sizeof(struct semaphore_cell),
	    .what = "semaphore"},
	.handle = sizeof(struct cohort_semaphore),
	.make = make,
	.agree = agree,
};

int cohort_semaphore_open(struct cohort_semaphore **out, const char *address,
    const struct cohort_semaphore_options *options, struct cohort_error *err)
{
	if (options != NULL && options->value > VALUE_MAX)
		return coh_fail(err, COHORT_EARGUMENT,
		    "semaphore: %u permits, allowed are 0 to %d", options->value, VALUE_MAX);
	return coh_primitive_open(out, &kind, address,
	    options != NULL ? options->open : COHORT_OPEN_EITHER, options, err);
}

static struct cohort_semaphore *checked(struct cohort_semaphore *s)
{
	return COH_SHARED_CAST(struct cohort_semaphore, MAGIC, s);
}

/* Rows to look through; memory that was damaged leads nowhere. */
static uint32_t rows(const struct semaphore_cell *c)
{
	return c->top < ROWS ? c->top : ROWS;
}

static uint64_t held_by_all(const struct semaphore_cell *c)
{
	uint64_t held = 0;

	for (uint32_t i = 0; i < rows(c); i++)
		held += c->row[i].held;
	return held;
}

static void count(struct semaphore_cell *c)
{
	c->free = c->initial + c->added - c->used - held_by_all(c);
	COH_FAULT("semaphore.count.done");
}

/* The lock inside.  0, COHORT_ETIMEDOUT, COHORT_ESEGMENT. */
static int lock(struct semaphore_cell *c, cohort_time deadline)
{
	int rc = coh_primitive_lock(&c->mutex, deadline);

	if (rc == COHORT_EOWNERDEAD) {
		count(c);
		rc = 0;
	}
	COH_FAULT("semaphore.lock.done");
	return rc;
}

/* Unlock; N permits more can be taken than before. */
static void unlock(struct semaphore_cell *c, unsigned n)
{
	COH_FAULT("semaphore.unlock.begin");
	coh_mutex_unlock(&c->mutex);
	coh_gate_fence_after_rmw();
	COH_FAULT("semaphore.unlock.done");
	if (n > 0)
		coh_gate_open(&c->gate, n < INT_MAX ? (int)n : INT_MAX);
}

/* The row of PARTY, or NULL. */
static struct row *row_of(struct semaphore_cell *c, uint64_t party)
{
	for (uint32_t i = 0; i < rows(c); i++)
		if (c->row[i].party == party && c->row[i].held > 0)
			return &c->row[i];
	return NULL;
}

/* A row for PARTY, which has none; NULL: all are in use. */
static struct row *row_new(struct semaphore_cell *c, uint64_t party)
{
	uint32_t i = 0;

	while (i < rows(c) && c->row[i].held > 0)
		i++;
	if (i == ROWS)
		return NULL;
	c->row[i].party = party;
	COH_FAULT("semaphore.row.named");
	if (i == c->top)
		c->top++;
	coh_robust_barrier(); /* it counts from the moment it holds something */
	return &c->row[i];
}

/* Take one, if there is one: 1; 0; -ENOSPC. */
static int take(struct semaphore_cell *c, uint64_t party)
{
	struct row *r;

	if (c->free == 0)
		return 0;
	if (c->signals) {
		c->used++;
	} else {
		r = row_of(c, party);
		if (r == NULL)
			r = row_new(c, party);
		if (r == NULL)
			return -ENOSPC;
		COH_FAULT("semaphore.take.row");
		r->held++;
	}
	COH_FAULT("semaphore.take.held");
	c->free--;
	return 1;
}

/* Those that hold permits into PARTIES; how many. */
static uint32_t holders(struct semaphore_cell *c, uint64_t parties[ROWS])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < rows(c); i++)
		if (c->row[i].held > 0)
			parties[n++] = c->row[i].party;
	return n;
}

/* PARTY is dead: what it held comes back; how much more there is to take. */
static unsigned take_back(struct semaphore_cell *c, uint64_t party)
{
	struct row *r = row_of(c, party);
	uint64_t before = c->free;

	if (r == NULL)
		return 0;
	COH_FAULT("semaphore.back.found");
	r->held = 0;
	COH_FAULT("semaphore.back.taken");
	count(c);
	return c->free > before ? (unsigned)(c->free - before) : 0;
}

/* Unless somebody did just now: who of the holders is dead?  True when something came back. */
static bool ask_who_lives(struct semaphore_cell *c)
{
	int64_t now = cohort_now(), last = atomic_load(&c->asked);
	uint64_t parties[ROWS];
	unsigned back, all = 0;
	uint32_t n;

	if (now - last < ASK || !atomic_compare_exchange_strong(&c->asked, &last, now))
		return false;
	COH_FAULT("semaphore.ask.begin");
	if (lock(c, COHORT_NOW) != 0)
		return false;
	n = holders(c, parties);
	unlock(c, 0);
	for (uint32_t i = 0; i < n; i++) {
		if (coh_party_alive(parties[i]) || lock(c, COHORT_NOW) != 0)
			continue;
		back = take_back(c, parties[i]);
		unlock(c, back);
		all += back;
	}
	return all > 0;
}

/* 1, 0, -ENOSPC as take; COHORT_ETIMEDOUT. */
static int try_take(struct semaphore_cell *c, cohort_time deadline)
{
	int rc = lock(c, deadline);

	if (rc != 0)
		return rc;
	rc = take(c, coh_party_self());
	unlock(c, 0);
	return rc;
}

/* The same, after a look for the dead when there is nothing. */
static int try_hard(struct semaphore_cell *c, cohort_time deadline)
{
	int rc = try_take(c, deadline);

	if ((rc == 0 || rc == -ENOSPC) && ask_who_lives(c))
		rc = try_take(c, deadline);
	return rc;
}

static int acquire(struct cohort_semaphore *s, struct semaphore_cell *c, cohort_time deadline)
{
	cohort_time look;
	uint32_t ticket;
	int rc = try_hard(c, deadline);

	while (rc == 0 && coh_shared_there(&s->shared, MAGIC) && !coh_clock_passed(deadline)) {
		ticket = coh_gate_arm(&c->gate);
		rc = try_hard(c, deadline);
		if (rc != 0)
			break;
		COH_FAULT("semaphore.acquire.sleep");
		look = cohort_in(ASK);
		(void)coh_gate_sleep(&c->gate, ticket, look < deadline ? look : deadline);
		rc = try_hard(c, deadline);
	}
	return rc == 0 ? COHORT_ETIMEDOUT : rc;
}

int cohort_semaphore_acquire(struct cohort_semaphore *s, cohort_time deadline)
{
	struct semaphore_cell *c;
	int rc;

	if (!coh_shared_there(&s->shared, MAGIC))
		return coh_shared_gone(&s->shared, MAGIC);
	c = coh_primitive_cell(&s->shared);
	rc = acquire(s, c, deadline);
	if (rc != 1)
		return coh_shared_end(&s->shared, rc);
	if (!c->signals)
		atomic_fetch_add(&s->took, 1);
	return 0;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* PARTY releases up to N of what it holds; how many. */
static uint64_t give_own(struct semaphore_cell *c, uint64_t party, uint64_t n)
{
	struct row *r = row_of(c, party);

	if (r == NULL)
		return 0;
	n = lesser(n, r->held);
	r->held -= n;
	COH_FAULT("semaphore.give.own");
	return n;
}

/* N of those that others took are released for them: bounded, there are no new ones. */
static void give_for_others(struct semaphore_cell *c, uint64_t n)
{
	uint64_t part = lesser(n, c->used);

	c->used -= part;
	COH_FAULT("semaphore.give.used");
	n -= part;
	for (uint32_t i = 0; i < rows(c) && n > 0; i++) {
		part = lesser(n, c->row[i].held);
		c->row[i].held -= part;
		n -= part;
		COH_FAULT("semaphore.give.other");
	}
}

/* Release N for PARTY, which may be more than it holds.  0, COHORT_EOVER, -EOVERFLOW. */
static int give(struct semaphore_cell *c, uint64_t party, unsigned n)
{
	uint64_t more;

	if (c->bounded && c->free + n > c->initial)
		return COHORT_EOVER;
	if (c->free + n > VALUE_MAX)
		return -EOVERFLOW;
	COH_FAULT("semaphore.give.begin");
	more = n - give_own(c, party, n);
	if (c->bounded)
		give_for_others(c, more);
	else
		c->added += more;
	COH_FAULT("semaphore.give.more");
	c->free += n;
	return 0;
}

/* Of what this handle took, N are released: as far as it took them. */
static void untook(struct cohort_semaphore *s, uint64_t n)
{
	uint64_t took = atomic_load(&s->took);

	while (!atomic_compare_exchange_weak(&s->took, &took, took > n ? took - n : 0))
		;
}

int cohort_semaphore_release(struct cohort_semaphore *s, unsigned n)
{
	struct semaphore_cell *c;
	int rc;

	if (!coh_shared_there(&s->shared, MAGIC))
		return coh_shared_gone(&s->shared, MAGIC);
	if (n == 0 || n > VALUE_MAX)
		return COHORT_EARGUMENT;
	c = coh_primitive_cell(&s->shared);
	rc = lock(c, COHORT_FOREVER);
	if (rc != 0)
		return rc;
	rc = give(c, coh_party_self(), n);
	unlock(c, rc == 0 ? n : 0);
	if (rc == 0)
		untook(s, n);
	return rc;
}

unsigned cohort_semaphore_value(struct cohort_semaphore *s)
{
	struct semaphore_cell *c = coh_primitive_cell(&checked(s)->shared);
	uint64_t free;

	if (!coh_shared_there(&s->shared, MAGIC))
		return 0;
	(void)ask_who_lives(c);
	if (lock(c, COHORT_FOREVER) != 0)
		return 0;
	free = c->free;
	unlock(c, 0);
	return free < UINT_MAX ? (unsigned)free : UINT_MAX;
}

void cohort_semaphore_close(struct cohort_semaphore *s)
{
	struct semaphore_cell *c;
	struct row *r;
	uint64_t took;

	if (!coh_shared_open(s))
		return;
	c = coh_primitive_cell(&checked(s)->shared);
	took = atomic_load(&s->took);
	if (took > 0 && lock(c, COHORT_NOW) == 0) {
		r = row_of(c, coh_party_self());
		if (r != NULL) {
			r->held -= lesser(r->held, took);
			COH_FAULT("semaphore.close.held");
			count(c);
		}
		unlock(c, INT_MAX);
	}
	coh_primitive_close(s);
}
