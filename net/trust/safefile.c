/*
 * safefile.c - files that decide whom we trust, and who else could have touched them.
 *
 * A file is judged by its descriptor, after opening, so that what was checked is what is
 * read; the directories above are walked by "..", so that no name is looked up twice.
 */
#include "trust/safefile.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 256 /* directories above a file: more is a loop or an attack */

/* Is ST, a directory above the file, open as FD, one that only we and root can change? */
static int dir_check(int fd, const struct stat *st, struct cohort_error *err)
{
	bool ours = st->st_uid == geteuid() || st->st_uid == 0;
	bool shared = (st->st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st->st_mode & S_ISVTX) == 0;
	char link[32], dir[256] = "a directory above it";
	ssize_t n;

	if (ours && !shared)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, dir, sizeof dir - 1);
	if (n > 0)
		dir[n] = '\0';
	if (!ours)
		return coh_fail(err, COHORT_EKEY, "%s belongs to uid %u, allowed are uid %u and root",
		    dir, (unsigned)st->st_uid, (unsigned)geteuid());
	return coh_fail(err, COHORT_EKEY, "others may write in %s (mode %04o); run: chmod go-w '%s'",
	    dir, (unsigned)st->st_mode & 07777, dir);
}

/* Check the directory *FD and all above it; *FD is moved along and is the caller's to close. */
static int dir_climb(int *fd, struct cohort_error *err)
{
	struct stat st, above;
	int up, rc;

	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		if (fstat(*fd, &st) < 0)
			return coh_fail(err, COHORT_EKEY, "%m");
		rc = dir_check(*fd, &st, err);
		if (rc < 0)
			return rc;
		up = openat(*fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0 || fstat(up, &above) < 0) {
			if (up >= 0)
				close(up);
			return coh_fail(err, COHORT_EKEY, "a directory above: %m");
		}
		close(*fd);
		*fd = up;
		if (above.st_ino == st.st_ino && above.st_dev == st.st_dev)
			return 0;
	}
	return coh_fail(err, COHORT_EKEY, "more than %d directories above it", DEPTH_MAX);
}

/* Put in front of the sentence which file it is about. */
static int about(const struct coh_safefile *f, int rc, struct cohort_error *err)
{
	return rc < 0 ? coh_fail_in(err, rc, "%s %.128s", f->rule->what, f->path) : rc;
}

static int find(struct coh_safefile *f, struct cohort_error *err)
{
	const char *slash = strrchr(f->path, '/');
	int fd, rc;

	f->name = slash != NULL ? slash + 1 : f->path;
	if (*f->name == '\0')
		return coh_fail(err, COHORT_EKEY, "it must name a file");
	f->dir = coh_strdup(slash != NULL ? f->path : ".");
	if (f->dir == NULL)
		return coh_fail(err, -ENOMEM, "no memory");
	if (slash != NULL)
		f->dir[slash == f->path ? 1 : slash - f->path] = '\0';
	f->dirfd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = f->dirfd >= 0 ? fcntl(f->dirfd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0)
		return coh_fail(err, COHORT_EKEY, "its directory: %m");
	rc = dir_climb(&fd, err);
	close(fd);
	return rc;
}

int coh_safefile_find(struct coh_safefile *f, const struct coh_safefile_rule *rule,
    const char *path, struct cohort_error *err)
{
	*f = (struct coh_safefile){.rule = rule, .path = path, .dirfd = -1};
	return about(f, find(f, err), err);
}

void coh_safefile_fini(struct coh_safefile *f)
{
	coh_free(f->dir);
	if (f->dirfd >= 0)
		close(f->dirfd);
}

static int file_check(const struct coh_safefile *f, int fd, struct cohort_error *err)
{
	mode_t never = f->rule->secret ? S_IRWXG | S_IRWXO : S_IWGRP | S_IWOTH;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return coh_fail(err, COHORT_EKEY, "%m");
	if (!S_ISREG(st.st_mode))
		return coh_fail(err, COHORT_EKEY, "it is not a regular file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return coh_fail(err, COHORT_EKEY, "it belongs to uid %u, allowed are uid %u and root",
		    (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & never) != 0)
		return coh_fail(err, COHORT_EKEY,
		    "mode %04o lets others %s it, allowed is %s; run: chmod %s '%.128s'",
		    (unsigned)st.st_mode & 07777, f->rule->secret ? "at" : "write",
		    f->rule->secret ? "0600" : "0644", f->rule->secret ? "600" : "go-w", f->path);
	if (st.st_size == 0)
		return coh_fail(err, COHORT_EKEY, "it is empty%s", f->rule->hint);
	if ((unsigned long long)st.st_size > f->rule->max)
		return coh_fail(err, COHORT_EKEY, "%lld bytes, allowed are %zu at most",
		    (long long)st.st_size, f->rule->max);
	return 0;
}

/* O_NONBLOCK: a FIFO in its place must not hold us up. */
static int file_open(const struct coh_safefile *f, struct cohort_error *err)
{
	int fd = openat(f->dirfd, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int rc;

	if (fd < 0 && errno == ELOOP)
		return coh_fail(err, COHORT_EKEY, "it is a symbolic link; name the file itself");
	if (fd < 0 && errno == ENOENT)
		return coh_fail(err, COHORT_EKEY, "there is no such file%s", f->rule->hint);
	if (fd < 0)
		return coh_fail(err, COHORT_EKEY, "%m");
	rc = file_check(f, fd, err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

int coh_safefile_open(struct coh_safefile *f, struct cohort_error *err)
{
	return about(f, file_open(f, err), err);
}

/* All of FD into the MAX bytes at P.  How many, or COHORT_EKEY. */
static ssize_t file_slurp(int fd, char *p, size_t max, struct cohort_error *err)
{
	size_t got = 0;
	ssize_t n;

	while ((n = read(fd, p + got, max - got)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return coh_fail(err, COHORT_EKEY, "%m");
		got += (size_t)n;
		if (got == max)
			return coh_fail(err, COHORT_EKEY, "more than %zu bytes", max - 1);
	}
	return (ssize_t)got;
}

int coh_safefile_read(void **data, size_t *size, const struct coh_safefile_rule *rule,
    const char *path, struct cohort_error *err)
{
	struct coh_safefile f;
	char *p = NULL;
	ssize_t n = 0;
	int fd = -1, rc = coh_safefile_find(&f, rule, path, err);

	*data = NULL;
	if (rc == 0) {
		fd = coh_safefile_open(&f, err);
		rc = fd < 0 ? fd : 0;
	}
	if (rc == 0) {
		p = coh_calloc(rule->max + 1); /* one more shows a file that grew */
		n = p != NULL ? file_slurp(fd, p, rule->max + 1, err) : coh_fail(err, -ENOMEM, "no memory");
		rc = n < 0 ? about(&f, (int)n, err) : 0;
	}
	if (fd >= 0)
		close(fd);
	coh_safefile_fini(&f);
	if (rc != 0) {
		coh_free_wiped(p, rule->max + 1);
		return rc;
	}
	*data = p;
	*size = (size_t)n;
	return 0;
}
