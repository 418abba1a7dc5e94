/*
 * conn_struct.h - the inside of a connection, shared by conn*.c and wait.c.
 *
 * The two directions end apart: when the peer is gone a send fails first, while what it said
 * before it went can still be received.
 */
#ifndef COH_CONN_STRUCT_H
#define COH_CONN_STRUCT_H

#include "conn/conn_priv.h"
#include "conn/framing.h"
#include "wire/session.h"

#define COH_CONN_MAGIC 0x636f6e6eu

#define COH_CONN_CAME 16 /* descriptors that came before the messages they belong to were taken */

/* A descriptor that came, or -errno of one that was lost, with the byte of the stream before END. */
struct coh_conn_came {
	int fd;
	uint64_t end;
};

/* What has come and was not taken: data[head..tail).  The first LENT bytes are the caller's to look at. */
struct coh_conn_in {
	unsigned char *data;
	size_t head, tail, cap;
	size_t lent;
	size_t scanned;     /* of data from head: frames that were judged already */
	struct coh_frame frame; /* what the slices make */
	unsigned char *parts;   /* what has come of it */
	size_t parts_len, parts_cap;
	size_t owed;            /* of the window, when the frame last looked at is taken */
	enum coh_session_lane owed_lane;
	bool assembled;         /* all of it; it comes before what is in data */
	bool parts_lent;        /* and is the caller's to look at */
	unsigned char *old; /* a block that holds what was lent, when more had to be read meanwhile */
	size_t header;     /* bytes of the header of the frame last looked at */
	size_t wire;       /* and of all of it, as it came */
	const unsigned char *block; /* where its body is when not behind the header: see conn_block.h */
	unsigned int reads;
	unsigned int calm; /* reads since a message last needed more than the least capacity */
	size_t most;       /* bytes that one read brought since C last rested */
	bool rested;       /* and there were few: the next read is for few too */
	bool drained;      /* the last read took all there was */
	bool ended;        /* the stream said END, behind what is held */
	ssize_t end;       /* 0 or -errno */
	uint64_t total;    /* bytes that came since C began, up to tail */
	struct coh_conn_came came[COH_CONN_CAME];
	unsigned int ncame;
	int failure;       /* how this direction ended; 0 while it lives */
};

/* A frame that goes as slices. */
struct coh_conn_transfer {
	bool on;
	size_t open_size;                     /* bytes of `open` still to go: all or none */
	unsigned char open[2 * COH_FRAME_SIZE]; /* the OPEN */
	uint64_t left;                        /* bytes that are not in a slice yet */
};

/* What waits for its turn, for room, or for the peer's credit. */
struct coh_conn_lane {
	struct coh_buf queue; /* the rest of the transfer, then whole frames */
	struct coh_conn_transfer transfer;
};

struct coh_conn_out {
	struct coh_buf held; /* frames, whole but for the first */
	struct coh_conn_lane lane[COH_LANES]; /* with a session */
	uint64_t total;      /* bytes that went out, with a session */
	size_t keep;         /* what COH_CONN_KEEP may hold before one more frame */
	size_t pongs;        /* bytes of PONG put since `held` was last empty */
	int pass;            /* a descriptor that goes with the next byte, or -1 */
	int refused;         /* -errno: the system did not take it */
	int failure;
};

struct cohort_conn {
	uint32_t magic;
	enum coh_frame_phase phase;
	const struct coh_stream_ops *ops;
	const struct coh_framing *framing; /* NULL: ours */
	void *self;
	struct coh_conn_in in;
	struct coh_conn_out out;
	struct coh_conn_blocks *blocks; /* NULL until a large message goes or comes */
	struct coh_conn_file *file; /* NULL until a file goes or comes */
	struct coh_session session; /* with peers that came by listen or dial */
	struct cohort_error *error; /* apart, so that a const connection can find its words late */
	char *peer;
	const char *guard; /* NULL: nothing had to be proved */
};

/* Keep CODE and its sentence, "connection to PEER: FORMAT"; returns CODE. */
int coh_conn_fail(struct cohort_conn *c, int code, const char *format, ...) COHORT_PRINTF(3, 4);

/* Keep CODE alone, cheaply: its sentence is made when it is asked for.  Returns CODE. */
static inline int coh_conn_fail_code(struct cohort_conn *c, int code)
{
	c->error->code = code;
	c->error->text[0] = '\0';
	return code;
}

/* The stream said E (-errno): CODE, or what it knows better, kept with a sentence.  Returns it. */
int coh_conn_fail_stream(struct cohort_conn *c, int code, const char *doing, int e);

