/* err.h - filling a struct cohort_error in one line. */
#ifndef COH_BASE_ERR_H
#define COH_BASE_ERR_H

#include <cohort/error.h>

/*
 * Fill ERR (may be NULL) with CODE and the sentence FORMAT, and return CODE, so that a
 * failing branch is one line.
 */
int coh_fail(struct cohort_error *err, int code, const char *format, ...) COHORT_PRINTF(3, 4);

/* As coh_fail, with ": " and the words of errno E at the end; returns -E. */
int coh_fail_errno(struct cohort_error *err, int e, const char *format, ...) COHORT_PRINTF(3, 4);

/* Put "FORMAT: " before the sentence that ERR holds already, and return its code. */
int coh_fail_in(struct cohort_error *err, int code, const char *format, ...) COHORT_PRINTF(3, 4);

/* Fill ERR with CODE and its own sentence, unless it holds CODE already; returns CODE. */
int coh_fail_code(struct cohort_error *err, int code);

#endif
