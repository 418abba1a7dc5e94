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
 * else reads them.  A segment may not be unmapped while a word in it is held.  Where memory was cut
 * (cut.h) words and links are zeroes at any moment: a thread's list ends there, and what it held
 * before is not marked by the kernel when it dies, but found by who waits (mutex.c, bury).
 *
 * Taking and letting go are inline: they lie on the path of every message.
 */
#ifndef COH_SYNC_ROBUST_H
#define COH_SYNC_ROBUST_H

#include "sync/pair.h"

#include <cohort/error.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* As pthread_mutex_t of glibc lays it out: robust.c has the assertions. */
struct coh_robust {
	struct coh_pair pair; /* word: FUTEX_WAITERS | FUTEX_OWNER_DIED | thread id; serial: mutex.c's */
	uint32_t spare[4];    /* for who uses it; robust.c and mutex.c do not touch them */
	void *prev, *next;    /* links of the holder */
};

/* This thread, as the kernel knows it.  id is 0 until it was asked for, and in a child just forked. */
struct coh_robust_thread {
	struct robust_list_head *head;
	uint32_t id;
};
/* initial-exec: one load instead of a call, also in the shared library; 16 bytes of what glibc sets aside for that */
extern _Thread_local struct coh_robust_thread coh_robust_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

uint32_t coh_robust_ask(void);

/* This thread: its id as the kernel writes it into words.  Right after fork too. */
static inline uint32_t coh_robust_self(void)
{
	uint32_t id = coh_robust_thread.id;

	return id != 0 ? id : coh_robust_ask();
}

/* What the kernel sees when the thread dies between two instructions is what the compiler left in memory. */
static inline void coh_robust_barrier(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/*
 * R is about to be taken, or let go, by this thread, or somebody woken by it; and it is done.  The thread has
 * called coh_robust_self.
 */
static inline void coh_robust_pending(struct coh_robust *r)
{
	coh_robust_barrier();
	coh_robust_thread.head->list_op_pending = (struct robust_list *)&r->next;
	coh_robust_barrier();
}

static inline void coh_robust_settled(void)
{
	coh_robust_barrier();
	coh_robust_thread.head->list_op_pending = NULL;
	coh_robust_barrier();
}

/* The entry whose `next` is at LINK has the field before that point to PREV.  The head has none that is ours. */
static inline void coh_robust_link_back(struct robust_list_head *head, void *link, void *prev)
{
	uintptr_t at = (uintptr_t)link & ~(uintptr_t)1; /* bit 0 tells of a priority-inheriting mutex */

	if (at != (uintptr_t)&head->list)
		((void **)at)[-1] = prev;
}

/* R, which is pending and has our id in its word, is held: it joins the list; or leaves it. */
static inline void coh_robust_enter(struct coh_robust *r)
{
	struct robust_list_head *head = coh_robust_thread.head;

	r->next = head->list.next;
	coh_robust_link_back(head, r->next, &r->next);
	r->prev = &head->list;
	coh_robust_barrier(); /* the kernel comes in by the head: what it finds there is whole */
	head->list.next = (struct robust_list *)&r->next;
}

/* The same, wherever it stands in the list, or its links are zeroes. */
void coh_robust_leave_anywhere(struct coh_robust *r);

/* Most often it is the first.  One link after the other: if the second is no zero, neither was the first. */
static inline void coh_robust_leave(struct coh_robust *r)
{
	struct robust_list_head *head = coh_robust_thread.head;
	void *next = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE);

	if (__builtin_expect(__atomic_load_n(&r->prev, __ATOMIC_RELAXED) == (void *)&head->list, 1)) {
		coh_robust_link_back(head, next, &head->list);
		head->list.next = next;
		coh_robust_barrier();
	} else {
		coh_robust_leave_anywhere(r);
	}
}

/* Have this thread's list end before what was cut. */
void coh_robust_mend(void);

/*
 * futex(2) on a word that processes share.  Sleep while *WORD is VALUE until DEADLINE (a moment of CLOCK_MONOTONIC;
 * COHORT_FOREVER): 0 (woken, or for no reason), -EAGAIN (it was not VALUE), -ETIMEDOUT, -EINTR.
 * Wake up to N sleepers; returns how many.  All are async-signal-safe and keep errno.
 */
int coh_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
int coh_futex_wake(_Atomic uint32_t *word, int n);

/*
 * Wake up to N (1 or more) sleepers of a word that was VALUE; more than N when others sleep on, or when that
 * cannot be told because the word has changed: one call for what would be a second wake, to see that it finds nobody.
 */
int coh_futex_wake_some(_Atomic uint32_t *word, uint32_t value, int n);

#endif
