/* fault.c - where a test's process ends; nothing of it is in the library that is shipped. */
#include "sync/fault.h"

#ifdef COHORT_FAULTS
#include "base/object.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define NAMES 512 /* points in all of the library, with room */

static const char *_Atomic wanted; /* a prefix; NULL: none */
static _Atomic unsigned long due, passed;
static const char *_Atomic seen[NAMES];

static void note(const char *point)
{
	const char *none, *name;
	int i = 0;

	do {
		COH_ASSERT(i < NAMES);
		none = NULL;
		if (atomic_compare_exchange_strong(&seen[i], &none, point))
			return;
		name = atomic_load(&seen[i++]);
	} while (name != point && strcmp(name, point) != 0);
}

void coh_fault(const char *point)
{
	const char *prefix = atomic_load(&wanted);
	unsigned long n;

	note(point);
	if (prefix == NULL || strncmp(point, prefix, strlen(prefix)) != 0)
		return;
	n = atomic_fetch_add(&passed, 1) + 1;
	if (n != atomic_load(&due))
		return;
	kill(getpid(), SIGKILL);
	for (;;)
		pause(); /* this thread is not first in line for it */
}

void coh_fault_arm(const char *prefix, unsigned long n)
{
	atomic_store(&wanted, NULL);
	atomic_store(&passed, 0);
	atomic_store(&due, n);
	atomic_store(&wanted, prefix);
}

unsigned long coh_fault_count(void)
{
	return atomic_load(&passed);
}

int coh_fault_names(const char **names, int n)
{
	int i = 0;

	while (i < n && i < NAMES && atomic_load(&seen[i]) != NULL) {
		names[i] = atomic_load(&seen[i]);
		i++;
	}
	return i;
}
#endif
