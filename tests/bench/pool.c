/*
 * pool.c - figures of the pool: tasks a second, and one at a time.
 */
#include "peers.h"

static const struct bench_load many = {.count = 1000000};
static const struct bench_load hundred_thousand = {.count = 100000};
static const struct bench_load single = {.count = 10000};

static const struct bench_figure figures[] = {
	{
		.name = "pool.python",
		.unit = "tasks/s",
		.ours = {"local:2", NULL, &many},
		.peer = {"Pool(2)", peer_python_pool, &hundred_thousand},
		.bar = 8,
		.rounds = 5,
	},
	{
		.name = "pool.forkpool",
		.unit = "tasks/s",
		.ours = {"local:2", NULL, &many},
		.peer = {"hand-written pool", peer_forkpool_rate, &many},
		.bar = 0.25,
	},
	{
		.name = "pool.gearman",
		.unit = "tasks/s",
		.ours = {"one node", NULL, &many},
		.peer = {"gearmand", peer_gearman_rate, &hundred_thousand},
		.bar = 10,
	},
	{
		.name = "pool.latency",
		.unit = "us",
		.ours = {"local:1", NULL, &single},
		.peer = {"hand-written worker", peer_forkpool_latency, &single},
		.sense = BENCH_AT_MOST,
		.bar = 1.5,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
