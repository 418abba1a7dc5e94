/*
 * test_desk_sim.c - clients of a queue behind the desk, over links that take time, in virtual time.
 *
 * A world is made from a seed: clients that put, get, take, acknowledge and give back with deadlines of all kinds, that send
 * CANCEL when theirs has passed, that stop reading, and that die at any moment, with what is on the way.  The world keeps its own account
 * of every request and every item:
 *
 *   - each request of a client that lives is answered once, CANCEL or not, and no later than its deadline at the server
 *   - an item whose put was answered 0 was put, one answered otherwise was not
 *   - each item that was put is got once, or acknowledged once, or there at the end: never lost, never doubled
 *   - of those who wait for an item whoever came first gets the next
 *
 *	COHORT_TEST_SEED=N ./test_desk_sim        that world alone
 *	COHORT_SIM_SEEDS=100000 ./test_desk_sim   so many of them
 */
#include "base/buf.h"
#include "sim/desk_fake.h"
#include "sim/sim.h"
#include "support/test.h"

#include <cohort/error.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 6
#define CALLS 600 /* in all; one's number is its place */
#define STEPS 1500

enum happening { ACT, TO_SERVER, TO_CLIENT, PASSED, TICK, DIE };

struct call {
	unsigned op, client, life; /* of which life of the client */
	uint32_t item;        /* put */
	int64_t deadline;     /* at the client; INT64_MAX: none */
	int64_t at_server;    /* the same at the server; -1: it has not arrived */
	bool waits, answered, cancelled, heard;
	int code;
	uint32_t order;       /* of its arrival */
	uint32_t hold, got;   /* of its answer */
};

struct client {
	struct coh_desk_client *desk;
	unsigned life;
	int64_t sent, heard;  /* when the last message each way arrives: nothing overtakes */
	uint32_t held[CALLS]; /* calls whose take is out */
	int held_count;
	bool full;
};

static struct world {
	struct sim sim;
	struct coh_desk *desk;
	struct coh_desk_object *object;
	struct fake_queue queue;
	struct client clients[CLIENTS];
	struct call calls[CALLS];
	uint32_t count, arrivals;
	unsigned inserted[CALLS], ended[CALLS]; /* of each item: put; got or acknowledged */
	const char *broken;
} w;

static void expect(bool held, const char *words)
{
	if (!held && w.broken == NULL)
		w.broken = words;
}

static int64_t delay(void)
{
	return sim_below(&w.sim, 3) == 0 ? 0 : sim_magnitude(&w.sim, 1, 5 * COHORT_MS);
}

/* When something sent now over the way that was LAST used arrives. */
static int64_t travel(int64_t *last)
{
	int64_t at = w.sim.now + delay();

	*last = at > *last ? at : *last;
	return *last - w.sim.now;
}

/* ---- the server ---- */

static bool wants_item(const struct call *c)
{
	return c->op == COH_DESK_QUEUE_GET || c->op == COH_DESK_QUEUE_TAKE;
}

/* Nobody who came before C, and reads, still waits for an item. */
static bool is_first(const struct call *c)
{
	for (uint32_t i = 0; i < w.count; i++) {
		const struct call *o = &w.calls[i];

		if (o->waits && wants_item(o) && o->order < c->order && !w.clients[o->client].full)
			return false;
	}
	return true;
}

static int answer(void *owner, struct coh_frame *f, const void *body, size_t size)
{
	struct client *client = owner;
	struct call *c = &w.calls[f->flags % CALLS];
	bool late;

	if (f->type != COH_FRAME_REPLY || f->flags >= CALLS)
		return 0; /* of the ATTACH */
	c->code = (int)f->channel;
	late = c->code == COHORT_EEMPTY || c->code == COHORT_EFULL;
	expect(!c->answered, "a request was answered twice");
	expect(c->at_server >= 0 && w.sim.now <= c->at_server, "an answer came after the deadline");
	expect(!late || w.sim.now == c->at_server || c->cancelled, "a call was late before its deadline");
	expect(!c->waits || late || !wants_item(c) || is_first(c), "somebody was served before his turn");
	c->answered = true;
	c->waits = false;
	if (c->code == 0 && wants_item(c)) {
		c->got = size == FAKE_ITEM ? coh_get_u32(body) : 0;
		c->hold = (uint32_t)f->id;
		w.ended[c->got] += c->op == COH_DESK_QUEUE_GET;
	}
	w.inserted[c->item] += c->code == 0 && c->op == COH_DESK_QUEUE_PUT;
	sim_trace(&w.sim, f->flags * 31u + c->got);
	sim_after(&w.sim, travel(&client->heard), TO_CLIENT, f->flags, client->life);
	return 0;
}

