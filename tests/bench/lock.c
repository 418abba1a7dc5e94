/*
 * lock.c - figures of the lock, taken by nobody else and by two processes.
 */
#include "peers.h"

static const struct bench_load alone = {.count = 2000000};
static const struct bench_load contended = {.count = 1000000};

static const struct bench_figure figures[] = {
	{
		.name = "lock.uncontended",
		.unit = "ns",
		.ours = {"ours", NULL, &alone},
		.peer = {"robust pthread mutex", peer_mutex_uncontended, &alone},
		.sense = BENCH_AT_MOST,
		.bar = 1.5,
	},
	{
		.name = "lock.contended",
		.unit = "locks/s",
		.ours = {"ours", NULL, &contended},
		.peer = {"robust pthread mutex", peer_mutex_contended, &contended},
		.bar = 1,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
