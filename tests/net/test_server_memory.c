/*
 * test_server_memory.c - each allocation of a client of a served queue fails, then each of its server.
 *
 * Whatever fails, the one who called is told, nobody hangs, and the next client finds the queue in order.
 */
#include "base/mem.h"
#include "net/served.h"

#include <cohort/cohort.h>
#include <stdio.h>
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

/* ---- where every item is ---- */

#define SMALL 40 /* items of BYTES each, whose answers need more memory the more of them there are; then large ones */
#define BYTES 300
#define ITEMS (SMALL + 3)

enum where { NOWHERE, MAYBE, THERE, GOT };

/* What this process knows of each item, by its number. */
static enum where items[ITEMS];

static size_t size_of(uint32_t i)
{
	return i < SMALL ? BYTES : LARGE - i;
}

/* An item came: it was put, and came never before. */
static void came(const void *data, size_t size)
{
	uint32_t i = ITEMS;

	if (CHECK(size >= sizeof i))
		memcpy(&i, data, sizeof i);
	if (!CHECK(i < ITEMS) || !CHECK_EQ(size, size_of(i)))
		return;
	CHECK(items[i] == MAYBE || items[i] == THERE);
	items[i] = GOT;
}

static int put_all(struct cohort_queue *q)
{
	struct cohort_bytes many[SMALL];
	static char small[SMALL][BYTES];
	int rc;

	for (uint32_t i = 0; i < SMALL; i++) {
		memcpy(small[i], &i, sizeof i);
		many[i] = (struct cohort_bytes){small[i], BYTES};
		items[i] = MAYBE;
	}
	rc = cohort_queue_put_many(q, many, SMALL, PATIENCE);
	for (int i = 0; i < rc; i++)
		items[i] = THERE;
	for (uint32_t i = SMALL; i < ITEMS && rc >= 0; i++) {
		memcpy(large, &i, sizeof i);
		items[i] = MAYBE;
		rc = cohort_queue_put_bytes(q, large, size_of(i), PATIENCE);
		items[i] = rc == 0 ? THERE : MAYBE;
	}
	return rc;
}

/* One in each way there is. */
static int get_some(struct cohort_queue *q)
{
	static char room[2 * LARGE];
	struct cohort_bytes many[SMALL];
	struct cohort_item item;
	size_t size = 0;
	int n, rc = cohort_queue_get_into(q, room, sizeof room, &size, PATIENCE);

	if (rc != 0)
		return rc;
	came(room, size);
	n = cohort_queue_get_many(q, many, SMALL / 2, room, sizeof room, PATIENCE);
	for (int i = 0; i < n; i++)
		came(many[i].data, many[i].size);
	if (n < 0)
		return n;
	rc = cohort_queue_take(q, &item, PATIENCE);
	if (rc != 0)
		return rc;
	rc = cohort_queue_return(q, &item);
	if (rc != 0)
		return rc;
	n = cohort_queue_get_many(q, many, SMALL, room, sizeof room, PATIENCE);
	for (int i = 0; i < n; i++)
		came(many[i].data, many[i].size);
	if (n < 0)
		return n;
	rc = cohort_queue_get_into(q, room, sizeof room, &size, PATIENCE);
	if (rc == 0)
		came(room, size);
	return rc;
}

static int trade(void)
{
	struct cohort_queue *q = NULL;
	int rc = served_try(&served, &q, NULL);

	if (rc != 0)
		return rc;
	rc = put_all(q);
	if (rc >= 0)
		rc = get_some(q);
	(void)cohort_queue_close(q, COHORT_NOW);
	return rc;
}

/* Whatever was put and not got is there, each once, in order. */
static void all_are_somewhere(void)
{
	static char room[LARGE];
	struct cohort_queue *q = served_open(&served);
	uint32_t before = 0, i = 0;
	size_t size = 0;

	while (cohort_queue_get_into(q, room, LARGE, &size, COHORT_NOW) == 0) {
		came(room, size);
		memcpy(&i, room, sizeof i);
		CHECK(i >= before);
		before = i;
	}
	for (i = 0; i < ITEMS; i++)
		if (!CHECK(items[i] != THERE))
			FAIL("item %u of %zu bytes is lost", i, size_of(i));
	CHECK_EQ(cohort_queue_close(q, COHORT_NOW), 0);
}

static void lose_none(const char *kind, const struct cohort_queue_options *o)
{
	uint64_t n = 0, made;
	int rc;

	served_begin(&served, kind, o);
	do {
		memset(items, 0, sizeof items);
		(void)served_starve(&served, ++n);
		rc = trade();
		made = served_starve(&served, 0);
		all_are_somewhere();
	} while (made >= n);
	CHECK_EQ(rc, 0);
	CHECK(n > 10);
	printf("%llu allocations failed\n", (unsigned long long)(n - 1));
	served_end(&served);
}

TEST_TIMEOUT(server_memory, that_fails_loses_and_doubles_no_item_at_a_port, 120)
{
	lose_none("tcp", NULL);
}

TEST_TIMEOUT(server_memory, that_fails_loses_and_doubles_no_item_at_a_path, 120)
{
	lose_none("unix", NULL);
}

/* An item that may be lent once only is not dropped when it could not even be sent. */
TEST_TIMEOUT(server_memory, that_fails_costs_no_item_its_one_delivery, 120)
{
	struct cohort_queue_options o = {.tries = 2};

	lose_none("tls", &o);
}
