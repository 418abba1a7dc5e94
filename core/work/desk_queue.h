/*
 * desk_queue.h - a local queue behind the desk: its ops as frames carry them, both ways.
 *
 *   op         param                 body                          REPLY: code, id, body
 *   PUT        typed | priority << 1 the item                      0
 *   PUT_MANY                         n, n sizes (4 each), items    how many
 *   GET        form                  room (8), format's text       0, tag, the item
 *   GET_MANY                         room (8), n (4)               how many; their sizes (4 each), the items
 *   TAKE                                                           0, hold << 32 | tag, the item
 *   ACK                              the hold (4)                  0
 *   RETURN                           the hold (4)                  0
 *   PEEK       form                  room (8), format's text       as GET
 *   TASK_DONE                                                      0
 *   JOIN                                                           0
 *   SHUTDOWN   mode                                                0; id: how many were dropped
 *   SIZE                                                           0; id: how many
 *   STATS                                                          0; COH_DESK_QUEUE_STATS numbers, 8 bytes each
 *   CLOSE                                                          0 or COHORT_ETIMEDOUT; id: how many put through it were not got
 *
 * Integers are big-endian.  A tag: typed | priority << 1 | deliveries << 8, of which 24 bits are told.  The id of a
 * GET, GET_MANY or PEEK that is refused an item: typed | its size << 1.
 */
#ifndef COH_WORK_DESK_QUEUE_H
#define COH_WORK_DESK_QUEUE_H

#include "work/desk.h"

enum coh_desk_queue_op {
	COH_DESK_QUEUE_PUT = COH_DESK_OP_FIRST,
	COH_DESK_QUEUE_PUT_MANY,
	COH_DESK_QUEUE_GET,
	COH_DESK_QUEUE_GET_MANY,
	COH_DESK_QUEUE_TAKE,
	COH_DESK_QUEUE_ACK,
	COH_DESK_QUEUE_RETURN,
	COH_DESK_QUEUE_PEEK,
	COH_DESK_QUEUE_TASK_DONE,
	COH_DESK_QUEUE_JOIN,
	COH_DESK_QUEUE_SHUTDOWN,
	COH_DESK_QUEUE_SIZE,
	COH_DESK_QUEUE_STATS,
	COH_DESK_QUEUE_CLOSE,
	COH_DESK_QUEUE_OPS,
};

/* Lines: those who want an item, room, or an end. */
enum coh_desk_queue_line { COH_DESK_QUEUE_ITEMS, COH_DESK_QUEUE_ROOM, COH_DESK_QUEUE_END };

#define COH_DESK_QUEUE_MANY 65536 /* items of a PUT_MANY or GET_MANY */
#define COH_DESK_QUEUE_NUMBERS 11 /* of a STATS */

struct coh_ring;
struct coh_buf;
struct cohort_queue_options;

/* The object's self; zero it, and set RING (borrowed). */
struct coh_desk_queue {
	struct coh_ring *ring;
	unsigned char *room; /* where an item is between the ring and the frame */
	size_t room_size;
};

extern const struct coh_desk_ops coh_desk_queue_ops;

/* Free what SELF has. */
void coh_desk_queue_fini(struct coh_desk_queue *self);

/* What an ATTACH says it expects, as bytes behind those in B.  0 or -ENOMEM. */
int coh_desk_queue_expect(const struct cohort_queue_options *o, struct coh_buf *b);

/* What the REPLY to an ATTACH says. */
struct coh_desk_queue_about {
	uint32_t priorities;
	uint64_t most, memory;
	char format[256]; /* "": anything */
	bool typed;
};
/* 0, or COHORT_EPROTOCOL: it cannot be read. */
int coh_desk_queue_about(struct coh_desk_queue_about *about, const void *body, size_t size);

#endif
