/*
 * session_world.c - see session_world.h.
 *
 * Ends behave as conn_session.c and conn_lane.c do: they tick when it is due (or, being one that
 * steps, at every look), slice what is large, and give back what they took.
 *
 * PLANT (tests/fuzz): what a transfer of the bulk lane took before it was given up is never given back.
 */
#include "sim/session_world.h"

#include "wire/frame.h"

#include <stdlib.h>

#define SETTLE 200 /* rests at most, each of more than a second; */
#define CALM 10    /* so many when all has arrived: longer than a silence is borne */

static void expect(struct world *w, bool held, const char *words)
{
	if (!held && w->broken == NULL)
		w->broken = words;
}

static struct world_frame *frame_new(uint8_t type, enum coh_session_lane lane, uint64_t size)
{
	struct world_frame *f = calloc(1, sizeof *f);

	if (f == NULL)
		abort();
	f->type = type;
	f->lane = lane;
	f->size = size;
	return f;
}

static void frames_free(struct world_frames *q)
{
	struct world_frame *f;

	while ((f = STAILQ_FIRST(q)) != NULL) {
		STAILQ_REMOVE_HEAD(q, link);
		free(f);
	}
}

/* E, or the link from it, is not well until UNTIL. */
static void end_troubled(struct world_end *e, cohort_time until)
{
	if (until > e->trouble)
		e->trouble = until;
}

/* What F takes of the window. */
static uint64_t frame_cost(const struct world_frame *f)
{
	if (f->type == COH_FRAME_OPEN)
		return 2 * COH_FRAME_SIZE;
	if (f->type == COH_FRAME_BYTES || (f->type == COH_FRAME_SLICE && !f->given_up))
		return COH_FRAME_SIZE + f->size;
	return 0;
}

/* ---- sending ---- */

/* F (taken) goes from end WHO onto the link. */
static void frame_send(struct world *w, int who, struct world_frame *f)
{
	struct world_end *to = &w->end[!who];
	struct coh_session *s = &w->end[who].session;

	if (f->type == COH_FRAME_BEAT)
		coh_session_said_then(s);
	else
		coh_session_said(s);
	coh_session_spend(s, f->lane, frame_cost(f));
	if (w->cut[!who]) {
		free(f);
		return;
	}
	f->begins = w->now + to->delay > to->last ? w->now + to->delay : to->last;
	f->whole = f->begins + to->tear;
	if (to->tear != 0)
		end_troubled(&w->end[who], f->whole);
	to->tear = 0;
	to->last = f->whole;
	to->lane[f->lane].flying += frame_cost(f);
	if (f->type == COH_FRAME_CREDIT)
		to->lane[f->lane].returning += f->size;
	STAILQ_INSERT_TAIL(&to->arriving, f, link);
}

/* Send the next of LANE if there is credit.  False: it cannot go, or there is none. */
static bool lane_send(struct world *w, int who, enum coh_session_lane lane)
{
	struct world_end *e = &w->end[who];
	struct world_lane *l = &e->lane[lane];
	struct world_frame *f = STAILQ_FIRST(&l->queue), *slice;

	if (l->left != 0) {
		slice = frame_new(COH_FRAME_SLICE, lane,
		    l->left < COH_SESSION_SLICE ? l->left : COH_SESSION_SLICE);
		slice->number = l->current;
		if (!coh_session_may(&e->session, lane, frame_cost(slice))) {
			free(slice);
			return false;
		}
		l->left -= slice->size;
		frame_send(w, who, slice);
		return true;
	}
	if (f == NULL || !coh_session_may(&e->session, lane, frame_cost(f)))
		return false;
	STAILQ_REMOVE_HEAD(&l->queue, link);
	if (f->type == COH_FRAME_OPEN) {
		l->left = f->size;
		l->current = f->number;
	}
	frame_send(w, who, f);
	return true;
}

static void end_push(struct world *w, int who)
{
	for (int i = 0; i < COH_LANES; i++)
		while (lane_send(w, who, (enum coh_session_lane)i))
			;
}

static void message_send(struct world *w, int who, enum coh_session_lane lane, unsigned how)
{
	struct world_lane *l = &w->end[who].lane[lane];
	uint64_t size = how % 4 != 0 ? how : (uint64_t)how * 4000;
	struct world_frame *f =
	    frame_new(size > COH_SESSION_SLICE ? COH_FRAME_OPEN : COH_FRAME_BYTES, lane, size);

	f->number = l->sent++;
	STAILQ_INSERT_TAIL(&l->queue, f, link);
	end_push(w, who);
}

