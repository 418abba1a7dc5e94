/*
 * segment.c - shared memory of one object: made, checked, mapped, ended.
 *
 * The header is looked at in the file (pread) before anything is mapped, so that a file that is
 * shorter than it says is an error and no SIGBUS.
 *
 * `check` is no secret and guards against no enemy: who may write the memory may write it too.
 * It finds what was damaged, or made by something else.
 */
#include "sync/segment_priv.h"

#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/shm.h"
#include "sync/cut.h"
#include "sync/inherit.h"
#include "sync/party.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUSY_TRIES 1000 /* milliseconds, about, for somebody to finish the removal of one name */

_Static_assert(1 + COH_SEGMENT_BELLS == COH_HERITAGE_SHARE_FDS, "a child is given what there is");
_Static_assert(sizeof(struct coh_segment_header) == 128, "the header is the same for all compilers");

static const char *const words[COH_SEGMENT_KINDS] = {
    [COH_SEGMENT_LOCK] = "lock",
    [COH_SEGMENT_SEMAPHORE] = "semaphore",
    [COH_SEGMENT_CONDITION] = "condition",
    [COH_SEGMENT_EVENT] = "event",
    [COH_SEGMENT_BARRIER] = "barrier",
    [COH_SEGMENT_RWLOCK] = "reader-writer lock",
    [COH_SEGMENT_VALUE] = "value",
    [COH_SEGMENT_ARRAY] = "array",
    [COH_SEGMENT_ARENA] = "arena",
    [COH_SEGMENT_MEMORY] = "memory block",
    [COH_SEGMENT_LIST] = "list",
    [COH_SEGMENT_MAP] = "map",
    [COH_SEGMENT_QUEUE] = "queue",
};

const char *coh_segment_word(uint32_t kind)
{
	return kind < COH_SEGMENT_KINDS && words[kind] != NULL ? words[kind]
							       : "object of unknown kind";
}

/* FNV-1a, 64 bits. */
uint64_t coh_segment_sum(const struct coh_segment_header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < offsetof(struct coh_segment_header, check); i++)
		sum = (sum ^ p[i]) * 0x100000001b3;
	return sum;
}

bool coh_segment_read(int fd, struct coh_segment_header *h)
{
	return coh_fd_read_at(fd, h, sizeof *h, 0) == 0 && h->magic == COH_SEGMENT_MAGIC &&
	    h->check == coh_segment_sum(h);
}

/*
 * A handle of the process this one was forked from, where the child was given its own descriptors
 * only.
 */
static bool is_memory_alone(const struct coh_segment *s)
{
	return s->life != coh_inherit_life();
}

void coh_segment_drop_open(struct coh_segment *s)
{
	coh_cut_unmap(s->header, s->mapped);
	s->header = NULL;
	s->mark = &coh_segment_unmarked;
	if (is_memory_alone(s)) /* the numbers are somebody else's by now */
		return;
	coh_fd_close(&s->fd);
	for (int i = 0; i < COH_SEGMENT_BELLS; i++)
		coh_fd_close(&s->bell[i]);
}

void coh_segment_drop(struct coh_segment *s)
{
	coh_segment_drop_open(s);
	coh_free(s->name);
	*s = (struct coh_segment)COH_SEGMENT_NONE;
}

/* ---- the marks ---- */

const uint32_t coh_segment_unmarked;

static void marks_of(uint32_t kind, uint32_t marks[COH_SEGMENT_MARKS])
{
	marks[0] = COH_SEGMENT_MARK(COH_SEGMENT_LOCK);
	marks[1] = COH_SEGMENT_MARK(kind);
}

int coh_segment_sign(int fd, uint32_t kind, size_t size)
{
	uint32_t marks[COH_SEGMENT_MARKS];

	marks_of(kind, marks);
	return coh_fd_write_at(fd, marks, sizeof marks, (off_t)(COH_SEGMENT_END(size) - sizeof marks));
}

/* The last of the marks at AT. */
static const uint32_t *last_of(const void *at)
{
	return (const uint32_t *)at + COH_SEGMENT_MARKS - 1;
}

/* The N bytes of the file of S, which can be cut or not.  0 or -errno. */
static int map(struct coh_segment *s, uint32_t kind, size_t n, bool fixed)
{
	s->kind = kind;
	s->mapped = n;
	s->size = fixed ? n : n - COH_SEGMENT_END(0);
	s->header = coh_shm_map(s->fd, n);
	if (s->header == NULL)
		return -errno;
	s->mark = last_of((const char *)s->header + (fixed ? offsetof(struct coh_segment_header, mark) : s->size));
	return fixed ? 0 : coh_cut_watch(s->header, n, s->mark, COH_SEGMENT_MARK(kind));
}

