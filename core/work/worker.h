/*
 * worker.h - what serves a pool at the other end of its connection: a process or a thread.
 */
#ifndef COH_WORK_WORKER_H
#define COH_WORK_WORKER_H

#include "conn/conn_priv.h"
#include "os/heritage.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * What a worker shares with its pool beside the connection.  A worker process writes `running`
 * in a page that outlives it, so that its pool knows which task it died of, whatever was in the
 * pipes.
 */
struct coh_worker_status {
	_Atomic uint64_t running; /* id of the task it is in, 0 between tasks */
	atomic_bool stop;         /* thread workers: end after this task */
};

/* Serve the pool at the other end of CONN until it closes.  0, or 1 when it could not serve. */
int coh_worker_serve(struct cohort_conn *conn, struct coh_worker_status *status);

/* The life of a worker process; returns its exit code. */
int coh_worker_main(const struct coh_heritage *h);

#endif
