/*
 * frame.h - the 24 bytes in front of every message, and the limits on them.  Pure.
 *
 *   0  2  magic     43 c7
 *   2  1  version   COH_FRAME_VERSION
 *   3  1  type      enum coh_frame_type
 *   4  4  length    bytes of body that follow
 *   8  4  channel   meaning by type (task number, nanoseconds, ...), else 0
 *  12  4  flags     meaning by type, else 0
 *  16  8  id        what is asked or answered, else 0
 *
 * Integers are big-endian.  PROTOCOL.md has the bodies.  Thread-safe: no state.
 */
#ifndef COH_WIRE_FRAME_H
#define COH_WIRE_FRAME_H

#include <cohort/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COH_FRAME_MAGIC 0x43c7u
#define COH_FRAME_VERSION 1
#define COH_FRAME_SIZE 24

/* Adding a type?  Also: its name in frame.c, its phase in coh_frame_limits, PROTOCOL.md. */
enum coh_frame_type {
	/* before authentication */
	COH_FRAME_CLIENT_HELLO = 0x01,
	COH_FRAME_SERVER_HELLO = 0x02,
	COH_FRAME_CLIENT_PROOF = 0x03,
	COH_FRAME_SERVER_PROOF = 0x04,
	COH_FRAME_REFUSE = 0x05, /* body: one byte */
	/* any authenticated or inherited connection */
	COH_FRAME_MESSAGE = 0x10, /* body: a tpl image */
	COH_FRAME_BYTES = 0x11,
	COH_FRAME_PING = 0x12, /* body echoed in */
	COH_FRAME_PONG = 0x13,
	COH_FRAME_BEAT = 0x14, /* I live; id: nanoseconds since I last heard you */
	COH_FRAME_CREDIT = 0x15, /* channel: lane; id: so many bytes more may be sent in it */
	COH_FRAME_OPEN = 0x16,   /* channel: lane; flags: COH_OPEN_*; id: bytes; body: the frame they are of */
	COH_FRAME_SLICE = 0x17,  /* channel: lane; flags: COH_SLICE_*; body: some of those bytes */
	/* over Unix sockets alone */
	COH_FRAME_PASS = 0x18, /* one descriptor goes with it; channel: what it is; body: its state */
	COH_FRAME_BLOCK = 0x19, /* channel: its number; body: the header of the frame in it; or an offer */
	COH_FRAME_BLOCK_BACK = 0x1a, /* channel: its number; flags: 1 if it was refused */
	COH_FRAME_FILE = 0x1b, /* a piece of a file; flags: COH_FILE_*; id: bytes to come, with these */
	/* between a pool and its members */
	COH_FRAME_HELLO = 0x20,    /* member: who I am, slots, registry digest */
	COH_FRAME_JOB = 0x21,      /* pool to agent: which program to run */
	COH_FRAME_REGISTRY = 0x22, /* either: the list of tasks, when digests differ */
	COH_FRAME_SETUP = 0x23,    /* pool: run the initializer */
	COH_FRAME_READY = 0x24,    /* member: takes tasks now; id: slots */
	COH_FRAME_FAILED = 0x25,   /* member: cannot serve; body: code and sentence */
	COH_FRAME_TASK = 0x30,     /* id: the task; channel: its number in the registry; body: arguments */
	COH_FRAME_RESULT = 0x31,   /* id; channel: nanoseconds it ran; body: the result */
	COH_FRAME_ERROR = 0x32,    /* id; body: code, sentence */
	COH_FRAME_CANCEL = 0x33,   /* id: forget it if not started; of a CALL: flags is which */
	/* between a server of shared objects and a client (work/desk.h) */
	COH_FRAME_ATTACH = 0x40, /* channel: the object's number << 16; flags: the request; body: which one */
	COH_FRAME_CALL = 0x41,   /* channel: number << 16 | op << 8 | param; flags: the request; id: ns that remain */
	COH_FRAME_REPLY = 0x42,  /* channel: its code; flags: the request; id: a value; body by op */
	COH_FRAME_DETACH = 0x43, /* channel: the object's number << 16 */
	COH_FRAME_RING = 0x44,   /* channel: the object's number << 16: there may be something in it */
};

/* What an OPEN announces: a frame, whose 24 bytes are its body. */
enum coh_open { COH_OPEN_FRAME = 0 };

/* A SLICE has bytes; or the rest will not come, and its body is why: an error code, 4 bytes. */
enum coh_slice { COH_SLICE_BYTES = 0, COH_SLICE_GIVEN_UP = 1 };

struct coh_frame {
	uint8_t type;
	uint32_t length;
	uint32_t channel;
	uint32_t flags;
	uint64_t id;
};

/* A piece of a file: the first; instead of one, since the rest will not come (body: a code). */
enum coh_file { COH_FILE_FIRST = 1, COH_FILE_GIVEN_UP = 2 };

/* How far a connection has come; decides which types and lengths are legal. */
enum coh_frame_phase {
	COH_PHASE_STRANGER, /* before authentication: hello, proof, refuse; 1 KiB */
	COH_PHASE_USER,     /* the user's messages: MESSAGE, BYTES, PASS, and what keeps a connection */
	COH_PHASE_MEMBER,   /* a pool and its members: HELLO..CANCEL, and what keeps a connection */
	COH_PHASE_SHARED,   /* a server of shared objects and a client: ATTACH..RING, CANCEL, and what keeps it */
	COH_PHASE_COUNT,
};

#define COH_FRAME_STRANGER_MAX 1024u        /* trust: limits before authentication */
#define COH_FRAME_CONTROL_MAX (64u << 10)   /* everything that carries no user data */

/* Write F as COH_FRAME_SIZE bytes at OUT. */
void coh_frame_encode(const struct coh_frame *f, unsigned char out[COH_FRAME_SIZE]);

/*
 * Read the header at IN for a connection in PHASE; the length has met its limit when this
 * returns 0.  COHORT_EPROTOCOL (no Cohort header: the sentence guesses TLS or HTTP;
 * or a type that is not legal in PHASE), COHORT_EVERSION, COHORT_ETOOBIG (got, allowed).
 */
int coh_frame_decode(struct coh_frame *f, const unsigned char in[COH_FRAME_SIZE],
    enum coh_frame_phase phase, struct cohort_error *err);

/*
 * In which phases large frames go in a lane of their own, so that small ones overtake them: those
 * where each frame stands for itself.
 */
static inline bool coh_frame_overtakes(enum coh_frame_phase phase)
{
	return phase == COH_PHASE_MEMBER || phase == COH_PHASE_SHARED;
}

/* The name of TYPE for sentences ("TASK"), "?" when unknown. */
const char *coh_frame_name(uint8_t type);

/* The most bytes a frame of TYPE may carry in PHASE; 0 with *LEGAL false when it may not come. */
uint32_t coh_frame_limit(uint8_t type, enum coh_frame_phase phase, bool *legal);

#endif
