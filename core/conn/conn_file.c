/*
 * conn_file.c - files of any length, sent and received in pieces.
 *
 * A file goes as FILE frames of at most 64 KiB, each of which leaves only when nothing else waits, so
 * that messages and signs of life never stand behind a long file; it goes on in every call on the
 * connection that sends or waits.  Where the transport is a plain socket the kernel moves the bytes
 * (sendfile) and this process never sees them; elsewhere they pass through one piece of memory.
 *
 * The rule that matters: neither end holds more than the window of the bulk lane, whatever the file's
 * length, and a frame that was announced is finished: when the file turns out to be shorter than it
 * was, the piece is filled up with zeros and the next frame says that the file was given up.  So a file is
 * whole only when an empty FILE follows its last byte: the last piece itself may be one of zeros.
 *
 * Rejected: mapping the file (a file that shrinks would be a SIGBUS in TLS), messages of
 * unlimited length (the receiver would have to hold them).
 */
#include "conn/conn_struct.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE COH_SESSION_SLICE
#define PIECES 16 /* of one push: 1 MiB, then it is the turn of others */
#define GIVEN_UP_SIZE 4

/* The file that goes, and the one that comes. */
struct coh_conn_file {
	int fd; /* ours; -1: none goes */
	bool begun, starved; /* the first piece went; the peer's credit is awaited */
	int broken;          /* why the rest will not come; 0: it will */
	uint64_t offset, left;

	bool coming;
	uint64_t expected, total;
	size_t done; /* bytes of the piece at the head that were written already */
};

bool coh_conn_file_goes(const struct cohort_conn *c)
{
	return c->file != NULL && c->file->fd >= 0;
}

bool coh_conn_file_starves(const struct cohort_conn *c)
{
	return c->file != NULL && c->file->starved;
}

bool coh_conn_file_comes(const struct cohort_conn *c)
{
	return c->file != NULL && c->file->coming;
}

void coh_conn_file_stop(struct cohort_conn *c)
{
	if (c->file != NULL)
		coh_fd_close(&c->file->fd);
}

void coh_conn_file_free(struct cohort_conn *c)
{
	coh_conn_file_stop(c);
	coh_free(c->file);
	c->file = NULL;
}

static struct coh_conn_file *file_of(struct cohort_conn *c)
{
	if (c->file == NULL) {
		c->file = coh_calloc(sizeof *c->file);
		if (c->file != NULL)
			c->file->fd = -1;
	}
	return c->file;
}

/* ---- sending ---- */

/* N bytes of the file from OFFSET at P; what is not there any more is zeros. */
static void file_read(struct coh_conn_file *f, unsigned char *p, uint64_t offset, size_t n)
{
	ssize_t got;

	for (; n != 0; p += got, offset += (uint64_t)got, n -= (size_t)got) {
		do
			got = pread(f->fd, p, n, (off_t)offset);
		while (got < 0 && errno == EINTR);
		if (got > 0)
			continue;
		f->broken = got < 0 ? -errno : COHORT_ETRUNCATED;
		memset(p, 0, n);
		return;
	}
}

/* Hold the frame HEAD with SIZE bytes of the file, but for the SENT bytes of it that are out. */
static int piece_hold(struct cohort_conn *c, const unsigned char head[COH_FRAME_SIZE], size_t size,
    size_t sent)
{
	struct coh_buf *held = &c->out.held;
	size_t skip = sent < COH_FRAME_SIZE ? sent : COH_FRAME_SIZE, part = size - (sent - skip);
	int rc = coh_buf_reserve(held, COH_FRAME_SIZE - skip + part);

	if (rc != 0 && sent == 0)
		return coh_conn_fail_code(c, rc);
	if (rc != 0)
		return coh_conn_out_end(c, coh_conn_fail(c, rc,
		    "cannot send: no memory for the rest of a piece that is partly out"));
	memcpy(held->data + held->tail, head + skip, COH_FRAME_SIZE - skip);
	held->tail += COH_FRAME_SIZE - skip;
	file_read(c->file, held->data + held->tail, c->file->offset + (sent - skip), part);
	held->tail += part;
	return 0;
}

