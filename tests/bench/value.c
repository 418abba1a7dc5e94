/*
 * value.c - the figure of a shared value: an atomic add.
 */
#include "peers.h"

static const struct bench_load adds = {.count = 10000000};

static const struct bench_figure figures[] = {
	{
		.name = "value.add",
		.unit = "ns",
		.ours = {"ours", NULL, &adds},
		.peer = {"C11 atomic", peer_atomic_add, &adds},
		.sense = BENCH_AT_MOST,
		.bar = 2,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
