/*
 * port_file.c - the address really bound, in a file that is whole as soon as it is there.
 */
#include "node/port_file.h"

#include "base/err.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* TEXT and a newline as the whole file PATH, or no file. */
static int line_write(const char *path, const char *text)
{
	struct iovec iov[] = {{(void *)(uintptr_t)text, strlen(text)}, {(void *)(uintptr_t) "\n", 1}};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc;

	if (fd < 0)
		return -errno;
	rc = coh_fd_write_all(fd, iov, 2);
	coh_fd_close(&fd);
	return rc;
}

int coh_port_file_write(const char *path, const char *address, struct cohort_error *err)
{
	char temporary[4200];
	struct stat st;
	int rc;

	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* a pipe, /dev/stdout: not ours to replace */
		return coh_fail(err, -EEXIST,
		    "write port file %.200s: it is there and is no plain file", path);
	/* renamed into place: whoever waits for the file finds it whole */
	snprintf(temporary, sizeof temporary, "%.4096s.new", path);
	rc = line_write(temporary, address);
	if (rc == 0 && rename(temporary, path) != 0)
		rc = -errno;
	return rc == 0 ? 0 : coh_fail_errno(err, -rc, "write port file %.200s", path);
}
