/*
 * share.h - shared objects on their way to other processes: as heritage, and over a connection.
 */
#ifndef COH_WORK_SHARE_H
#define COH_WORK_SHARE_H

#include "os/heritage.h"
#include "sync/inherit.h"
#include "sync/segment.h"

#include <cohort/conn.h>
#include <cohort/process.h>

/*
 * The N objects of SHARE into T, which borrows their descriptors.  0; COHORT_EARGUMENT (more than
 * 32; no handle of a shared object; one name twice), COHORT_ENAME.  Each with a sentence.
 */
int coh_share_collect(
    struct coh_inherit *t, const struct cohort_share *share, int n, struct cohort_error *err);

/*
 * The same for as long as the caller likes: gives *OUT, with descriptors of its own; end it with
 * coh_share_drop.  And -EMFILE, -ENOMEM.
 */
int coh_share_keep(
    struct coh_inherit **out, const struct cohort_share *share, int n, struct cohort_error *err);
void coh_share_drop(struct coh_inherit *t);

/* Put what is in T (NULL: nothing) into H, which borrows it. */
void coh_share_bequeath(const struct coh_inherit *t, struct coh_heritage *h);

/*
 * Send what another process needs to adopt S: each descriptor a message.  0, or as
 * cohort_conn_send_fd; the sentence is C's.  When it fails in the middle the peer waits for the
 * rest: close C.
 */
int coh_share_send(struct cohort_conn *c, const struct coh_segment *s, cohort_time deadline);

/*
 * Receive the descriptors of an object with BELLS bells into FDS; gives them.  How many, or as
 * cohort_conn_recv_fd: none are given then, and what had come is closed.
 */
int coh_share_recv(
    struct cohort_conn *c, int bells, int fds[COH_HERITAGE_SHARE_FDS], cohort_time deadline);

#endif
