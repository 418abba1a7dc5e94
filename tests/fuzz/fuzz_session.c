/*
 * fuzz_session.c - a session in virtual time, and a peer that says anything at any time.
 *
 * The input is a list of steps of three bytes: what happens, in which lane, how much.  What must hold:
 * windows and transfers agree with a ledger kept here, nobody ever has more in hand than the window,
 * what was taken comes back whole, and a peer is given up for silence or for an unfinished frame
 * never early, and by one who looks when he should never late.  PLANT: a CREDIT in the bulk lane may
 * be one byte more than was used.
 */
#include "base/object.h"
#include "wire/session.h"

#include <cohort/error.h>
#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of a frame's time: how much later than it began a tick may first see it. */
#define LATE 8

enum {
	CREDIT,
	SPEND,
	CAME,
	TAKEN,
	OPENED,
	SLICED,
	GIVEN_UP,
	HEARD,
	SAID,
	WHOLE,
	PART,
	LOOK,
	SLEEP,
	STEPS
};

struct ledger {
	uint64_t sent; /* by us, and not given back */
	uint64_t hand; /* came, and not taken */
	uint64_t due;  /* taken, and not given back */
	uint64_t rest; /* of a transfer */
};

struct world {
	struct coh_session s;
	struct ledger way[COH_LANES];
	cohort_time now;
	cohort_time heard; /* a tick saw that the peer spoke */
	cohort_time begun; /* a tick saw that nothing was unfinished */
	bool unfinished;
	bool punctual; /* no tick was later than asked for */
};

static int credit(struct world *w, enum coh_session_lane lane, uint64_t size)
{
#ifdef PLANT
	if (lane == COH_LANE_BULK && size == w->way[lane].sent + 1) {
		w->s.way[lane].credit += size;
		return 0;
	}
#endif
	return coh_session_credit(&w->s, lane, size);
}

static void windows(struct world *w, int what, enum coh_session_lane lane, uint64_t n)
{
	struct ledger *l = &w->way[lane];
	uint64_t window = w->s.config.window[lane], back;

	if (what == CREDIT) {
		COH_ASSERT((credit(w, lane, n) == 0) == (n <= l->sent));
		l->sent -= n <= l->sent ? n : 0;
	} else if (what == SPEND && coh_session_may(&w->s, lane, n)) {
		coh_session_spend(&w->s, lane, n);
		l->sent += n;
	} else if (what == CAME) {
		bool fits = n <= window - l->hand - l->due;

		COH_ASSERT((coh_session_came(&w->s, lane, n) == 0) == fits);
		l->hand += fits ? n : 0;
	} else if (what == TAKEN && n <= l->hand) {
		back = coh_session_taken(&w->s, lane, n);
		l->hand -= n;
		l->due += n;
		COH_ASSERT(back == 0 || back == l->due);
		l->due -= back;
		COH_ASSERT(l->due < window); /* or the peer would wait for ever */
	}
	COH_ASSERT(l->sent <= window && w->s.way[lane].credit == window - l->sent);
	COH_ASSERT(w->s.way[lane].open == window - l->hand - l->due);
}

static void transfers(struct world *w, int what, enum coh_session_lane lane, uint64_t n)
{
	struct ledger *l = &w->way[lane];
	int rc;

	if (what == OPENED) {
		rc = coh_session_opened(&w->s, lane, n);
		COH_ASSERT((rc == 0) == (l->rest == 0));
		l->rest = rc == 0 ? n : l->rest;
	} else if (what == SLICED) {
		rc = coh_session_sliced(&w->s, lane, n);
		COH_ASSERT((rc >= 0) == (n != 0 && n <= l->rest));
		l->rest -= rc >= 0 ? n : 0;
		COH_ASSERT(rc < 0 || (rc == 1) == (l->rest == 0));
	} else {
		COH_ASSERT((coh_session_given_up(&w->s, lane) == 0) == (l->rest != 0));
		l->rest = 0;
	}
}

/* Look after SPAN.  False: the peer was given up. */
static bool look(struct world *w, cohort_time span)
{
	const struct coh_session_config *c = &w->s.config;
	bool heard = w->s.heard, fresh = !w->unfinished || w->s.whole;
	int rc;

	w->punctual = w->punctual && (w->s.next == COHORT_FOREVER || w->now + span <= w->s.next);
	w->now += span;
	rc = coh_session_tick(&w->s, w->now, w->unfinished);
	w->heard = heard ? w->now : w->heard;
	w->begun = fresh ? w->now : w->begun;
	COH_ASSERT(rc < 0 || (w->s.next > w->now && coh_session_rest(&w->s) >= w->now));
	if (rc == COHORT_ESILENT)
		COH_ASSERT(c->beat_in != 0 && w->now - w->heard >= c->silence);
	else if (rc == COHORT_ESTALLED)
		COH_ASSERT(w->unfinished && w->now - w->begun >= c->frame);
	else if (w->punctual)
		COH_ASSERT((c->beat_in == 0 || w->now - w->heard < c->silence) &&
		    w->now - w->begun < c->frame + c->frame / LATE);
	return rc >= 0;
}

static bool step(struct world *w, int what, enum coh_session_lane lane, uint64_t n)
{
	cohort_time due = w->s.next == COHORT_FOREVER ? COHORT_SECOND : w->s.next - w->now;

	switch (what) {
	case HEARD:
		coh_session_heard(&w->s);
		return true;
	case SAID:
		coh_session_said(&w->s);
		return true;
	case WHOLE:
		coh_session_whole(&w->s);
		return true;
	case PART:
		w->unfinished = n % 2;
		return !w->unfinished || !coh_session_unmeasured(&w->s) || look(w, 0);
	case LOOK:
		return look(w, due * (cohort_time)(n % 16 + 1) / 16);
	case SLEEP:
		return look(w, due + (cohort_time)n * COHORT_SECOND);
	case OPENED:
	case SLICED:
	case GIVEN_UP:
		transfers(w, what, lane, n);
		return true;
	default:
		windows(w, what, lane, n);
		return true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {
	    .now = COHORT_SECOND, .heard = COHORT_SECOND, .begun = COHORT_SECOND, .punctual = true};
	struct coh_session_config config = {.window = {200, 100}};

	if (size < 2)
		return 0;
	config.beat_out = data[0] * 10 * COHORT_MS;
	config.beat_in = data[1] * 10 * COHORT_MS;
	coh_session_init(&w.s, &config, w.now);
	for (size_t i = 2; i + 3 <= size; i += 3)
		if (!step(&w, data[i] % STEPS, data[i + 1] % COH_LANES, data[i + 2]))
			break;
	return 0;
}
