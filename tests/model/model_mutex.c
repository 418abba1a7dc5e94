/*
 * model_mutex.c - the lock of core/sync/mutex.c, with a death at any step and the kernel's rules for the dead.
 *
 * The steps are those of mutex.h and mutex.c.  The net there, the slice after which sleepers look again,
 * is left out: the algorithm has to do without.  A planted fault takes one thing away; each must be found.
 */
#include "model/model.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define THREADS 4

/* What is taken away. */
enum fault {
	NONE,
	CLEARS_THE_BIT,    /* letting go writes 0, then wakes */
	NO_SERIAL,         /* the bit is cleared by the word alone */
	SLEEPS_UNPENDING,  /* a sleeper is not pending */
	WAKES_UNPENDING,   /* who lets go is not pending while it wakes */
	ENTERS_UNPENDING,  /* pending ends before the lock is in the list */
	CLEARS_BEFORE,     /* the bit is cleared while more sleep */
	FAULTS,
};

static int fault; /* the one at work, an enum fault */

/* Where a thread is: the step it takes next. */
enum at {
	LOCK,      /* set pending */
	TAKE,      /* 0 -> me */
	LOOK,      /* pending again, read the word */
	TAKE_SEEN, /* seen without an owner -> me */
	SET_BIT,   /* seen -> seen | W */
	SLEEP,     /* the system call: sleeps if the word is what was seen */
	ASLEEP,
	ENTER,     /* into the list */
	ENTERED,   /* pending ends */
	INSIDE,    /* holds it, and lets go: set pending */
	LEAVE,     /* out of the list */
	FREE,      /* me -> 0 */
	SERIAL,    /* next serial */
	RELEASE,   /* W, no owner */
	WAKE,      /* one, seeing whether more sleep */
	CLEAR,     /* (W, serial) -> (0, serial) */
	DONE,      /* pending ends */
	GIVE_UP,   /* pending ends, without it */
	ENDED,
	DYING,     /* the kernel looks at what it left */
	DYING_WAKE,
	DEAD,
};

struct thread {
	uint8_t at, seen_owner, seen_wait, seen_dead;
	uint8_t serial, pending, listed, rounds;
};

struct state {
	uint8_t owner, wait, dead, serial; /* the word: owner (1 + thread, 0: none), W, OWNER_DIED; and beside it */
	uint8_t broken;                    /* a holder died and nobody was told yet */
	uint8_t kills, gives;              /* blows left */
	struct thread t[THREADS];
};

static int sleepers(const struct state *s)
{
	int n = 0;

	for (int i = 0; i < THREADS; i++)
		n += s->t[i].at == ASLEEP;
	return n;
}

static bool holds(const struct state *s, int i)
{
	enum at at = s->t[i].at;

	return at >= ENTER && at <= RELEASE;
}

/* Moves of a wake: which of the sleepers; one move when there is none. */
static int wakes(const struct state *s)
{
	return sleepers(s) > 0 ? sleepers(s) : 1;
}

static struct model_moves moves(const void *state, int i)
{
	const struct state *s = state;
	const struct thread *t = &s->t[i];
	struct model_moves m = {1, 0};

	if (t->at == ENDED || t->at == DEAD)
		return (struct model_moves){0, 0};
	if (t->at == WAKE || t->at == DYING_WAKE)
		m.steps = wakes(s);
	if (t->at == ASLEEP)
		m.steps = 0;
	if (t->at < ENDED)
		m.blows = (s->kills > 0) + (t->at == ASLEEP && s->gives > 0);
	return m;
}

static int wake(struct state *s, int which)
{
	for (int i = 0; i < THREADS; i++) {
		if (s->t[i].at != ASLEEP || which-- > 0)
			continue;
		s->t[i].at = LOOK;
		return 1;
	}
	return 0;
}

