/*
 * greeting.h - the handshake carried over a connection.
 *
 * net/trust decides, or net/python when the identity is for that; this moves its frames.  A greeting never outlives its connection, which
 * stays the caller's.
 */
#ifndef COH_CONN_GREETING_H
#define COH_CONN_GREETING_H

#include "addr/sockaddr.h"
#include "conn/conn_priv.h"
#include "conn/identity.h"
#include "python/dialect.h"

/* The server's end of a connection, which both prove: what was dialled, where it was accepted. */
struct coh_greeting_end {
	enum coh_handshake_reach reach;
	char address[COH_SOCKADDR_TEXT];
};

/* E is at SA.  0, or COHORT_EADDRESS when that has no text. */
int coh_greeting_end(struct coh_greeting_end *e, const struct sockaddr *sa, socklen_t len);

struct coh_greeting {
	struct cohort_conn *conn;
	const struct coh_identity *id;
	struct coh_handshake hs;    /* its `peer` serves every kind */
	struct coh_dialect dialect; /* in place of hs when the identity is for Python */
	bool python;
	struct coh_greeting_end asked; /* of the socket, by nobody who knows it */
};

/*
 * Begin on CONN, a socket connection in COH_PHASE_STRANGER; ID, and END when the caller knows it (NULL: the
 * socket is asked), are borrowed until fini, which is needed also after a failure.  As
 * coh_handshake_init, or -errno of getpeername or getsockname.
 */
int coh_greeting_init(struct coh_greeting *g, struct cohort_conn *conn,
    const struct coh_identity *id, enum coh_handshake_role role, const struct coh_greeting_end *end,
    struct cohort_error *err);
void coh_greeting_fini(struct coh_greeting *g);

/*
 * Go on, as far as it goes without waiting: at the beginning, and whenever the connection is ready
 * for coh_conn_events.  COH_HANDSHAKE_MORE, COH_HANDSHAKE_DONE (of a client: frames of the user's may
 * have come already), or why it failed: then the peer has been told its byte.
 */
int coh_greeting_step(struct coh_greeting *g, struct cohort_error *err);

/* The time it had is over: say so in ERR.  Returns COHORT_ETIMEDOUT. */
int coh_greeting_late(const struct coh_greeting *g, struct cohort_error *err);

/* True once the client has said a hello that was good, be it only that of TLS. */
bool coh_greeting_spoke(const struct coh_greeting *g);

/* After success: CONN becomes a user's connection, with a peer that has a name and a session with it. */
void coh_greeting_admit(struct coh_greeting *g);

#endif
