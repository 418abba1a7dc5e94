/*
 * session.h - what two ends promise each other after the handshake.  Pure: the time is told to it.
 *
 * Signs of life.  Each end says in its hello how often it will say something; whoever has said
 * nothing for that long sends a BEAT, and whoever hears nothing for much longer ends the
 * connection.  A frame that was begun must be whole in time, too.
 *
 * The rule that matters: only time in which this side looked is held against the peer.  A span
 * between two ticks counts as one beat at most, so that a process that was stopped, or a machine
 * that slept, comes back and finds its peers alive.
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

#define COH_SESSION_SILENCE (8 * COHORT_SECOND) /* trust: dead after 8 s, and never before four beats */
#define COH_SESSION_FRAME (30 * COHORT_SECOND)  /* trust: a frame begun must be whole */
#define COH_SESSION_LOST 4                      /* beats that may be lost */

struct coh_session_config {
	cohort_time beat_out; /* this side says something at least so often; 0: it promises nothing */
	cohort_time beat_in;  /* the same of the peer */
	cohort_time silence;  /* the peer is dead after so long; 0: the larger of 8 s and 4 beats */
	cohort_time frame;    /* a frame must be whole after so long; 0: 30 s */
	bool answers;         /* let the peer say its first BEAT first: for one of the two ends */
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