static void attach(struct client *c)
{
	static const unsigned char body[] = {0, COH_DESK_VERSION, 5, 'q', 'u', 'e', 'u', 'e', 1, 'q'};
	struct coh_frame f = {.type = COH_FRAME_ATTACH,
	    .channel = coh_desk_channel(1, 0, 0),
	    .flags = CALLS,
	    .length = sizeof body};

	c->desk = coh_desk_client_new(w.desk, c);
	expect(c->desk != NULL && coh_desk_frame(c->desk, &f, body, w.sim.now, NULL) == 0, "no client");
}

static void next_tick(void)
{
	cohort_time at = coh_desk_next(w.desk);

	if (at != COHORT_FOREVER)
		sim_after(&w.sim, at > w.sim.now ? at - w.sim.now : 0, TICK, 0, 0);
}

static void arrive(uint32_t number)
{
	struct call *c = &w.calls[number];
	uint64_t left = c->deadline == INT64_MAX ? COH_DESK_NO_LIMIT
	    : c->deadline > w.sim.now		 ? (uint64_t)(c->deadline - w.sim.now)
						 : 0;
	unsigned char word[4];
	struct coh_frame f = {.type = COH_FRAME_CALL,
	    .channel = coh_desk_channel(1, c->op, 0),
	    .flags = number,
	    .id = left,
	    .length = wants_item(c) ? 0 : 4};

	coh_put_u32(word, c->op == COH_DESK_QUEUE_PUT ? c->item : c->hold);
	c->at_server = c->deadline == INT64_MAX ? INT64_MAX : w.sim.now + (int64_t)left;
	c->order = ++w.arrivals;
	expect(coh_desk_frame(w.clients[c->client].desk, &f, word, w.sim.now, NULL) == 0, "a call was refused");
	c->waits = !c->answered;
	if ((c->op == COH_DESK_QUEUE_ACK) && c->answered && c->code == 0)
		w.ended[c->got]++;
	next_tick();
}

static void arrive_cancel(uint32_t number)
{
	struct call *c = &w.calls[number];
	struct coh_frame f = {.type = COH_FRAME_CANCEL, .flags = number};

	expect(coh_desk_frame(w.clients[c->client].desk, &f, NULL, w.sim.now, NULL) == 0, "a CANCEL was refused");
	expect(c->answered, "a CANCEL was not answered");
}

/* ---- the clients ---- */

static void say(uint32_t number, bool cancel)
{
	struct client *client = &w.clients[w.calls[number].client];

	sim_after(&w.sim, travel(&client->sent), TO_SERVER, number, client->life << 1 | cancel);
}

static void call(unsigned who, unsigned op, uint32_t hold, uint32_t item)
{
	static const int64_t spans[] = {0, 1, COHORT_MS, 20 * COHORT_MS, COHORT_SECOND, INT64_MAX};
	int64_t span = spans[sim_below(&w.sim, 6)];
	uint32_t number = w.count++;
	struct call *c = &w.calls[number];

	*c = (struct call){.op = op, .client = who, .life = w.clients[who].life, .at_server = -1};
	c->deadline = span == INT64_MAX ? INT64_MAX : w.sim.now + span;
	c->item = op == COH_DESK_QUEUE_PUT ? number : 0;
	c->hold = hold;
	c->got = item;
	say(number, false);
	if (span != INT64_MAX && span != 0)
		sim_after(&w.sim, span, PASSED, number, 0);
}

static void act(unsigned who)
{
	static const unsigned ops[] = {COH_DESK_QUEUE_PUT, COH_DESK_QUEUE_PUT, COH_DESK_QUEUE_GET, COH_DESK_QUEUE_TAKE};
	struct client *c = &w.clients[who];

	if (w.count >= CALLS - 1)
		return;
	if (c->held_count != 0 && sim_below(&w.sim, 2) == 0) {
		struct call *t = &w.calls[c->held[--c->held_count]];

		call(who, sim_below(&w.sim, 3) != 0 ? COH_DESK_QUEUE_ACK : COH_DESK_QUEUE_RETURN, t->hold, t->got);
	} else
		call(who, ops[sim_below(&w.sim, 4)], 0, 0);
	if (sim_below(&w.sim, 30) == 0) {
		c->full = !c->full;
		coh_desk_client_full(c->desk, c->full);
	}
}

