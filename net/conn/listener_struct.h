/*
 * listener_struct.h - the inside of a listener, shared by listener.c, listener_door.c and
 * listener_stranger.c.
 */
#ifndef COH_CONN_LISTENER_STRUCT_H
#define COH_CONN_LISTENER_STRUCT_H

#include "addr/network.h"
#include "conn/bind.h"
#include "conn/listener_priv.h"
#include "trust/loglimit.h"

/* Whom the user is told of. */
struct coh_listener_last {
	struct cohort_peer told; /* points into the others */
	struct coh_handshake_peer peer;
	char uuid[2 * COH_HANDSHAKE_UUID + 1];
	char address[COH_ADDRESS_TEXT + 16];
};

struct cohort_listener {
	struct coh_bound bound;
	struct coh_identity id;
	char address[COH_ADDRESS_TEXT];
	int epoll, timer;
	bool attended;      /* somebody waits in cohort_listener_accept */
	struct coh_listener_stranger *beside; /* not in the set: who waits asks for it too; or NULL */
	int reserve;        /* a descriptor to give up when there is no other */
	cohort_time paused; /* not accepting until then; 0: accepting */
	bool crowded;       /* nor until there is room: that is why */
	cohort_time complained; /* last, that there is nothing to accept with */
	cohort_time armed;  /* what the timer is set to; 0: not set; < 0: it rings */
	int allowance;      /* of accepts in this step */
	struct coh_strangers strangers;
	struct coh_loglimit log;
	coh_listener_source_fn source;
	struct coh_network_list exempt; /* have no source */
	coh_handshake_admit_fn admit;
	void *admit_arg;
	struct cohort_conn *found; /* the peer that this step gives; NULL: none yet */
	struct coh_listener_last last;
};

/* One stranger: its place among the others, its connection, how far it has come. */
struct coh_listener_stranger {
	struct coh_stranger place; /* first: a place is cast to its stranger */
	struct cohort_conn *conn;
	struct coh_greeting greeting;
	short watched; /* the events asked for */
};

static inline struct coh_listener_stranger *coh_listener_stranger_at(struct coh_stranger *place)
{
	return (struct coh_listener_stranger *)place;
}

/* listener.c */

/* Say FORMAT of SOURCE, unless too much has been said of it this minute. */
void coh_listener_say(struct cohort_listener *l, uint64_t source, const char *format, ...)
    COHORT_PRINTF(3, 4);
#define COH_LISTENER_ITSELF (UINT64_MAX - 1) /* as a source: what is said of the listener, not of strangers */

/* Ask epoll_ctl to do OP with FD for WHOM, asking for EVENTS.  0 or -errno. */
int coh_listener_watch(struct cohort_listener *l, int op, int fd, void *whom, short events);

/* listener_stranger.c */

/* Somebody who was accepted: the descriptor, whence, and in words. */
struct coh_listener_newcomer {
	int fd;
	uint64_t source;
	char text[COH_ADDRESS_TEXT + 16];
};

/* Make a stranger of N, whose descriptor is taken in any case. */
void coh_listener_enter(struct cohort_listener *l, const struct coh_listener_newcomer *n);

/* Whoever is watched beside the set of all joins it. */
void coh_listener_set(struct cohort_listener *l);

/* Close FD, having told it CODE's byte where that would be understood. */
void coh_listener_refuse(struct cohort_listener *l, int fd, int code);

/* Hear S as far as it goes: afterwards it is here still, or gone, or it has become l->found. */
enum coh_listener_fate {
	COH_LISTENER_STAYS,
	COH_LISTENER_GONE,
	COH_LISTENER_FOUND,
} coh_listener_hear(struct cohort_listener *l, struct coh_listener_stranger *s);

/* Let go of S, with WHY on its source's account; or as a victim (coh_strangers_yield). */
void coh_listener_drop(
    struct cohort_listener *l, struct coh_listener_stranger *s, enum coh_penalty_why why);
void coh_listener_yield(struct cohort_listener *l, struct coh_listener_stranger *s);

/* listener_door.c: accept who waits.  0, or -errno when the socket is no longer one to accept from. */
int coh_listener_take(struct cohort_listener *l);

#endif
