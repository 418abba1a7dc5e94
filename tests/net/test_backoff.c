/* test_backoff.c - pauses between tries: bounds, jitter, seeds, and a day in virtual time. */
#include "conn/backoff.h"
#include "support/test.h"

static const struct cohort_backoff rule = {.first = 100, .last = 5000};

/* The longest pause before try N + 2 by `rule`. */
static cohort_time most(int n)
{
	cohort_time m = rule.first;

	while (n-- > 0 && m < rule.last)
		m *= 2;
	return m < rule.last ? m : rule.last;
}

TEST(backoff, pauses_grow_to_the_last_and_no_further)
{
	struct coh_backoff b;
	cohort_time pause, longest = 0;

	for (uint64_t seed = 0; seed < 1000; seed++) {
		coh_backoff_init(&b, &rule, seed);
		for (int n = 0; n < 12; n++) {
			pause = coh_backoff_failed(&b);
			CHECK(pause >= 0 && pause <= most(n));
			longest = pause > longest ? pause : longest;
		}
	}
	CHECK(longest > rule.last * 9 / 10);
}

TEST(backoff, every_length_of_a_pause_is_as_likely)
{
	struct coh_backoff b;
	int tenth[10] = {0};

	for (uint64_t seed = 0; seed < 10000; seed++) {
		coh_backoff_init(&b, &rule, seed);
		tenth[coh_backoff_failed(&b) * 10 / (rule.first + 1)]++;
	}
	for (int i = 0; i < 10; i++)
		CHECK(tenth[i] > 800 && tenth[i] < 1200); /* 30 is a standard deviation */
}

TEST(backoff, a_seed_repeats_its_pauses_and_another_does_not)
{
	struct coh_backoff a, b, c;
	int same = 0;

	coh_backoff_init(&a, &rule, 7);
	coh_backoff_init(&b, &rule, 7);
	coh_backoff_init(&c, &rule, 8);
	for (int n = 0; n < 20; n++) {
		cohort_time pause = coh_backoff_failed(&a);

		CHECK_EQ(coh_backoff_failed(&b), pause);
		same += coh_backoff_failed(&c) == pause;
	}
	CHECK(same < 3);
}

TEST(backoff, counts_tries_and_begins_anew_after_a_success)
{
	static const struct cohort_backoff three = {.first = 10, .last = 10, .tries = 3};
	static const struct cohort_backoff one = {.tries = 1};
	struct coh_backoff b;

	coh_backoff_init(&b, &one, 1);
	CHECK_EQ(coh_backoff_failed(&b), -1);
	coh_backoff_init(&b, &three, 1);
	for (int round = 0; round < 2; round++) {
		CHECK(coh_backoff_failed(&b) >= 0);
		CHECK(coh_backoff_failed(&b) >= 0);
		CHECK_EQ(coh_backoff_failed(&b), -1);
		CHECK_EQ(coh_backoff_failed(&b), -1);
		coh_backoff_succeeded(&b);
	}
}

TEST(backoff, zeros_are_the_documented_defaults)
{
	static const struct cohort_backoff none;
	static const struct cohort_backoff forever = {
	    .first = COHORT_FOREVER, .last = COHORT_FOREVER};
	static const struct cohort_backoff turned = {.first = 9, .last = 3};
	struct coh_backoff b;

	coh_backoff_init(&b, &none, 1);
	CHECK_EQ(b.rule.first, 100 * COHORT_MS);
	CHECK_EQ(b.rule.last, 5 * COHORT_SECOND);
	for (int i = 0; i < 100000; i++)
		CHECK(coh_backoff_failed(&b) >= 0);
	coh_backoff_init(&b, &turned, 1);
	CHECK_EQ(b.rule.first, 3);
	coh_backoff_init(&b, &forever, 1);
	for (int i = 0; i < 100; i++)
		CHECK(coh_backoff_failed(&b) >= 0);
}

/* Ten minutes of a node whose coordinator is gone: at most one try a second from it, on average. */
TEST(backoff, ten_minutes_of_failures_cost_a_try_a_second_at_most)
{
	static const struct cohort_backoff node = {0};
	struct coh_backoff b;
	cohort_time now;
	int tries;

	for (uint64_t seed = 0; seed < 100; seed++) {
		coh_backoff_init(&b, &node, seed);
		for (now = 0, tries = 0; now < 600 * COHORT_SECOND; tries++)
			now += coh_backoff_failed(&b);
		CHECK(tries > 120 && tries < 600);
	}
}

/* A thousand that were turned away at the same moment: how many come back in the busiest 1 %. */
TEST(backoff, a_crowd_does_not_come_back_together)
{
	static const struct cohort_backoff crowd = {.first = 1000, .last = 1000};
	struct coh_backoff b;
	int slot[101] = {0};

	for (uint64_t seed = 0; seed < 1000; seed++) {
		coh_backoff_init(&b, &crowd, seed);
		slot[coh_backoff_failed(&b) / 10]++;
	}
	for (int i = 0; i <= 100; i++)
		CHECK(slot[i] < 30);
}
