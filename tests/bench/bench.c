/*
 * bench.c - runs figures: placement, interleaving, medians, the line.
 *
 * A figure is measured in a process of its own, executed anew with its CPUs set: what is
 * started before main has any say (a zygote, a thread of a library) is then placed too, and
 * one figure's leftovers are not the next one's noise.  The contestants take turns within a
 * run, so what else the machine does meets both; only their ratio is reported.
 *
 * The process of a figure leads a process group; when it ends, or its time is over, the rest
 * of the group is killed.
 */
#include "bench.h"

#include "folder.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 7
#define ROUNDS_MAX 64
#define FIGURE_SECONDS 300 /* a slow peer's rounds take a minute; what takes five hangs */

static int placed_on[2]; /* the CPU of each side */
static int placed_count; /* 1 or 2 */

int bench_say(enum bench_status status, const char *format, ...)
{
	va_list ap;

	fputs("# ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

double bench_since(int64_t start)
{
	return (double)(bench_now() - start) / 1e9;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), compare_doubles);
	return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

int bench_cpus(void)
{
	return placed_count;
}

int bench_cpu(int side)
{
	return placed_on[side % placed_count];
}

void bench_pin(int side)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(bench_cpu(side), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void bench_unpin(void)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	for (i = 0; i < placed_count; i++)
		CPU_SET(placed_on[i], &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Go where the first WANT CPUs of this process are; false when it has fewer. */
static bool place(int want)
{
	cpu_set_t all;
	int cpu;

	placed_count = 0;
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return false;
	for (cpu = 0; cpu < CPU_SETSIZE && placed_count < want; cpu++)
		if (CPU_ISSET(cpu, &all))
			placed_on[placed_count++] = cpu;
	bench_unpin();
	return placed_count == want;
}

/* Medians of N contestants whose samples are taken in turn; BENCH_OK or the first failure. */
static int compare(const struct bench_contestant *const *who, int n, int rounds, double *medians)
{
	double samples[2][ROUNDS_MAX], warm;
	int i, round, rc;

	for (round = rounds > 1 ? -1 : 0; round < rounds; round++) {
		for (i = 0; i < n; i++) {
			if (who[i]->run == NULL)
				return bench_say(BENCH_FAILED, "%s: not written", who[i]->name);
			bench_unpin();
			rc = who[i]->run(who[i]->arg, round < 0 ? &warm : &samples[i][round]);
			if (rc != BENCH_OK)
				return rc;
		}
	}
	for (i = 0; i < n; i++)
		medians[i] = bench_median(samples[i], rounds);
	return BENCH_OK;
}

static int rounds_of(const struct bench_figure *f)
{
	if (f->rounds <= 0)
		return ROUNDS;
	return f->rounds < ROUNDS_MAX ? f->rounds : ROUNDS_MAX;
}

/* The peer alone, for those who tune against it. */
static int measure_peer(const struct bench_figure *f, int cpus)
{
	const struct bench_contestant *who[] = {&f->peer};
	double median;
	int rc = compare(who, 1, rounds_of(f), &median);

	if (rc == BENCH_OK)
		printf("%s.%dcpu\t%.6g\t%s (%s)\n", f->name, cpus, median, f->unit, f->peer.name);
	else
		printf("%s.%dcpu\t-\t%s\n", f->name, cpus,
		    rc == BENCH_MISSING ? "missing peer" : "failed");
	return 0;
}

static int measure(const struct bench_figure *f, int cpus)
{
	const struct bench_contestant *who[] = {&f->ours, &f->peer};
	const char *sign = f->sense == BENCH_AT_LEAST ? ">=" : "<=";
	double medians[2], value;
	bool good;
	int rc = compare(who, 2, rounds_of(f), medians);

	if (rc != BENCH_OK) {
		printf("%s.%dcpu\t-\t%s %g\t%s\n", f->name, cpus, sign, f->bar,
		    rc == BENCH_MISSING ? "missing peer" : "short");
		return rc == BENCH_MISSING ? 0 : 1;
	}
	value = medians[0] / medians[1];
	good = f->sense == BENCH_AT_LEAST ? value >= f->bar : value <= f->bar;
	bench_say(BENCH_OK, "%s.%dcpu: %s %.6g, %s %.6g %s", f->name, cpus, f->ours.name,
	    medians[0], f->peer.name, medians[1], f->unit);
	printf("%s.%dcpu\t%.3f\t%s %g\t%s\n", f->name, cpus, value, sign, f->bar,
	    good ? "pass" : "short");
	return good ? 0 : 1;
}

/* Wait for a figure's process, not for ever; nothing of its group is left. */
static int figure_wait(pid_t pid, const char *name)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int status = 0;

	if (p.fd < 0 || poll(&p, 1, FIGURE_SECONDS * 1000) == 0)
		bench_say(BENCH_FAILED, "%s: not done after %d s, killed", name, FIGURE_SECONDS);
	kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
	folder_remove();
	if (p.fd >= 0)
		close(p.fd);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		printf("%s\t-\t-\tshort\n", name);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* Execute this program again for figure I alone on CPUS CPUs. */
static int figure_start(const struct bench_figure *f, int i, int cpus, const char *mode)
{
	char option[16], index[16], placement[16], name[128];
	char *argv[] = {program_invocation_name, option, index, placement, NULL};
	pid_t pid;

	snprintf(option, sizeof(option), "%s", mode);
	snprintf(index, sizeof(index), "%d", i);
	snprintf(placement, sizeof(placement), "%d", cpus);
	snprintf(name, sizeof(name), "%s.%dcpu", f->name, cpus);
	fflush(stdout);
	pid = folder_make() == 0 ? fork() : -1;
	if (pid < 0)
		return 1;
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!place(cpus))
			_exit(bench_say(BENCH_FAILED, "%s: fewer CPUs than that", name) ? 2 : 0);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	setpgid(pid, pid);
	return figure_wait(pid, name);
}

static bool wanted(const char *name, char **names, int n)
{
	size_t length;
	int i;

	for (i = 0; i < n; i++) {
		length = strlen(names[i]);
		if (strncmp(name, names[i], length) == 0 &&
		    (name[length] == '.' || name[length] == '\0'))
			return true;
	}
	return n == 0;
}

static int one(char **argv, const struct bench_figure *figures, int n)
{
	int i = atoi(argv[2]), cpus = atoi(argv[3]);

	if (i < 0 || i >= n || !place(cpus))
		return 2;
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(argv[1], "--one-peer") == 0)
		return measure_peer(&figures[i], cpus);
	return measure(&figures[i], cpus);
}

int bench_main(int argc, char **argv, const struct bench_figure *figures, int n)
{
	bool list = argc > 1 && strcmp(argv[1], "--list") == 0;
	bool peers = argc > 1 && strcmp(argv[1], "--peers") == 0;
	int skip = list || peers ? 2 : 1, found = 0, worst = 0, i, cpus;

	if (argc == 4 && strncmp(argv[1], "--one", 5) == 0)
		return one(argv, figures, n);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* with the script that runs all: nobody would read on */
	folder_sweep();
	for (i = 0; i < n; i++) {
		if (!wanted(figures[i].name, argv + skip, argc - skip))
			continue;
		found++;
		if (list)
			puts(figures[i].name);
		for (cpus = figures[i].cpus == 2 ? 2 : 1; cpus <= 2 && !list; cpus++)
			worst |= figure_start(&figures[i], i, cpus, peers ? "--one-peer" : "--one");
	}
	if (found == 0)
		bench_say(BENCH_FAILED, "no such figure here; --list names them");
	return found == 0 ? 2 : worst;
}
