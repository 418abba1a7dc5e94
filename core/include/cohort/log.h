/*
 * log.h - what the library has to say, through one function of the user's.
 *
 * A library is silent unless asked: without a sink nothing is printed anywhere.
 */
#ifndef COHORT_LOG_H
#define COHORT_LOG_H

#include <cohort/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cohort_log_level {
	COHORT_LOG_ERROR = 1, /* something was lost or will not work */
	COHORT_LOG_WARN = 2,  /* something a person should know of */
	COHORT_LOG_INFO = 3,  /* beginnings and ends: a worker, a peer */
	COHORT_LOG_DEBUG = 4, /* for those who mend Cohort */
};

/*
 * Takes one line without a newline, in which control characters and bytes that are not
 * UTF-8 have been escaped.  Called on whichever thread has something to say, one call
 * at a time; it must not call Cohort.
 */
typedef void (*cohort_log_fn)(enum cohort_log_level level, const char *line, void *arg);

/*
 * Send lines of LEVEL and graver to SINK (NULL: none, the default).  Borrows ARG until the
 * next call.  Any thread.  Children started by Cohort inherit the level; in them the sink
 * is cohort_log_stderr where the parent had any.
 */
COHORT_API void cohort_log_to(cohort_log_fn sink, enum cohort_log_level level, void *arg);

/* A ready sink: "[WARN/name] line" on standard error, one write each.  ARG is ignored. */
COHORT_API void cohort_log_stderr(enum cohort_log_level level, const char *line, void *arg);

#ifdef __cplusplus
}
#endif
#endif
