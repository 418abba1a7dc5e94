/*
 * conn_block.c - large messages by memory that both ends map.
 *
 * A block is an anonymous file, sealed so that its size never changes.  It is offered beside the
 * first large message, which goes the ordinary way, and used once the peer has said that it
 * mapped it: so whatever fails (no memory, no descriptor, an old kernel) costs speed and never
 * a message.  Its pages stay from one message to the next: a message costs one copy.
 *
 * The rule that matters: what is in a block may change while it is looked at, since the peer has it
 * mapped for writing.  The header of its frame therefore travels in the socket, a typed message
 * is copied out before it is checked, and only plain bytes are lent where they lie.
 *
 * A block that is no such file, or is used out of turn, ends the connection.
 *
 * Rejected: a block for each message (its pages cost more than the copy), waiting for a block when
 * all are under way (the socket is there), a new file for a new size (address space is free).
 */
#include "conn/conn_block.h"

#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/shm.h"

#include <errno.h>
#include <string.h>

#define CALM 256 /* frames sent without a block before its memory is given back */
#define COPY_KEEP ((size_t)4 << 20) /* what a copy may leave behind */

enum block_state {
	BLOCK_NONE,
	BLOCK_OFFERED, /* ours: the peer has not said yet that it can use it */
	BLOCK_FREE,
	BLOCK_OUT, /* ours: a message is in it.  Theirs: lent */
};

struct block {
	enum block_state state;
	int fd;            /* ours only */
	unsigned char *at; /* COH_BLOCK_SIZE bytes */
	size_t ready;      /* so many of them have pages */
};

struct coh_conn_blocks {
	struct block ours[COH_BLOCKS], theirs[COH_BLOCKS];
	bool refused;  /* no more are offered */
	unsigned calm; /* frames since a block was used */
	int shown;     /* of theirs: the one looked at last */
	int lent;      /* of theirs, or -1 */
	unsigned char *copy;
	size_t copied;
};

static struct coh_conn_blocks *blocks_of(struct cohort_conn *c)
{
	if (c->blocks != NULL)
		return c->blocks;
	c->blocks = coh_calloc(sizeof *c->blocks);
	if (c->blocks == NULL)
		return NULL;
	c->blocks->lent = -1;
	for (int i = 0; i < COH_BLOCKS; i++)
		c->blocks->ours[i].fd = -1;
	return c->blocks;
}

static void block_end(struct block *b)
{
	coh_shm_unmap(b->at, COH_BLOCK_SIZE);
	coh_fd_close(&b->fd);
	*b = (struct block){.fd = -1};
}

bool coh_conn_block_any(const struct cohort_conn *c)
{
	for (int i = 0; i < COH_BLOCKS && c->blocks != NULL; i++)
		if (c->blocks->ours[i].state != BLOCK_NONE ||
		    c->blocks->theirs[i].state != BLOCK_NONE)
			return true;
	return false;
}

void coh_conn_block_free(struct cohort_conn *c)
{
	if (c->blocks == NULL)
		return;
	for (int i = 0; i < COH_BLOCKS; i++) {
		block_end(&c->blocks->ours[i]);
		c->blocks->theirs[i].fd = -1;
		block_end(&c->blocks->theirs[i]);
	}
	coh_free(c->blocks->copy);
	coh_free(c->blocks);
	c->blocks = NULL;
}

/* ---- ours: what is sent ---- */

/* Make block B and offer it as NUMBER, if that can be done without waiting. */
static void block_offer(struct cohort_conn *c, struct block *b, uint32_t number)
{
	struct coh_frame f = {.type = COH_FRAME_BLOCK,
	    .channel = number,
	    .flags = COH_BLOCK_OFFER,
	    .id = COH_BLOCK_SIZE};
	struct coh_conn_outgoing o = {&f, NULL, 0, COH_CONN_SEND};
	int rc;

	b->fd = coh_shm_new_sealed("cohort-block", COH_BLOCK_SIZE);
	b->at = b->fd >= 0 ? coh_shm_map(b->fd, COH_BLOCK_SIZE) : NULL;
	rc = b->at != NULL ? coh_conn_out_pass(c, &o, b->fd, COHORT_NOW) : -ENOMEM;
	if (rc == 0) {
		b->state = BLOCK_OFFERED;
		return;
	}
	c->blocks->refused =
	    rc != COHORT_ETIMEDOUT; /* what cannot be had now is not asked for again */
	block_end(b);
}

/* Give the memory of one of ours back, unless it is under way. */
static void block_discard(struct block *b)
{
	if (b->state != BLOCK_FREE || b->ready == 0)
		return;
	coh_shm_discard(b->fd, b->ready);
	b->ready = 0;
}

