/*
 * test_strangers.c - who may wait, who has to go: the regime in virtual time.
 */
#include "support/test.h"
#include "trust/strangers.h"

#include <string.h>

#define START (1000 * COHORT_SECOND)
#define MANY 2000

/* A regime, storage for those in it, and what time it is there. */
static struct hall {
	struct coh_strangers regime;
	struct coh_stranger at[MANY];
	bool here[MANY];
	cohort_time now;
} hall;

static void hall_begin(struct coh_strangers_limits limits)
{
	struct coh_source_key key = {test_random(), test_random()};

	memset(&hall, 0, sizeof hall);
	hall.now = START;
	coh_strangers_init(&hall.regime, &limits, &key);
}

static int number_of(const struct coh_stranger *st)
{
	return (int)(st - hall.at);
}

static void go(int i, enum coh_penalty_why why)
{
	coh_strangers_leave(&hall.regime, &hall.at[i], why, hall.now);
	hall.here[i] = false;
}

/* A newcomer with a place of its own, or the verdict; who had to go is in *GONE, else -1. */
static enum coh_strangers_verdict come(uint64_t source, int *gone)
{
	struct coh_stranger *victim;
	enum coh_strangers_verdict v = coh_strangers_judge(&hall.regime, source, hall.now, &victim);
	int i = 0;

	*gone = -1;
	if (v != COH_STRANGERS_ADMIT) {
		CHECK(victim == NULL);
		return v;
	}
	if (victim != NULL) {
		*gone = number_of(victim);
		coh_strangers_yield(&hall.regime, victim, hall.now);
		hall.here[*gone] = false;
	}
	while (hall.here[i])
		i++;
	coh_strangers_enter(&hall.regime, &hall.at[i], source, hall.now);
	hall.here[i] = true;
	return v;
}

/* N newcomers, each from a source of its own; how many had to go for them. */
static int crowd(int n)
{
	int gone, victims = 0;

	for (int i = 0; i < n; i++) {
		CHECK_EQ(come(test_random() | 1, &gone), COH_STRANGERS_ADMIT);
		victims += gone >= 0;
	}
	return victims;
}

static void hall_end(void)
{
	for (int i = 0; i < MANY; i++)
		if (hall.here[i])
			go(i, COH_PENALTY_NONE);
	CHECK_EQ(hall.regime.count, 0);
	coh_strangers_fini(&hall.regime);
}

TEST(strangers, drops_nobody_below_the_start)
{
	hall_begin(COH_STRANGERS_LIMITS);
	CHECK_EQ(crowd(100), 0);
	CHECK_EQ(hall.regime.count, 100);
	hall_end();
}

TEST(strangers, drops_early_the_more_the_fuller_it_is)
{
	int victims;

	hall_begin(COH_STRANGERS_LIMITS);
	while (hall.regime.count < 100)
		crowd(1);
	victims = 0;
	for (int i = 0; i < 1000; i++) { /* at 100: 30 in a hundred */
		victims += crowd(1);
		if (hall.regime.count > 100)
			go(number_of(TAILQ_LAST(&hall.regime.all, coh_stranger_queue)), COH_PENALTY_NONE);
	}
	CHECK(victims > 230 && victims < 370);
	while (hall.regime.count < 1000)
		crowd(1);
	CHECK_EQ(crowd(500), 500);
	CHECK_EQ(hall.regime.count, 1000);
	hall_end();
}

TEST(strangers, drops_the_oldest_of_the_silent)
{
	int gone;

	hall_begin((struct coh_strangers_limits){
	    .patience = COHORT_SECOND, .start = 3, .full = 3, .per_source = 64});
	crowd(3);
	CHECK_EQ(coh_strangers_busy(&hall.regime, hall.now), 0);
	coh_strangers_spoke(&hall.regime, &hall.at[0]);
	coh_strangers_spoke(&hall.regime, &hall.at[0]);
	CHECK_EQ(come(9, &gone), COH_STRANGERS_ADMIT);
	CHECK_EQ(gone, 1);
	CHECK_EQ(come(9, &gone), COH_STRANGERS_ADMIT);
	CHECK_EQ(gone, 2);
	CHECK(hall.here[0]);
	hall_end();
}

