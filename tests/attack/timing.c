/*
 * timing.c - what time tells a stranger: nothing.
 *
 * Two kinds of a call in turn, in random order, and Welch's t over what they took.  A difference that
 * half a million calls of each do not show (|t| < 4.5) is none that can be used.  The slowest calls,
 * in which something else ran, are left out of both by one and the same bound.
 *
 * A whole refusal (microseconds, thousands of instructions) has caches and branch predictors in it, which
 * know two kinds of bytes apart on some processors by a nanosecond or two; it fails when t shows a
 * difference that is also more than NOTHING, a twentieth of what the best remote measurements tell apart
 * (Crosby, Wallach, Riedi 2009: 100 ns over a local network by thousands of samples; ours take one login each).
 */
#include "net/ends.h"
#include "support/test.h"
#include "trust/hmac_openssl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALLS 500000
#define WRONG_CALLS 100000 /* of a whole handshake's second half */
#define LIMIT 4.5
#define NOTHING 5.0 /* ns */

struct verdict {
	double t, ns; /* Welch's t, and by how much the first kind took longer */
};

struct sums {
	double n, mean, m2;
};

static void take(struct sums *s, double x)
{
	double d = x - s->mean;

	s->n++;
	s->mean += d / s->n;
	s->m2 += d * (x - s->mean);
}

static double welch(const struct sums *a, const struct sums *b)
{
	double va = a->m2 / (a->n - 1) / a->n, vb = b->m2 / (b->n - 1) / b->n;

	return (a->mean - b->mean) / sqrt(va + vb);
}

static int64_t ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* t of CALL(ARG, 0) against CALL(ARG, 1), N of each; CALL returns the ns that matter. */
static struct verdict timing(int64_t (*call)(void *arg, int kind), void *arg, int n)
{
	int32_t *took = malloc(sizeof *took * (size_t)n * 2), *sorted, bound;
	unsigned char *kinds = malloc((size_t)n * 2);
	struct sums sums[2] = {{0}};

	REQUIRE(took != NULL && kinds != NULL);
	for (int i = 0; i < 2 * n; i++) {
		kinds[i] = (unsigned char)test_random_below(2);
		took[i] = (int32_t)call(arg, kinds[i]);
	}
	sorted = malloc(sizeof *sorted * (size_t)n * 2);
	REQUIRE(sorted != NULL);
	memcpy(sorted, took, sizeof *sorted * (size_t)n * 2);
	qsort(sorted, (size_t)n * 2, sizeof *sorted, compare);
	bound = sorted[n * 2 / 10 * 9];
	for (int i = 0; i < 2 * n; i++)
		if (took[i] <= bound)
			take(&sums[kinds[i]], took[i]);
	free(sorted);
	free(took);
	free(kinds);
	return (struct verdict){welch(&sums[0], &sums[1]), sums[0].mean - sums[1].mean};
}

struct macs {
	unsigned char right[COH_HASH_SIZE], wrong[2][COH_HASH_SIZE];
};

/* A MAC whose first byte is wrong, against one whose last is. */
static int64_t compare_mac(void *arg, int kind)
{
	struct macs *m = arg;
	unsigned char got[COH_HASH_SIZE];
	int64_t start;
	int equal = 0;

	memcpy(got, m->wrong[kind], sizeof got); /* the same place for both */
	start = ns();
	for (int i = 0; i < 8; i++)
		equal += coh_hmac_equal(got, m->right, sizeof got);
	start = ns() - start;
	REQUIRE_EQ(equal, 0);
	return start;
}

TEST_TIMEOUT(timing, of_a_comparison_tells_not_where_it_differs, 120)
{
	struct macs m = {.right = {0}};
	double t;

	for (size_t i = 0; i < COH_HASH_SIZE; i++)
		m.right[i] = m.wrong[0][i] = m.wrong[1][i] = (unsigned char)test_random();
	m.wrong[0][0] ^= 1;
	m.wrong[1][COH_HASH_SIZE - 1] ^= 1;
	t = timing(compare_mac, &m, CALLS).t;
	if (!CHECK(t > -LIMIT && t < LIMIT))
		FAIL("t = %.2f", t);
}

/* The test itself: memcmp tells. */
static int64_t compare_naively(void *arg, int kind)
{
	const volatile unsigned char *right = ((struct macs *)arg)->right;
	const unsigned char *wrong = ((struct macs *)arg)->wrong[kind];
	int64_t start = ns();
	size_t k;

	for (int i = 0; i < 64; i++)
		for (k = 0; k < COH_HASH_SIZE && wrong[k] == right[k]; k++)
			;
	return ns() - start;
}

TEST_TIMEOUT(timing, of_a_comparison_that_stops_early_is_seen, 120)
{
	struct macs m = {.right = {0}};
	double t;

	memset(m.wrong, 0, sizeof m.wrong);
	m.wrong[0][0] = m.wrong[1][COH_HASH_SIZE - 1] = 1;
	t = timing(compare_naively, &m, CALLS / 10).t;
	CHECK(t < -LIMIT || t > LIMIT);
}

struct refusal {
	struct ends ends;
	char name[3]; /* the same place for both kinds: what differs is what it holds */
	unsigned char wrong[2][COH_HASH_SIZE]; /* laid over the proof, all of it each time */
};

/*
 * A proof by a key that is wrong, from one name or another, wrong in its first byte or its last: to the
 * server all the same.  Both kinds write the same bytes of the same places, so that what the processor
 * remembers of the writing is no difference between them.
 */
static int64_t judge_proof(void *arg, int kind)
{
	static const char names[2][3] = {"w1", "zz"};
	struct refusal *r = arg;
	struct parcel p;
	int64_t start;

	memcpy(r->name, names[kind], sizeof r->name);
	ends_begin(&r->ends);
	ends_run(&r->ends, 2);
	REQUIRE(ends_take(&r->ends.client, &p));
	for (size_t i = 0; i < COH_HASH_SIZE; i++)
		p.body[i] ^= r->wrong[kind][i];
	start = ns();
	REQUIRE_EQ(ends_give(&r->ends.server, &p, NULL), COHORT_EAUTH);
	return ns() - start;
}

TEST_TIMEOUT(timing, of_a_refusal_tells_not_what_was_wrong, 240)
{
	struct refusal r = {.wrong = {{1}, {[COH_HASH_SIZE - 1] = 1}}};
	struct verdict v;

	ends_open(&r.ends);
	r.ends.client.config.name = r.name;
	ends_randomize(&r.ends);
	v = timing(judge_proof, &r, WRONG_CALLS);
	if (!CHECK(fabs(v.t) < LIMIT || fabs(v.ns) < NOTHING))
		FAIL("t = %.2f, %.1f ns", v.t, v.ns);
	ends_close(&r.ends);
}
