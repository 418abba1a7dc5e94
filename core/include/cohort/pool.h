/*
 * pool.h - workers that run tasks, here or elsewhere, behind one set of calls.
 *
 * An address says where, never how:
 *
 *   inline:                     in the calling thread, inside the call that submits
 *   thread:N, thread:           N threads of this process; as many as CPUs may be used
 *   local:N, local:             N processes of this machine; as many as CPUs may be used
 *   tcp://host:port,...         the slots of these node agents (cohort node --listen)
 *   unix:/path                  the same over a Unix socket
 *   listen:tcp://host:port      nodes call home to this address (cohort node --join)
 *
 * Without an address (NULL) a program runs where $COHORT_POOL says, and locally without it.
 *
 * A worker that dies is replaced, and what it was running runs again on another one; a task
 * that has killed `retries` + 1 workers fails.  Results are delivered once.  Tasks start in the
 * order they were submitted; they end in any order.
 *
 * Tasks are sent ahead to a worker only as far as their measured time makes it worthwhile,
 * so that short ones travel in batches and long ones never wait behind each other.
 *
 * Any thread.  A pool belongs to the process that opened it; it does not survive fork.  The
 * first pool starts the one library thread (all signals but SIGBUS blocked: shared.h); the last one freed ends it.
 */
#ifndef COHORT_POOL_H
#define COHORT_POOL_H

#include <cohort/future.h>
#include <cohort/task.h>
#include <cohort/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cohort_pool;
struct cohort_net_options;
struct cohort_share;

struct cohort_pool_options {
	const char *initializer;  /* a task without result that each worker runs first; NULL: none */
	struct cohort_message *initargs; /* its arguments; borrowed for the call; NULL: none ("") */
	unsigned retries;         /* times a task is run again after its worker died; 0 means 2 */
	const char *key_file;     /* for node addresses; NULL: $COHORT_KEY_FILE */
	int insecure_plaintext;   /* non-zero: clear text may leave this machine */
	const struct cohort_net_options *net; /* how nodes are met besides: certificates, cluster, our
	                             name (listener.h); borrowed for the call, but its key; NULL: defaults */
	cohort_time deadline;     /* for opening; 0: 10 s from now */
	const struct cohort_share *share; /* objects that each worker of this machine is given, replacements too
	                             (process.h): a task opens them at "inherit:NAME" */
	int shares;               /* how many; the pool keeps them alive until it is freed */
};

/*
 * Open a pool on ADDRESS.  OPTIONS may be NULL.  Borrows both; gives *OUT, end it with
 * cohort_pool_free.  Waits, until the options' deadline, for node agents to be reached and to
 * take the job; local workers come up while the caller goes on.
 *
 * Returns 0, or COHORT_EADDRESS, COHORT_EINIT (local: cohort_init was not called), COHORT_ENOTASK
 * (initializer), COHORT_EAUTH, COHORT_EKEY, COHORT_ENAME (two nodes of one name, or one node
 * twice), COHORT_EPLAINTEXT, COHORT_EPROGRAM (a node has no such program: both SHA-256 are in the
 * sentence), COHORT_EREGISTRY, COHORT_ETIMEDOUT, COHORT_ENOTSUP (shares on the address of a node:
 * memory is shared within one machine), COHORT_EARGUMENT (shares, as cohort_process_start),
 * -ECONNREFUSED and other -errno.
 */
COHORT_API int cohort_pool_open(struct cohort_pool **out, const char *address,
    const struct cohort_pool_options *options, struct cohort_error *err);

/*
 * Run TASK somewhere: the further arguments point at its arguments (its format must be flat),
 * in order.  Borrows them for the call; gives *OUT.  This is apply_async.
 *
 * Returns 0, COHORT_ENOTASK, COHORT_ENOTSUP (arguments with arrays: use _submit_message),
 * COHORT_ECLOSED (the pool was closed), COHORT_EBROKEN, COHORT_ELOST, COHORT_ETOOBIG, -ENOMEM.
 * Never waits, except on inline:, where it runs the task.
 */
COHORT_API int cohort_pool_submit(struct cohort_pool *p, struct cohort_future **out,
    struct cohort_error *err, const char *task, ...);

/*
 * The same with arguments packed in ARGS, of the task's argument format; borrowed.
 * COHORT_EFORMAT.
 */
COHORT_API int cohort_pool_submit_message(struct cohort_pool *p, struct cohort_future **out,
    struct cohort_error *err, const char *task, struct cohort_message *args);

/*
 * Run TASK and wait for its result: pointers to the arguments come first, then pointers to where
 * the result's values go; both formats must be flat and the result without s and B (those
 * would die with the future: use submit).  Returns as submit and cohort_future_get; after
 * COHORT_ETIMEDOUT the task goes on and its result is dropped.
 */
COHORT_API int cohort_pool_apply(struct cohort_pool *p, cohort_time deadline,
    struct cohort_error *err, const char *task, ...);

/* Two arrays of `count` elements each: what a map reads and where it puts the results. */
struct cohort_map {
	const void *in;
	size_t in_size;  /* bytes from one element to the next */
	void *out;
	size_t out_size;
	size_t count;
};

/* The map from array IN to array OUT, COUNT elements each: COHORT_MAP(numbers, squares, 100). */
#define COHORT_MAP(in_array, out_array, n)                                                  \
	(&(struct cohort_map){.in = (in_array),                                             \
	    .in_size = sizeof *(in_array),                                                  \
	    .out = (out_array),                                                             \
	    .out_size = sizeof *(out_array),                                                \
	    .count = (n)})

