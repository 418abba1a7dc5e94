/*
 * launcher.h - the launchers of this machine, for those who make pools (seam 2 is in pool_priv.h).
 */
#ifndef COH_WORK_LAUNCHER_H
#define COH_WORK_LAUNCHER_H

#include "work/pool_priv.h"

/*
 * N worker processes for P, started at once: of this program, or of the executable PROGRAM_FD
 * (borrowed for the pool's life) when it is not -1.  0 or a code with a sentence.  [lock held]
 */
int coh_launcher_local_add(
    struct cohort_pool *p, unsigned n, int program_fd, struct cohort_error *err);

/* The number after the colon of ADDRESS, or FALLBACK without one.  COHORT_EADDRESS. */
int coh_launcher_count(const char *address, unsigned fallback, struct cohort_error *err);

#endif
