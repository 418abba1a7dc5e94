/*
 * 04_future.c - a result that comes later: get it, hear of it, wait for the first, give it up; and
 * how a task's failure arrives.
 */
#include <cohort/cohort.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

/* The steps the Collatz sequence takes from N to 1. */
static int collatz(struct cohort_call *call)
{
	uint64_t n;
	uint32_t steps = 0;

	cohort_call_args(call, &n);
	if (n == 0)
		return cohort_call_fail(call, "0 never gets to 1");
	for (; n != 1; steps++)
		n = n % 2 == 0 ? n / 2 : 3 * n + 1;
	return cohort_call_result(call, &steps);
}
COHORT_TASK(collatz, "U", "u");

static int crash(struct cohort_call *call)
{
	(void)call;
	abort();
}
COHORT_TASK(crash, "", "");

static void tell(struct cohort_future *f, void *number)
{
	char worker[64];

	cohort_future_worker(f, worker, sizeof worker);
	printf("%llu was done by %s\n", (unsigned long long)*(uint64_t *)number, worker);
}

int main(int argc, char **argv)
{
	struct cohort_future *f[3], *bad;
	struct cohort_pool *pool;
	struct cohort_error e;
	uint64_t numbers[3] = {27, 97, 167};
	uint32_t steps;

	if (cohort_init(&argc, &argv, &e) < 0 || cohort_pool_open(&pool, argv[1], NULL, &e) < 0)
		errx(1, "%s", e.text);

	for (int i = 0; i < 3; i++) {
		if (cohort_pool_submit(pool, &f[i], &e, "collatz", &numbers[i]) < 0)
			errx(1, "%s", e.text);
		cohort_future_then(f[i], tell, &numbers[i]);
	}
	if (cohort_future_wait_any(f, 3, cohort_in(10 * COHORT_SECOND)) < 0)
		errx(1, "none has ended after 10 s");
	if (cohort_future_get(f[0], COHORT_FOREVER, &e, &steps) < 0)
		errx(1, "%s", e.text);
	printf("27 takes %u steps\n", steps);

	/* Failures are results too: of the task's own word, and of a worker that dies. */
	if (cohort_pool_apply(pool, COHORT_FOREVER, &e, "collatz", &(uint64_t){0}, &steps) < 0)
		printf("0: %s\n", e.text);
	if (cohort_pool_submit(pool, &bad, &e, "crash") < 0)
		errx(1, "%s", e.text);
	if (cohort_future_get(bad, COHORT_FOREVER, &e) == COHORT_EPOISON)
		printf("crash: %s\n", e.text);

	for (int i = 0; i < 3; i++)
		cohort_future_free(f[i]);
	cohort_future_free(bad);
	cohort_pool_free(pool);
	return steps == 111 ? 0 : 1;
}
