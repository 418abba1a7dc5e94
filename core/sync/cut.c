/*
 * cut.c - which mappings are watched, and zeroes in place of those that were cut.
 *
 * The list is read by a handler of a signal, in any thread at any instruction: it only grows, its entries are used again, and
 * who reads one looks at its serial before and after.  An entry of a mapping in use does not change, so the handler never
 * takes memory for ours that is somebody else's by now.
 *
 * Zeroes come before the note that they are there: a process forked between has the note only with the zeroes.  Two threads
 * that find the cut at once may put them there twice, which is another cut to whoever began to use them.
 *
 * Refused: to look at the file in each call (a system call); to keep what the cut left (half an object is none); to copy all
 * out of the mapping before it is used (the speed is that it is not).
 */
#include "sync/cut.h"

#include "base/mem.h"
#include "os/bus.h"
#include "os/shm.h"

#include <errno.h>

struct watched {
	_Atomic uint32_t serial; /* odd: it is being changed */
	_Atomic uintptr_t begin; /* 0: free */
	_Atomic size_t size;
	_Atomic uint32_t want;
	const uint32_t *_Atomic mark;
	atomic_bool cut;
	struct watched *next;
};

static struct watched *_Atomic list;

/* What E says; false when it is free, or changes at this moment. */
COH_BUS_BARE static bool holds(struct watched *e, uintptr_t p)
{
	uint32_t serial = atomic_load(&e->serial);
	uintptr_t begin = atomic_load(&e->begin);
	size_t size = atomic_load(&e->size);

	return begin != 0 && p - begin < size && serial % 2 == 0 && atomic_load(&e->serial) == serial;
}

COH_BUS_BARE static struct watched *find(const void *p)
{
	struct watched *e = atomic_load(&list);

	while (e != NULL && !holds(e, (uintptr_t)p))
		e = e->next;
	return e;
}

/* In the handler too. */
COH_BUS_BARE static bool put_zeroes(struct watched *e)
{
	if (!coh_shm_forget((void *)atomic_load(&e->begin), atomic_load(&e->size)))
		return false;
	atomic_store(&e->cut, true);
	return true;
}

COH_BUS_BARE static bool on_fault(void *address)
{
	struct watched *e = find(address);

	return e != NULL && (atomic_load(&e->cut) || put_zeroes(e));
}

/* A free entry, which is ours to change now; NULL: no memory. */
static struct watched *take(void)
{
	struct watched *e = atomic_load(&list);
	uint32_t serial;

	for (; e != NULL; e = e->next) {
		serial = atomic_load(&e->serial);
		if (serial % 2 == 0 && atomic_load(&e->begin) == 0 &&
		    atomic_compare_exchange_strong(&e->serial, &serial, serial + 1))
			return e;
	}
	e = coh_calloc(sizeof *e);
	if (e == NULL)
		return NULL;
	atomic_store(&e->serial, 1);
	e->next = atomic_load(&list);
	while (!atomic_compare_exchange_weak(&list, &e->next, e))
		;
	return e;
}

int coh_cut_watch(void *begin, size_t size, const uint32_t *mark, uint32_t want)
{
	struct watched *e = take();

	if (e == NULL)
		return -ENOMEM;
	atomic_store(&e->size, size);
	atomic_store(&e->mark, mark);
	atomic_store(&e->want, want);
	atomic_store(&e->begin, (uintptr_t)begin);
	atomic_fetch_add(&e->serial, 1);
	coh_bus_watch(on_fault);
	return 0;
}

bool coh_cut_found(const void *p)
{
	struct watched *e = find(p);

	if (e == NULL)
		return false;
	if (!atomic_load(&e->cut) && *atomic_load(&e->mark) == atomic_load(&e->want))
		return false;
	return atomic_load(&e->cut) || put_zeroes(e);
}

void coh_cut_unmap(void *begin, size_t size)
{
	struct watched *e = begin != NULL ? find(begin) : NULL;

	if (e != NULL && coh_cut_found(begin))
		return;
	if (e != NULL) {
		atomic_fetch_add(&e->serial, 1);
		atomic_store(&e->begin, 0);
		atomic_fetch_add(&e->serial, 1);
	}
	coh_shm_unmap(begin, size);
}

bool coh_cut_any(void)
{
	return atomic_load_explicit(&list, memory_order_relaxed) != NULL;
}