int coh_segment_begin(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	bool fixed = s->name == NULL;
	size_t size = spec->size + spec->tail;
	uint32_t marks[COH_SEGMENT_MARKS];
	int rc = map(s, spec->kind, fixed ? size : COH_SEGMENT_END(size), fixed);

	if (rc != 0)
		return coh_fail_errno(err, -rc, "make a %s: map %zu bytes", spec->what, s->mapped);
	marks_of(spec->kind, marks);
	memcpy(s->header->mark, marks, sizeof marks);
	s->owner = true;
	s->header->magic = COH_SEGMENT_MAGIC;
	s->header->version = COH_SEGMENT_VERSION;
	s->header->kind = spec->kind;
	s->header->size = s->mapped;
	s->header->owner = s->party;
	s->header->space = coh_party_space();
	memcpy(s->header->id, s->id, sizeof s->id);
	return 0;
}

/* ---- what came from others ---- */

static int refuse_header(const struct coh_segment_header *h, const struct coh_segment_spec *spec,
    uint64_t size, struct cohort_error *err)
{
	size_t least = spec->least != 0 ? spec->least : spec->size;

	if (h->magic != COH_SEGMENT_MAGIC)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open the %s: this is no shared object: it begins with %016llx, wanted is "
		    "%016llx",
		    spec->what, (unsigned long long)h->magic,
		    (unsigned long long)COH_SEGMENT_MAGIC);
	if (h->version != COH_SEGMENT_VERSION)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open the %s: the shared object is of version %u, wanted is %d", spec->what,
		    h->version, COH_SEGMENT_VERSION);
	if (h->kind != spec->kind)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open the %s: the shared object is a %s (kind %u), wanted is kind %u", spec->what,
		    coh_segment_word(h->kind), h->kind, spec->kind);
	if (h->size != size)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open the %s: its memory has %llu bytes, it says %llu: it was cut, or damaged",
		    spec->what, (unsigned long long)size, (unsigned long long)h->size);
	if (h->check != coh_segment_sum(h))
		return coh_fail(
		    err, COHORT_ESEGMENT, "open the %s: its header was damaged", spec->what);
	if (h->space != coh_party_space())
		return coh_fail(err, COHORT_ENOTSUP,
		    "open the %s: the shared object was made in pid namespace %llu, this is %llu: share "
		    "within one, or through a server",
		    spec->what, (unsigned long long)h->space, (unsigned long long)coh_party_space());
	if (size < least)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open the %s: the shared object has %llu bytes, wanted are at least %zu",
		    spec->what, (unsigned long long)size, least);
	return 0;
}

int coh_segment_check_in(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	struct coh_segment_header h;
	struct stat st;
	bool fixed;
	int rc;

	if (fstat(s->fd, &st) != 0)
		return coh_fail_errno(err, errno, "open the %s", spec->what);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return coh_fail(err, -EACCES,
		    "open the %s: it belongs to user %u, allowed is user %u", spec->what,
		    (unsigned)st.st_uid, (unsigned)geteuid());
	if (!S_ISREG(st.st_mode))
		return coh_fail(err, COHORT_ESEGMENT, "open the %s: this is no memory", spec->what);
	if (coh_fd_read_at(s->fd, &h, sizeof h, 0) != 0)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open the %s: its memory has %lld bytes, a shared object at least %zu",
		    spec->what, (long long)st.st_size, sizeof h);
	rc = refuse_header(&h, spec, (uint64_t)st.st_size, err);
	if (rc != 0)
		return rc;
	fixed = coh_shm_sealed(s->fd);
	if (!fixed && st.st_size % COH_SEGMENT_END(0) != 0)
		return coh_fail(err, COHORT_ESEGMENT, "open the %s: its memory of %lld bytes does not end as it should",
		    spec->what, (long long)st.st_size);
	rc = map(s, spec->kind, (size_t)st.st_size, fixed);
	if (rc != 0)
		return coh_fail_errno(err, -rc, "open the %s: map %zu bytes", spec->what, s->mapped);
	rc = coh_segment_check(s, err);
	if (rc != 0)
		return rc;
	memcpy(s->id, h.id, sizeof s->id);
	s->published = true;
	return 0;
}

/*
 * A peer could cut an unsealed memory file under us at any time; a named object at least has our
 * own rights.
 */
