/*
 * keyfile.c - where the key comes from, and who else could have touched it.
 *
 * A file is judged by its descriptor, after opening, so that what was checked is what is
 * read; the directories above are walked by "..", so that no name is looked up twice.  What
 * stands in it is keytext.c's business.  A file is written beside its place and renamed into it: whoever
 * reads it finds the old keys or the new ones, never half of them.
 */
#include "trust/keyfile.h"

#include "base/err.h"
#include "base/mem.h"
#include "trust/hmac_openssl.h"
#include "trust/keytext.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 32 /* what is generated: no easier to guess than the MAC */
#define DEPTH_MAX 256 /* directories above a key file: more is a loop or an attack */

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
		return coh_fail(err, COHORT_EKEY, "key file %.128s: it is empty; make one: cohort keygen", path);
	if (st.st_size > COH_KEYTEXT_MAX)
		return coh_fail(err, COHORT_EKEY, "key file %.128s: %lld bytes, allowed are %d at most",
		    path, (long long)st.st_size, COH_KEYTEXT_MAX);
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

/* Read the file FD at PATH into K, which is the caller's to wipe. */
static int file_read(struct coh_keytext *k, int fd, const char *path, struct cohort_error *err)
{
	char text[COH_KEYTEXT_MAX + 1]; /* one more shows a file that grew */
	ssize_t n = read(fd, text, sizeof text);
	int rc;

	if (n < 0)
		return coh_fail(err, COHORT_EKEY, "key file %.128s: %m", path);
	rc = coh_keytext_decode(k, text, (size_t)n, err);
	coh_wipe(text, sizeof text);
	return rc < 0 ? coh_fail_in(err, rc, "key file %.128s", path) : 0;
}

/* The keys in the file at P, which is checked first. */
static int place_read(struct coh_keytext *k, struct place *p, struct cohort_error *err)
{
	int fd = file_open(p, err), rc;

	if (fd < 0)
		return fd;
	rc = file_read(k, fd, p->path, err);
	close(fd);
	return rc;
}

/* What makes a key of the secrets in a file. */
typedef int (*key_make_fn)(struct cohort_key **key, const struct coh_span *secrets, int count,
    struct cohort_error *err);

static int key_load(
    struct cohort_key **key, const char *path, key_make_fn make, struct cohort_error *err)
{
	struct coh_span secrets[COH_AUTHKEY_MAX];
	struct coh_keytext k;
	struct place place;
	int rc = place_open(&place, path, err);

	if (rc == 0)
		rc = place_read(&k, &place, err);
	if (rc == 0) {
		for (int i = 0; i < k.count; i++)
			secrets[i] = (struct coh_span){k.bytes[i], k.size[i]};
		rc = make(key, secrets, k.count, err);
	}
	coh_wipe(&k, sizeof k);
	place_fini(&place);
	return rc;
}

int cohort_key_load(struct cohort_key **key, const char *path, struct cohort_error *err)
{
	*key = NULL;
	if (path == NULL)
		path = secure_getenv("COHORT_KEY_FILE");
	if (path == NULL || *path == '\0')
		return coh_fail(err, COHORT_EKEY,
		    "no key file: name one, or set COHORT_KEY_FILE; make one: cohort keygen FILE");
	return key_load(key, path, coh_authkey_new, err);
}

int cohort_key_load_python(struct cohort_key **key, const char *path, struct cohort_error *err)
{
	*key = NULL;
	if (path == NULL)
		path = secure_getenv("COHORT_PYTHON_KEY_FILE");
	if (path == NULL || *path == '\0')
		return coh_fail(err, COHORT_EKEY,
		    "no key file for Python peers: name one of their own, or set COHORT_PYTHON_KEY_FILE; "
		    "make one: cohort keygen FILE");
	return key_load(key, path, coh_authkey_new_python, err);
}

