/* log.h - saying something: literal formats only, escaped and cut on the way out. */
#ifndef COH_BASE_LOG_H
#define COH_BASE_LOG_H

#include <cohort/log.h>
#include <stdbool.h>

#define COH_LOG_LINE 1024

/* Say FORMAT at LEVEL, if anyone listens at that level. */
void coh_log(enum cohort_log_level level, const char *format, ...) COHORT_PRINTF(2, 3);

/* The name put in front of lines of this process ("main", "worker 3"); copied, cut at 63 bytes. */
void coh_log_name(const char *name);

/* The level in force, 0 when there is no sink: what a child inherits. */
int coh_log_level(void);

#endif
