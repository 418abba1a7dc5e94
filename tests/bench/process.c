/*
 * process.c - figures of processes: start and join of one that does nothing, by the zygote.
 */
#include "peers.h"

#include <cohort/process.h>

static int nothing(struct cohort_call *call)
{
	(void)call;
	return 0;
}
COHORT_TASK(nothing, "", "");

static int start_and_join(void)
{
	struct cohort_process *p;
	struct cohort_error err;
	int code = -1;

	if (cohort_process_start(&p, NULL, &err, "nothing") != 0)
		return bench_say(BENCH_FAILED, "%s", err.text);
	cohort_process_join(p, COHORT_FOREVER);
	cohort_process_exit_code(p, &code);
	cohort_process_free(p);
	return code == 0 ? BENCH_OK : bench_say(BENCH_FAILED, "exit code %d", code);
}

static int zygote_rate(const void *load, double *processes_per_s)
{
	long count = ((const struct bench_load *)load)->count, i;
	int64_t start = bench_now();
	int rc = BENCH_OK;

	for (i = 0; i < count && rc == BENCH_OK; i++)
		rc = start_and_join();
	*processes_per_s = (double)count / bench_since(start);
	return rc;
}

static const struct bench_load thousand = {.count = 1000};
static const struct bench_load hundreds = {.count = 300};

static const struct bench_figure figures[] = {
	{
		.name = "process.fork",
		.unit = "start+join/s",
		.ours = {"zygote", zygote_rate, &thousand},
		.peer = {"fork+wait", peer_fork_rate, &thousand},
		.bar = 0.4,
	},
	{
		.name = "process.forkserver",
		.unit = "start+join/s",
		.ours = {"zygote", zygote_rate, &thousand},
		.peer = {"Python's forkserver", peer_python_forkserver, &hundreds},
		.bar = 10,
		.rounds = 5,
	},
};

int main(int argc, char **argv)
{
	struct cohort_error err;

	if (cohort_init(&argc, &argv, &err) != 0)
		return bench_say(2, "%s", err.text);
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
