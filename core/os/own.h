/*
 * own.h - memory that is this process's alone: in a child by fork it is all zeroes again.
 *
 * For what must not be the same in two processes, without asking at each use which process this is
 * (a system call).  A lock that is kept there is free in the child, whoever held it in the parent.
 */
#ifndef COH_OS_OWN_H
#define COH_OS_OWN_H

#include <stddef.h>

/*
 * The memory of SLOT, SIZE bytes, zeroed when it is asked for first in a process; for the life of the
 * process.  NULL when the system gives none (errno; the next call tries again).  Any thread; not while
 * a signal is handled.  madvise(2), MADV_WIPEONFORK, Linux 4.14.
 */
void *coh_own_get(void *_Atomic *slot, size_t size);

#endif
