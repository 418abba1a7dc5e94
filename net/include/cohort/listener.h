/*
 * listener.h - an address at which peers that hold the key become connections.
 *
 * Whoever connects is a stranger until the handshake has shown that both ends hold the same
 * key (auth.h); a stranger has 5 s from being accepted, may say 1 KiB at a time in hello
 * and proof, and is told nothing but one byte when refused.  What comes out of accept is the
 * same cohort_conn as everywhere (conn.h).
 *
 * Addresses: "unix:/path", "tcp://127.0.0.1:0" (port 0: the system's choice), "tls://[::]:4700".
 * What stays on this machine (Unix, tcp:// on the loopback) is authenticated but not encrypted.
 * tls://, and tcp:// anywhere else, is TLS 1.3, for which the key serves as well as for the rest;
 * insecure_plaintext lets tcp:// be clear text over a network that is trusted.
 *
 * At "python+tcp://127.0.0.1:4800" and "python+unix:/path" the peers are programs in Python that use
 * multiprocessing.connection: their handshake (with a key made for it: cohort_key_load_python), then
 * plain bytes only; typed messages are COHORT_ENOTSUP there.  Its handshake is weaker than ours
 * (PROTOCOL.md, "Python peers") and always clear text: other machines need insecure_plaintext.  A process
 * cannot dial a Python listener of its own.
 *
 * A listener belongs to one thread at a time.  After fork only one process may go on using it.
 */
#ifndef COHORT_LISTENER_H
#define COHORT_LISTENER_H

#include <cohort/auth.h>
#include <cohort/conn.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cohort_backoff;

/* How to meet peers, for cohort_listen and cohort_dial.  Zero it, then set what you need. */
struct cohort_net_options {
	const struct cohort_key *key; /* borrowed until the listener is closed, or the dial returns */
	const char *key_file;         /* without key; NULL: $COHORT_KEY_FILE's; of python+...: $COHORT_PYTHON_KEY_FILE's */
	const char *cluster;          /* both ends must give the same; NULL: "cohort" */
	const char *name;             /* ours, told to the peer ([A-Za-z0-9_.-]{1,64}); NULL: the first one
	                                 of cert_file, or "pid-N" */
	int insecure_plaintext;       /* non-zero: clear text may leave this machine */
	int backlog;                  /* listen: connects that may wait for accept; 0: 1024 */
	/* tls: mutual TLS by certificates in place of the key; all are PEM files */
	const char *cert_file;        /* our chain and its private key, as private as a key file; NULL: the key */
	const char *ca_file;          /* who signs our peers; needed with cert_file; nobody else is believed */
	const char *crl_file;         /* what it has taken back; NULL: nothing */
	const char *const *peers;     /* the names let in, ended by NULL; NULL: every name that is signed */
	cohort_time heartbeat;        /* a sign of life promised to peers, 10 ms to 65 s; 0: none (conn.h) */
	int python_md5;               /* python+...: non-zero: also Python 3.11 and older, which know MD5 only */
	const char *exempt;           /* listen: no limits by address for strangers from "10.1.0.0/16,fd00::/8" */
	const struct cohort_backoff *retry; /* dial: try again so, until the deadline; NULL: one try (dial.h) */
};

struct cohort_listener;

/*
 * Listen at ADDRESS.  Borrows all for the call, but the key; OPTIONS may be NULL.  Gives
 * *OUT, end it with cohort_listener_close.  Never waits, except for a host that is a name (the
 * system's resolver: seconds when it does not answer).
 *
 * At a Unix socket only processes of our user and root's are met, as the kernel says, at both ends
 * (COHORT_EAUTH).  It is made with mode 0600, in a directory that nobody else may write (or a sticky one),
 * which is made (0700) if only it is missing; one left behind by a process that is gone is replaced.  Of many
 * who do so at one moment one listens, and the others are told (-EADDRINUSE).
 *
 * Returns 0; COHORT_EADDRESS (not understood, no port, path too long, unknown host; `exempt` is no
 * list of networks); COHORT_EPLAINTEXT (python+tcp); COHORT_EKEY; COHORT_ENAME; -EADDRINUSE;
 * -EADDRNOTAVAIL; -EACCES (also: others may write in the directory); -ENOENT; -EMFILE; -ENOMEM.
 */
