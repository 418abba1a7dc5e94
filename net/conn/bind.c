/*
 * bind.c - a listening socket: made, named, and cleaned up after.
 *
 * A Unix socket's file outlives the process that dies without closing it.  Such a file is
 * removed, but only when nobody answers there and it is still the one that was asked; and at
 * the end ours is removed only if it is still ours, since another may stand there by then.
 * Its mode is set before bind (Linux takes it from the socket), so that there is no moment at
 * which others may connect, and the process's umask is left alone.
 *
 * Rejected: a file to lock beside the socket (it would stay behind), to listen under another name and rename
 * (peers would be told that name).
 */
#include "conn/bind.h"

#include "addr/resolve.h"
#include "addr/sockaddr.h"
#include "base/clock.h"
#include "base/err.h"
#include "os/fd.h"

#include <cohort/listener.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024 /* a rush after a restart; the system cuts it to somaxconn */
#define LOCK_PATIENCE COHORT_SECOND /* others hold it for as long as a bind takes */

/* The directory of PATH, which is an address's and so absolute. */
static void dir_of(const char *path, char dir[COH_ADDRESS_HOST_MAX + 1])
{
	snprintf(dir, COH_ADDRESS_HOST_MAX + 1, "%s", path);
	*(strrchr(dir, '/') + 1) = '\0';
}

/* May others move things about in the directory of PATH?  One that is not there is made, for us alone. */
static int dir_check(const char *path, struct cohort_error *err)
{
	char dir[COH_ADDRESS_HOST_MAX + 1];
	struct stat st;

	dir_of(path, dir);
	if (stat(dir, &st) != 0 && (errno != ENOENT || (mkdir(dir, 0700) != 0 && errno != EEXIST) || stat(dir, &st) != 0))
		return coh_fail_errno(err, errno, "cannot listen at unix:%s: %s", path, dir);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0)
		return coh_fail(err, -EACCES,
		    "cannot listen at unix:%s: others may write in %s (mode %04o); run: chmod go-w '%s'",
		    path, dir, (unsigned)st.st_mode & 07777, dir);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return coh_fail(err, -EACCES,
		    "cannot listen at unix:%s: %s belongs to uid %u, allowed are uid %u and root",
		    path, dir, (unsigned)st.st_uid, (unsigned)geteuid());
	return 0;
}

/*
 * Hold the lock of PATH's folder: whoever makes a socket there holds it until it listens, and who would remove one
 * that seems to be left behind holds it too; else it takes one that is not listened at yet for such a one.
 * A descriptor to close; -1 when the lock cannot be had.
 */
static int dir_lock(const char *path)
{
	char dir[COH_ADDRESS_HOST_MAX + 1];
	cohort_time deadline = cohort_in(LOCK_PATIENCE);
	int fd;

	dir_of(path, dir);
	fd = coh_fd_open(dir, O_RDONLY | O_DIRECTORY);
	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || coh_clock_passed(deadline))
			coh_fd_close(&fd);
		else
			(void)poll(NULL, 0, 1);
	}
	return fd >= 0 ? fd : -1;
}

/*
 * Something stands at the path of SUN already.  Remove it if it is a socket at which nobody
 * listens: 0, or -EADDRINUSE.  Without the lock of its folder nobody can tell.
 */
