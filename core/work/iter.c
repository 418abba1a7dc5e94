/*
 * iter.c - a task over an input that may be endless: imap and imap_unordered.
 *
 * The input is asked for more only while the pool is hungry and fewer than `window` tasks
 * are under way or waiting to be taken, so that memory is bounded and a slow reader slows
 * the input down.  It is asked in the caller's thread with no lock held, a batch at a time:
 * one visit to the lock and one write to each worker for many tasks.
 *
 * Ordered: the futures are in a list from submission on, and its head is given once it has
 * ended.  Unordered: they are in it from their end on.  Otherwise the two are the same.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"
#include "work/pool_priv.h"

#include <errno.h>

#define ITER_MAGIC 0xc017e1u
#define WINDOW_DEFAULT 4096 /* bounds memory, and is far more than any two workers hold ahead */
#define BATCH 256           /* tasks packed between two visits to the lock */
#define BYTES_ENOUGH ((size_t)8 << 20) /* of arguments that wait in the queue, or in one batch */
#define HUNGRY_ENOUGH 64    /* with results at hand, do not fetch input for fewer */

struct cohort_iter {
	uint32_t magic;
	struct cohort_pool *pool;
	struct coh_pool_kind *kind;
	struct cohort_message *args;
	struct cohort_imap imap;
	size_t held;                 /* held: submitted and not yet given to the caller */
	size_t under_way;            /* of these, not ended */
	struct cohort_future *head, *tail;
	int ended;                   /* 0: more input may come; 1: none; < 0: the input's error */
};

static struct cohort_iter *iter_cast(void *arg)
{
	return COH_CAST(struct cohort_iter, ITER_MAGIC, arg);
}

int cohort_pool_imap(struct cohort_pool *p, struct cohort_iter **out, const char *task,
    const struct cohort_imap *imap, struct cohort_error *err)
{
	struct coh_pool_kind *kind;
	struct cohort_iter *it;
	int rc;

	*out = NULL;
	rc = coh_pool_kind(p, task, &kind, err);
	if (rc != 0)
		return rc;
	it = coh_calloc(sizeof *it);
	if (it == NULL)
		return coh_fail(err, -ENOMEM, "no memory for an iterator");
	it->magic = ITER_MAGIC;
	it->pool = p;
	it->kind = kind;
	it->imap = *imap;
	if (it->imap.window == 0)
		it->imap.window = WINDOW_DEFAULT;
	it->args = coh_message_new(kind->task->args);
	if (it->args == NULL) {
		coh_free(it);
		return coh_fail(err, -ENOMEM, "no memory for an iterator");
	}
	coh_engine_lock();
	coh_pool_ref(p);
	coh_engine_unlock();
	*out = it;
	return 0;
}

static void iter_append(struct cohort_iter *it, struct cohort_future *f)
{
	f->next = NULL;
	if (it->head == NULL)
		it->head = f;
	else
		it->tail->next = f;
	it->tail = f;
}

static void iter_done_cb(struct cohort_future *f, void *owner)
{
	struct cohort_iter *it = iter_cast(owner);

	it->under_way--;
	if (it->imap.order == COHORT_UNORDERED)
		iter_append(it, f);
}

/* How many more tasks should be fetched from the input now. */
static size_t iter_hungry(const struct cohort_iter *it)
{
	const struct coh_plan *plan = &it->pool->plan;
	size_t room, want;

	if (it->ended != 0 || it->held >= it->imap.window || it->pool->broken.code != 0 ||
	    plan->queue.size >= BYTES_ENOUGH)
		return 0;
	room = it->imap.window - it->held;
	if (it->pool->inline_ops != NULL)
		return it->head == NULL ? 1 : 0; /* it runs in the call that submits it */
	want = coh_plan_hungry(plan, &it->kind->plan);
	if (plan->queue.count < plan->slots)
		want += plan->slots - plan->queue.count; /* so that no worker waits for our caller */
	return want < room ? want : room;
}

/* Up to N futures from the input, linked by `next`.  No lock held. */
static struct cohort_future *iter_fetch(struct cohort_iter *it, size_t n)
{
	struct cohort_future *first = NULL, **link = &first;
	const void *image;
	size_t size, bytes = 0;
	int rc = 0;

	for (; n > 0 && bytes < BYTES_ENOUGH; n--) {
		cohort_message_reset(it->args);
		rc = it->imap.input(it->args, it->imap.arg);
		if (rc == 0)
			rc = cohort_message_image(it->args, &image, &size);
		if (rc != 0)
			break;
		*link = coh_future_new(it->pool, it->kind, image, size);
		if (*link == NULL) {
			rc = -ENOMEM;
			break;
		}
		link = &(*link)->next;
		bytes += size;
	}
	*link = NULL;
	if (rc != 0)
		it->ended = rc == COHORT_EOF ? 1 : rc;
	return first;
}

