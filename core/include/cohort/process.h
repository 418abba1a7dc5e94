/*
 * process.h - processes of this program, started, watched and ended.
 *
 * cohort_init comes first in main.  It turns the process into a child's life when it was
 * started as one (then it does not return), and otherwise forks the zygote: a
 * single-threaded helper that has nothing open, from which all children come.  So no
 * child is ever forked under a thread.
 *
 * By zygote and by spawn a child has the environment, the working directory, the resource limits
 * and the CPUs that the program had at cohort_init; by fork those of the moment.  However it was
 * started, its standard input is /dev/null, its standard output and error are the parent's, no
 * other descriptor is open (so that handles of the parent are of no use in it, also where it was
 * forked: it opens what is shared with it, see struct cohort_share), no signal is blocked,
 * handled or ignored, and it gets SIGKILL when its parent ends.
 *
 * A process runs a registered task (task.h): its arguments travel, its return value becomes
 * the exit code: 0, the value itself from 1 to 255, 1 for a negative code (whose sentence goes
 * to standard error).
 *
 * Unless said otherwise the calls may be used from any thread, and refer to children of the
 * process that started them only.
 */
#ifndef COHORT_PROCESS_H
#define COHORT_PROCESS_H

#include <cohort/conn.h>
#include <cohort/task.h>
#include <cohort/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Become a program of Cohort.  Call it first in main, before any thread, and pass main's own
 * argc and argv: an argument meant for Cohort is removed.
 *
 * Returns 0, or COHORT_ENAME, COHORT_EFORMAT (a registered task is wrong: the sentence names
 * it), COHORT_ETHREADS (a thread exists already), COHORT_ESTATE (called twice), -errno.  In a
 * child it does not return: the process ends when its task does.
 */
COHORT_API int cohort_init(int *argc, char ***argv, struct cohort_error *err);

/*
 * End everything Cohort started, in order and until DEADLINE: open pools are terminated,
 * daemon processes get SIGTERM, the others are joined, what is left at the deadline gets
 * SIGKILL, the zygote ends last.  Registered with atexit by cohort_init with 5 s; calling it
 * sooner is fine, twice too.  Returns 0, or COHORT_ETIMEDOUT when something had to be killed.
 */
COHORT_API int cohort_shutdown(cohort_time deadline);

struct cohort_process;

enum cohort_start {
	COHORT_START_ZYGOTE = 0, /* forked by the zygote: the default, a fraction of a millisecond */
	COHORT_START_SPAWN,      /* a fresh image: exec of this program */
	COHORT_START_FORK,       /* fork of this process as it is; refused when it has threads */
};

/*
 * A shared object (lock, event, array, queue, ...) for a child: OBJECT is its open handle, of
 * whatever type, and is borrowed for the call.  The child opens it by the object's own open call
 * at the address "inherit:NAME", as often as it likes.  Names are [A-Za-z0-9_.-]{1,64}; a child
 * is given up to 32 objects.
 */
struct cohort_share {
	const char *name;
	const void *object;
};

struct cohort_process_options {
	const char *name;        /* NULL: "task-1", "task-1:2" in a child of that one, ... */
	enum cohort_start start;
	int daemon;              /* non-zero: SIGTERM at shutdown, and may have no children */
	int connected;           /* non-zero: parent and child are joined by a connection */
	const struct cohort_share *share; /* objects that the child is given, and how many */
	int shares;
};

/*
 * Start a process that runs TASK with the values the further arguments point at, in the order
 * of its argument format, which must be flat (no array).  OPTIONS may be NULL.  Borrows all
 * for the call; gives *OUT, end it with cohort_process_free.
 *
 * Waits at most 10 s for the zygote.  Returns 0, COHORT_ENOTASK, COHORT_EINIT, COHORT_ETHREADS
 * (by fork, or a child's first start, beside threads), COHORT_EZYGOTE, COHORT_ESTATE (this is a
 * daemon: it may have no children; or cohort_shutdown was called), COHORT_ENOTSUP (the task's
 * arguments are not flat), COHORT_EARGUMENT (no such start method; a name over 128 bytes; over 32
 * shares, one name twice among them, or what is no handle of a shared object), COHORT_ENAME (of a
 * share), COHORT_ETOOBIG, COHORT_ETIMEDOUT, -EAGAIN, -ENOMEM, -EMFILE.
 */
COHORT_API int cohort_process_start(struct cohort_process **out,
    const struct cohort_process_options *options, struct cohort_error *err, const char *task,
    ...);

/* Its process id and its name.  The name lives as long as P. */
COHORT_API int cohort_process_pid(const struct cohort_process *p);
COHORT_API const char *cohort_process_name(const struct cohort_process *p);

/* 1 while it runs, 0 once it has ended. */
COHORT_API int cohort_process_alive(struct cohort_process *p);

/*
 * Wait until it has ended.  0, COHORT_ETIMEDOUT, COHORT_ESTATE (not this process's child).
 * Repeatable.
 */
COHORT_API int cohort_process_join(struct cohort_process *p, cohort_time deadline);

/*
 * How it ended: 0 to 255 as it exited, -N when signal N killed it (Python's encoding).
 * Returns 0 with *CODE set, or COHORT_ESTATE while it runs.  255 when the zygote died first.
 */
COHORT_API int cohort_process_exit_code(struct cohort_process *p, int *code);

/* Send SIGTERM, SIGKILL, SIGINT.  0, also when it has ended already; COHORT_ESTATE; -EPERM. */
COHORT_API int cohort_process_terminate(struct cohort_process *p);
COHORT_API int cohort_process_kill(struct cohort_process *p);
COHORT_API int cohort_process_interrupt(struct cohort_process *p);

/* A descriptor that becomes readable when it ends (a pidfd); P's.  For cohort_wait. */
COHORT_API int cohort_process_sentinel(const struct cohort_process *p);

/* The connection to it (option `connected`), NULL without.  P's; closed by free. */
COHORT_API struct cohort_conn *cohort_process_conn(struct cohort_process *p);

/*
 * Free P and close its connection.  A process that still runs goes on, and is ended by
 * cohort_shutdown like all others.  NULL is fine; a copy in a forked child is left alone.
 */
COHORT_API void cohort_process_free(struct cohort_process *p);

/*
 * The children of this process that still run: their pids into PIDS (at most N).  Returns how
 * many there are.
 */
COHORT_API int cohort_process_children(int *pids, int n);

/* This process: its name ("main" in the first). */
COHORT_API const char *cohort_process_current(void);

/* The pid of the process that started this one, 0 in the first; and whether it still lives. */
COHORT_API int cohort_process_parent(void);
COHORT_API int cohort_process_parent_alive(void);

/* In a child started `connected`: the connection to the parent.  The library's; NULL otherwise. */
COHORT_API struct cohort_conn *cohort_process_parent_conn(void);

/* How many CPUs this process may use (its affinity and its cgroup's quota), at least 1. */
COHORT_API int cohort_cpu_count(void);

#ifdef __cplusplus
}
#endif
#endif
