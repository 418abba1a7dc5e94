/*
 * shm.c - anonymous shared memory.
 *
 * Pages are reserved when the segment is made (fallocate), so that a full memory file system is an
 * error here and never a SIGBUS in the middle of use (trust: F31).
 */
#include "os/shm.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

int coh_shm_new(const char *name, size_t size)
{
	int fd = coh_fd_memory(name);

	if (fd >= 0 && posix_fallocate(fd, 0, (off_t)size) != 0) {
		coh_fd_close(&fd);
		return -ENOSPC;
	}
	return fd;
}

void *coh_shm_map(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void coh_shm_unmap(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, size);
}
