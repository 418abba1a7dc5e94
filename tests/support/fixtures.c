/*
 * fixtures.c - what a test may ask of its surroundings: a folder, numbers, a clock, faults.
 *
 * Each is made when first asked for and undone by the runner, however the test ended.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "support/support_priv.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;
static _Atomic cohort_time fake_now; /* relaxed: tests order it by what they wait for */

void test_fixtures_start(const struct test_case *t, uint64_t seed)
{
	random_state = seed;
	for (const char *s = t->name; *s != '\0'; s++) /* the same alone and among others */
		random_state = (random_state ^ (unsigned char)*s) * 0x100000001b3;
}

void test_fixtures_end(void)
{
	coh_clock_replace(NULL, NULL);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
}

uint64_t test_random(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t test_random_below(uint64_t n)
{
	return test_random() % n;
}

cohort_time test_span(cohort_time span)
{
	return span * TEST_SLOW;
}

const char *test_folder(void)
{
	const char *base = getenv("TMPDIR");

	if (test_report->folder[0] == '\0') {
		snprintf(test_report->folder, sizeof test_report->folder,
		    "%s/cohort-test-XXXXXX", base != NULL && strlen(base) < 90 ? base : "/tmp");
		if (mkdtemp(test_report->folder) == NULL) {
			FAIL("cannot make %s: %s", test_report->folder, strerror(errno));
			test_report->folder[0] = '\0';
			test_require(false);
		}
	}
	return test_report->folder;
}

const char *test_path(const char *name)
{
	static char paths[16][256];
	static unsigned next;
	char *path = paths[next++ % 16];

	snprintf(path, sizeof paths[0], "%s/%s", test_folder(), name);
	return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	remove(path);
	return 0;
}

void test_folder_remove(const char *folder)
{
	if (folder[0] != '\0')
		nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void fail_each(enum coh_mem_fault kind, int (*scenario)(void *arg), void *arg)
{
	unsigned long n, seen;
	int rc;

	for (n = 1; n < 100000; n++) {
		coh_mem_fail(n, kind);
		rc = scenario(arg);
		seen = coh_mem_count();
		coh_mem_fail(0, COH_MEM_FAIL_ONCE);
		if (seen < n) {
			CHECK_EQ(rc, 0);
			return;
		}
		if (rc != -ENOMEM) {
			FAIL("allocation %lu failed and the scenario returned %d, not -ENOMEM", n,
			    rc);
			return;
		}
	}
	FAIL("the scenario allocates without end");
}

void test_every_allocation(int (*scenario)(void *arg), void *arg)
{
	fail_each(COH_MEM_FAIL_ONCE, scenario, arg);
	fail_each(COH_MEM_FAIL_FROM, scenario, arg);
}

static cohort_time fake_clock(void *arg)
{
	(void)arg;
	return fake_now;
}

void test_clock_stop(cohort_time start)
{
	fake_now = start;
	coh_clock_replace(fake_clock, NULL);
}

void test_clock_advance(cohort_time span)
{
	fake_now += span;
}
