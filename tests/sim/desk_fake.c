/* desk_fake.c - a bounded list of numbers that can be put, got, taken, acknowledged and given back. */
#include "sim/desk_fake.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/object.h"

#include <string.h>

static unsigned char body[FAKE_ITEM];

static int fake_attach(void *self, const struct cohort_bytes *options, void **own,
    struct coh_desk_reply *out, struct cohort_error *err)
{
	struct fake_queue *q = self;

	(void)out;
	if (options->size != 0)
		return coh_fail(err, COHORT_EARGUMENT, "it has no options");
	q->attached++;
	*own = q;
	return 0;
}

static void fake_detach(void *self, void *own)
{
	struct fake_queue *q = self;

	COH_ASSERT(own == self && q->attached > 0);
	q->attached--;
}

static bool fake_insert(struct fake_queue *q, unsigned at, uint32_t item)
{
	if (q->count == FAKE_ROOM)
		return false;
	memmove(q->items + at + 1, q->items + at, (q->count - at) * sizeof *q->items);
	q->items[at] = item;
	q->count++;
	return true;
}

static bool fake_put(struct fake_queue *q, const struct coh_desk_call *c, struct coh_desk_reply *out)
{
	if (q->shut || c->size != FAKE_ITEM || coh_get_u32(c->data) == 0) /* 0 means none here */
		out->code = q->shut ? COHORT_ESHUTDOWN : COHORT_EPROTOCOL;
	else if (q->count >= q->most)
		return false;
	else
		COH_ASSERT(fake_insert(q, q->count, coh_get_u32(c->data)));
	return true;
}

/* The head, answered; back to the head if it could not be. */
static bool fake_get(struct fake_queue *q, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	unsigned at = 0;

	if (q->count == 0 && !q->shut)
		return false;
	if (q->count == 0) {
		out->code = COHORT_ESHUTDOWN;
		return true;
	}
	while (c->op == COH_DESK_QUEUE_TAKE && at < FAKE_HANDS && q->lent[at] != 0)
		at++;
	if (at == FAKE_HANDS) {
		out->code = COHORT_EBUSY;
		return true;
	}
	out->lent = q->items[0];
	coh_put_u32(body, q->items[0]);
	out->data = body;
	out->size = FAKE_ITEM;
	if (c->op == COH_DESK_QUEUE_TAKE) {
		out->value = coh_desk_hold(c->from, at + 1);
		if (out->value == 0) {
			*out = (struct coh_desk_reply){.code = COHORT_EBUSY};
			return true;
		}
		q->lent[at] = q->items[0];
		q->lent_count++;
	}
	memmove(q->items, q->items + 1, --q->count * sizeof *q->items);
	return true;
}

static void fake_give_back(void *self, uint64_t what)
{
	struct fake_queue *q = self;

	COH_ASSERT(what >= 1 && what <= FAKE_HANDS && q->lent[what - 1] != 0);
	COH_ASSERT(fake_insert(q, 0, q->lent[what - 1]));
	q->lent[what - 1] = 0;
	q->lent_count--;
}

static bool fake_done(struct fake_queue *q, const struct coh_desk_call *c, struct coh_desk_reply *out)
{
	uint64_t what = c->size == 4 ? coh_desk_unhold(c->from, coh_get_u32(c->data)) : 0;

	if (what == 0)
		out->code = COHORT_EARGUMENT;
	else if (c->op == COH_DESK_QUEUE_RETURN)
		fake_give_back(q, what);
	else {
		q->lent[what - 1] = 0;
		q->lent_count--;
	}
	return true;
}

static bool fake_call(void *self, struct coh_desk_call *c, struct coh_desk_reply *out)
{
	struct fake_queue *q = self;

	COH_ASSERT(c->own == self);
	switch (c->op) {
	case COH_DESK_QUEUE_PUT:
		return fake_put(q, c, out);
	case COH_DESK_QUEUE_GET:
	case COH_DESK_QUEUE_TAKE:
		return fake_get(q, c, out);
	case COH_DESK_QUEUE_ACK:
	case COH_DESK_QUEUE_RETURN:
		return fake_done(q, c, out);
	case COH_DESK_QUEUE_JOIN:
		return q->count == 0 && q->lent_count == 0;
	case COH_DESK_QUEUE_SHUTDOWN:
		q->shut = true;
		return true;
	default:
		out->code = COHORT_ENOTSUP;
		return true;
	}
}

static int fake_line(unsigned op)
{
	switch (op) {
	case COH_DESK_QUEUE_PUT:
		return COH_DESK_QUEUE_ROOM;
	case COH_DESK_QUEUE_GET:
	case COH_DESK_QUEUE_TAKE:
		return COH_DESK_QUEUE_ITEMS;
	case COH_DESK_QUEUE_JOIN:
		return COH_DESK_QUEUE_END;
	default:
		return -1;
	}
}

static void fake_late(void *self, const struct coh_desk_call *c, struct coh_desk_reply *out)
{
	(void)self;
	out->code = c->op == COH_DESK_QUEUE_PUT ? COHORT_EFULL
	    : c->op == COH_DESK_QUEUE_JOIN	? COHORT_ETIMEDOUT
						: COHORT_EEMPTY;
}

static void fake_sent(
    void *self, const struct coh_desk_call *c, const struct coh_desk_reply *out, int rc)
{
	struct fake_queue *q = self;
	uint64_t what;

	if (out->lent == 0)
		return;
	if (rc == 0) {
		q->handed = (uint32_t)out->lent;
		return;
	}
	if (c->op == COH_DESK_QUEUE_TAKE) {
		what = coh_desk_unhold(c->from, (uint32_t)out->value);
		fake_give_back(q, what);
	} else
		COH_ASSERT(fake_insert(q, 0, (uint32_t)out->lent));
}

static bool fake_ready(void *self)
{
	const struct fake_queue *q = self;

	return q->count != 0 || q->shut;
}

const struct coh_desk_ops fake_queue_ops = {
    .kind = "queue",
    .attach = fake_attach,
    .detach = fake_detach,
    .line = fake_line,
    .call = fake_call,
    .late = fake_late,
    .sent = fake_sent,
    .give_back = fake_give_back,
    .ready = fake_ready,
};
