/*
 * robust.c - where this thread's list is, and futex(2).
 *
 * The list is glibc's: it registers one for each thread it starts, and anew in a forked child, where it is empty.  The
 * system has only one list a thread, so a second is no choice.
 */
#include "sync/robust.h"

#include "base/clock.h"
#include "base/object.h"
#include "sync/cut.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINK_OFFSET ((long)offsetof(struct coh_robust, next))

_Static_assert(offsetof(struct coh_robust, pair.word) == offsetof(pthread_mutex_t, __data.__lock),
    "the word is where glibc has it");
_Static_assert(offsetof(struct coh_robust, prev) == offsetof(pthread_mutex_t, __data.__list.__prev) &&
	offsetof(struct coh_robust, next) == offsetof(pthread_mutex_t, __data.__list.__next),
    "the links are where glibc has them");
_Static_assert(sizeof(struct coh_robust) == sizeof(pthread_mutex_t), "and nothing else is there");
_Static_assert(offsetof(struct coh_robust, prev) + sizeof(void *) == offsetof(struct coh_robust, next),
    "the back link is found by the other");

_Thread_local struct coh_robust_thread coh_robust_thread;

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* The child's thread has another id, and nothing in its list. */
static void forget(void)
{
	coh_robust_thread = (struct coh_robust_thread){0};
}

static void watch_forks(void)
{
	COH_ASSERT(pthread_atfork(NULL, NULL, forget) == 0);
}

/* A thread that no glibc has started (a bare clone) has no list: give it one. */
static struct robust_list_head *make_head(void)
{
	static _Thread_local struct robust_list_head own;

	own.list.next = &own.list;
	own.futex_offset = -LINK_OFFSET;
	own.list_op_pending = NULL;
	COH_ASSERT(syscall(SYS_set_robust_list, &own, sizeof own) == 0);
	return &own;
}

uint32_t coh_robust_ask(void)
{
	struct coh_robust_thread *t = &coh_robust_thread;
	int before = errno;
	size_t size = 0;

	pthread_once(&fork_once, watch_forks);
	COH_ASSERT(syscall(SYS_get_robust_list, 0, &t->head, &size) == 0);
	if (t->head == NULL)
		t->head = make_head();
	COH_ASSERT(t->head->futex_offset == -LINK_OFFSET);
	t->id = (uint32_t)syscall(SYS_gettid);
	errno = before;
	return t->id;
}

static void *untagged(void *link)
{
	return (void *)((uintptr_t)link & ~(uintptr_t)1);
}

void coh_robust_leave_anywhere(struct coh_robust *r)
{
	void *next = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE), *prev = __atomic_load_n(&r->prev, __ATOMIC_RELAXED);

	if (prev != NULL) {
		coh_robust_link_back(coh_robust_thread.head, next, prev);
		*(void **)untagged(prev) = next;
		coh_robust_barrier();
	} else {
		coh_robust_mend();
	}
}

/*
 * An entry that was cut may have been entered once more since, by who took its word for free, also another thread: then
 * the list goes in a circle, or into that thread's.  Most often the first such entry ends the walk; else its length does,
 * and all is given up.
 */
void coh_robust_mend(void)
{
	struct robust_list_head *head = coh_robust_thread.head;
	struct robust_list *at = head != NULL ? &head->list : NULL, *next;

	for (int n = 0; at != NULL && (next = untagged(at->next)) != &head->list; n++) {
		if (n == ROBUST_LIST_LIMIT)
			at = &head->list;
		if (n == ROBUST_LIST_LIMIT || __atomic_load_n(&next->next, __ATOMIC_RELAXED) == NULL || coh_cut_found(next)) {
			at->next = &head->list;
			return;
		}
		at = next;
	}
}

int coh_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
	struct timespec ts, *until = NULL;
	int before = errno, rc = 0;

	if (deadline <= COHORT_NOW)
		return -ETIMEDOUT;
	if (deadline != COHORT_FOREVER) {
		ts = coh_clock_timespec(deadline);
		until = &ts;
	}
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, until, NULL, FUTEX_BITSET_MATCH_ANY) < 0)
		rc = -errno;
	errno = before;
	return rc;
}

int coh_futex_wake(_Atomic uint32_t *word, int n)
{
	int before = errno;
	long woken = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);

	errno = before;
	return woken > 0 ? (int)woken : 0;
}

/* To move one sleeper from the word to the same word changes nothing, but is counted. */
int coh_futex_wake_some(_Atomic uint32_t *word, uint32_t value, int n)
{
	int before = errno;
	long found;

	if (n == INT_MAX)
		return coh_futex_wake(word, n);
	found = syscall(SYS_futex, word, FUTEX_CMP_REQUEUE, n, 1L, word, value);
	errno = before;
	if (found >= 0)
		return (int)found;
	coh_futex_wake(word, n);
	return n + 1;
}