COHORT_API int cohort_listen(struct cohort_listener **out, const char *address,
    const struct cohort_net_options *options, struct cohort_error *err);

/*
 * The next peer that has proved to hold the key.  Gives *CONN.  Any number of handshakes go
 * on meanwhile, only inside this call: one that stalls holds up nobody.  Those refused are logged,
 * never returned.
 *
 * At most 1000 strangers are held at once (and no more than half of the descriptors that the process may
 * have), 64 of one address (of one IPv6 /64).  From 100 on those who say nothing have to
 * go for newcomers; when nobody can be let go, callers wait in the socket's queue, for a second at most;
 * beyond the 64 they are told to come back (COHORT_EBUSY at their end).  Wrong proofs, broken protocol and places held to the end add up for an address; beyond 15 s
 * it is kept out, 10 minutes at most.  Neither is held against Unix and loopback addresses, nor those in
 * `exempt`.
 * Ten lines of log a minute for an address, a hundred in all; the rest is counted.
 *
 * Returns 0, COHORT_ETIMEDOUT (handshakes under way go on at the next call), -errno when the
 * listening socket itself is broken.
 */
COHORT_API int cohort_listener_accept(struct cohort_listener *l, struct cohort_conn **conn,
    cohort_time deadline, struct cohort_error *err);

/* Who came: strings of the listener's, until its next peer. */
struct cohort_peer {
	const char *name;    /* as it says; whoever holds the key may take any */
	const char *uuid;    /* of its process: 32 hexadecimal digits */
	const char *address; /* where it dialled from, "tcp://10.1.2.3:47010" */
	const char *mode;    /* how the connection is guarded, as cohort_conn_guard */
};

/* The peer that was accepted last; NULL before the first. */
COHORT_API const struct cohort_peer *cohort_listener_peer(const struct cohort_listener *l);

/* Meets a peer of L (cohort_listener_peer): takes CONN.  0: the next one, please; else: enough. */
typedef int (*cohort_listener_fn)(
    struct cohort_listener *l, struct cohort_conn *conn, void *arg);

/*
 * Call FN(ARG) with each peer as it comes, on the caller's thread, until FN returns anything but 0 or
 * DEADLINE passes.  While FN runs nobody else is heard: it hands the connection on, it does not serve it.
 *
 * Returns what FN returned, else as cohort_listener_accept.
 */
COHORT_API int cohort_listener_serve(struct cohort_listener *l, cohort_listener_fn fn, void *arg,
    cohort_time deadline, struct cohort_error *err);

/* The address really bound, as text to dial it by: port 0 is resolved.  L's, for its life. */
COHORT_API const char *cohort_listener_address(const struct cohort_listener *l);

/*
 * A descriptor that is readable when cohort_listener_accept has something to do; L's.  For
 * cohort_wait: then accept with COHORT_NOW, which may well return COHORT_ETIMEDOUT.
 */
COHORT_API int cohort_listener_fd(const struct cohort_listener *l);

/*
 * Read again, from the files that the options named, what newcomers are met with: the key (auth.h; not one
 * that was given as KEY), certificates and what was taken back of them.  Connections that were
 * accepted live on as they are.  Waits for the disk only.
 *
 * Returns 0, or why a file cannot be used, as cohort_listen (COHORT_EKEY): then all of them stay in
 * force as they were.
 */
COHORT_API int cohort_listener_reload(struct cohort_listener *l, struct cohort_error *err);

/*
 * Stop listening, drop the strangers, and remove the Unix socket if it is still ours.  Connections
 * that were accepted live on.  NULL is fine.
 */
COHORT_API void cohort_listener_close(struct cohort_listener *l);

#ifdef __cplusplus
}
#endif
#endif
