/*
 * peer_python.c - Python's multiprocessing, timed by itself, so that starting it is left out.
 *
 * $COHORT_BENCH_PYTHON, or python3 as the PATH has it.
 */
#include "peers.h"

#include <stdio.h>
#include <stdlib.h>

static int python(const char *script, long count, double *value)
{
	const char *chosen = getenv("COHORT_BENCH_PYTHON");
	char program[256], path[512], number[32];
	char *argv[] = {program, path, number, NULL};

	snprintf(program, sizeof(program), "%s", chosen != NULL ? chosen : "python3");
	snprintf(path, sizeof(path), "%s/%s", BENCH_FOLDER, script);
	snprintf(number, sizeof(number), "%ld", count);
	return bench_command(argv, value);
}

int peer_python_pool(const void *load, double *tasks_per_s)
{
	return python("peer_pool.py", ((const struct bench_load *)load)->count, tasks_per_s);
}

int peer_python_forkserver(const void *load, double *processes_per_s)
{
	return python("peer_forkserver.py", ((const struct bench_load *)load)->count, processes_per_s);
}

int peer_python_queue(const void *load, double *messages_per_s)
{
	return python("peer_queue.py", ((const struct bench_load *)load)->count, messages_per_s);
}
