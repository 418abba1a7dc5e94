/*
 * peer_fork.c - the least a process can cost: fork, exit at once, wait.
 */
#include "peers.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int peer_fork_rate(const void *load, double *processes_per_s)
{
	long count = ((const struct bench_load *)load)->count, i;
	int64_t start = bench_now();
	int status;
	pid_t pid;

	for (i = 0; i < count; i++) {
		pid = fork();
		if (pid == 0)
			_exit(0);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return bench_say(BENCH_FAILED, "fork: %s", strerror(errno));
	}
	*processes_per_s = (double)count / bench_since(start);
	return BENCH_OK;
}
