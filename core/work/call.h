/*
 * call.h - running one task: its function, its arguments, its result or its failure.
 *
 * A struct cohort_call is made once by whoever runs tasks and used for one after another; it
 * keeps, for each task, the messages that hold arguments and result, so that running a task
 * of flat formats allocates nothing after the first time.  One thread at a time.
 */
#ifndef COH_WORK_CALL_H
#define COH_WORK_CALL_H

#include "work/task.h"

/* A runner of tasks; NULL when there is no memory.  After coh_task_check. */
struct cohort_call *coh_call_new(void);
void coh_call_free(struct cohort_call *c);

/*
 * Run T with the SIZE bytes at ARGS, borrowed for the call and checked first, whoever they are
 * from.
 *
 * Returns 0; what the function returned when that is above 0 (the exit code of a process; no
 * result is taken then); COHORT_ETASK when it failed by its own word or gave no result though
 * its format has one; COHORT_EFORMAT or COHORT_ECODEC when the arguments are not fit (then it
 * was not called); COHORT_ETOOBIG (the result); -ENOMEM.  A failure's sentence is in
 * coh_call_error.
 */
int coh_call_run(struct cohort_call *c, const struct coh_task *t, const void *args, size_t size);

/*
 * The same for a pool, in which a task returns 0 or a negative code: a value above 0 is
 * COHORT_ETASK, and 0 means that there is a result.
 */
int coh_call_work(struct cohort_call *c, const struct coh_task *t, const void *args, size_t size);

/* After a run that returned 0: the image of the result.  The bytes are C's until its next run. */
const void *coh_call_image(const struct cohort_call *c, size_t *size);

/* After a run that failed: why.  C's until its next run. */
const struct cohort_error *coh_call_error(const struct cohort_call *c);

#endif