static void transfer_give_up(struct world *w, int who, enum coh_session_lane lane)
{
	struct world_lane *l = &w->end[who].lane[lane];
	struct world_frame *f;

	if (l->left == 0)
		return;
	l->left = 0;
	f = frame_new(COH_FRAME_SLICE, lane, 4);
	f->number = l->current;
	f->given_up = true;
	frame_send(w, who, f);
	end_push(w, who);
}

/* ---- receiving ---- */

static void end_taken(struct world *w, int who, enum coh_session_lane lane, uint64_t size)
{
	struct world_end *e = &w->end[who];
	uint64_t back = coh_session_taken(&e->session, lane, size);

	if (back != 0 && e->no_memory)
		coh_session_not_given(&e->session, lane, back);
	else if (back != 0)
		frame_send(w, who, frame_new(COH_FRAME_CREDIT, lane, back));
	e->no_memory = e->no_memory && back == 0;
}

/* One of a transfer.  True when it ends one. */
static bool slice_came(struct world *w, struct world_end *e, const struct world_frame *f)
{
	int rc;

	if (f->type == COH_FRAME_OPEN)
		rc = coh_session_opened(&e->session, f->lane, f->size);
	else if (f->given_up)
		rc = coh_session_given_up(&e->session, f->lane);
	else
		rc = coh_session_sliced(&e->session, f->lane, f->size);
	expect(w, rc >= 0, "a slice in its order was refused");
	return rc == 1 || f->given_up;
}

/* F (taken) is whole at end WHO. */
static void frame_came(struct world *w, int who, struct world_frame *f)
{
	struct world_end *e = &w->end[who];
	struct world_lane *l = &e->lane[f->lane];
	uint64_t cost = frame_cost(f);
	bool last = f->type == COH_FRAME_BYTES;

	coh_session_whole(&e->session);
	l->flying -= cost;
	if (f->type == COH_FRAME_CREDIT) {
		l->returning -= f->size;
		expect(w, coh_session_credit(&e->session, f->lane, f->size) == 0,
		    "a credit was refused");
	}
	if (cost != 0)
		expect(w, coh_session_came(&e->session, f->lane, cost) == 0,
		    "an honest sender overran the window");
	if (f->type == COH_FRAME_OPEN || f->type == COH_FRAME_SLICE)
		last = slice_came(w, e, f);
	if (cost != 0 || f->given_up)
		expect(w, f->number == l->expected, "a message was lost, or overtook another");
	l->expected += last;
	if (f->type == COH_FRAME_BYTES) {
		l->untaken += cost;
		STAILQ_INSERT_TAIL(&l->inbox, f, link);
		return;
	}
#ifdef PLANT
	if (f->given_up && f->lane == COH_LANE_BULK)
		e->session.way[f->lane].taken = 0;
#endif
	if (cost != 0)
		end_taken(w, who, f->lane, cost);
	free(f);
}

static void end_take(struct world *w, int who, unsigned count)
{
	struct world_end *e = &w->end[who];
	struct world_frame *f;

	for (int i = 0; i < COH_LANES; i++) {
		end_taken(
		    w, who, (enum coh_session_lane)i, 0); /* a CREDIT that could not be sent */
		for (unsigned n = 0; n < count && (f = STAILQ_FIRST(&e->lane[i].inbox)) != NULL;
		     n++) {
			STAILQ_REMOVE_HEAD(&e->lane[i].inbox, link);
			e->lane[i].untaken -= frame_cost(f);
			end_taken(w, who, f->lane, frame_cost(f));
			free(f);
		}
	}
}

/* ---- time ---- */

static void end_hear(struct world *w, int who)
{
	struct world_end *e = &w->end[who];
	struct world_frame *f;

	while ((f = STAILQ_FIRST(&e->arriving)) != NULL && f->begins <= w->now) {
		if (!f->begun || f->whole <= w->now) {
			coh_session_heard(&e->session);
			e->heard = w->now;
			e->watched = 0;
		}
		if (f->whole > w->now) {
			if (!f->begun)
				e->half = w->now;
			f->begun = true;
			return;
		}
		e->half = -1;
		STAILQ_REMOVE_HEAD(&e->arriving, link);
		frame_came(w, who, f);
	}
}

