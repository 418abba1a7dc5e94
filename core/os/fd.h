/*
 * fd.h - descriptors, each born close-on-exec, and passing them over a socket.
 *
 * Every function returns 0 or a count, or -errno.  Everything may be called from any
 * thread and, since nothing here allocates or locks, between fork and exec.
 */
#ifndef COH_OS_FD_H
#define COH_OS_FD_H

#include <cohort/time.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The most descriptors that travel with one message: a whole heritage (heritage.h); Linux takes 253. */
#define COH_FD_PASS 128

/* A connected pair of Unix sockets of TYPE (SOCK_STREAM or SOCK_SEQPACKET).  Gives both. */
int coh_fd_pair(int fds[2], int type);

/* A pipe: fds[0] reads, fds[1] writes.  Gives both. */
int coh_fd_pipe(int fds[2]);

/* An eventfd that does not block; gives it.  */
int coh_fd_event(void);

/* A timer that is readable, until it is set anew, once its moment is there; not set yet.  Gives it. */
int coh_fd_timer(void);

/* Let timer FD ring at WHEN (a moment; COHORT_FOREVER: not); what had rung is forgotten. */
void coh_fd_timer_set(int fd, cohort_time when);

/* An anonymous file in memory; NAME is for /proc only.  Gives it. */
int coh_fd_memory(const char *name);

/* PATH opened for reading and writing (regular use: /dev/null).  Gives it. */
int coh_fd_open(const char *path, int flags);

/* NAME in folder DIR, opened likewise; what O_CREAT makes is for this user alone.  Gives it. */
int coh_fd_open_at(int dir, const char *name, int flags);

/* A second descriptor for FD.  Gives it. */
int coh_fd_dup(int fd);

/* Close *FD if it is one (>= 0), and make it -1.  Keeps errno. */
void coh_fd_close(int *fd);

/* Close every descriptor of the process >= FIRST except the N in KEEP (N <= COH_FD_PASS). */
int coh_fd_close_except(int first, const int *keep, int n);

/* End one direction of socket FD, or both: the peer reads the end; poll wakes.  Never waits. */
enum coh_fd_end { COH_FD_WRITING, COH_FD_BOTH };
void coh_fd_shutdown(int fd, enum coh_fd_end what);

/* What happens to FD at exec. */
enum coh_fd_exec { COH_FD_EXEC_CLOSE, COH_FD_EXEC_KEEP };
int coh_fd_set_exec(int fd, enum coh_fd_exec what);

/*
 * Wait until FD is ready for EVENTS (POLLIN, POLLOUT) or at its end.
 * 1, 0 when DEADLINE passed first, -errno.
 */
int coh_fd_wait(int fd, short events, cohort_time deadline);

/*
 * Send IOV (N parts) as one message over SOCKET, and with it the NFDS descriptors at FDS
 * (borrowed; NFDS <= COH_FD_PASS).  Never raises SIGPIPE.  The bytes sent, or -errno.
 */
ssize_t coh_fd_send(int socket, const struct iovec *iov, int n, const int *fds, int nfds);

/*
 * Receive one message of up to SIZE bytes at P, and up to COH_FD_PASS descriptors into FDS;
 * *NFDS says how many.  Gives the descriptors.  FLAGS as recvmsg (MSG_DONTWAIT).  The bytes
 * received, 0 at the end; -EMSGSIZE when the message was longer (nothing is given);
 * -EMFILE when descriptors came that found no room (*P is filled, none are given).
 */
ssize_t coh_fd_recv(int socket, void *p, size_t size, int fds[COH_FD_PASS], int *nfds, int flags);

/*
 * As sendfile(2) from IN at *AT to SOCKET, but never raises SIGPIPE, which sendfile has no flag against: the
 * peer's going away would end the process.  The bytes sent (*AT moves on by them), or -errno.
 */
ssize_t coh_fd_send_file(int socket, int in, off_t *at, size_t size);

/* Read exactly SIZE bytes from OFFSET on; 0, -ENODATA when the file ends before, -errno. */
int coh_fd_read_at(int fd, void *p, size_t size, off_t offset);

/* Write exactly SIZE bytes from OFFSET on; 0 or -errno. */
int coh_fd_write_at(int fd, const void *p, size_t size, off_t offset);

/* Write all of IOV (N parts, changed) at the file's position; 0 or -errno. */
int coh_fd_write_all(int fd, struct iovec *iov, int n);

/*
 * Tests: the N-th call from now that would make a descriptor fails with errno E (1 = the
 * next); 0 turns it off.  coh_fd_count tells how many there were since.
 */
void coh_fd_fail(unsigned long n, int e);
unsigned long coh_fd_count(void);

#endif
