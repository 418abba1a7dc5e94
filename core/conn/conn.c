/*
 * conn.c - seam 1: the connection, whatever carries it.
 *
 * A stream moves bytes (stream_fd.c, conn_mem.c), conn_in.c and conn_out.c make frames of
 * them, and this file is the handle: the user's calls, and frames for pools and agents.
 *
 * The rule that matters: a message that is refused for what it is (another format, of the
 * other kind) costs that message at most; only bytes that are no frame, or the end of the
 * stream, end the connection, and then every later call says the same.
 *
 * Rejected: a lock in the handle (a lock per message for the few who share one).
 */
#include "conn/conn_block.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"
#include "wire/codec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct cohort_conn *coh_conn_new(const struct coh_stream_ops *ops, void *self,
    enum coh_frame_phase phase, const char *peer)
{
	struct cohort_conn *c = coh_calloc(sizeof *c);

	if (c == NULL)
		return NULL;
	c->error = coh_calloc(sizeof *c->error);
	c->peer = coh_strdup(peer);
	if (c->error == NULL || c->peer == NULL) {
		coh_free(c->error);
		coh_free(c->peer);
		coh_free(c);
		return NULL;
	}
	c->magic = COH_CONN_MAGIC;
	c->phase = phase;
	c->ops = ops;
	c->self = self;
	coh_conn_out_init(&c->out);
	return c;
}

void coh_conn_dispose(struct cohort_conn *c)
{
	COH_ASSERT(c->magic == COH_CONN_MAGIC);
	coh_conn_file_free(c);
	c->magic = 0;
	coh_conn_came_drop(c);
	coh_conn_block_free(c);
	coh_free(c->in.data);
	coh_free(c->in.old);
	coh_free(c->in.parts);
	coh_conn_lane_fini(&c->out);
	coh_buf_fini(&c->out.held);
	coh_free(c->error);
	coh_free(c->peer);
	coh_free(c);
}

void cohort_conn_close(struct cohort_conn *c)
{
	if (c == NULL)
		return;
	if (c->session.on)
		coh_conn_session_leave(c);
	c->ops->close(c->self);
	coh_conn_dispose(c);
}

int coh_conn_fail(struct cohort_conn *c, int code, const char *format, ...)
{
	va_list ap;
	size_t n;

	c->error->code = code;
	n = (size_t)snprintf(
	    c->error->text, sizeof c->error->text, "connection to %s: ", c->peer);
	if (n >= sizeof c->error->text)
		return code;
	va_start(ap, format);
	vsnprintf(c->error->text + n, sizeof c->error->text - n, format, ap);
	va_end(ap);
	return code;
}

int coh_conn_fail_stream(struct cohort_conn *c, int code, const char *doing, int e)
{
	struct cohort_error why = {0};
	int rc = c->ops->why != NULL ? c->ops->why(c->self, &why) : 0;

	if (rc != 0)
		return coh_conn_fail(c, rc, "%s%s", doing, why.text);
	return coh_conn_fail(c, code, "%s%s", doing, strerror(-e));
}

bool coh_conn_is_foreign(const struct cohort_conn *c)
{
	return c->framing != NULL;
}

void coh_conn_set_framing(struct cohort_conn *c, const struct coh_framing *framing)
{
	/* What is held was framed the old way; between two framings of one kind it may be. */
	COH_ASSERT(coh_conn_pending(c) == 0 ||
	    (c->framing != NULL && framing != NULL && c->framing->encode == framing->encode));
	c->framing = framing;
}

const struct cohort_error *coh_conn_last_error(const struct cohort_conn *c)
{
	struct cohort_error *e = c->error;

	if (e->text[0] == '\0' && e->code != 0)
		snprintf(e->text, sizeof e->text, "connection to %s: %s", c->peer,
		    cohort_strerror(e->code));
	return e;
}

const char *cohort_conn_error(const struct cohort_conn *c)
{
	return coh_conn_last_error(c)->text;
}

const char *cohort_conn_peer(const struct cohort_conn *c)
{
	return c->peer;
}

const char *cohort_conn_guard(const struct cohort_conn *c)
{
	return c->guard != NULL ? c->guard : "within this machine, between processes made for it";
}

void coh_conn_set_guard(struct cohort_conn *c, const char *guard)
{
	c->guard = guard;
}

