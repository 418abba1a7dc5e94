/*
 * test_fault_conn.c - every system call of a connection over a pair of sockets fails, in turn.
 */
#include "fault/exchange.h"
#include "fault/faults.h"
#include "support/test.h"

static int pair(void *arg, struct cohort_error *err)
{
	struct cohort_conn *a, *b;
	int rc = cohort_conn_pair(&a, &b, err);

	(void)arg;
	if (rc == 0)
		rc = exchange(a, b, err);
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc;
}

TEST_TIMEOUT(fault_conn, every_call_of_a_pair, 120)
{
	CHECK(faults_sweep(pair, NULL) > 50);
}

TEST_TIMEOUT(fault_conn, a_pair_a_byte_at_a_time, 60)
{
	struct cohort_error err = {0};

	faults_short(true);
	CHECK_EQ(pair(NULL, &err), 0);
	faults_short(false);
}

static int memory(void *arg, struct cohort_error *err)
{
	struct cohort_conn *a, *b;
	int rc = cohort_conn_memory(&a, &b, err);

	(void)arg;
	if (rc == 0)
		rc = exchange(a, b, err);
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc;
}

TEST_TIMEOUT(fault_conn, every_call_of_two_ends_in_memory, 120)
{
	CHECK(faults_sweep(memory, NULL) > 5);
}

/* Waiting for both ends of a pair, when one has something. */
static int wait_for_one(void *arg, struct cohort_error *err)
{
	struct cohort_wait_item items[2] = {{0}};
	cohort_time patience = cohort_in(test_span(5 * COHORT_SECOND));
	struct cohort_conn *a, *b;
	int rc = cohort_conn_pair(&a, &b, err);

	(void)arg;
	if (rc == 0) {
		items[0].conn = a;
		items[1].conn = b;
		rc = exchange_say(a, "x", 1, err);
	}
	if (rc == 0) {
		rc = cohort_wait(items, 2, patience);
		if (rc < 0)
			*err = (struct cohort_error){rc, "the wait said so"};
		else
			CHECK(rc == 1 && items[1].ready);
	}
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc < 0 ? rc : 0;
}

TEST_TIMEOUT(fault_conn, every_call_of_a_wait, 60)
{
	CHECK(faults_sweep(wait_for_one, NULL) > 5);
}
