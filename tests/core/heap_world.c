/* heap_world.c - a heap, and a model of what should be in it. */
#include "core/heap_world.h"

#include "os/fd.h"
#include "os/shm.h"

#include <errno.h>
#include <string.h>

void heap_world_open(struct heap_world *w, size_t bytes)
{
	memset(w, 0, sizeof *w);
	w->bytes = bytes;
	w->mapped = coh_heap_region(bytes);
	w->fd = coh_shm_new_sealed("heap", w->mapped);
	REQUIRE(w->fd >= 0);
	w->base = coh_shm_map(w->fd, w->mapped);
	REQUIRE(w->base != NULL);
	REQUIRE_EQ(coh_heap_init(&w->v, w->base, w->fd, 0, bytes), 0);
}

void heap_world_close(struct heap_world *w)
{
	coh_shm_unmap(w->base, w->mapped);
	coh_fd_close(&w->fd);
}

int heap_world_alloc(struct heap_world *w, struct heap_world_block *b, size_t size, uint64_t owner)
{
	uint64_t at = 0;
	size_t got = 0;
	int rc = coh_heap_alloc(&w->v, size, owner, &at);
	void *p = rc == 0 ? coh_heap_at(&w->v, at, &got) : NULL;

	if (rc != 0)
		return rc;
	REQUIRE(p != NULL);
	CHECK_EQ(got, size);
	CHECK_EQ(at % 16, 0);
	CHECK_EQ((uintptr_t)p, (uintptr_t)w->base + at);
	CHECK_EQ(coh_heap_owner(&w->v, at), owner);
	b->size = size;
	b->owner = owner;
	b->byte = (unsigned char)(at / 16 * 7 + size);
	memset(p, b->byte, size);
	atomic_store(&b->at, at);
	return 0;
}

void heap_world_look(const struct heap_world *w, const struct heap_world_block *b)
{
	size_t size = 0;
	const unsigned char *p = coh_heap_at(&w->v, b->at, &size);

	REQUIRE(p != NULL);
	CHECK_EQ(size, b->size);
	CHECK_EQ(coh_heap_owner(&w->v, b->at), b->owner);
	/* the first is right, and each is as the one before it */
	CHECK(p[0] == b->byte && (size == 1 || memcmp(p, p + 1, size - 1) == 0));
}

void heap_world_free(struct heap_world *w, struct heap_world_block *b)
{
	uint64_t at = atomic_load(&b->at);

	heap_world_look(w, b);
	atomic_store(&b->at, 0);
	CHECK_EQ(coh_heap_free(&w->v, at), 0);
}

size_t heap_world_size(uint64_t random, size_t most)
{
	unsigned bits = (unsigned)(random % 100);
	size_t size = random >> 16;

	bits = bits < 60 ? 7 : bits < 85 ? 11 : bits < 95 ? 15 : 18;
	size = 1 + size % ((size_t)1 << bits);
	return size < most ? size : 1 + size % most;
}

int heap_world_step(
    struct heap_world *w, struct heap_world_model *m, size_t i, size_t most, uint64_t owner)
{
	if (m->block[i].at == 0)
		return heap_world_alloc(
		    w, &m->block[i], heap_world_size(test_random(), most), owner);
	heap_world_free(w, &m->block[i]);
	return 0;
}

void heap_world_clear(struct heap_world *w, struct heap_world_model *m)
{
	for (size_t i = 0; i < HEAP_WORLD_BLOCKS; i++)
		if (m->block[i].at != 0)
			heap_world_free(w, &m->block[i]);
}

void heap_world_check_empty(struct heap_world *w)
{
	struct coh_heap_stats s;

	CHECK_EQ(coh_heap_check(&w->v), 0);
	REQUIRE_EQ(coh_heap_stats(&w->v, &s), 0);
	CHECK_EQ(s.used, 0);
	CHECK_EQ(s.blocks, 0);
	CHECK_EQ(s.largest, s.size - 16);
}
