/*
 * queue_fixture.h - a queue of any kind, and others who use it, for tests that must not know which or where.
 *
 * The kind is $COHORT_CONTRACT: local (no name, inherited by fork), named, thread, and where there is a network half also
 * unix, tcp, tls.  Others are processes, but in kind thread threads.
 */
#ifndef TESTS_CONTRACT_QUEUE_FIXTURE_H
#define TESTS_CONTRACT_QUEUE_FIXTURE_H

#include "support/test.h"

#include <cohort/queue.h>
#include <pthread.h>
#include <sys/types.h>

const char *queue_kind(void);

/* Others can be killed: they are processes. */
bool queue_kills(void);

/* A new queue as OPTIONS (NULL: defaults) describe it, but for `open`; the test ends when it cannot be had. */
struct cohort_queue *queue_open(const struct cohort_queue_options *options);

/* End it; returns what cohort_queue_close says. */
int queue_close(struct cohort_queue *q);

/* Another handle of Q in this process, to be closed like any other. */
struct cohort_queue *queue_again(struct cohort_queue *q);

/* For somebody else: a handle that he can use of another queue, Q, that he was given; not to be closed. */
struct cohort_queue *queue_here(struct cohort_queue *q);

/* Somebody else, who runs FN with a handle of Q's queue (closed for him); ARG is his copy if he is a process. */
struct queue_other {
	int (*fn)(struct cohort_queue *q, void *arg);
	struct cohort_queue *q;
	void *arg;
	pthread_t thread;
	pid_t pid;
	int result;
};
void queue_begin(struct queue_other *o, struct cohort_queue *q, int (*fn)(struct cohort_queue *, void *),
    void *arg);
/* What FN returned, 0 to 100; or -1: he died. */
int queue_end(struct queue_other *o);
/* Kill him (queue_kills). */
void queue_kill(struct queue_other *o);

/* A deadline that only a hang reaches; and one that is soon over. */
cohort_time queue_patience(void);
cohort_time queue_shortly(void);

/* What net adds: a queue published and dialled, or another dial of it.  NULL: no such kind. */
struct queue_fixture_net {
	struct cohort_queue *(*open)(const char *kind, const struct cohort_queue_options *options);
	struct cohort_queue *(*again)(struct cohort_queue *q);
	void (*close)(struct cohort_queue *q); /* after Q itself */
};
extern const struct queue_fixture_net queue_fixture_net __attribute__((weak));

#endif