/* Free C but not its stream. */
void coh_conn_dispose(struct cohort_conn *c);

/* CODE ended C before: its sentence is still there, or made when asked for.  Returns CODE. */
static inline int coh_conn_fail_again(struct cohort_conn *c, int code)
{
	return c->error->code == code ? code : coh_conn_fail_code(c, code);
}

/* conn.c: true when a message of the user's (or the end) is there; PONGs before it are dropped. */
bool coh_conn_message_ready(struct cohort_conn *c);

/*
 * conn.c: wait for the next message and see that it is of TYPE; it is not taken.  COHORT_ESTATE
 * when it is of another, or as coh_conn_in_peek.
 */
int coh_conn_expect(
    struct cohort_conn *c, uint8_t type, struct coh_frame *f, cohort_time deadline);

/* conn_in.c */

/*
 * Look for a frame at the head; PINGs before it are answered.  1: it is there and *F describes
 * it; 0: more bytes are needed; or how C ended.
 */
int coh_conn_in_look(struct cohort_conn *c, struct coh_frame *f);

/* As coh_conn_in_look, reading until DEADLINE.  0, COHORT_ETIMEDOUT, -ENOMEM or how C ended. */
int coh_conn_in_peek(struct cohort_conn *c, struct coh_frame *f, cohort_time deadline);

/* Take the frame that was seen last; its body stays lent until the next look. */
const void *coh_conn_in_take(struct cohort_conn *c);

/* The body of the frame that was seen last. */
static inline const void *coh_conn_in_body(const struct cohort_conn *c)
{
	if (c->in.assembled)
		return c->in.parts;
	return c->in.block != NULL ? c->in.block : c->in.data + c->in.head + c->in.header;
}

/* Read once without waiting: true when something came (or C ended). */
bool coh_conn_in_pump(struct cohort_conn *c);

/* As the read of the stream, noting the descriptors that come with it. */
ssize_t coh_conn_in_stream(struct cohort_conn *c, void *p, size_t n, cohort_time deadline);

/* SIZE bytes at DATA have come before anything else.  0 or -ENOMEM. */
int coh_conn_in_preload(struct cohort_conn *c, const void *data, size_t size);

/* What is held beyond what is lent.  PARTIAL: of its last frame some is missing. */
struct coh_conn_in_view {
	bool message; /* something for the user, whole */
	bool slice;   /* a SLICE, which may make one */
	bool partial;
};
struct coh_conn_in_view coh_conn_in_view(const struct cohort_conn *c);

/* conn_session.c */

/* When C must be ticked next; COHORT_FOREVER without a session. */
static inline cohort_time coh_conn_session_next(const struct cohort_conn *c)
{
	return c->session.on ? c->session.next : COHORT_FOREVER;
}

/*
 * Nothing moved: tick C if that is due.  0: go on; -EAGAIN: DEADLINE has passed; or how C ended.
 */
int coh_conn_session_idle(struct cohort_conn *c, cohort_time deadline);

/*
 * Wait until something came (it is read and kept), the transport has ROOM if that is asked for,
 * DEADLINE, or a tick.  0: try again; -EAGAIN: DEADLINE has passed; or how C ended.
 */
int coh_conn_session_wait(struct cohort_conn *c, bool room, cohort_time deadline);

/* Judge and obey F, whole, with its body, once: its window, and what keeps the session.  0, or how C ended. */
int coh_conn_session_came(struct cohort_conn *c, const struct coh_frame *f, const void *body);

/* SIZE bytes of frames that came in LANE were taken: they are given back. */
void coh_conn_session_taken(struct cohort_conn *c, enum coh_session_lane lane, uint64_t size);

/*
 * Before a wait for the peer: give back what could not be given when it was taken, or it may wait for
 * us.  0, or -ENOMEM: it still cannot.
 */
int coh_conn_session_owed(struct cohort_conn *c);

/* The lane whose window F uses. */
enum coh_session_lane coh_conn_session_lane(const struct coh_frame *f);

/* conn_file.c */

/* Is a file going, waiting for the peer's credit, coming? */
bool coh_conn_file_goes(const struct cohort_conn *c);
bool coh_conn_file_starves(const struct cohort_conn *c);
bool coh_conn_file_comes(const struct cohort_conn *c);

/*
 * Send some of the file, with a session never waiting.  0: what can go went; 1: the transport is
 * full (without a session: until DEADLINE), or others have their turn; or how sending ended.
 */
int coh_conn_file_push(struct cohort_conn *c, cohort_time deadline);

