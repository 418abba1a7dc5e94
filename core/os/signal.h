/* signal.h - SIGTERM, SIGINT and SIGHUP as a descriptor, for programs that end in order. */
#ifndef COH_OS_SIGNAL_H
#define COH_OS_SIGNAL_H

/*
 * Block the three in the calling thread (threads made later inherit that) and give a
 * descriptor that becomes readable when one comes.  Children of the zygote are not concerned.
 * The descriptor, or -errno.
 */
int coh_signal_open(void);

/* Read the signal that came: its number, or 0. */
int coh_signal_take(int fd);

/* Close FD.  The three stay blocked: the program is ending, and another one must not cut that short. */
void coh_signal_close(int fd);

#endif