/* Was end WHO right to say RC? */
static void end_over(struct world *w, int who, int rc)
{
	const struct world_end *e = &w->end[who], *peer = &w->end[!who];
	const struct coh_session_config *c = &e->session.config;

	w->over = true;
	if (rc == COHORT_ESTALLED) {
		expect(w, e->half >= 0 && w->now - e->half >= c->frame, "a frame had more time");
		return;
	}
	expect(w, rc == COHORT_ESILENT, "a tick says what it cannot");
	expect(w, w->now - e->heard >= c->silence, "a peer was heard, and is taken for dead");
	expect(w, e->watched >= c->silence, "our own stall was held against the peer");
	expect(w, peer->asleep || w->cut[who] || w->now - peer->trouble <= c->silence,
	    "a peer that is well is taken for dead");
}

/* What should have ended end WHO by now. */
static void end_late(struct world *w, int who)
{
	const struct world_end *e = &w->end[who];
	const struct coh_session_config *c = &e->session.config;
	cohort_time since = e->heard > e->awake ? e->heard : e->awake;

	if (c->beat_in != 0)
		expect(
		    w, w->now - since <= c->silence + c->beat_in, "silence was not found in time");
	since = e->half > e->awake ? e->half : e->awake;
	if (e->half >= 0)
		expect(w, w->now - since <= c->frame + c->frame / 4,
		    "half a frame was borne too long");
}

static void end_look(struct world *w, int who)
{
	struct world_end *e = &w->end[who];
	struct coh_session *s = &e->session;
	int rc = 0;

	end_hear(w, who);
	if (e->steps || w->now >= s->next || (e->half >= 0 && coh_session_unmeasured(s)))
		rc = coh_session_tick(s, w->now, e->half >= 0);
	if (rc < 0) {
		end_over(w, who, rc);
		return;
	}
	if (rc == COH_SESSION_BEAT)
		frame_send(w, who, frame_new(COH_FRAME_BEAT, COH_LANE_ORDERED, 0));
	end_push(w, who);
	end_late(w, who);
}

/* When end WHO looks again. */
static cohort_time end_next(const struct world *w, int who)
{
	const struct world_end *e = &w->end[who];
	const struct world_frame *f = STAILQ_FIRST(&e->arriving);
	cohort_time next = e->steps ? coh_session_rest(&e->session) : e->session.next;

	if (e->asleep)
		return COHORT_FOREVER;
	if (f != NULL && (f->begun ? f->whole : f->begins) < next)
		next = f->begun ? f->whole : f->begins;
	return next > w->now ? next : w->now;
}

static void time_passes(struct world *w, cohort_time until)
{
	cohort_time span;
	int who;

	for (int idle = 0; w->now < until && !w->over && w->broken == NULL;) {
		cohort_time next[2] = {end_next(w, 0), end_next(w, 1)};

		who = next[1] < next[0];
		span = (next[who] < until ? next[who] : until) - w->now;
		idle = span == 0 ? idle + 1 : 0;
		expect(w, idle < 10000, "an end looks again and again, and time stands still");
		for (int i = 0; i < 2; i++) {
			w->end[i].watched += w->end[i].asleep ? 0 : span;
			if (w->end[i].asleep)
				end_troubled(&w->end[i], w->now + span);
		}
		w->now += span;
		if (next[who] <= w->now)
			end_look(w, who);
	}
}

static void end_wake(struct world *w, int who)
{
	struct world_end *e = &w->end[who];

	if (!e->asleep)
		return;
	e->asleep = false;
	e->awake = w->now;
	e->watched += e->session.config.beat_in * 9 / 8; /* what one span may count: a beat and its grace */
	end_troubled(e, w->now);
	end_look(w, who);
}

/* ---- the world ---- */

static void end_init(struct world *w, int who, const struct coh_session_config *config, bool steps)
{
	struct world_end *e = &w->end[who];

	coh_session_init(&e->session, config, w->now);
	e->steps = steps;
	e->half = -1;
	e->heard = e->awake = e->trouble = e->last = w->now;
	STAILQ_INIT(&e->arriving);
	for (int i = 0; i < COH_LANES; i++) {
		STAILQ_INIT(&e->lane[i].queue);
		STAILQ_INIT(&e->lane[i].inbox);
	}
}

