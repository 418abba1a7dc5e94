/*
 * own.c - pages that the kernel wipes in every child.
 */
#include "os/own.h"

#include <stdatomic.h>
#include <sys/mman.h>

static void *own_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, size, MADV_WIPEONFORK) == 0)
		return p;
	(void)munmap(p, size);
	return NULL;
}

void *coh_own_get(void *_Atomic *slot, size_t size)
{
	void *p = atomic_load_explicit(slot, memory_order_acquire), *mine;

	if (p != NULL)
		return p;
	mine = own_new(size);
	if (mine == NULL || atomic_compare_exchange_strong(slot, &p, mine))
		return mine;
	(void)munmap(mine, size); /* another thread was first */
	return p;
}
