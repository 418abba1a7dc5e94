/*
 * mutex.c - the lock's longer ways: waiting for it, taking it from the dead, and waking who waits.
 *
 * Why no sleeper is lost.  A sleeper sets FUTEX_WAITERS before it sleeps, and sleeps only while the word has an
 * owner and that bit.  Every owner that lets go with the bit set keeps it and wakes one; killed before that, the kernel
 * wakes one, since the word is pending and has no owner, or the newcomer that took it has the bit and wakes one when it lets
 * go.  One who was woken is pending too: killed before it has the lock, it passes the wake on.  The bit is cleared only
 * by who let go, left no other asleep, and sees word and serial as it left them: then nobody had the lock since, so
 * nobody began to sleep.  (Without the serial the bit of other sleepers could be cleared: the word may be let go twice with the
 * same value.)  tests/model/model_mutex.c tries all interleavings of it, with a death at every step.
 */
#include "sync/mutex.h"

#include "base/clock.h"
#include "base/object.h"
#include "sync/gate.h"

#include <errno.h>
#include <signal.h>

/*
 * Pauses (of the CPU, some 10 to 40 ns each) before a look, doubled for the next: together about what a sleep and a wake
 * cost, so that waiting costs at most twice the best.  Few looks, for each takes the word from the CPU of its
 * owner, who may lock it again and again: two who do nothing else did 2.6 million locks a second with a look each pause.
 */
#define PAUSE_FIRST 32
#define PAUSE_LAST 256

/* What a word says. */
static uint32_t owner_of(uint32_t word)
{
	return word & FUTEX_TID_MASK;
}

static uint32_t look(struct coh_mutex *m)
{
	return atomic_load_explicit(&m->robust.pair.word, memory_order_relaxed);
}

static bool change(struct coh_mutex *m, uint32_t from, uint32_t to, memory_order order)
{
	return atomic_compare_exchange_strong_explicit(
	    &m->robust.pair.word, &from, to, order, memory_order_relaxed);
}

static int entered(struct coh_mutex *m, uint32_t word)
{
	COH_FAULT("mutex.wait.taken");
	coh_robust_enter(&m->robust);
	COH_FAULT("mutex.wait.entered");
	coh_robust_settled();
	return word & FUTEX_OWNER_DIED ? COHORT_EOWNERDEAD : 0;
}

static int given_up(int code)
{
	COH_FAULT("mutex.wait.give_up");
	coh_robust_settled();
	return code;
}

/*
 * Look until none of the bits BUSY is in the word of M, a little while; its word.  A newcomer leaves a word that has no
 * owner to who is letting go of it, and is about to find that nobody sleeps: taken with the bit for sleepers,
 * each of two who only look for it would go on to wake nobody, by a system call each time.
 */
static uint32_t look_on(struct coh_mutex *m, uint32_t word, uint32_t busy)
{
	if ((word & busy) == 0 || !coh_gate_may_spin())
		return word;
	for (int pause = PAUSE_FIRST; pause <= PAUSE_LAST && (word & busy) != 0; pause *= 2) {
		for (int i = 0; i < pause; i++)
			coh_gate_relax();
		word = look(m);
	}
	return word;
}

/*
 * WORD names a thread that is no more, and the kernel did not say so: do it in its place.  A thread that calls exec and is not
 * the first of its process takes over that one's id before its list is looked at, so nothing there is its own; and a
 * list has a limit (ROBUST_LIST_LIMIT).  An id lives until the list was looked at, so its absence is proof.
 */
static void bury(struct coh_mutex *m, uint32_t word)
{
	int before = errno;

	if (kill((pid_t)owner_of(word), 0) < 0 && errno == ESRCH)
		change(m, word, FUTEX_WAITERS | FUTEX_OWNER_DIED, memory_order_relaxed);
	errno = before;
}

