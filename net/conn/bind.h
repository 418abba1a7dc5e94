/*
 * bind.h - a listening socket: made, named, and cleaned up after.
 */
#ifndef COH_CONN_BIND_H
#define COH_CONN_BIND_H

#include "addr/address.h"
#include "conn/greeting.h"
#include "conn/mode.h"

#include <sys/types.h>

struct cohort_net_options;

struct coh_bound {
	int fd; /* listening, non-blocking */
	struct coh_address address; /* with the real port */
	enum coh_mode mode;
	int family;
	struct coh_greeting_end end; /* of all who are accepted; its address is empty where each has its own */
	dev_t dev; /* of a Unix socket: the file that is ours */
	ino_t ino;
};

/*
 * Listen at A; OPTIONS (not NULL) are those of cohort_listen, whose codes it returns.  On failure
 * nothing is left behind.
 */
int coh_bind(struct coh_bound *b, const struct coh_address *a,
    const struct cohort_net_options *options, struct cohort_error *err);

/* Close it, and remove the Unix socket if the file there is still ours. */
void coh_bind_undo(struct coh_bound *b);

#endif
