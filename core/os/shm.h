/* shm.h - memory that processes share through a descriptor: nothing has a name, nothing can leak. */
#ifndef COH_OS_SHM_H
#define COH_OS_SHM_H

#include <stddef.h>

/* A zeroed anonymous segment of SIZE bytes, its pages reserved; gives the descriptor, or -errno. */
int coh_shm_new(const char *name, size_t size);

/* SIZE bytes of it, mapped; NULL when they cannot be (errno).  End with coh_shm_unmap. */
void *coh_shm_map(int fd, size_t size);
void coh_shm_unmap(void *p, size_t size);

#endif
