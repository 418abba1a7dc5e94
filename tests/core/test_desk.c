/* test_desk.c - the server's side of shared objects: who is answered what, and when. */
#include "base/buf.h"
#include "base/mem.h"
#include "sim/desk_fake.h"
#include "support/test.h"

#include <cohort/error.h>
#include <errno.h>
#include <string.h>

#define CLIENTS 4
#define REPLIES 64

/* A client as the test sees it: what was sent to it. */
struct who {
	struct coh_desk_client *client;
	struct coh_frame got[REPLIES];
	uint32_t item[REPLIES];
	char text[REPLIES][200];
	int count;
	int refuse; /* -ENOMEM: nothing can be sent to it */
};

static struct fixture {
	struct coh_desk *desk;
	struct coh_desk_object *object;
	struct fake_queue queue;
	struct who who[CLIENTS];
	cohort_time now;
} t;

static int keep(void *client, struct coh_frame *f, const void *body, size_t size)
{
	struct who *w = client;

	if (w->refuse != 0)
		return w->refuse;
	REQUIRE(w->count < REPLIES);
	f->length = (uint32_t)size;
	w->got[w->count] = *f;
	if (size == FAKE_ITEM)
		w->item[w->count] = coh_get_u32(body);
	if (size != 0 && size < sizeof w->text[0])
		memcpy(w->text[w->count], body, size);
	w->count++;
	return 0;
}

static int frame(int who, struct coh_frame f, const void *body, size_t size)
{
	struct cohort_error err;
	int rc;

	f.length = (uint32_t)size;
	rc = coh_desk_frame(t.who[who].client, &f, body, t.now, &err);
	CHECK(coh_desk_check(t.desk) == NULL);
	return rc;
}

static int attach(int who, unsigned number, const char *name)
{
	unsigned char body[300] = {0, COH_DESK_VERSION, 5, 'q', 'u', 'e', 'u', 'e'};
	size_t n = strlen(name);

	body[8] = (unsigned char)n;
	memcpy(body + 9, name, n);
	return frame(who, (struct coh_frame){.type = COH_FRAME_ATTACH, .channel = number << 16, .flags = 1000},
	    body, 9 + n);
}

static void begin(unsigned most)
{
	t = (struct fixture){.queue.most = most, .now = COHORT_SECOND};
	t.desk = coh_desk_new(keep, NULL);
	REQUIRE(t.desk != NULL);
	REQUIRE_EQ(coh_desk_add(t.desk, &t.object, "jobs", &fake_queue_ops, &t.queue, NULL), 0);
	for (int i = 0; i < CLIENTS; i++) {
		t.who[i].client = coh_desk_client_new(t.desk, &t.who[i]);
		REQUIRE(t.who[i].client != NULL);
		CHECK_EQ(attach(i, 1, "jobs"), 0);
		REQUIRE_EQ(t.who[i].count, 1);
		CHECK_EQ(t.who[i].got[0].channel, 0);
		t.who[i].count = 0;
	}
}

static void leave(int who)
{
	coh_desk_client_free(t.who[who].client);
	t.who[who].client = NULL;
	CHECK(coh_desk_check(t.desk) == NULL);
}

static void end(void)
{
	for (int i = 0; i < CLIENTS; i++)
		if (t.who[i].client != NULL)
			leave(i);
	CHECK_EQ(t.queue.attached, 0);
	CHECK_EQ(t.queue.lent_count, 0);
	coh_desk_free(t.desk);
}

static int call(int who, unsigned op, uint32_t request, uint64_t left, uint32_t word)
{
	unsigned char body[4];
	bool empty = op == COH_DESK_QUEUE_GET || op == COH_DESK_QUEUE_TAKE ||
	    op == COH_DESK_QUEUE_JOIN || op == COH_DESK_ARM;

	coh_put_u32(body, word);
	return frame(who,
	    (struct coh_frame){.type = COH_FRAME_CALL,
		.channel = coh_desk_channel(1, op, 0),
		.flags = request,
		.id = left},
	    body, empty ? 0 : sizeof body);
}

