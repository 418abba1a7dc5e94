/*
 * test_session_sim.c - two ends of a session in worlds made of chance, in virtual time.
 *
 *	COHORT_TEST_SEED=N ./test_session_sim       that world alone
 *	COHORT_SIM_SEEDS=1000000 ./test_session_sim    so many of them
 */
#include "sim/session_world.h"
#include "sim/sim.h"
#include "support/test.h"

#define EVENTS_MOST 300

/* What is likely: in most worlds nothing is ever cut. */
static enum world_event choose(struct sim *s, bool calm)
{
	static const enum world_event often[] = {WORLD_SEND, WORLD_SEND, WORLD_SEND, WORLD_TAKE,
	    WORLD_TAKE, WORLD_REST, WORLD_REST, WORLD_DELAY};

	if (sim_below(s, 4) != 0)
		return often[sim_below(s, sizeof often / sizeof *often)];
	return (enum world_event)sim_below(s, calm ? (uint32_t)WORLD_TEAR : (uint32_t)WORLD_EVENTS);
}

/* What is broken in the world of SEED; NULL: nothing.  *ENDED when an end gave up. */
static const char *world_live(uint64_t seed, bool *ended)
{
	struct world w;
	struct sim s;
	uint32_t events;
	bool calm;

	sim_init(&s, seed);
	world_init(&w, sim_below(&s, 16), sim_below(&s, 16), sim_below(&s, 8));
	calm = sim_below(&s, 2) == 0;
	events = sim_below(&s, EVENTS_MOST);
	for (uint32_t i = 0; i < events; i++) {
		enum world_event what = choose(&s, calm);
		uint32_t who = sim_below(&s, 4);

		world_happens(&w, what, who, sim_below(&s, 256));
	}
	world_settle(&w);
	*ended = w.over;
	sim_fini(&s);
	return w.broken;
}

TEST_TIMEOUT(session_sim, holds_its_promises_in_every_world, 120)
{
	uint64_t one = sim_setting("COHORT_TEST_SEED", 0), ended = 0;
	uint64_t seeds = sim_setting("COHORT_SIM_SEEDS", 5000);

	for (uint64_t seed = one != 0 ? one : 1; seed <= (one != 0 ? one : seeds); seed++) {
		bool over;
		const char *broken = world_live(seed, &over);

		ended += over;
		if (broken != NULL) {
			FAIL("%s (repeat with COHORT_TEST_SEED=%llu)", broken,
			    (unsigned long long)seed);
			return;
		}
	}
	if (one == 0) /* neither all worlds end early nor none */
		CHECK(ended > seeds / 20 && ended < seeds * 9 / 10);
}
