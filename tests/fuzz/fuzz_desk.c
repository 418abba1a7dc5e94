/*
 * fuzz_desk.c - bytes, read as frames of three clients, as time that passes, and as clients that come and go.
 *
 * What must hold after each: every invariant of the desk; a frame is taken, or ends its client with a sentence; what is answered is
 * a REPLY or a RING of a number that the client attached;
 * nobody who reads waits for an item that is there.
 * PLANT: a client that stops reading while it holds something is taken for one that holds nothing.
 */
#include "base/buf.h"
#include "base/object.h"
#include "sim/desk_fake.h"
#include "work/desk_priv.h"

#include <cohort/error.h>
#include <string.h>

#define CLIENTS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct coh_desk_client *clients[CLIENTS];
static struct coh_desk *desk;
static struct coh_desk_object *object;
static struct fake_queue queue;
static cohort_time now;

static int answered(void *owner, struct coh_frame *f, const void *body, size_t size)
{
	(void)owner;
	COH_ASSERT(f->type == COH_FRAME_REPLY || f->type == COH_FRAME_RING);
	COH_ASSERT(size == 0 || body != NULL);
	return 0;
}

static void come(unsigned i)
{
	clients[i] = coh_desk_client_new(desk, &clients[i]);
	COH_ASSERT(clients[i] != NULL);
}

static void leave(unsigned i)
{
	if (clients[i] != NULL)
		coh_desk_client_free(clients[i]);
	clients[i] = NULL;
}

/* A frame of client I: type, header and up to 40 bytes of body, as they come.  What was used. */
static size_t frame(unsigned i, const uint8_t *p, size_t size)
{
	static const uint8_t types[] = {COH_FRAME_ATTACH, COH_FRAME_CALL, COH_FRAME_CALL, COH_FRAME_CANCEL,
	    COH_FRAME_DETACH, COH_FRAME_REPLY};
	static const uint64_t spans[] = {0, 1, 1000, COHORT_SECOND, INT64_MAX, COH_DESK_NO_LIMIT};
	struct cohort_error err = {0};
	struct coh_frame f = {.type = types[p[0] % 6],
	    .channel = (uint32_t)(p[1] % 4) << 16,
	    .flags = p[2] % 8u,
	    .length = p[3] % 40u};
	int rc;

	if (f.type == COH_FRAME_CALL) {
		f.channel |= (COH_DESK_OP_FIRST + p[4] % 16u) << 8 | (p[4] == 255 ? 7 : 0);
		f.id = spans[p[5] % 6];
	}
	if (f.length > size - 6)
		f.length = (uint32_t)(size - 6);
	if (clients[i] == NULL)
		come(i);
	rc = coh_desk_frame(clients[i], &f, p + 6, now, &err);
	COH_ASSERT(rc == 0 || (rc == COHORT_EPROTOCOL && err.text[0] != '\0'));
	if (rc != 0)
		leave(i);
	return 6 + f.length;
}

static void full(unsigned i, bool is)
{
	if (clients[i] == NULL)
		return;
#ifdef PLANT
	if (is && clients[i]->holds != 0)
		clients[i]->holds = 0;
#endif
	coh_desk_client_full(clients[i], is);
}

static size_t event(const uint8_t *p, size_t size)
{
	unsigned i = p[0] / 16 % CLIENTS;

	switch (p[0] % 16) {
	case 0:
		leave(i);
		return 1;
	case 1:
	case 2:
		full(i, p[0] % 16 == 1);
		return 1;
	case 3:
		now += (cohort_time)1 << p[0] / 8;
		COH_ASSERT(coh_desk_tick(desk, now) > now);
		return 1;
	case 4:
		coh_desk_ring(object);
		return 1;
	default:
		return size > 6 ? 1 + frame(i, p + 1, size - 1) : size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0;

	now = COHORT_SECOND;
	queue = (struct fake_queue){.most = 3};
	desk = coh_desk_new(answered, NULL);
	COH_ASSERT(desk != NULL && coh_desk_add(desk, &object, "q", &fake_queue_ops, &queue, NULL) == 0);
	while (at < size) {
		at += event(data + at, size - at);
		COH_ASSERT(coh_desk_check(desk) == NULL);
		COH_ASSERT(coh_desk_waiting(object, COH_DESK_QUEUE_ITEMS) == 0 || queue.count == 0 ||
		    (clients[0] != NULL && clients[0]->full) || (clients[1] != NULL && clients[1]->full) ||
		    (clients[2] != NULL && clients[2]->full));
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		leave(i);
	COH_ASSERT(queue.lent_count == 0 && queue.attached == 0);
	coh_desk_free(desk);
	return 0;
}
