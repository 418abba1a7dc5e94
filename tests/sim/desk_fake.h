/*
 * desk_fake.h - a queue in this process's memory, as an object behind the desk: the test double of a queue in
 * shared memory (work/desk_queue.h), with the ops that matter to the desk itself.
 */
#ifndef TESTS_SIM_DESK_FAKE_H
#define TESTS_SIM_DESK_FAKE_H

#include "work/desk_queue.h"

#define FAKE_ROOM 64
#define FAKE_HANDS 64

struct fake_queue {
	uint32_t items[FAKE_ROOM]; /* the next one first */
	unsigned count, most;
	uint32_t lent[FAKE_HANDS]; /* 0: none */
	unsigned lent_count, attached;
	bool shut;
	uint32_t handed; /* the last item that was answered */
};

extern const struct coh_desk_ops fake_queue_ops;

/* An item as the body of a PUT and of a REPLY: 4 bytes. */
#define FAKE_ITEM 4

#endif
