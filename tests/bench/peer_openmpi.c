/*
 * peer_openmpi.c - runs peer_mpi under mpirun, on the CPUs of this figure and over shared memory.
 *
 * Its files, sockets and segments go to the figure's folder: mpirun that is killed leaves them.
 * Who waits spins on two CPUs, as it always does, and yields on one.
 */
#include "peers.h"

#ifdef BENCH_MPI

#include <stdio.h>
#include <unistd.h>

#define WORDS 32
#define WORD 512

struct line {
	char words[WORDS][WORD];
	char *argv[WORDS + 1];
	int n;
};

static void add(struct line *l, const char *word)
{
	snprintf(l->words[l->n], WORD, "%s", word);
	l->argv[l->n] = l->words[l->n];
	l->argv[++l->n] = NULL;
}

static void option(struct line *l, const char *name, const char *value)
{
	add(l, "--mca");
	add(l, name);
	add(l, value);
}

int peer_openmpi_bulk(const void *load, double *bytes_per_s)
{
	struct line l = {.n = 0};
	char count[32];

	snprintf(count, sizeof(count), "%ld", ((const struct bench_load *)load)->count);
	add(&l, "mpirun");
	if (geteuid() == 0)
		add(&l, "--allow-run-as-root");
	add(&l, "--oversubscribe");
	add(&l, "--bind-to");
	add(&l, "none");
	option(&l, "btl", "self,vader");
	option(&l, "plm", "isolated"); /* or it wants ssh, though all is on this machine */
	option(&l, "mpi_yield_when_idle", bench_cpus() > 1 ? "0" : "1");
	option(&l, "orte_tmpdir_base", bench_folder());
	option(&l, "btl_vader_backing_directory", bench_folder());
	add(&l, "-n");
	add(&l, "2");
	add(&l, BENCH_MPI);
	add(&l, count);
	return bench_command(l.argv, bytes_per_s);
}

#else

int peer_openmpi_bulk(const void *load, double *bytes_per_s)
{
	(void)load;
	(void)bytes_per_s;
	return bench_say(BENCH_MISSING, "Open MPI: built without libopenmpi-dev");
}

#endif
