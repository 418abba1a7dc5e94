/*
 * queue_priv.h - the seam under a queue: where it is decides which functions do its work.
 *
 *   queue.c        the public calls: arguments, messages, sentences            no idea where it is
 *   queue_local.c  coh_queue_ops over shared memory (sync/ring.h)
 *   another file   coh_queue_ops over a network; its server does the work of its clients by sync/ring.h, with
 *                  deadlines COHORT_NOW and a seat for each client (coh_queue_local_ring)
 *
 * Which schemes there are is a table chosen by the build, so that core never names what is above it.
 */
#ifndef COH_WORK_QUEUE_PRIV_H
#define COH_WORK_QUEUE_PRIV_H

#include "sync/ring.h"
#include "sync/shared.h"
#include "sync/want.h"
#include "wire/codec.h"

#include <cohort/queue.h>

struct coh_queue_ops;

/* A queue of any kind begins with this. */
struct cohort_queue {
	struct coh_shared shared; /* its magic is COH_SHARED_MAGIC(COH_SEGMENT_QUEUE); without memory of its own COH_SEGMENT_NONE */
	const struct coh_queue_ops *ops;
	const struct coh_format *format; /* of every item; NULL: anything */
	unsigned priorities;
	char *address; /* as text, by coh_alloc; freed with it */
};

/*
 * What queue.c has checked: sizes up to COHORT_MESSAGE_MAX, the priority, the format of typed items, that
 * plain bytes are allowed, N > 0.  Results as in queue.h.  A failure that needs a sentence of its own fills coh_queue_err();
 * others (COHORT_EFULL, _EEMPTY, _ESHUTDOWN, ...) are told by their code alone.
 */
struct coh_queue_ops {
	int (*put)(struct cohort_queue *q, const struct coh_ring_item *item, cohort_time deadline);
	int (*put_many)(struct cohort_queue *q, const struct cohort_bytes *items, int n, cohort_time deadline);
	/* Into BUFFER, of want->most bytes.  GOT->size is set after COHORT_ETOOBIG too. */
	int (*get)(struct cohort_queue *q, const struct coh_want *want, void *buffer,
	    struct coh_ring_got *got, cohort_time deadline);
	int (*get_many)(struct cohort_queue *q, const struct coh_ring_batch *batch, cohort_time deadline);
	int (*peek)(struct cohort_queue *q, const struct coh_want *want, void *buffer,
	    struct coh_ring_got *got, cohort_time deadline);
	int (*take)(struct cohort_queue *q, struct cohort_item *item, cohort_time deadline);
	int (*ack)(struct cohort_queue *q, struct cohort_item *item);
	int (*give_back)(struct cohort_queue *q, struct cohort_item *item);
	int (*task_done)(struct cohort_queue *q);
	int (*join)(struct cohort_queue *q, cohort_time deadline);
	int (*shutdown)(struct cohort_queue *q, enum cohort_shutdown_mode mode);
	int64_t (*size)(struct cohort_queue *q);
	int (*stats)(struct cohort_queue *q, struct cohort_queue_stats *stats);
	int (*fd)(struct cohort_queue *q);
	int (*send)(struct cohort_queue *q, struct cohort_conn *c, cohort_time deadline); /* NULL: COHORT_ENOTSUP */
	/* How many of its items were not got.  Frees Q and all it has. */
	int (*close)(struct cohort_queue *q, cohort_time deadline);
};

/* A kind of address. */
struct coh_queue_scheme {
	const char *name; /* what stands before the colon */
	/* OPTIONS is never NULL, and within its ranges.  Gives *OUT, of which everything is set. */
	int (*open)(struct cohort_queue **out, const char *address,
	    const struct cohort_queue_options *options, struct cohort_error *err);
};
extern const struct coh_queue_scheme *const coh_queue_schemes[]; /* NULL at the end */
extern const struct coh_queue_scheme coh_queue_scheme_local, coh_queue_scheme_inherit;

/* Q, which has nothing any more, is closed (sync/shared.h); ops end their close by it. */
void coh_queue_retire(struct cohort_queue *q);

/* Where ops put the sentence of a failure they return, and its code. */
struct cohort_error *coh_queue_err(void);

/* The ring of a local queue, for a server; NULL: it is none. */
struct coh_ring *coh_queue_local_ring(struct cohort_queue *q);

/*
 * Is a queue that was made as C says what OPTIONS ask for?  What is 0 in them is not asked.  0, or COHORT_EARGUMENT,
 * COHORT_EFORMAT with a sentence about the queue at ADDRESS.
 */
int coh_queue_local_agrees(const struct coh_ring_config *c, const struct cohort_queue_options *o,
    const char *address, struct cohort_error *err);

/* cohort_queue_recv, its arguments checked. */
int coh_queue_local_recv(struct cohort_queue **out, struct cohort_conn *c,
    const struct cohort_queue_options *options, cohort_time deadline, struct cohort_error *err);

#endif
