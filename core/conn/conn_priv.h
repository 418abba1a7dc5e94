/*
 * conn_priv.h - frames on a connection: what pools, workers, agents and handshakes use.
 *
 * Seam 1 is struct coh_stream_ops: a transport moves bytes, conn.c makes frames of them.
 * The connection that results is the user's cohort_conn.
 */
#ifndef COH_CONN_PRIV_H
#define COH_CONN_PRIV_H

#include "base/buf.h"
#include "wire/frame.h"

#include <cohort/conn.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What send_file sends: SIZE bytes of the file FD from OFFSET on, behind a head. */
struct coh_stream_file {
	const void *head;
	size_t head_size;
	int fd;
	uint64_t offset;
	size_t size;
};

/* A transport.  SELF is the transport's own struct.  All of them may be called after an error. */
struct coh_stream_ops {
	/*
	 * Read up to N bytes.  With DEADLINE COHORT_NOW never waits.  Returns the count, 0 at
	 * the peer's end of stream, -EAGAIN when DEADLINE passed first, or another -errno.
	 */
	ssize_t (*read)(void *self, void *p, size_t n, cohort_time deadline);
	/* Write from IOV (N entries) likewise; never 0. */
	ssize_t (*write)(void *self, const struct iovec *iov, int n, cohort_time deadline);
	/* A descriptor that is readable when read would not return -EAGAIN. */
	int (*fd)(void *self);
	/*
	 * What to ask poll(2) of that descriptor: to hear of something to read and, when WRITING,
	 * of room to write after a write returned -EAGAIN.
	 */
	short (*events)(void *self, bool writing);
	/* Close and free SELF. */
	void (*close)(void *self);
	/*
	 * May be NULL.  True when there are bytes to read that the descriptor does not tell of,
	 * since the transport has taken them from it already: whoever reads goes on until it is false.
	 */
	bool (*ready)(void *self);
	/*
	 * May be NULL.  After a read or write that failed: the COHORT_* code that says more than
	 * its -errno, with a sentence in ERR that does not name the peer; 0 when there is none.
	 */
	int (*why)(void *self, struct cohort_error *err);
	/*
	 * May be NULL.  As write, of a head and a part of a file, whose bytes the kernel moves.  -EINVAL:
	 * it cannot, of this file.  Fewer bytes than asked for may mean that the file has ended.
	 */
	ssize_t (*send_file)(
	    void *self, const struct coh_stream_file *part, cohort_time deadline);
	/* May be NULL.  Tell the peer that nothing more will be written; without, the descriptor's half is shut. */
	void (*end)(void *self);
	/*
	 * Both NULL where no descriptor can travel.  As read; *FD, which the caller made -1, becomes a
	 * descriptor that came with the last of these bytes (given), or -errno of one that was lost:
	 * -EMFILE, or -E2BIG when there was more than one.
	 */
	ssize_t (*read_fd)(void *self, void *p, size_t n, cohort_time deadline, int *fd);
	/* As write, and descriptor FD (borrowed) goes with the first byte. */
	ssize_t (*write_fd)(
	    void *self, const struct iovec *iov, int n, cohort_time deadline, int fd);
};

/*
 * A connection over SELF, which it takes on success.  PEER (copied) is for sentences.
 * Starts in PHASE.  NULL when there is no memory.
 */
struct cohort_conn *coh_conn_new(const struct coh_stream_ops *ops, void *self,
    enum coh_frame_phase phase, const char *peer);

/* A connection over a connected stream socket FD, taken on success.  0 or -ENOMEM. */
int coh_conn_from_fd(struct cohort_conn **out, int fd, enum coh_frame_phase phase,
    const char *peer, struct cohort_error *err);

/* The same for those who know the FAMILY of FD (AF_UNIX or another), and save the system a question. */
int coh_conn_from_socket(struct cohort_conn **out, int fd, int family,
    enum coh_frame_phase phase, const char *peer, struct cohort_error *err);

/*
 * C, new and over a socket, has one that was dialled and that a handshake begins on: it is non-blocking, and TCP may hold
 * small messages back; both are changed when that matters.
 */
void coh_conn_socket_dialled(struct cohort_conn *c);

/* From now on frames are judged by PHASE, and sentences name PEER (copied; 0 or -ENOMEM). */
void coh_conn_set_phase(struct cohort_conn *c, enum coh_frame_phase phase);
int coh_conn_set_peer(struct cohort_conn *c, const char *peer);

/* What cohort_conn_guard says; GUARD must live for ever. */
void coh_conn_set_guard(struct cohort_conn *c, const char *guard);

/* The descriptor to watch; readable when there may be something to read. */
int coh_conn_fd(const struct cohort_conn *c);

/*
 * The poll(2) events to watch it for now: POLLIN, and POLLOUT while bytes wait to be sent over
 * a socket.  (A memory connection rings its POLLIN for room too: after any event, push and receive.)
 */
short coh_conn_events(const struct cohort_conn *c);

/*
 * From now on C keeps to CONFIG (wire/session.h): signs of life, and a time in which a frame must be
 * whole.  Calls that wait see to it themselves; an engine calls coh_conn_tick.
 */