static const char *taken(struct state *s, int i)
{
	struct thread *t = &s->t[i];
	bool told = s->dead;

	for (int k = 0; k < THREADS; k++)
		if (k != i && holds(s, k))
			return "two hold the lock";
	s->owner = (uint8_t)(i + 1);
	s->dead = 0;
	t->at = ENTER;
	if (fault == ENTERS_UNPENDING)
		t->pending = 0;
	if (told != s->broken)
		return told ? "told of a death though nobody died inside" : "not told of a death";
	s->broken = 0;
	return NULL;
}

static void see(const struct state *s, struct thread *t)
{
	t->seen_owner = s->owner;
	t->seen_wait = s->wait;
	t->seen_dead = s->dead;
}

static void forget(struct thread *t)
{
	t->seen_owner = t->seen_wait = t->seen_dead = 0;
}

static bool is_seen(const struct state *s, const struct thread *t)
{
	return s->owner == t->seen_owner && s->wait == t->seen_wait && s->dead == t->seen_dead;
}

static const char *step_lock(struct state *s, int i)
{
	struct thread *t = &s->t[i];

	switch ((enum at)t->at) {
	case LOCK:
		t->pending = 1;
		t->at = TAKE;
		return NULL;
	case TAKE:
		t->at = LOOK;
		return s->owner == 0 && !s->wait && !s->dead ? taken(s, i) : NULL;
	case LOOK:
		t->pending = 1;
		see(s, t);
		t->at = t->seen_owner == 0 ? TAKE_SEEN : t->seen_wait ? SLEEP : SET_BIT;
		if (fault == SLEEPS_UNPENDING && t->at == SLEEP)
			t->pending = 0;
		return NULL;
	case TAKE_SEEN:
		t->at = LOOK;
		return is_seen(s, t) ? (forget(t), taken(s, i)) : NULL;
	case SET_BIT:
		t->at = LOOK;
		if (!is_seen(s, t))
			return NULL;
		s->wait = t->seen_wait = 1;
		t->at = SLEEP;
		return NULL;
	case SLEEP:
		t->at = is_seen(s, t) ? ASLEEP : LOOK;
		forget(t);
		return NULL;
	case ENTER:
		t->listed = 1;
		t->at = ENTERED;
		return NULL;
	default: /* ENTERED, GIVE_UP */
		t->pending = 0;
		t->at = t->at == ENTERED ? INSIDE : ENDED;
		return NULL;
	}
}

static void released(struct state *s, struct thread *t, bool wait)
{
	s->owner = 0;
	s->wait = wait;
	t->at = wait ? WAKE : DONE;
}

static const char *step_unlock(struct state *s, int i, int move)
{
	struct thread *t = &s->t[i];
	bool seen;

	switch ((enum at)t->at) {
	case INSIDE:
		t->pending = 1;
		t->at = LEAVE;
		return NULL;
	case LEAVE:
		t->listed = 0;
		t->at = FREE;
		return NULL;
	case FREE:
		if (s->wait)
			t->at = SERIAL;
		else
			released(s, t, false);
		return NULL;
	case SERIAL:
		s->serial = (uint8_t)(s->serial + (fault != NO_SERIAL));
		t->serial = s->serial;
		t->at = RELEASE;
		return NULL;
	case RELEASE:
		released(s, t, true);
		s->wait = fault != CLEARS_THE_BIT;
		if (fault == WAKES_UNPENDING)
			t->pending = 0;
		return NULL;
	case WAKE: /* and tells whether more sleep, if the word is what it was */
		seen = s->owner == 0 && !s->dead && s->wait;
		wake(s, move);
		t->at = (seen && sleepers(s) == 0) || fault == CLEARS_BEFORE ? CLEAR : DONE;
		return NULL;
	case CLEAR:
		if (s->owner == 0 && !s->dead && s->wait && s->serial == t->serial)
			s->wait = 0;
		t->at = DONE;
		return NULL;
	default: /* DONE */
		t->pending = 0;
		t->serial = 0;
		t->at = --t->rounds > 0 ? LOCK : ENDED;
		return NULL;
	}
}

