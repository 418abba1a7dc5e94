/*
 * zygote.h - the single-threaded helper from which all children come.
 *
 * It is forked before any thread exists and has nothing open, so a child forked from it is
 * clean whatever the program does meanwhile.  Children are its children, not the program's:
 * an application's own waitpid(-1) never sees them, nor the zygote itself.  When the
 * program ends, however it ends, the zygote ends, and with it all children (SIGKILL).
 *
 * Children see the environment, the working directory, the resource limits and the CPUs as they
 * were when the zygote was opened.
 *
 * One zygote a process.  Any thread, unless said otherwise.
 */
#ifndef COH_OS_ZYGOTE_H
#define COH_OS_ZYGOTE_H

#include "os/proc.h"

/*
 * Fork it; children live FN.  The process must have one thread.
 * 0, COHORT_ETHREADS, COHORT_ESTATE (there is one), -errno.
 */
int coh_zygote_open(coh_child_fn fn, struct cohort_error *err);

/* Its pid, 0 when there is none (not opened, closed; one that died keeps its number). */
int coh_zygote_pid(void);

/*
 * Start a child with H (START_ZYGOTE: fork, START_SPAWN: fork and exec), which is borrowed.
 * Gives *OUT, end it with coh_proc_release.  For START_SPAWN it returns after the exec.
 *
 * 0; COHORT_EINIT (no zygote); COHORT_EZYGOTE (it is gone); COHORT_ETIMEDOUT (then no child is
 * left behind); COHORT_ETOOBIG; -errno of what failed here, there (-EAGAIN, -ENOMEM) or in
 * exec (-ENOENT, -EACCES, -ENOEXEC).
 */
int coh_zygote_start(const struct coh_heritage *h, struct coh_child *out, cohort_time deadline,
    struct cohort_error *err);

/*
 * Wait until C has ended and the zygote has said how.  Several threads may wait.
 * 0 with *CODE set, COH_CODE_UNKNOWN when the zygote died first; or COHORT_ETIMEDOUT.
 */
int coh_zygote_status(struct coh_child *c, cohort_time deadline, int *code);

/* Drop all interest in C, which is about to be freed. */
void coh_zygote_forget(struct coh_child *c);

/* End the zygote, and with it every child that still runs.  Fine without one, and twice. */
void coh_zygote_close(void);

/* In a forked child: this process has no zygote and no children; nothing is closed or freed. */
void coh_zygote_reset(void);

#endif
