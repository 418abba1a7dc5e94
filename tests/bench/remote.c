/*
 * remote.c - figures of a queue of a server, over TCP on loopback: 64 bytes put, then got.
 *
 * The server is a process of its own; a client alone is on the other CPU, many run anywhere.
 */
#include "peers.h"

static const struct bench_load single = {.count = 3000, .sides = 1};
static const struct bench_load clients8 = {.count = 8000, .sides = 8};
static const struct bench_load pipelined = {.count = 50000, .sides = 1};

static const struct bench_figure figures[] = {
	{
		.name = "remote.single",
		.unit = "pairs/s",
		.ours = {"ours", NULL, &single},
		.peer = {"Redis", peer_redis_calls, &single},
		.bar = 1,
		.rounds = 5,
	},
	{
		.name = "remote.clients8",
		.unit = "pairs/s",
		.ours = {"ours", NULL, &clients8},
		.peer = {"Redis", peer_redis_calls, &clients8},
		.bar = 1,
		.rounds = 5,
	},
	{
		.name = "remote.pipelined100",
		.unit = "pairs/s",
		.ours = {"ours", NULL, &pipelined},
		.peer = {"Redis", peer_redis_pipeline, &pipelined},
		.bar = 1,
		.rounds = 5,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
