/*
 * queue.h - a queue of messages between any number of threads, processes and machines.
 *
 * An address says where it is, never how it behaves:
 *
 *   local:, local:NAME, inherit:NAME      in memory that processes of this machine share (shared.h)
 *   unix:/run/x/jobs                      the queue that a server publishes as "jobs" at unix:/run/x (server.h)
 *   tcp://host:port/jobs, tls://...       the same over a network
 *
 * Items are typed messages (message.h) or plain bytes, whole, of any size up to COHORT_MESSAGE_MAX.
 * A put has packed, checked and stored its item when it returns 0: a bad value is the caller's
 * error and takes no slot.  Gets come in the order in which puts were completed (over a network: in
 * that of each putter), priorities first.
 *
 * A queue is bounded by items (`most`) and by memory.  SimpleQueue and JoinableQueue are this
 * object.
 *
 * Get hands an item over: it is gone then, whatever becomes of who got it.  Take lends it until it
 * is acknowledged: if its taker dies before, or gives it back, it goes back to the head, and
 * `deliveries` of its next taker says so.
 *
 * The death of a process at any instruction loses no item but the one it was getting, doubles none,
 * and holds up nobody.
 *
 * Deadlines as everywhere (time.h): COHORT_NOW tries.  Of a server's queue a call may end a second later, with COHORT_EPEER: the
 * server was silent for as long, and all calls to it have ended (server.h).  Any thread may use a handle; after fork the
 * child uses the same local handle (one of a server is the parent's: COHORT_ESTATE).
 */
#ifndef COHORT_QUEUE_H
#define COHORT_QUEUE_H

#include <cohort/conn.h>
#include <cohort/message.h>
#include <cohort/shared.h>
#include <cohort/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cohort_queue;
struct cohort_net_options;

/* What becomes of an item whose taker died, or that was given back, `tries` times. */
enum cohort_queue_policy {
	COHORT_QUEUE_RETURN = 0, /* it is dropped, counted in stats.failed and logged, when `tries` are used up */
	COHORT_QUEUE_FAIL,       /* the first time already: taken at most once */
};

/* Zero it, then set what you need.  What describes the queue counts when it is made. */
struct cohort_queue_options {
	enum cohort_open open;
	uint32_t most;        /* items at most, 1 to 2^24; 0: as many as memory holds */
	size_t memory;        /* bytes for items, 64 KiB to 2^40; 0: 64 MiB; pages of items over `inline` are taken from the system as used */
	uint32_t inlined;     /* bytes up to which an item lies in the ring itself, 64 to 65536; 0: 1024; larger ones get a block of their own */
	const char *format;   /* every item is a message of this format; NULL: anything */
	unsigned priorities;  /* levels 0 (the default of a put) to priorities - 1, which goes first; 1 to 16; 0: 1 */
	unsigned takes;       /* items lent at a time, by all takers together, 1 to 65536; 0: 1024 */
	unsigned tries;       /* times an item is lent before it fails; 0: without end */
	enum cohort_queue_policy policy;
	cohort_time spin;     /* of this handle: nanoseconds a waiting call keeps its CPU busy before it sleeps; 0: some microseconds where
	                         there is more than one CPU; negative: none */
	/* of a server's queue */
	const char *key_file; /* NULL: $COHORT_KEY_FILE */
	const struct cohort_net_options *net; /* how the server is met besides; borrowed for the call, but its key; NULL: defaults */
	cohort_time deadline; /* for opening; 0: 10 s from now */
};

/*
 * Open the queue at ADDRESS (NULL: "local:").  OPTIONS may be NULL.  Borrows both; gives *OUT, end
 * it with cohort_queue_close.
 *
 * Returns 0, or as all of shared.h: COHORT_EADDRESS, COHORT_ENAME, COHORT_ENOTSUP, COHORT_EARGUMENT (an option out
 * of its range, or another than the queue has: got and allowed are in the sentence),
 * COHORT_EFORMAT, -EEXIST, -ENOENT (no such name here, or at the server), COHORT_ESEGMENT, -EACCES,
 * -ENOSPC, -EMFILE, -ENOMEM; of a server as cohort_dial: COHORT_EAUTH, COHORT_EKEY,
 * COHORT_ETIMEDOUT, -ECONNREFUSED and other -errno.
 */
