/*
 * dialer.h - the inside of a dial, which dial.c runs to its end and users run in their loops.
 */
#ifndef COH_CONN_DIALER_H
#define COH_CONN_DIALER_H

#include "addr/lookup.h"
#include "conn/backoff.h"
#include "conn/greeting.h"
#include "conn/race.h"

enum coh_dialer_state {
	COH_DIALER_RESOLVING,
	COH_DIALER_CONNECTING,
	COH_DIALER_GREETING,
	COH_DIALER_PAUSING,
	COH_DIALER_DONE,
	COH_DIALER_FAILED,
};

/* Who dials, how, and where it is told who answered. */
struct coh_dial {
	const struct coh_identity *id;            /* NULL: as the options say */
	const struct cohort_net_options *options; /* may be NULL */
	struct coh_handshake_peer *peer;          /* may be NULL */
};

/* The caller's storage; the fields are dialer.c's own. */
struct cohort_dialer {
	struct coh_dial how;
	struct coh_identity own; /* when it was made here */
	struct coh_address address;
	char text[COH_ADDRESS_TEXT];
	cohort_time deadline;
	enum coh_dialer_state state;
	cohort_time limit; /* of the state it is in; COHORT_FOREVER: only the deadline */
	struct coh_lookup *lookup;
	struct coh_resolved where;
	struct coh_race race;
	struct cohort_conn *conn;
	struct coh_greeting greeting;
	struct coh_greeting_end end; /* of the greeting, when what was dialled says it */
	struct coh_backoff backoff;
	unsigned tries;
	struct cohort_error why; /* the last try's failure */
};

/*
 * Begin to dial ADDRESS; what HOW names is borrowed until coh_dialer_fini, which is needed also after a
 * failure.  As cohort_dialer_start.
 */
int coh_dialer_init(struct cohort_dialer *d, const char *address, const struct coh_dial *how,
    cohort_time deadline, struct cohort_error *err);
void coh_dialer_fini(struct cohort_dialer *d);

/* True while D waits for what a peer of ours on this machine says; Python peers may be anywhere, and are slow. */
bool coh_dialer_is_near(const struct cohort_dialer *d);

/* As cohort_dial, as HOW says. */
int coh_dial(struct cohort_conn **conn, const char *address, const struct coh_dial *how,
    cohort_time deadline, struct cohort_error *err);

#endif
