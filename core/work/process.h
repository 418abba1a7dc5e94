/* process.h - the inside of cohort/process.h: what init.c and shutdown.c ask of it. */
#ifndef COH_WORK_PROCESS_H
#define COH_WORK_PROCESS_H

#include "os/heritage.h"

#include <cohort/process.h>
#include <stdbool.h>

/* In a new child, before anything else: from now on this process is the one H describes. */
void coh_process_become(const struct coh_heritage *h);

/* The life of COH_ROLE_PROCESS: run the task of H; its exit code. */
int coh_process_main(const struct coh_heritage *h);

/* True when this process may have no children. */
bool coh_process_daemon(void);

/* In a new child: the children this process knew are its parent's. */
void coh_process_reset(void);

/* cohort_shutdown's part.  0, or COHORT_ETIMEDOUT when a process had to be killed. */
int coh_process_end_all(cohort_time deadline);

#endif
