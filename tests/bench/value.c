/*
 * value.c - the figure of a shared value: an atomic add.
 */
#include "peers.h"

#include <cohort/data.h>

static int add(const void *load, double *ns)
{
	const struct cohort_value_options options = {.type = 'q'};
	long i, count = ((const struct bench_load *)load)->count;
	struct cohort_value *v;
	struct cohort_error err;
	int64_t start, sum = 0;
	int rc = cohort_value_open(&v, "local:", &options, &err);

	if (rc != 0)
		return bench_say(BENCH_FAILED, "value: %s", err.text);
	bench_pin(0);
	start = bench_now();
	for (i = 0; i < count && rc == 0; i++)
		rc = cohort_value_add(v, 1, NULL);
	*ns = bench_since(start) * 1e9 / (double)count;
	if (rc == 0)
		rc = cohort_value_load(v, &sum);
	cohort_value_close(v);
	return rc == 0 && sum == count ? BENCH_OK : bench_say(BENCH_FAILED, "value: a wrong sum");
}

static const struct bench_load adds = {.count = 10000000};

static const struct bench_figure figures[] = {
	{
		.name = "value.add",
		.unit = "ns",
		.ours = {"ours", add, &adds},
		.peer = {"C11 atomic", peer_atomic_add, &adds},
		.sense = BENCH_AT_MOST,
		.bar = 2,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
