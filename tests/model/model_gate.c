/*
 * model_gate.c - the gate of core/sync/gate.c: nobody is left asleep while there is something to do.
 *
 * Threads that put items and open the gate, and threads that take one each or sleep.  The gate's net, the slice
 * after which sleepers look again, is left out; so are the deaths that it is there for, of one
 * between its change and its wake, and of one woken.  Sleepers may be killed asleep.
 */
#include "model/model.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define THREADS 5

/* What is taken away. */
enum fault {
	NONE,
	CLEARS_FIRST,  /* the bit is cleared as the count moves, though one of many is woken */
	CLEARS_BLINDLY, /* the bit is cleared by count alone, whoever has armed */
	STANDS_STILL,  /* opening does not move the count */
	ARMS_LATE,     /* looks, then arms, then sleeps */
	CHECKS_EARLY,  /* looks at the bit before its change */
	FAULTS,
};

static int fault; /* the one at work, an enum fault */

enum at {
	/* who takes */
	ARM,
	LOOK,
	SLEEP,
	ASLEEP,
	/* who puts, one item and opens for one; or as many as there are takers and opens for all */
	PUT,
	CHECK_ARMED,
	MOVE,
	WAKE,
	CLEAR,
	ENDED,
	DEAD,
};

struct thread {
	uint8_t at, rounds, all;
	uint8_t count, serial; /* ticket; or what was left behind by MOVE */
	uint8_t saw;           /* CHECKS_EARLY: the bit */
};

struct state {
	uint8_t count, armed, serial, items, kills;
	struct thread t[THREADS];
};

static int sleepers(const struct state *s)
{
	int n = 0;

	for (int i = 0; i < THREADS; i++)
		n += s->t[i].at == ASLEEP;
	return n;
}

static struct model_moves moves(const void *state, int i)
{
	const struct state *s = state;

	switch ((enum at)s->t[i].at) {
	case ENDED:
	case DEAD:
		return (struct model_moves){0, 0};
	case ASLEEP:
		return (struct model_moves){0, s->kills > 0};
	case WAKE:
		return (struct model_moves){s->t[i].all || sleepers(s) == 0 ? 1 : sleepers(s), 0};
	default:
		return (struct model_moves){1, 0};
	}
}

static void arm(struct state *s, struct thread *t)
{
	s->armed = 1;
	s->serial++;
	t->count = s->count;
	t->at = fault == ARMS_LATE ? SLEEP : LOOK;
}

static void step_taker(struct state *s, struct thread *t)
{
	switch ((enum at)t->at) {
	case ARM:
		arm(s, t);
		return;
	case LOOK:
		t->at = fault == ARMS_LATE ? ARM : SLEEP;
		if (s->items == 0)
			return;
		s->items--;
		t->at = --t->rounds == 0 ? ENDED : fault == ARMS_LATE ? LOOK : ARM;
		return;
	default: /* SLEEP: the system call */
		t->at = s->armed && s->count == t->count ? ASLEEP : fault == ARMS_LATE ? LOOK : ARM;
		t->count = 0;
		return;
	}
}

static void wake(struct state *s, int which, bool all)
{
	for (int i = 0; i < THREADS; i++) {
		if (s->t[i].at != ASLEEP || (!all && which-- != 0))
			continue;
		s->t[i].at = fault == ARMS_LATE ? LOOK : ARM;
	}
}

static void next_round(struct thread *t)
{
	t->count = t->serial = t->saw = 0;
	t->at = --t->rounds == 0 ? ENDED : fault == CHECKS_EARLY ? CHECK_ARMED : PUT;
}

static void move_count(struct state *s, struct thread *t)
{
	if (!s->armed) {
		next_round(t);
		return;
	}
	s->count = (uint8_t)(s->count + (fault != STANDS_STILL));
	if (fault == CLEARS_FIRST)
		s->armed = 0;
	t->count = s->count;
	t->serial = s->serial;
	t->at = WAKE;
}

