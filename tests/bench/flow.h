/*
 * flow.h - messages from processes that put to processes that get, timed together.
 *
 * Every process is forked for the run, gets a CPU, and waits at a gate until all are there; the
 * time is from the gate to the last one's end.  A message is 64 bytes and says which one it is,
 * twice, so that a contestant that tears, loses or doubles one has no figure.
 */
#ifndef COHORT_BENCH_FLOW_H
#define COHORT_BENCH_FLOW_H

#include "bench.h"

#define FLOW_WORDS 8

struct flow_message {
	uint64_t words[FLOW_WORDS]; /* the first is the number, the last the same with every bit turned */
};

static inline void flow_fill(struct flow_message *m, uint64_t number)
{
	m->words[0] = number;
	m->words[FLOW_WORDS - 1] = ~number;
}

/* The number of a message; a torn one spoils the sum. */
static inline uint64_t flow_number(const struct flow_message *m)
{
	return m->words[0] == ~m->words[FLOW_WORDS - 1] ? m->words[0] : UINT64_MAX / 3;
}

/* What one process does: COUNT messages, numbers from FIRST on; 0, or it failed. */
struct flow_part {
	void *arg;
	int index;           /* among those that put, or that get */
	uint64_t first, sum; /* sum: of the numbers one got, for it to say */
	long count;
	void (*ready)(void); /* to be called once, before the first message: returns when all are there */
};
typedef int (*flow_fn)(struct flow_part *part);

enum flow_placing {
	FLOW_CROSSED = 0, /* putter I on side I, getter I on side I + 1 */
	FLOW_FIRST,       /* all on side 0: what they talk to is on side 1 */
	FLOW_ANYWHERE,    /* where the kernel likes */
};

struct flow {
	flow_fn put, get; /* put NULL: those who get put too, each the numbers from 0 on */
	void *arg;
	int putters, getters;
	long count;   /* of all messages; a multiple of both */
	enum flow_placing placing;
};

#define FLOW_MAX 16 /* processes */

/* BENCH_OK and the rate, or BENCH_FAILED: one failed (the others are killed), or the sum is wrong. */
int flow_run(const struct flow *flow, double *messages_per_s);

#endif
