/*
 * mode.c - the table of mode.h as code.
 */
#include "conn/mode.h"

#include "addr/sockaddr.h"
#include "base/err.h"
#include "base/log.h"
#include "conn/identity.h"
#include "conn/stream_tls.h"
#include "python/framing.h"

#include <cohort/listener.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Python has no TLS of its own: what may leave the machine does so in clear text. */
static int choose_python(enum coh_mode *mode, const struct coh_address *a,
    const struct sockaddr *sa, socklen_t len, const struct cohort_net_options *options,
    struct cohort_error *err)
{
	bool local = coh_sockaddr_is_local(sa, len);
	char text[COH_ADDRESS_TEXT];

	*mode = local ? COH_MODE_PYTHON : COH_MODE_PYTHON_PLAINTEXT;
	if (local || (options != NULL && options->insecure_plaintext))
		return 0;
	coh_address_print(a, text);
	return coh_fail(err, COHORT_EPLAINTEXT,
	    "%s: it reaches other machines, and Python's protocol is clear text without a check of "
	    "what follows the handshake; use 127.0.0.1, [::1] or python+unix: (an ssh tunnel leads "
	    "there), or say --insecure-plaintext if you trust the network",
	    text);
}

int coh_mode_choose(enum coh_mode *mode, const struct coh_address *a, const struct sockaddr *sa,
    socklen_t len, const struct cohort_net_options *options, struct cohort_error *err)
{
	bool plain = options != NULL && options->insecure_plaintext != 0;
	bool local = coh_sockaddr_is_local(sa, len);
	enum coh_mode tls = options != NULL && options->cert_file != NULL ? COH_MODE_TLS_CERTIFICATE
									  : COH_MODE_TLS_KEY;
	char text[COH_ADDRESS_TEXT];

	switch (a->kind) {
	case COH_ADDRESS_UNIX:
		*mode = COH_MODE_UNIX;
		return 0;
	case COH_ADDRESS_TCP:
		*mode = local ? COH_MODE_LOOPBACK : plain ? COH_MODE_PLAINTEXT : tls;
		return 0;
	case COH_ADDRESS_TLS:
		*mode = tls;
		return 0;
	case COH_ADDRESS_PYTHON_TCP:
	case COH_ADDRESS_PYTHON_UNIX:
		return choose_python(mode, a, sa, len, options, err);
	default:
		coh_address_print(a, text);
		return coh_fail(
		    err, COHORT_ENOTSUP, "%s: nothing is met there by a connection", text);
	}
}

/*
 * At a Unix socket the kernel says whose process is at the other end (of a listener: whose called listen).
 * The file's mode keeps others out already; this is for files that somebody opened to all, and for dialling
 * a socket that somebody else put there.
 */
static int owner_check(const struct coh_mode_socket *s, struct cohort_error *err)
{
	struct sockaddr_storage sa = {.ss_family = AF_UNIX};
	socklen_t len = sizeof sa, size = sizeof(struct ucred);
	struct ucred owner;

	if (s->mode != COH_MODE_UNIX && !coh_mode_is_python(s->mode))
		return 0;
	if (coh_mode_is_python(s->mode) && getsockname(s->fd, (struct sockaddr *)&sa, &len) != 0)
		return coh_fail_errno(err, errno, "%s: whose is it", s->peer);
	if (sa.ss_family != AF_UNIX)
		return 0;
	if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &owner, &size) != 0)
		return coh_fail_errno(err, errno, "%s: whose is it", s->peer);
	if (owner.uid == geteuid() || owner.uid == 0)
		return 0;
	return coh_fail(err, COHORT_EAUTH,
	    "%s: it belongs to uid %u; met at a Unix socket are uid %u and root", s->peer,
	    (unsigned)owner.uid, (unsigned)geteuid());
}

static int tls_conn(
    struct cohort_conn **out, const struct coh_mode_socket *s, struct cohort_error *err)
{
	const struct coh_tls_config config = {
	    .side = s->role == COH_HANDSHAKE_CLIENT ? COH_TLS_CLIENT : COH_TLS_SERVER,
	    .fd = s->fd,
	    .ahead = s->ahead,
	    .key = s->id->key,
	    .cluster = s->id->cluster,
	    .certs = s->mode == COH_MODE_TLS_CERTIFICATE ? s->id->certs.loaded : NULL,
	    .host = s->host,
	};
	return coh_stream_tls_conn(out, &config, s->peer, err);
}

static int clear_conn(
    struct cohort_conn **out, const struct coh_mode_socket *s, struct cohort_error *err)
{
	int rc = coh_conn_from_socket(out, s->fd, s->family, COH_PHASE_STRANGER, s->peer, err);

	if (rc == 0 && s->role == COH_HANDSHAKE_CLIENT)
		coh_conn_socket_dialled(*out);
	return rc;
}

int coh_mode_conn(
    struct cohort_conn **out, const struct coh_mode_socket *s, struct cohort_error *err)
{
	int rc;

	if (coh_mode_is_python(s->mode) != s->id->python)
		return coh_fail(err, COHORT_EKEY, "%s: a key for %s cannot be used for %s", s->peer,
		    s->id->python ? "Python peers" : "Cohort",
		    s->id->python ? "Cohort" : "Python peers");
	rc = owner_check(s, err);
	if (rc != 0)
		return rc;
	if (s->mode == COH_MODE_TLS_KEY || s->mode == COH_MODE_TLS_CERTIFICATE)
		rc = tls_conn(out, s, err);
	else
		rc = clear_conn(out, s, err);
	if (rc != 0)
		return rc;
	coh_conn_set_guard(*out, coh_mode_text(s->mode));
	if (s->role == COH_HANDSHAKE_CLIENT)
		coh_mode_warn(s->mode, "connection to", s->peer);
	if (coh_mode_is_python(s->mode))
		coh_conn_set_framing(*out, &coh_framing_python_greeting);
	return 0;
}

bool coh_mode_warn(enum coh_mode mode, const char *what, const char *address)
{
	if (mode != COH_MODE_PLAINTEXT && mode != COH_MODE_PYTHON_PLAINTEXT)
		return false;
	coh_log(COHORT_LOG_WARN,
	    "%s %s: INSECURE, as was asked for: whoever sits on the network can read and change what is "
	    "said; %s",
	    what, address,
	    mode == COH_MODE_PLAINTEXT ? "tls:// costs nothing but the word"
				       : "Python has no TLS here, an ssh tunnel would do");
	return true;
}

const char *coh_mode_text(enum coh_mode mode)
{
	static const char *const texts[] = {
	    [COH_MODE_UNIX] = "own handshake, clear text through a Unix socket of this machine",
	    [COH_MODE_LOOPBACK] = "own handshake, clear text over the loopback of this machine",
	    [COH_MODE_PLAINTEXT] = "own handshake, INSECURE clear text over the network",
	    [COH_MODE_TLS_KEY] = "TLS 1.3, by the key",
	    [COH_MODE_TLS_CERTIFICATE] = "TLS 1.3, by certificates",
	    [COH_MODE_PYTHON] = "Python's handshake, clear text within this machine",
	    [COH_MODE_PYTHON_PLAINTEXT] = "Python's handshake, INSECURE clear text over the network",
	};

	return texts[mode];
}