static int put(int who, uint32_t request, uint64_t left, uint32_t item)
{
	return call(who, COH_DESK_QUEUE_PUT, request, left, item);
}

static int get(int who, uint32_t request, uint64_t left)
{
	return call(who, COH_DESK_QUEUE_GET, request, left, 0);
}

static int take(int who, uint32_t request)
{
	return call(who, COH_DESK_QUEUE_TAKE, request, 0, 0);
}

static int cancel(int who, uint32_t request)
{
	return frame(who, (struct coh_frame){.type = COH_FRAME_CANCEL, .flags = request}, NULL, 0);
}

/* The last thing that WHO was sent is a REPLY to REQUEST with CODE. */
static bool told(int who, uint32_t request, int code)
{
	const struct who *w = &t.who[who];
	const struct coh_frame *f = &w->got[w->count - 1];

	return CHECK(w->count > 0) && CHECK_EQ(f->type, COH_FRAME_REPLY) &&
	    CHECK_EQ(f->flags, request) && CHECK_EQ((int)f->channel, code);
}

static uint32_t item(int who)
{
	return t.who[who].item[t.who[who].count - 1];
}

TEST(desk, call_that_can_be_answered_is_answered_at_once)
{
	begin(4);
	put(0, 1, 0, 77);
	told(0, 1, 0);
	get(1, 9, COHORT_SECOND);
	told(1, 9, 0);
	CHECK_EQ(item(1), 77);
	CHECK_EQ(coh_desk_waiting(t.object, -1), 0);
	CHECK_EQ(coh_desk_next(t.desk), COHORT_FOREVER);
	end();
}

TEST(desk, call_that_does_not_wait_is_told_that_it_is_late)
{
	begin(1);
	get(0, 1, 0);
	told(0, 1, COHORT_EEMPTY);
	put(0, 2, 0, 5);
	put(0, 3, 0, 6);
	told(0, 3, COHORT_EFULL);
	CHECK_EQ(t.queue.count, 1);
	end();
}

TEST(desk, those_who_wait_are_served_in_the_order_they_came)
{
	begin(4);
	get(2, 1, COHORT_SECOND);
	get(0, 1, COH_DESK_NO_LIMIT);
	get(1, 1, COHORT_MS);
	CHECK_EQ(coh_desk_waiting(t.object, COH_DESK_QUEUE_ITEMS), 3);
	for (uint32_t i = 1; i <= 3; i++)
		put(3, i, 0, 100 + i);
	told(2, 1, 0);
	CHECK_EQ(item(2), 101);
	CHECK_EQ(item(0), 102);
	CHECK_EQ(item(1), 103);
	end();
}

TEST(desk, get_makes_room_for_whoever_waits_to_put)
{
	begin(1);
	put(0, 1, 0, 1);
	put(1, 1, COHORT_SECOND, 2);
	put(2, 1, COHORT_SECOND, 3);
	get(3, 1, 0);
	told(1, 1, 0);
	CHECK_EQ(t.who[2].count, 0);
	get(3, 2, 0);
	told(2, 1, 0);
	get(3, 3, 0);
	CHECK_EQ(item(3), 3);
	end();
}

TEST(desk, deadline_is_answered_at_its_moment_and_not_before)
{
	begin(1);
	get(0, 1, COHORT_SECOND);
	get(1, 1, COHORT_MS);
	CHECK_EQ(coh_desk_next(t.desk), t.now + COHORT_MS);
	CHECK_EQ(coh_desk_tick(t.desk, t.now + COHORT_MS - 1), t.now + COHORT_MS);
	CHECK_EQ(t.who[1].count, 0);
	CHECK_EQ(coh_desk_tick(t.desk, t.now + COHORT_MS), t.now + COHORT_SECOND);
	told(1, 1, COHORT_EEMPTY);
	CHECK_EQ(coh_desk_tick(t.desk, t.now + 2 * COHORT_SECOND), COHORT_FOREVER);
	told(0, 1, COHORT_EEMPTY);
	end();
}

