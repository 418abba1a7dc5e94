/*
 * program.c - which file a node runs, by path and SHA-256.
 *
 * The file is opened once, summed through that descriptor and executed through it, so that a file
 * put in its place meanwhile is never run.  A file changed in place after the sum would be: it
 * belongs to who may write it, and the kernel refuses that while it runs (ETXTBSY).
 */
#include "node/program.h"

#include "base/err.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUM_TEXT (2 * COH_HASH_SIZE + 1)

static void sum_print(const unsigned char sum[COH_HASH_SIZE], char out[SUM_TEXT])
{
	for (int i = 0; i < COH_HASH_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

static pthread_mutex_t self_lock = PTHREAD_MUTEX_INITIALIZER; /* guards self and self_known */
static struct coh_program self;
static bool self_known;

/* The kernel marks the path of a file that was replaced while it runs; nodes need the path. */
static void self_undelete(void)
{
	static const char mark[] = " (deleted)";
	size_t n = strlen(self.path), m = sizeof mark - 1;

	if (n > m && strcmp(self.path + n - m, mark) == 0 && access(self.path, F_OK) != 0)
		self.path[n - m] = '\0';
}

static int self_read(struct cohort_error *err)
{
	ssize_t n = readlink("/proc/self/exe", self.path, sizeof self.path - 1);
	int fd, rc;

	if (n < 0)
		return coh_fail_errno(err, errno, "find this program's file");
	self.path[n] = '\0';
	self_undelete();
	fd = coh_fd_open("/proc/self/exe", O_RDONLY);
	if (fd < 0)
		return coh_fail_errno(err, -fd, "open this program's file %.300s", self.path);
	rc = coh_hash_fd(fd, self.sha256);
	coh_fd_close(&fd);
	if (rc != 0)
		return coh_fail(err, rc, "sum this program's file %.300s: %s", self.path,
		    cohort_strerror(rc));
	self_known = true;
	return 0;
}

int coh_program_self(const struct coh_program **out, struct cohort_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&self_lock);
	if (!self_known)
		rc = self_read(err);
	pthread_mutex_unlock(&self_lock);
	*out = &self;
	return rc;
}

static int program_check(int fd, const char *path, const unsigned char want[COH_HASH_SIZE],
    struct cohort_error *err)
{
	unsigned char got[COH_HASH_SIZE];
	char got_text[SUM_TEXT], want_text[SUM_TEXT];
	struct stat st;
	int rc;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
		return coh_fail(err, COHORT_EPROGRAM, "%.160s on this node is not an executable file",
		    path);
	rc = coh_hash_fd(fd, got);
	if (rc != 0)
		return coh_fail(err, COHORT_EPROGRAM, "%.160s on this node cannot be read: %s", path,
		    cohort_strerror(rc));
	if (memcmp(got, want, sizeof got) == 0)
		return 0;
	sum_print(got, got_text);
	sum_print(want, want_text);
	return coh_fail(err, COHORT_EPROGRAM,
	    "%.160s on this node has SHA-256 %s, the coordinator's has %s: install the same file on both",
	    path, got_text, want_text);
}

int coh_program_open(
    const char *path, const unsigned char sha256[COH_HASH_SIZE], struct cohort_error *err)
{
	int fd, rc;

	if (path[0] != '/')
		return coh_fail(err, COHORT_EPROGRAM, "the program's path %.160s is not absolute",
		    path);
	fd = coh_fd_open(path, O_RDONLY);
	if (fd < 0)
		return coh_fail(err, COHORT_EPROGRAM,
		    "%.160s cannot be opened on this node (%s): install the program there", path,
		    strerror(-fd));
	rc = program_check(fd, path, sha256, err);
	if (rc == 0)
		return fd;
	coh_fd_close(&fd);
	return rc;
}

int coh_program_allowed(const char *path, const char *const *allowed, unsigned count,
    struct cohort_error *err)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(path, allowed[i]) == 0)
			return 0;
	if (count == 0)
		return 0;
	return coh_fail(err, COHORT_EPROGRAM,
	    "this node runs only the programs named by --program, of which %.160s is none", path);
}
