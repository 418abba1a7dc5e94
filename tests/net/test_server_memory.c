/*
 * test_server_memory.c - each allocation of a client of a served queue fails, then each of its server.
 *
 * Whatever fails, the one who called is told, nobody hangs, and the next client finds the queue in order.
 */
#include "base/mem.h"
#include "net/served.h"

#include <cohort/cohort.h>
#include <string.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))
#define LARGE 200000

static struct served served;
static char large[LARGE];

static int use(struct cohort_queue *q)
{
	static char got[LARGE];
	struct cohort_item item;
	size_t size;
	int rc = cohort_queue_put_bytes(q, "small", 6, PATIENCE);

	if (rc == 0)
		rc = cohort_queue_put_bytes(q, large, LARGE, PATIENCE);
	if (rc == 0)
		rc = cohort_queue_get_into(q, got, LARGE, &size, PATIENCE);
	if (rc == 0)
		rc = cohort_queue_take(q, &item, PATIENCE);
	return rc == 0 ? cohort_queue_ack(q, &item) : rc;
}

/* Somebody who opens the queue, uses it and goes: 0, or what failed, with its sentence. */
static int visit(void)
{
	struct cohort_error err = {0};
	struct cohort_queue *q = NULL;
	int rc = served_try(&served, &q, &err);

	if (rc != 0) {
		CHECK(q == NULL);
		CHECK_EQ(err.code, rc);
		CHECK(err.text[0] != '\0');
		return rc;
	}
	rc = use(q);
	if (rc != 0)
		CHECK(cohort_queue_error(q)[0] != '\0');
	(void)cohort_queue_close(q, COHORT_NOW);
	return rc;
}

/* What a visit left does not matter; the next one finds all in order. */
static void all_is_well(void)
{
	static char got[LARGE];
	struct cohort_queue *q = served_open(&served);
	size_t size;

	while (cohort_queue_get_into(q, got, LARGE, &size, COHORT_NOW) == 0)
		;
	CHECK_EQ(use(q), 0);
	CHECK_EQ(cohort_queue_size(q), 0);
	CHECK_EQ(cohort_queue_close(q, COHORT_NOW), 0);
}

TEST_TIMEOUT(server_memory, each_allocation_of_a_client_fails_and_is_told, 120)
{
	unsigned long n = 0, made;
	int rc;

	served_begin(&served, "tcp", NULL);
	do {
		coh_mem_fail(++n, COH_MEM_FAIL_ONCE);
		rc = visit();
		made = coh_mem_count();
		coh_mem_fail(0, COH_MEM_FAIL_ONCE);
		all_is_well();
	} while (made >= n);
	CHECK_EQ(rc, 0);
	CHECK(n > 20);
	served_end(&served);
}

TEST_TIMEOUT(server_memory, each_allocation_of_a_server_fails_and_it_serves_on, 120)
{
	uint64_t n = 0, made;
	int rc;

	served_begin(&served, "tcp", NULL);
	do {
		(void)served_starve(&served, ++n);
		rc = visit();
		made = served_starve(&served, 0);
		all_is_well();
	} while (made >= n);
	CHECK_EQ(rc, 0);
	CHECK(n > 10);
	served_end(&served);
}
