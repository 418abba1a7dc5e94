/*
 * model_rwlock.c - the reader-writer lock of core/sync/rwlock.c: a writer is alone, who is due is not overtaken, and a dead
 * writer is told of.
 *
 * The mutex is a word that is free, held or left by a dead one (its own model: model_mutex.c); the roster is a word for each
 * reader, dead with it.  Who waits goes on as soon as what it waits for is so: how one sleeps and is woken is model_gate.c's.
 * Any thread may be killed anywhere, and time may pass one over that is due.
 */
#include "model/model.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define READERS 2
#define WRITERS 2
#define THREADS (READERS + WRITERS)
#define PHASES 8 /* more than there are writes and deaths in a run */

/* What is taken away. */
enum fault {
	NONE,
	NO_RESCAN,     /* a writer does not look again once it has claimed */
	NO_DUE,        /* a writer looks for those who read alone */
	NO_SECOND,     /* a reader that is due does not look again once it is in */
	UNTOLD,        /* who inherits clears what a dead writer left before it notes it */
	PHASE_STANDS,  /* a write does not count */
	FAULTS,
};

static int fault; /* the one at work, an enum fault */

enum mutex { FREE, HELD, LEFT };
enum slot { NOBODY, READING, WAITING, PASSED };

enum at {
	/* readers */
	R_LOOK, R_ENTER, R_CHECK, R_PHASE, R_STAND, R_WAIT, R_MAY, R_MAY_PHASE, R_MAY_CLAIM, R_TURN, R_SURE, R_SURE_PHASE,
	R_SURE_CLAIM, R_TELL, R_TELL_TORN, R_IN,
	/* writers */
	W_LOCK, W_HEIR_TORN, W_HEIR_CLEAR, W_HEIR_PHASE, W_HEIR_CLAIM, W_SCAN, W_AWAIT, W_CLAIM, W_RESCAN, W_WITHDRAW,
	W_WRITE, W_IN, W_CLEAR, W_PHASE, W_UNCLAIM, W_UNLOCK,
	ENDED, DEAD,
};

struct thread {
	uint8_t at, rounds;
	uint8_t phase; /* a reader's, as it remembers it */
	uint8_t told;  /* a reader's: it saw that a writer died */
	uint8_t scan;  /* a writer's: which slot is next */
};

struct state {
	uint8_t mutex, claimed, phase, writing, torn, kills;
	uint8_t slot[READERS], since[READERS]; /* what each reader stands for, and of WAITING the phase */
	/* not the lock's: what must hold */
	uint8_t due[READERS]; /* it waited when a write ended */
	uint8_t broken;       /* a writer died in the middle */
	struct thread t[THREADS];
};

/* What SLOT of a living reader says: it reads; it is due. */
static bool reads(const struct state *s, int i)
{
	return s->slot[i] == READING;
}

static bool is_due(const struct state *s, int i)
{
	return fault != NO_DUE && s->slot[i] == WAITING && s->since[i] != s->phase;
}

static bool may(const struct state *s, uint8_t phase)
{
	return s->mutex != HELD || (phase != s->phase && !s->claimed);
}

static struct model_moves moves(const void *state, int i)
{
	const struct state *s = state;
	const struct thread *t = &s->t[i];
	int blows = s->kills > 0, steps = 1;

	switch ((enum at)t->at) {
	case ENDED:
	case DEAD:
		return (struct model_moves){0, 0};
	case R_WAIT:
		steps = s->slot[i] == PASSED || may(s, s->since[i]);
		break;
	case W_LOCK:
		steps = s->mutex != HELD;
		break;
	case W_AWAIT:
		for (int k = 0; k < READERS; k++)
			steps &= !reads(s, k) && !is_due(s, k);
		blows += !steps && s->kills > 0; /* time passes them over: as rare as a death, so that there is an end */
		break;
	default:
		break;
	}
	return (struct model_moves){steps, blows};
}

static void next_round(struct thread *t, uint8_t begin)
{
	t->phase = t->told = t->scan = 0;
	t->at = --t->rounds == 0 ? ENDED : begin;
}