COHORT_API int cohort_queue_open(struct cohort_queue **out, const char *address,
    const struct cohort_queue_options *options, struct cohort_error *err);

/*
 * Close this handle: wait until DEADLINE for the items put through it to be got, then free it.
 * Returns how many of them were not got: a local queue keeps them for others who have it open.
 * What was taken through it and not acknowledged goes back. COHORT_NOW does not wait, though it
 * counts.  NULL is fine.
 */
COHORT_API int cohort_queue_close(struct cohort_queue *q, cohort_time deadline);

/*
 * Put M, or SIZE bytes at DATA, behind the items of the same priority, waiting for room until
 * DEADLINE.  Borrows.
 *
 * Returns 0; COHORT_EFULL (no room by DEADLINE); COHORT_ESHUTDOWN; COHORT_ETOOBIG (over
 * COHORT_MESSAGE_MAX, or over what its memory could ever hold); COHORT_EFORMAT (not of the queue's
 * format, or bytes where it has one); COHORT_ESTATE (M has nothing packed); COHORT_EARGUMENT (a
 * priority it has not); -ENOSPC (the system has no memory for it); -ENOMEM; COHORT_ESEGMENT (its
 * memory was damaged).  Of a server's queue: COHORT_EPEER (the server is gone, or was silent for a
 * second after DEADLINE: whether it was put is not known) and each later call the same.
 */
COHORT_API int cohort_queue_put(
    struct cohort_queue *q, struct cohort_message *m, cohort_time deadline);
COHORT_API int cohort_queue_put_bytes(
    struct cohort_queue *q, const void *data, size_t size, cohort_time deadline);

/* The same with PRIORITY. */
COHORT_API int cohort_queue_put_first(struct cohort_queue *q, struct cohort_message *m,
    unsigned priority, cohort_time deadline);
COHORT_API int cohort_queue_put_bytes_first(struct cohort_queue *q, const void *data, size_t size,
    unsigned priority, cohort_time deadline);

/*
 * Put N items of plain bytes (N up to 65536) one behind the other, with nothing in between if there
 * is room for all, waiting for room until DEADLINE. Returns how many were put, from the first on;
 * or, when none was, as put.
 */
COHORT_API int cohort_queue_put_many(struct cohort_queue *q, const struct cohort_bytes *items,
    int n, cohort_time deadline);

/*
 * Get the next item, waiting for one until DEADLINE: into M, whose format must be the item's (its
 * image is checked in full); or into the SIZE bytes at BUFFER, *GOT bytes.
 *
 * Returns 0; COHORT_EEMPTY (none by DEADLINE); COHORT_ESHUTDOWN (shut down, and nothing left);
 * COHORT_EFORMAT (the item is of another format; it is kept), COHORT_ESTATE (bytes for M, or a
 * message for BUFFER; kept); COHORT_ETOOBIG (*GOT is its size, it does not fit; kept);
 * COHORT_ECODEC (no valid image; dropped); -ENOMEM; COHORT_ESEGMENT; COHORT_EPEER.
 */
COHORT_API int cohort_queue_get(
    struct cohort_queue *q, struct cohort_message *m, cohort_time deadline);
COHORT_API int cohort_queue_get_into(
    struct cohort_queue *q, void *buffer, size_t size, size_t *got, cohort_time deadline);

/*
 * Get up to N items of plain bytes, waiting for the first alone: one behind the other into the SIZE
 * bytes at BUFFER; ITEMS says where each is. It ends before one that does not fit, or is a message.
 * Returns how many, or, when none was got, as get_into (the size needed is items[0].size).
 */
COHORT_API int cohort_queue_get_many(struct cohort_queue *q, struct cohort_bytes *items, int n,
    void *buffer, size_t size, cohort_time deadline);

/* What take lends.  Yours to keep until it is acknowledged or given back; do not change it. */
struct cohort_item {
	const void *data;    /* where it lies: read in place; a tpl image if `typed` */
	size_t size;
	int typed;
	unsigned deliveries; /* 1, or more when earlier takers died or gave it back */
	unsigned priority;
	uint64_t id;         /* the library's */
	void *hold;          /* the library's */
};

/*
 * Take the next item without handing it over: ITEM lends its bytes until cohort_queue_ack or
 * _return, by any thread of this process. If the process dies before, it goes back to the head
 * within a tenth of a second of somebody's waiting for it.
 *
 * Returns as get, and -ENOBUFS (`takes` are lent already).  What it lends over a network is a copy.
 */