static int iter_enter(struct cohort_iter *it, struct cohort_future *f)
{
	int rc = coh_pool_enter(it->pool, f);

	if (rc != 0)
		return rc;
	f->on_done = iter_done_cb;
	f->owner = it;
	it->held++;
	it->under_way++;
	if (it->imap.order == COHORT_ORDERED)
		iter_append(it, f);
	return 0;
}

/* Fetch and submit until the pool has enough.  [lock held; released while the input is asked] */
static void iter_fill(struct cohort_iter *it)
{
	struct cohort_future *f, *next;
	size_t n = iter_hungry(it);
	int rc = 0;

	n = n < BATCH ? n : BATCH;
	coh_engine_unlock();
	f = iter_fetch(it, n);
	coh_engine_lock();
	for (; f != NULL; f = next) {
		next = f->next;
		f->next = NULL;
		if (rc == 0)
			rc = iter_enter(it, f);
		if (rc != 0)
			coh_future_discard(f);
	}
	if (rc != 0)
		it->ended = rc; /* the pool takes no more */
	coh_pool_act(it->pool);
	coh_pool_run_inline(it->pool);
}

static bool iter_ready(const struct cohort_iter *it)
{
	return it->head != NULL && it->head->done;
}

/* Nothing is held and nothing will come. */
static bool iter_over(const struct cohort_iter *it)
{
	return it->held == 0 && (it->ended != 0 || it->pool->broken.code != 0);
}

static bool iter_test(void *arg)
{
	struct cohort_iter *it = iter_cast(arg);

	return iter_ready(it) || iter_hungry(it) > 0 || iter_over(it);
}

static struct cohort_future *iter_take(struct cohort_iter *it)
{
	struct cohort_future *f = it->head;

	it->head = f->next;
	f->next = NULL;
	f->on_done = NULL;
	it->held--;
	return f;
}

/* Why the iterator is over: 0 at the end of the input. */
static int iter_end(const struct cohort_iter *it)
{
	if (it->ended == 1)
		return 0;
	return it->ended < 0 ? it->ended : it->pool->broken.code;
}

int cohort_iter_next(struct cohort_iter *it, struct cohort_future **out, cohort_time deadline)
{
	int rc = 0;

	*out = NULL;
	coh_engine_lock();
	while (rc == 0) {
		if (iter_hungry(it) >= (iter_ready(it) ? HUNGRY_ENOUGH : 1))
			iter_fill(it);
		else if (iter_ready(it)) {
			*out = iter_take(it);
			rc = 1;
		} else if (iter_over(it)) {
			rc = iter_end(it);
			break;
		} else
			rc = coh_engine_wait(iter_test, iter_cast(it), deadline);
	}
	coh_engine_unlock();
	return rc;
}

int cohort_iter_error(struct cohort_iter *it, struct cohort_error *err)
{
	int rc = 0;

	coh_engine_lock();
	if (iter_over(iter_cast(it)))
		rc = iter_end(it);
	if (rc != 0 && rc == it->pool->broken.code)
		coh_fail(err, rc, "%s", it->pool->broken.text);
	else if (rc == COHORT_ECLOSED)
		coh_fail(err, rc, "the pool was closed before the input was at its end");
	else if (rc != 0)
		coh_fail(err, rc, "the input of task %s failed: %s", it->kind->name,
		    cohort_strerror(rc));
	coh_engine_unlock();
	return rc;
}

/* Cancel or disown what is under way: the plan keeps what workers have. */
static void iter_abandon(struct cohort_iter *it)
{
	struct cohort_pool *p = it->pool;

	for (uint32_t i = 0; i < p->table_size && it->under_way > 0; i++) {
		struct cohort_future *f = p->table[i];

		if (f == NULL || f->owner != it || f->on_done != iter_done_cb)
			continue;
		f->on_done = NULL;
		it->under_way--;
		if (coh_plan_cancel(&p->plan, &f->plan)) {
			coh_pool_leave(p, f);
			coh_future_fail(f, COHORT_ECANCELLED, NULL);
		}
		if (it->imap.order == COHORT_UNORDERED)
			coh_future_unref(f); /* in no list of ours */
	}
}

void cohort_iter_free(struct cohort_iter *it)
{
	struct cohort_future *f;

	if (it == NULL)
		return;
	coh_engine_lock();
	iter_abandon(iter_cast(it));
	while ((f = it->head) != NULL) {
		it->head = f->next;
		coh_future_unref(f);
	}
	coh_pool_unref(it->pool);
	coh_engine_unlock();
	cohort_message_free(it->args);
	it->magic = 0;
	coh_free(it);
}