struct coh_session_config;
void coh_conn_begin_session(struct cohort_conn *c, const struct coh_session_config *config);

/*
 * It is NOW: say that we live, if that is due, and judge whether the peer does.  *NEXT is when to
 * call it again at the latest, COHORT_FOREVER when nothing depends on time (until something comes).
 * 0, or how C ended: COHORT_ESILENT, COHORT_ESTALLED, or what a receive has told.  Never waits.
 */
int coh_conn_tick(struct cohort_conn *c, cohort_time now, cohort_time *next);

/*
 * Put a frame with a body of N parts behind what waits to be sent, flushing at 64 KiB as
 * cohort_conn_put does; F->length is set from the parts.  With COHORT_NOW it never waits and
 * what the transport does not take is kept in memory (up to 64 MiB beyond, unless coh_conn_keep_all: COHORT_ETOOBIG),
 * to be sent by a later coh_conn_push.
 */
int coh_conn_put_frame(struct cohort_conn *c, struct coh_frame *f, const struct iovec *body,
    int n, cohort_time deadline);

/*
 * From now on put_frame with COHORT_NOW keeps any number of bytes: for a caller that bounds them by
 * itself, as a pool does by the tasks it gives to a member.
 */
void coh_conn_keep_all(struct cohort_conn *c);

/*
 * Try to send what is held without waiting: 0: all is sent, or what is left waits for the peer's
 * credit, which a receive finds; 1: some is left (wait for writable); <0.
 */
int coh_conn_push(struct cohort_conn *c);

/*
 * Read what is there without taking a frame, for one who takes none for a while: the peer's credit and its
 * signs of life must be heard nevertheless.  What may come so is bounded by the windows.  True when something came.
 */
bool coh_conn_hear(struct cohort_conn *c);

/* Nothing more will be sent over C, and the peer hears so; what was held is sent first as far as it goes. */
void coh_conn_end(struct cohort_conn *c);

/* How many bytes wait to be sent. */
size_t coh_conn_pending(const struct cohort_conn *c);

/* True while there is something to push: bytes, or a file. */
bool coh_conn_busy(const struct cohort_conn *c);

/*
 * The next whole frame, without copying: BODY points into C and is valid until the next call
 * on it that receives.  0; COHORT_ETIMEDOUT; or how the connection ended.  With COHORT_NOW
 * at most one read is made, and only when no whole frame is held already.  What was put is
 * sent before it reads.  A PING is answered here and never seen outside; a PONG is returned.
 */
int coh_conn_next_frame(struct cohort_conn *c, struct coh_frame *f, const void **body,
    cohort_time deadline);

/* True when a whole frame is held (or what ended C): coh_conn_next_frame will not read. */
bool coh_conn_has_frame(const struct cohort_conn *c);

/* How many bytes have come that no frame returned holds. */
size_t coh_conn_unread(const struct cohort_conn *c);

/* How many bytes have come since C began. */
uint64_t coh_conn_bytes_came(const struct cohort_conn *c);

/* How many wait to be sent, or are on their way: the kernel at the other end has not got them, or over a Unix socket the peer.  A system call. */
size_t coh_conn_unsent(const struct cohort_conn *c);

/* Let go of the body last lent and of memory a large message earned: before a long rest. */
void coh_conn_rest(struct cohort_conn *c);

/* C can send nothing any more, as far as is known. */
bool coh_conn_sends_no_more(const struct cohort_conn *c);

/* The failure that ended C (0 while it lives), and its sentence. */
int coh_conn_failure(const struct cohort_conn *c);
const struct cohort_error *coh_conn_last_error(const struct cohort_conn *c);

/* The socket C is laid over and nothing but it, or -1.  C's. */
int coh_conn_socket(const struct cohort_conn *c);

/* C is over a socket by which nothing but bytes comes, and receivers may sleep in it from now on. */
bool coh_conn_socket_sleeps(struct cohort_conn *c);

/*
 * For who guards such a C by a lock, and lets go of it while it waits: receive up to N bytes for C, touching nothing of
 * it, while others may send; then, with the lock, feed C with them.  Nobody else may receive meanwhile.
 * The count, 0 at the end, -EAGAIN when DEADLINE passed first or a nap is over, or another -errno.  N 0: only wait, 1 when something is there.
 */
#define COH_CONN_NAP (500 * COHORT_MS) /* two in the second after which remote.c gives a server up; rare enough to cost nothing */
ssize_t coh_conn_socket_recv(const struct cohort_conn *c, void *p, size_t n, cohort_time deadline);

/* Of how many bytes C can be fed; 0: there is no memory. */
size_t coh_conn_feed_room(struct cohort_conn *c);

/* What a receive for C returned: GOT bytes at P, no more than there was room for, or its end. */
void coh_conn_feed(struct cohort_conn *c, const void *p, ssize_t got);

/*
 * Give up the descriptor of a socket connection that holds no unread or unsent bytes; frees C.
 * The descriptor, or COHORT_ESTATE (bytes are held), COHORT_ENOTSUP (no socket); then C lives on.
 */
int coh_conn_release_fd(struct cohort_conn *c);

#endif
