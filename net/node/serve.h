/*
 * serve.h - one coordinator's connection to this node, and the pool of workers it is lent.
 */
#ifndef COH_NODE_SERVE_H
#define COH_NODE_SERVE_H

#include "conn/conn_priv.h"

#include <stdbool.h>

/* What every coordinator is offered; outlives all of them. */
struct coh_serve_offer {
	const char *name;            /* of this node */
	unsigned slots;
	const char *const *programs; /* the only paths that are run; none: any */
	unsigned program_count;
};

struct coh_serve;

/*
 * Serve the coordinator at the other end of CONN, authenticated and taken on success, until it
 * goes; then call ON_END(ARG) with the engine lock held.  [engine lock held]  0 or -errno
 * (no memory, no descriptor).
 */
int coh_serve_new(struct coh_serve **out, struct cohort_conn *conn,
    const struct coh_serve_offer *offer, void (*on_end)(struct coh_serve *s, void *arg),
    void *arg);

/* End it: its workers are killed.  ON_END is not called.  [engine lock held] */
void coh_serve_free(struct coh_serve *s);

#endif
