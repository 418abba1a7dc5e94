/*
 * sync_fixture.h - what shares things with the tests of a contract: threads, or processes that got
 * them one way or another.  $COHORT_CONTRACT says which.
 *
 *	thread          a thread of the test's process, with its handles
 *	fork            fork(2), with the same handles
 *	zygote, spawn   a process of process.h, which opens what is shared with it at "inherit:NAME"
 *	named           a process of process.h, which opens "local:NAME"
 */
#ifndef TESTS_CONTRACT_SYNC_FIXTURE_H
#define TESTS_CONTRACT_SYNC_FIXTURE_H

#include "core/sync_page.h"
#include "support/test.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))
#define BARRIER_PARTIES 3
#define PERMITS 2

enum sync_kind { SYNC_THREAD, SYNC_FORK, SYNC_ZYGOTE, SYNC_SPAWN, SYNC_NAMED };

/* Memory of the test's own, which all see. */
struct sync_board {
	_Atomic int here, done, inside, most; /* for bodies to count in */
	_Atomic uint64_t places;              /* a bit for each */
	int plain;                            /* only what is tested guards it */
};

/* One object of each kind, as this process has it. */
struct sync_world {
	enum sync_kind kind;
	struct sync_board *board;
	struct cohort_lock *lock, *rlock;
	struct cohort_semaphore *semaphore, *bounded, *signals; /* PERMITS each, signals: 0 */
	struct cohort_condition *condition, *tied;              /* tied to `lock` */
	struct cohort_event *event;
	struct cohort_barrier *barrier, *acting; /* BARRIER_PARTIES each; acting has an action */
	struct cohort_rwlock *rwlock;
};

/* What a helper does; its result is 0 to 100, or it dies. */
typedef int (*sync_body_fn)(struct sync_world *w, int arg);

void sync_body_add(const char *name, sync_body_fn fn);
#define SYNC_BODY(name)                                                                     \
	static int body_##name(struct sync_world *w, int arg);                              \
	__attribute__((constructor)) static void add_body_##name(void)                      \
	{                                                                                   \
		sync_body_add(#name, body_##name);                                          \
	}                                                                                   \
	static int body_##name(struct sync_world *w, int arg)

struct sync_helper {
	struct sync_world *w;
	sync_body_fn body;
	int arg, result;
	pthread_t thread;
	pid_t pid;
	struct cohort_process *process;
};

/* Open everything, new; and close it all. */
void sync_world_open(struct sync_world *w);
void sync_world_close(struct sync_world *w);

/* Threads share a process: what a process's death is about is not for them. */
bool sync_is_thread(void);

/* Start a helper that does BODY(its world, ARG). */
void sync_start(struct sync_world *w, struct sync_helper *h, const char *body, int arg);

/* In a body: die, holding what is held: by SIGKILL, or, a thread, by its end. */
#define SYNC_DIED 101
_Noreturn void sync_die(struct sync_world *w);

/* Wait for its end: the body's result, or SYNC_DIED. */
int sync_finish(struct sync_helper *h);

/* N helpers, all started; all finished with 0. */
void sync_start_all(struct sync_world *w, struct sync_helper *h, int n, const char *body, int arg);
void sync_finish_all(struct sync_helper *h, int n);

/* Go in, and note how many were in there at most. */
void sync_go_in(struct sync_board *b);
void sync_go_out(struct sync_board *b);

#endif
