/*
 * peer_mpi.c - the program that mpirun starts twice: COUNT messages of 1 MiB by MPI_Send and
 * MPI_Recv; prints the bytes a second that were received and read.
 *
 * usage: peer_mpi COUNT
 */
#include "bulk.h"

#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

/* Each rank on a CPU of its own, among those that this was given. */
static void pin(int rank)
{
	cpu_set_t all, one;
	int cpu, seen = 0;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	rank %= CPU_COUNT(&all);
	CPU_ZERO(&one);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && seen++ == rank)
			CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void push(uint64_t *message, long count)
{
	for (long i = 0; i < count; i++) {
		message[0] = (uint64_t)i;
		MPI_Send(message, (int)BULK_SIZE, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
	}
}

static int pull(uint64_t *message, long count)
{
	double start = 0;

	for (long i = 0; i < count; i++) {
		MPI_Recv(message, (int)BULK_SIZE, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		if (!bulk_is(message, (uint64_t)i))
			return 1;
		if (i == 0)
			start = MPI_Wtime();
	}
	printf("%.0f\n", (double)BULK_SIZE * (double)(count - 1) / (MPI_Wtime() - start));
	return 0;
}

int main(int argc, char **argv)
{
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	uint64_t *message = bulk_new();
	int rank, rc = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	pin(rank);
	if (message == NULL || count < 2)
		MPI_Abort(MPI_COMM_WORLD, 2);
	else if (rank == 0)
		push(message, count);
	else
		rc = pull(message, count);
	MPI_Finalize();
	free(message);
	return rc;
}
