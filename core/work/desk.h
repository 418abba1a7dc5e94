/*
 * desk.h - the server's side of shared objects: (client, request) -> replies and wake-ups.  Pure.
 *
 * Behind the desk are objects, by name, each a table of functions that never wait.  Before it are
 * clients, who attach objects and call them; frames go in and come out (wire/frame.h, phase
 * SHARED).  A call that cannot be answered now becomes an entry, in the object's line for its kind, first
 * come first served; a line is looked at again when the object was changed through the desk, or when
 * its owner says that something may be there now (coh_desk_ring).
 *
 * Every call has exactly one reply.  Its deadline comes as the time that remains, and becomes a moment
 * of this side's clock; a client that cannot wait so long sends CANCEL, which is the same as if the deadline
 * had passed: whichever of reply and CANCEL is first wins, and the client waits for the reply either way.
 * So what was handed out is always known to both, and nothing is lost or doubled.
 *
 * What a client holds (an item that was lent, later a lock) is in its ledger until it is given back;
 * who goes leaves no entry, and what it held is given back for it.
 *
 * No I/O, no clock, no lock: it belongs to whoever calls it, and is told the time.
 */
#ifndef COH_WORK_DESK_H
#define COH_WORK_DESK_H

#include "wire/frame.h"

#include <cohort/message.h>
#include <cohort/time.h>

#define COH_DESK_VERSION 1
#define COH_DESK_NAME_MAX 255
#define COH_DESK_LINES 3
#define COH_DESK_BUCKETS 64 /* of a client's entries and holds: chains stay short at the limits below */

/* What one client may cost. */
#define COH_DESK_CALLS_MAX 16384              /* entries: some 2 MiB */
#define COH_DESK_BYTES_MAX ((size_t)128 << 20) /* of calls that wait: two of the largest */
#define COH_DESK_ATTACHED_MAX 1024
#define COH_DESK_HOLDS_MAX 65536

struct coh_desk;
struct coh_desk_client;
struct coh_desk_object;
struct coh_desk_attached;

/* A call, as the object sees it. */
struct coh_desk_call {
	unsigned op;      /* the object's, 0 to 255 */
	unsigned param;   /* the op's, 0 to 255 */
	const void *data; /* what was sent with it; unchanged from try to try */
	size_t size;
	uint64_t done;    /* the object's, from try to try; 0 at first */
	void *own;        /* what `attach` made */
	struct coh_desk_attached *from;
};

/* An answer; zeroed before an object fills it. */
struct coh_desk_reply {
	int code;       /* 0, a count, or a failure */
	uint64_t value;
	const void *data; /* the object's, until `sent`; with a failure: its sentence */
	size_t size;
	uint64_t lent;  /* the object's own, for `sent` */
};

/* A kind of object.  Nothing in here waits, and none of it calls the desk but for coh_desk_hold, its like, and _room. */
struct coh_desk_ops {
	const char *kind;
	/*
	 * Somebody would attach it who expects OPTIONS, as the kind writes them down.  0, with what the object
	 * keeps for it in *OWN and a description in OUT if there is one; or a failure with a sentence in ERR.
	 */
	int (*attach)(void *self, const struct cohort_bytes *options, void **own,
	    struct coh_desk_reply *out, struct cohort_error *err);
	/* It goes, after all that it held was given back. */
	void (*detach)(void *self, void *own);
	/* In which line would a call of OP wait, 0 to COH_DESK_LINES - 1; -1: it never waits. */
	int (*line)(unsigned op);
	/* Try C.  True: OUT is its answer; false: not now, and nothing happened but what C->done tells. */
	bool (*call)(void *self, struct coh_desk_call *c, struct coh_desk_reply *out);
	/* C has waited long enough: OUT. */
	void (*late)(void *self, const struct coh_desk_call *c, struct coh_desk_reply *out);
	/* The answer to C is on its way (RC 0), or cannot be: take back what it would have handed out. */
	void (*sent)(void *self, const struct coh_desk_call *c, const struct coh_desk_reply *out, int rc);
	/* WHAT was held by somebody who is gone. */
	void (*give_back)(void *self, uint64_t what);
	/* Is there something for those who asked to be rung? */
	bool (*ready)(void *self);
};

/*
 * Send F with SIZE bytes of BODY, whose length it sets, to CLIENT: 0 (also when the client is gone,
 * which its owner finds out), or -ENOMEM.  Must not call the desk, but for
 * coh_desk_client_full with true.
 */
