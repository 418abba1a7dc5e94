/*
 * 03_pool_map.c - one function over an array, in as many processes as there are CPUs.
 *
 * Like every example with a pool it may be given an address, as in `03_pool_map tls://node:4700`; without one
 * $COHORT_POOL says where, and without that it is this machine.
 */
#include <cohort/cohort.h>
#include <err.h>
#include <stdio.h>

static int is_prime(struct cohort_call *call)
{
	uint64_t n;
	int32_t prime;

	cohort_call_args(call, &n);
	prime = n > 1;
	for (uint64_t d = 2; prime && d * d <= n; d++)
		prime = n % d != 0;
	return cohort_call_result(call, &prime);
}
COHORT_TASK(is_prime, "U", "i");

#define COUNT 1000
#define FIRST 1000000000u

int main(int argc, char **argv)
{
	static uint64_t numbers[COUNT];
	static int32_t primes[COUNT];
	struct cohort_pool *pool;
	struct cohort_error e;
	int found = 0;

	if (cohort_init(&argc, &argv, &e) < 0 || cohort_pool_open(&pool, argv[1], NULL, &e) < 0)
		errx(1, "%s", e.text);
	for (unsigned i = 0; i < COUNT; i++)
		numbers[i] = FIRST + i;
	if (cohort_pool_map(
		pool, "is_prime", COHORT_MAP(numbers, primes, COUNT), COHORT_FOREVER, &e) < 0)
		errx(1, "%s", e.text);
	for (unsigned i = 0; i < COUNT; i++)
		found += primes[i];
	printf("%d primes in %d numbers from %u, on %s\n", found, COUNT, FIRST,
	    cohort_pool_address(pool));
	cohort_pool_free(pool);
	return found == 49 ? 0 : 1;
}
