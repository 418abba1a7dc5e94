/*
 * sync.h - locks, semaphores, conditions, events and barriers between threads and processes alike.
 *
 * The death of a holder is a result, not a hang: the next one to acquire a lock has it and is told
 * COHORT_EOWNERDEAD; permits of a dead process come back; a dead waiter holds up no notifier; a
 * dead party breaks its barrier.  Locks belong to a thread (a thread that ends counts as dead),
 * permits to a process.
 *
 * Addresses, names and ownership are those of shared.h.  Those options that describe the object
 * (value, parties, recursive, lock) count when it is made, and must agree when it is attached
 * (COHORT_EARGUMENT says what it is).  Options may be NULL: attached, it is taken as it is; made,
 * it is the usual one.
 *
 * Every open gives *OUT, end it with the close of its kind, and returns 0 or, as all of shared.h:
 * COHORT_EADDRESS, COHORT_ENAME, COHORT_ENOTSUP (an address of a network, or one that does not offer what `open` says), COHORT_EARGUMENT,
 * -EEXIST, -ENOENT, COHORT_ESEGMENT, -EACCES, -ENOSPC (shared memory is full), -EMFILE, -ENOMEM.
 *
 * Every close accepts NULL, frees the handle of this process alone, and must not be called while
 * another thread uses it or while this process holds something through it (what it held is then as
 * if it had died holding it).
 *
 * Waiting calls take a deadline (time.h): COHORT_NOW tries, COHORT_FOREVER waits.  Signals do not
 * end them. Any thread; after fork the child uses the same handle.  Waiters are not served in any
 * order.
 */
#ifndef COHORT_SYNC_H
#define COHORT_SYNC_H

#include <cohort/shared.h>
#include <cohort/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Lock, RLock ---- */

struct cohort_lock;

struct cohort_lock_options {
	enum cohort_open open;
	int recursive; /* non-zero: an RLock, which its holder may acquire again */
};

COHORT_API int cohort_lock_open(struct cohort_lock **out, const char *address,
    const struct cohort_lock_options *options, struct cohort_error *err);
COHORT_API void cohort_lock_close(struct cohort_lock *l);

/*
 * Acquire L for this thread, waiting until DEADLINE.
 *
 * Returns 0; COHORT_EOWNERDEAD (acquired too: but the thread that held it died, so mend what it
 * guards, then go on as usual); COHORT_ETIMEDOUT; -EDEADLK (this thread holds it and it is not
 * recursive); -EOVERFLOW (2^31 times).
 */
COHORT_API int cohort_lock_acquire(struct cohort_lock *l, cohort_time deadline);

/*
 * Release L once.  Returns 0, or COHORT_ENOTOWNER: this thread does not hold it (another does, or
 * nobody).
 */
COHORT_API int cohort_lock_release(struct cohort_lock *l);

/* 1 if anybody who lives holds L, else 0.  It may have changed by the time you look. */
COHORT_API int cohort_lock_locked(struct cohort_lock *l);

/* ---- Semaphore, BoundedSemaphore ---- */

struct cohort_semaphore;

struct cohort_semaphore_options {
	enum cohort_open open;
	unsigned value; /* permits at the beginning, to 2^31 - 1; without OPTIONS: 1 */
	int bounded;    /* non-zero: never more permits than at the beginning */
	int signals;    /* non-zero: to take one uses it up: nothing comes back of the dead */
};

COHORT_API int cohort_semaphore_open(struct cohort_semaphore **out, const char *address,
    const struct cohort_semaphore_options *options, struct cohort_error *err);
COHORT_API void cohort_semaphore_close(struct cohort_semaphore *s);

/*
 * Take a permit for this process, waiting until DEADLINE.  When the process ends, what it took and
 * did not release comes back within a tenth of a second of somebody's waiting for it (not so with
 * the option `signals`, for semaphores that some release and others acquire).  Returns 0,
 * COHORT_ETIMEDOUT, -ENOSPC (1024 processes hold permits already).
 */
COHORT_API int cohort_semaphore_acquire(struct cohort_semaphore *s, cohort_time deadline);

/*
 * Give N permits (1 to 2^31 - 1): first those this process took; more than it took are new ones,
 * which is how one process signals another.  Returns 0; COHORT_EOVER (bounded: nothing was
 * released); -EOVERFLOW; COHORT_EARGUMENT.
 */
COHORT_API int cohort_semaphore_release(struct cohort_semaphore *s, unsigned n);

/* Permits that can be taken now. */
COHORT_API unsigned cohort_semaphore_value(struct cohort_semaphore *s);

/* ---- Condition ---- */

struct cohort_condition;

struct cohort_condition_options {
	enum cohort_open open;
	struct cohort_lock *lock; /* borrowed until close, the same object in each process;
	                             NULL: a recursive one of its own */
};

COHORT_API int cohort_condition_open(struct cohort_condition **out, const char *address,
    const struct cohort_condition_options *options, struct cohort_error *err);
COHORT_API void cohort_condition_close(struct cohort_condition *c);

/* The condition's lock: acquire, release and locked as of a lock; all other calls want it held. */
COHORT_API int cohort_condition_acquire(struct cohort_condition *c, cohort_time deadline);
COHORT_API int cohort_condition_release(struct cohort_condition *c);
COHORT_API int cohort_condition_locked(struct cohort_condition *c);