/*
 * Run TASK on each element of MAP's `in` and put each result into the element of `out` at the same
 * place.  The task takes one value and gives one value, neither s nor B in the result; an array of
 * char pointers serves for "s".  Borrows MAP and what it points at.  Waits until all have ended,
 * also after a failure.
 *
 * Returns 0, or the first error in the order of `in` (then elements of `out` whose task failed are
 * left as they were); COHORT_ENOTSUP (the task has not one value each); COHORT_ETIMEDOUT (tasks not
 * yet begun are cancelled).
 */
COHORT_API int cohort_pool_map(struct cohort_pool *p, const char *task,
    const struct cohort_map *map, cohort_time deadline, struct cohort_error *err);

/*
 * The input of an iterator: pack the next item's arguments into ARGS, which is empty.  Returns 0,
 * as packing does; COHORT_EOF when there is no more; or another negative code, which the iterator
 * then delivers in its place.  Called by the thread that is in cohort_iter_next, with no lock
 * held.
 */
typedef int (*cohort_input_fn)(struct cohort_message *args, void *arg);

enum cohort_order {
	COHORT_UNORDERED = 0, /* each result as it comes: imap_unordered */
	COHORT_ORDERED,       /* in the order of the input: imap */
};

/* What an iterator runs over.  Zero it, then set what you need. */
struct cohort_imap {
	cohort_input_fn input;
	void *arg;               /* passed to input; borrowed until the iterator is freed */
	enum cohort_order order; /* default: as they come */
	size_t window;           /* the most tasks under way or waiting to be taken; 0: 4096 */
};

/* Results of a task on an input that may be endless. */
struct cohort_iter;

/*
 * Run TASK on what IMAP's input gives.  No more than `window` tasks are under way or waiting to be
 * taken at a time, so memory is bounded and a slow reader slows the input down.  Borrows IMAP for
 * the call; gives *OUT; one thread at a time may use it.
 *
 * Returns 0, COHORT_ENOTASK, -ENOMEM.
 */
COHORT_API int cohort_pool_imap(struct cohort_pool *p, struct cohort_iter **out,
    const char *task, const struct cohort_imap *imap, struct cohort_error *err);

/*
 * The next result: gives an ended future, free it.  Its own error, if any, is in the future.
 * Returns 1; 0 after the last; COHORT_ETIMEDOUT; the code INPUT returned; COHORT_EBROKEN;
 * COHORT_ECLOSED.
 */
COHORT_API int cohort_iter_next(
    struct cohort_iter *it, struct cohort_future **out, cohort_time deadline);

/*
 * Why IT gives no more results, with its sentence in ERR (may be NULL): 0 at the end of the input
 * or while there is more to come; the code that INPUT returned; COHORT_ECLOSED; COHORT_EBROKEN
 * and what else a broken pool says, naming the worker or node.
 */
COHORT_API int cohort_iter_error(struct cohort_iter *it, struct cohort_error *err);

/* Free IT: tasks not begun are cancelled, results not taken are dropped.  NULL is fine. */
COHORT_API void cohort_iter_free(struct cohort_iter *it);

/* Take no more tasks; those submitted run to their end.  Wakes nobody, waits for nothing. */
COHORT_API void cohort_pool_close(struct cohort_pool *p);

/* End at once: every future not yet ended ends in COHORT_ECLOSED and workers are killed. */
COHORT_API void cohort_pool_terminate(struct cohort_pool *p);

/*
 * Wait until the pool, closed or terminated before, has nothing left to do and its workers have
 * ended.  0, COHORT_ETIMEDOUT (it goes on; call again or terminate), COHORT_ESTATE (not closed).
 */
COHORT_API int cohort_pool_join(struct cohort_pool *p, cohort_time deadline);

/*
 * Terminate P if need be, and free it.  Futures of it may live on and have ended.  Waits at most
 * 5 s for killed workers to be gone, so not for a callback of cohort_future_then.  NULL is fine.
 */
COHORT_API void cohort_pool_free(struct cohort_pool *p);

/*
 * Read again the files that nodes which call home are met with, as cohort_listener_reload does:
 * the key, certificates and what was taken back of them.  Nodes that are here stay as they are.
 * Other pools have nothing to read: they dial when they are opened.
 *
 * Returns 0, or why a file cannot be used (COHORT_EKEY): then all of them stay in force as they
 * were.
 */
COHORT_API int cohort_pool_reload(struct cohort_pool *p, struct cohort_error *err);

struct cohort_pool_stats {
	unsigned members;   /* workers, or nodes, that are up */
	unsigned slots;     /* tasks that can run at once */
	uint64_t submitted, done, failed, cancelled; /* tasks since the pool was opened */
	uint64_t waiting;   /* tasks no member has been given yet */
	uint64_t deaths;    /* workers or nodes lost */
	uint64_t reruns;    /* times a task was run again because of one */
};

/* How P is doing. */
COHORT_API void cohort_pool_stats(struct cohort_pool *p, struct cohort_pool_stats *stats);

/*
 * The address a listen: pool is really bound to ("tcp://127.0.0.1:40123"), else the address it
 * was opened on.  P's, for its life.
 */
COHORT_API const char *cohort_pool_address(const struct cohort_pool *p);

#ifdef __cplusplus
}
#endif
#endif
