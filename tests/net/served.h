/*
 * served.h - a server in a process of its own, that publishes one queue as "jobs", and the key to it.
 */
#ifndef TESTS_NET_SERVED_H
#define TESTS_NET_SERVED_H

#include "support/test.h"

#include <cohort/queue.h>
#include <cohort/server.h>
#include <stdint.h>
#include <sys/types.h>

struct served {
	pid_t pid;
	int say, hear;     /* pipes to it and from it */
	char address[400]; /* of the queue, as it says */
};

/* A server at "unix", "tcp" or "tls", whose queue is made as OPTIONS (NULL: defaults) say. */
void served_begin(struct served *s, const char *kind, const struct cohort_queue_options *options);

/* Another where S, which ended, was. */
void served_again(struct served *s);

/* Let allocation N from now fail in it (0: none); how many it had made since the last call of this. */
uint64_t served_starve(struct served *s, uint64_t n);

/* Stop it (SIGSTOP): when this returns it does nothing any more. */
void served_stop(struct served *s);

/* End it: orderly, or killed. */
void served_end(struct served *s);
void served_kill(struct served *s);

/* A handle of its queue.  The code; and one that must be there. */
int served_try(struct served *s, struct cohort_queue **q, struct cohort_error *err);
struct cohort_queue *served_open(struct served *s);

/* A client called NAME that speaks frames of shared objects by itself. */
struct cohort_conn *served_bare(const struct served *s, const char *name);

/* The file of the key that all of them use. */
const char *served_key(void);

#endif
