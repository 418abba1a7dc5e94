/*
 * remote_list.h - which servers this process is connected to, and by which way of meeting them.
 *
 * All of it needs the engine lock; internal to remote*.c.
 */
#ifndef COH_NODE_REMOTE_LIST_H
#define COH_NODE_REMOTE_LIST_H

#include "addr/address.h"

#include <cohort/listener.h>
#include <cohort/time.h>
#include <stdbool.h>

/* The head of a struct coh_remote. */
struct coh_remote_link {
	struct coh_remote_link *prev, *next;
	char address[COH_ADDRESS_TEXT];
	char *way;      /* how it is met: address, key, names, as text */
	unsigned users;
	bool listed;
	bool up;        /* it is connected; else somebody dials it */
	struct cohort_error failure; /* of the dial */
};

/* The connection for ADDRESS, whose last part is an object's name; dialled if there is none.  As cohort_dial. */
int coh_remote_list_get(struct coh_remote_link **out, const char *address,
    const struct cohort_net_options *net, cohort_time deadline, struct cohort_error *err);

/* One user less; the last ends it. */
void coh_remote_list_put(struct coh_remote_link *link);

/* Nobody new finds it. */
void coh_remote_list_drop(struct coh_remote_link *link);

/* How often this process, or those it comes from, were forked since the first connection. */
unsigned coh_remote_generation(void);

/* What remains until DEADLINE in nanoseconds; 0: it has passed. */
cohort_time coh_remote_left(cohort_time deadline);

/* remote.c: a connection that is none yet; it is, by CONN, taken on success; the end. */
struct coh_remote_link *coh_remote_new(struct cohort_error *err);
int coh_remote_begin(struct coh_remote_link *link, struct cohort_conn *conn);
void coh_remote_look(struct coh_remote_link *link); /* has it ended, and nobody noticed?  May let the lock go. */
void coh_remote_free(struct coh_remote_link *link);

#endif
