/*
 * greeting_python.c - Python's handshake carried over a connection.
 *
 * The rule that matters: what comes behind the message that ended the handshake is the user's, since
 * CPython's client sends it without waiting for anything; so frames are read one by one, and no
 * further once it is done.
 */
#include "conn/greeting_python.h"

#include "base/err.h"
#include "python/framing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Send what the dialect has to say, if anything.  0, or -ENOMEM. */
static int speak(struct coh_greeting *g, struct cohort_error *err)
{
	struct coh_frame f = {.type = COH_FRAME_BYTES};
	struct iovec part = {0};
	const void *p = coh_dialect_output(&g->dialect, &part.iov_len);

	if (p != NULL) {
		memcpy(&part.iov_base, &p, sizeof p); /* an iovec has no const */
		if (coh_conn_put_frame(g->conn, &f, &part, 1, COHORT_NOW) == -ENOMEM)
			return coh_fail(err, -ENOMEM, "handshake with %s: no memory",
			    cohort_conn_peer(g->conn));
	}
	(void)coh_conn_push(g->conn); /* who does not hear us will be heard no more */
	return 0;
}

/* Judge one message and answer it.  As coh_dialect_feed. */
static int hear(struct coh_greeting *g, const void *body, size_t n, struct cohort_error *err)
{
	int progress = coh_dialect_feed(&g->dialect, body, n, err);
	int rc = speak(g, progress >= 0 ? err : NULL); /* a failure has its words already */

	if (coh_dialect_proved(&g->dialect))
		memcpy(g->hs.peer.name, "python", sizeof "python");
	return progress >= 0 && rc != 0 ? rc : progress;
}

static int broken(struct coh_greeting *g, int code, struct cohort_error *err)
{
	return coh_fail(err, code, "Python's handshake: %s", coh_conn_last_error(g->conn)->text);
}

int coh_greeting_python_init(struct coh_greeting *g, const struct coh_identity *id,
    enum coh_handshake_role role, struct cohort_error *err)
{
	const struct coh_dialect_config config = {
	    .role = role, .key = id->key, .md5 = id->python_md5, .peer = cohort_conn_peer(g->conn)};
	int rc = coh_dialect_init(&g->dialect, &config, err);

	return rc == 0 ? speak(g, err) : rc;
}

int coh_greeting_python_step(struct coh_greeting *g, struct cohort_error *err)
{
	int rc, progress = COH_HANDSHAKE_MORE;
	struct coh_frame f;
	const void *body;

	while (progress == COH_HANDSHAKE_MORE) {
		rc = coh_conn_next_frame(g->conn, &f, &body, COHORT_NOW);
		if (rc == COHORT_ETIMEDOUT)
			return COH_HANDSHAKE_MORE;
		if (rc != 0)
			return broken(g, rc, err);
		progress = hear(g, body, f.length, err);
	}
	return progress;
}

void coh_greeting_python_admit(struct coh_greeting *g)
{
	char peer[COH_ADDRESS_TEXT + 64];

	snprintf(peer, sizeof peer, "Python at %s", cohort_conn_peer(g->conn));
	coh_conn_set_phase(g->conn, COH_PHASE_USER);
	coh_conn_set_framing(g->conn, &coh_framing_python_data);
	(void)coh_conn_set_peer(g->conn, peer); /* without memory its address alone must do */
}
