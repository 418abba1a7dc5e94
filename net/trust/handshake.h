/*
 * handshake.h - two strangers prove to each other that they hold the same key.  Pure.
 *
 * A state machine over the bodies of frames, for both ends: no descriptor, no clock, no
 * allocation of its own.  The frames are CLIENT_HELLO, SERVER_HELLO, CLIENT_PROOF and
 * SERVER_PROOF, in this order, or a REFUSE instead of any of them; PROTOCOL.md, "Handshake",
 * has every byte.  How to drive it:
 *
 *   coh_handshake_init          on failure: fini, give up
 *   coh_handshake_output        a client: send the CLIENT_HELLO
 *   then, for each frame received:
 *     coh_handshake_feed        COH_HANDSHAKE_MORE, COH_HANDSHAKE_DONE, or a code
 *     coh_handshake_output      whatever it returned: send what there is, once
 *   coh_handshake_fini
 *
 * Inside TLS the channel itself is the proof, and the hellos are all that is said: a client is done
 * with the SERVER_HELLO, a server with the CLIENT_HELLO.
 *
 * The caller sets the time limit and gives bodies of at most COH_FRAME_STRANGER_MAX bytes.  A
 * server feeds every frame that has come before it sends anything, so that what a client
 * sends too early is refused, and treats bytes behind the CLIENT_PROOF likewise.
 *
 * One handshake belongs to one thread; different ones are independent.
 */
#ifndef COH_TRUST_HANDSHAKE_H
#define COH_TRUST_HANDSHAKE_H

#include "wire/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cohort_key;

#define COH_HANDSHAKE_VERSION 1      /* of the protocol spoken after it; the only one today */
#define COH_HANDSHAKE_NAME_MAX 64    /* cluster and names: [A-Za-z0-9_.-]{1,64} */
#define COH_HANDSHAKE_ADDRESS_MAX 191
#define COH_HANDSHAKE_UUID 16
#define COH_HANDSHAKE_SESSION 16
#define COH_HANDSHAKE_NONCE 32
#define COH_HANDSHAKE_BODY_MAX 512   /* the longest body it makes or accepts */

enum coh_handshake_role { COH_HANDSHAKE_CLIENT, COH_HANDSHAKE_SERVER };

/* Where the two ends are to each other; decides whether addresses must agree. */
enum coh_handshake_reach {
	COH_HANDSHAKE_LOCAL, /* Unix or loopback: the address dialled must be the one that answers */
	COH_HANDSHAKE_REMOTE, /* another machine: addresses may be translated on the way */
};

/* The features' low bits: milliseconds between signs of life that the sender promises; 0: none. */
#define COH_HANDSHAKE_BEAT 0xffffu

/* What coh_handshake_feed returns when nothing went wrong. */
enum coh_handshake_progress { COH_HANDSHAKE_MORE = 0, COH_HANDSHAKE_DONE = 1 };

/*
 * All that a stranger is told: the body of a REFUSE, one byte.  AUTH stands for an unknown
 * or wrong key, for names that may not be and for everything malformed, so that
 * guessing teaches nothing; the sentence stays on this side.
 */
enum coh_handshake_refusal {
	COH_REFUSE_AUTH = 1,
	COH_REFUSE_VERSION = 2,
	COH_REFUSE_SELF = 3,
	COH_REFUSE_CLUSTER = 4,
	COH_REFUSE_ADDRESS = 5,
	COH_REFUSE_BUSY = 6, /* sent by a listener that takes nobody at the moment */
	COH_REFUSE_NAME = 7, /* to one that has proved the key: its name is taken */
};

/* N unpredictable bytes at OUT; 0 or a code.  coh_nonce_bytes unless a test wants known ones. */
typedef int (*coh_handshake_random_fn)(void *out, size_t n, void *arg);

struct coh_handshake_peer;

/*
 * May PEER, which has proved the key, come in?  0, or a code with a sentence in ERR that does not name
 * the peer: it is refused (COHORT_ENAME: with COH_REFUSE_NAME) before it hears that its proof was right.
 */
typedef int (*coh_handshake_admit_fn)(
    const struct coh_handshake_peer *peer, void *arg, struct cohort_error *err);

