/*
 * model_ring.c - the ring of core/sync/ring.h: no item lost, none doubled, nobody left asleep with something to do.
 *
 * A lane of two places, who put, get, and take, with their two locks and two gates.  Any of them may be killed at any step:
 * then its lock is mended by the next, what it was lent goes back, and sleepers look again after a slice, which is a
 * step only once somebody has died.  Wakes take one sleeper, the first; model_gate.c has the gate itself.
 */
#include "model/model.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define THREADS 4
#define PLACES 2
#define IDS 4

enum fault {
	NONE,
	COMMITS_FIRST,   /* a put stores the tail, then writes */
	FREES_FIRST,     /* a get stores the head, then copies */
	NOTES_LATE,      /* a take stores the head, then notes the hand */
	KEEPS_TORN,      /* a hand that never left the lane is kept */
	KEEPS_ALLOWANCE, /* what a dead putter used up stays used up */
	TRUSTS_SEEN,     /* who finds it empty does not look at the tail anew */
	LOOKS_NO_MORE,   /* arms, then sleeps without looking */
	FAULTS,
};

static int fault; /* the one at work, an enum fault */

enum kind { PUTTER = 1, GETTER, TAKER };

enum at {
	LOCK,    /* with `armed`: after having armed */
	LOOK,    /* find a place, or an item */
	FIRST,   /* write; copy; fill and note the hand */
	SECOND,  /* store the tail; the head */
	THIRD,   /* count the allowance */
	UNLOCK,
	WAKE,    /* the other side's gate */
	ACK,     /* taker: lock again */
	ACKED,   /* and the hand is free */
	ARM,
	SLEEP,
	ASLEEP,
	ENDED,
	DEAD,
};

struct thread {
	uint8_t kind, at, rounds;
	uint8_t id;     /* being put, or got */
	uint8_t armed, failed, from_hand; /* from_hand: of this thread + 1 */
	uint8_t ticket;
	uint8_t hand, hand_id, hand_number; /* of a taker: 0 free, 1 lent, 2 back */
};

enum { LOCK_FREE, LOCK_DEAD = 100 };

struct state {
	uint8_t tail, head, place[PLACES];
	uint8_t slots, seen;
	uint8_t lock[2]; /* of put, of get: thread + 1 */
	uint8_t gate[2], moved[2]; /* of items, of room: armed; its count */
	uint8_t next;    /* id */
	uint8_t committed[IDS], got[IDS], excused[IDS];
	uint8_t kills, deaths;
	struct thread t[THREADS];
};

static bool putting(const struct thread *t)
{
	return t->kind == PUTTER;
}

static struct model_moves moves(const void *state, int i)
{
	const struct state *s = state;
	const struct thread *t = &s->t[i];
	uint8_t lock = s->lock[!putting(t)];
	int blow = s->kills > 0;

	switch ((enum at)t->at) {
	case ENDED:
	case DEAD:
		return (struct model_moves){0, 0};
	case ASLEEP:
		return (struct model_moves){s->deaths > 0, blow}; /* a slice is over */
	case LOCK:
	case ACK:
		return (struct model_moves){lock == LOCK_FREE || lock == LOCK_DEAD, blow};
	default:
		return (struct model_moves){1, blow};
	}
}

static void mend(struct state *s, bool put)
{
	if (put) {
		if (fault != KEEPS_ALLOWANCE)
			s->slots = 0;
		return;
	}
	s->seen = s->head;
	for (int i = 0; i < THREADS; i++)
		if (s->t[i].hand == 1 && s->t[i].hand_number == s->head && fault != KEEPS_TORN)
			s->t[i].hand = 0;
}

static void take_lock(struct state *s, int i, bool put)
{
	uint8_t *lock = &s->lock[!put];

	if (*lock == LOCK_DEAD)
		mend(s, put);
	*lock = (uint8_t)(i + 1);
}

/* Who waits for the dead sees what they had. */
static void reap(struct state *s)
{
	for (int i = 0; i < THREADS; i++)
		if (s->t[i].hand == 1 && s->t[i].at == DEAD)
			s->t[i].hand = 2;
}

/* A hand that came back, + 1; 0: none. */
static uint8_t came_back(const struct state *s)
{
	for (int i = 0; i < THREADS; i++)
		if (s->t[i].hand == 2)
			return (uint8_t)(i + 1);
	return 0;
}

static void look_place(struct state *s, struct thread *t)
{
	if (s->slots == 0 && (fault != KEEPS_ALLOWANCE || s->deaths == 0))
		s->slots = (uint8_t)(PLACES - (s->tail - s->head));
	t->failed = s->slots == 0;
	t->at = t->failed ? UNLOCK : fault == COMMITS_FIRST ? SECOND : FIRST;
}

