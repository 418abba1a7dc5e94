/*
 * 05_imap.c - an input without end, a bounded window of it under way, results in order.
 *
 * Looks for the first number whose square root has all ten digits in its first ten behind the point.
 */
#include <cohort/cohort.h>
#include <err.h>
#include <math.h>
#include <stdio.h>

static int root_digits(struct cohort_call *call)
{
	uint64_t n, digits;
	int32_t seen = 0;

	cohort_call_args(call, &n);
	digits = (uint64_t)(fmod(sqrt((double)n), 1.0) * 1e10);
	for (int i = 0; i < 10; i++, digits /= 10)
		seen |= 1 << digits % 10;
	seen = __builtin_popcount((unsigned)seen);
	return cohort_call_result(call, &n, &seen);
}
COHORT_TASK(root_digits, "U", "Ui");

static int next_number(struct cohort_message *args, void *arg)
{
	uint64_t *n = arg;

	++*n; /* and never COHORT_EOF: there is no end */
	return cohort_message_pack(args, 0, n);
}

int main(int argc, char **argv)
{
	struct cohort_pool *pool;
	struct cohort_iter *it;
	struct cohort_future *f;
	struct cohort_error e;
	uint64_t input = 2, n = 0;
	struct cohort_imap numbers = {next_number, &input, COHORT_ORDERED, 256};
	int32_t different = 0;
	int r;

	if (cohort_init(&argc, &argv, &e) < 0 || cohort_pool_open(&pool, argv[1], NULL, &e) < 0 ||
	    cohort_pool_imap(pool, &it, "root_digits", &numbers, &e) < 0)
		errx(1, "%s", e.text);
	while (different < 10 && (r = cohort_iter_next(it, &f, COHORT_FOREVER)) > 0) {
		if (cohort_future_get(f, COHORT_NOW, &e, &n, &different) < 0)
			errx(1, "%s", e.text);
		cohort_future_free(f);
	}
	if (different < 10)
		errx(1, "%s", r < 0 ? cohort_strerror(r) : "no more numbers");
	printf("%.12f is the root of %llu\n", sqrt((double)n), (unsigned long long)n);
	cohort_iter_free(it); /* what is under way is given up */
	cohort_pool_free(pool);
	return 0;
}