typedef int (*coh_desk_send_fn)(
    void *client, struct coh_frame *f, const void *body, size_t size);

/*
 * Before something is handed out to CLIENT: 0: a frame with up to SIZE bytes of body that is sent to it next will not fail
 * for lack of memory; -ENOMEM; COHORT_EPEER: it is known to be gone.
 */
typedef int (*coh_desk_room_fn)(void *client, size_t size);

/* A desk, or NULL: no memory.  To be freed when its clients are.  ROOM may be NULL: always 0. */
struct coh_desk *coh_desk_new(coh_desk_send_fn send, coh_desk_room_fn room);
void coh_desk_free(struct coh_desk *d);

/*
 * SELF, of the kind OPS, can be attached as NAME (copied) from now on.  0; -EEXIST; COHORT_ENAME;
 * -ENOMEM.
 */
int coh_desk_add(struct coh_desk *d, struct coh_desk_object **out, const char *name,
    const struct coh_desk_ops *ops, void *self, struct cohort_error *err);

/* It cannot any more: calls that wait are answered COHORT_ECLOSED, so is every later one. */
void coh_desk_remove(struct coh_desk *d, struct coh_desk_object *o);

/* The object NAME, or NULL; what it was added with. */
struct coh_desk_object *coh_desk_find(struct coh_desk *d, const char *name);
void *coh_desk_self(const struct coh_desk_object *o);

/* A client came; OWNER is for send.  NULL: no memory. */
struct coh_desk_client *coh_desk_client_new(struct coh_desk *d, void *owner);

/* It is gone: its entries are dropped without an answer, what it held is given back. */
void coh_desk_client_free(struct coh_desk_client *c);

/*
 * FULL: it does not read, so nothing is handed out to it; its entries keep their places.  Not FULL: it reads again.
 */
void coh_desk_client_full(struct coh_desk_client *c, bool full);

/*
 * F came from C, with its body.  0, or COHORT_EPROTOCOL with a sentence: its connection must end.
 * (What is wrong with one call alone is the answer to it.)
 */
int coh_desk_frame(struct coh_desk_client *c, const struct coh_frame *f, const void *body,
    cohort_time now, struct cohort_error *err);

/* Something may be there now in O that was not put there through the desk. */
void coh_desk_ring(struct coh_desk_object *o);

/* How many calls wait in LINE of O, or in all; how many ask to be rung. */
size_t coh_desk_waiting(const struct coh_desk_object *o, int line);
size_t coh_desk_armed(const struct coh_desk_object *o);

/* Answer those whose deadline has passed.  When to call again, or COHORT_FOREVER. */
cohort_time coh_desk_tick(struct coh_desk *d, cohort_time now);

/* The earliest deadline. */
cohort_time coh_desk_next(const struct coh_desk *d);

/*
 * For objects: WHAT (not 0) is held through FROM from now on.  Its number, which is not 0; or 0: no memory, or
 * COH_DESK_HOLDS_MAX are.  And back: what NUMBER was, which is not held any more; 0: it was not.
 */
uint32_t coh_desk_hold(struct coh_desk_attached *from, uint64_t what);
/* What NUMBER, which is held, stands for is WHAT from now on: it may be got before that is known. */
void coh_desk_hold_is(struct coh_desk_attached *from, uint32_t number, uint64_t what);
uint64_t coh_desk_unhold(struct coh_desk_attached *from, uint32_t number);

/*
 * For objects, before something leaves their hands: the answer to a call from FROM, with SIZE bytes, will not fail for lack of memory.
 * 0; else why not, and then it must stay.
 */
int coh_desk_room(struct coh_desk_attached *from, size_t size);

/* Tests: NULL, or which of its invariants is broken. */
const char *coh_desk_check(const struct coh_desk *d);

/* ---- what frames say: for both ends ---- */

/* A CALL's channel: object number, op, param.  Its flags are the request's number, its id the time that remains. */
static inline uint32_t coh_desk_channel(unsigned object, unsigned op, unsigned param)
{
	return (uint32_t)object << 16 | (op & 0xff) << 8 | (param & 0xff);
}

#define COH_DESK_NO_LIMIT UINT64_MAX /* of a CALL's id: it waits for ever */

/* Ops that each kind has. */
enum coh_desk_op {
	COH_DESK_ARM = 0, /* ring me once, when there may be something; answered at once */
	COH_DESK_OP_FIRST = 16, /* the kinds' own */
};

#endif
