/*
 * greeting.c - the handshake carried over a connection.
 *
 * The rule that matters: a server hears all that has come before it answers, and nothing may
 * follow the client's proof before the answer to it; so no byte of an unproven peer ever
 * waits in the buffer that the user's messages will come from.
 */
#include "conn/greeting.h"

#include "base/err.h"
#include "conn/greeting_python.h"
#include "conn/stream_tls.h"
#include "wire/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* By certificates: the name that PEER says must be in its own, and among those that we expect. */
static int greeting_vouch(
    const struct coh_handshake_peer *peer, void *arg, struct cohort_error *err)
{
	struct coh_greeting *g = arg;

	if (!coh_tls_named(coh_stream_tls_end(g->conn), peer->name))
		return coh_fail(err, COHORT_EAUTH,
		    "it says that it is %s, and its certificate is for no such DNS name", peer->name);
	if (!coh_identity_certs_expect(&g->id->certs, peer->name))
		return coh_fail(err, COHORT_EAUTH, "%s is not among the peers to be let in", peer->name);
	return 0;
}

int coh_greeting_end(struct coh_greeting_end *e, const struct sockaddr *sa, socklen_t len)
{
	e->reach = coh_sockaddr_is_local(sa, len) ? COH_HANDSHAKE_LOCAL : COH_HANDSHAKE_REMOTE;
	return coh_sockaddr_text(sa, len, e->address);
}

/* The server's end, as the socket of G knows it: 0 or why not. */
static int greeting_ask(
    struct coh_greeting *g, enum coh_handshake_role role, struct cohort_error *err)
{
	struct sockaddr_storage server;
	struct sockaddr *sa = (struct sockaddr *)&server;
	socklen_t len = sizeof server;
	int fd = coh_conn_fd(g->conn);

	if ((role == COH_HANDSHAKE_SERVER ? getsockname : getpeername)(fd, sa, &len) != 0)
		return coh_fail_errno(err, errno, "handshake with %s", cohort_conn_peer(g->conn));
	if (coh_greeting_end(&g->asked, sa, len) != 0)
		return coh_fail(err, COHORT_EADDRESS, "handshake with %s: no address that can be told",
		    cohort_conn_peer(g->conn));
	return 0;
}

int coh_greeting_init(struct coh_greeting *g, struct cohort_conn *conn,
    const struct coh_identity *id, enum coh_handshake_role role, const struct coh_greeting_end *end,
    struct cohort_error *err)
{
	struct coh_handshake_config config = {.role = role,
	    .inside = coh_stream_tls_end(conn) != NULL,
	    .key = id->key,
	    .cluster = id->cluster,
	    .name = id->name,
	    .peer = cohort_conn_peer(conn),
	    .uuid = id->uuid,
	    .features = id->features,
	    .vouch_arg = g};
	int rc;

	memset(&g->hs, 0, sizeof g->hs);
	memset(&g->dialect, 0, sizeof g->dialect);
	g->conn = conn;
	g->id = id;
	if (id->certs.loaded != NULL && config.inside)
		config.vouch = greeting_vouch;
	g->python = id->python;
	if (g->python)
		return coh_greeting_python_init(g, id, role, err);
	rc = end == NULL ? greeting_ask(g, role, err) : 0;
	if (rc != 0)
		return rc;
	if (end == NULL)
		end = &g->asked;
	config.reach = end->reach;
	config.address = end->address;
	return coh_handshake_init(&g->hs, &config, err);
}

void coh_greeting_fini(struct coh_greeting *g)
{
	coh_handshake_fini(&g->hs);
	coh_dialect_fini(&g->dialect);
}

/* Send what the handshake has to say.  1, 0 when there is nothing, or -ENOMEM. */
static int greeting_speak(struct coh_greeting *g, struct cohort_error *err)
{
	struct coh_frame f;
	struct iovec part = {0};
	const void *body = coh_handshake_output(&g->hs, &f);

	if (body != NULL) {
		memcpy(&part.iov_base, &body, sizeof body); /* an iovec has no const */
		part.iov_len = f.length;
		if (coh_conn_put_frame(g->conn, &f, &part, 1, COHORT_NOW) == -ENOMEM)
			return coh_fail(err, -ENOMEM, "handshake with %s: no memory",
			    cohort_conn_peer(g->conn));
	}
	/* A peer that cannot be told may have had a last word before it went. */
	return coh_conn_push(g->conn) >= 0 && body != NULL;
}

