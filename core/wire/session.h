/*
 * session.h - what two ends promise each other after the handshake.  Pure: the time is told to it.
 *
 * Signs of life.  Each end says in its hello how often it will say something; whoever has said
 * nothing for that long sends a BEAT, and whoever hears nothing for much longer ends the
 * connection.  A frame that was begun must be whole in time, too.
 *
 * The rule that matters: only time in which this side looked is held against the peer.  A span
 * between two ticks counts as a beat and an eighth at most, so that a process that was stopped, or a machine
 * that slept, comes back and finds its peers alive.
 *
 * Windows.  What is sent travels in lanes, of which each has a window: bytes of frames that the peer
 * has not taken yet.  Whoever receives gives back what was taken, and nobody ever has more in hand than
 * the window, however much the peer would like to send.  A frame of more than COH_SESSION_SLICE goes as an
 * OPEN and SLICEs, one such transfer at a time in a lane, so that nothing waits behind it for long.
 *
 * What happens is noted by plain stores (coh_session_heard and its like), so that a message costs
 * no look at the clock; a tick then takes it for the moment of the tick.
 *
 * One session belongs to one thread at a time.
 */
#ifndef COH_WIRE_SESSION_H
#define COH_WIRE_SESSION_H

#include <cohort/time.h>
#include <stdbool.h>
#include <stdint.h>

#define COH_SESSION_SILENCE (8 * COHORT_SECOND) /* trust: dead after 8 s, and never before three beats */
#define COH_SESSION_FRAME (30 * COHORT_SECOND)  /* trust: a frame begun must be whole */
#define COH_SESSION_LOST 3                      /* beats that may be lost */

#define COH_SESSION_SLICE (64u << 10) /* body of a SLICE; a frame with more goes in slices */

enum coh_session_lane {
	COH_LANE_ORDERED, /* messages; between a pool and its members: frames of no more than a slice */
	COH_LANE_BULK,    /* files; between a pool and its members: larger frames */
	COH_LANES,
};

#define COH_SESSION_WINDOW_ORDERED (4u << 20) /* a second at 32 Mbit/s, or 8 ms at 4 Gbit/s */
#define COH_SESSION_WINDOW_BULK (1u << 20)    /* what an ordered frame waits behind, at most */

struct coh_session_config {
	cohort_time beat_out; /* this side says something at least so often; 0: it promises nothing */
	cohort_time beat_in;  /* the same of the peer */
	cohort_time silence;  /* the peer is dead after so long; 0: the larger of 8 s and 3 beats */
	cohort_time frame;    /* a frame must be whole after so long; 0: 30 s */
	bool answers;         /* let the peer say its first BEAT first: for one of the two ends */
	uint32_t window[COH_LANES]; /* tests; 0: those above */
};

struct coh_session {
	struct coh_session_config config;
	bool on;             /* false: a zeroed struct, no session */
	bool heard;          /* since the last tick: bytes came */
	bool said;           /* since the last tick: bytes went out */
	bool whole;          /* since the last tick: a frame was finished */
	bool answers;        /* our last BEAT was an answer to the peer's */
	cohort_time looked;  /* the last tick */
	cohort_time next;    /* when to tick again; COHORT_FOREVER: nothing depends on time */
	cohort_time quiet;   /* for how long nothing came */
	cohort_time still;   /* for how long nothing went out */
	struct coh_session_way {
		uint64_t credit;   /* what we may send */
		uint64_t open;     /* what the peer may send */
		uint64_t taken;    /* what came and was taken, but not yet given back */
		uint64_t rest;     /* bytes to come of the transfer under way to us */
		bool transfer;     /* there is one */
	} way[COH_LANES];
	cohort_time pending; /* for how long the frame has been unfinished; < 0: there is none */
};

/* Begin at NOW.  Spans of CONFIG are not negative. */
void coh_session_init(
    struct coh_session *s, const struct coh_session_config *config, cohort_time now);

/* Bytes came; bytes went out; a frame that came is whole.  Harmless without a session. */
static inline void coh_session_heard(struct coh_session *s)
{
	s->heard = true;
}

static inline void coh_session_said(struct coh_session *s)
{
	s->said = true;
}

static inline void coh_session_whole(struct coh_session *s)
{
	s->whole = true;
}

/* What went out did so at the moment of the last tick: a BEAT. */
static inline void coh_session_said_then(struct coh_session *s)
{
	s->said = false;
	s->still = 0;
}

/* May SIZE bytes be sent in LANE now?  Without a session always. */
static inline bool coh_session_may(
    const struct coh_session *s, enum coh_session_lane lane, uint64_t size)
{
	return !s->on || s->way[lane].credit >= size;
}

/* SIZE bytes go out in LANE, as they may; or they were taken back unsent. */
static inline void coh_session_spend(
    struct coh_session *s, enum coh_session_lane lane, uint64_t size)
{
	s->way[lane].credit -= s->on ? size : 0;
}

static inline void coh_session_refund(
    struct coh_session *s, enum coh_session_lane lane, uint64_t size)
{
	s->way[lane].credit += s->on ? size : 0;
}

/* A CREDIT came for LANE (as on the wire).  0, or COHORT_EPROTOCOL: no such lane, or more than we spent. */
int coh_session_credit(struct coh_session *s, uint32_t lane, uint64_t size);

/* A frame of SIZE bytes came in LANE.  0, or COHORT_EPROTOCOL: more than the window. */
int coh_session_came(struct coh_session *s, enum coh_session_lane lane, uint64_t size);

/* SIZE bytes that came in LANE were taken.  What is to be given back by a CREDIT now, or 0. */
uint64_t coh_session_taken(struct coh_session *s, enum coh_session_lane lane, uint64_t size);

/* That CREDIT could not be sent: until it is, what was taken is owed; coh_session_taken with 0 tries again. */
static inline void coh_session_not_given(
    struct coh_session *s, enum coh_session_lane lane, uint64_t size)
{
	s->way[lane].open -= size;
	s->way[lane].taken += size;
}

bool coh_session_owes(const struct coh_session *s, enum coh_session_lane lane);

/*
 * The transfer that comes in LANE: an OPEN for TOTAL bytes; a SLICE with SIZE of them (1: it is
 * whole now); a SLICE that gives it up.  0, 1, or COHORT_EPROTOCOL: not the time for it, too many.
 */
int coh_session_opened(struct coh_session *s, enum coh_session_lane lane, uint64_t total);
int coh_session_sliced(struct coh_session *s, enum coh_session_lane lane, uint64_t size);
int coh_session_given_up(struct coh_session *s, enum coh_session_lane lane);

#define COH_SESSION_BEAT 1

/*
 * It is NOW, no earlier than at the last tick; UNFINISHED says that part of a frame has come.
 * Sets s->next; to be called then or at any other time.
 *
 * 0; COH_SESSION_BEAT: a BEAT is due, until coh_session_said; COHORT_ESILENT, COHORT_ESTALLED: the
 * peer has ended it so.
 */
int coh_session_tick(struct coh_session *s, cohort_time now, bool unfinished);

/*
 * When to tick at the latest, for one who also ticks whenever something has come or gone, to the moment: no earlier
 * than s->next.
 */
cohort_time coh_session_rest(const struct coh_session *s);

/* Part of a frame has come: true when nothing measures yet how long it takes, so tick now. */
static inline bool coh_session_unmeasured(const struct coh_session *s)
{
	return s->on && s->next == COHORT_FOREVER;
}

#endif