/* Let the kernel send the frame HEAD and SIZE bytes of the file.  As a write; -EINVAL: it cannot. */
static ssize_t piece_direct(struct cohort_conn *c, const unsigned char head[COH_FRAME_SIZE],
    size_t size, cohort_time deadline)
{
	struct coh_stream_file part = {head, COH_FRAME_SIZE, c->file->fd, c->file->offset, size};
	ssize_t n = -EINVAL;

	if (c->ops->send_file != NULL && size != 0 && c->out.pass < 0)
		n = c->ops->send_file(c->self, &part, deadline);
	if (n > 0) {
		c->out.total += (uint64_t)n;
		coh_session_said(&c->session);
	}
	return n;
}

/* Send what is held: 0, 1: the transport is full; or how sending ended. */
static int held_send(struct cohort_conn *c, cohort_time deadline)
{
	int rc = c->session.on ? coh_conn_out_held(c) : coh_conn_out_flush(c, deadline);

	return rc == -EAGAIN || rc == COHORT_ETIMEDOUT ? 1 : rc;
}

/* The next frame of the file. */
static struct coh_frame piece_frame(const struct coh_conn_file *f)
{
	struct coh_frame frame = {.type = COH_FRAME_FILE,
	    .flags = f->begun ? 0 : COH_FILE_FIRST,
	    .length = f->left < PIECE ? (uint32_t)f->left : PIECE,
	    .id = f->left};

	if (f->broken == 0)
		return frame;
	frame.flags = COH_FILE_GIVEN_UP;
	frame.length = GIVEN_UP_SIZE;
	return frame;
}

/* The frame F is out, or held. */
static void piece_done(struct cohort_conn *c, const struct coh_frame *f)
{
	struct coh_conn_file *file = c->file;

	coh_session_spend(&c->session, COH_LANE_BULK, COH_FRAME_SIZE + (uint64_t)f->length);
	file->begun = true;
	if (f->flags == COH_FILE_GIVEN_UP) {
		coh_conn_fail(c, file->broken, "the file could not be read to its end");
		coh_fd_close(&file->fd);
		return;
	}
	file->offset += f->length;
	file->left -= f->length;
	if (f->length == 0 && f->flags == 0) /* the mark of the end */
		coh_fd_close(&file->fd);
}

/* Send one piece.  0; 1: the transport is full; or how sending ended.  Sets `starved`. */
static int piece_send(struct cohort_conn *c, cohort_time deadline)
{
	struct coh_frame f = piece_frame(c->file);
	unsigned char head[COH_FRAME_SIZE], code[GIVEN_UP_SIZE];
	ssize_t n = -EINVAL;
	int rc;

	c->file->starved =
	    !coh_session_may(&c->session, COH_LANE_BULK, COH_FRAME_SIZE + (uint64_t)f.length);
	if (c->file->starved)
		return 0;
	coh_frame_encode(&f, head);
	if (f.flags == COH_FILE_GIVEN_UP) {
		coh_put_u32(code, (uint32_t)c->file->broken);
		rc = coh_buf_put(&c->out.held, head, sizeof head);
		rc = rc == 0 ? coh_buf_put(&c->out.held, code, sizeof code) : rc;
		if (rc != 0)
			return coh_conn_out_end(c, coh_conn_fail(c, rc, "cannot send: no memory"));
	} else {
		n = piece_direct(c, head, f.length, c->session.on ? COHORT_NOW : deadline);
		if (n == -EAGAIN)
			return 1;
		if (n < 0 && n != -EINVAL && n != -EIO)
			return coh_conn_out_end(
			    c, coh_conn_fail_stream(c, COHORT_EPEER, "cannot send: ", (int)n));
		if (n != (ssize_t)(COH_FRAME_SIZE + f.length)) {
			rc = piece_hold(c, head, f.length, n > 0 ? (size_t)n : 0);
			if (rc != 0)
				return rc;
		}
	}
	piece_done(c, &f);
	return held_send(c, deadline);
}

