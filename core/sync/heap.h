/*
 * heap.h - memory to allocate from, inside a segment: by any process, unharmed by the death of any.
 *
 * A heap is a region of a segment: its head, a bit for every 16 bytes that tells where used blocks
 * begin, and the blocks, one behind the other.  A block is named by its place, the offset of its
 * data in the segment; its 16 bytes of head lie in front of that.
 *
 * Every change of the chain of blocks is one store, and everything else (lists of free blocks,
 * bits, counts) follows from the chain: when a process dies in the middle, the next one to come
 * makes it anew from there.  So an operation has happened or it has not; a block whose allocator
 * died before it could note the place somewhere is found by coh_heap_next and its owner.
 *
 * Best fit among the free blocks, then from the untouched rest; freed neighbours join.  Data of
 * COH_HEAP_LARGE and more begins at a page where that is possible, as copies like it.  Pages are
 * reserved as they are first used, and kept.
 *
 * What is read in the region is checked before it is used: in a damaged one calls return
 * COHORT_ESEGMENT.  Any thread; waits for others' calls on the same heap, which are short.
 */
#ifndef COH_SYNC_HEAP_H
#define COH_SYNC_HEAP_H

#include <cohort/error.h>
#include <stddef.h>
#include <stdint.h>

#define COH_HEAP_PAGE 4096   /* what copies like; also how the region itself must begin */
#define COH_HEAP_LARGE 65536 /* below it, beginning at a page would waste more than it gains */
#define COH_HEAP_MAX ((uint64_t)1 << 40) /* bytes of blocks: more than any machine's memory file */

struct coh_heap;

/* A heap as this process sees it.  Zeroed: none. */
struct coh_heap_view {
	char *base;                /* where the segment is mapped */
	int fd;                    /* its descriptor, for more pages */
	struct coh_heap *heap;     /* the shared head, at the beginning of the region */
	uint64_t bits, begin, end; /* offsets of the bits, of the first block, behind the last */
};

/* The size of a region whose blocks, with their heads, may take BYTES (to COH_HEAP_MAX) in all. */
size_t coh_heap_region(size_t bytes);

/*
 * See in V the heap of BYTES that begins AT in the segment mapped at BASE from FD, where
 * coh_heap_region(BYTES) bytes are.  init makes an empty one in zeroed memory: 0, -ENOSPC, -ENOMEM.
 * attach looks at one that is there: 0, COHORT_ESEGMENT.
 */
int coh_heap_init(struct coh_heap_view *v, void *base, int fd, uint64_t at, size_t bytes);
int coh_heap_attach(struct coh_heap_view *v, void *base, int fd, uint64_t at, size_t bytes);

/*
 * Allocate SIZE bytes, aligned to 16, not zeroed, noted under OWNER (any number; party.h): *AT is
 * their place, and is written before they are anybody's: when it lies in shared memory itself, who
 * finds it after our death can free what it says, or is told that nothing begins there.
 * 0; COHORT_EARGUMENT (SIZE is 0); -ENOMEM (no free block is so large); -ENOSPC (the
 * system has no more pages); COHORT_ESEGMENT.
 */
int coh_heap_alloc(struct coh_heap_view *v, size_t size, uint64_t owner, uint64_t *at);

/* Free all blocks at once: 0, COHORT_ESEGMENT. */
int coh_heap_clear(struct coh_heap_view *v);

/* Free the block at AT.  0; COHORT_EARGUMENT (no block begins there: nothing was done); COHORT_ESEGMENT. */
int coh_heap_free(struct coh_heap_view *v, uint64_t at);

/*
 * The address of the block at AT and the size it was asked for, into *SIZE (may be NULL); NULL
 * when no block begins there.  No lock: good while nobody frees it.
 */
void *coh_heap_at(const struct coh_heap_view *v, uint64_t at, size_t *size);

/* Under whom the block at AT is noted; 0, and nothing is done, where none begins. */
uint64_t coh_heap_owner(const struct coh_heap_view *v, uint64_t at);
void coh_heap_set_owner(const struct coh_heap_view *v, uint64_t at, uint64_t owner);

/*
 * The first block at or behind *CURSOR (0 at first) into *AT, and move *CURSOR behind its beginning:
 * 1; 0 when there is none.  Blocks that come and go meanwhile do no harm.
 */
int coh_heap_next(const struct coh_heap_view *v, uint64_t *cursor, uint64_t *at);

/* bytes in all; in use, heads too; blocks in use; the largest that could be had now */
struct coh_heap_stats {
	uint64_t size, used, blocks, largest;
};
int coh_heap_stats(struct coh_heap_view *v, struct coh_heap_stats *stats);

/* Look at everything: 0, or COHORT_ESEGMENT when anything does not fit the rest. */
int coh_heap_check(struct coh_heap_view *v);

#endif