TEST(desk, cancel_that_is_first_wins)
{
	begin(1);
	get(0, 1, COH_DESK_NO_LIMIT);
	cancel(0, 1);
	told(0, 1, COHORT_EEMPTY);
	put(1, 1, 0, 5);
	CHECK_EQ(t.who[0].count, 1);
	CHECK_EQ(t.queue.count, 1);
	end();
}

TEST(desk, cancel_that_is_second_changes_nothing)
{
	begin(1);
	get(0, 1, COH_DESK_NO_LIMIT);
	put(1, 1, 0, 5);
	told(0, 1, 0);
	CHECK_EQ(cancel(0, 1), 0);
	CHECK_EQ(t.who[0].count, 1);
	CHECK_EQ(item(0), 5);
	end();
}

TEST(desk, cancel_of_the_first_in_line_lets_those_behind_it_on)
{
	begin(1);
	put(0, 1, 0, 5);
	put(0, 2, COH_DESK_NO_LIMIT, 6);
	put(1, 1, COH_DESK_NO_LIMIT, 7);
	t.queue.count = 0; /* somebody else got it, and has not said so */
	cancel(0, 2);
	told(1, 1, 0);
	told(0, 2, COHORT_EFULL);
	end();
}

TEST(desk, client_that_goes_leaves_no_entry_and_gives_back_what_it_held)
{
	begin(4);
	put(1, 1, 0, 5);
	take(0, 1);
	get(0, 2, COH_DESK_NO_LIMIT);
	get(2, 1, COH_DESK_NO_LIMIT);
	CHECK_EQ(t.queue.lent_count, 1);
	leave(0);
	told(2, 1, 0); /* who stood behind it has what it held */
	CHECK_EQ(item(2), 5);
	CHECK_EQ(coh_desk_waiting(t.object, -1), 0);
	end();
}

TEST(desk, what_is_acknowledged_is_gone_and_cannot_be_twice)
{
	uint32_t hold;

	begin(4);
	put(1, 1, 0, 5);
	take(0, 1);
	hold = (uint32_t)t.who[0].got[0].id;
	call(1, COH_DESK_QUEUE_ACK, 2, 0, hold);
	told(1, 2, COHORT_EARGUMENT); /* it is another's */
	call(0, COH_DESK_QUEUE_ACK, 2, 0, hold);
	told(0, 2, 0);
	call(0, COH_DESK_QUEUE_ACK, 3, 0, hold);
	told(0, 3, COHORT_EARGUMENT);
	leave(0);
	CHECK_EQ(t.queue.count, 0);
	end();
}

TEST(desk, what_is_detached_gives_back_what_was_held_through_it)
{
	begin(4);
	CHECK_EQ(attach(0, 2, "jobs"), 0);
	put(1, 1, 0, 5);
	take(0, 1);
	get(0, 2, COH_DESK_NO_LIMIT);
	frame(0, (struct coh_frame){.type = COH_FRAME_DETACH, .channel = 1 << 16}, NULL, 0);
	CHECK_EQ(t.queue.count, 1);
	CHECK_EQ(coh_desk_waiting(t.object, -1), 0);
	CHECK_EQ(get(0, 3, 0), COHORT_EPROTOCOL);
	end();
}

TEST(desk, object_that_goes_ends_every_call_on_it)
{
	begin(4);
	get(0, 1, COH_DESK_NO_LIMIT);
	coh_desk_remove(t.desk, t.object);
	told(0, 1, COHORT_ECLOSED);
	CHECK_EQ(get(0, 2, COH_DESK_NO_LIMIT), 0);
	told(0, 2, COHORT_ECLOSED);
	CHECK_EQ(attach(0, 2, "jobs"), 0);
	told(0, 1000, -ENOENT);
	end();
}