static void look_item(struct state *s, struct thread *t)
{
	reap(s);
	t->from_hand = came_back(s);
	if (!t->from_hand && s->seen == s->head && (fault != TRUSTS_SEEN || s->seen == 0))
		s->seen = s->tail;
	t->failed = !t->from_hand && s->seen == s->head;
	if (!t->from_hand && !t->failed)
		t->id = s->place[s->head % PLACES];
	t->at = t->failed ? UNLOCK
	    : fault == FREES_FIRST && t->kind == GETTER && !t->from_hand ? SECOND
	    : fault == NOTES_LATE && t->kind == TAKER && !t->from_hand ? SECOND
	    : FIRST;
}

static void step_put(struct state *s, struct thread *t)
{
	bool first = t->at == FIRST;

	if (first) {
		s->place[s->tail % PLACES] = t->id;
		if (fault == COMMITS_FIRST)
			s->place[(s->tail - 1) % PLACES] = t->id;
	} else {
		s->tail++;
		s->committed[t->id] = 1;
	}
	if (fault != COMMITS_FIRST)
		t->at = first ? SECOND : THIRD;
	else
		t->at = first ? THIRD : FIRST;
}

/* The item goes into T's hand: one store. */
static void note(struct state *s, struct thread *t)
{
	struct thread *from = t->from_hand ? &s->t[t->from_hand - 1] : NULL;

	if (from != NULL) {
		t->id = from->hand_id;
		from->hand = 0;
	}
	t->hand = 1;
	t->hand_id = t->id;
	t->hand_number = from != NULL ? 99 : fault == NOTES_LATE ? (uint8_t)(s->head - 1) : s->head;
}

/* Copied, or noted in the hand. */
static void first_get(struct state *s, struct thread *t)
{
	if (t->kind == TAKER) {
		note(s, t);
		t->at = t->from_hand || fault == NOTES_LATE ? UNLOCK : SECOND;
	} else if (t->from_hand) {
		t->id = s->t[t->from_hand - 1].hand_id;
		s->t[t->from_hand - 1].hand = 0;
		s->excused[t->id] = 1; /* while it is in these hands */
		t->at = UNLOCK;
	} else {
		t->id = s->place[(s->head - (fault == FREES_FIRST)) % PLACES];
		t->at = fault == FREES_FIRST ? UNLOCK : SECOND;
	}
}

static void second_get(struct state *s, struct thread *t)
{
	s->head++;
	if (t->kind == GETTER)
		s->excused[t->id] = 1;
	t->at = t->kind == GETTER ? (fault == FREES_FIRST ? FIRST : UNLOCK) : fault == NOTES_LATE ? FIRST : UNLOCK;
}

static const char *delivered(struct state *s, struct thread *t)
{
	s->excused[t->id] = 0;
	if (s->got[t->id]++ != 0)
		return "an item was got twice";
	return s->committed[t->id] ? NULL : "an item was got that was never put";
}

static void unlock(struct state *s, struct thread *t)
{
	s->lock[!putting(t)] = LOCK_FREE;
	if (!t->failed)
		t->at = WAKE;
	else if (!t->armed)
		t->at = ARM;
	else
		t->at = SLEEP;
}

static void end_round(struct state *s, struct thread *t)
{
	t->armed = t->failed = t->from_hand = t->ticket = t->hand_id = t->hand_number = 0;
	t->at = --t->rounds == 0 ? ENDED : LOCK;
	t->id = 0;
	if (t->at == LOCK && putting(t))
		t->id = s->next++;
}

static const char *wake(struct state *s, struct thread *t)
{
	uint8_t *armed = &s->gate[!putting(t)];
	bool found = false, more = false;

	s->moved[!putting(t)] = (uint8_t)(s->moved[!putting(t)] + *armed);
	for (int i = 0; *armed && i < THREADS; i++) {
		if (s->t[i].at != ASLEEP || putting(&s->t[i]) == putting(t))
			continue;
		more = more || found;
		if (!found)
			s->t[i].at = LOCK, s->t[i].armed = 0;
		found = true;
	}
	*armed = *armed && more;
	if (t->kind == TAKER) {
		t->at = ACK;
		return NULL;
	}
	if (t->kind == GETTER) {
		const char *wrong = delivered(s, t);

		end_round(s, t);
		return wrong;
	}
	end_round(s, t);
	return NULL;
}

static const char *acked(struct state *s, struct thread *t)
{
	const char *wrong = t->hand == 1 ? delivered(s, t) : "what was lent is not any more";

	t->hand = 0;
	s->lock[1] = LOCK_FREE;
	end_round(s, t);
	return wrong;
}

static void go_to_sleep(struct state *s, struct thread *t)
{
	bool still = s->gate[putting(t)] != 0 && s->moved[putting(t)] == t->ticket;

	t->at = still ? ASLEEP : LOCK;
	t->ticket = 0;
	t->armed = 0;
}

static void die(struct state *s, struct thread *t, int i)
{
	for (int k = 0; k < 2; k++)
		if (s->lock[k] == i + 1)
			s->lock[k] = LOCK_DEAD;
	s->kills--;
	s->deaths = 1;
	t->at = DEAD;
}