TEST(strangers, keeps_those_who_spoke_a_second_and_no_longer)
{
	int gone;

	hall_begin((struct coh_strangers_limits){
	    .patience = 5 * COHORT_SECOND, .start = 2, .full = 2, .per_source = 64});
	crowd(2);
	coh_strangers_spoke(&hall.regime, &hall.at[0]);
	coh_strangers_spoke(&hall.regime, &hall.at[1]);
	CHECK_EQ(coh_strangers_busy(&hall.regime, hall.now), START + COHORT_SECOND + 1);
	hall.now += COHORT_SECOND;
	CHECK_EQ(come(9, &gone), COH_STRANGERS_BUSY);
	hall.now += 1;
	CHECK_EQ(coh_strangers_busy(&hall.regime, hall.now), 0);
	CHECK_EQ(come(9, &gone), COH_STRANGERS_ADMIT);
	CHECK_EQ(gone, 0);
	hall_end();
}

TEST(strangers, has_64_places_for_a_source)
{
	int gone;

	hall_begin(COH_STRANGERS_LIMITS);
	for (int i = 0; i < 64; i++)
		CHECK_EQ(come(7, &gone), COH_STRANGERS_ADMIT);
	CHECK_EQ(come(7, &gone), COH_STRANGERS_SOURCE);
	CHECK_EQ(come(8, &gone), COH_STRANGERS_ADMIT);
	hall.now += COHORT_SECOND + 1;
	coh_strangers_spoke(&hall.regime, &hall.at[0]);
	CHECK_EQ(come(7, &gone), COH_STRANGERS_ADMIT); /* for one of its own, who said nothing */
	CHECK_EQ(gone, 1);
	go(5, COH_PENALTY_NONE);
	CHECK_EQ(come(7, &gone), COH_STRANGERS_ADMIT);
	CHECK_EQ(gone, -1);
	hall_end();
}

TEST(strangers, counts_no_exempt_source)
{
	int gone;

	hall_begin(COH_STRANGERS_LIMITS);
	for (int i = 0; i < 3000; i++) {
		CHECK_EQ(come(COH_SOURCE_EXEMPT, &gone), COH_STRANGERS_ADMIT);
		hall.now += 2 * COHORT_MS;
	}
	CHECK(hall.regime.count > 64);
	while (hall.regime.count > 0)
		go(number_of(TAILQ_FIRST(&hall.regime.all)), COH_PENALTY_PROTOCOL);
	CHECK_EQ(come(COH_SOURCE_EXEMPT, &gone), COH_STRANGERS_ADMIT);
	hall_end();
}

TEST(strangers, keeps_out_a_source_that_was_penalised_for_so_long)
{
	int gone;

	hall_begin(COH_STRANGERS_LIMITS);
	CHECK_EQ(come(7, &gone), COH_STRANGERS_ADMIT);
	go(0, COH_PENALTY_PROTOCOL);
	CHECK_EQ(come(7, &gone), COH_STRANGERS_PENALTY);
	hall.now += 90 * COHORT_SECOND - 1;
	CHECK_EQ(come(7, &gone), COH_STRANGERS_PENALTY);
	hall.now += 1;
	CHECK_EQ(come(7, &gone), COH_STRANGERS_ADMIT);
	hall_end();
}

TEST(strangers, puts_it_on_the_account_of_the_silent_that_they_had_to_be_driven_out)
{
	int gone;

	hall_begin((struct coh_strangers_limits){
	    .patience = 5 * COHORT_SECOND, .start = 20, .full = 20, .per_source = 64});
	for (int i = 0; i < 100; i++)
		CHECK_EQ(come(7, &gone), COH_STRANGERS_ADMIT); /* the young go free */
	hall.now += COHORT_SECOND + 1;
	for (int i = 0; i < 14; i++)
		CHECK_EQ(come(8, &gone), COH_STRANGERS_ADMIT);
	CHECK_EQ(come(7, &gone), COH_STRANGERS_ADMIT); /* 15 of them now, a second each */
	CHECK_EQ(come(7, &gone), COH_STRANGERS_PENALTY);
	hall_end();
}

