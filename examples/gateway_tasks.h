/*
 * gateway_tasks.h - what the gateway exposes, and under which names.
 *
 * A program may register more tasks than it lets others call: what is not in the table does not
 * exist for them.
 */
#ifndef GATEWAY_TASKS_H
#define GATEWAY_TASKS_H

#include <cohort/task.h>

struct gateway_task {
	const char *name; /* to clients */
	const struct cohort_task *task;
};

/* Ended by zeros. */
extern const struct gateway_task gateway_tasks[];

/* The one called NAME, or NULL. */
const struct cohort_task *gateway_task_find(const char *name);

#endif
