/*
 * desk_priv.h - the inside of the desk, shared by desk.c (objects, clients, frames) and desk_line.c
 * (calls that wait).
 */
#ifndef COH_WORK_DESK_PRIV_H
#define COH_WORK_DESK_PRIV_H

#include "work/desk.h"

/* A call that waits: in its object's line, in its client's table, and in the heap if it has a deadline. */
struct coh_desk_entry {
	struct coh_desk_entry *prev, *next;
	struct coh_desk_entry *chain; /* of the client's bucket */
	struct coh_desk_call call;    /* data: its own copy, behind the struct */
	uint32_t request;
	int line;
	cohort_time deadline;
	size_t heap_at; /* place in the heap, from 1; 0: not in it */
};

struct coh_desk_hold_entry {
	struct coh_desk_hold_entry *chain;
	struct coh_desk_attached *from;
	uint64_t what;
	uint32_t number;
};

/* An object as one client knows it. */
struct coh_desk_attached {
	struct coh_desk_attached *prev, *next;   /* of the object */
	struct coh_desk_attached *chain;         /* of the client's bucket */
	struct coh_desk_client *client;
	struct coh_desk_object *object;          /* NULL: it was removed */
	void *own;                               /* the object's */
	unsigned number;
	bool armed;
};

struct coh_desk_object {
	struct coh_desk_object *prev, *next;
	struct coh_desk *desk;
	char *name;
	const struct coh_desk_ops *ops;
	void *self;
	struct coh_desk_entry *line[COH_DESK_LINES];
	size_t waits[COH_DESK_LINES], waiting; /* in each line; in all */
	struct coh_desk_attached *attached;
	size_t armed;
};

struct coh_desk_client {
	struct coh_desk_client *prev, *next;
	struct coh_desk *desk;
	void *owner;
	bool full;
	size_t calls, bytes, numbers, holds;
	uint32_t last_hold;
	struct coh_desk_entry *entries[COH_DESK_BUCKETS];
	struct coh_desk_hold_entry *held[COH_DESK_BUCKETS];
	struct coh_desk_attached *attached[COH_DESK_BUCKETS];
};

struct coh_desk {
	coh_desk_send_fn send;
	coh_desk_room_fn fits; /* may be NULL */
	struct coh_desk_object *objects;
	struct coh_desk_client *clients;
	struct coh_desk_entry **heap; /* by deadline; heap[1..count] */
	size_t count, room;
};

/* desk.c: send the REPLY to REQUEST of C.  0 or -ENOMEM. */
int coh_desk_answer(
    struct coh_desk_client *c, uint32_t request, const struct coh_desk_reply *out);

/* desk_line.c */

/*
 * CALL of request REQUEST waits from now on, until DEADLINE; its data is copied.  0; COHORT_EBUSY,
 * -ENOMEM: it does not.
 */
int coh_desk_line_enter(struct coh_desk_attached *a, const struct coh_desk_call *call,
    uint32_t request, cohort_time deadline);

/* The entry of REQUEST, or NULL. */
struct coh_desk_entry *coh_desk_line_find(const struct coh_desk_client *c, uint32_t request);

/* E leaves without an answer, or with OUT, or as late. */
void coh_desk_line_drop(struct coh_desk_entry *e);
void coh_desk_line_finish(struct coh_desk_entry *e, struct coh_desk_reply *out);
void coh_desk_line_late(struct coh_desk_entry *e);

/* All entries that came through A, or every one of O's, leave: without an answer, or with OUT. */
void coh_desk_line_leave(struct coh_desk_attached *a);
void coh_desk_line_clear(struct coh_desk_object *o, const struct coh_desk_reply *out);

/* Answer what can be answered now in all lines of O, and ring. */
void coh_desk_line_run(struct coh_desk_object *o);

#endif