/* Who we are and what we know.  Everything pointed at is borrowed until fini. */
struct coh_handshake_config {
	enum coh_handshake_role role;
	enum coh_handshake_reach reach;
	bool inside;                  /* TLS */
	const struct cohort_key *key; /* not used inside TLS */
	const char *cluster; /* both ends must give the same */
	const char *name;    /* our own */
	const char *address; /* coh_sockaddr_text of getpeername (client) or getsockname (server) */
	const char *peer;    /* the peer in sentences; NULL: ADDRESS */
	const unsigned char *uuid;      /* COH_HANDSHAKE_UUID bytes, random, one per process */
	uint64_t epoch;                 /* server: told to the client */
	uint32_t features;              /* told to the peer: COH_HANDSHAKE_BEAT, the rest 0 */
	uint8_t version_min, version_max; /* 0: COH_HANDSHAKE_VERSION */
	coh_handshake_random_fn random; /* NULL: coh_nonce_bytes */
	void *random_arg;
	coh_handshake_admit_fn admit; /* server; NULL: whoever holds the key */
	void *admit_arg;
	/* Inside TLS, both roles: is PEER who it says it is?  As admit, and asked before; NULL: it is. */
	coh_handshake_admit_fn vouch;
	void *vouch_arg;
};

/* Who the peer proved to be; whole after COH_HANDSHAKE_DONE. */
struct coh_handshake_peer {
	char name[COH_HANDSHAKE_NAME_MAX + 1];
	unsigned char uuid[COH_HANDSHAKE_UUID];
	char address[COH_HANDSHAKE_ADDRESS_MAX + 1]; /* client: its own; server: the one dialled */
	unsigned char session[COH_HANDSHAKE_SESSION]; /* the same on both ends, new every time */
	uint64_t epoch; /* of the server */
	uint32_t features;
	uint8_t version;
};

/* The caller's storage; the fields are the machine's own, except `peer`. */
struct coh_handshake {
	struct coh_handshake_peer peer;
	struct coh_handshake_config config;
	int state;
	bool name_taken; /* so said `admit` */
	unsigned char nonce[COH_HANDSHAKE_NONCE];
	unsigned char transcript[32], proof[32];
	uint8_t out_type; /* 0: nothing to send */
	size_t out_size;
	unsigned char out[COH_HANDSHAKE_BODY_MAX];
};

/*
 * Begin.  0; COHORT_EKEY (the key is gone: this process was forked), COHORT_ENAME (cluster or
 * name), COHORT_EADDRESS (ADDRESS is empty or too long), COHORT_EARGUMENT (versions),
 * COHORT_EAUTH (no random bytes).
 */
int coh_handshake_init(struct coh_handshake *hs, const struct coh_handshake_config *config,
    struct cohort_error *err);

/* Wipe it.  A zeroed struct is fine. */
void coh_handshake_fini(struct coh_handshake *hs);

/*
 * Judge a frame that came; F has passed coh_frame_decode, BODY (F->length bytes) is borrowed.
 *
 * Returns COH_HANDSHAKE_MORE, COH_HANDSHAKE_DONE (see hs->peer), or, for good:
 * COHORT_EAUTH (the proof is wrong, or an echo of ours; or the peer refused us so),
 * COHORT_ESELF, COHORT_ECLUSTER, COHORT_EADDR, COHORT_EVERSION, COHORT_ENAME (also: the peer
 * knows another of our name), COHORT_EBUSY (it takes nobody now), what `admit` returned, COHORT_EPROTOCOL (out of phase, lengths that do not add up,
 * anything after the end), COHORT_EKEY, -ENOMEM.  ERR names the peer.
 */
int coh_handshake_feed(struct coh_handshake *hs, const struct coh_frame *f, const void *body,
    struct cohort_error *err);

/*
 * What is to be sent now: its body, with F filled for it; NULL when there is nothing.  Asking
 * takes it: the next call gives NULL.  The body is HS's, valid until the next feed or fini.
 */
const void *coh_handshake_output(struct coh_handshake *hs, struct coh_frame *f);

/* The one byte that a stranger is told for CODE, for callers that refuse by themselves. */
enum coh_handshake_refusal coh_handshake_refusal(int code);

#endif