TEST(strangers, are_due_in_the_order_they_came_whatever_they_say)
{
	cohort_time when;

	hall_begin(COH_STRANGERS_LIMITS);
	CHECK(coh_strangers_due(&hall.regime, &when) == NULL);
	CHECK_EQ(when, COHORT_FOREVER);
	for (int i = 0; i < 50; i++) {
		crowd(1);
		if (i % 3 == 0)
			coh_strangers_spoke(&hall.regime, &hall.at[i]);
		hall.now += 10 * COHORT_MS;
	}
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(number_of(coh_strangers_due(&hall.regime, &when)), i);
		CHECK_EQ(when, START + i * 10 * COHORT_MS + 5 * COHORT_SECOND);
		go(i, COH_PENALTY_TIMEOUT);
	}
	hall_end();
}

/* The longest way through a bucket, in comparisons, when N strangers came from sources as GIVE says. */
static int longest_bucket(int n, uint64_t (*give)(int i))
{
	struct coh_stranger *st;
	int most = 0, gone, length;

	hall_begin(COH_STRANGERS_LIMITS);
	for (int i = 0; i < n; i++)
		CHECK_EQ(come(give(i), &gone), COH_STRANGERS_ADMIT);
	for (int b = 0; b < COH_STRANGERS_BUCKETS; b++) {
		length = 0;
		LIST_FOREACH(st, &hall.regime.sources[b], by_source)
			length++;
		most = length > most ? length : most;
	}
	hall_end();
	return most;
}

static uint64_t one_by_one(int i)
{
	return 0xffff0a000000u + (uint64_t)i;
}

static uint64_t alike_below(int i)
{
	return (uint64_t)(i + 1) << 48;
}

static uint64_t alike_above(int i)
{
	return (uint64_t)(i + 1) * COH_STRANGERS_BUCKETS;
}

TEST(strangers, cannot_be_made_to_meet_in_one_bucket)
{
	CHECK(longest_bucket(1000, one_by_one) < 40);
	CHECK(longest_bucket(1000, alike_below) < 40);
	CHECK(longest_bucket(1000, alike_above) < 40);
}

/* 100,000 silent newcomers from as many sources, in ten seconds, and somebody honest in each 100. */
TEST(strangers, a_silent_flood_keeps_no_honest_one_out)
{
	int gone, honest = -1, served = 0, turned_away = 0;

	hall_begin(COH_STRANGERS_LIMITS);
	for (int i = 0; i < 100000; i++) {
		bool is_honest = i % 100 == 0;
		enum coh_strangers_verdict v = come(test_random() | 1, &gone);

		turned_away += v != COH_STRANGERS_ADMIT;
		CHECK(hall.regime.count <= 1000);
		CHECK(gone != honest || honest < 0);
		if (is_honest)
			honest = number_of(TAILQ_LAST(&hall.regime.all, coh_stranger_queue));
		if (i % 100 == 30) /* its hello, 3 ms after it came */
			coh_strangers_spoke(&hall.regime, &hall.at[honest]);
		if (i % 100 == 60) { /* its proof */
			go(honest, COH_PENALTY_NONE);
			honest = -1;
			served++;
		}
		hall.now += COHORT_SECOND / 10000;
	}
	CHECK_EQ(served, 1000);
	CHECK_EQ(turned_away, 0);
	hall_end();
}

/* The same from few sources, as they end when nobody takes their place: they are shut out soon. */
TEST(strangers, a_flood_from_few_sources_is_shut_out)
{
	struct coh_stranger *due;
	cohort_time when;
	int gone, admitted = 0;

	hall_begin(COH_STRANGERS_LIMITS);
	for (int i = 0; i < 100000; i++) {
		admitted += come(1 + (uint64_t)i % 5, &gone) == COH_STRANGERS_ADMIT;
		while ((due = coh_strangers_due(&hall.regime, &when)) != NULL && when <= hall.now)
			go(number_of(due), COH_PENALTY_TIMEOUT);
		hall.now += COHORT_SECOND / 10000;
	}
	CHECK(admitted < 2000);
	for (uint64_t source = 1; source <= 5; source++)
		CHECK_EQ(come(source, &gone), COH_STRANGERS_PENALTY);
	CHECK_EQ(come(6, &gone), COH_STRANGERS_ADMIT);
	hall_end();
}
