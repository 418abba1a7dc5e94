/*
 * future.h - one result, or one error, later.
 *
 * A future ends exactly once: with the task's result, or with a code and a sentence that says
 * what failed, where and why.  Whoever waits for it does the work of moving it on, so a
 * result costs no hand-off between threads; while nobody waits, the library's one thread
 * does.
 *
 * Any thread, unless said otherwise.  Futures do not survive fork.
 */
#ifndef COHORT_FUTURE_H
#define COHORT_FUTURE_H

#include <cohort/message.h>
#include <cohort/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cohort_future;

/* 1 once F has ended, 0 before.  Never waits. */
COHORT_API int cohort_future_done(struct cohort_future *f);

/* Wait until F has ended.  0, or COHORT_ETIMEDOUT (F goes on). */
COHORT_API int cohort_future_wait(struct cohort_future *f, cohort_time deadline);

/*
 * Wait, then take the values of the result outside arrays into what the further arguments point
 * at, as cohort_message_unpack(m, 0, ...).  What strings and bytes point at is F's and lives as
 * long as F.
 *
 * Returns 0; COHORT_ETIMEDOUT (F goes on); or the error F ended in, with its sentence in ERR
 * (may be NULL): COHORT_ETASK (failed by its own word, or its own code), COHORT_EPOISON (killed
 * every worker that ran it: the sentence names the last one's pid and signal),
 * COHORT_ENOTASK, COHORT_ECODEC (the arguments were refused), COHORT_ERESULT (the result cannot
 * be decoded), COHORT_ETOOBIG, COHORT_ECANCELLED, COHORT_ECLOSED (the pool was terminated),
 * COHORT_EBROKEN (no worker can be started), COHORT_ELOST (every node is gone).
 */
COHORT_API int cohort_future_get(
    struct cohort_future *f, cohort_time deadline, struct cohort_error *err, ...);

/*
 * The next element of array INDEX (1 and up) of the result of an ended F: 1, 0 at the end,
 * COHORT_ESTATE (not ended, or ended in an error), COHORT_EARGUMENT (no such array), -ENOMEM.
 * One thread at a time for each future.
 */
COHORT_API int cohort_future_row(struct cohort_future *f, int index, ...);

/*
 * The whole result of an ended F as the tpl image that it is, of the task's result format, for passing
 * it on.  F's, for its life.  0; COHORT_ESTATE (not ended); or the error F ended in.  Never waits.
 */
COHORT_API int cohort_future_image(
    struct cohort_future *f, const void **data, size_t *size);

/* The code F ended in: 0, or the error, with its sentence in ERR (may be NULL); COHORT_ESTATE before. */
COHORT_API int cohort_future_error(struct cohort_future *f, struct cohort_error *err);

/*
 * Call FN(F, ARG) once when F has ended; at once, from the engine, if it has already.  Never
 * from inside this call, and with no lock held: FN may use the library, but must not wait.
 * It runs on a waiting thread or on the library's.  Borrows ARG until then; F stays alive until
 * FN has returned.  One callback a future: COHORT_ESTATE for a second.
 */
typedef void (*cohort_future_fn)(struct cohort_future *f, void *arg);
COHORT_API int cohort_future_then(struct cohort_future *f, cohort_future_fn fn, void *arg);

/*
 * Give up F.  A task that no worker has yet been given is never run, and F ends in
 * COHORT_ECANCELLED: returns 0.  COHORT_ESTATE: it has been given to a worker, or has ended.
 */
COHORT_API int cohort_future_cancel(struct cohort_future *f);

/*
 * Wait until one of the N futures has ended: its index, the lowest of those ended.
 * COHORT_ETIMEDOUT, COHORT_EARGUMENT (N < 1).
 */
COHORT_API int cohort_future_wait_any(
    struct cohort_future *const *futures, int n, cohort_time deadline);

/* Wait until all N futures have ended.  0 or COHORT_ETIMEDOUT. */
COHORT_API int cohort_future_wait_all(
    struct cohort_future *const *futures, int n, cohort_time deadline);

/*
 * Who ran F, as text: "local/1234" or "tcp://127.0.0.1:4000/1234" (where, and the pid there); ""
 * before it has ended or when nobody did.  Written to TEXT, cut at SIZE.  Returns the length.
 */
COHORT_API int cohort_future_worker(struct cohort_future *f, char *text, size_t size);

/* Nanoseconds the task's function ran in the worker; 0 before the end or when it did not run. */
COHORT_API int64_t cohort_future_elapsed(struct cohort_future *f);

/* Let go of F.  The task still runs if it was submitted; its result is dropped.  NULL is fine. */
COHORT_API void cohort_future_free(struct cohort_future *f);

#ifdef __cplusplus
}
#endif
#endif
