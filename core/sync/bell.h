/*
 * bell.h - a descriptor that is readable while there may be something to do: for those who poll.
 *
 * It goes with a gate (gate.h), at which those sleep who do not poll.  It is an eventfd, or a fifo of a named object, that
 * does not block; a ring makes it readable, hushing makes it silent.  Whoever rings looks first whether anybody
 * polls (a count in shared memory, kept by the object), so that nobody pays who does not use it.
 */
#ifndef COH_SYNC_BELL_H
#define COH_SYNC_BELL_H

/* Make FD readable.  Never waits.  Async-signal-safe. */
void coh_bell_ring(int fd);

/* Make it silent: look for work after that, and ring again if there is any. */
void coh_bell_hush(int fd);

#endif