/* K as the new file NAME in the directory of P; on failure there is none. */
static int file_create(struct place *p, const char *name, const struct coh_keytext *k,
    struct cohort_error *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(p->dirfd, name, flags, 0600), rc = 0;
	char text[COH_KEYTEXT_MAX];
	size_t n = coh_keytext_encode(k, text);

	if (fd < 0 && errno == EEXIST)
		rc = COHORT_EKEY; /* the caller knows what it means */
	else if (fd < 0)
		rc = coh_fail_errno(err, errno, "key file %.128s", p->path);
	if (fd >= 0) {
		errno = EIO; /* for a short write, which a regular file makes only on a full disk */
		if (fchmod(fd, 0600) < 0 || write(fd, text, n) != (ssize_t)n || fsync(fd) < 0)
			rc = coh_fail_errno(err, errno, "key file %.128s", p->path);
		if (close(fd) < 0 && rc == 0)
			rc = coh_fail_errno(err, errno, "key file %.128s", p->path);
		if (rc < 0)
			unlinkat(p->dirfd, name, 0);
	}
	coh_wipe(text, sizeof text);
	return rc;
}

/* A new key behind those that K has. */
static int key_draw(struct coh_keytext *k, const char *path, struct cohort_error *err)
{
	int rc = coh_random_bytes(k->bytes[k->count], KEY_BYTES);

	if (rc < 0)
		return coh_fail(err, rc, "key file %.128s: the system gives no random bytes", path);
	k->size[k->count++] = KEY_BYTES;
	return 0;
}

int cohort_key_generate(const char *path, struct cohort_error *err)
{
	struct coh_keytext k = {0};
	struct place place;
	int rc = place_open(&place, path, err);

	if (rc == 0)
		rc = key_draw(&k, path, err);
	if (rc == 0) {
		rc = file_create(&place, place.name, &k, err);
		if (rc == COHORT_EKEY)
			coh_fail(err, rc,
			    "key file %.128s: it exists; a key in use is not overwritten", path);
	}
	coh_wipe(&k, sizeof k);
	place_fini(&place);
	return rc;
}

/* ---- from one key to another ---- */

/* Do STEP to K. */
static int keys_step(struct coh_keytext *k, enum coh_keyfile_step step, const char *path,
    struct cohort_error *err)
{
	struct coh_keytext was;

	if (k->count != (step == COH_KEYFILE_ADD ? 1 : 2))
		return coh_fail(err, COHORT_EKEY, "key file %.128s: it holds %s; run: cohort keygen %s",
		    path, k->count == 1 ? "one key only" : "two keys already",
		    k->count == 1 ? "--add" : "--swap, or --drop");
	if (step == COH_KEYFILE_ADD)
		return key_draw(k, path, err);
	if (step == COH_KEYFILE_DROP) {
		k->count = 1;
		return 0;
	}
	was = *k;
	for (int i = 0; i < 2; i++) {
		k->size[i] = was.size[1 - i];
		memcpy(k->bytes[i], was.bytes[1 - i], sizeof k->bytes[i]);
	}
	coh_wipe(&was, sizeof was);
	return 0;
}

/* K in the place of the file at P. */
static int file_replace(struct place *p, const struct coh_keytext *k, struct cohort_error *err)
{
	char name[NAME_MAX + 1];
	int n = snprintf(name, sizeof name, "%s.new", p->name), rc;

	if (n >= (int)sizeof name)
		return coh_fail_errno(err, ENAMETOOLONG, "key file %.128s", p->path);
	rc = file_create(p, name, k, err);
	if (rc == COHORT_EKEY)
		return coh_fail(err, rc,
		    "key file %.128s: %.100s is there: another change is under way, or was left half-done "
		    "(then remove it)",
		    p->path, name);
	if (rc == 0 && renameat(p->dirfd, name, p->dirfd, p->name) < 0) {
		rc = coh_fail_errno(err, errno, "key file %.128s", p->path);
		unlinkat(p->dirfd, name, 0);
	}
	return rc;
}

int coh_keyfile_rotate(const char *path, enum coh_keyfile_step step, struct cohort_error *err)
{
	struct coh_keytext k;
	struct place place;
	int rc = place_open(&place, path, err);

	if (rc == 0)
		rc = place_read(&k, &place, err);
	if (rc == 0)
		rc = keys_step(&k, step, path, err);
	if (rc == 0)
		rc = file_replace(&place, &k, err);
	coh_wipe(&k, sizeof k);
	place_fini(&place);
	return rc;
}
