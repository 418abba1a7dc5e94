/*
 * fuzz_ring.c - a queue whose memory somebody else writes to.
 *
 * The input is what is done to a queue, and which of its words become what in between: heads, tails, records, hands, seats,
 * allowances; all but the words of its locks, on which one would wait for a holder there never was.
 * What must hold: every call returns one of its codes, what is got lies in the buffer it was got into, and nothing is
 * read or written outside.
 * PLANT: a reader that believes the size in a record.
 */
#include "sync/ring_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STEPS 100
#define SMALL 48

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

struct world {
	struct input in;
	struct coh_ring ring;
	size_t size;
	int fd, seat;
	uint64_t lent;
	char *buffer; /* of SMALL bytes, so that one more is seen */
};

static uint64_t next(struct input *in, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0 && in->size > 0) {
		v = v << 8 | *in->data++;
		in->size--;
	}
	return v;
}

static void world_open(struct world *w)
{
	static const struct coh_ring_config c = {
	    .memory = COH_RING_MEMORY_MIN, .most = 20, .inlined = 64, .priorities = 2, .takes = 4, .tries = 3};
	size_t fixed, sparse;
	void *base;

	coh_ring_layout(&c, &fixed, &sparse);
	w->size = fixed + sparse;
	w->fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (w->fd < 0 || ftruncate(w->fd, (off_t)w->size) != 0)
		abort();
	base = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	if (base == MAP_FAILED || coh_ring_init(&w->ring, base, w->fd, NULL, &c) != 0)
		abort();
	w->seat = coh_ring_sit(&w->ring);
	w->buffer = malloc(SMALL);
	if (w->buffer == NULL || w->seat <= 0)
		abort();
}

static void world_close(struct world *w)
{
	free(w->buffer);
	munmap(w->ring.base, w->size);
	close(w->fd);
}

/* A word near something of interest becomes something else. */
static void damage(struct world *w)
{
	struct coh_ring_shared *s = w->ring.shared;
	char *places[] = {(char *)&s->watch, (char *)s->lane, (char *)&s->seat[w->seat], (char *)&s->put,
	    (char *)&s->get, (char *)coh_ring_hand_at(&w->ring, 0), coh_ring_lane_at(&w->ring, 0),
	    coh_ring_lane_at(&w->ring, 1), coh_ring_cell_at(&w->ring, 0)};
	char *at = places[next(&w->in, 1) % (sizeof places / sizeof *places)] + (next(&w->in, 1) & 0xf8);
	unsigned shift = (unsigned)next(&w->in, 1) % 8 * 8;
	uint64_t v;

	memcpy(&v, at, sizeof v);
	v ^= next(&w->in, 2) << shift;
	memcpy(at, &v, sizeof v);
	memset(&s->put.mutex, 0, sizeof s->put.mutex);
	memset(&s->get.mutex, 0, sizeof s->get.mutex);
}

static void put(struct world *w, size_t size)
{
	static char data[5000];
	struct coh_ring_item item = {
	    .data = data, .size = size, .typed = size % 2, .priority = (unsigned)next(&w->in, 1) % 2};

	(void)coh_ring_put(&w->ring, (unsigned)w->seat, &item, COHORT_NOW);
}

static void get(struct world *w)
{
	struct coh_want want = {.most = SMALL};
	struct coh_ring_got got = {0};
	int rc = coh_ring_get(&w->ring, (unsigned)w->seat, &want, w->buffer, &got, COHORT_NOW);

	if (rc == 0 && got.size > SMALL)
		abort();
}

static void get_many(struct world *w)
{
	struct coh_ring_bytes items[4];
	struct coh_ring_batch b = {.items = items, .n = 4, .buffer = w->buffer, .size = SMALL};
	int n = coh_ring_get_many(&w->ring, (unsigned)w->seat, &b, COHORT_NOW);

	for (int i = 0; i < n; i++)
		if ((const char *)items[i].data < w->buffer || items[i].size > SMALL ||
		    (const char *)items[i].data + items[i].size > w->buffer + SMALL)
			abort();
}

static void put_many(struct world *w)
{
	static char data[5000];
	struct coh_ring_bytes items[3] = {{data, 3}, {data, 3000}, {data, 40}};

	(void)coh_ring_put_many(&w->ring, (unsigned)w->seat, items, 3, COHORT_NOW);
}

static void take(struct world *w)
{
	struct coh_want want = {.most = SIZE_MAX};
	struct coh_ring_lent lent;
	unsigned char sum = 0;

	if (coh_ring_take(&w->ring, (unsigned)w->seat, &want, &lent, COHORT_NOW) != 0)
		return;
	w->lent = lent.id;
	for (size_t i = 0; i < lent.got.size; i++)
		sum ^= ((const unsigned char *)lent.data)[i];
	w->buffer[0] = (char)sum;
}

static void look(struct world *w)
{
	struct coh_ring_stats stats;
	struct coh_ring_got got;
	struct coh_want want = {.most = SMALL};
	const char *why;

	(void)coh_ring_peek(&w->ring, &want, w->buffer, &got, COHORT_NOW);
	(void)coh_ring_size(&w->ring);
	(void)coh_ring_stats(&w->ring, &stats);
	(void)coh_ring_left(&w->ring, (unsigned)w->seat);
	(void)coh_ring_check(&w->ring, &why);
}

#ifdef PLANT
static void plant(struct world *w)
{
	struct coh_ring_lane *l = &w->ring.shared->lane[0];
	struct coh_ring_record record;
	char *at = coh_ring_lane_at(&w->ring, 0);

	if (coh_ring_between(l->head, l->tail) == 0 || coh_ring_place(l->head) > 4096)
		return;
	memcpy(&record, at + coh_ring_place(l->head), sizeof record);
	if (record.size < 65536)
		memcpy(w->buffer, at + coh_ring_place(l->head) + sizeof record, record.size);
}
#endif

static void step(struct world *w)
{
	switch (next(&w->in, 1) % 13) {
	case 0: put(w, next(&w->in, 1) % SMALL); break;
	case 1: put(w, 64 + next(&w->in, 1) * 16); break;
	case 2: put_many(w); break;
	case 3: get(w); break;
	case 4: get_many(w); break;
	case 5: take(w); break;
	case 6: (void)coh_ring_ack(&w->ring, w->lent); break;
	case 7: (void)coh_ring_return(&w->ring, w->lent); break;
	case 8: look(w); break;
	case 9: (void)coh_ring_task_done(&w->ring, (unsigned)w->seat); break;
	case 10: (void)coh_ring_tend(&w->ring); break;
	case 11: (void)coh_ring_ack(&w->ring, next(&w->in, 8)); break;
	default: damage(w); break;
	}
#ifdef PLANT
	plant(w);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.in = {data, size}};

	world_open(&w);
	for (int i = 0; i < STEPS && w.in.size > 0; i++)
		step(&w);
	(void)coh_ring_shutdown(&w.ring, size % 2 == 0);
	(void)coh_ring_leave(&w.ring, (unsigned)w.seat, COHORT_NOW);
	world_close(&w);
	return 0;
}