TEST(desk, nothing_is_handed_to_a_client_that_does_not_read)
{
	begin(4);
	get(0, 1, COH_DESK_NO_LIMIT);
	coh_desk_client_full(t.who[0].client, true);
	get(1, 1, COH_DESK_NO_LIMIT);
	put(2, 1, 0, 5);
	CHECK_EQ(t.who[0].count, 0);
	CHECK_EQ(item(1), 5);
	put(2, 2, 0, 6);
	coh_desk_client_full(t.who[0].client, false);
	CHECK_EQ(item(0), 6);
	end();
}

TEST(desk, item_that_cannot_be_sent_stays)
{
	begin(4);
	put(1, 1, 0, 5);
	t.who[0].refuse = -ENOMEM;
	get(0, 1, 0);
	CHECK_EQ(t.queue.count, 1);
	take(0, 2);
	CHECK_EQ(t.queue.count, 1);
	CHECK_EQ(t.queue.lent_count, 0);
	end();
}

TEST(desk, who_asked_is_rung_once)
{
	begin(4);
	call(0, COH_DESK_ARM, 1, 0, 0);
	told(0, 1, 0);
	put(1, 1, 0, 5);
	REQUIRE_EQ(t.who[0].count, 2);
	CHECK_EQ(t.who[0].got[1].type, COH_FRAME_RING);
	CHECK_EQ(t.who[0].got[1].channel, 1 << 16);
	put(1, 2, 0, 6);
	CHECK_EQ(t.who[0].count, 2);
	call(0, COH_DESK_ARM, 2, 0, 0);
	told(0, 2, 1); /* there is something already */
	CHECK_EQ(coh_desk_armed(t.object), 0);
	end();
}

TEST(desk, owner_who_says_that_something_came_serves_who_waits)
{
	begin(4);
	get(0, 1, COH_DESK_NO_LIMIT);
	t.queue.items[t.queue.count++] = 9;
	coh_desk_ring(t.object);
	CHECK_EQ(item(0), 9);
	end();
}

TEST(desk, shutdown_ends_all_that_waits)
{
	begin(1);
	get(0, 1, COH_DESK_NO_LIMIT);
	take(1, 1);
	call(2, COH_DESK_QUEUE_SHUTDOWN, 1, 0, 0);
	told(0, 1, COHORT_ESHUTDOWN);
	put(2, 2, COH_DESK_NO_LIMIT, 5);
	told(2, 2, COHORT_ESHUTDOWN);
	end();
}

TEST(desk, what_breaks_the_protocol_ends_the_client)
{
	begin(1);
	CHECK_EQ(attach(0, 1, "jobs"), COHORT_EPROTOCOL);
	get(0, 1, COH_DESK_NO_LIMIT);
	CHECK_EQ(get(0, 1, 0), COHORT_EPROTOCOL);
	for (int type = 0; type < 256; type++)
		if (type < COH_FRAME_ATTACH || type > COH_FRAME_DETACH || type == COH_FRAME_REPLY)
			CHECK_EQ(frame(1, (struct coh_frame){.type = (uint8_t)type}, NULL, 0),
			    type == COH_FRAME_CANCEL ? 0 : COHORT_EPROTOCOL);
	CHECK_EQ(frame(1, (struct coh_frame){.type = COH_FRAME_CALL}, NULL, 0), COHORT_EPROTOCOL);
	CHECK_EQ(frame(1, (struct coh_frame){.type = COH_FRAME_DETACH}, NULL, 0), COHORT_EPROTOCOL);
	CHECK_EQ(frame(1, (struct coh_frame){.type = COH_FRAME_ATTACH, .channel = 2 << 16}, "\0\1\5que", 6),
	    COHORT_EPROTOCOL);
	end();
}

/* Cut off at the NUL each of these would be what is there. */
TEST(desk, attach_with_a_nul_in_a_word_ends_the_client)
{
	static const char kind[] = "\0\1\6queue\0\4jobs", name[] = "\0\1\5queue\6jobs\0x", good[] = "\0\1\5queue\4jobs";
	struct coh_frame f = {.type = COH_FRAME_ATTACH, .channel = 2 << 16};

	begin(1);
	CHECK_EQ(frame(0, f, kind, sizeof kind - 1), COHORT_EPROTOCOL);
	CHECK_EQ(frame(0, f, name, sizeof name - 1), COHORT_EPROTOCOL);
	CHECK_EQ(t.who[0].count, 0);
	CHECK_EQ(t.queue.attached, CLIENTS);
	CHECK_EQ(frame(0, f, good, sizeof good - 1), 0);
	told(0, 0, 0);
	end();
}