/*
 * Release the lock, however often it is held, wait to be notified until DEADLINE, acquire it again
 * as often as it was held. The lock is held afterwards whatever is returned, which may take as long
 * as others hold it.
 *
 * Returns 0 (notified); COHORT_ETIMEDOUT; COHORT_EOWNERDEAD (notified or not: a holder died
 * meanwhile); COHORT_ENOTOWNER (the lock is not held: nothing was done); -ENOSPC (1024 threads wait
 * already).
 */
COHORT_API int cohort_condition_wait(struct cohort_condition *c, cohort_time deadline);

/*
 * Wait until TEST(ARG), called with the lock held, gives non-zero.  Returns that value (made
 * positive if need be), 0 when DEADLINE passed first, or as wait.
 */
COHORT_API int cohort_condition_wait_for(
    struct cohort_condition *c, int (*test)(void *arg), void *arg, cohort_time deadline);

/*
 * Wake N of the threads that wait now, or all; the dead are not counted.  Returns how many were
 * notified, COHORT_ENOTOWNER, COHORT_EARGUMENT (N < 0).
 */
COHORT_API int cohort_condition_notify(struct cohort_condition *c, int n);
COHORT_API int cohort_condition_notify_all(struct cohort_condition *c);

/* ---- Event ---- */

struct cohort_event;

struct cohort_event_options {
	enum cohort_open open;
};

COHORT_API int cohort_event_open(struct cohort_event **out, const char *address,
    const struct cohort_event_options *options, struct cohort_error *err);
COHORT_API void cohort_event_close(struct cohort_event *e);

/* Set it: all who wait go on.  Async-signal-safe.  Returns 0. */
COHORT_API int cohort_event_set(struct cohort_event *e);
/* Clear it.  Async-signal-safe.  Returns 0. */
COHORT_API int cohort_event_clear(struct cohort_event *e);
/* 1 if it is set, else 0.  Async-signal-safe. */
COHORT_API int cohort_event_is_set(struct cohort_event *e);

/*
 * Wait until it is set, or was set since the call began, even if it was cleared since.  0, or
 * COHORT_ETIMEDOUT.
 */
COHORT_API int cohort_event_wait(struct cohort_event *e, cohort_time deadline);

/* ---- Barrier ---- */

struct cohort_barrier;

struct cohort_barrier_options {
	enum cohort_open open;
	unsigned parties; /* who must come: 1 to 1024; none is usual */
	int (*action)(void *arg); /* of this handle: the last to come runs it before all go on;
	                             non-zero breaks the barrier; may be NULL */
	void *arg;
	cohort_time timeout; /* a span for waits until COHORT_FOREVER; 0: none */
};

COHORT_API int cohort_barrier_open(struct cohort_barrier **out, const char *address,
    const struct cohort_barrier_options *options, struct cohort_error *err);
COHORT_API void cohort_barrier_close(struct cohort_barrier *b);

/*
 * Wait until all parties have come.  Returns the place of this one, 0 to parties - 1, each once; or
 * COHORT_EBARRIER: it is broken, since a party's DEADLINE passed, a party died in its wait, an
 * action failed, or by abort. COHORT_ETIMEDOUT for the one whose deadline it was.
 */
COHORT_API int cohort_barrier_wait(struct cohort_barrier *b, cohort_time deadline);

/* Break it for all who wait and who come, until it is reset.  Returns 0. */
COHORT_API int cohort_barrier_abort(struct cohort_barrier *b);
/* Make it whole and empty; who waits now gets COHORT_EBARRIER.  Returns 0. */
COHORT_API int cohort_barrier_reset(struct cohort_barrier *b);

COHORT_API unsigned cohort_barrier_parties(struct cohort_barrier *b);
/* How many wait now; and 1 if it is broken. */
COHORT_API unsigned cohort_barrier_waiting(struct cohort_barrier *b);
COHORT_API int cohort_barrier_broken(struct cohort_barrier *b);

/* ---- reader-writer lock ---- */

struct cohort_rwlock;

struct cohort_rwlock_options {
	enum cohort_open open;
};

COHORT_API int cohort_rwlock_open(struct cohort_rwlock **out, const char *address,
    const struct cohort_rwlock_options *options, struct cohort_error *err);
COHORT_API void cohort_rwlock_close(struct cohort_rwlock *l);

/*
 * Acquire L together with other readers, or alone.  Neither side starves the other: a writer that waits keeps new readers out,
 * and all readers that wait when a write is over read before the next one; a try (COHORT_NOW) keeps to that too.  So a thread that
 * reads must not read again, which would be a deadlock behind such a writer: it is told (-EDEADLK), and goes on reading
 * with what it has.  A dead reader or writer that waited holds up nobody; one that was stopped as its turn to read
 * came, the next writer by a second at most.
 *
 * Returns 0; COHORT_EOWNERDEAD (acquired: the last writer died in the middle of it);
 * COHORT_ETIMEDOUT; -EDEADLK (this thread has it already); read: -ENOSPC (1024 threads read,
 * or wait to).
 */
COHORT_API int cohort_rwlock_read(struct cohort_rwlock *l, cohort_time deadline);
COHORT_API int cohort_rwlock_write(struct cohort_rwlock *l, cohort_time deadline);

/* Release what this thread has of L.  0 or COHORT_ENOTOWNER. */
COHORT_API int cohort_rwlock_release(struct cohort_rwlock *l);

/* How many readers have it now, -1: a writer. */
COHORT_API int cohort_rwlock_locked(struct cohort_rwlock *l);

#ifdef __cplusplus
}
#endif
#endif