/* Sleep while the word is WORD, which has an owner.  0, or COHORT_ESEGMENT: nobody would have woken us. */
static int sleep_on(struct coh_mutex *m, uint32_t word, cohort_time deadline)
{
	cohort_time until = cohort_in(COH_MUTEX_SLICE);

	if (!(word & FUTEX_WAITERS) && !change(m, word, word | FUTEX_WAITERS, memory_order_relaxed))
		return 0;
	word |= FUTEX_WAITERS;
	COH_FAULT("mutex.wait.sleep");
	if (coh_futex_wait(&m->robust.pair.word, word, until < deadline ? until : deadline) == -ETIMEDOUT) {
		if (coh_cut_found(m))
			return COHORT_ESEGMENT;
		bury(m, word);
	}
	COH_FAULT("mutex.wait.woken");
	return 0;
}

int coh_mutex_lock_slowly(struct coh_mutex *m, cohort_time deadline)
{
	uint32_t me = coh_robust_self(), busy = FUTEX_TID_MASK | FUTEX_WAITERS, word;

	for (;; busy = FUTEX_TID_MASK) {
		coh_robust_pending(&m->robust);
		word = look(m);
		if (owner_of(word) == me)
			return given_up(-EDEADLK);
		if (deadline > COHORT_NOW)
			word = look_on(m, word, busy);
		COH_FAULT("mutex.wait.look");
		if (owner_of(word) == 0) {
			if (change(m, word, me | (word & FUTEX_WAITERS), memory_order_acquire))
				return entered(m, word);
		} else if (coh_clock_passed(deadline)) {
			return given_up(COHORT_ETIMEDOUT);
		} else if (sleep_on(m, word, deadline) != 0) {
			return given_up(COHORT_ESEGMENT);
		}
	}
}

void coh_mutex_lost(struct coh_mutex *m)
{
	COH_ASSERT(coh_cut_found(m));
	coh_robust_mend();
	coh_robust_settled();
}

void coh_mutex_unlock_slowly(struct coh_mutex *m)
{
	struct coh_pair *p = &m->robust.pair;
	uint32_t serial = atomic_load_explicit(&p->serial, memory_order_relaxed) + 1;

	atomic_store_explicit(&p->serial, serial, memory_order_relaxed);
	COH_FAULT("mutex.unlock.serial");
	atomic_store_explicit(&p->word, FUTEX_WAITERS, memory_order_release);
	COH_FAULT("mutex.unlock.wake");
	if (coh_futex_wake_some(&p->word, FUTEX_WAITERS, 1) <= 1)
		coh_pair_change(p, FUTEX_WAITERS, serial, 0);
	COH_FAULT("mutex.unlock.woke");
	coh_robust_settled();
}

void coh_mutex_doubt(struct coh_mutex *m)
{
	uint32_t word = look(m);

	if (owner_of(word) != 0)
		bury(m, word);
}

/* What the kernel does for the dead, and in an order that it finishes should we die of it. */
void coh_mutex_abandon(struct coh_mutex *m)
{
	uint32_t word = look(m);

	if (!coh_mutex_mine(m)) {
		coh_mutex_lost(m);
		return;
	}
	coh_robust_pending(&m->robust);
	coh_robust_leave(&m->robust);
	COH_FAULT("mutex.abandon.left");
	while (!atomic_compare_exchange_weak_explicit(&m->robust.pair.word, &word,
	    (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED, memory_order_release, memory_order_relaxed))
		;
	COH_FAULT("mutex.abandon.wake");
	if (word & FUTEX_WAITERS)
		coh_futex_wake(&m->robust.pair.word, 1);
	coh_robust_settled();
}

static uint32_t look_and_acquire(struct coh_mutex *m)
{
	return atomic_load_explicit(&m->robust.pair.word, memory_order_acquire);
}

bool coh_mutex_held(struct coh_mutex *m)
{
	return owner_of(look_and_acquire(m)) != 0;
}

bool coh_mutex_dead(struct coh_mutex *m)
{
	return (look_and_acquire(m) & (FUTEX_OWNER_DIED | FUTEX_TID_MASK)) == FUTEX_OWNER_DIED;
}
