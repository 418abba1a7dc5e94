/* fault.c - where a test's process ends; nothing of it is in the library that is shipped. */
#include "sync/fault.h"

#ifdef COHORT_FAULTS
#include "base/object.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAMES 512 /* points in all of the library, with room */

/* A point that was passed. */
struct seen {
	const char *_Atomic name;
	_Atomic bool died; /* somebody did, there */
};

static const char *_Atomic wanted; /* a prefix; NULL: none */
static _Atomic unsigned long due, passed;
static void (*_Atomic instead)(void);
static struct seen own[NAMES], *seen = own;

static struct seen *note(const char *point)
{
	const char *none, *name;
	int i = 0;

	do {
		COH_ASSERT(i < NAMES);
		none = NULL;
		if (atomic_compare_exchange_strong(&seen[i].name, &none, point))
			return &seen[i];
		name = atomic_load(&seen[i++].name);
	} while (name != point && strcmp(name, point) != 0);
	return &seen[i - 1];
}

/* For tests/fault/points.sh, which looks for points at which nobody died. */
static void log_death(const char *point)
{
	const char *path = getenv("COHORT_FAULT_LOG");
	int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

	COH_ASSERT(fd < 0 || dprintf(fd, "%s\n", point) > 0);
}

void coh_fault(const char *point)
{
	const char *prefix = atomic_load(&wanted);
	struct seen *at = note(point);
	unsigned long n;

	if (prefix == NULL || strncmp(point, prefix, strlen(prefix)) != 0)
		return;
	n = atomic_fetch_add(&passed, 1) + 1;
	if (n != atomic_load(&due))
		return;
	if (atomic_load(&instead) != NULL) {
		atomic_load(&instead)();
		return;
	}
	atomic_store(&at->died, true);
	log_death(point);
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

void coh_fault_do(void (*this)(void))
{
	atomic_store(&instead, this);
}

unsigned long coh_fault_count(void)
{
	return atomic_load(&passed);
}

void coh_fault_share(void)
{
	struct seen *all = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	COH_ASSERT(all != MAP_FAILED);
	seen = all;
}

int coh_fault_names(const char **names, int n)
{
	int i = 0;

	while (i < n && i < NAMES && atomic_load(&seen[i].name) != NULL) {
		names[i] = atomic_load(&seen[i].name);
		i++;
	}
	return i;
}

int coh_fault_spared(const char **names, int n)
{
	int k = 0;

	for (int i = 0; k < n && i < NAMES && atomic_load(&seen[i].name) != NULL; i++)
		if (!atomic_load(&seen[i].died))
			names[k++] = atomic_load(&seen[i].name);
	return k;
}
#endif