static const char *step(void *state, int i, int move)
{
	struct state *s = state;
	struct thread *t = &s->t[i];

	if (move >= moves(s, i).steps) {
		die(s, t, i);
		return NULL;
	}
	switch ((enum at)t->at) {
	case LOCK: take_lock(s, i, putting(t)); t->at = LOOK; return NULL;
	case LOOK:
		if (putting(t))
			look_place(s, t);
		else
			look_item(s, t);
		return NULL;
	case FIRST:
		if (putting(t))
			step_put(s, t);
		else
			first_get(s, t);
		return NULL;
	case SECOND:
		if (putting(t))
			step_put(s, t);
		else
			second_get(s, t);
		return NULL;
	case THIRD: s->slots--; t->at = UNLOCK; return NULL;
	case UNLOCK: unlock(s, t); return NULL;
	case WAKE: return wake(s, t);
	case ACK: take_lock(s, i, false); t->at = ACKED; return NULL;
	case ACKED: return acked(s, t);
	case ARM:
		s->gate[putting(t)] = 1;
		t->armed = 1;
		t->ticket = s->moved[putting(t)];
		t->at = fault == LOOKS_NO_MORE ? SLEEP : LOCK;
		return NULL;
	case SLEEP: go_to_sleep(s, t); return NULL;
	default: t->at = LOCK; t->armed = 0; return NULL; /* a slice is over */
	}
}

/* Nobody can go on: then nothing may be left that somebody asleep could do, and nothing may be missing. */
static const char *stuck(const void *state)
{
	const struct state *s = state;
	bool there = s->tail != s->head || came_back(s) != 0;

	for (int i = 0; i < THREADS; i++) {
		const struct thread *t = &s->t[i];

		if (t->at != ASLEEP && t->at != ENDED && t->at != DEAD)
			return "somebody waits for a lock for ever";
		if (t->at == ASLEEP && putting(t) && s->tail - s->head < PLACES)
			return "a putter sleeps while there is room";
		if (t->at == ASLEEP && !putting(t) && there)
			return "a getter sleeps while something is there";
	}
	for (int id = 0; id < IDS; id++) {
		bool held = false;

		for (int i = 0; i < THREADS; i++)
			held = held || (s->t[i].hand != 0 && s->t[i].hand_id == id);
		for (int k = s->head; k < s->tail; k++)
			held = held || s->place[k % PLACES] == id;
		if (s->committed[id] && !s->got[id] && !held && !s->excused[id])
			return "an item is lost";
	}
	return NULL;
}

static void print(const void *state, char *text, size_t room)
{
	static const char *const names[] = {"lock", "look", "first", "second", "third", "unlock", "wake", "ack",
	    "acked", "arm", "sleep", "ASLEEP", "ended", "DEAD"};
	const struct state *s = state;
	int n = snprintf(text, room, "tail %d head %d slots %d seen %d gates %d%d |", s->tail, s->head,
	    s->slots, s->seen, s->gate[0], s->gate[1]);

	for (int i = 0; i < THREADS && n < (int)room; i++)
		n += snprintf(text + n, room - (size_t)n, " %d:%s(%d, %d)", i, names[s->t[i].at], s->t[i].id,
		    s->t[i].hand);
}

/* The kinds of the threads and their rounds. */
struct cast {
	uint8_t kind[THREADS], rounds[THREADS], kills;
};

static const struct cast casts[] = {
    {{PUTTER, PUTTER, GETTER, GETTER}, {2, 1, 2, 1}, 0},
    {{PUTTER, GETTER, GETTER, GETTER}, {3, 1, 1, 1}, 0},
    {{PUTTER, GETTER, GETTER, 0}, {3, 2, 2, 0}, 1},
    {{PUTTER, PUTTER, GETTER, 0}, {2, 2, 3, 0}, 1},
    {{PUTTER, TAKER, GETTER, 0}, {3, 2, 2, 0}, 1},
    {{PUTTER, TAKER, TAKER, 0}, {3, 2, 2, 0}, 1},
};
#define CASTS (int)(sizeof casts / sizeof *casts)

static void begin(void *state, int cast)
{
	const struct cast *c = &casts[cast];
	struct state *s = state;

	s->kills = c->kills;
	for (int i = 0; i < THREADS; i++) {
		s->t[i].kind = c->kind[i];
		s->t[i].rounds = c->rounds[i];
		s->t[i].at = c->kind[i] != 0 ? LOCK : ENDED;
		if (c->kind[i] == PUTTER)
			s->t[i].id = s->next++;
	}
}

static const struct model model = {sizeof(struct state), THREADS, CASTS, FAULTS, &fault, begin, moves, step, stuck, print};

TEST_TIMEOUT(model_ring, loses_nothing_doubles_nothing_and_leaves_nobody_asleep, 120)
{
	model_holds(&model);
}

TEST_TIMEOUT(model_ring, finds_each_planted_fault, 120)
{
	model_finds_faults(&model);
}
