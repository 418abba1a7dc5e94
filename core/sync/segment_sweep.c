/*
 * segment_sweep.c - take away what makers left that are dead, and names on demand.
 *
 * Whoever has a segment open holds a shared lock on its file, which the system ends with its last
 * descriptor. So what can be locked alone is open nowhere, whatever its header says; and if its
 * maker lives, it may be about to be opened.  A header that is no sound one names no maker: then
 * the lock alone decides.
 */
#include "sync/segment_priv.h"

#include "base/err.h"
#include "os/fd.h"
#include "sync/party.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define OFTEN COHORT_SECOND /* a sweep looks at every name: not for each that is made */

/*
 * PATH, a segment, is left by the dead.  Gives a descriptor that keeps others away from it, or
 * -1.
 */
static int left(int root, const char *path, struct stat *st)
{
	struct coh_segment_header h;
	int fd = coh_fd_open_at(root, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -1;
	if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode) ||
	    (coh_segment_read(fd, &h) && coh_party_alive(h.owner)) ||
	    flock(fd, LOCK_EX | LOCK_NB) != 0)
		coh_fd_close(&fd);
	return fd;
}

static int sweep_name(int root, const char *name)
{
	char path[COH_SEGMENT_PATH];
	struct stat st;
	int fd, rc;

	snprintf(path, sizeof path, "names/%s/segment", name);
	fd = left(root, path, &st);
	if (fd < 0)
		return 0;
	rc = coh_segment_root_remove(root, name, &st);
	coh_fd_close(&fd);
	return rc == 0;
}

/* Its name says who was making, or removing, it; what has another name is none of ours. */
static int sweep_unfinished(int root, const char *name)
{
	char path[COH_SEGMENT_PATH], *end;
	uint64_t party = strtoull(name, &end, 16);
	bool gone;
	int fd;

	if (end != name + 16 || *end != '-' || coh_party_alive(party))
		return 0;
	snprintf(path, sizeof path, "making/%s/segment", name);
	fd = coh_fd_open_at(root, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		coh_fd_close(
		    &fd); /* its maker lives, where we cannot see it, or it is a removed one that is in use */
		return 0;
	}
	gone = coh_segment_root_clear(root, name);
	coh_fd_close(&fd);
	return gone;
}

static int sweep_folder(int root, const char *folder, int (*sweep)(int root, const char *name))
{
	int fd = coh_fd_open_at(root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), count = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (d == NULL) {
		coh_fd_close(&fd);
		return 0;
	}
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			count += sweep(root, e->d_name);
	closedir(d);
	return count;
}

int coh_segment_sweep(void)
{
	int root = coh_segment_root_open(COH_SEGMENT_LOOK, NULL), count;

	if (root < 0)
		return root == -ENOENT ? 0 : root;
	count = sweep_folder(root, "making", sweep_unfinished) +
	    sweep_folder(root, "names", sweep_name);
	coh_segment_root_tidy(root);
	coh_fd_close(&root);
	return count;
}

void coh_segment_sweep_sometimes(void)
{
	static _Atomic cohort_time next;
	cohort_time now = cohort_now(), due = atomic_load(&next);

	if (now >= due && atomic_compare_exchange_strong(&next, &due, now + OFTEN))
		(void)coh_segment_sweep();
}

int coh_segment_unlink(const char *name, struct cohort_error *err)
{
	int rc = coh_segment_name_check(name, err), root;

	if (rc != 0)
		return rc;
	root = coh_segment_root_open(COH_SEGMENT_LOOK, err);
	rc = root < 0 ? root : coh_segment_root_remove(root, name, NULL);
	coh_fd_close(&root);
	if (rc == -ENOENT)
		return coh_fail(err, rc, "no object of this user has the name '%s'", name);
	return rc == 0 ? 0 : coh_fail_code(err, rc);
}