void coh_conn_set_phase(struct cohort_conn *c, enum coh_frame_phase phase)
{
	c->phase = phase;
}

int coh_conn_set_peer(struct cohort_conn *c, const char *peer)
{
	char *copy = coh_strdup(peer);

	if (copy == NULL)
		return -ENOMEM;
	coh_free(c->peer);
	c->peer = copy;
	return 0;
}

int coh_conn_fd(const struct cohort_conn *c)
{
	return c->ops->fd(c->self);
}

short coh_conn_events(const struct cohort_conn *c)
{
	/* What waits in lanes waits for credit once `held` is out. */
	return c->ops->events(c->self,
	    coh_buf_len(&c->out.held) != 0 ||
		(coh_conn_file_goes(c) && !coh_conn_file_starves(c)));
}

void coh_conn_end(struct cohort_conn *c)
{
	(void)coh_conn_push(c); /* who does not take it now will not hear the rest */
	if (c->ops->end != NULL)
		c->ops->end(c->self);
	else
		(void)shutdown(coh_conn_fd(c), SHUT_WR);
}

int coh_conn_failure(const struct cohort_conn *c)
{
	return c->in.failure != 0 ? c->in.failure : c->out.failure;
}

int coh_conn_put_frame(struct cohort_conn *c, struct coh_frame *f, const struct iovec *body,
    int n, cohort_time deadline)
{
	struct coh_conn_outgoing o = {
	    f, body, n, deadline == COHORT_NOW ? COH_CONN_KEEP : COH_CONN_PUT};
	size_t size = 0, limit;
	bool legal;

	if (c->framing != NULL && f->type != COH_FRAME_BYTES)
		return coh_conn_fail(c, COHORT_ENOTSUP, "the peer takes plain bytes, not a %s",
		    coh_frame_name(f->type));
	limit = c->framing != NULL ? COHORT_MESSAGE_MAX
				   : coh_frame_limit(f->type, c->phase, &legal);
	COH_ASSERT(n <= COH_CONN_PARTS);
	for (int i = 0; i < n; i++)
		if (__builtin_add_overflow(size, body[i].iov_len, &size))
			size = SIZE_MAX;
	if (size > limit)
		return coh_conn_fail(c, COHORT_ETOOBIG, "a %s of %zu bytes is not allowed",
		    coh_frame_name(f->type), size);
	f->length = (uint32_t)size;
	return coh_conn_out_frame(c, &o, deadline);
}

int coh_conn_next_frame(
    struct cohort_conn *c, struct coh_frame *f, const void **body, cohort_time deadline)
{
	int rc = coh_conn_in_peek(c, f, deadline);
	const void *copy = NULL;

	if (rc == 0 && c->in.block != NULL) {
		copy = coh_conn_block_copy(c, f->length);
		if (copy == NULL)
			return coh_conn_fail_code(c, -ENOMEM);
	}
	if (rc == 0)
		*body = coh_conn_in_take(c);
	if (copy != NULL)
		*body = copy;
	return rc;
}

/* Send SIZE bytes at DATA as a frame of TYPE. */
static int conn_give(struct cohort_conn *c, uint8_t type, struct cohort_bytes data,
    enum coh_conn_how how, cohort_time deadline)
{
	struct coh_frame f = {.type = type, .length = (uint32_t)data.size};
	struct iovec part = {.iov_len = data.size};
	struct coh_conn_outgoing o = {&f, &part, 1, how};

	if (data.size > COHORT_MESSAGE_MAX)
		return coh_conn_fail(c, COHORT_ETOOBIG,
		    "a message of %zu bytes, %zu are allowed", data.size, COHORT_MESSAGE_MAX);
	memcpy(&part.iov_base, &data.data, sizeof data.data); /* an iovec has no const */
	return coh_conn_out_frame(c, &o, deadline);
}

static int conn_give_message(struct cohort_conn *c, struct cohort_message *m,
    enum coh_conn_how how, cohort_time deadline)
{
	struct cohort_bytes image;
	int rc;

	if (c->framing != NULL)
		return coh_conn_fail(c, COHORT_ENOTSUP,
		    "the peer takes plain bytes only; send the image by cohort_conn_send_bytes");
	rc = cohort_message_image(m, &image.data, &image.size);
	if (rc != 0)
		return coh_conn_fail_code(c, rc);
	return conn_give(c, COH_FRAME_MESSAGE, image, how, deadline);
}

