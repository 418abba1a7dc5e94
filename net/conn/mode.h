/*
 * mode.h - how a connection is guarded: chosen by the address alone, never by what a peer says.
 *
 *   unix:                                own handshake; the kernel keeps the channel private, and
 *                                        says that the peer's user is ours or root
 *   tcp:// on the loopback               own handshake with the address check
 *   tls://, and tcp:// anywhere else     TLS 1.3: certificates when configured, else the key
 *   the latter, insecure_plaintext       own handshake, in clear text over the network
 *   python+tcp://, python+unix:          the handshake of Python's multiprocessing, in clear text;
 *                                        over a network with insecure_plaintext only
 *
 * A listener serves one mode: offering two would let an attacker choose the weaker one.
 */
#ifndef COH_CONN_MODE_H
#define COH_CONN_MODE_H

#include "addr/address.h"
#include "trust/handshake.h"

#include <stdbool.h>
#include <sys/socket.h>

struct coh_identity;
struct cohort_conn;
struct cohort_net_options;

enum coh_mode {
	COH_MODE_UNIX,
	COH_MODE_LOOPBACK,
	COH_MODE_PLAINTEXT, /* clear text over a network, as asked for */
	COH_MODE_TLS_KEY,
	COH_MODE_TLS_CERTIFICATE,
	COH_MODE_PYTHON,
	COH_MODE_PYTHON_PLAINTEXT, /* the same over a network, as asked for */
};

static inline bool coh_mode_is_python(enum coh_mode mode)
{
	return mode == COH_MODE_PYTHON || mode == COH_MODE_PYTHON_PLAINTEXT;
}

/*
 * The mode for address A, resolved to SA (LEN bytes), under OPTIONS (NULL: all defaults).
 * 0; COHORT_EPLAINTEXT (clear text would leave this machine; the sentence names the ways out);
 * COHORT_ENOTSUP (this build has no such mode).
 */
int coh_mode_choose(enum coh_mode *mode, const struct coh_address *a, const struct sockaddr *sa,
    socklen_t len, const struct cohort_net_options *options, struct cohort_error *err);

/* A connection to be: what coh_mode_conn makes it of.  All borrowed for the call but ID. */
struct coh_mode_socket {
	int fd; /* connected, no byte exchanged; blocking where it was accepted, not where it dialled */
	int family; /* of its addresses: AF_UNIX or another */
	enum coh_mode mode;
	enum coh_handshake_role role;
	bool ahead;                    /* server: as in struct coh_tls_config */
	const struct coh_identity *id; /* borrowed until the greeting is over */
	const char *peer;              /* the peer in sentences */
	const char *host;              /* client: the host dialled, for certificates; else NULL */
};

/*
 * A connection in COH_PHASE_STRANGER over S->fd, which it takes on success.  Never waits: what
 * the mode has to exchange goes out with the first reads and writes.
 * 0, -ENOMEM, COHORT_EKEY (the key or certificate cannot be used), COHORT_EAUTH (a Unix socket of another
 * user's, or no random bytes).
 */
int coh_mode_conn(
    struct cohort_conn **out, const struct coh_mode_socket *s, struct cohort_error *err);

/*
 * WHAT ("listener tcp://...") is in MODE: if that is clear text over a network, a warning into the log.
 * True when it is.
 */
bool coh_mode_warn(enum coh_mode mode, const char *what, const char *address);

/* The mode in words, for people: "TLS 1.3, by the key". */
const char *coh_mode_text(enum coh_mode mode);

#endif