static const char *step_reader(struct state *s, int i)
{
	struct thread *t = &s->t[i];

	switch ((enum at)t->at) {
	case R_LOOK:
		t->at = s->mutex == HELD ? R_PHASE : R_ENTER;
		return NULL;
	case R_ENTER:
		s->slot[i] = READING;
		t->at = R_CHECK;
		return NULL;
	case R_CHECK:
		t->at = s->mutex == HELD ? R_PHASE : R_TELL;
		return NULL;
	case R_PHASE:
		t->phase = s->phase;
		t->at = R_STAND;
		return NULL;
	case R_STAND:
		s->slot[i] = WAITING;
		s->since[i] = t->phase;
		t->at = R_WAIT;
		return NULL;
	case R_WAIT:
		t->at = s->slot[i] == PASSED ? R_PHASE : R_MAY;
		return NULL;
	case R_MAY:
		t->at = s->mutex != HELD ? R_TURN : R_MAY_PHASE;
		return NULL;
	case R_MAY_PHASE:
		t->at = t->phase != s->phase ? R_MAY_CLAIM : R_WAIT;
		return NULL;
	case R_MAY_CLAIM:
		t->at = s->claimed ? R_WAIT : R_TURN;
		return NULL;
	case R_TURN:
		t->at = R_WAIT;
		if (s->slot[i] == PASSED)
			return NULL;
		s->slot[i] = READING;
		t->at = fault == NO_SECOND ? R_TELL : R_SURE;
		return NULL;
	case R_SURE:
		t->at = s->mutex != HELD ? R_TELL : R_SURE_PHASE;
		return NULL;
	case R_SURE_PHASE:
		t->at = t->phase != s->phase ? R_SURE_CLAIM : R_STAND;
		return NULL;
	case R_SURE_CLAIM:
		t->at = s->claimed ? R_STAND : R_TELL;
		return NULL;
	case R_TELL:
		t->told = s->writing;
		t->at = R_TELL_TORN;
		return NULL;
	case R_TELL_TORN:
		t->told |= s->torn;
		t->at = R_IN;
		s->due[i] = 0;
		if (s->broken && !t->told)
			return "a reader is not told that a writer died";
		return NULL;
	default: /* R_IN: it goes */
		s->slot[i] = NOBODY;
		s->since[i] = 0;
		next_round(t, R_LOOK);
		return NULL;
	}
}

/* A write is over: who waits now is due. */
static void turn(struct state *s)
{
	if (fault == PHASE_STANDS)
		return;
	s->phase = (uint8_t)((s->phase + 1) % PHASES);
}

static void note_due(struct state *s)
{
	for (int k = 0; k < READERS; k++)
		s->due[k] |= s->slot[k] == WAITING;
}

static const char *writer_in(struct state *s, int i)
{
	for (int k = 0; k < READERS; k++)
		if (s->due[k])
			return "a reader that was due is overtaken";
	for (int k = READERS; k < THREADS; k++)
		if (k != i && s->t[k].at == W_IN)
			return "two write";
	return NULL;
}

/* One slot is looked at: where that leads, or AT. */
static void scan(struct state *s, struct thread *t, bool found, uint8_t then, uint8_t at)
{
	(void)s;
	if (found || ++t->scan == READERS) {
		t->scan = 0;
		t->at = found ? then : at;
	}
}

static const char *step_writer(struct state *s, int i)
{
	struct thread *t = &s->t[i];

	switch ((enum at)t->at) {
	case W_LOCK:
		t->at = s->mutex == LEFT ? W_HEIR_TORN : W_SCAN;
		s->mutex = HELD;
		return NULL;
	case W_HEIR_TORN:
		if (fault == UNTOLD)
			t->told = s->writing;
		else
			s->torn |= s->writing;
		t->at = W_HEIR_CLEAR;
		return NULL;
	case W_HEIR_CLEAR:
		s->writing = 0;
		t->at = W_HEIR_PHASE;
		return NULL;
	case W_HEIR_PHASE:
		s->torn |= fault == UNTOLD && t->told;
		t->told = 0;
		note_due(s);
		turn(s);
		t->at = W_HEIR_CLAIM;
		return NULL;
	case W_HEIR_CLAIM:
		s->claimed = 0;
		t->at = W_SCAN;
		return NULL;
	case W_SCAN:
		scan(s, t, reads(s, t->scan) || is_due(s, t->scan), W_AWAIT, W_CLAIM);
		return NULL;
	case W_AWAIT:
		t->at = W_SCAN;
		return NULL;
	case W_CLAIM:
		s->claimed = 1;
		t->at = fault == NO_RESCAN ? W_WRITE : W_RESCAN;
		return NULL;
	case W_RESCAN:
		scan(s, t, reads(s, t->scan), W_WITHDRAW, W_WRITE);
		return NULL;
	case W_WITHDRAW:
		s->claimed = 0;
		t->at = W_AWAIT;
		return NULL;
	case W_WRITE:
		s->writing = 1;
		t->at = W_IN;
		return writer_in(s, i);
	case W_IN:
		s->torn = s->broken = 0;
		t->at = W_CLEAR;
		return NULL;
	case W_CLEAR:
		s->writing = 0;
		t->at = W_PHASE;
		return NULL;
	case W_PHASE:
		note_due(s);
		turn(s);
		t->at = W_UNCLAIM;
		return NULL;
	case W_UNCLAIM:
		s->claimed = 0;
		t->at = W_UNLOCK;
		return NULL;
	default: /* W_UNLOCK */
		s->mutex = FREE;
		next_round(t, W_LOCK);
		return NULL;
	}
}

