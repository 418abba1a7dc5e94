/*
 * shm.c - anonymous shared memory.
 *
 * Pages are reserved when the segment is made (fallocate), so that a full memory file system is an
 * error here and never a SIGBUS in the middle of use (trust: F31).
 */
#include "os/shm.h"

#include "os/bus.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* since Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
#define WORTH_ASKING ((size_t)16 << 20)
#define CHUNK ((off_t)1 << 20) /* reserved in one go: a signal undoes what it interrupts */

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

/* The bare call: what a sanitizer puts around mmap is not for handlers of signals, nor is this a write that races others. */
COH_BUS_BARE bool coh_shm_forget(void *p, size_t size)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;

	return syscall(SYS_mmap, p, size, PROT_READ | PROT_WRITE, flags, -1, 0L) != -1;
}

/* Making a file larger than this limit would raise SIGXFSZ. */
static bool size_allowed(size_t size)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	    (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= size);
}

int coh_shm_new_sealed(const char *name, size_t size)
{
	int fd = size_allowed(size) ? coh_fd_memory(name) : -EFBIG, e;

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == 0)
		return fd;
	e = errno;
	coh_fd_close(&fd);
	return -e;
}

/*
 * There is memory for SIZE bytes.  A memory file has no limit of its own: reserving more than the
 * machine has would end in the system killing processes.  What is small is not worth the
 * question.
 */
bool coh_shm_there(size_t size)
{
	char text[2048], *at;
	size_t kib = 0;
	ssize_t n;
	int fd;

	if (size < WORTH_ASKING)
		return true;
	fd = coh_fd_open("/proc/meminfo", O_RDONLY);
	n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	coh_fd_close(&fd);
	if (n <= 0)
		return true;
	text[n] = '\0';
	at = strstr(text, "MemAvailable:");
	kib += at != NULL ? strtoull(at + strlen("MemAvailable:"), NULL, 10) : SIZE_MAX >> 11;
	at = strstr(text, "SwapFree:");
	kib += at != NULL ? strtoull(at + strlen("SwapFree:"), NULL, 10) : 0;
	return size >> 10 <= kib;
}

/* The pages of SIZE bytes, some at a time. */
static int reserve(int fd, off_t size)
{
	off_t n;
	int e;

	for (off_t at = 0; at < size; at += n) {
		n = size - at < CHUNK ? size - at : CHUNK;
		do
			e = posix_fallocate(fd, at, n);
		while (e == EINTR);
		if (e != 0)
			return -e;
	}
	return 0;
}

int coh_shm_extend(int fd, size_t size, size_t tail)
{
	int rc;

	if (size > INT64_MAX || tail > INT64_MAX - size || !size_allowed(size + tail))
		return -EFBIG;
	if (!coh_shm_there(size))
		return -ENOSPC;
	rc = reserve(fd, (off_t)size);
	if (rc == 0 && tail != 0 && ftruncate(fd, (off_t)(size + tail)) != 0)
		rc = -errno;
	return rc;
}

int coh_shm_new_fixed(const char *name, size_t size, size_t tail)
{
	int fd = coh_fd_memory(name), rc;

	if (fd < 0)
		return fd;
	rc = coh_shm_extend(fd, size, tail);
	if (rc == 0 && fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) != 0)
		rc = -errno;
	if (rc != 0) {
		coh_fd_close(&fd);
		return rc;
	}
	return fd;
}

bool coh_shm_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS;
}

/* Not in huge pages: where there are none left, reading a hole in those is a SIGBUS after all. */
int coh_shm_check_sealed(int fd, size_t size)
{
	struct statfs fs;
	struct stat st;

	if (!coh_shm_sealed(fd) || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size != (off_t)size || fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
		return -EINVAL;
	return 0;
}

void *coh_shm_map_read(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* One call in place of a page fault for each page; where it is not known the faults do it. */
int coh_shm_reserve(int fd, void *p, size_t offset, size_t size)
{
	if (madvise(p, size, MADV_POPULATE_WRITE) == 0)
		return 0;
	return errno == EINVAL ? -posix_fallocate(fd, (off_t)offset, (off_t)size) : -errno;
}

int coh_shm_touch(void *p, size_t size)
{
	return madvise(p, size, MADV_POPULATE_READ) == 0 || errno == EINVAL ? 0 : -errno;
}

void coh_shm_discard(int fd, size_t size)
{
	/* What cannot be given back stays: no harm but its memory. */
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
}
