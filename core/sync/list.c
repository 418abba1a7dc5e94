/*
 * list.c - a list of fixed length whose items may be of any type: ShareableList.
 *
 * Each item has a slot, and each slot two versions: what is set goes into the one that does not count, and one store makes
 * it the one that does.  So who is killed leaves the old value or the new one, and nothing has to be mended.
 */
#include "base/err.h"
#include "base/object.h"
#include "sync/data.h"
#include "sync/fault.h"

#include <cohort/data.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define MAGIC COH_SHARED_MAGIC(COH_SEGMENT_LIST)
#define COUNT_MOST ((size_t)1 << 24)
#define ROOM_USUAL 64 /* a name, a path, a number as text */
#define ROOM_MOST ((size_t)1 << 30)
#define BYTES_MOST ((uint64_t)1 << 40)

struct version {
	uint64_t type, size;
	uint64_t number; /* the integer, or the double's bits */
};

struct slot {
	_Atomic uint64_t now; /* which version counts */
	uint64_t at, room; /* where its bytes are: those of version 1 behind those of version 0 */
	struct version version[2];
};

struct cohort_list {
	struct coh_data data;
};

static struct cohort_list *check(const struct cohort_list *l)
{
	return COH_SHARED_CAST(struct cohort_list, MAGIC, (void *)(uintptr_t)l);
}

static bool has_bytes(uint64_t type)
{
	return type == COHORT_ITEM_TEXT || type == COHORT_ITEM_BYTES;
}

/* One that can be: of a type there is, and its bytes are there. */
static bool is_item(const struct cohort_list_item *i)
{
	return i != NULL && (unsigned)i->type <= COHORT_ITEM_BYTES &&
	    (!has_bytes(i->type) || i->size == 0 || i->data != NULL) &&
	    (i->type != COHORT_ITEM_BOOL || i->number == 0 || i->number == 1);
}

/* ---- opening ---- */

static uint64_t room_of(const struct cohort_list_options *o, size_t i)
{
	uint64_t room = o->room != 0 ? o->room : ROOM_USUAL;

	if (o->init != NULL && has_bytes(o->init[i].type) && o->init[i].size > room)
		room = o->init[i].size;
	return (room + 7) / 8 * 8;
}

static uint64_t slots_end(uint64_t count)
{
	return COH_DATA_BEGIN + count * sizeof(struct slot);
}

/* The whole size of a list of O, or 0 with a sentence. */
static uint64_t size_of(const struct cohort_list_options *o, struct cohort_error *err)
{
	uint64_t size = slots_end(o->count);

	if (o->count > COUNT_MOST || o->room > ROOM_MOST) {
		coh_fail(err, COHORT_EARGUMENT,
		    "open a list: %zu items with room for %zu bytes each, allowed are 1 to 2^24 "
		    "with at most 2^30",
		    o->count, o->room);
		return 0;
	}
	for (size_t i = 0; i < o->count; i++) {
		if (o->init != NULL && (!is_item(&o->init[i]) || o->init[i].size > ROOM_MOST)) {
			coh_fail(err, COHORT_EARGUMENT,
			    "open a list: item %zu cannot be: type %d, %zu bytes at %p, number "
			    "%lld",
			    i, (int)o->init[i].type, o->init[i].size, o->init[i].data,
			    (long long)o->init[i].number);
			return 0;
		}
		size += 2 * room_of(o, i);
	}
	if (size <= BYTES_MOST)
		return size;
	coh_fail(err, COHORT_EARGUMENT, "open a list: its items need %llu bytes, allowed are 2^40",
	    (unsigned long long)size);
	return 0;
}

static struct slot *slots(const struct coh_data *d)
{
	return coh_data_at(d, COH_DATA_BEGIN);
}

static unsigned char *bytes_of(const struct coh_data *d, const struct slot *s, unsigned which)
{
	return coh_data_at(d, s->at + which * s->room);
}

