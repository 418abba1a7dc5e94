/*
 * keyfile.c - where the key comes from, and who else could have touched it.
 *
 * A file is judged by its descriptor, after opening, so that what was checked is what is
 * read; the directories above are walked by "..", so that no name is looked up twice.  One
 * format, hexadecimal: a stray newline or a text editor cannot make another key of it.
 * Sentences tell where a fault is and never what stands there.
 */
#include "trust/keyfile.h"

#include "base/err.h"
#include "base/mem.h"
#include "trust/hmac_openssl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 32 /* what is generated: no easier to guess than the MAC */
#define KEY_TEXT (2 * COHORT_KEY_MAX + 1)
#define DEPTH_MAX 256 /* directories above a key file: more is a loop or an attack */
#define FORMAT_HELP "a key file holds 32 to 128 hexadecimal digits and a newline"

/* A file by its directory and its name in it. */
struct place {
	const char *path;
	char *dir;
	const char *name;
	int dirfd;
};

/* Is ST, a directory above PATH open as FD, one that only we and root can change? */
static int dir_check(int fd, const struct stat *st, const char *path, struct cohort_error *err)
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
		return coh_fail(err, COHORT_EKEY,
		    "key file %.128s: %s belongs to uid %u, allowed are uid %u and root", path, dir,
		    (unsigned)st->st_uid, (unsigned)geteuid());
	return coh_fail(err, COHORT_EKEY,
	    "key file %.128s: others may write in %s (mode %04o); run: chmod go-w '%s'", path, dir,
	    (unsigned)st->st_mode & 07777, dir);
}

/* Check the directory *FD and all above it; *FD is moved along and is the caller's to close. */
static int dir_climb(int *fd, const char *path, struct cohort_error *err)
{
	struct stat st, above;
	int up, rc;

	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		if (fstat(*fd, &st) < 0)
			return coh_fail(err, COHORT_EKEY, "key file %.128s: %m", path);
		rc = dir_check(*fd, &st, path, err);
		if (rc < 0)
			return rc;
		up = openat(*fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0 || fstat(up, &above) < 0) {
			if (up >= 0)
				close(up);
			return coh_fail(err, COHORT_EKEY, "key file %.128s: a directory above: %m", path);
		}
		close(*fd);
		*fd = up;
		if (above.st_ino == st.st_ino && above.st_dev == st.st_dev)
			return 0;
	}
	return coh_fail(err, COHORT_EKEY, "key file %.128s: more than %d directories above it", path,
	    DEPTH_MAX);
}

static void place_fini(struct place *p)
{
	coh_free(p->dir);
	if (p->dirfd >= 0)
		close(p->dirfd);
}

