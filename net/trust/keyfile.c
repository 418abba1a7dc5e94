/*
 * keyfile.c - where the key comes from, and who else could have touched it.
 *
 * safefile.c judges where it lies; what stands in it is keytext.c's business.  A file is written beside its
 * place and renamed into it: whoever reads it finds the old keys or the new ones, never half of them.
 */
#include "trust/keyfile.h"

#include "base/err.h"
#include "trust/hmac_openssl.h"
#include "trust/keytext.h"
#include "trust/safefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 32 /* what is generated: no easier to guess than the MAC */

static const struct coh_safefile_rule rule = {
    .what = "key file",
    .hint = "; make one: cohort keygen FILE",
    .max = COH_KEYTEXT_MAX,
    .secret = true,
};

/* Read the file FD at PATH into K, which is the caller's to wipe. */
static int file_read(struct coh_keytext *k, int fd, const char *path, struct cohort_error *err)
{
	char text[COH_KEYTEXT_MAX + 1]; /* one more shows a file that grew */
	size_t got = 0;
	ssize_t n;
	int rc;

	do { /* to the end: half a key may be one, too */
		n = read(fd, text + got, sizeof text - got);
		got += n > 0 ? (size_t)n : 0;
	} while ((n > 0 && got < sizeof text) || (n < 0 && errno == EINTR));
	rc = n < 0 ? coh_fail(err, COHORT_EKEY, "%m") : coh_keytext_decode(k, text, got, err);
	coh_wipe(text, sizeof text);
	return rc < 0 ? coh_fail_in(err, rc, "key file %.128s", path) : 0;
}

/* The keys in the file at P, which is checked first. */
static int place_read(struct coh_keytext *k, struct coh_safefile *p, struct cohort_error *err)
{
	int fd = coh_safefile_open(p, err), rc;

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
	struct coh_safefile place;
	int rc = coh_safefile_find(&place, &rule, path, err);

	if (rc == 0)
		rc = place_read(&k, &place, err);
	if (rc == 0) {
		for (int i = 0; i < k.count; i++)
			secrets[i] = (struct coh_span){k.bytes[i], k.size[i]};
		rc = make(key, secrets, k.count, err);
	}
	coh_wipe(&k, sizeof k);
	coh_safefile_fini(&place);
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

/* All N bytes of TEXT.  0, or -1 with errno. */
static int file_write(int fd, const char *text, size_t n)
{
	ssize_t written;

	for (size_t done = 0; done < n; done += (size_t)written) {
		do
			written = write(fd, text + done, n - done);
		while (written < 0 && errno == EINTR);
		if (written < 0)
			return -1;
	}
	return 0;
}

/* K as the new file NAME in the directory of P; on failure there is none. */
static int file_create(struct coh_safefile *p, const char *name, const struct coh_keytext *k,
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
		if (fchmod(fd, 0600) < 0 || file_write(fd, text, n) < 0 || fsync(fd) < 0)
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
	struct coh_safefile place;
	int rc = coh_safefile_find(&place, &rule, path, err);

	if (rc == 0)
		rc = key_draw(&k, path, err);
	if (rc == 0) {
		rc = file_create(&place, place.name, &k, err);
		if (rc == COHORT_EKEY)
			coh_fail(err, rc,
			    "key file %.128s: it exists; a key in use is not overwritten", path);
	}
	coh_wipe(&k, sizeof k);
	coh_safefile_fini(&place);
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
static int file_replace(struct coh_safefile *p, const struct coh_keytext *k, struct cohort_error *err)
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
	struct coh_safefile place;
	int rc = coh_safefile_find(&place, &rule, path, err);

	if (rc == 0)
		rc = place_read(&k, &place, err);
	if (rc == 0)
		rc = keys_step(&k, step, path, err);
	if (rc == 0)
		rc = file_replace(&place, &k, err);
	coh_wipe(&k, sizeof k);
	coh_safefile_fini(&place);
	return rc;
}