int coh_conn_file_push(struct cohort_conn *c, cohort_time deadline)
{
	int rc = held_send(c, deadline);

	for (int i = 0; i < PIECES && rc == 0; i++) {
		if (!coh_conn_file_goes(c))
			return 0;
		rc = piece_send(c, deadline);
		if (rc == 0 && coh_conn_file_starves(c))
			return 0;
	}
	return rc == 0 && coh_conn_file_goes(c) ? 1 : rc;
}

int coh_conn_file_flush(struct cohort_conn *c, cohort_time deadline)
{
	int rc, broken = 0;

	while (coh_conn_file_goes(c)) {
		rc = coh_conn_push(c);
		broken = c->file->broken;
		if (rc < 0)
			return rc;
		if (!coh_conn_file_goes(c))
			break;
		if (!c->session.on)
			rc = coh_conn_file_push(c, deadline);
		else
			rc = coh_conn_session_wait(c, rc == 1, deadline);
		if (rc == -EAGAIN || (rc == 1 && coh_clock_passed(deadline)))
			return coh_conn_fail_code(c, COHORT_ETIMEDOUT);
		if (rc < 0)
			return c->session.on ? coh_conn_out_end(c, rc) : rc;
		broken = c->file->broken;
	}
	if (broken != 0)
		return coh_conn_fail(c, broken, "the file could not be read to its end");
	return coh_conn_out_flush(c, deadline);
}

/* SIZE bytes from OFFSET on must be there, in a file that can be read at any place. */
static int file_check(struct cohort_conn *c, int fd, uint64_t offset, uint64_t size)
{
	struct stat st;

	if (c->framing != NULL)
		return coh_conn_fail(c, COHORT_ENOTSUP, "the peer takes plain bytes only, no files");
	if (coh_conn_file_goes(c))
		return coh_conn_fail(c, COHORT_ESTATE,
		    "another file is under way, %llu bytes of it are left",
		    (unsigned long long)c->file->left);
	if (fstat(fd, &st) != 0)
		return coh_conn_fail(c, -errno, "the file: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return coh_conn_fail(c, COHORT_EARGUMENT,
		    "the descriptor is no plain file; read it and send what you read");
	if (offset > (uint64_t)st.st_size || size > (uint64_t)st.st_size - offset)
		return coh_conn_fail(c, COHORT_EARGUMENT,
		    "%llu bytes from %llu on were asked for, the file has %llu",
		    (unsigned long long)size, (unsigned long long)offset,
		    (unsigned long long)st.st_size);
	return 0;
}

int cohort_conn_start_file(struct cohort_conn *c, int fd, uint64_t offset, uint64_t size)
{
	struct coh_conn_file *f;
	int rc = file_check(c, fd, offset, size);

	if (rc != 0)
		return rc;
	f = file_of(c);
	if (f == NULL)
		return coh_conn_fail_code(c, -ENOMEM);
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (f->fd < 0)
		return coh_conn_fail(c, -errno, "the file: %s", strerror(errno));
	f->begun = f->starved = false;
	f->broken = 0;
	f->offset = offset;
	f->left = size;
	rc = coh_conn_push(c);
	if (rc < 0)
		coh_conn_file_stop(c);
	return rc < 0 ? rc : 0;
}

int cohort_conn_send_file(
    struct cohort_conn *c, int fd, uint64_t offset, uint64_t size, cohort_time deadline)
{
	int rc = cohort_conn_start_file(c, fd, offset, size);

	return rc == 0 ? coh_conn_file_flush(c, deadline) : rc;
}

uint64_t cohort_conn_file_left(const struct cohort_conn *c)
{
	if (!coh_conn_file_goes(c))
		return 0;
	return c->file->left != 0 ? c->file->left : 1; /* its end is to be marked yet */
}

/* ---- receiving ---- */