static int check_fixed(int fd, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	struct stat st, shm;

	if (coh_shm_sealed(fd))
		return 0;
	if (fstat(fd, &st) == 0 && stat("/dev/shm", &shm) == 0 && st.st_dev == shm.st_dev)
		return 0;
	return coh_fail(err, COHORT_ESEGMENT,
	    "open the %s: this is no memory whose size is sealed, nor a file of /dev/shm",
	    spec->what);
}

/* A bell that would block who rings it is none. */
static int check_bell(int fd, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_NONBLOCK) != 0 && (flags & O_ACCMODE) == O_RDWR)
		return 0;
	return coh_fail(err, COHORT_ESEGMENT,
	    "open the %s: descriptor %d is no eventfd or fifo of one", spec->what, fd);
}

static void segment_init(struct coh_segment *s, enum coh_segment_open how)
{
	*s = (struct coh_segment)COH_SEGMENT_NONE;
	s->how = how;
	s->party = coh_party_self();
	s->life = coh_inherit_life();
}

int coh_segment_adopt(struct coh_segment *s, const int *fds, int n,
    const struct coh_segment_spec *spec, struct cohort_error *err)
{
	int rc = 0;

	segment_init(s, COH_SEGMENT_ATTACH);
	if (n != 1 + spec->bells)
		rc = coh_fail(err, COHORT_ESEGMENT, "open the %s: %d descriptors came, wanted are %d",
		    spec->what, n, 1 + spec->bells);
	for (int i = 1; rc == 0 && i < n; i++)
		rc = check_bell(fds[i], spec, err);
	if (rc == 0)
		rc = check_fixed(fds[0], spec, err);
	s->fd = n > 0 ? fds[0] : -1;
	if (rc == 0)
		rc = coh_segment_check_in(s, spec, err);
	for (int i = 0; rc == 0 && i < spec->bells; i++)
		s->bell[i] = fds[1 + i];
	if (rc != 0)
		*s = (struct coh_segment)COH_SEGMENT_NONE;
	return rc;
}

int coh_segment_check(const struct coh_segment *s, struct cohort_error *err)
{
	const char *name = s->name != NULL ? s->name : "";
	struct stat st = {.st_size = 0};

	if (*s->mark == COH_SEGMENT_MARK(s->kind))
		return 0;
	if (is_memory_alone(s) || fstat(s->fd, &st) != 0 || (uint64_t)st.st_size >= s->mapped)
		return coh_fail(err, COHORT_ESEGMENT,
		    "the memory of the %s '%s' was cut, or overwritten to its end at %zu bytes: close it, remove its name, and make it anew",
		    coh_segment_word(s->kind), name, s->mapped);
	return coh_fail(err, COHORT_ESEGMENT,
	    "the memory of the %s '%s' was cut to %lld bytes, wanted are %zu: close it, remove its name, and make it anew",
	    coh_segment_word(s->kind), name, (long long)st.st_size, s->mapped);
}

/* ---- opening ---- */

static int make_anonymous(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	char name[64];
	int rc = coh_segment_root_random(s->id);

	if (rc != 0)
		return coh_fail_errno(err, -rc, "make a %s: random bytes", spec->what);
	snprintf(name, sizeof name, "cohort-%s", spec->what);
	s->fd = coh_shm_new_fixed(name, spec->size, spec->tail);
	rc = s->fd < 0
	    ? coh_fail_errno(err, -s->fd, "make a %s: %zu bytes of memory", spec->what, spec->size)
	    : coh_segment_begin(s, spec, err);
	for (int i = 0; rc == 0 && i < spec->bells; i++) {
		s->bell[i] = coh_fd_event();
		if (s->bell[i] < 0)
			rc = coh_fail_errno(err, -s->bell[i], "make a %s: eventfd", spec->what);
	}
	if (rc != 0)
		coh_segment_drop(s);
	return rc;
}

static int attach_or_make(struct coh_segment *s, const char *name,
    const struct coh_segment_spec *spec, bool *made, struct cohort_error *err)
{
	enum coh_segment_open how = s->how;
	int rc = coh_segment_attach_named(s, name, spec, err);

	if (how == COH_SEGMENT_ATTACH && (rc == -ENOENT || rc == -EBUSY))
		return coh_fail(err, -ENOENT,
		    "open the %s: no object of this user has the name '%s'; make it first, or open "
		    "it so that it is made",
		    spec->what, name);
	if (how == COH_SEGMENT_CREATE && (rc == 0 || rc == COHORT_ESEGMENT)) {
		coh_segment_drop(s);
		return coh_fail(err, -EEXIST,
		    "make a %s: there is a shared object with the name '%s' already", spec->what,
		    name);
	}
	if (rc != -ENOENT)
		return rc;
	segment_init(s, how);
	rc = coh_segment_make_named(s, name, spec, err);
	*made = rc == 0;
	return rc;
}

