/*
 * test_penalty.c - accounts of sources, to the second and to the last entry.
 */
#include "base/mem.h"
#include "support/test.h"
#include "trust/penalty.h"

#define START (1000 * COHORT_SECOND)
#define SOURCE 0xffff0a000001u /* 10.0.0.1 */

static struct coh_penalty table;

static void table_open(void)
{
	struct coh_source_key key = {test_random(), test_random()};

	coh_penalty_init(&table, &key);
}

/* At second AT (since START) the source is kept out until second UNTIL; 0: it may come. */
static void kept_out(uint64_t source, int at, int until)
{
	cohort_time got = coh_penalty_until(&table, source, START + at * COHORT_SECOND);

	CHECK_EQ(got, until == 0 ? 0 : START + until * COHORT_SECOND);
}

static void offend(uint64_t source, enum coh_penalty_why why, int at)
{
	coh_penalty_add(&table, source, why, START + at * COHORT_SECOND);
}

TEST(penalty, hashes_as_siphash_does)
{
	struct coh_source_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

	CHECK(coh_source_hash(&key, 0x0706050403020100) == 0x93f5f5799a932462);
}

TEST(penalty, forgives_what_is_little)
{
	table_open();
	kept_out(SOURCE, 0, 0);
	offend(SOURCE, COH_PENALTY_TIMEOUT, 0);
	kept_out(SOURCE, 0, 0);
	offend(SOURCE, COH_PENALTY_NOAUTH, 0);
	offend(SOURCE, COH_PENALTY_NONE, 0);
	kept_out(SOURCE, 0, 0); /* 11 s on the account */
	offend(SOURCE, COH_PENALTY_TIMEOUT, 20);
	kept_out(SOURCE, 20, 0); /* the account had run down */
	coh_penalty_fini(&table);
}

TEST(penalty, keeps_out_from_15_seconds_to_the_end_of_the_account)
{
	table_open();
	offend(SOURCE, COH_PENALTY_AUTHFAIL, 0);
	offend(SOURCE, COH_PENALTY_AUTHFAIL, 0);
	kept_out(SOURCE, 0, 0);
	offend(SOURCE, COH_PENALTY_AUTHFAIL, 0);
	kept_out(SOURCE, 0, 15);
	kept_out(SOURCE, 14, 15); /* also when less than 15 s are left */
	kept_out(SOURCE, 15, 0);
	kept_out(SOURCE + 1, 0, 0);
	offend(SOURCE, COH_PENALTY_AUTHFAIL, 15);
	kept_out(SOURCE, 15, 0); /* a new account */
	coh_penalty_fini(&table);
}

TEST(penalty, weighs_each_offence)
{
	static const int seconds[] = {[COH_PENALTY_NOAUTH] = 1,
	    [COH_PENALTY_AUTHFAIL] = 5,
	    [COH_PENALTY_TIMEOUT] = 10,
	    [COH_PENALTY_PROTOCOL] = 90};

	table_open();
	for (int why = COH_PENALTY_NOAUTH; why <= COH_PENALTY_PROTOCOL; why++) {
		for (int i = 0; i < 20; i++)
			offend(SOURCE + (uint64_t)why, (enum coh_penalty_why)why, 0);
		kept_out(SOURCE + (uint64_t)why, 0, 20 * seconds[why] > 600 ? 600 : 20 * seconds[why]);
	}
	coh_penalty_fini(&table);
}

TEST(penalty, never_lasts_longer_than_ten_minutes)
{
	table_open();
	for (int at = 0; at < 100; at++)
		offend(SOURCE, COH_PENALTY_PROTOCOL, at);
	kept_out(SOURCE, 99, 699);
	kept_out(SOURCE, 699, 0);
	coh_penalty_fini(&table);
}

TEST(penalty, passes_over_the_exempt)
{
	table_open();
	for (int i = 0; i < 100; i++)
		offend(COH_SOURCE_EXEMPT, COH_PENALTY_PROTOCOL, 0);
	kept_out(COH_SOURCE_EXEMPT, 0, 0);
	CHECK(table.entries == NULL);
	coh_penalty_fini(&table);
}

TEST(penalty, does_without_when_there_is_no_memory)
{
	table_open();
	coh_mem_fail(1, COH_MEM_FAIL_ONCE);
	offend(SOURCE, COH_PENALTY_PROTOCOL, 0);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	kept_out(SOURCE, 0, 0);
	offend(SOURCE, COH_PENALTY_PROTOCOL, 0);
	kept_out(SOURCE, 0, 90);
	coh_penalty_fini(&table);
}

/* However sources are chosen: one after the other, alike in their low bits, or at random. */
static uint64_t chosen(int how, uint64_t i)
{
	return how == 0 ? SOURCE + i : how == 1 ? (i + 1) << 40 : test_random() | 1;
}

TEST(penalty, a_flood_of_sources_stays_within_the_table)
{
	for (int how = 0; how < 3; how++) {
		table_open();
		for (uint64_t i = 0; i < 100000; i++)
			offend(chosen(how, i), COH_PENALTY_TIMEOUT, 0);
		CHECK(coh_penalty_count(&table, START) <= COH_PENALTY_ENTRIES);
		/* The hash cannot be steered: they spread over the table as by chance. */
		CHECK(coh_penalty_count(&table, START) > COH_PENALTY_ENTRIES * 9 / 10);
		CHECK_EQ(coh_penalty_count(&table, START + 10 * COHORT_SECOND), 0);
		coh_penalty_fini(&table);
	}
}

TEST(penalty, a_flood_of_small_offenders_hides_no_large_one)
{
	table_open();
	for (uint64_t i = 0; i < 1000; i++)
		offend(SOURCE + i, COH_PENALTY_PROTOCOL, 0);
	for (uint64_t i = 1000; i < 200000; i++)
		offend(SOURCE + i, COH_PENALTY_NOAUTH, 1);
	for (uint64_t i = 0; i < 1000; i++)
		kept_out(SOURCE + i, 1, 90);
	coh_penalty_fini(&table);
}

/* Against a list that forgets nothing: as long as the sources are few the table is exact. */
TEST(penalty, agrees_with_a_list_that_forgets_nothing)
{
	enum { SOURCES = 500, EVENTS = 20000 };
	static const int seconds[] = {0, 1, 5, 10, 90};
	static struct {
		cohort_time until;
		bool enforced;
	} list[SOURCES];
	cohort_time now = START;

	table_open();
	for (int n = 0; n < EVENTS; n++) {
		uint64_t i = test_random_below(SOURCES), why = test_random_below(5);
		cohort_time from = list[i].until > now ? list[i].until : now, end;

		coh_penalty_add(&table, i + 1, (enum coh_penalty_why)why, now);
		list[i].enforced = list[i].until > now && list[i].enforced;
		end = from + seconds[why] * COHORT_SECOND;
		list[i].until = end > now + COH_PENALTY_MAX ? now + COH_PENALTY_MAX : end;
		list[i].enforced = list[i].enforced || list[i].until - now >= COH_PENALTY_ENFORCED;
		i = test_random_below(SOURCES);
		REQUIRE_EQ(coh_penalty_until(&table, i + 1, now),
		    list[i].enforced && list[i].until > now ? list[i].until : 0);
		now += (cohort_time)test_random_below(200) * COHORT_MS;
	}
	coh_penalty_fini(&table);
}
