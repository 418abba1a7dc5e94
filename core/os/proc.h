/*
 * proc.h - child processes: how one begins, is watched, signalled and waited for.
 *
 * A child is known by its pidfd, so that no signal and no wait can ever meet another process
 * that was given the same number.  Its end is told in Python's encoding: 0 to 255 as it
 * exited, -N when signal N killed it.
 *
 * Functions on a struct coh_child may be called from any thread, of the process that
 * started it.
 */
#ifndef COH_OS_PROC_H
#define COH_OS_PROC_H

#include "os/heritage.h"

#include <cohort/error.h>
#include <cohort/time.h>
#include <stdbool.h>

/* How a child ended of which nobody can say how (multiprocessing: a forkserver that died). */
#define COH_CODE_UNKNOWN 255

/*
 * A child of this process.  The owner's storage, which must not move or be freed until
 * coh_proc_release; zero it before use.
 */
struct coh_child {
	int pid;
	int pidfd;
	bool forked;            /* reaped here; otherwise by the zygote */
	bool ended;             /* guarded, as code, by the lock of the file that reaps it */
	int code;
	struct coh_child *next; /* zygote.c: those with the same hash that run */
};

/*
 * A child's life from the moment it is settled: mask and dispositions of signals as at exec,
 * standard input /dev/null, nothing open that H does not name, and dead as soon as its
 * parent is.  Borrows H, which lives as long as the process.  Must not return.
 */
typedef void (*coh_child_fn)(const struct coh_heritage *h);

/* ThreadSanitizer may keep a thread of its own in any process, and copes with fork. */
#if defined(__SANITIZE_THREAD__)
#define COH_PROC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COH_PROC_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define COH_PROC_LEAK_CHECK 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define COH_PROC_LEAK_CHECK 1
#endif
#endif
#ifndef COH_PROC_LEAK_CHECK
#define COH_PROC_LEAK_CHECK 0
#endif
#ifndef COH_PROC_TSAN
#define COH_PROC_TSAN 0
#endif

/* How many threads this process has, as far as the program can know; -errno without /proc. */
int coh_proc_threads(void);

/*
 * Fork this process as it is and live FN in the child.  Gives *OUT.
 * 0, COHORT_ETHREADS, -errno.
 */
int coh_proc_fork(const struct coh_heritage *h, coh_child_fn fn, struct coh_child *out,
    struct cohort_error *err);

/* True once C has ended (it may not have been reaped yet).  Does not wait. */
bool coh_proc_ended(const struct coh_child *c);

/*
 * Wait until C, of either kind, has ended and it is known how.  Repeatable.
 * 0 with *CODE set (CODE may be NULL), or COHORT_ETIMEDOUT.
 */
int coh_proc_wait(struct coh_child *c, cohort_time deadline, int *code);

/* Send SIG to C.  0, also when it has ended already; -errno. */
int coh_proc_signal(const struct coh_child *c, int sig);

/* Close what C holds; a child that still runs goes on.  Nothing waits. */
void coh_proc_release(struct coh_child *c);

/* CODE in words, "exit code 3" or "signal 9 (Killed)", into SIZE bytes at OUT; returns OUT. */
const char *coh_proc_words(int code, char *out, size_t size);

/* --- The inside of a child's birth: zygote_main.c and the above --- */

/* die with PARENT: SIGKILL when it ends; ends at once when it has already. */
void coh_proc_bind(int parent);

/*
 * For a program that holds secrets, before it loads them: no core file is written of this process, and
 * no other process of its user may look into its memory.  0 or -errno.
 */
int coh_proc_seal(void);

/* From now on neither this process nor a child of it gains privileges by what it executes.  0 or -errno. */
int coh_proc_renounce(void);

/* Every signal as at the start of a program: disposition default (not the mask). */
void coh_proc_reset_signals(void);

/* Block no signal, or all of them. */
void coh_proc_mask_signals(int how_many);
#define COH_MASK_NONE 0
#define COH_MASK_ALL 1

/* Standard input becomes /dev/null.  0 or -errno. */
int coh_proc_null_stdin(void);

/* Close everything from 3 on that H does not name.  0 or -errno. */
int coh_proc_close_others(const struct coh_heritage *h);

/*
 * Become H's program, or this one again: exec with argv {name, "--cohort-child=FD"}, where FD
 * is a memory file for coh_proc_adopt.  Returns only on failure: -errno or COHORT_ETOOBIG.
 */
int coh_proc_exec(struct coh_heritage *h);

/*
 * The argument an exec'd child is known by, and its other end: read H out of descriptor FD,
 * settle, close FD.  *MEMORY (gives) is what H lends from.  0, COHORT_EPROTOCOL, -errno.
 */
#define COH_CHILD_ARGUMENT "--cohort-child="
int coh_proc_adopt(int fd, struct coh_heritage *h, void **memory);

#endif