COHORT_API int cohort_queue_take(
    struct cohort_queue *q, struct cohort_item *item, cohort_time deadline);

/*
 * ITEM is done with: it is gone.  Returns 0; COHORT_EARGUMENT (it is not lent to this process;
 * acknowledged twice); COHORT_EPEER.
 */
COHORT_API int cohort_queue_ack(struct cohort_queue *q, struct cohort_item *item);

/* Give ITEM back to the head (or let it fail, by `tries` and policy).  As ack. */
COHORT_API int cohort_queue_return(struct cohort_queue *q, struct cohort_item *item);

/*
 * Look at the next item without taking it: as get_into, but it stays, and another may get it
 * meanwhile.  Messages too: their image.
 */
COHORT_API int cohort_queue_peek(
    struct cohort_queue *q, void *buffer, size_t size, size_t *got, cohort_time deadline);

/*
 * JoinableQueue: each put counts one unfinished piece of work, each of these says that one got
 * before is done (an ack says so too). Returns 0; COHORT_EOVER (more often than there were items).
 */
COHORT_API int cohort_queue_task_done(struct cohort_queue *q);

/* Wait until nothing is unfinished.  0, COHORT_ETIMEDOUT, COHORT_EPEER. */
COHORT_API int cohort_queue_join(struct cohort_queue *q, cohort_time deadline);

enum cohort_shutdown_mode {
	COHORT_SHUTDOWN_DRAIN = 0, /* no more puts; what is there can still be got */
	COHORT_SHUTDOWN_NOW,       /* what is there is dropped too */
};

/*
 * End the queue for everybody: each waiting and later put, and each get once it is empty, returns
 * COHORT_ESHUTDOWN; joins end when what was got is done. Returns how many items were dropped,
 * COHORT_EARGUMENT (no such MODE), or COHORT_EPEER.
 */
COHORT_API int cohort_queue_shutdown(struct cohort_queue *q, enum cohort_shutdown_mode mode);

/*
 * Items that could be got, exact at one instant during the call; a negative code of a server's
 * queue.
 */
COHORT_API int64_t cohort_queue_size(struct cohort_queue *q);

struct cohort_queue_stats {
	uint64_t size, taken;        /* items that could be got; that are lent */
	uint64_t unfinished;         /* join waits for these */
	uint64_t put, got;           /* since it was made; a take counts as got when it is acknowledged */
	uint64_t returned, failed;   /* items that went back to the head; that were dropped by `tries` and policy */
	uint64_t most, memory;       /* its bounds */
	uint64_t memory_used;        /* by items over `inlined` */
	int shut;                    /* it was shut down */
};
/* How Q is doing.  0, or COHORT_EPEER. */
COHORT_API int cohort_queue_stats(struct cohort_queue *q, struct cohort_queue_stats *stats);

/*
 * A descriptor that is readable when a get may find something (or the queue was shut down), for
 * cohort_wait and loops of your own: then get with COHORT_NOW, which may well return COHORT_EEMPTY
 * when another was quicker.  Q's, for its life.  -EMFILE, -ENOMEM.
 */
COHORT_API int cohort_queue_fd(struct cohort_queue *q);

/* Its address as text: "local:jobs", "tls://host:4700/jobs".  Q's, for its life. */
COHORT_API const char *cohort_queue_address(const struct cohort_queue *q);

/*
 * A sentence for the last failure of this thread on Q, naming queue and peer.  The thread's, until
 * its next call on any queue.
 */
COHORT_API const char *cohort_queue_error(const struct cohort_queue *q);

/*
 * Send a local queue over C (a socket pair or Unix socket, conn.h) to another process, which
 * receives it as a handle of its own; both use the same queue then.  Borrows Q.  Returns as
 * cohort_conn_send_fd; COHORT_ENOTSUP for a server's queue: send its address.
 */
COHORT_API int cohort_queue_send(
    struct cohort_queue *q, struct cohort_conn *c, cohort_time deadline);
COHORT_API int cohort_queue_recv(struct cohort_queue **out, struct cohort_conn *c,
    const struct cohort_queue_options *options, cohort_time deadline, struct cohort_error *err);

#ifdef __cplusplus
}
#endif
#endif
