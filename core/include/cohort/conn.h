/*
 * conn.h - a connection: two processes joined, whole messages both ways.
 *
 * The same calls, order and errors over an inherited socket pair, in memory, over a Unix
 * socket and over TCP.  Messages arrive whole, once, in the order sent, with their
 * boundaries; a typed message and a message of plain bytes are told apart.
 *
 * A connection may be used by one thread at a time.  Of two processes that share one by
 * fork only one may go on using it; the other closes its copy.
 *
 * Every call that may wait keeps its deadline (time.h) for the whole message.  After
 * COHORT_ETIMEDOUT the connection is as usable as before, and nothing is lost or sent twice.
 *
 * On a connection that came by an address a message that was begun must be whole within 30 s
 * (COHORT_ESTALLED), and a peer that promised signs of life (cohort_net_options) and says nothing for
 * 8 s, or three times as long as it promised, is given up (COHORT_ESILENT).  Time in which you do not call does
 * not count against it.
 *
 * Once a receive has told how the connection ended (COHORT_EOF, COHORT_ETRUNCATED,
 * COHORT_EPEER, COHORT_EPROTOCOL, COHORT_EVERSION, COHORT_ETOOBIG, COHORT_ESILENT, COHORT_ESTALLED) each later call returns that
 * same code.  A send that fails with COHORT_EPEER ends sending only: what the peer had said
 * before it went can still be received.
 */
#ifndef COHORT_CONN_H
#define COHORT_CONN_H

#include <cohort/message.h>
#include <cohort/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cohort_conn;

/*
 * Two connected ends over a socket pair, one usually for a child.  Gives both; descriptors
 * are close-on-exec.  Returns 0 or -errno (-EMFILE, -ENFILE, -ENOMEM).
 */
COHORT_API int cohort_conn_pair(
    struct cohort_conn **a, struct cohort_conn **b, struct cohort_error *err);

/*
 * Two connected ends within this process that use no socket; a thread may hold each end.
 * Gives both.  Returns 0 or -errno.
 */
COHORT_API int cohort_conn_memory(
    struct cohort_conn **a, struct cohort_conn **b, struct cohort_error *err);

/*
 * Close C and free it; what was put and not flushed is dropped (so that a process which closes its
 * copy after a fork says nothing).  Never blocks, but for half a second at most on a connection that came by
 * an address, when much was sent that has not arrived yet.  NULL is fine.
 */
COHORT_API void cohort_conn_close(struct cohort_conn *c);

/*
 * Send M; when this returns 0 the message is in the transport's hands (not yet the peer's).
 * Borrows M.  Also sends whatever was put before it.
 *
 * A message goes whole or not at all: when DEADLINE passes before the transport took its
 * first byte, M is taken back (COHORT_ETIMEDOUT); when it passes later the call returns 0, and the
 * rest is kept in memory and goes first at the next call on C (cohort_conn_flush waits for it).
 *
 * Returns 0, COHORT_ETIMEDOUT (M was not sent and may be sent again), COHORT_EPEER,
 * COHORT_ETOOBIG (over COHORT_MESSAGE_MAX; nothing sent), COHORT_ESTATE (index 0 of M was not
 * packed), -ENOMEM (M was not sent; or, when that rest could not be kept, sending has ended
 * and each later send says so too).
 */
COHORT_API int cohort_conn_send(
    struct cohort_conn *c, struct cohort_message *m, cohort_time deadline);

/* The same for SIZE plain bytes at DATA, which may be 0.  Borrows DATA; large ones are not copied. */
COHORT_API int cohort_conn_send_bytes(
    struct cohort_conn *c, const void *data, size_t size, cohort_time deadline);

/*
 * Put a message behind those not yet sent, to travel together: it is sent when 64 KiB are
 * held, or by the next send or flush on this connection, or the next receive, poll or wait
 * that finds no whole message held and so looks at the transport; whichever is first.
 * This is how to send many small messages quickly, and to answer many in one go.  Waits,
 * until DEADLINE, only when the transport is full.  Returns as cohort_conn_send.
 */
COHORT_API int cohort_conn_put(
    struct cohort_conn *c, struct cohort_message *m, cohort_time deadline);
COHORT_API int cohort_conn_put_bytes(
    struct cohort_conn *c, const void *data, size_t size, cohort_time deadline);

/*
 * Send COUNT bytes from OFFSET of the SIZE bytes at DATA, as cohort_conn_send_bytes does.  A range
 * that is not within them (a negative length arrives as a huge one, and counts as such) is
 * COHORT_EARGUMENT, with a sentence that says what was got and what is allowed; nothing is sent.
 */
COHORT_API int cohort_conn_send_range(struct cohort_conn *c, const void *data, size_t size,
    size_t offset, size_t count, cohort_time deadline);

/* Send what was put.  0, COHORT_ETIMEDOUT (call again), COHORT_EPEER. */
COHORT_API int cohort_conn_flush(struct cohort_conn *c, cohort_time deadline);