static void step_opener(struct state *s, struct thread *t, int move)
{
	bool seen;

	switch ((enum at)t->at) {
	case PUT:
		s->items = (uint8_t)(s->items + (t->all ? 3 : 1));
		t->at = CHECK_ARMED;
		if (fault != CHECKS_EARLY)
			return;
		t->at = MOVE;
		if (!t->saw)
			next_round(t);
		return;
	case CHECK_ARMED:
		t->saw = s->armed;
		if (fault == CHECKS_EARLY) {
			t->at = PUT;
			return;
		}
		t->at = MOVE;
		if (!t->saw)
			next_round(t);
		return;
	case MOVE:
		move_count(s, t);
		return;
	case WAKE: /* and tells whether more sleep, if the word is what it was */
		seen = t->all || (s->count == t->count && s->armed);
		wake(s, move, t->all);
		if (seen && sleepers(s) == 0)
			t->at = CLEAR;
		else
			next_round(t);
		return;
	default: /* CLEAR */
		if (s->count == t->count && (s->serial == t->serial || fault == CLEARS_BLINDLY))
			s->armed = 0;
		next_round(t);
		return;
	}
}

static const char *step(void *state, int i, int move)
{
	struct state *s = state;
	struct thread *t = &s->t[i];

	if (t->at == ASLEEP) {
		t->at = DEAD;
		s->kills--;
	} else if (t->at < ASLEEP) {
		step_taker(s, t);
	} else {
		step_opener(s, t, move);
	}
	if (t->at == DEAD || t->at == ENDED)
		memset((char *)t + 1, 0, sizeof *t - 1);
	return NULL;
}

static const char *stuck(const void *state)
{
	const struct state *s = state;

	return sleepers(s) > 0 && s->items > 0 ? "some sleep while there is something to take" : NULL;
}

static void print(const void *state, char *text, size_t room)
{
	static const char *const names[] = {"arm", "look", "sleep", "ASLEEP", "put", "check", "move",
	    "wake", "clear", "ended", "DEAD"};
	const struct state *s = state;
	int n = snprintf(text, room, "count %d%s serial %d items %d |", s->count,
	    s->armed ? " armed" : "", s->serial, s->items);

	for (int i = 0; i < THREADS && n < (int)room; i++)
		n += snprintf(text + n, room - (size_t)n, " %d:%s", i, names[s->t[i].at]);
}

/* How many threads take, each TAKES times; how many put one item PUTS times; whether one puts for all. */
struct cast {
	int takers, takes, putters, puts, kills;
	bool all;
};

static const struct cast casts[] = {
    {.takers = 2, .takes = 2, .putters = 2, .puts = 2, .kills = 1},
    {.takers = 3, .takes = 1, .putters = 2, .puts = 2, .kills = 1},
    {.takers = 3, .takes = 1, .putters = 1, .puts = 3, .kills = 2},
    {.takers = 3, .takes = 1, .putters = 2, .puts = 1, .kills = 1, .all = true},
};
#define CASTS (int)(sizeof casts / sizeof *casts)

static void begin(void *state, int cast)
{
	const struct cast *c = &casts[cast];
	struct state *s = state;

	s->kills = (uint8_t)c->kills;
	for (int i = 0; i < THREADS; i++) {
		struct thread *t = &s->t[i];

		t->at = ENDED;
		if (i < c->takers) {
			t->at = fault == ARMS_LATE ? LOOK : ARM;
			t->rounds = (uint8_t)c->takes;
		} else if (i < c->takers + c->putters) {
			t->at = fault == CHECKS_EARLY ? CHECK_ARMED : PUT;
			t->rounds = (uint8_t)c->puts;
			t->all = c->all && i == c->takers;
		}
	}
}

static const struct model model = {sizeof(struct state), THREADS, CASTS, FAULTS, &fault, begin, moves, step, stuck, print};

TEST_TIMEOUT(model_gate, leaves_nobody_asleep_with_work, 60)
{
	model_holds(&model);
}

TEST_TIMEOUT(model_gate, finds_each_planted_fault, 60)
{
	model_finds_faults(&model);
}
