/*
 * party.h - which process: a pid with the moment it began, so that a pid used again is nobody we
 * knew, and its program, so that what it held before an exec(3) is nobody's.
 *
 * An id is 64 bits: 10 for the program, 22 of the pid, and the lower 32 of its start (clock ticks since
 * boot, proc(5); 0: there was no /proc to ask); never 0.  The program is a hash of where its stack began, which the system
 * chooses at random with each exec: one in a thousand is not told from the one before, and counts as the same; so does one
 * that the asker may not look into (0).  What is held by a process
 * for longer than a call (a permit, an item) is noted under it in shared memory; whoever finds it
 * later can ask whether that process still lives.  For processes of one pid namespace.
 */
#ifndef COH_SYNC_PARTY_H
#define COH_SYNC_PARTY_H

#include <stdbool.h>
#include <stdint.h>

/* This process.  Right after fork too.  Asked once a process; a thread-safe load after that. */
uint64_t coh_party_self(void);

/* Ask again: for who comes out of a fork that ran no pthread_atfork(3) handler (work/init.c). */
void coh_party_reset(void);

/*
 * PARTY lives: it exists, is no zombie, began when PARTY says, and runs that program.  Some system calls.  When it
 * cannot be told (no /proc) it counts as living.
 */
bool coh_party_alive(uint64_t party);

/* The pid namespace of this process, as a number; 0 when it cannot be told.  Pids of another mean nothing here. */
uint64_t coh_party_space(void);

#define COH_PARTY_PID 0x3fffffu /* PID_MAX_LIMIT is 2^22 */

/* Its pid, for sentences. */
static inline int coh_party_pid(uint64_t party)
{
	return (int)(party >> 32 & COH_PARTY_PID);
}

#endif