/* Split PATH, and open and check its directory.  place_fini it in any case. */
static int place_open(struct place *p, const char *path, struct cohort_error *err)
{
	const char *slash = strrchr(path, '/');
	int fd, rc;

	*p = (struct place){.path = path, .dirfd = -1, .name = slash != NULL ? slash + 1 : path};
	if (*p->name == '\0')
		return coh_fail(err, COHORT_EKEY, "key file \"%.128s\": it must name a file", path);
	p->dir = coh_strdup(slash != NULL ? path : ".");
	if (p->dir == NULL)
		return coh_fail_errno(err, ENOMEM, "key file %.128s", path);
	if (slash != NULL)
		p->dir[slash == path ? 1 : slash - path] = '\0';
	p->dirfd = open(p->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = p->dirfd >= 0 ? fcntl(p->dirfd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0)
		return coh_fail(err, COHORT_EKEY, "key file %.128s: its directory: %m", path);
	rc = dir_climb(&fd, path, err);
	close(fd);
	return rc;
}

static int file_check(int fd, const char *path, struct cohort_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return coh_fail(err, COHORT_EKEY, "key file %.128s: %m", path);
	if (!S_ISREG(st.st_mode))
		return coh_fail(err, COHORT_EKEY, "key file %.128s: it is not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return coh_fail(err, COHORT_EKEY,
		    "key file %.128s: it belongs to uid %u, allowed are uid %u and root", path,
		    (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return coh_fail(err, COHORT_EKEY,
		    "key file %.128s: mode %04o lets others at it, allowed is 0600; run: chmod 600 '%.128s'",
		    path, (unsigned)st.st_mode & 07777, path);
	if (st.st_size == 0)
		return coh_fail(err, COHORT_EKEY, "key file %.128s: it is empty; " FORMAT_HELP, path);
	if (st.st_size > KEY_TEXT)
		return coh_fail(err, COHORT_EKEY, "key file %.128s: %lld bytes; " FORMAT_HELP, path,
		    (long long)st.st_size);
	return 0;
}

/* O_NONBLOCK: a FIFO in the key's place must not hold us up. */
static int file_open(struct place *p, struct cohort_error *err)
{
	int fd = openat(p->dirfd, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int rc;

	if (fd < 0 && errno == ELOOP)
		return coh_fail(err, COHORT_EKEY,
		    "key file %.128s: it is a symbolic link; name the file itself", p->path);
	if (fd < 0 && errno == ENOENT)
		return coh_fail(err, COHORT_EKEY,
		    "key file %.128s: there is no such file; make one: cohort keygen '%.128s'", p->path,
		    p->path);
	if (fd < 0)
		return coh_fail(err, COHORT_EKEY, "key file %.128s: %m", p->path);
	rc = file_check(fd, p->path, err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int coh_keyfile_decode(const char *text, size_t n, unsigned char bytes[COHORT_KEY_MAX],
    struct cohort_error *err)
{
	int high, low;

	if (n > 0 && text[n - 1] == '\n')
		n--;
	if (n % 2 != 0 || n < 2 * COHORT_KEY_MIN || n > 2 * COHORT_KEY_MAX)
		return coh_fail(err, COHORT_EKEY, "%zu characters; " FORMAT_HELP, n);
	for (size_t i = 0; i < n / 2; i++) {
		high = digit((unsigned char)text[2 * i]);
		low = digit((unsigned char)text[2 * i + 1]);
		if (high < 0 || low < 0)
			return coh_fail(err, COHORT_EKEY, "no hexadecimal digit at byte %zu; " FORMAT_HELP,
			    2 * i + (high >= 0));
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	return (int)(n / 2);
}

static int file_read(struct cohort_key **key, int fd, const char *path, struct cohort_error *err)
{
	unsigned char bytes[COHORT_KEY_MAX];
	char text[KEY_TEXT + 1]; /* one more shows a file that grew */
	ssize_t n = read(fd, text, sizeof text);
	int rc;

	if (n < 0)
		return coh_fail(err, COHORT_EKEY, "key file %.128s: %m", path);
	rc = coh_keyfile_decode(text, (size_t)n, bytes, err);
	if (rc > 0)
		rc = cohort_key_new(key, bytes, (size_t)rc, err);
	coh_wipe(text, sizeof text);
	coh_wipe(bytes, sizeof bytes);
	return rc < 0 ? coh_fail_in(err, rc, "key file %.128s", path) : 0;
}

int cohort_key_load(struct cohort_key **key, const char *path, struct cohort_error *err)
{
	struct place place;
	int fd, rc;

	*key = NULL;
	if (path == NULL)
		path = secure_getenv("COHORT_KEY_FILE");
	if (path == NULL || *path == '\0')
		return coh_fail(err, COHORT_EKEY,
		    "no key file: name one, or set COHORT_KEY_FILE; make one: cohort keygen FILE");
	rc = place_open(&place, path, err);
	if (rc == 0) {
		fd = file_open(&place, err);
		rc = fd < 0 ? fd : file_read(key, fd, path, err);
		if (fd >= 0)
			close(fd);
	}
	place_fini(&place);
	return rc;
}

static int file_write(int fd, const char *path, struct cohort_error *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[KEY_BYTES];
	char text[2 * KEY_BYTES + 1];
	int rc = coh_random_bytes(bytes, sizeof bytes);

	if (rc < 0)
		return coh_fail(err, rc, "key file %.128s: the system gives no random bytes", path);
	for (size_t i = 0; i < sizeof bytes; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[sizeof text - 1] = '\n';
	errno = EIO; /* for a short write, which a regular file makes only on a full disk */
	if (fchmod(fd, 0600) < 0 || write(fd, text, sizeof text) != (ssize_t)sizeof text ||
	    fsync(fd) < 0)
		rc = coh_fail_errno(err, errno, "key file %.128s", path);
	coh_wipe(bytes, sizeof bytes);
	coh_wipe(text, sizeof text);
	return rc;
}

int cohort_key_generate(const char *path, struct cohort_error *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	struct place place;
	int fd, rc = place_open(&place, path, err);

	if (rc == 0) {
		fd = openat(place.dirfd, place.name, flags, 0600);
		if (fd < 0 && errno == EEXIST)
			rc = coh_fail(err, COHORT_EKEY,
			    "key file %.128s: it exists; a key in use is not overwritten", path);
		else if (fd < 0)
			rc = coh_fail_errno(err, errno, "key file %.128s", path);
		else
			rc = file_write(fd, path, err);
		if (fd >= 0 && close(fd) < 0 && rc == 0)
			rc = coh_fail_errno(err, errno, "key file %.128s", path);
		if (fd >= 0 && rc < 0)
			unlinkat(place.dirfd, place.name, 0);
	}
	place_fini(&place);
	return rc;
}