/*
 * Receive the next message into M, which is reset first; its format must be M's.
 *
 * Returns 0; COHORT_ETIMEDOUT; COHORT_EOF (the peer closed between two messages);
 * COHORT_ETRUNCATED (the peer vanished inside one); COHORT_EPEER (reset: it went without
 * reading what was sent to it); COHORT_EPROTOCOL (bytes that are no message), COHORT_EVERSION,
 * COHORT_ETOOBIG (it announced more than COHORT_MESSAGE_MAX); COHORT_EFORMAT, COHORT_ECODEC (the message is not of M's format
 * or not valid: it is dropped, the connection goes on); COHORT_ESTATE (the next message is
 * plain bytes: it is kept, receive it with cohort_conn_recv_bytes); -ENOMEM.
 * cohort_conn_error has the sentence.
 */
COHORT_API int cohort_conn_recv(
    struct cohort_conn *c, struct cohort_message *m, cohort_time deadline);

/*
 * Receive the next message of plain bytes.  *DATA (SIZE bytes) belongs to the connection and
 * is valid until the next call on it.  Over a Unix socket or pair a message of 1 MiB and more may lie
 * in memory that the sender has mapped too: a sender that breaks its word can change these bytes
 * while they are looked at, so copy what is checked first and used then (typed messages always are).  Returns as cohort_conn_recv; COHORT_ESTATE: the next
 * message is a typed one and is kept.
 */
COHORT_API int cohort_conn_recv_bytes(
    struct cohort_conn *c, const void **data, size_t *size, cohort_time deadline);

/*
 * The same for messages of at most MOST bytes.  A longer one is COHORT_ETOOBIG: it is kept, the
 * connection lives on, and *SIZE is its size (0 after any other failure).  COHORT_EARGUMENT: a negative MOST.
 */
COHORT_API int cohort_conn_recv_most(struct cohort_conn *c, const void **data, size_t *size,
    size_t most, cohort_time deadline);

/*
 * Receive the next message of plain bytes into the SIZE bytes at BUFFER; *GOT is its size.  One
 * that does not fit is COHORT_ETOOBIG: it is kept, the connection lives on, and *GOT is the
 * room it needs (0 after any other failure).  Else as cohort_conn_recv_bytes.
 */
COHORT_API int cohort_conn_recv_into(struct cohort_conn *c, void *buffer, size_t size,
    size_t *got, cohort_time deadline);

/*
 * The same from OFFSET of the SIZE bytes at BUFFER on.  COHORT_EARGUMENT when OFFSET is not 0 to
 * SIZE; nothing is received.
 */
COHORT_API int cohort_conn_recv_range(struct cohort_conn *c, void *buffer, size_t size,
    size_t offset, size_t *got, cohort_time deadline);

/*
 * Send descriptor FD, which is borrowed: the receiver gets one of its own for the same open file.
 * It is a message like others, in their order.  Unix sockets and pairs only.
 *
 * Returns as cohort_conn_send_bytes, and COHORT_ENOTSUP (nothing of this kind can carry a
 * descriptor: the sentence says why), -EBADF, -ETOOMANYREFS (too many are on their way).
 */
COHORT_API int cohort_conn_send_fd(struct cohort_conn *c, int fd, cohort_time deadline);

/*
 * Receive the next message, which must be a descriptor.  Gives *FD, close-on-exec; -1 on failure.
 *
 * Returns as cohort_conn_recv_bytes; COHORT_ESTATE: the next message is another and is kept; -EMFILE:
 * there was no room for it in this process (RLIMIT_NOFILE), it is lost and the connection goes on.
 */
COHORT_API int cohort_conn_recv_fd(struct cohort_conn *c, int *fd, cohort_time deadline);

/*
 * Send the connection SENT, of any kind that is a socket alone (a pair, Unix, TCP), over C, which
 * must be a Unix socket or a pair.  What SENT has received and nobody took goes with it, what
 * was put is sent first, and it is known by the same words at its new place.
 * SENT is taken on success; else it is as it was.
 *
 * Returns as cohort_conn_send_fd; COHORT_ENOTSUP (also: SENT is in memory, over TLS, or speaks
 * Python's framing); COHORT_ESTATE (SENT has ended, or is in the middle of what cannot be handed over:
 * the sentence says what); COHORT_EARGUMENT (SENT is C).
 */
COHORT_API int cohort_conn_send_conn(
    struct cohort_conn *c, struct cohort_conn *sent, cohort_time deadline);

/*
 * Receive the next message, which must be a connection.  Gives *RECEIVED; NULL on failure.
 * Returns as cohort_conn_recv_fd, and COHORT_EPROTOCOL (ends C: what came is no connection).
 */
COHORT_API int cohort_conn_recv_conn(
    struct cohort_conn *c, struct cohort_conn **received, cohort_time deadline);

