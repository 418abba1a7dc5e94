/*
 * bench.h - figures: ours over a peer's, as the ratio of interleaved medians of one run.
 *
 * A program of figures is a table of struct bench_figure and a main that calls bench_main.
 * Each figure is measured twice, each time in a fresh process: placed on one CPU ("NAME.1cpu")
 * and on two ("NAME.2cpu"); a wake-up across CPUs costs several times one on the same CPU, so
 * figures of different placements are never compared.  What a contestant starts inherits the
 * placement; where two sides talk, bench_pin gives each side its CPU.
 *
 * Everything a contestant starts is killed with the process of its figure: bench_peer and
 * bench_command see to it for their children.
 */
#ifndef COHORT_BENCH_H
#define COHORT_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a contestant's function returns. */
enum bench_status {
	BENCH_OK = 0,
	BENCH_FAILED = -1,  /* it could not be measured: the figure is short */
	BENCH_MISSING = -2, /* the peer is not installed: the figure is reported as missing it */
};

/*
 * Measure once: set up, run, tear down, and store the rate or time of the run alone.  It is
 * called once unrecorded, to warm up, and then once a round, in turn with the other.  A
 * figure of one round has no warming up.
 */
typedef int (*bench_run_fn)(const void *arg, double *value);

struct bench_contestant {
	const char *name;
	bench_run_fn run; /* NULL: nobody has written it; the figure is short */
	const void *arg;
};

enum bench_sense { BENCH_AT_LEAST, BENCH_AT_MOST };

struct bench_figure {
	const char *name; /* "PROGRAM.figure" */
	const char *unit; /* of what both measure: "us", "tasks/s" */
	struct bench_contestant ours, peer;
	enum bench_sense sense;
	double bar;       /* for ours over peer */
	int rounds;       /* 0: 7 */
	int cpus;         /* 2: only where there are two, since it means nothing on one; 0: both */
};

/*
 * Options: --list (names), --peers (the peers alone: `name<TAB>median<TAB>unit`), NAME... (these
 * figures, or those whose names begin so up to a dot).  Prints a line a figure and placement:
 * `name<TAB>value<TAB>bar<TAB>pass|short|missing peer`; medians of both go to standard error.
 * Returns main's exit code: 0, 1 when any is short, 2 for wrong usage.
 */
int bench_main(int argc, char **argv, const struct bench_figure *figures, int n);

/* A remark on standard error ("# ..."); returns STATUS, so that failing is one line. */
int bench_say(enum bench_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Monotonic nanoseconds, and the seconds since such a moment. */
int64_t bench_now(void);
double bench_since(int64_t start);

/* The median of N values, which are sorted in place. */
double bench_median(double *values, int n);

/*
 * Where this figure runs: on 1 or 2 CPUs; the CPU of side 0 or 1; pin the caller there, or let it run on
 * all of them.  Each
 * sample begins unpinned, with all CPUs of the placement.
 */
int bench_cpus(void);
int bench_cpu(int side);
void bench_pin(int side);
void bench_unpin(void);

/*
 * Fork a child that is pinned as side 1, runs FN and exits with what it returns; it dies with
 * its parent.  bench_reap waits for it: BENCH_OK if it exited with 0, or BENCH_FAILED.
 */
pid_t bench_peer(int (*fn)(void *arg), void *arg);
int bench_reap(pid_t pid);

/* The run ended with RC: reap the child, or kill it first when RC is not 0, since it may wait. */
int bench_finish(pid_t pid, int rc);

/*
 * A folder of this figure's own, for what contestants must have as files.  It is removed with all
 * that is in it when the figure ends, or by the next run when its own was killed.
 */
const char *bench_folder(void);

/* Run ARGV, which is found on the PATH, and read the number it prints first.  */
int bench_command(char *const argv[], double *value);

enum bench_link { BENCH_SOCKETPAIR, BENCH_TCP, BENCH_TLS };

/* Two connected stream sockets, no TLS; TCP is over 127.0.0.1 with TCP_NODELAY.  BENCH_OK or BENCH_FAILED. */
int bench_pair(enum bench_link link, int fds[2]);

/* A socket that listens on 127.0.0.1 at *PORT, and one connected to it; -1 on failure. */
int bench_listen(int *port);
int bench_connect(int port);

/* Exactly N bytes; 0, or -1 when the other side is gone. */
int bench_read(int fd, void *data, size_t n);

/*
 * The same from a Unix socket for one who has just sent: who sleeps in read there is also woken
 * when the other side takes what was sent, so it is quicker to sleep in poll first.
 */
int bench_read_answer(int fd, void *data, size_t n);
int bench_write(int fd, const void *data, size_t n);

#endif
