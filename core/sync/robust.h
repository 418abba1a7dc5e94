/*
 * robust.h - words in shared memory that the kernel marks when the thread whose id they hold dies.
 *
 * Linux keeps a list for each thread (set_robust_list(2)); glibc registers one for its robust
 * mutexes, and ours stand in the same list, in the layout of pthread_mutex_t, so that both kinds may be
 * held at once and let go in any order.  When a thread ends, however it ends (SIGKILL, exec, a
 * crash), the kernel visits what stands in its list, and the one that is being taken or let go
 * ("pending"): a word with its id gets FUTEX_OWNER_DIED in place of the id, and one sleeper is woken; a
 * pending word without any id has one sleeper woken.
 *
 * The links are addresses of the holder's own process, for the kernel's and its use only; nobody
 * else reads them.  A segment may not be unmapped while a word in it is held.
 */
#ifndef COH_SYNC_ROBUST_H
#define COH_SYNC_ROBUST_H

#include <cohort/error.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>

/* As pthread_mutex_t of glibc lays it out: robust.c has the assertions. */
struct coh_robust {
	_Atomic uint32_t word; /* FUTEX_WAITERS | FUTEX_OWNER_DIED | thread id */
	uint32_t spare[5];     /* for who uses it; robust.c does not touch them */
	void *prev, *next;     /* links of the holder */
};

/* This thread: its id as the kernel writes it into words.  Right after fork too. */
uint32_t coh_robust_self(void);

/* WORD is about to be taken, or let go, by this thread, or somebody woken by it; NULL: done. */
void coh_robust_pending(struct coh_robust *r);

/* R, which is pending and has our id in its word, is held: it joins the list; or leaves it. */
void coh_robust_enter(struct coh_robust *r);
void coh_robust_leave(struct coh_robust *r);

/*
 * futex(2) on a word that processes share.  Sleep while *WORD is VALUE until DEADLINE (a moment of CLOCK_MONOTONIC;
 * COHORT_FOREVER): 0 (woken, or for no reason), -EAGAIN (it was not VALUE), -ETIMEDOUT, -EINTR.
 * Wake up to N sleepers; returns how many.  Both are async-signal-safe.
 */
int coh_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
int coh_futex_wake(_Atomic uint32_t *word, int n);

#endif