static void write_version(
    const struct coh_data *d, struct slot *s, unsigned which, const struct cohort_list_item *item)
{
	struct version *v = &s->version[which];

	v->type = item->type;
	COH_FAULT("list.set.type");
	v->size = has_bytes(item->type) ? item->size : 0;
	v->number = item->type == COHORT_ITEM_NONE ? 0 : (uint64_t)item->number;
	if (item->type == COHORT_ITEM_DOUBLE)
		memcpy(&v->number, &item->real, sizeof v->number);
	COH_FAULT("list.set.head");
	if (v->size != 0)
		memcpy(bytes_of(d, s, which), item->data, v->size);
}

static int make(struct coh_data *d, const void *options, struct cohort_error *err)
{
	const struct cohort_list_options *o = options;
	uint64_t at = slots_end(o->count);

	(void)err;
	for (size_t i = 0; i < o->count; i++) {
		struct slot *s = &slots(d)[i];

		s->at = at;
		s->room = room_of(o, i);
		at += 2 * s->room;
		if (o->init != NULL)
			write_version(d, s, 0, &o->init[i]);
	}
	return 0;
}

static int see(struct coh_data *d, const void *options, struct cohort_error *err)
{
	const struct cohort_list_options *o = options;
	int rc;

	if (d->shape.count == 0 || d->shape.count > COUNT_MOST ||
	    slots_end(d->shape.count) > d->shared.segment.size)
		return coh_fail(err, COHORT_ESEGMENT,
		    "open a list: it says it has %llu items, but its memory of %zu bytes is not "
		    "made so",
		    (unsigned long long)d->shape.count, d->shared.segment.size);
	rc = coh_data_agree(d, "count", d->shape.count, o != NULL ? o->count : 0, err);
	return rc != 0 ? rc
		       : coh_data_agree(d, "room", d->shape.room, o != NULL ? o->room : 0, err);
}

int cohort_list_open(struct cohort_list **out, const char *address,
    const struct cohort_list_options *options, struct cohort_error *err)
{
	static const struct cohort_list_options none;
	const struct cohort_list_options *o = options != NULL ? options : &none;
	struct coh_data_plan plan = {
	    .spec = {.kind = COH_SEGMENT_LIST, .size = size_of(o, err), .what = "list"},
	    .handle = sizeof(struct cohort_list),
	    .shape = {.count = o->count, .room = o->room != 0 ? o->room : ROOM_USUAL},
	    .lacks = o->count == 0 ? "it has 0 items, allowed are 1 to 2^24" : NULL,
	    .make = make,
	    .see = see,
	};

	if (plan.spec.size == 0)
		return COHORT_EARGUMENT;
	return coh_data_open(out, &plan, address, o->open, o, err);
}

void cohort_list_close(struct cohort_list *l)
{
	if (coh_shared_open(l))
		coh_data_close(&check(l)->data);
}

size_t cohort_list_count(const struct cohort_list *l)
{
	return check(l)->data.shape.count;
}

/* ---- items ---- */

/* Take the lock; what its dead holder did is done or not. */
static int enter(struct cohort_list *l)
{
	int rc = coh_data_check(&l->data, MAGIC);

	if (rc == 0)
		rc = coh_mutex_lock(&coh_data_head(&l->data)->mutex, COHORT_FOREVER);
	return rc == COHORT_EOWNERDEAD ? 0 : rc;
}

static int leave(struct cohort_list *l, int rc)
{
	coh_mutex_unlock(&coh_data_head(&l->data)->mutex);
	return rc;
}

/* A copy of slot AT, checked: its rooms are in the segment, what counts is an item.  0 or COHORT_ESEGMENT. */
static int look(const struct coh_data *d, size_t at, struct slot *s)
{
	uint64_t begin = slots_end(d->shape.count), size = d->shared.segment.size;
	const struct version *v;

	memcpy(s, &slots(d)[at], sizeof *s);
	v = &s->version[s->now & 1];
	if (s->now > 1 || s->at < begin || s->at > size || s->room > (size - s->at) / 2 ||
	    v->type > COHORT_ITEM_BYTES || (has_bytes(v->type) && v->size > s->room))
		return COHORT_ESEGMENT;
	return 0;
}