/* The peer's word about one of ours. */
static int block_back(struct cohort_conn *c, const struct coh_frame *f)
{
	struct block *b =
	    c->blocks != NULL && f->channel < COH_BLOCKS ? &c->blocks->ours[f->channel] : NULL;

	if (b == NULL || (b->state != BLOCK_OFFERED && b->state != BLOCK_OUT))
		return c->in.failure = coh_conn_fail(c, COHORT_EPROTOCOL,
			   "block %u came back, which was not given", f->channel);
	if (f->flags & COH_BLOCK_REFUSED) {
		block_end(b);
		c->blocks->refused = true;
	} else {
		b->state = BLOCK_FREE;
		if (c->blocks->calm >= CALM)
			block_discard(b);
	}
	return 0;
}

/*
 * Look whether blocks have come back, also behind messages that nobody has received yet.  What was
 * seen becomes a BEAT, which means nothing, for those who come to it later.
 */
static void blocks_seek(struct cohort_conn *c)
{
	const struct coh_conn_in *in = &c->in;
	struct coh_frame f;

	(void)coh_conn_hear(c);
	for (size_t at = in->head + in->lent; in->tail - at >= COH_FRAME_SIZE;
	     at += COH_FRAME_SIZE + f.length) {
		if (coh_frame_decode(&f, in->data + at, c->phase, NULL) != 0)
			return;
		if (f.type == COH_FRAME_BLOCK_BACK) {
			if (block_back(c, &f) != 0)
				return;
			f = (struct coh_frame){.type = COH_FRAME_BEAT};
			coh_frame_encode(&f, in->data + at);
		}
		if (f.length > in->tail - at - COH_FRAME_SIZE)
			return;
	}
}

static struct block *block_in_state(struct coh_conn_blocks *all, enum block_state state)
{
	for (int i = 0; i < COH_BLOCKS; i++)
		if (all->ours[i].state == state)
			return &all->ours[i];
	return NULL;
}

/* A block that is free; NULL when there is none, and one more is offered if there may be. */
static struct block *block_find(struct cohort_conn *c)
{
	struct coh_conn_blocks *all = blocks_of(c);
	struct block *b;

	if (all == NULL)
		return NULL;
	b = block_in_state(all, BLOCK_FREE);
	if (b == NULL && coh_conn_block_any(c)) {
		blocks_seek(c);
		b = block_in_state(all, BLOCK_FREE);
	}
	if (b != NULL || all->refused)
		return b;
	b = block_in_state(all, BLOCK_NONE);
	if (b != NULL)
		block_offer(c, b, (uint32_t)(b - all->ours));
	return NULL;
}

/* Have pages for SIZE bytes. */
static bool block_reserve(struct block *b, size_t size)
{
	size_t more = size > b->ready ? size - b->ready : 0;

	if (more == 0)
		return true;
	more = (more + 4095) & ~(size_t)4095; /* b->ready stays a whole number of pages */
	if (coh_shm_reserve(b->fd, b->at + b->ready, b->ready, more) != 0)
		return false;
	b->ready += more;
	return true;
}

bool coh_conn_block_fill(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, struct coh_conn_boxed *boxed)
{
	struct block *b;
	size_t at = 0;

	if (c->ops->write_fd == NULL || c->framing != NULL || c->phase == COH_PHASE_STRANGER ||
	    o->frame->type == COH_FRAME_PASS)
		return false;
	b = block_find(c);
	if (b == NULL || !block_reserve(b, o->frame->length))
		return false;
	for (int i = 0; i < o->n; at += o->body[i++].iov_len)
		if (o->body[i].iov_len != 0)
			memcpy(b->at + at, o->body[i].iov_base, o->body[i].iov_len);
	b->state = BLOCK_OUT;
	c->blocks->calm = 0;
	coh_frame_encode(o->frame, boxed->header);
	boxed->frame = (struct coh_frame){.type = COH_FRAME_BLOCK,
	    .channel = (uint32_t)(b - c->blocks->ours),
	    .length = COH_FRAME_SIZE};
	boxed->part = (struct iovec){boxed->header, COH_FRAME_SIZE};
	boxed->o = (struct coh_conn_outgoing){
	    &boxed->frame, &boxed->part, 1, o->how == COH_CONN_PUT ? COH_CONN_SEND : o->how};
	return true;
}

void coh_conn_block_undo(struct cohort_conn *c, const struct coh_conn_boxed *b)
{
	c->blocks->ours[b->frame.channel].state = BLOCK_FREE;
}

void coh_conn_block_calm(struct cohort_conn *c, enum coh_conn_calm what)
{
	if (c->blocks == NULL || c->blocks->calm >= CALM)
		return;
	c->blocks->calm += what;
	for (int i = 0; i < COH_BLOCKS && c->blocks->calm >= CALM; i++)
		block_discard(&c->blocks->ours[i]);
}

