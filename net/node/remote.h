/*
 * remote.h - the connection of this process to a server of shared objects: calls out, replies in, from any thread.
 *
 * One for all objects of that server, shared by all handles that are met in the same way.  Whoever waits for a
 * reply reads it itself; while nobody waits, the library's thread keeps it alive.
 *
 * When the server is gone every call ends in COHORT_EPEER with one sentence, and so does each later one of those handles; a new
 * handle dials again.  A forked child has none of it: COHORT_ESTATE.
 */
#ifndef COH_NODE_REMOTE_H
#define COH_NODE_REMOTE_H

#include "wire/frame.h"

#include <cohort/listener.h>
#include <stdbool.h>
#include <sys/uio.h>

struct coh_remote;

/* A call.  The caller's storage until it returns. */
struct coh_remote_call {
	unsigned op, param;
	const struct iovec *body; /* N parts, borrowed */
	int n;
	/*
	 * The reply came with BODY of SIZE bytes: take what is needed of it.  A failure of it is the call's.  May
	 * be NULL.  With the engine lock held.
	 */
	int (*take)(struct coh_remote_call *c, const void *body, size_t size);
	void *arg;      /* take's */
	int code;       /* of the reply */
	uint64_t value;
	/* remote.c's own */
	struct coh_remote_call *chain;
	uint32_t request;
	bool done;
};

/* A handle on an object of the server; zero it. */
struct coh_remote_handle {
	struct coh_remote_handle *prev, *next;
	struct coh_remote *remote;
	unsigned number;
	unsigned generation; /* forks before it was made */
	void (*rung)(struct coh_remote_handle *h); /* a RING came, or the server is gone; engine lock held */
};

/* What to attach. */
struct coh_remote_opening {
	const char *address; /* "tcp://host:port/jobs" */
	const char *kind;
	const struct cohort_net_options *net; /* never NULL */
	const void *expect; /* what the object should be, as the kind writes it down */
	size_t expect_size;
};

/*
 * Attach the object; ABOUT(ARG) is given the body of the answer.  0; as cohort_dial; or as the server refuses it, with its
 * sentence.  Gives what coh_remote_close ends.
 */
typedef int (*coh_remote_about_fn)(void *arg, const void *body, size_t size);
int coh_remote_open(struct coh_remote_handle *h, const struct coh_remote_opening *o,
    coh_remote_about_fn about, void *arg, cohort_time deadline, struct cohort_error *err);

/* Detach it.  In a forked child it only forgets.  The connection ends with its last handle. */
void coh_remote_close(struct coh_remote_handle *h);

/* From now on somebody wants to hear of a RING at once, call or no call. */
void coh_remote_watch(struct coh_remote_handle *h);

/* Was H made before this process was forked? */
bool coh_remote_forked(const struct coh_remote_handle *h);

/*
 * Call the object and wait for the reply: what C->take returned, or C->code; COHORT_EPEER, COHORT_ESTATE, -ENOMEM
 * (nothing was sent).  ERR has a sentence if there is one of its own (else its code is another).
 */
int coh_remote_call(struct coh_remote_handle *h, struct coh_remote_call *c, cohort_time deadline,
    struct cohort_error *err);

#endif