int cohort_conn_send(struct cohort_conn *c, struct cohort_message *m, cohort_time deadline)
{
	return conn_give_message(c, m, COH_CONN_SEND, deadline);
}

int cohort_conn_put(struct cohort_conn *c, struct cohort_message *m, cohort_time deadline)
{
	return conn_give_message(c, m, COH_CONN_PUT, deadline);
}

int cohort_conn_send_bytes(
    struct cohort_conn *c, const void *data, size_t size, cohort_time deadline)
{
	return conn_give(c, COH_FRAME_BYTES, (struct cohort_bytes){data, size}, COH_CONN_SEND,
	    deadline);
}

int cohort_conn_put_bytes(
    struct cohort_conn *c, const void *data, size_t size, cohort_time deadline)
{
	return conn_give(c, COH_FRAME_BYTES, (struct cohort_bytes){data, size}, COH_CONN_PUT,
	    deadline);
}

int cohort_conn_flush(struct cohort_conn *c, cohort_time deadline)
{
	int rc = coh_conn_out_flush(c, deadline);

	return rc == 0 && coh_conn_file_goes(c) ? coh_conn_file_flush(c, deadline) : rc;
}

/* A message of TYPE, in words. */
static const char *conn_kind(uint8_t type)
{
	switch (type) {
	case COH_FRAME_BYTES:
		return "plain bytes";
	case COH_FRAME_MESSAGE:
		return "a typed one";
	case COH_FRAME_PASS:
		return "a descriptor or a connection";
	case COH_FRAME_FILE:
		return "a piece of a file";
	default:
		return coh_frame_name(type);
	}
}

int coh_conn_expect(
    struct cohort_conn *c, uint8_t type, struct coh_frame *f, cohort_time deadline)
{
	int rc;

	while ((rc = coh_conn_in_peek(c, f, deadline)) == 0 && f->type == COH_FRAME_PONG) {
		coh_conn_in_take(c);
		if (coh_clock_passed(deadline))
			return coh_conn_fail_code(c, COHORT_ETIMEDOUT);
	}
	if (rc != 0 || f->type == type)
		return rc;
	return coh_conn_fail(
	    c, COHORT_ESTATE, "the next message is %s, not %s", conn_kind(f->type), conn_kind(type));
}

int cohort_conn_recv(struct cohort_conn *c, struct cohort_message *m, cohort_time deadline)
{
	struct coh_frame f;
	int rc;

	cohort_message_reset(m);
	if (c->framing != NULL)
		return coh_conn_fail(c, COHORT_ENOTSUP,
		    "the peer sends plain bytes only; receive them with cohort_conn_recv_bytes, and an "
		    "image in them with cohort_message_load");
	rc = coh_conn_expect(c, COH_FRAME_MESSAGE, &f, deadline);
	if (rc != 0)
		return rc;
	rc = coh_message_load_copy(m, coh_conn_in_body(c), f.length, c->error);
	if (rc != -ENOMEM)
		coh_conn_in_take(c);
	return rc != 0 ? coh_fail_in(c->error, rc, "message from %s", c->peer) : 0;
}

int cohort_conn_recv_bytes(
    struct cohort_conn *c, const void **data, size_t *size, cohort_time deadline)
{
	struct coh_frame f;
	int rc = coh_conn_expect(c, COH_FRAME_BYTES, &f, deadline);

	if (rc != 0)
		return rc;
	*data = coh_conn_in_take(c);
	*size = f.length;
	return 0;
}

bool coh_conn_message_ready(struct cohort_conn *c)
{
	struct coh_frame f;
	int rc;

	while ((rc = coh_conn_in_look(c, &f)) == 1 && f.type == COH_FRAME_PONG)
		coh_conn_in_take(c);
	return rc != 0;
}

int cohort_conn_poll(struct cohort_conn *c, cohort_time deadline)
{
	struct coh_frame f;
	int rc;

	while (!coh_conn_message_ready(c)) {
		rc = coh_conn_in_peek(c, &f, deadline);
		if (rc == -ENOMEM)
			return 1; /* the receive that follows says so */
		if (rc != 0 || coh_clock_passed(deadline))
			return coh_conn_message_ready(c);
	}
	return 1;
}