/* Until all of the file went.  0, COHORT_ETIMEDOUT (it goes on by itself), why it could not be read; or how sending ended. */
int coh_conn_file_flush(struct cohort_conn *c, cohort_time deadline);

/* Nothing more of it goes; free what is known of files. */
void coh_conn_file_stop(struct cohort_conn *c);
void coh_conn_file_free(struct cohort_conn *c);

/* What a receiver of a file says of it: at most so many bytes, and where to tell how many. */
struct coh_file_bounds {
	uint64_t most, *size;
};

/* conn_pass.c */

/* Note FD (taken), or -errno of one that was lost, which came with the last read. */
void coh_conn_came(struct cohort_conn *c, int fd);

/* Do the descriptors that came belong where they are, F being the frame at the head?  0, or how C ended. */
int coh_conn_came_judge(struct cohort_conn *c, const struct coh_frame *f);

/* The descriptor of the frame at the head (given), or -errno when it was lost. */
int coh_conn_came_take(struct cohort_conn *c);

/* Close those that nobody took. */
void coh_conn_came_drop(struct cohort_conn *c);

/* conn_out.c */
enum coh_conn_how {
	COH_CONN_PUT,  /* hold it until there is enough */
	COH_CONN_SEND, /* and flush */
	COH_CONN_KEEP, /* hold it whatever the transport says */
};

/* A frame on its way out; frame->length is the sum of the N parts of BODY. */
struct coh_conn_outgoing {
	const struct coh_frame *frame;
	const struct iovec *body;
	int n;
	enum coh_conn_how how;
};
#define COH_CONN_PARTS 8 /* of one body, at most */

void coh_conn_out_init(struct coh_conn_out *out);

/* Give back the memory that holds nothing. */
void coh_conn_out_rest(struct coh_conn_out *out);

/* 0, COHORT_ETIMEDOUT (nothing of it will be sent), COHORT_EPEER, COHORT_ETOOBIG, -ENOMEM. */
int coh_conn_out_frame(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, cohort_time deadline);

/*
 * The same, and descriptor FD (borrowed) with it; what is held goes before.  Also -errno when the
 * system refuses FD; then nothing was sent.
 */
int coh_conn_out_pass(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, int fd, cohort_time deadline);

/* As the write of the stream; a descriptor that waits goes with the first byte. */
ssize_t coh_conn_out_stream(
    struct cohort_conn *c, const struct iovec *iov, int n, cohort_time deadline);
/* One write of the stream that does not wait.  The count, -EAGAIN, or how sending ended. */
ssize_t coh_conn_out_write(struct cohort_conn *c, const struct iovec *iov, int n);

/* Send `held`, not what is in lanes, without waiting.  0, -EAGAIN, or how sending ended. */
int coh_conn_out_held(struct cohort_conn *c);

/* Sending ended with CODE, whose words are kept; what was held is lost with it.  Returns CODE. */
int coh_conn_out_end(struct cohort_conn *c, int code);

/* Send what is held.  0, COHORT_ETIMEDOUT, or how sending ended. */
int coh_conn_out_flush(struct cohort_conn *c, cohort_time deadline);

/* Answer PING, whose body is BODY; dropped when the peer does not read its answers. */
void coh_conn_out_pong(struct cohort_conn *c, const struct coh_frame *ping, const void *body);

/* C is about to be closed: see that what was sent is not lost with it.  May wait a little. */
void coh_conn_session_leave(struct cohort_conn *c);

/* All data that C sent has been taken by the peer, or there was none. */
bool coh_conn_session_quits(const struct cohort_conn *c);

/* conn_lane.c */

/* As coh_conn_out_frame, with a session and for what keeps the order. */
int coh_conn_lane_frame(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, cohort_time deadline);

/* Does F use up the window of its lane? */
bool coh_conn_lane_counts(const struct coh_frame *f);

/* May F go before messages that were put earlier? */
bool coh_conn_lane_urgent(const struct coh_frame *f);

/* As coh_conn_push. */
int coh_conn_lane_push(struct cohort_conn *c);

void coh_conn_lane_fini(struct coh_conn_out *out);

/* conn_slice.c */

/*
 * An OPEN or SLICE is at the head.  1: with it the frame is whole (c->in.assembled); 0: go on; -ENOMEM
 * (it must come again); or how C ended.
 */
int coh_conn_slice_came(struct cohort_conn *c, const struct coh_frame *f, const void *body);

/* The frame made of slices is not needed any more. */
void coh_conn_slice_settle(struct coh_conn_in *in);

#endif