/* What came is no handshake at all: say the one byte, since nobody else will. */
static void greeting_refuse(struct coh_greeting *g, int code)
{
	unsigned char why = (unsigned char)coh_handshake_refusal(code);
	struct coh_frame f = {.type = COH_FRAME_REFUSE};
	struct iovec part = {&why, 1};

	(void)coh_conn_put_frame(g->conn, &f, &part, 1, COHORT_NOW);
	(void)coh_conn_push(g->conn);
}

/* The connection itself failed with CODE. */
static int greeting_broken(struct coh_greeting *g, int code, struct cohort_error *err)
{
	if (code == COHORT_EPROTOCOL || code == COHORT_EVERSION || code == COHORT_ETOOBIG)
		greeting_refuse(g, code);
	return coh_fail(err, code, "handshake: %s", coh_conn_last_error(g->conn)->text);
}

/* Hear what has come.  As coh_greeting_step. */
static int greeting_hear(struct coh_greeting *g, struct cohort_error *err)
{
	bool server = g->hs.config.role == COH_HANDSHAKE_SERVER;
	int rc, progress = COH_HANDSHAKE_MORE;
	struct coh_frame f;
	const void *body;

	/* What came is read at once, so that with nothing left there is nothing to ask for again. */
	do {
		rc = coh_conn_next_frame(g->conn, &f, &body, COHORT_NOW);
		if (rc == COHORT_ETIMEDOUT) {
			rc = coh_conn_push(g->conn);
			if (rc >= 0)
				break;
		}
		if (rc != 0)
			return greeting_broken(g, rc, err);
		progress = coh_handshake_feed(&g->hs, &f, body, err);
		if (progress == COH_HANDSHAKE_DONE && !server)
			return progress; /* what follows is the user's */
	} while (progress >= 0 && coh_conn_unread(g->conn) != 0);
	if (progress == COH_HANDSHAKE_DONE && coh_conn_unread(g->conn) != 0) {
		greeting_refuse(g, COHORT_EPROTOCOL);
		return coh_fail(err, COHORT_EPROTOCOL, "handshake with %s: bytes behind the proof",
		    cohort_conn_peer(g->conn));
	}
	rc = greeting_speak(g, progress >= 0 ? err : NULL); /* a failure has its words already */
	if (progress == COH_HANDSHAKE_MORE && coh_conn_failure(g->conn) != 0)
		return greeting_hear(g, err); /* nothing else would make us look again */
	return progress >= 0 && rc < 0 ? rc : progress;
}

int coh_greeting_step(struct coh_greeting *g, struct cohort_error *err)
{
	size_t held;
	int rc;

	if (g->python)
		return coh_greeting_python_step(g, err);
	held = coh_conn_pending(g->conn);
	rc = greeting_speak(g, err);
	if (rc < 0)
		return rc;
	if (rc != 0 || coh_conn_pending(g->conn) < held) /* the answer to it cannot be here yet */
		return COH_HANDSHAKE_MORE;
	return greeting_hear(g, err);
}

int coh_greeting_late(const struct coh_greeting *g, struct cohort_error *err)
{
	return coh_fail(err, COHORT_ETIMEDOUT,
	    g->python ? "Python's handshake with %s: nothing came in time; has its Listener an authkey?"
		      : "handshake with %s: no answer in time",
	    cohort_conn_peer(g->conn));
}

bool coh_greeting_spoke(const struct coh_greeting *g)
{
	const struct coh_tls *tls = g->conn != NULL ? coh_stream_tls_end(g->conn) : NULL;

	return g->hs.peer.name[0] != '\0' || (tls != NULL && coh_tls_heard(tls));
}

void coh_greeting_admit(struct coh_greeting *g)
{
	char peer[COH_HANDSHAKE_NAME_MAX + COH_ADDRESS_TEXT + 8];
	struct coh_session_config session = {0};

	if (g->python) {
		coh_greeting_python_admit(g);
		return;
	}
	snprintf(peer, sizeof peer, "%s at %s", g->hs.peer.name, cohort_conn_peer(g->conn));
	coh_conn_set_phase(g->conn, COH_PHASE_USER);
	(void)coh_conn_set_peer(g->conn, peer); /* without memory its address alone must do */
	session.beat_out = (g->hs.config.features & COH_HANDSHAKE_BEAT) * COHORT_MS;
	session.beat_in = (g->hs.peer.features & COH_HANDSHAKE_BEAT) * COHORT_MS;
	session.answers = g->hs.config.role == COH_HANDSHAKE_SERVER;
	coh_conn_begin_session(g->conn, &session);
}
