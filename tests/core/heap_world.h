/* heap_world.h - a heap in a memory file, for its tests: one block after another, with contents that are looked at. */
#ifndef TESTS_CORE_HEAP_WORLD_H
#define TESTS_CORE_HEAP_WORLD_H

#include "support/test.h"
#include "sync/heap.h"

#include <stdatomic.h>

/* A heap of BYTES, and the memory it is in. */
struct heap_world {
	struct coh_heap_view v;
	size_t bytes, mapped;
	void *base;
	int fd;
};
void heap_world_open(struct heap_world *w, size_t bytes);
void heap_world_close(struct heap_world *w);

/* Blocks as they should be.  May lie in memory that processes share: places count when they are written. */
#define HEAP_WORLD_BLOCKS 256
struct heap_world_block {
	_Atomic uint64_t at; /* 0: none */
	size_t size;
	uint64_t owner;
	unsigned char byte; /* what it is full of */
};
struct heap_world_model {
	struct heap_world_block block[HEAP_WORLD_BLOCKS];
};

/* Allocate SIZE for OWNER into B, fill it; look at all of it and free it. */
int heap_world_alloc(struct heap_world *w, struct heap_world_block *b, size_t size, uint64_t owner);
void heap_world_look(const struct heap_world *w, const struct heap_world_block *b);
void heap_world_free(struct heap_world *w, struct heap_world_block *b);

/* A size as programs want them, small ones mostly, at most MOST; by RANDOM. */
size_t heap_world_size(uint64_t random, size_t most);

/* One random step for OWNER on block I of M: allocate, or look and free.  0 or the heap's -ENOMEM. */
int heap_world_step(
    struct heap_world *w, struct heap_world_model *m, size_t i, size_t most, uint64_t owner);
/* Free what is left in M. */
void heap_world_clear(struct heap_world *w, struct heap_world_model *m);

/* Nothing is in use, and the heap is whole. */
void heap_world_check_empty(struct heap_world *w);

#endif