/* ---- theirs: what is received ---- */

/* Say that block NUMBER of theirs is free; without memory it stays in our hands, which costs speed alone. */
static void block_return(struct cohort_conn *c, uint32_t number, uint32_t flags)
{
	struct coh_frame f = {.type = COH_FRAME_BLOCK_BACK, .channel = number, .flags = flags};
	struct coh_conn_outgoing o = {&f, NULL, 0, COH_CONN_KEEP};

	(void)coh_conn_out_frame(c, &o, COHORT_NOW);
}

static int block_bad(struct cohort_conn *c, const char *why)
{
	return c->in.failure = coh_conn_fail(c, COHORT_EPROTOCOL, "a block %s", why);
}

/* A new block of theirs is offered by F. */
static int block_offered(struct cohort_conn *c, const struct coh_frame *f)
{
	struct coh_conn_blocks *all = blocks_of(c);
	int fd = coh_conn_came_take(c);
	void *at = NULL;

	if (f->length != 0 || f->channel >= COH_BLOCKS || f->id != COH_BLOCK_SIZE ||
	    (all != NULL && all->theirs[f->channel].state != BLOCK_NONE)) {
		coh_fd_close(&fd);
		return block_bad(c, "was offered that cannot be one");
	}
	if (fd >= 0 && coh_shm_check_sealed(fd, COH_BLOCK_SIZE) != 0) {
		coh_fd_close(&fd);
		return block_bad(c, "was offered that is no sealed memory of the size it claims");
	}
	if (fd >= 0 && all != NULL)
		at = coh_shm_map_read(fd, COH_BLOCK_SIZE);
	coh_fd_close(&fd);
	if (at != NULL)
		all->theirs[f->channel] = (struct block){.state = BLOCK_FREE, .fd = -1, .at = at};
	block_return(c, f->channel, at != NULL ? 0 : COH_BLOCK_REFUSED);
	return 0;
}

/* F says that a frame lies in a block; its header, which is F's body, becomes F. */
static int block_filled(struct cohort_conn *c, struct coh_frame *f)
{
	uint32_t number = f->channel, size = f->length;
	struct block *b =
	    c->blocks != NULL && number < COH_BLOCKS ? &c->blocks->theirs[number] : NULL;
	int rc;

	if (b == NULL || b->state != BLOCK_FREE || f->flags != 0 || size != COH_FRAME_SIZE)
		return block_bad(c, "was filled that was never offered");
	rc = coh_frame_decode(f, coh_conn_in_body(c), c->phase, c->error);
	if (rc != 0)
		return c->in.failure =
			   coh_fail_in(c->error, rc, "connection to %s: in a block", c->peer);
	if (f->length < COH_BLOCK_LEAST || f->type == COH_FRAME_PASS)
		return block_bad(c, "holds what should not be in one");
	if (f->length > b->ready) {
		if (coh_shm_touch(b->at, f->length) != 0)
			return block_bad(c, "has no pages");
		b->ready = f->length;
	}
	c->blocks->shown = (int)number;
	c->in.block = b->at;
	return 1;
}

int coh_conn_block_look(struct cohort_conn *c, struct coh_frame *f)
{
	if (c->ops->read_fd == NULL)
		return block_bad(c, "came over what cannot carry one");
	if (f->type == COH_FRAME_BLOCK_BACK)
		return block_back(c, f);
	return f->flags == COH_BLOCK_OFFER ? block_offered(c, f) : block_filled(c, f);
}

void coh_conn_block_lend(struct cohort_conn *c)
{
	c->blocks->lent = c->blocks->shown;
	c->blocks->theirs[c->blocks->lent].state = BLOCK_OUT;
}

void coh_conn_block_settle(struct cohort_conn *c)
{
	struct coh_conn_blocks *all = c->blocks;

	if (all->copied > COPY_KEEP) {
		coh_free(all->copy);
		all->copy = NULL;
		all->copied = 0;
	}
	if (all->lent < 0)
		return;
	all->theirs[all->lent].state = BLOCK_FREE;
	block_return(c, (uint32_t)all->lent, 0);
	all->lent = -1;
}

const void *coh_conn_block_copy(struct cohort_conn *c, size_t n)
{
	struct coh_conn_blocks *all = c->blocks;
	unsigned char *p = all->copied < n ? coh_alloc(n) : all->copy;

	if (p == NULL)
		return NULL;
	if (p != all->copy) {
		coh_free(all->copy);
		all->copy = p;
		all->copied = n;
	}
	memcpy(p, c->in.block, n);
	return p;
}
