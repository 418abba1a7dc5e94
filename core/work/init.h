/* init.h - what cohort_init set up, as the rest of the library asks for it. */
#ifndef COH_WORK_INIT_H
#define COH_WORK_INIT_H

#include "os/heritage.h"

#include <cohort/process.h>
#include <stdbool.h>

/* True when cohort_init was called in this very process, or it is a child's life. */
bool coh_init_here(void);

/*
 * May this process start children by START, now?  In a child of Cohort the first question
 * also opens the child's own zygote, which works while it has one thread.  Ask it before
 * coh_zygote_start, from any thread.
 *
 * 0, COHORT_EINIT, COHORT_ESTATE (a daemon, or after cohort_shutdown), COHORT_ETHREADS, -errno.
 */
int coh_init_children(enum cohort_start start, struct cohort_error *err);

/* Every child's life, whatever started it: a coh_child_fn.  Ends in exit. */
void coh_init_child_life(const struct coh_heritage *h);

/* From now on coh_init_children refuses: cohort_shutdown. */
void coh_init_end(void);

#endif
