/*
 * shm.h - memory that processes share through a descriptor: nothing has a name, nothing can leak.
 *
 * Functions that can fail return -errno, or NULL with errno.  Any thread.
 */
#ifndef COH_OS_SHM_H
#define COH_OS_SHM_H

#include <stdbool.h>
#include <stddef.h>

/* A zeroed anonymous segment of SIZE bytes, its pages reserved; gives the descriptor, or -errno. */
int coh_shm_new(const char *name, size_t size);

/*
 * Make the empty file FD SIZE bytes long, all of them reserved, and TAIL bytes behind them that
 * are not (reserve those with coh_shm_reserve before they are touched).  0, -ENOSPC (of the file
 * system, or of the machine's memory), -EFBIG (more
 * than there can be, or than RLIMIT_FSIZE allows), -errno.
 */
int coh_shm_extend(int fd, size_t size, size_t tail);

/* An anonymous segment of SIZE and TAIL bytes likewise, sealed as below; gives the descriptor. */
int coh_shm_new_fixed(const char *name, size_t size, size_t tail);

/*
 * The machine has memory for SIZE bytes more, as far as it can be told; what is less than 16 MiB is
 * not worth the question.  Reserving more than there is would end in the system killing processes.
 */
bool coh_shm_there(size_t size);

/* FD is so sealed that its size can never change. */
bool coh_shm_sealed(int fd);

/* SIZE bytes of it, mapped; NULL when they cannot be (errno).  End with coh_shm_unmap. */
void *coh_shm_map(int fd, size_t size);
void coh_shm_unmap(void *p, size_t size);

/*
 * In place of the SIZE bytes mapped at P: zeroes of this process alone.  False: they cannot be had.  Async-signal-safe on
 * Linux, where it is one system call.
 */
bool coh_shm_forget(void *p, size_t size);

/*
 * A segment of SIZE bytes, no page of it reserved, sealed: its size can never change, so that who
 * maps it on another's word is safe from a SIGBUS.  Gives the descriptor.
 */
int coh_shm_new_sealed(const char *name, size_t size);

/* FD, which a peer gave, is such a segment of SIZE bytes: 0, or -EINVAL. */
int coh_shm_check_sealed(int fd, size_t size);

/* The same as coh_shm_map, for reading only. */
void *coh_shm_map_read(int fd, size_t size);

/*
 * Have SIZE bytes at P (page-aligned, mapped from FD at OFFSET) ready to be written, or to be
 * read.
 */
int coh_shm_reserve(int fd, void *p, size_t offset, size_t size);
int coh_shm_touch(void *p, size_t size);

/* Give the pages of the first SIZE bytes of FD back to the system: they read as zeroes. */
void coh_shm_discard(int fd, size_t size);

#endif
