/*
 * faults.h - system calls that fail when a test wants them to.
 *
 * The program is linked with -Wl,--wrap for each call of the table in faults.c, so what the library
 * calls comes here first.  Faults are of the thread that armed them; other threads never see
 * one.  What OpenSSL and libc call inside themselves is not wrapped.
 */
#ifndef TESTS_FAULT_FAULTS_H
#define TESTS_FAULT_FAULTS_H

#include <cohort/error.h>
#include <stdbool.h>

/* Every read or write of this thread moves one byte at most. */
void faults_short(bool on);

/* How many descriptors are open. */
int faults_descriptors(void);

/*
 * Run SCENARIO(ARG, ERR) once for each system call it makes and each error that call can
 * return, with that one failing.  It must return 0 (it went on, and what it did was right) or a
 * code that ERR names in words; with EINTR and EAGAIN it must return 0.  CHECK that, and that
 * it did not take long and left no descriptor.  How many faults were injected.
 */
long faults_sweep(int (*scenario)(void *arg, struct cohort_error *err), void *arg);

/* In a scenario: what failed was enough, everything else works from here on. */
void faults_over(void);

#endif
