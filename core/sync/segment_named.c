/*
 * segment_named.c - segments with a name: made aside, put in place, found, held, taken away.
 *
 * Who attaches opens the folder, so that all it finds belongs to one object, opens the file,
 * takes the shared lock and then looks whether the name still means the file it has: between the
 * first two a sweeper may have found it unheld.  An exclusive lock that somebody else has means
 * that the object is on its way out.
 */
#include "sync/segment_priv.h"

#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/shm.h"
#include "sync/fault.h"
#include "sync/party.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int coh_segment_name_check(const char *name, struct cohort_error *err)
{
	size_t n = name != NULL ? strlen(name) : 0;

	if (n == 0)
		return coh_fail(err, COHORT_ENAME, "the name of a shared object is empty");
	if (n > COH_SEGMENT_NAME_MAX)
		return coh_fail(err, COHORT_ENAME,
		    "the name of a shared object has %zu bytes, allowed are %d", n,
		    COH_SEGMENT_NAME_MAX);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') != NULL)
		return coh_fail(err, COHORT_ENAME,
		    "a shared object cannot be named '%s': allowed is all but \".\", \"..\" and "
		    "what has a '/'",
		    name);
	return 0;
}

/* ---- making ---- */

static int make_file(struct coh_segment *s, int root, const char *folder,
    const struct coh_segment_spec *spec, struct cohort_error *err)
{
	char path[COH_SEGMENT_PATH];
	int rc;

	snprintf(path, sizeof path, "making/%s/segment", folder);
	s->fd = coh_fd_open_at(root, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
	if (s->fd < 0)
		return coh_fail_errno(
		    err, -s->fd, "make the %s '%s': its file", spec->what, s->name);
	COH_FAULT("segment.make.file");
	if (flock(s->fd, LOCK_SH | LOCK_NB) != 0)
		return coh_fail_errno(
		    err, errno, "make the %s '%s': lock its file", spec->what, s->name);
	COH_FAULT("segment.make.locked");
	rc = coh_shm_extend(s->fd, spec->size, COH_SEGMENT_END(spec->size + spec->tail) - spec->size);
	if (rc == 0)
		rc = coh_segment_sign(s->fd, spec->kind, spec->size + spec->tail);
	if (rc != 0)
		return coh_fail_errno(err, -rc, "make the %s '%s': %zu bytes of /dev/shm",
		    spec->what, s->name, spec->size);
	COH_FAULT("segment.make.reserved");
	return 0;
}

/* Bell I of the object whose folder is DIR, or DIR/FOLDER. */
static int open_bell(struct coh_segment *s, int i, int dir, const char *folder)
{
	char path[COH_SEGMENT_PATH + sizeof "/bell" + 10]; /* with any int */
	struct stat st;

	snprintf(path, sizeof path, "%s/bell%d", folder, i);
	s->bell[i] = coh_fd_open_at(dir, path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
	if (s->bell[i] < 0)
		return s->bell[i];
	return fstat(s->bell[i], &st) == 0 && S_ISFIFO(st.st_mode) ? 0 : -ENXIO;
}

static int make_bells(struct coh_segment *s, int root, const char *folder,
    const struct coh_segment_spec *spec, struct cohort_error *err)
{
	char path[COH_SEGMENT_PATH];
	int rc;

	for (int i = 0; i < spec->bells; i++) {
		snprintf(path, sizeof path, "making/%s/bell%d", folder, i);
		rc = mkfifoat(root, path, 0600) == 0 ? 0 : -errno;
		COH_FAULT("segment.make.bell");
		snprintf(path, sizeof path, "making/%s", folder);
		if (rc == 0)
			rc = open_bell(s, i, root, path);
		if (rc != 0)
			return coh_fail_errno(
			    err, -rc, "make the %s '%s': fifo", spec->what, s->name);
	}
	return 0;
}

/* S in the new folder making/FOLDER. */
static int make_in(struct coh_segment *s, int root, const char *folder,
    const struct coh_segment_spec *spec, struct cohort_error *err)
{
	char path[COH_SEGMENT_PATH];
	int rc;

	snprintf(path, sizeof path, "making/%s", folder);
	if (mkdirat(root, path, 0700) != 0)
		return errno == ENOENT ? -EAGAIN
				       : coh_fail_errno(err, errno, "make the %s '%s': its folder",
					     spec->what, s->name);
	COH_FAULT("segment.make.folder");
	rc = make_file(s, root, folder, spec, err);
	if (rc == 0)
		rc = coh_segment_begin(s, spec, err);
	if (rc == 0)
		rc = make_bells(s, root, folder, spec, err);
	COH_FAULT("segment.make.done");
	return rc;
}

static int make_once(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	char folder[COH_SEGMENT_UNFINISHED];
	int root = coh_segment_root_open(COH_SEGMENT_MAKE, err), rc;

	if (root < 0)
		return root;
	rc = coh_segment_root_random(s->id); /* the folder is known by it */
	if (rc == 0)
		rc = coh_segment_root_name(folder, s->id);
	if (rc == 0) {
		rc = make_in(s, root, folder, spec, err);
		if (rc != 0)
			(void)coh_segment_root_clear(root, folder);
	}
	if (rc != 0)
		coh_segment_root_tidy(root);
	coh_fd_close(&root);
	return rc;
}

int coh_segment_make_named(struct coh_segment *s, const char *name,
    const struct coh_segment_spec *spec, struct cohort_error *err)
{
	int rc = -EAGAIN;

	coh_segment_sweep_sometimes();
	s->name = coh_strdup(name);
	if (s->name == NULL)
		return coh_fail_code(err, -ENOMEM);
	for (int i = 0; i < COH_SEGMENT_TRIES && rc == -EAGAIN; i++)
		rc = make_once(s, spec, err);
	if (rc != 0)
		coh_segment_drop(s);
	return rc == 0 ? 0 : coh_fail_code(err, rc);
}

static int publish_once(struct coh_segment *s, struct cohort_error *err)
{
	char from[COH_SEGMENT_PATH], to[COH_SEGMENT_PATH], folder[COH_SEGMENT_UNFINISHED];
	int root = coh_segment_root_open(COH_SEGMENT_MAKE, err), rc = 0;

	if (root < 0)
		return root;
	(void)coh_segment_root_name(folder, s->id); /* fails for a random one only */
	snprintf(from, sizeof from, "making/%s", folder);
	snprintf(to, sizeof to, "names/%s", s->name);
	COH_FAULT("segment.publish.ready");
	if (renameat2(root, from, root, to, RENAME_NOREPLACE) != 0)
		rc = -errno;
	COH_FAULT("segment.publish.done");
	coh_fd_close(&root);
	return rc == -ENOENT ? -EAGAIN : rc;
}

int coh_segment_publish_named(struct coh_segment *s, struct cohort_error *err)
{
	int rc = -EAGAIN;

	for (int i = 0; i < COH_SEGMENT_TRIES && rc == -EAGAIN; i++)
		rc = publish_once(s, err);
	if (rc == -EEXIST)
		return coh_fail(
		    err, rc, "there is a shared object with the name '%s' already", s->name);
	return rc == 0 ? 0 : coh_fail_code(err, rc);
}

/* ---- attaching ---- */

/* A name while it is looked at. */
struct look {
	const char *name;
	int root, folder; /* descriptors */
	struct stat st;   /* of the file */
};

/* The name still means the file that was opened. */
static bool look_holds(const struct look *l)
{
	char path[COH_SEGMENT_PATH];
	struct stat now;

	snprintf(path, sizeof path, "names/%s/segment", l->name);
	return fstatat(l->root, path, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	    now.st_ino == l->st.st_ino && now.st_dev == l->st.st_dev;
}

/*
 * Hold FD, the file that the name was: 0; -EAGAIN (it is it no longer: look again), -EBUSY (it is
 * being swept).  What the dead left and nobody holds is swept here.
 */
static int look_hold(const struct look *l, int fd)
{
	struct coh_segment_header h;

	if (coh_segment_read(fd, &h) && !coh_party_alive(h.owner) &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0) {
		(void)coh_segment_root_remove(l->root, l->name, &l->st);
		return look_holds(l) ? -EBUSY : -EAGAIN;
	}
	if (flock(fd, LOCK_SH | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	COH_FAULT("segment.attach.held");
	return look_holds(l) ? 0 : -EAGAIN;
}

/* What could not be opened is no part of a segment, or there is another reason. */
static int look_failed(
    const struct look *l, int e, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	if (e == ENOENT || e == ELOOP || e == ENOTDIR || e == EISDIR || e == ENXIO)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open the %s '%s': there is no whole segment with %d fifos under this name",
		    spec->what, l->name, spec->bells);
	return coh_fail_errno(err, e, "open the %s '%s'", spec->what, l->name);
}

/* The file of the name, and its bells, into S: 0, -EAGAIN, -EBUSY, or a code with a sentence. */
static int look_open(struct look *l, struct coh_segment *s, const struct coh_segment_spec *spec,
    struct cohort_error *err)
{
	int rc;

	s->fd = coh_fd_open_at(l->folder, "segment", O_RDWR | O_NOFOLLOW | O_NONBLOCK);
	if (s->fd == -ENOENT)
		return -ENOENT; /* its parts are being removed */
	if (s->fd < 0)
		return look_failed(l, -s->fd, spec, err);
	COH_FAULT("segment.attach.open");
	rc = fstat(s->fd, &l->st) == 0 ? look_hold(l, s->fd) : -errno;
	if (rc == 0)
		rc = coh_segment_check_in(s, spec, err);
	for (int i = 0; rc == 0 && i < spec->bells; i++) {
		rc = open_bell(s, i, l->folder, ".");
		if (rc != 0)
			rc = look_holds(l) ? look_failed(l, -rc, spec, err) : -EAGAIN;
	}
	return rc;
}

/*
 * What it is at this moment: 0, -ENOENT, -EAGAIN (look again), -EBUSY, or a code with a sentence.
 */
static int attach_once(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	struct look l = {.name = s->name, .root = coh_segment_root_open(COH_SEGMENT_LOOK, err)};
	char path[COH_SEGMENT_PATH];
	int rc;

	if (l.root < 0)
		return l.root;
	snprintf(path, sizeof path, "names/%s", s->name);
	l.folder = coh_fd_open_at(l.root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (l.folder >= 0)
		rc = look_open(&l, s, spec, err);
	else
		rc = l.folder == -ENOENT ? -ENOENT : look_failed(&l, -l.folder, spec, err);
	coh_fd_close(&l.folder);
	coh_fd_close(&l.root);
	return rc;
}

int coh_segment_attach_named(struct coh_segment *s, const char *name,
    const struct coh_segment_spec *spec, struct cohort_error *err)
{
	int rc = -EAGAIN;

	s->name = coh_strdup(name);
	if (s->name == NULL)
		return coh_fail_code(err, -ENOMEM);
	for (int i = 0; i < COH_SEGMENT_TRIES && rc == -EAGAIN; i++) {
		coh_segment_drop_open(s);
		rc = attach_once(s, spec, err);
	}
	if (rc != 0)
		coh_segment_drop(s);
	return rc;
}

/* ---- ending ---- */

void coh_segment_end_named(struct coh_segment *s)
{
	char folder[COH_SEGMENT_UNFINISHED], name[COH_SEGMENT_NAME_MAX + 1];
	bool published = s->published;
	struct stat st;
	int root;

	(void)coh_segment_root_name(folder, s->id);
	snprintf(name, sizeof name, "%s", s->name);
	if (fstat(s->fd, &st) != 0)
		published = false;
	coh_segment_drop(s); /* first, so that there is a descriptor for the root */
	root = coh_segment_root_open(COH_SEGMENT_LOOK, NULL);
	if (root < 0)
		return;
	COH_FAULT("segment.close.begin");
	if (published) {
		(void)coh_segment_root_remove(root, name, &st);
	} else {
		(void)coh_segment_root_clear(root, folder);
		coh_segment_root_tidy(root);
	}
	coh_fd_close(&root);
}
