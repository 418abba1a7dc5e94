/*
 * queue.c - figures of the queue on one machine.
 *
 * Round trips are by two queues.  Those that only spin have a figure on two CPUs alone: on one, the
 * other side cannot run while one spins.
 */
#include "peers.h"

#define SMALL 64

static const struct bench_load python = {.count = 10000, .size = SMALL};
static const struct bench_load zeromq = {.count = 200000, .size = SMALL};
static const struct bench_load stream = {.count = 400000, .size = SMALL, .sides = 1};
static const struct bench_load pairs = {.count = 400000, .size = SMALL, .sides = 2};
static const struct bench_load spinning = {.count = 2000000, .size = SMALL};
static const struct bench_load wakes = {.count = 1000};
static const struct bench_load spins = {.count = 200000};
static const struct bench_load large = {.count = 500};

static const struct bench_figure figures[] = {
	{
		.name = "queue.python",
		.unit = "messages/s",
		.ours = {"ours", NULL, &stream},
		.peer = {"Queue", peer_python_queue, &python},
		.bar = 40,
		.rounds = 5,
	},
	{
		.name = "queue.zeromq",
		.unit = "messages/s",
		.ours = {"ours", NULL, &stream},
		.peer = {"PUSH/PULL ipc", peer_zmq_ipc, &zeromq},
		.bar = 3,
	},
	{
		.name = "queue.mutexring",
		.unit = "messages/s",
		.ours = {"one a call", NULL, &stream},
		.peer = {"mutex and condition variables", peer_ring_stream, &stream},
		.bar = 1,
	},
	{
		.name = "queue.mutexring_batch",
		.unit = "messages/s",
		.ours = {"many a call", NULL, &stream},
		.peer = {"mutex and condition variables", peer_ring_stream, &stream},
		.bar = 3,
	},
	{
		.name = "queue.spsc",
		.unit = "messages/s",
		.ours = {"ours", NULL, &stream},
		.peer = {"spinning ring", peer_spin_stream, &spinning},
		.bar = 0.25,
		.cpus = 2,
	},
	{
		.name = "queue.pairs_2x2",
		.unit = "messages/s",
		.ours = {"2+2", NULL, &pairs},
		.peer = {"1+1", NULL, &stream},
		.bar = 0.5,
	},
	{
		.name = "queue.pairs_mutexring",
		.unit = "messages/s",
		.ours = {"2+2", NULL, &pairs},
		.peer = {"mutex and condition variables, 2+2", peer_ring_stream, &pairs},
		.bar = 1,
	},
	{
		.name = "queue.wake",
		.unit = "us",
		.ours = {"ours", NULL, &wakes},
		.peer = {"futex", peer_futex_roundtrip, &wakes},
		.sense = BENCH_AT_MOST,
		.bar = 1.3,
	},
	{
		.name = "queue.spin",
		.unit = "us",
		.ours = {"ours", NULL, &spins},
		.peer = {"spinning word", peer_spin_roundtrip, &spins},
		.sense = BENCH_AT_MOST,
		.bar = 3,
		.cpus = 2,
	},
	{
		.name = "queue.mib",
		.unit = "bytes/s",
		.ours = {"ours", NULL, &large},
		.peer = {"one segment by hand", peer_segment_bulk, &large},
		.bar = 0.6,
	},
	{
		.name = "queue.mib_mpi",
		.unit = "bytes/s",
		.ours = {"ours", NULL, &large},
		.peer = {"Open MPI", peer_openmpi_bulk, &large},
		.bar = 1,
		.rounds = 5,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
