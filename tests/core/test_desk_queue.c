/* test_desk_queue.c - a queue behind the desk: what is not sent has not left. */
#include "base/buf.h"
#include "support/test.h"
#include "work/desk_queue.h"
#include "work/queue_priv.h"

#include <cohort/queue.h>
#include <errno.h>
#include <string.h>

#define ITEMS 10

static struct {
	struct cohort_queue *q;
	struct coh_desk *desk;
	struct coh_desk_object *object;
	struct coh_desk_client *client;
	struct coh_desk_queue self;
	int room;     /* what there is to be said about room for an answer */
	size_t asked; /* for how much */
	struct coh_frame got;
	size_t size;
	unsigned char first; /* byte of the body's end */
} t;

static int send(void *client, struct coh_frame *f, const void *body, size_t size)
{
	(void)client;
	t.got = *f;
	t.size = size;
	t.first = size != 0 ? ((const unsigned char *)body)[size - 1] : 0;
	return 0;
}

static int room(void *client, size_t size)
{
	(void)client;
	t.asked = size;
	return t.room;
}

static int frame(uint8_t type, uint32_t channel, uint32_t request, const void *body, uint32_t size)
{
	struct coh_frame f = {.type = type, .length = size, .channel = channel, .flags = request};
	int rc = coh_desk_frame(t.client, &f, body, COHORT_SECOND, NULL);

	CHECK(coh_desk_check(t.desk) == NULL);
	return rc != 0 ? rc : (int)t.got.channel;
}

/* A queue with ITEMS, each its number in a byte; it is there at most twice (a take that was given back fails). */
static void begin(void)
{
	static const unsigned char attach[13 + 36] = {0, COH_DESK_VERSION, 5, 'q', 'u', 'e', 'u', 'e', 4, 'j', 'o', 'b', 's'};
	struct cohort_queue_options o = {.policy = COHORT_QUEUE_FAIL};

	memset(&t, 0, sizeof t);
	REQUIRE_EQ(cohort_queue_open(&t.q, "local:", &o, NULL), 0);
	t.self.ring = coh_queue_local_ring(t.q);
	t.desk = coh_desk_new(send, room);
	REQUIRE(t.desk != NULL);
	REQUIRE_EQ(coh_desk_add(t.desk, &t.object, "jobs", &coh_desk_queue_ops, &t.self, NULL), 0);
	t.client = coh_desk_client_new(t.desk, &t);
	REQUIRE(t.client != NULL);
	REQUIRE_EQ(frame(COH_FRAME_ATTACH, 1 << 16, 1, attach, sizeof attach), 0);
	for (unsigned char i = 1; i <= ITEMS; i++)
		REQUIRE_EQ(cohort_queue_put_bytes(t.q, &i, 1, COHORT_NOW), 0);
}

static void end(void)
{
	coh_desk_client_free(t.client);
	coh_desk_free(t.desk);
	coh_desk_queue_fini(&t.self);
	cohort_queue_close(t.q, COHORT_NOW);
}

static int call(unsigned op, uint32_t n)
{
	unsigned char body[12] = {0, 0, 0, 0, 0, 4}; /* room for 256 KiB */
	uint32_t size = op == COH_DESK_QUEUE_TAKE ? 0 : op == COH_DESK_QUEUE_GET ? 8 : 12;

	coh_put_u32(body + 8, n);
	return frame(COH_FRAME_CALL, coh_desk_channel(1, op, 0), 7, body, size);
}

/* What was refused is untouched. */
static void untouched(void)
{
	struct cohort_queue_stats s;

	CHECK_EQ(cohort_queue_stats(t.q, &s), 0);
	CHECK_EQ(s.size, ITEMS);
	CHECK_EQ(s.taken, 0);
	CHECK_EQ(s.got + s.returned + s.failed, 0);
}

static void stays_for(int why)
{
	static const unsigned ops[] = {COH_DESK_QUEUE_GET, COH_DESK_QUEUE_GET_MANY, COH_DESK_QUEUE_TAKE};

	begin();
	t.room = why;
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(call(ops[i], 5), why);
		CHECK(t.asked != 0);
		untouched();
	}
	t.room = 0;
	CHECK_EQ(call(COH_DESK_QUEUE_GET, 0), 0);
	CHECK_EQ(t.first, 1);
	CHECK_EQ(call(COH_DESK_QUEUE_TAKE, 0), 0);
	CHECK_EQ(t.first, 2);
	CHECK_EQ(t.got.id >> 8 & 0xffffff, 1); /* deliveries */
	CHECK_EQ(call(COH_DESK_QUEUE_GET_MANY, 5), 5);
	CHECK_EQ(t.asked, 5 * 5);
	CHECK_EQ(t.size, t.asked);
	CHECK_EQ(t.first, 7);
	end();
}

TEST(desk_queue, item_stays_when_there_is_no_memory_for_its_answer)
{
	stays_for(-ENOMEM);
}

TEST(desk_queue, item_stays_when_its_client_is_gone)
{
	stays_for(COHORT_EPEER);
}

/* A large item alone, and a hand that came back, are asked about too. */
TEST(desk_queue, large_item_stays_too)
{
	static char large[50000];
	struct cohort_item item;

	begin();
	for (int i = 0; i < ITEMS; i++)
		CHECK_EQ(call(COH_DESK_QUEUE_GET, 0), 0);
	large[sizeof large - 1] = 'l';
	REQUIRE_EQ(cohort_queue_put_bytes(t.q, large, sizeof large, COHORT_NOW), 0);
	t.room = -ENOMEM;
	CHECK_EQ(call(COH_DESK_QUEUE_GET_MANY, 5), -ENOMEM);
	CHECK_EQ(t.asked, sizeof large + 4);
	CHECK_EQ(call(COH_DESK_QUEUE_GET, 0), -ENOMEM);
	CHECK_EQ(call(COH_DESK_QUEUE_TAKE, 0), -ENOMEM);
	CHECK_EQ(cohort_queue_take(t.q, &item, COHORT_NOW), 0);
	CHECK_EQ(item.deliveries, 1);
	CHECK_EQ(cohort_queue_ack(t.q, &item), 0);
	end();
}