void world_init(struct world *w, unsigned windows, unsigned beats, unsigned habits)
{
	static const uint32_t sizes[] = {128u << 10, 200001, 1u << 20, 0};
	static const cohort_time spans[] = {0, 2 * COHORT_SECOND, 5 * COHORT_SECOND, COHORT_SECOND};

	*w = (struct world){.now = COHORT_SECOND};
	for (unsigned i = 0; i < 2; i++) {
		struct coh_session_config config = {
		    .beat_out = spans[beats >> 2 * i & 3],
		    .beat_in = spans[beats >> 2 * !i & 3],
		    .answers = habits >> 2 & 1 && i == 1,
		    .window = {sizes[windows & 3], sizes[windows >> 2 & 3]},
		};

		end_init(w, (int)i, &config, habits >> i & 1);
	}
}

/* Every byte of each window is somewhere, once. */
static void world_check(struct world *w)
{
	for (int who = 0; who < 2; who++)
		for (int i = 0; i < COH_LANES; i++) {
			const struct world_lane *in = &w->end[who].lane[i],
						*out = &w->end[!who].lane[i];
			const struct coh_session_way *way = &w->end[who].session.way[i];
			uint64_t window = w->end[who].session.config.window[i];
			uint64_t credit = w->end[!who].session.way[i].credit;

			expect(w, in->untaken + way->taken + way->open == window,
			    "the receiver has more in hand than the window");
			if (!w->cut[0] && !w->cut[1])
				expect(w,
				    credit + in->flying + in->untaken + way->taken +
					    out->returning ==
					window,
				    "a part of a window is lost");
		}
}

static void link_cut(struct world *w, int who)
{
	w->cut[who] = true;
	end_troubled(&w->end[!who], w->now);
}

static cohort_time span_of(unsigned how)
{
	return how % 2 == 0 ? (cohort_time)how * COHORT_MS : (cohort_time)how * COHORT_SECOND / 4;
}

void world_happens(struct world *w, enum world_event what, unsigned who, unsigned how)
{
	int i = (int)(who & 1);
	enum coh_session_lane lane = (enum coh_session_lane)(who >> 1 & 1);

	if (w->over || w->broken != NULL)
		return;
	if (what == WORLD_REST)
		time_passes(w, w->now + span_of(how));
	else if (what == WORLD_WAKE)
		end_wake(w, i);
	else if (what == WORLD_DELAY)
		w->end[i].delay = (cohort_time)how * 4 * COHORT_MS;
	else if (what == WORLD_TEAR)
		w->end[i].tear = span_of(how);
	else if (what == WORLD_CUT && how % 8 == 0)
		link_cut(w, i);
	else if (w->end[i].asleep)
		return; /* it does nothing */
	else if (what == WORLD_SEND)
		message_send(w, i, lane, how);
	else if (what == WORLD_TAKE)
		end_take(w, i, how);
	else if (what == WORLD_SLEEP)
		w->end[i].asleep = true;
	else if (what == WORLD_GIVE_UP)
		transfer_give_up(w, i, lane);
	else if (what == WORLD_NO_MEMORY)
		w->end[i].no_memory = true;
	world_check(w);
}

/* All that was sent has come. */
static bool world_arrived(const struct world *w)
{
	for (int who = 0; who < 2; who++)
		for (int i = 0; i < COH_LANES; i++)
			if (w->end[who].lane[i].expected != w->end[!who].lane[i].sent)
				return false;
	return true;
}

const char *world_settle(struct world *w)
{
	for (int n = 0, calm = 0; n < SETTLE && calm < CALM; n++, calm += world_arrived(w))
		for (unsigned i = 0; i < 2; i++) {
			world_happens(w, WORLD_WAKE, i, 0);
			world_happens(w, WORLD_DELAY, i, 0);
			world_happens(w, WORLD_REST, i, 5);
			world_happens(w, WORLD_TAKE, i, 10000);
		}
	if (!w->over && !w->cut[0] && !w->cut[1])
		expect(w, world_arrived(w), "a message never came");
	for (int who = 0; who < 2; who++) {
		frames_free(&w->end[who].arriving);
		for (int i = 0; i < COH_LANES; i++) {
			frames_free(&w->end[who].lane[i].queue);
			frames_free(&w->end[who].lane[i].inbox);
		}
	}
	return w->broken;
}
