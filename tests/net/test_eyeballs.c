/* test_eyeballs.c - whom to try when, with connects that are made up and a clock that is too. */
#include "addr/eyeballs.h"
#include "support/test.h"

#include <string.h>

/* The addresses of FAMILIES, as in "664": number N of them has length N. */
static struct coh_resolved host(const char *families)
{
	struct coh_resolved where = {.n = (int)strlen(families)};

	for (int i = 0; i < where.n; i++) {
		where.at[i].sa.ss_family = families[i] == '6' ? AF_INET6 : AF_INET;
		where.at[i].len = (socklen_t)i;
	}
	return where;
}

/* HOST's order to try, as digits: which of the resolver's addresses comes when. */
static const char *order(const char *families)
{
	static char text[COH_RESOLVE_MAX + 1];
	struct coh_resolved where = host(families);

	coh_eyeballs_order(&where);
	for (int i = 0; i < where.n; i++) {
		CHECK_EQ(where.at[i].sa.ss_family,
		    families[where.at[i].len] == '6' ? AF_INET6 : AF_INET);
		text[i] = (char)('0' + (int)where.at[i].len);
	}
	text[where.n] = '\0';
	return text;
}

TEST(eyeballs, families_take_turns)
{
	CHECK_STR(order("6"), "0");
	CHECK_STR(order("44"), "01");
	CHECK_STR(order("6644"), "0213");
	CHECK_STR(order("4466"), "0213");
	CHECK_STR(order("6664"), "0312");
	CHECK_STR(order("46"), "01");
	CHECK_STR(order("646444"), "012345");
	CHECK_STR(order("666444666"), "031425678");
}

/* A made-up connect takes so long, and then has worked or not. */
struct made_up {
	cohort_time takes;
	bool works;
};
#define NEVER COHORT_FOREVER

/* Run a race over N connects; who wins (-1: nobody) and, in *AT, when. */
static int race(const struct made_up *c, int n, cohort_time *at)
{
	cohort_time ends[COH_RESOLVE_MAX], now = 0;
	struct coh_eyeballs e;
	int i, left = n;

	for (i = 0; i < n; i++)
		ends[i] = NEVER;
	coh_eyeballs_init(&e, n);
	while (left > 0) {
		while ((i = coh_eyeballs_begin(&e, now)) >= 0)
			ends[i] = c[i].takes == NEVER ? NEVER : now + c[i].takes;
		*at = now;
		now = coh_eyeballs_next(&e);
		for (i = 0; i < n; i++)
			now = ends[i] < now ? ends[i] : now;
		if (now == NEVER)
			return -1;
		for (i = 0; i < n; i++) {
			if (ends[i] > now)
				continue;
			*at = now;
			if (c[i].works)
				return i;
			ends[i] = NEVER;
			left--;
			coh_eyeballs_failed(&e);
		}
	}
	return -1;
}

TEST(eyeballs, the_first_that_connects_wins)
{
	static const struct made_up fast[] = {{10, true}, {1, true}};
	static const struct made_up slow[] = {{400 * COHORT_MS, true}, {20 * COHORT_MS, true}};
	static const struct made_up slower[] = {{260 * COHORT_MS, true}, {20 * COHORT_MS, true}};
	cohort_time at;

	CHECK_EQ(race(fast, 2, &at), 0);
	CHECK_EQ(at, 10);
	CHECK_EQ(race(slow, 2, &at), 1);
	CHECK_EQ(at, 270 * COHORT_MS);
	CHECK_EQ(race(slower, 2, &at), 0);
	CHECK_EQ(at, 260 * COHORT_MS);
}

TEST(eyeballs, a_failure_makes_room_at_once)
{
	static const struct made_up refused[] = {{5, false}, {7, false}, {11, true}};
	static const struct made_up hole[] = {{NEVER, false}, {5, false}, {7, true}};
	static const struct made_up all[] = {{5, false}, {7, false}};
	cohort_time at;

	CHECK_EQ(race(refused, 3, &at), 2);
	CHECK_EQ(at, 23);
	CHECK_EQ(race(hole, 3, &at), 2);
	CHECK_EQ(at, 250 * COHORT_MS + 12);
	CHECK_EQ(race(all, 2, &at), -1);
	CHECK_EQ(at, 12);
}

TEST(eyeballs, black_holes_cost_250_ms_each)
{
	struct made_up holes[COH_RESOLVE_MAX];
	cohort_time at;

	for (int i = 0; i < COH_RESOLVE_MAX; i++)
		holes[i] = (struct made_up){NEVER, false};
	holes[COH_RESOLVE_MAX - 1] = (struct made_up){1, true};
	CHECK_EQ(race(holes, COH_RESOLVE_MAX, &at), COH_RESOLVE_MAX - 1);
	CHECK_EQ(at, 15 * 250 * COHORT_MS + 1);
	holes[COH_RESOLVE_MAX - 1].takes = NEVER;
	CHECK_EQ(race(holes, COH_RESOLVE_MAX, &at), -1);
}

/* Whatever the connects are: the winner is never later than any that works, tried alone in turn. */
TEST(eyeballs, random_races_are_won_in_time)
{
	struct made_up c[COH_RESOLVE_MAX];
	cohort_time at, best;
	int n, won;

	for (int round = 0; round < 10000; round++) {
		n = 1 + (int)test_random_below(COH_RESOLVE_MAX);
		best = NEVER;
		for (int i = 0; i < n; i++) {
			c[i].takes = (cohort_time)test_random_below(3) == 0
			    ? NEVER
			    : (cohort_time)test_random_below(600) * COHORT_MS;
			c[i].works = c[i].takes != NEVER && test_random_below(3) == 0;
			if (c[i].works && i * COH_EYEBALLS_DELAY + c[i].takes < best)
				best = i * COH_EYEBALLS_DELAY + c[i].takes;
		}
		won = race(c, n, &at);
		CHECK_EQ(won >= 0, best != NEVER);
		CHECK(won < 0 || at <= best);
	}
}
