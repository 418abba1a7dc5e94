/*
 * session_world.h - two sessions joined by a link that delays, tears and is cut, in virtual time.
 *
 * The world does what its events say and keeps its own account: what was sent arrives, whole and in order of
 * its lane; nobody has more in hand than the window; a peer that lives is not taken for dead, nor one
 * that is dead for long.  tests/fuzz takes the events from bytes, test_session_sim.c from chance.
 */
#ifndef COH_TESTS_SESSION_WORLD_H
#define COH_TESTS_SESSION_WORLD_H

#include "wire/session.h"

#include <sys/queue.h>

enum world_event {
	WORLD_SEND,  /* HOW: how large, in lane WHO / 2 */
	WORLD_TAKE,  /* up to HOW messages */
	WORLD_REST,  /* both: HOW decides how long */
	WORLD_SLEEP, /* and look at nothing */
	WORLD_WAKE,
	WORLD_GIVE_UP,   /* the transfer under way */
	WORLD_DELAY,     /* what is sent from now on */
	WORLD_TEAR,      /* the frame that is sent next: its rest comes later */
	WORLD_NO_MEMORY, /* for the next CREDIT */
	WORLD_CUT, /* what is sent is lost from now on: no seldom event, since little follows it */
	WORLD_EVENTS,
};

struct world_frame {
	STAILQ_ENTRY(world_frame) link;
	uint8_t type;
	enum coh_session_lane lane;
	uint32_t number; /* of the message in its lane */
	uint64_t size;   /* of the body; CREDIT: what it gives; OPEN: what it announces */
	bool given_up;
	cohort_time begins, whole; /* when it arrives */
	bool begun;
};
STAILQ_HEAD(world_frames, world_frame);

/* A lane as its sender and as its receiver know it. */
struct world_lane {
	struct world_frames queue; /* not begun */
	uint64_t left;             /* of the transfer under way; 0: none */
	uint32_t current;          /* its number */
	uint32_t sent;             /* messages so far */
	struct world_frames inbox; /* came, and not taken */
	uint64_t untaken;          /* bytes of those */
	uint64_t flying;           /* bytes of data on the way to us */
	uint64_t returning;        /* bytes of credit on the way to us */
	uint32_t expected;         /* number of the next message */
};

struct world_end {
	struct coh_session session;
	struct world_lane lane[COH_LANES];
	struct world_frames arriving;
	cohort_time last;  /* when what was sent to us last arrives */
	cohort_time delay; /* of what is sent to us from now on */
	cohort_time tear;  /* of what is sent to us next */
	bool steps, asleep, no_memory;
	cohort_time heard;   /* when something came last */
	cohort_time watched; /* for how long it was awake since */
	cohort_time awake;   /* since when it has been */
	cohort_time half;    /* since when it has seen part of a frame; < 0: it has not */
	cohort_time trouble; /* when it, or the link from it, was last not well */
};

struct world {
	struct world_end end[2];
	cohort_time now;
	bool cut[2];        /* the link to that end */
	bool over;          /* an end has given up, and was right */
	const char *broken; /* what should not be; NULL: nothing */
};

/* How the world is: WINDOWS, BEATS and HABITS choose. */
void world_init(struct world *w, unsigned windows, unsigned beats, unsigned habits);

void world_happens(struct world *w, enum world_event what, unsigned who, unsigned how);

/* All wake, take what there is and wait; then everything must have arrived.  Frees; what was broken, or NULL. */
const char *world_settle(struct world *w);

#endif