static int open_named(struct coh_segment *s, const char *name, const struct coh_segment_spec *spec,
    bool *made, struct cohort_error *err)
{
	enum coh_segment_open how = s->how;
	int rc = coh_segment_name_check(name, err);

	if (rc != 0)
		return rc;
	for (int i = 0; i < BUSY_TRIES; i++) {
		segment_init(s, how);
		rc = attach_or_make(s, name, spec, made, err);
		if (rc != -EBUSY)
			return rc;
		(void)poll(NULL, 0, 1);
	}
	return coh_fail(err, -EBUSY,
	    "open the %s: '%s' is being swept away by a process that does not get on", spec->what,
	    name);
}

static int open_inherited(struct coh_segment *s, const char *name,
    const struct coh_segment_spec *spec, struct cohort_error *err)
{
	int fds[COH_HERITAGE_SHARE_FDS], n, rc;

	n = coh_inherit_dup(name, fds, err);
	if (n < 0)
		return n;
	rc = coh_segment_adopt(s, fds, n, spec, err);
	for (int i = 0; rc != 0 && i < n; i++)
		coh_fd_close(&fds[i]);
	return rc;
}

static const char *after(const char *address, const char *scheme)
{
	size_t n = strlen(scheme);

	return strncmp(address, scheme, n) == 0 ? address + n : NULL;
}

static int open_address(struct coh_segment *s, const char *address,
    const struct coh_segment_spec *spec, bool *made, struct cohort_error *err)
{
	const char *local = after(address, "local:"), *inherit = after(address, "inherit:");

	if (inherit != NULL && s->how == COH_SEGMENT_CREATE)
		return coh_fail(err, COHORT_ENOTSUP,
		    "open the %s: it was to be made, but '%s' is what the parent made and shared; "
		    "make one at local: or local:NAME, or attach this one",
		    spec->what, address);
	if (inherit != NULL)
		return open_inherited(s, inherit, spec, err);
	if (local == NULL)
		return coh_fail(err, COHORT_EADDRESS,
		    "open the %s: the address is '%s', allowed are local:, local:NAME and inherit:NAME",
		    spec->what, address);
	if (*local != '\0')
		return open_named(s, local, spec, made, err);
	if (s->how == COH_SEGMENT_ATTACH)
		return coh_fail(err, COHORT_ENOTSUP,
		    "open the %s: it was to be attached, but 'local:' is a new one without a name, which nobody "
		    "finds again; attach local:NAME, or inherit:NAME, which the parent shared",
		    spec->what);
	*made = true;
	return make_anonymous(s, spec, err);
}

int coh_segment_open(struct coh_segment *s, const char *address, enum coh_segment_open how,
    const struct coh_segment_spec *spec, bool *made, struct cohort_error *err)
{
	int rc;

	segment_init(s, how);
	*made = false;
	rc = open_address(s, address != NULL ? address : "", spec, made, err);
	if (rc != 0) {
		*made = false;
		*s = (struct coh_segment)COH_SEGMENT_NONE;
	}
	return rc;
}

/* Another was quicker with S's name: S becomes that one. */
static int yield_to_other(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	struct coh_segment other;
	int rc;

	segment_init(&other, s->how);
	rc = coh_segment_attach_named(&other, s->name, spec, err);
	if (rc != 0)
		return rc;
	coh_segment_end_named(s);
	*s = other;
	return -EEXIST;
}

int coh_segment_publish(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err)
{
	int rc = 0;

	s->header->check = coh_segment_sum(s->header);
	for (int i = 0; s->name != NULL && i < BUSY_TRIES; i++) {
		rc = coh_segment_publish_named(s, err);
		if (rc != -EEXIST || s->how == COH_SEGMENT_CREATE)
			break;
		rc = yield_to_other(s, spec, err);
		if (rc != -ENOENT && rc != -EBUSY)
			return rc;
		if (rc == -EBUSY)
			(void)poll(NULL, 0, 1);
	}
	s->published = rc == 0;
	return rc == 0 ? 0 : coh_fail_code(err, rc);
}

int coh_segment_fds(const struct coh_segment *s, int *fds)
{
	int n = 0;

	fds[n++] = s->fd;
	for (int i = 0; i < COH_SEGMENT_BELLS && s->bell[i] >= 0; i++)
		fds[n++] = s->bell[i];
	return n;
}

void coh_segment_close(struct coh_segment *s)
{
	if (s->header == NULL)
		return;
	if (s->owner && s->name != NULL && s->party == coh_party_self())
		coh_segment_end_named(s);
	else
		coh_segment_drop(s);
}