/* The kernel's, for one who is dead: handle_futex_death of what is listed or pending. */
static void step_dying(struct state *s, int i, int move)
{
	struct thread *t = &s->t[i];

	if (t->at == DYING_WAKE) {
		wake(s, move);
		t->at = DEAD;
	} else if (s->owner == i + 1 && (t->listed || t->pending)) {
		s->owner = 0;
		s->dead = 1;
		t->at = s->wait ? DYING_WAKE : DEAD;
	} else {
		t->at = t->pending && s->owner == 0 ? DYING_WAKE : DEAD;
	}
}

/* A kill, or the deadline of a sleeper, which does not even look once more. */
static void blow(struct state *s, int i, bool gives_up)
{
	struct thread *t = &s->t[i];

	if (gives_up) {
		s->gives--;
		t->at = GIVE_UP;
		return;
	}
	s->kills--;
	if (holds(s, i))
		s->broken = 1;
	forget(t);
	t->at = DYING;
}

static const char *step(void *state, int i, int move)
{
	struct state *s = state;
	struct thread *t = &s->t[i];
	int steps = moves(state, i).steps;
	const char *wrong = NULL;

	if (move >= steps)
		blow(s, i, move > steps || s->kills == 0);
	else if (t->at == DYING || t->at == DYING_WAKE)
		step_dying(s, i, move);
	else if (t->at <= ENTERED || t->at == GIVE_UP)
		wrong = step_lock(s, i);
	else
		wrong = step_unlock(s, i, move);
	if (t->at == DEAD || t->at == ENDED)
		memset((char *)t + 1, 0, sizeof *t - 1);
	return wrong;
}

static const char *stuck(const void *state)
{
	const struct state *s = state;

	if (sleepers(s) > 0)
		return s->owner != 0 ? "some sleep for ever at a lock of the dead" : "some sleep for ever at a free lock";
	return s->owner != 0 ? "nobody left, and the lock is not free" : NULL;
}

static void print(const void *state, char *text, size_t room)
{
	static const char *const names[] = {"lock", "take", "look", "take seen", "set bit", "sleep",
	    "ASLEEP", "enter", "entered", "INSIDE", "leave", "free", "serial", "release", "wake",
	    "clear", "done", "give up", "ended", "dying", "dying, wake", "DEAD"};
	const struct state *s = state;
	int n = snprintf(text, room, "owner %d%s%s serial %d |", s->owner - 1, s->wait ? " W" : "",
	    s->dead ? " DIED" : "", s->serial);

	for (int i = 0; i < THREADS && n < (int)room; i++)
		n += snprintf(text + n, room - (size_t)n, " %d:%s%s", i, names[s->t[i].at],
		    s->t[i].pending ? "*" : "");
}

/* How often each takes the lock; how many deaths there may be; how many give up. */
struct cast {
	uint8_t rounds[THREADS], kills, gives;
};

static const struct cast casts[] = {
    {{2, 2, 1, 0}, 2, 1},
    {{1, 1, 1, 1}, 1, 1},
};
#define CASTS (int)(sizeof casts / sizeof *casts)

static void begin(void *state, int cast)
{
	const struct cast *c = &casts[cast];
	struct state *s = state;

	s->kills = c->kills;
	s->gives = c->gives;
	for (int i = 0; i < THREADS; i++) {
		s->t[i].rounds = c->rounds[i];
		s->t[i].at = c->rounds[i] > 0 ? LOCK : ENDED;
	}
}

static const struct model model = {sizeof(struct state), THREADS, CASTS, FAULTS, &fault, begin, moves, step, stuck, print};

TEST_TIMEOUT(model_mutex, holds_through_deaths_and_deadlines, 60)
{
	model_holds(&model);
}

TEST_TIMEOUT(model_mutex, finds_each_planted_fault, 120)
{
	model_finds_faults(&model);
}
