/*
 * away.h - a server in this very process, which serves a local queue as "jobs", and clients of it in processes of their own.
 */
#ifndef TESTS_NET_AWAY_H
#define TESTS_NET_AWAY_H

#include "net/served.h"

/* Its address is served.address; children know it, and have no server. */
extern struct served served;
extern struct cohort_server *server;

/* A queue of at most MOST items, at ADDRESS or "local:", and the server that serves it. */
struct cohort_queue *away_serve_at(const char *address, uint32_t most);
struct cohort_queue *away_serve(uint32_t most);

/*
 * A child that waits for served.address (forked before there is a thread that could hold a sanitizer's locks), opens that
 * queue over the network, says so by its first answer on OUT, and ends with what FN says.
 */
pid_t away_child(int (*fn)(struct cohort_queue *q, int out), int fds[2]);

/* The child knows where, and has begun; its call waits, or will in a moment. */
void away_begun(int fds[2]);

/* N words, of one byte each, came from FD. */
void away_hear(int fd, int n);

/* N calls wait at the server for what is published as "jobs". */
void away_await(size_t n);

/* The child has ended well; the last one, and the server and Q with it. */
void away_ended(pid_t pid, int fds[2]);
void away_over(struct cohort_queue *q, pid_t pid, int fds[2]);

#endif