static void hear(uint32_t number, unsigned life)
{
	struct call *c = &w.calls[number];
	struct client *client = &w.clients[c->client];

	if (client->life != life)
		return; /* it died meanwhile */
	expect(c->answered && !c->heard, "an answer was heard twice");
	c->heard = true;
	if (c->op == COH_DESK_QUEUE_TAKE && c->code == 0)
		client->held[client->held_count++] = number;
}

/* What is on the way from it does not arrive, and nobody hears what is on the way to it. */
static void die(unsigned who)
{
	struct client *c = &w.clients[who];

	for (uint32_t i = 0; i < w.count; i++)
		if (w.calls[i].client == who)
			w.calls[i].waits = false;
	coh_desk_client_free(c->desk);
	*c = (struct client){.life = c->life + 1, .sent = w.sim.now, .heard = w.sim.now};
	attach(c);
}

static void happen(const struct sim_event *e)
{
	struct call *c = &w.calls[e->a % CALLS];

	switch ((enum happening)e->what) {
	case ACT:
		act(e->a);
		break;
	case TO_SERVER:
		if (w.clients[c->client].life != e->b >> 1)
			break;
		if (e->b & 1)
			arrive_cancel(e->a);
		else
			arrive(e->a);
		break;
	case TO_CLIENT:
		hear(e->a, e->b);
		break;
	case PASSED:
		if (!c->heard && !c->cancelled && w.clients[c->client].life == c->life) {
			c->cancelled = true;
			say(e->a, true);
		}
		break;
	case TICK:
		(void)coh_desk_tick(w.desk, w.sim.now);
		next_tick();
		break;
	case DIE:
		die(e->a);
		break;
	}
}

/* ---- a world ---- */

static void world_begin(uint64_t seed)
{
	memset(&w, 0, sizeof w);
	sim_init(&w.sim, seed);
	w.count = 1; /* no item is 0 */
	w.queue.most = 1 + sim_below(&w.sim, 8);
	w.desk = coh_desk_new(answer, NULL);
	expect(w.desk != NULL && coh_desk_add(w.desk, &w.object, "q", &fake_queue_ops, &w.queue, NULL) == 0, "no desk");
	for (unsigned i = 0; i < CLIENTS; i++)
		attach(&w.clients[i]);
	for (int i = 0; i < STEPS; i++) {
		int64_t at = sim_between(&w.sim, 0, 200 * COHORT_MS);

		sim_after(&w.sim, at, sim_below(&w.sim, 60) == 0 ? DIE : ACT, sim_below(&w.sim, CLIENTS), 0);
	}
}

/* All is over: those who wait without end are not answered, everybody else is. */
static void world_end(void)
{
	for (uint32_t i = 1; i < w.count; i++) {
		const struct call *c = &w.calls[i];

		if (c->life == w.clients[c->client].life && c->deadline != INT64_MAX)
			expect(c->heard, "a request was not answered");
	}
	for (int i = 0; i < CLIENTS; i++) {
		w.clients[i].full = true;
		coh_desk_client_full(w.clients[i].desk, true);
	}
	for (int i = 0; i < CLIENTS; i++)
		coh_desk_client_free(w.clients[i].desk);
	expect(w.queue.lent_count == 0 && w.queue.attached == 0, "something is still held");
	for (unsigned i = 0; i < w.queue.count; i++)
		w.ended[w.queue.items[i]]++;
	for (uint32_t i = 0; i < w.count; i++)
		expect(w.inserted[i] == w.ended[i], w.inserted[i] > w.ended[i] ? "an item was lost" : "an item was doubled, or came from nowhere");
	coh_desk_free(w.desk);
	sim_fini(&w.sim);
}

static const char *world_run(uint64_t seed)
{
	struct sim_event e;

	world_begin(seed);
	while (w.broken == NULL && sim_next(&w.sim, &e)) {
		happen(&e);
		if (w.broken == NULL)
			w.broken = coh_desk_check(w.desk);
	}
	if (w.broken == NULL)
		world_end();
	return w.broken;
}

TEST_TIMEOUT(desk_sim, nothing_is_lost_doubled_or_forgotten, 120)
{
	uint64_t worlds = sim_setting("COHORT_SIM_SEEDS", 300), seed = sim_setting("COHORT_TEST_SEED", 0);
	const char *broken;

	for (uint64_t i = 0; i < (seed != 0 ? 1 : worlds); i++) {
		uint64_t s = seed != 0 ? seed : test_random();

		broken = world_run(s);
		if (broken != NULL)
			FAIL("seed %llu: %s", (unsigned long long)s, broken);
		test_require(broken == NULL);
	}
}