static int copy_out(const struct coh_data *d, const struct slot *s, struct cohort_list_item *item,
    void *buffer, size_t size)
{
	const struct version *v = &s->version[s->now];

	*item = (struct cohort_list_item){.type = (enum cohort_item_type)v->type};
	if (v->type == COHORT_ITEM_DOUBLE)
		memcpy(&item->real, &v->number, sizeof item->real);
	else if (!has_bytes(v->type))
		item->number = (int64_t)v->number;
	if (!has_bytes(v->type))
		return 0;
	item->size = v->size;
	if (v->size > size || (buffer == NULL && v->size != 0))
		return COHORT_ETOOBIG;
	item->data = buffer;
	if (v->size != 0)
		memcpy(buffer, bytes_of(d, s, (unsigned)s->now), v->size);
	return 0;
}

int cohort_list_get(
    struct cohort_list *l, size_t at, struct cohort_list_item *item, void *buffer, size_t size)
{
	struct slot s;
	int rc = coh_data_check(&l->data, MAGIC);

	if (rc == 0 && at >= l->data.shape.count)
		return COHORT_EARGUMENT;
	rc = rc == 0 ? enter(l) : rc;
	if (rc != 0)
		return rc;
	rc = look(&l->data, at, &s);
	return leave(l, rc != 0 ? rc : copy_out(&l->data, &s, item, buffer, size));
}

static int replace(const struct coh_data *d, size_t at, const struct cohort_list_item *item)
{
	struct slot *slot = &slots(d)[at], s;
	int rc = look(d, at, &s);

	if (rc != 0)
		return rc;
	if (has_bytes(item->type) && item->size > s.room)
		return COHORT_ETOOBIG;
	/* by the copy, which was checked: nobody changes places meanwhile */
	write_version(d, slot, (unsigned)(1 - s.now), item);
	COH_FAULT("list.set.written");
	atomic_store_explicit(&slot->now, 1 - s.now, memory_order_release);
	COH_FAULT("list.set.done");
	return 0;
}

int cohort_list_set(struct cohort_list *l, size_t at, const struct cohort_list_item *item)
{
	int rc = coh_data_check(&l->data, MAGIC);

	if (rc == 0 && (at >= l->data.shape.count || !is_item(item)))
		return COHORT_EARGUMENT;
	rc = rc == 0 ? enter(l) : rc;
	return rc != 0 ? rc : leave(l, replace(&l->data, at, item));
}

/* ---- searching ---- */

static bool equal(
    const struct coh_data *d, const struct slot *s, const struct cohort_list_item *item)
{
	const struct version *v = &s->version[s->now];
	double real;

	if (v->type != (uint64_t)item->type)
		return false;
	switch (item->type) {
	case COHORT_ITEM_NONE:
		return true;
	case COHORT_ITEM_DOUBLE:
		memcpy(&real, &v->number, sizeof real);
		return real == item->real;
	case COHORT_ITEM_TEXT:
	case COHORT_ITEM_BYTES:
		return v->size == item->size &&
		    (v->size == 0 ||
			memcmp(bytes_of(d, s, (unsigned)s->now), item->data, v->size) == 0);
	default:
		return (int64_t)v->number == item->number;
	}
}

/* Where the first one equal to ITEM is from FROM on, how many there are in *N (NULL: stop at the first); or an error. */
static int64_t search(
    struct cohort_list *l, const struct cohort_list_item *item, size_t from, size_t *n)
{
	int64_t first = -ENOENT;
	struct slot s;
	int rc;

	if (!is_item(item))
		return COHORT_EARGUMENT;
	rc = enter(l);
	if (rc != 0)
		return rc;
	for (size_t i = from; i < l->data.shape.count; i++) {
		rc = look(&l->data, i, &s);
		if (rc != 0)
			return leave(l, rc);
		if (!equal(&l->data, &s, item))
			continue;
		first = first < 0 ? (int64_t)i : first;
		if (n == NULL)
			break;
		++*n;
	}
	(void)leave(l, 0);
	return first;
}

int64_t cohort_list_index(struct cohort_list *l, const struct cohort_list_item *item, size_t from)
{
	return search(l, item, from, NULL);
}

size_t cohort_list_tally(struct cohort_list *l, const struct cohort_list_item *item)
{
	size_t n = 0;

	return search(l, item, 0, &n) < 0 ? 0 : n;
}