static int file_hostile(struct cohort_conn *c, const struct coh_frame *f)
{
	return c->in.failure = coh_conn_fail(c, COHORT_EPROTOCOL,
		   "a piece of %u bytes of a file of which %llu are awaited says that %llu are", f->length,
		   (unsigned long long)c->file->expected, (unsigned long long)f->id);
}

/* The piece at the head is the first: of a file of at most MOST bytes? */
static int file_begin(
    struct cohort_conn *c, const struct coh_frame *f, uint64_t most, uint64_t *size)
{
	if (c->file->coming || f->flags != COH_FILE_FIRST)
		return file_hostile(c, f);
	if (f->id > most) {
		*size = f->id;
		return coh_conn_fail(c, COHORT_ETOOBIG,
		    "the file has %llu bytes, %llu are allowed; it is kept",
		    (unsigned long long)f->id, (unsigned long long)most);
	}
	c->file->coming = true;
	c->file->total = c->file->expected = f->id;
	return 0;
}

/* Write the body of the piece F to FD; where that fails it goes on the next time. */
static int piece_write(struct cohort_conn *c, const struct coh_frame *f, int fd)
{
	const unsigned char *body = coh_conn_in_body(c);
	ssize_t n;

	while (fd >= 0 && c->file->done < f->length) {
		n = write(fd, body + c->file->done, f->length - c->file->done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return coh_conn_fail(c, -errno, "the file that comes: %s", strerror(errno));
		c->file->done += (size_t)n;
	}
	c->file->done = 0;
	coh_conn_in_take(c);
	return 0;
}

/* The sender gave the file up, for the reason in the piece's body. */
static int file_given_up(struct cohort_conn *c)
{
	int code = (int)coh_get_u32(coh_conn_in_body(c));

	coh_conn_in_take(c);
	c->file->coming = false;
	return coh_conn_fail(c, COHORT_ETRUNCATED,
	    "the peer gave the file up after %llu of %llu bytes: %s",
	    (unsigned long long)(c->file->total - c->file->expected),
	    (unsigned long long)c->file->total, cohort_strerror(code < 0 ? code : COHORT_EPEER));
}

/* Deal with the piece F at the head.  1: it was the last; 0; or a code. */
static int file_piece(struct cohort_conn *c, const struct coh_frame *f, int fd,
    struct coh_file_bounds b)
{
	bool first = c->file->done == 0 && !c->file->coming;
	int rc = first ? file_begin(c, f, b.most, b.size) : 0;

	if (rc != 0)
		return rc;
	if (f->flags == COH_FILE_GIVEN_UP && f->length == GIVEN_UP_SIZE)
		return file_given_up(c);
	if (f->id != c->file->expected || f->length > f->id || (f->length == 0 && f->id != 0) ||
	    (f->flags != 0 && !first && (c->file->expected != c->file->total || f->length == 0)))
		return file_hostile(c, f);
	rc = piece_write(c, f, fd);
	if (rc != 0)
		return rc;
	c->file->expected -= f->length;
	if (f->length != 0 || f->flags != 0)
		return 0; /* whole only by the mark of its end */
	c->file->coming = false;
	*b.size = c->file->total;
	return 1;
}

int cohort_conn_recv_file(
    struct cohort_conn *c, int fd, uint64_t most, uint64_t *size, cohort_time deadline)
{
	struct coh_frame f;
	int rc;

	*size = 0;
	if (file_of(c) == NULL)
		return coh_conn_fail_code(c, -ENOMEM);
	do {
		rc = coh_conn_expect(c, COH_FRAME_FILE, &f, deadline);
		if (rc == 0)
			rc = file_piece(c, &f, fd, (struct coh_file_bounds){most, size});
		if (rc == 0 && coh_clock_passed(deadline) && deadline != COHORT_NOW)
			rc = coh_conn_fail_code(c, COHORT_ETIMEDOUT); /* a flood must not hold us longer */
	} while (rc == 0);
	return rc == 1 ? 0 : rc;
}
