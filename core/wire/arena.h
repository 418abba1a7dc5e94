/*
 * arena.h - memory taken piece by piece and given back all at once.
 *
 * Not thread-safe.  A zeroed struct with `max` set is an empty arena.
 */
#ifndef COH_WIRE_ARENA_H
#define COH_WIRE_ARENA_H

#include <stddef.h>

#define COH_ARENA_ALIGN 8         /* pointers, size_t, double: all that tpl stores */
#define COH_ARENA_KEEP (64u << 10) /* most that a reset keeps */

struct coh_arena {
	struct coh_arena_block *blocks; /* the first one is filled */
	size_t held;                    /* in all blocks */
	size_t max;                     /* held <= max */
};

/* N bytes aligned to COH_ARENA_ALIGN, the arena's until it is reset; NULL: no memory, or over max. */
void *coh_arena_alloc(struct coh_arena *a, size_t n);

/* Give everything back; one block of at most COH_ARENA_KEEP is kept for the next use. */
void coh_arena_reset(struct coh_arena *a);

/* As reset, and keep nothing. */
void coh_arena_fini(struct coh_arena *a);

#endif
