/*
 * sim.h - what every simulation needs: a virtual clock with events in order, and chance from a seed.
 *
 * Events at the same moment happen in the order they were set.  No memory is given back before
 * sim_fini; an allocation that fails ends the test.
 */
#ifndef COH_TESTS_SIM_H
#define COH_TESTS_SIM_H

#include <stddef.h>
#include <stdint.h>

struct sim_event {
	int64_t at; /* ns since the simulation began */
	uint64_t order;
	int what; /* the simulation's own */
	uint32_t a, b;
};

struct sim {
	int64_t now;
	uint64_t random, order, trace;
	struct sim_event *heap;
	size_t count, room;
};

/* A clock at 0 with no event, and chance from SEED.  Release with sim_fini. */
void sim_init(struct sim *s, uint64_t seed);
void sim_fini(struct sim *s);

/* The next number of the sequence; one below N (> 0); one from LOW to HIGH, evenly in size or in magnitude. */
uint64_t sim_random(struct sim *s);
uint32_t sim_below(struct sim *s, uint32_t n);
int64_t sim_between(struct sim *s, int64_t low, int64_t high);
int64_t sim_magnitude(struct sim *s, int64_t low, int64_t high);

/* WHAT(A, B) is to happen IN ns from now (>= 0). */
void sim_after(struct sim *s, int64_t in, int what, uint32_t a, uint32_t b);

/* Take the earliest event and set the clock to it: 1, or 0 when there is none. */
int sim_next(struct sim *s, struct sim_event *e);

/* Mix VALUE into the trace, by which two runs of one seed are compared. */
void sim_trace(struct sim *s, uint64_t value);

/* The number in the environment variable NAME, or FALLBACK. */
uint64_t sim_setting(const char *name, uint64_t fallback);

#endif
