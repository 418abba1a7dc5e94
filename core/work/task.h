/*
 * task.h - the registry of tasks as the library sees it: sorted, numbered, with its digest.
 *
 * Filled before main by constructors, checked and closed by cohort_init, never changed
 * afterwards; so everything here, after coh_task_check, may be called from any thread.
 */
#ifndef COH_WORK_TASK_H
#define COH_WORK_TASK_H

#include "base/buf.h"
#include "wire/codec.h"

#include <cohort/task.h>

/* A checked task.  Lives as long as the process. */
struct coh_task {
	const struct cohort_task *task;
	const struct coh_format *args;
	const struct coh_format *result;
	int number; /* place in the order of names: what frames carry */
};

/* The longest list coh_task_compare reads: fits one control frame. */
#define COH_TASK_LIST_MAX (64u << 10)

/*
 * Check every registered task, sort them and close the registry.  Not thread-safe.
 * 0, COHORT_ENAME (bad or double), COHORT_EARGUMENT (no function), COHORT_EFORMAT (the
 * sentence names the task), COHORT_ESTATE (checked already), -ENOMEM.
 */
int coh_task_check(struct cohort_error *err);

/* The task called NAME; NULL with ERR filled: COHORT_ENOTASK. */
const struct coh_task *coh_task_find(const char *name, struct cohort_error *err);

/* How many there are, and number N of them in the order of names, NULL when N is out of range. */
int coh_task_count(void);
const struct coh_task *coh_task_at(uint32_t n);

/* Equal in two programs whose tasks have equal names and formats; else almost surely not. */
uint64_t coh_task_digest(void);

/* Append the list, one line "name TAB args TAB result" a task, to OUT.  0, COHORT_ETOOBIG, -ENOMEM. */
int coh_task_list(struct coh_buf *out);

/*
 * Compare with the list of PEER (its name, for the sentence), SIZE bytes at LIST from anyone.
 * 0 when equal; COHORT_EREGISTRY, the sentence naming the first task that differs and both
 * its formats; COHORT_EPROTOCOL (not a list).
 */
int coh_task_compare(const void *list, size_t size, const char *peer, struct cohort_error *err);

#endif
