/*
 * segment_root.c - the folder /dev/shm/cohort-UID: where a user's named objects are, and are made.
 *
 * /dev/shm is everybody's, so what stands there under our name is looked at before it is
 * believed: a folder, ours, that nobody else may write into.  Inside it nobody but us makes
 * anything.  It goes when it is empty, so that nothing stays of a program that has ended; who
 * makes something meanwhile finds its folders gone (ENOENT) and begins anew.
 *
 * Names are taken away one at a time (a lock on the root), because "is it still the one I mean"
 * and "rename it away" are two steps.  A holder of that lock who is stopped is waited for only so
 * long; after that the two steps are as close as two system calls.
 */
#include "sync/segment_priv.h"

#include "base/err.h"
#include "os/fd.h"
#include "sync/fault.h"
#include "sync/party.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define LOCK_TRIES 200 /* milliseconds, about: two system calls are done in far less */

static void root_path(char out[COH_SEGMENT_ROOT_TEXT])
{
	snprintf(out, COH_SEGMENT_ROOT_TEXT, "/dev/shm/cohort-%u", (unsigned)geteuid());
}

static int root_check(int root, const char *path, struct cohort_error *err)
{
	struct stat st;

	if (fstat(root, &st) != 0)
		return coh_fail_errno(err, errno, "shared objects: %s", path);
	if (st.st_uid != geteuid())
		return coh_fail(err, -EACCES,
		    "shared objects: the folder %s belongs to user %u, not to user %u; have it "
		    "removed",
		    path, (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return coh_fail(err, -EACCES,
		    "shared objects: others may write into the folder %s (mode %o, allowed is "
		    "700); chmod or remove it",
		    path, (unsigned)(st.st_mode & 07777));
	return 0;
}

static int root_make(const char *path, struct cohort_error *err)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return coh_fail_errno(err, errno, "shared objects: make the folder %s", path);
}

/* The two folders of ROOT; -EAGAIN when it was removed meanwhile. */
static int root_furnish(int root, struct cohort_error *err)
{
	static const char *const folders[] = {"names", "making"};

	for (int i = 0; i < 2; i++) {
		if (mkdirat(root, folders[i], 0700) == 0 || errno == EEXIST)
			continue;
		if (errno == ENOENT)
			return -EAGAIN;
		return coh_fail_errno(err, errno, "shared objects: make the folder %s", folders[i]);
	}
	return 0;
}

int coh_segment_root_open(enum coh_segment_need need, struct cohort_error *err)
{
	char path[COH_SEGMENT_ROOT_TEXT];
	int root, rc = 0;

	root_path(path);
	if (need == COH_SEGMENT_MAKE)
		rc = root_make(path, err);
	if (rc != 0)
		return rc;
	root = coh_fd_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (root == -ENOENT)
		return need == COH_SEGMENT_MAKE ? -EAGAIN : -ENOENT;
	if (root == -ENOTDIR || root == -ELOOP)
		return coh_fail(
		    err, -EACCES, "shared objects: %s is no folder; have it removed", path);
	if (root < 0)
		return coh_fail_errno(err, -root, "shared objects: open the folder %s", path);
	rc = root_check(root, path, err);
	if (rc == 0 && need == COH_SEGMENT_MAKE)
		rc = root_furnish(root, err);
	if (rc != 0) {
		if (need == COH_SEGMENT_MAKE && rc != -EACCES)
			coh_segment_root_tidy(root);
		coh_fd_close(&root);
		return rc;
	}
	return root;
}

/* Names go first: while there is one its maker, or who removes it, wants the other folder. */
void coh_segment_root_tidy(int root)
{
	char path[COH_SEGMENT_ROOT_TEXT];

	if (unlinkat(root, "names", AT_REMOVEDIR) != 0 && errno != ENOENT)
		return;
	COH_FAULT("segment.tidy.names");
	if (unlinkat(root, "making", AT_REMOVEDIR) != 0 && errno != ENOENT)
		return;
	COH_FAULT("segment.tidy.making");
	root_path(path);
	(void)rmdir(path);
}

int coh_segment_root_random(uint8_t id[16])
{
	return getrandom(id, 16, 0) == 16 ? 0 : -EIO;
}

int coh_segment_root_name(char out[COH_SEGMENT_UNFINISHED], const uint8_t id[16])
{
	uint8_t own[16];
	int n;

	if (id == NULL && coh_segment_root_random(own) != 0)
		return -EIO;
	if (id == NULL)
		id = own;
	n = snprintf(out, COH_SEGMENT_UNFINISHED, "%016" PRIx64 "-", coh_party_self());
	for (int i = 0; i < 16; i++)
		n += snprintf(out + n, (size_t)(COH_SEGMENT_UNFINISHED - n), "%02x", id[i]);
	return 0;
}

bool coh_segment_root_clear(int root, const char *name)
{
	static const char *const files[] = {"bell0", "bell1", "segment"};
	char path[COH_SEGMENT_PATH];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "making/%s/%s", name, files[i]);
		(void)unlinkat(root, path, 0);
		COH_FAULT("segment.clear.file");
	}
	snprintf(path, sizeof path, "making/%s", name);
	return unlinkat(root, path, AT_REMOVEDIR) == 0;
}

static void lock_names(int root)
{
	for (int i = 0; i < LOCK_TRIES && flock(root, LOCK_EX | LOCK_NB) != 0; i++)
		(void)poll(NULL, 0, 1);
}

static bool still(int root, const char *name, const struct stat *which)
{
	char file[COH_SEGMENT_PATH];
	struct stat st;

	snprintf(file, sizeof file, "names/%s/segment", name);
	return fstatat(root, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == which->st_ino &&
	    st.st_dev == which->st_dev;
}

int coh_segment_root_remove(int root, const char *name, const struct stat *which)
{
	char from[COH_SEGMENT_PATH], to[COH_SEGMENT_PATH], away[COH_SEGMENT_UNFINISHED];
	int rc = coh_segment_root_name(away, NULL);

	if (rc != 0)
		return rc;
	snprintf(from, sizeof from, "names/%s", name);
	snprintf(to, sizeof to, "making/%s", away);
	if (mkdirat(root, "making", 0700) != 0 && errno != EEXIST)
		return -errno;
	lock_names(root);
	COH_FAULT("segment.remove.locked");
	if (which != NULL && !still(root, name, which))
		rc = -ENOENT;
	else if (renameat2(root, from, root, to, RENAME_NOREPLACE) != 0)
		rc = -errno;
	COH_FAULT("segment.remove.renamed");
	(void)flock(root, LOCK_UN);
	if (rc == 0)
		(void)coh_segment_root_clear(root, away);
	coh_segment_root_tidy(root);
	return rc;
}