/*
 * Send SIZE bytes of the plain file FD from OFFSET on, of any length, in pieces of 64 KiB: memory stays
 * small at both ends, over a plain socket the bytes are not copied through this process, and messages
 * sent meanwhile overtake what is left of the file.  One file at a time and direction.
 *
 * start_file returns at once, and the file goes on in every later call on C that sends, receives, polls,
 * waits or steps; cohort_conn_flush waits for its end and cohort_conn_file_left says how far it is.
 * send_file also flushes, until DEADLINE.  FD is duplicated: close it when you like.
 *
 * Returns 0; COHORT_ETIMEDOUT (send_file: it goes on by itself; call cohort_conn_flush); COHORT_EARGUMENT (no
 * plain file, or shorter than that: got and allowed are in the sentence); COHORT_ESTATE (a file is under
 * way); COHORT_ETRUNCATED, -EIO (the file became shorter or cannot be read: the peer is told, C lives on);
 * COHORT_EPEER; COHORT_ENOTSUP (a Python peer); -EBADF, -EMFILE, -ENOMEM.
 */
COHORT_API int cohort_conn_send_file(
    struct cohort_conn *c, int fd, uint64_t offset, uint64_t size, cohort_time deadline);
COHORT_API int cohort_conn_start_file(
    struct cohort_conn *c, int fd, uint64_t offset, uint64_t size);

/* Bytes of the file that goes which are not sent yet, 1 when only the mark of its end is; 0: none goes. */
COHORT_API uint64_t cohort_conn_file_left(const struct cohort_conn *c);

/*
 * Receive the file that the peer sends: its bytes are written to FD (any descriptor that can be written;
 * -1: dropped) from its position on, piece by piece as they come.  *SIZE is its length once it is whole.
 *
 * Returns 0; COHORT_ESTATE (a message has overtaken it: receive that, then call this again, which goes on
 * where it was); COHORT_ETIMEDOUT (call again, it goes on); COHORT_ETOOBIG (more than MOST bytes are announced,
 * *SIZE has how many: it is kept, call again with a larger MOST or with FD -1); -ENOSPC and others of write(2)
 * (nothing is lost: make room or give another FD, and call again); COHORT_ETRUNCATED (the peer gave it up, or
 * went); or as cohort_conn_recv.  Until a file is received, receiving a message returns COHORT_ESTATE.
 */
COHORT_API int cohort_conn_recv_file(
    struct cohort_conn *c, int fd, uint64_t most, uint64_t *size, cohort_time deadline);

/*
 * Wait until a whole message can be received without waiting (or the connection has ended,
 * which the next receive tells).  Consumes nothing.  Returns 1, or 0 when DEADLINE passed.
 */
COHORT_API int cohort_conn_poll(struct cohort_conn *c, cohort_time deadline);

/*
 * For a loop of your own, be it poll, epoll or libevent: watch cohort_conn_fd(C) for
 * cohort_conn_events(C) (of poll(2); they change with every call on C) and call cohort_conn_step
 * when one of them comes, and at *NEXT at the latest (a moment, as a deadline is; COHORT_FOREVER:
 * there is nothing to do until then).  NEXT may be NULL.
 *
 * A step sends what is held, reads what is there and gives the sign of life that was promised
 * (cohort_net_options), all without waiting.  It returns 1 when a message, or the end of C, can be
 * received, else 0: receive with COHORT_NOW until COHORT_ETIMEDOUT, since messages already read
 * do not make the descriptor readable.
 */
COHORT_API int cohort_conn_fd(const struct cohort_conn *c);
COHORT_API short cohort_conn_events(const struct cohort_conn *c);
COHORT_API int cohort_conn_step(struct cohort_conn *c, cohort_time *next);

/*
 * A sentence for the last failure on C, naming the peer.  C's, valid until the next call on it.
 */
COHORT_API const char *cohort_conn_error(const struct cohort_conn *c);

/* Who is at the other end, in words: an address, "child 1234", "memory".  C's, for its life. */
COHORT_API const char *cohort_conn_peer(const struct cohort_conn *c);

/*
 * How what is said over C is guarded, in words for people: "TLS 1.3, by the key", "within this
 * machine".  Lives for ever.
 */
COHORT_API const char *cohort_conn_guard(const struct cohort_conn *c);

/*
 * What cohort_wait waits for: a connection, or, with conn NULL, a descriptor (ready when readable or
 * at its end): a process's sentinel, a listener's cohort_listener_fd, an eventfd, a pipe, ...
 */
struct cohort_wait_item {
	struct cohort_conn *conn; /* ready: a whole message or the end is there */
	int fd;                   /* looked at when conn is NULL */
	int ready;                /* set by cohort_wait: 1 or 0 */
};

/*
 * Wait until at least one of N items is ready or DEADLINE passes; mark all that are ready.
 * What was put on the connections is sent as room allows while it waits.  Every call looks at all
 * items, and reads a bounded number of bytes for each: whoever serves what is marked, a message
 * or more each, keeps none of them waiting, however much one of them has to say.
 *
 * Returns how many are (0: the deadline passed), COHORT_EARGUMENT (an fd < 0; n < 0; n == 0 for
 * ever), -EBADF (the marked items, and only they, are no open descriptors), -ENOMEM.
 */
COHORT_API int cohort_wait(struct cohort_wait_item *items, int n, cohort_time deadline);

#ifdef __cplusplus
}
#endif
#endif