static void kill_thread(struct state *s, int i)
{
	struct thread *t = &s->t[i];

	if (i < READERS) {
		s->slot[i] = NOBODY;
		s->since[i] = s->due[i] = 0;
	} else if (t->at != W_LOCK) {
		s->mutex = LEFT;
		s->broken |= t->at == W_IN;
	}
	s->kills--;
	*t = (struct thread){.at = DEAD};
}

static void pass_over(struct state *s)
{
	for (int k = 0; k < READERS; k++)
		if (is_due(s, k)) {
			s->slot[k] = PASSED;
			s->since[k] = s->due[k] = 0;
		}
	s->kills--;
}

/* Nobody reads while one writes, or is in the middle of it. */
static const char *alone(const struct state *s)
{
	bool writes = false;

	for (int k = READERS; k < THREADS; k++)
		writes |= s->t[k].at == W_IN;
	for (int k = 0; k < READERS; k++)
		if (writes && s->t[k].at == R_IN)
			return "one reads while one writes";
	return NULL;
}

static const char *step(void *state, int i, int move)
{
	struct state *s = state;
	struct model_moves m = moves(state, i);
	const char *wrong = NULL;

	if (move >= m.steps && move - m.steps == 1)
		pass_over(s);
	else if (move >= m.steps)
		kill_thread(s, i);
	else
		wrong = i < READERS ? step_reader(s, i) : step_writer(s, i);
	return wrong != NULL ? wrong : alone(s);
}

static const char *stuck(const void *state)
{
	const struct state *s = state;

	for (int i = 0; i < THREADS; i++)
		if (s->t[i].at < ENDED)
			return "some wait for ever";
	return NULL;
}

static void print(const void *state, char *text, size_t room)
{
	static const char *const names[] = {"look", "enter", "check", "phase", "stand", "wait", "may", "may.phase", "may.claim",
	    "turn", "sure", "sure.phase", "sure.claim", "tell", "tell.torn", "READS", "lock", "heir.torn", "heir.clear",
	    "heir.phase", "heir.claim", "scan", "await", "claim", "rescan", "withdraw", "write", "WRITES", "clear", "phase",
	    "unclaim", "unlock", "ended", "DEAD"};
	const struct state *s = state;
	int n = snprintf(text, room, "mutex %d claimed %d phase %d writing %d torn %d |", s->mutex, s->claimed, s->phase,
	    s->writing, s->torn);

	for (int i = 0; i < THREADS && n < (int)room; i++)
		n += snprintf(text + n, room - (size_t)n, " %d:%s", i, names[s->t[i].at]);
}

/* How often each reads; writes; how many deaths there may be. */
struct cast {
	uint8_t readers, reads, writers, writes, kills;
};

static const struct cast casts[] = {
    {.readers = 2, .reads = 1, .writers = 2, .writes = 1, .kills = 1},
    {.readers = 1, .reads = 2, .writers = 2, .writes = 2, .kills = 1},
    {.readers = 1, .reads = 1, .writers = 2, .writes = 1, .kills = 2},
};
#define CASTS (int)(sizeof casts / sizeof *casts)

static void begin(void *state, int cast)
{
	const struct cast *c = &casts[cast];
	struct state *s = state;

	s->kills = c->kills;
	for (int i = 0; i < THREADS; i++) {
		bool plays = i < READERS ? i < c->readers : i - READERS < c->writers;

		s->t[i].at = !plays ? ENDED : i < READERS ? R_LOOK : W_LOCK;
		s->t[i].rounds = !plays ? 0 : i < READERS ? c->reads : c->writes;
	}
}

static const struct model model = {sizeof(struct state), THREADS, CASTS, FAULTS, &fault, begin, moves, step, stuck, print};

TEST_TIMEOUT(model_rwlock, keeps_writers_alone_and_turns, 60)
{
	model_holds(&model);
}

TEST_TIMEOUT(model_rwlock, finds_each_planted_fault, 60)
{
	model_finds_faults(&model);
}
