/*
 * server.h - publish local queues, so that other processes and machines use them by address.
 *
 *	cohort_server_open(&s, "tcp://0.0.0.0:4700", NULL, &err);
 *	cohort_queue_open(&q, "local:", &options, &err);
 *	cohort_server_publish(s, "jobs", q, &err);
 *
 * Others open "tcp://host:4700/jobs" (queue.h) and use the very same calls.  Processes of this machine may use the queue
 * through shared memory at the same time; all take turns.
 *
 * A server works while anybody in its process waits in a call of this library, and by the library's one thread
 * otherwise; its functions return at once.  A call that blocks at a client costs it a few hundred bytes, no thread.
 * What a client took and did not acknowledge goes back when it is gone.
 *
 * A call at a client waits for its answer, so that both know what was done: it returns a round trip after its deadline.  When
 * nothing at all comes from the server for a second after that (it is stopped, or cut off), the connection is given up: this call
 * and all others over it end with COHORT_EPEER.  A call that does not wait (COHORT_NOW) has its deadline when it begins; one without a
 * deadline ends so when the server has been silent for 8 s (or three of its heartbeats), or another call has found it so.
 * What is opened next dials again.  A server that goes on after a stop hands nothing to clients that have left it.
 *
 * Clients are strangers until they have shown the key, as at every listener (listener.h).  At most 1000 are
 * served at a time; one may have 16384 calls waiting, with 128 MiB of items, and one that does not read its answers is
 * not heard until it does.
 *
 * Any thread may call these functions.  A process cannot open its own server's queues over the network (COHORT_ESELF):
 * it has them.  After fork the server is the parent's: the child leaves it alone.
 */
#ifndef COHORT_SERVER_H
#define COHORT_SERVER_H

#include <cohort/listener.h>
#include <cohort/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cohort_server;

/*
 * Serve at ADDRESS ("unix:/run/x", "tcp://127.0.0.1:0", "tls://[::]:4700").  Borrows all for the call, but the key
 * that OPTIONS (may be NULL) may name; a heartbeat of 0 is one every 2.5 s here.  Gives *OUT, end it with cohort_server_close.
 *
 * Returns as cohort_listen; COHORT_ENOTSUP (python+...); -EMFILE, -ENOMEM, -EAGAIN (no thread).
 */
COHORT_API int cohort_server_open(struct cohort_server **out, const char *address,
    const struct cohort_net_options *options, struct cohort_error *err);

/*
 * Publish Q, a local queue, under NAME: 1 to 255 bytes without '/', not "." or "..".  Borrows Q until it is
 * unpublished or the server closed; one may be published under several names.
 *
 * Returns 0; COHORT_ENAME; -EEXIST (S has one of this name); COHORT_ENOTSUP (Q is a server's itself); -ENOSPC (Q is open in 1023
 * places); -ENOMEM; COHORT_ESEGMENT.
 */
COHORT_API int cohort_server_publish(struct cohort_server *s, const char *name,
    struct cohort_queue *q, struct cohort_error *err);

/*
 * End that: each call that waits at NAME, and every later one, is answered COHORT_EPEER.  The queue and what is in
 * it stay.  Returns 0, or -ENOENT.
 */
COHORT_API int cohort_server_unpublish(
    struct cohort_server *s, const char *name, struct cohort_error *err);

/* The address really bound, as text: port 0 is resolved.  "/NAME" behind it is a queue's.  S's, for its life. */
COHORT_API const char *cohort_server_address(const struct cohort_server *s);

/* How many clients are connected. */
COHORT_API int cohort_server_clients(struct cohort_server *s);

/*
 * Stop serving and free S: its clients are cut off (COHORT_EPEER), what they held goes back.  The queues
 * stay.  NULL is fine.
 */
COHORT_API void cohort_server_close(struct cohort_server *s);

#ifdef __cplusplus
}
#endif
#endif