static int stale_remove(
    const struct sockaddr_un *sun, socklen_t len, bool locked, struct cohort_error *err)
{
	struct stat before, after;
	int fd, rc, e;

	if (!locked)
		return coh_fail(err, -EADDRINUSE,
		    "cannot listen at unix:%s: a socket is there, and its folder is locked by another process",
		    sun->sun_path);
	if (lstat(sun->sun_path, &before) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(before.st_mode))
		return coh_fail(err, -EADDRINUSE,
		    "cannot listen at unix:%s: a file that is no socket is there", sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return coh_fail_errno(err, errno, "cannot listen at unix:%s", sun->sun_path);
	rc = connect(fd, (const struct sockaddr *)sun, len);
	e = rc == 0 ? 0 : errno;
	close(fd);
	if (e != ECONNREFUSED)
		return coh_fail(err, -EADDRINUSE,
		    "cannot listen at unix:%s: another process listens there", sun->sun_path);
	if (lstat(sun->sun_path, &after) == 0 && after.st_dev == before.st_dev &&
	    after.st_ino == before.st_ino)
		unlink(sun->sun_path);
	return 0;
}

/* Bind the Unix socket B->fd to SUN and remember whose file it is. */
static int bind_unix(struct coh_bound *b, const struct sockaddr *sa, socklen_t len, bool locked,
    struct cohort_error *err)
{
	const char *path = b->address.where;
	struct sockaddr_un sun = {0};
	struct stat st;
	int rc;

	memcpy(&sun, sa, len < sizeof sun ? len : sizeof sun);
	if (fchmod(b->fd, 0600) != 0)
		return coh_fail_errno(err, errno, "cannot listen at unix:%s", path);
	if (bind(b->fd, sa, len) != 0) {
		if (errno != EADDRINUSE)
			return coh_fail_errno(err, errno, "cannot listen at unix:%s", path);
		rc = stale_remove(&sun, len, locked, err);
		if (rc != 0)
			return rc;
		if (bind(b->fd, sa, len) != 0)
			return coh_fail_errno(err, errno, "cannot listen at unix:%s", path);
	}
	if (lstat(path, &st) == 0) {
		b->dev = st.st_dev;
		b->ino = st.st_ino;
	}
	return 0;
}

static int bind_tcp(struct coh_bound *b, const struct sockaddr *sa, socklen_t len,
    struct cohort_error *err)
{
	char text[COH_ADDRESS_TEXT];
	int on = 1;

	coh_address_print(&b->address, text);
	setsockopt(b->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* those accepted inherit it */
	if (sa->sa_family == AF_INET6)
		setsockopt(b->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(b->fd, sa, len) != 0)
		return coh_fail_errno(err, errno, "cannot listen at %s", text);
	return 0;
}

/* Open the socket of B, which has its name, and read back its real address. */
static int bind_listen(struct coh_bound *b, int family, int backlog, struct cohort_error *err)
{
	struct sockaddr_storage real;
	socklen_t real_len = sizeof real;
	enum coh_address_kind kind;
	char text[COH_ADDRESS_TEXT];
	int rc;

	coh_address_print(&b->address, text);
	if (listen(b->fd, backlog > 0 ? backlog : BACKLOG) != 0 ||
	    getsockname(b->fd, (struct sockaddr *)&real, &real_len) != 0)
		return coh_fail_errno(err, errno, "cannot listen at %s", text);
	b->family = family;
	if (b->family == AF_UNIX || coh_sockaddr_is_definite((struct sockaddr *)&real, real_len))
		(void)coh_greeting_end(&b->end, (struct sockaddr *)&real, real_len); /* else each is asked */
	if (b->family == AF_UNIX)
		return 0;
	kind = b->address.kind;
	rc = coh_sockaddr_to_address((struct sockaddr *)&real, real_len, &b->address);
	b->address.kind = kind;
	return rc;
}

/* The socket exists: name it and open it. */
static int bind_open(struct coh_bound *b, const struct sockaddr *sa, socklen_t len,
    int backlog, struct cohort_error *err)
{
	int lock = -1, rc;

	if (sa->sa_family == AF_UNIX) {
		rc = dir_check(b->address.where, err);
		if (rc != 0)
			return rc;
		lock = dir_lock(b->address.where);
		rc = bind_unix(b, sa, len, lock >= 0, err);
	} else
		rc = bind_tcp(b, sa, len, err);
	if (rc == 0)
		rc = bind_listen(b, sa->sa_family, backlog, err);
	coh_fd_close(&lock);
	return rc;
}

int coh_bind(struct coh_bound *b, const struct coh_address *a,
    const struct cohort_net_options *options, struct cohort_error *err)
{
	struct coh_resolved where;
	const struct sockaddr *sa = (const struct sockaddr *)&where.at[0].sa;
	char text[COH_ADDRESS_TEXT];
	int rc;

	*b = (struct coh_bound){.fd = -1, .address = *a};
	b->address.listen = false;
	coh_address_print(&b->address, text);
	rc = coh_resolve(&b->address, &where, err);
	if (rc != 0)
		return coh_fail_in(err, rc, "cannot listen at %s", text);
	rc = coh_mode_choose(&b->mode, &b->address, sa, where.at[0].len, options, err);
	if (rc != 0)
		return coh_fail_in(err, rc, "cannot listen");
	if (b->mode == COH_MODE_TLS_KEY || b->mode == COH_MODE_TLS_CERTIFICATE)
		b->address.kind = COH_ADDRESS_TLS; /* whoever dials must speak it, from wherever */
	b->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (b->fd < 0)
		return coh_fail_errno(err, errno, "cannot listen at %s", text);
	rc = bind_open(b, sa, where.at[0].len, options->backlog, err);
	if (rc != 0)
		coh_bind_undo(b);
	return rc;
}

void coh_bind_undo(struct coh_bound *b)
{
	struct stat st;

	if (b->fd < 0)
		return;
	if (b->ino != 0 && lstat(b->address.where, &st) == 0 && st.st_dev == b->dev &&
	    st.st_ino == b->ino)
		unlink(b->address.where);
	close(b->fd);
	b->fd = -1;
}
