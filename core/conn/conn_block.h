/*
 * conn_block.h - large messages by memory that both ends map, over Unix sockets and pairs.
 *
 * A message of COH_BLOCK_LEAST bytes and more is copied into a block, and a BLOCK frame of a few bytes
 * says so; the receiver reads it where it lies and gives the block back.  Each end makes up to
 * COH_BLOCKS for what it sends.  Internal to core/conn.
 */
#ifndef COH_CONN_BLOCK_H
#define COH_CONN_BLOCK_H

#include "conn/conn_struct.h"

#define COH_BLOCKS 2                      /* each way: one is read while the other is filled */
#define COH_BLOCK_LEAST ((size_t)1 << 20) /* below, the socket is as quick */
#define COH_BLOCK_SIZE COHORT_MESSAGE_MAX /* of address space; pages only as they are used */
#define COH_BLOCK_OFFER 1u   /* flags of a BLOCK: a new one, its descriptor beside it */
#define COH_BLOCK_REFUSED 1u /* flags of a BLOCK_BACK: it cannot be used here */

/* A frame that lies in a block, as it goes out instead. */
struct coh_conn_boxed {
	struct coh_frame frame;
	unsigned char header[COH_FRAME_SIZE]; /* of the frame in the block */
	struct iovec part;
	struct coh_conn_outgoing o;
};

/*
 * Put O into a block: true, and B->o goes out in its place.  False: it goes the ordinary way; a block
 * may have been offered for the next one.
 */
bool coh_conn_block_fill(
    struct cohort_conn *c, const struct coh_conn_outgoing *o, struct coh_conn_boxed *b);

/* B did not go out after all. */
void coh_conn_block_undo(struct cohort_conn *c, const struct coh_conn_boxed *b);

/*
 * The BLOCK or BLOCK_BACK F is at the head.  1: F is now the frame in the block, whose body is c->in.block;
 * 0: it has been dealt with; or how C ended.
 */
int coh_conn_block_look(struct cohort_conn *c, struct coh_frame *f);

/* The block that was looked at is the caller's until coh_conn_block_settle gives it back. */
void coh_conn_block_lend(struct cohort_conn *c);
void coh_conn_block_settle(struct cohort_conn *c);

/* The body that was looked at, of N bytes, as a copy that no peer can change; NULL without memory. */
const void *coh_conn_block_copy(struct cohort_conn *c, size_t n);

/*
 * Something small was sent, or C rests: after many small messages or some rests, with no large message
 * among them, the memory of blocks that are not under way is given back.  The blocks stay.
 */
enum coh_conn_calm { COH_CONN_SMALL = 1, COH_CONN_RESTS = 16 };
void coh_conn_block_calm(struct cohort_conn *c, enum coh_conn_calm what);

/* True when C has any. */
bool coh_conn_block_any(const struct cohort_conn *c);

void coh_conn_block_free(struct cohort_conn *c);

#endif
