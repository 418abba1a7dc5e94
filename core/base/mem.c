/*
 * mem.c - allocation with a countdown to failure.
 *
 * The countdown is one relaxed load on the usual path; it exists in every build, so that
 * what is tested is what is shipped.
 */
#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static atomic_ulong fault_at;     /* 0: off; relaxed, only tests write it */
static atomic_ulong fault_seen;   /* allocations since coh_mem_fail, while it is on */
static _Atomic enum coh_mem_fault fault_kind; /* while others allocate it may be set anew */

void coh_mem_fail(unsigned long n, enum coh_mem_fault kind)
{
	atomic_store(&fault_kind, kind);
	atomic_store(&fault_seen, 0);
	atomic_store(&fault_at, n);
}

unsigned long coh_mem_count(void)
{
	return atomic_load(&fault_seen);
}

static bool fault_due(void)
{
	unsigned long at = atomic_load_explicit(&fault_at, memory_order_relaxed);
	unsigned long seen;

	if (at == 0)
		return false;
	seen = atomic_fetch_add(&fault_seen, 1) + 1;
	if (seen == at || (atomic_load(&fault_kind) == COH_MEM_FAIL_FROM && seen > at)) {
		errno = ENOMEM;
		return true;
	}
	return false;
}

void *coh_alloc(size_t n)
{
	return fault_due() ? NULL : malloc(n != 0 ? n : 1);
}

void *coh_calloc(size_t n)
{
	return fault_due() ? NULL : calloc(1, n != 0 ? n : 1);
}

void *coh_realloc(void *p, size_t n)
{
	return fault_due() ? NULL : realloc(p, n != 0 ? n : 1);
}

void *coh_memdup(const void *p, size_t n)
{
	void *q = coh_alloc(n);

	if (q != NULL && n != 0)
		memcpy(q, p, n);
	return q;
}

char *coh_strdup(const char *s)
{
	return coh_memdup(s, strlen(s) + 1);
}

void coh_free(void *p)
{
	int saved = errno;

	free(p);
	errno = saved;
}

void coh_free_wiped(void *p, size_t n)
{
	if (p != NULL)
		explicit_bzero(p, n);
	coh_free(p);
}
