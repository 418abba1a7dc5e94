/*
 * shutdown.c - the end, in order and bounded: hooks (pools), processes, zygote.
 *
 * What stands on something else ends first, and every step shares one deadline.  It runs at
 * exit too, in every process that cohort_init or a start made one of Cohort's, and does
 * nothing in any other: a fork of the application's own has inherited the handler, but not
 * the children.
 */
#include "work/shutdown.h"

#include "base/object.h"
#include "os/zygote.h"
#include "work/init.h"
#include "work/process.h"

#include <pthread.h>

#define HOOKS 8

static pthread_mutex_t hooks_lock = PTHREAD_MUTEX_INITIALIZER; /* guards hooks, hook_count */
static coh_shutdown_fn hooks[HOOKS];
static int hook_count;
static pthread_mutex_t shutdown_lock = PTHREAD_MUTEX_INITIALIZER; /* held for all of a shutdown */

void coh_shutdown_hook(coh_shutdown_fn fn)
{
	int i = 0;

	pthread_mutex_lock(&hooks_lock);
	while (i < hook_count && hooks[i] != fn)
		i++;
	if (i == hook_count) {
		COH_ASSERT(hook_count < HOOKS);
		hooks[hook_count++] = fn;
	}
	pthread_mutex_unlock(&hooks_lock);
}

void coh_shutdown_reset(void)
{
	pthread_mutex_init(&hooks_lock, NULL);
	pthread_mutex_init(&shutdown_lock, NULL);
	hook_count = 0;
}

/* Hook number N, counted from the last one named; NULL when there are no more. */
static coh_shutdown_fn hook_at(int n)
{
	coh_shutdown_fn fn;

	pthread_mutex_lock(&hooks_lock);
	fn = n < hook_count ? hooks[hook_count - 1 - n] : NULL;
	pthread_mutex_unlock(&hooks_lock);
	return fn;
}

int cohort_shutdown(cohort_time deadline)
{
	coh_shutdown_fn fn;
	int rc = 0;

	if (!coh_init_here())
		return 0;
	pthread_mutex_lock(&shutdown_lock);
	coh_init_end();
	for (int i = 0; (fn = hook_at(i)) != NULL; i++)
		if (fn(deadline) != 0)
			rc = COHORT_ETIMEDOUT;
	if (coh_process_end_all(deadline) != 0)
		rc = COHORT_ETIMEDOUT;
	coh_zygote_close();
	pthread_mutex_unlock(&shutdown_lock);
	return rc;
}
