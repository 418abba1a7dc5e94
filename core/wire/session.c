/*
 * session.c - beats, silence, frames that never end; windows and transfers.
 *
 * Time: three stop-watches, each moved on by a tick and set back by what was noted since the last one.
 * Ticks are a quarter of a beat apart, so that what they see late is late by no more than that:
 * a BEAT is sent when one more tick would be too late.
 *
 * A beat that comes when half of our span is over is answered by ours at once, and from then on ours waits
 * to be an answer: one wake-up for both, and the answer carries TCP's acknowledgement.  Whoever speaks
 * first does so at moments that all sessions of the process share, so that one wake-up serves many.
 *
 * Rejected: moments in place of spans (a stall of our own would have to be added to each of them).
 */
#include "wire/session.h"

#include <cohort/error.h>

#define PARTS 4 /* ticks in a beat */
#define JOIN 2  /* of a beat: from there on one that comes is answered, once, to be an answer from then on */
#define GIVE_BACK 4 /* at a quarter of the window: a CREDIT is rare, and a sender never stands still */
#define LOOKS 8 /* ticks in the time of an unfinished frame */
#define GRID 16 /* moments in a beat at which beats begin */
#define GRACE 8 /* of a beat: an answer to a beat at its moment is that much later, at most */

static const uint32_t windows[COH_LANES] = {
    [COH_LANE_ORDERED] = COH_SESSION_WINDOW_ORDERED,
    [COH_LANE_BULK] = COH_SESSION_WINDOW_BULK,
};

static cohort_time less(cohort_time a, cohort_time b)
{
	return a < b ? a : b;
}

/* When a beat of the peer, or ours that answers it, is not merely on its way any more. */
static cohort_time late(cohort_time beat)
{
	return beat + beat / GRACE;
}

void coh_session_init(
    struct coh_session *s, const struct coh_session_config *config, cohort_time now)
{
	*s = (struct coh_session){
	    .config = *config, .on = true, .answers = config->answers, .looked = now};
	if (s->config.silence == 0) {
		s->config.silence = COH_SESSION_SILENCE;
		if (s->config.silence / COH_SESSION_LOST < s->config.beat_in)
			s->config.silence = s->config.beat_in * COH_SESSION_LOST;
	}
	for (int i = 0; i < COH_LANES; i++) {
		if (s->config.window[i] == 0)
			s->config.window[i] = windows[i];
		s->way[i].credit = s->way[i].open = s->config.window[i];
	}
	if (s->config.frame == 0)
		s->config.frame = COH_SESSION_FRAME;
	(void)coh_session_tick(s, now, false);
}

/* From one tick to the next. */
static cohort_time step_of(const struct coh_session_config *c, bool unfinished)
{
	cohort_time step = COHORT_FOREVER;

	/* No step is longer than a frame's looks: one may begin right behind it. */
	if (c->beat_in != 0)
		step = c->beat_in / PARTS;
	if (c->beat_out != 0)
		step = less(step, c->beat_out / PARTS);
	return unfinished || step != COHORT_FOREVER ? less(step, c->frame / LOOKS) : step;
}

/* How long this side is silent before a tick that may have HEARD something makes it beat. */
static cohort_time beat_from(const struct coh_session *s, bool heard)
{
	cohort_time beat = s->config.beat_out;

	return heard && !s->answers ? beat / JOIN : beat - beat / PARTS;
}

int coh_session_tick(struct coh_session *s, cohort_time now, bool unfinished)
{
	const struct coh_session_config *c = &s->config;
	cohort_time span = now - s->looked, step = step_of(c, unfinished);
	bool heard = s->heard;

	s->quiet = s->heard ? 0 : s->quiet + less(span, late(c->beat_in));
	s->still = s->said ? 0 : s->still + span;
	if (!unfinished)
		s->pending = -1;
	else if (s->whole || s->pending < 0)
		s->pending = 0; /* it began at some time since the last tick */
	else
		s->pending += less(span, c->frame / PARTS);
	s->heard = s->said = s->whole = false;
	s->looked = now;
	if (__builtin_add_overflow(now, step, &s->next))
		s->next = COHORT_FOREVER;
	if (c->beat_in != 0 && s->quiet >= c->silence)
		return COHORT_ESILENT;
	if (s->pending >= c->frame)
		return COHORT_ESTALLED;
	if (c->beat_out == 0 || s->still < beat_from(s, heard))
		return 0;
	s->answers = heard;
	return COH_SESSION_BEAT;
}

/* When this side beats, unless it says something before. */
static cohort_time beat_at(const struct coh_session *s)
{
	const struct coh_session_config *c = &s->config;
	cohort_time grid = c->beat_out / GRID, at = s->looked - (s->said ? 0 : s->still);

	if (s->answers && c->beat_in != 0 && c->beat_in <= c->beat_out)
		at += late(c->beat_out);
	else if (grid != 0)
		at = (at + c->beat_out) / grid * grid;
	else
		at += c->beat_out;
	/* One that is due and could not be sent is tried again, but not at once. */
	return at > s->looked ? at : s->looked + c->beat_out / PARTS;
}

cohort_time coh_session_rest(const struct coh_session *s)
{
	const struct coh_session_config *c = &s->config;
	cohort_time rest = s->pending >= 0 ? s->next - s->looked : COHORT_FOREVER, until;

	if (c->beat_in != 0)
		rest = less(rest, less(late(c->beat_in), c->silence - s->quiet));
	if (__builtin_add_overflow(s->looked, rest, &until))
		until = COHORT_FOREVER;
	return c->beat_out != 0 ? less(until, beat_at(s)) : until;
}

int coh_session_credit(struct coh_session *s, uint32_t lane, uint64_t size)
{
	if (!s->on || lane >= COH_LANES || size > s->config.window[lane] - s->way[lane].credit)
		return COHORT_EPROTOCOL;
	s->way[lane].credit += size;
	return 0;
}

int coh_session_came(struct coh_session *s, enum coh_session_lane lane, uint64_t size)
{
	if (!s->on)
		return 0;
	if (size > s->way[lane].open)
		return COHORT_EPROTOCOL;
	s->way[lane].open -= size;
	return 0;
}

bool coh_session_owes(const struct coh_session *s, enum coh_session_lane lane)
{
	return s->on && s->way[lane].taken >= s->config.window[lane] / GIVE_BACK;
}

uint64_t coh_session_taken(struct coh_session *s, enum coh_session_lane lane, uint64_t size)
{
	struct coh_session_way *way = &s->way[lane];
	uint64_t back;

	if (!s->on)
		return 0;
	way->taken += size;
	if (!coh_session_owes(s, lane))
		return 0;
	back = way->taken;
	way->open += back;
	way->taken = 0;
	return back;
}

int coh_session_opened(struct coh_session *s, enum coh_session_lane lane, uint64_t total)
{
	if (s->way[lane].transfer)
		return COHORT_EPROTOCOL;
	s->way[lane].transfer = total != 0;
	s->way[lane].rest = total;
	return 0;
}

int coh_session_sliced(struct coh_session *s, enum coh_session_lane lane, uint64_t size)
{
	struct coh_session_way *way = &s->way[lane];

	if (!way->transfer || size == 0 || size > way->rest)
		return COHORT_EPROTOCOL;
	way->rest -= size;
	way->transfer = way->rest != 0;
	return way->rest == 0;
}

int coh_session_given_up(struct coh_session *s, enum coh_session_lane lane)
{
	if (!s->way[lane].transfer)
		return COHORT_EPROTOCOL;
	s->way[lane].transfer = false;
	return 0;
}