TEST(desk, attach_says_what_is_wrong)
{
	begin(1);
	CHECK_EQ(attach(0, 2, "nobody"), 0);
	told(0, 1000, -ENOENT);
	CHECK_HAS(t.who[0].text[0], "nobody");
	CHECK_EQ(frame(0, (struct coh_frame){.type = COH_FRAME_ATTACH, .channel = 2 << 16, .flags = 3},
		     "\0\1\4lock\4jobs", 12), 0);
	told(0, 3, COHORT_EARGUMENT);
	CHECK_EQ(frame(0, (struct coh_frame){.type = COH_FRAME_ATTACH, .channel = 2 << 16, .flags = 4},
		     "\0\2what", 6), 0);
	told(0, 4, COHORT_EVERSION);
	CHECK_EQ(t.queue.attached, CLIENTS);
	end();
}

TEST(desk, client_has_a_limit_of_calls_that_wait)
{
	begin(1);
	for (uint32_t i = 1; i <= COH_DESK_CALLS_MAX + 1; i++) {
		struct coh_frame f = {.type = COH_FRAME_CALL,
		    .channel = coh_desk_channel(1, COH_DESK_QUEUE_GET, 0),
		    .flags = i,
		    .id = COH_DESK_NO_LIMIT - i};

		REQUIRE_EQ(coh_desk_frame(t.who[0].client, &f, NULL, t.now, NULL), 0);
	}
	CHECK_EQ(t.who[0].count, 1);
	told(0, COH_DESK_CALLS_MAX + 1, COHORT_EBUSY);
	get(1, 1, COHORT_SECOND); /* others are not concerned */
	CHECK_EQ(t.who[1].count, 0);
	end();
}

TEST(desk, names_are_those_of_shared_objects)
{
	static const char *const bad[] = {"", ".", "..", "a/b"};
	struct coh_desk_object *o;

	begin(1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_EQ(coh_desk_add(t.desk, &o, bad[i], &fake_queue_ops, &t.queue, NULL),
		    COHORT_ENAME);
	CHECK_EQ(coh_desk_add(t.desk, &o, "jobs", &fake_queue_ops, &t.queue, NULL), -EEXIST);
	CHECK(coh_desk_find(t.desk, "jobs") == t.object);
	CHECK(coh_desk_self(t.object) == &t.queue);
	end();
}

/* All that a desk does, told by its code; -ENOMEM when it said so anywhere. */
static int scenario(void *arg)
{
	int rc = 0;

	(void)arg;
	t = (struct fixture){.queue.most = 1, .now = COHORT_SECOND};
	t.desk = coh_desk_new(keep, NULL);
	if (t.desk == NULL)
		return -ENOMEM;
	if (coh_desk_add(t.desk, &t.object, "jobs", &fake_queue_ops, &t.queue, NULL) != 0 ||
	    (t.who[0].client = coh_desk_client_new(t.desk, &t.who[0])) == NULL)
		rc = -ENOMEM;
	if (rc == 0 && attach(0, 1, "jobs") == 0 && (int)t.who[0].got[0].channel == 0) {
		put(0, 1, 0, 1);
		put(0, 2, COHORT_SECOND, 2);
		take(0, 3);
	}
	for (int i = 0; i < t.who[0].count && rc == 0; i++)
		if ((int)t.who[0].got[i].channel == -ENOMEM || (int)t.who[0].got[i].channel == COHORT_EBUSY)
			rc = -ENOMEM;
	end();
	return rc;
}

TEST(desk, memory_that_is_out_is_told_and_nothing_is_lost)
{
	test_every_allocation(scenario, NULL);
}
