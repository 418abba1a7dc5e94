/*
 * pool.c - the plan's hands: futures in, members fed, ends handled.
 *
 * The plan decides (plan.c), members talk (member.c), this file carries out: it keeps the table
 * of futures by id, turns the plan's actions into frames and ended futures, and replaces
 * members that died.
 *
 * A pool ends in three steps: closed (no more tasks), ended (nothing left, or terminated: members
 * are told to end), joined (each member is down).
 *
 * An id is a place in the table and a serial number, so that a late answer never meets a
 * task that took the place later.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/object.h"
#include "work/pool_priv.h"
#include "work/init.h"
#include "work/share.h"
#include "work/shutdown.h"
#include "work/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_MAGIC 0xc0b001u
#define START_FAILURES 3 /* in a row, with no worker up: the pool is broken */
#define FREE_PATIENCE (5 * COHORT_SECOND)
#define OPEN_PATIENCE (10 * COHORT_SECOND)
#define TABLE_FIRST 256u

static struct cohort_pool *open_pools; /* for cohort_shutdown; guarded by the engine lock */

static struct cohort_pool *pool_cast(struct cohort_pool *p)
{
	return COH_CAST(struct cohort_pool, POOL_MAGIC, p);
}

/* ---- the table of futures ---- */

static int table_grow(struct cohort_pool *p)
{
	uint32_t size = p->table_size == 0 ? TABLE_FIRST : p->table_size * 2;
	struct cohort_future **table;
	uint32_t *places;

	table = coh_realloc(p->table, size * sizeof *table);
	if (table == NULL)
		return -ENOMEM;
	p->table = table;
	places = coh_realloc(p->free_places, size * sizeof *places);
	if (places == NULL)
		return -ENOMEM;
	p->free_places = places;
	for (uint32_t i = size; i-- > p->table_size;) {
		p->table[i] = NULL;
		p->free_places[p->free_count++] = i;
	}
	p->table_size = size;
	return 0;
}

struct cohort_future *coh_pool_find(struct cohort_pool *p, uint64_t id)
{
	uint32_t place = (uint32_t)id;

	if (place >= p->table_size || p->table[place] == NULL || p->table[place]->id != id)
		return NULL;
	return p->table[place];
}

int coh_pool_enter(struct cohort_pool *p, struct cohort_future *f)
{
	uint32_t place;

	if (p->broken.code != 0)
		return p->broken.code;
	if (p->closed)
		return COHORT_ECLOSED;
	if (p->free_count == 0 && table_grow(p) != 0)
		return -ENOMEM;
	place = p->free_places[--p->free_count];
	if (++p->serial == 0)
		p->serial = 1;
	f->id = (uint64_t)p->serial << 32 | place;
	p->table[place] = f;
	f->refs++;
	p->refs++;
	p->stats.submitted++;
	coh_plan_submit(&p->plan, &f->plan);
	return 0;
}

void coh_pool_leave(struct cohort_pool *p, struct cohort_future *f)
{
	uint32_t place = (uint32_t)f->id;

	p->table[place] = NULL;
	p->free_places[p->free_count++] = place;
	f->id = 0;
}

/* ---- actions ---- */

static void fail_action(struct cohort_pool *p, struct cohort_future *f)
{
	char text[COHORT_ERROR_TEXT];
	const char *say = NULL;

	if (f->plan.code == COHORT_EPOISON) {
		snprintf(text, sizeof text, "task %s was running when %u workers died; the last: %s",
		    f->kind->name, f->plan.strikes,
		    f->text != NULL ? f->text : "(no memory to say)");
		say = text;
	} else if (p->broken.code != 0)
		say = p->broken.text;
	else if (f->plan.code == COHORT_ECLOSED)
		say = "the pool was terminated";
	coh_pool_leave(p, f);
	coh_future_fail(f, f->plan.code, say);
}

static void give_action(
    struct cohort_pool *p, struct coh_member *m, struct cohort_future *f)
{
	if (coh_member_give(m, f) == 0)
		return;
	coh_plan_result(&p->plan, &m->plan, &f->plan, -1);
	coh_pool_leave(p, f);
	coh_future_fail(f, -ENOMEM, "no memory to send the task");
}

static void pool_end(struct cohort_pool *p)
{
	p->ended = true;
	if (p->scheme != NULL && p->scheme->close != NULL)
		p->scheme->close(p);
	for (struct coh_member *m = p->members; m != NULL; m = m->next)
		coh_member_stop(m);
}

void coh_pool_act(struct cohort_pool *p)
{
	struct coh_plan_action a;
	struct cohort_future *f;

	while ((a = coh_plan_next(&p->plan)).act != COH_PLAN_NOTHING) {
		f = COH_CONTAINER(struct cohort_future, plan, a.task);
		if (a.act == COH_PLAN_FAIL)
			fail_action(p, f);
		else if (p->inline_ops == NULL)
			give_action(p, COH_CONTAINER(struct coh_member, plan, a.member), f);
		else {
			f->next = NULL;
			f->refs++; /* the queue's */
			if (p->inline_head == NULL)
				p->inline_head = f;
			else
				p->inline_tail->next = f;
			p->inline_tail = f;
		}
	}
	if (p->closed && !p->ended && coh_plan_load(&p->plan) == 0)
		pool_end(p);
	coh_pool_flush(p);
}

void coh_pool_flush(struct cohort_pool *p)
{
	struct coh_member *m;

	while ((m = p->dirty) != NULL) {
		p->dirty = m->next_dirty;
		m->dirty = false;
		coh_member_flush(m);
	}
	if (p->on_flush != NULL)
		p->on_flush(p, p->owner);
}

/* ---- members come and go ---- */

void coh_pool_member_up(struct cohort_pool *p, struct coh_member *m, unsigned slots)
{
	p->failures = 0;
	coh_plan_member_up(&p->plan, &m->plan, slots, m->ops->ahead_ns);
	coh_log(COHORT_LOG_INFO, "worker %s/%u is up with %u slot%s", m->where, m->pid, slots,
	    slots == 1 ? "" : "s");
	if (p->on_change != NULL)
		p->on_change(p, p->owner);
}

static bool members_coming(const struct cohort_pool *p)
{
	for (const struct coh_member *m = p->members; m != NULL; m = m->next)
		if (m->state != COH_MEMBER_DOWN)
			return true;
	return false;
}

void coh_pool_break(struct cohort_pool *p, int code, const char *text)
{
	if (p->broken.code != 0)
		return;
	coh_fail(&p->broken, code, "%s", text);
	coh_log(COHORT_LOG_ERROR, "pool %s is broken: %s", p->address, text);
	coh_plan_fail_all(&p->plan, code);
	if (p->on_change != NULL)
		p->on_change(p, p->owner);
}

static void pool_replace(struct cohort_pool *p, struct coh_member *m)
{
	struct cohort_error err;

	while (p->failures < START_FAILURES) {
		if (coh_member_start(m, &err) == 0)
			return;
		p->refusal = err;
		p->failures++;
	}
}

/* Give the tasks that M was running their strike and their sentence. */
static void pool_strike(struct cohort_pool *p, struct coh_member *m, struct coh_member_end *end)
{
	struct cohort_future *f = coh_pool_find(p, end->running);
	struct coh_plan_task *task = NULL;
	size_t n = 0;

	if (end->known && f != NULL && f->plan.member == &m->plan) {
		coh_future_note(f, end->text);
		task = &f->plan;
	} else if (!end->known)
		for (struct coh_plan_task *t = m->plan.held.head; t != NULL && n < m->plan.slots;
		    t = t->next, n++)
			coh_future_note(COH_CONTAINER(struct cohort_future, plan, t), end->text);
	p->stats.reruns += m->plan.held.count;
	coh_plan_member_down(&p->plan, &m->plan, end->known ? &task : NULL, task != NULL);
}

static void pool_consider_broken(struct cohort_pool *p, const struct coh_member *m,
    const struct coh_member_end *end)
{
	int code = m->ops->restarts ? COHORT_EBROKEN : COHORT_ELOST;
	char text[COHORT_ERROR_TEXT];

	if (p->ended || members_coming(p) || (p->joining && p->failures < START_FAILURES))
		return;
	snprintf(text, sizeof text, "no worker is left: %.200s%s%.200s", end->text,
	    p->refusal.code != 0 ? "; " : "", p->refusal.code != 0 ? p->refusal.text : "");
	coh_pool_break(p, p->refusal.code != 0 ? p->refusal.code : code, text);
}

void coh_pool_member_down(struct cohort_pool *p, struct coh_member *m)
{
	enum coh_member_state was = m->state;
	struct coh_member_end end = {0};

	m->state = COH_MEMBER_DOWN;
	m->ops->end(m, &end);
	cohort_conn_close(m->conn);
	m->conn = NULL;
	if (m->plan.slots != 0)
		pool_strike(p, m, &end);
	if (p->disposed && !members_coming(p))
		coh_engine_call(&p->disposal);
	if (was == COH_MEMBER_STOPPING || p->ended)
		return;
	p->stats.deaths++;
	coh_log(COHORT_LOG_WARN, "%s", end.text);
	if (was != COH_MEMBER_UP)
		p->failures++;
	if (m->ops->restarts)
		pool_replace(p, m);
	pool_consider_broken(p, m, &end);
}

/* ---- a pool's life ---- */

static int pool_registry(struct cohort_pool *p, struct cohort_error *err)
{
	struct coh_buf text;
	int rc;

	for (uint32_t i = 0; i < p->kind_count; i++) {
		p->kinds[i].task = coh_task_at(i);
		p->kinds[i].name = p->kinds[i].task->task->name;
	}
	p->digest = coh_task_digest();
	coh_buf_init(&text, COH_TASK_LIST_MAX + 1);
	rc = coh_task_list(&text);
	if (rc == 0)
		rc = coh_buf_put_u8(&text, 0);
	if (rc == 0)
		p->registry = (char *)text.data; /* the buffer's memory is ours now */
	else
		coh_buf_fini(&text);
	return rc == 0 ? 0 : coh_fail(err, rc, "the list of tasks: %s", cohort_strerror(rc));
}

int coh_pool_new(struct cohort_pool **out, uint32_t count, struct cohort_error *err)
{
	struct cohort_pool *p = coh_calloc(sizeof *p);
	int rc;

	if (p == NULL)
		return coh_fail(err, -ENOMEM, "no memory for a pool");
	p->magic = POOL_MAGIC;
	p->refs = 1;
	p->raw = count != 0;
	p->strikes = 3;
	p->kind_count = p->raw ? count : (uint32_t)coh_task_count();
	p->kinds = coh_calloc((p->kind_count + 1) * sizeof *p->kinds);
	coh_plan_init(&p->plan, p->strikes);
	coh_buf_init(&p->scratch, COHORT_MESSAGE_MAX);
	for (uint32_t i = 0; p->kinds != NULL && i < p->kind_count; i++)
		p->kinds[i] = (struct coh_pool_kind){.number = i, .name = "?"};
	rc = p->kinds == NULL ? coh_fail(err, -ENOMEM, "no memory for a pool")
	    : p->raw	      ? 0
			      : pool_registry(p, err);
	if (rc == 0 && !p->raw)
		rc = coh_engine_open(err);
	if (rc != 0) {
		coh_pool_unref(p);
		return rc;
	}
	coh_shutdown_hook(coh_pool_shutdown);
	coh_engine_lock();
	p->next_open = open_pools;
	open_pools = p;
	coh_engine_unlock();
	*out = p;
	return 0;
}

void coh_pool_ref(struct cohort_pool *p)
{
	p->refs++;
}

void coh_pool_unref(struct cohort_pool *p)
{
	struct coh_member *m;

	if (--p->refs != 0)
		return;
	while ((m = p->members) != NULL) {
		p->members = m->next;
		coh_member_free(m);
	}
	coh_free(p->kinds);
	coh_free(p->table);
	coh_free(p->free_places);
	coh_buf_fini(&p->scratch);
	coh_free(p->setup_args);
	coh_free(p->registry);
	coh_free(p->names);
	coh_free(p->address);
	coh_share_drop(p->shares);
	p->magic = 0;
	coh_free(p);
}

int coh_pool_kind(struct cohort_pool *p, const char *task, struct coh_pool_kind **out,
    struct cohort_error *err)
{
	const struct coh_task *t = coh_task_find(task, err);

	if (t == NULL)
		return COHORT_ENOTASK;
	*out = &p->kinds[t->number];
	return 0;
}

static int pool_setup(struct cohort_pool *p, const struct cohort_pool_options *o,
    struct cohort_error *err)
{
	const char *format = o->initargs != NULL ? cohort_message_format(o->initargs) : "";
	const void *image = NULL;
	struct coh_pool_kind *kind;
	struct cohort_message *none = NULL, *args = o->initargs;
	size_t size = 0;
	int rc;

	rc = coh_pool_kind(p, o->initializer, &kind, err);
	if (rc != 0)
		return coh_fail_in(err, rc, "initializer");
	if (strcmp(format, coh_format_text(kind->task->args)) != 0)
		return coh_fail(err, COHORT_EFORMAT,
		    "initializer %s takes \"%s\", its arguments are packed as \"%s\"",
		    o->initializer, coh_format_text(kind->task->args), format);
	if (args == NULL) {
		rc = cohort_message_new(&none, "", err);
		args = none;
	}
	if (rc == 0)
		rc = cohort_message_image(args, &image, &size);
	if (rc == 0) {
		p->setup_args = coh_memdup(image, size);
		rc = p->setup_args == NULL ? -ENOMEM : 0;
	}
	cohort_message_free(none);
	p->setup_size = size;
	p->setup_number = kind->number;
	p->has_setup = true;
	return rc == 0 ? 0 : coh_fail_code(err, rc);
}

static const struct coh_scheme *scheme_find(const char *address, struct cohort_error *err)
{
	size_t n = strcspn(address, ":");

	for (int i = 0; address[n] == ':' && coh_schemes[i] != NULL; i++)
		if (strlen(coh_schemes[i]->name) == n &&
		    strncmp(coh_schemes[i]->name, address, n) == 0)
			return coh_schemes[i];
	coh_fail(err, COHORT_EADDRESS,
	    "pool address %.100s: expected inline:, thread:N, local:N, or the address of nodes as in "
	    "tcp://host:port, unix:/path or listen:tcp://host:port",
	    address);
	return NULL;
}

static int pool_share(struct cohort_pool *p, const struct cohort_pool_options *o,
    struct cohort_error *err)
{
	int rc;

	if (o->shares == 0)
		return 0;
	if (!p->scheme->shares)
		return coh_fail(err, COHORT_ENOTSUP,
		    "pool %.100s: %d shared objects for workers elsewhere; memory is shared within one machine: use local:, thread: or inline:",
		    p->address, o->shares);
	rc = coh_share_keep(&p->shares, o->share, o->shares, err);
	return rc == 0 ? 0 : coh_fail_in(err, rc, "pool %.100s", p->address);
}

static int pool_open(struct cohort_pool *p, const char *address,
    const struct cohort_pool_options *o, struct cohort_error *err)
{
	int rc = 0;

	p->address = coh_strdup(address);
	if (p->address == NULL)
		return coh_fail(err, -ENOMEM, "no memory for a pool");
	p->strikes = (o->retries != 0 ? o->retries : 2) + 1;
	coh_plan_init(&p->plan, p->strikes > 255 ? 255 : p->strikes);
	rc = pool_share(p, o, err);
	if (rc == 0 && o->initializer != NULL)
		rc = pool_setup(p, o, err);
	return rc != 0 ? rc : p->scheme->open(p, address, o, err);
}

int cohort_pool_open(struct cohort_pool **out, const char *address,
    const struct cohort_pool_options *options, struct cohort_error *err)
{
	struct cohort_pool_options o = options != NULL ? *options : (struct cohort_pool_options){0};
	const struct coh_scheme *scheme;
	struct cohort_error own = {0};
	struct cohort_pool *p;
	int rc = 0;

	*out = NULL;
	err = err != NULL ? err : &own;
	err->code = 0;
	if (address == NULL)
		address = getenv("COHORT_POOL");
	if (address == NULL || *address == '\0')
		address = "local:";
	if (o.deadline == 0)
		o.deadline = cohort_in(OPEN_PATIENCE);
	scheme = scheme_find(address, err);
	if (scheme == NULL)
		return COHORT_EADDRESS;
	if (!coh_init_here())
		return coh_fail(err, COHORT_EINIT, "%s", cohort_strerror(COHORT_EINIT));
	if (scheme->children) /* before the engine has a thread: it may take a fork */
		rc = coh_init_children(COHORT_START_ZYGOTE, err);
	if (rc == 0)
		rc = coh_pool_new(&p, 0, err);
	if (rc != 0)
		return rc;
	p->scheme = scheme;
	rc = pool_open(p, address, &o, err);
	if (rc != 0) {
		cohort_pool_free(p);
		return coh_fail_code(err, rc);
	}
	*out = p;
	return 0;
}

void cohort_pool_close(struct cohort_pool *p)
{
	coh_engine_lock();
	pool_cast(p)->closed = true;
	coh_pool_act(p);
	coh_engine_unlock();
}

static void pool_terminate(struct cohort_pool *p)
{
	p->closed = true;
	if (!p->ended)
		pool_end(p);
	coh_plan_fail_all(&p->plan, COHORT_ECLOSED);
	for (struct coh_member *m = p->members; m != NULL; m = m->next)
		coh_member_kill(m);
	coh_pool_act(p);
}

void cohort_pool_terminate(struct cohort_pool *p)
{
	coh_engine_lock();
	pool_terminate(pool_cast(p));
	coh_engine_unlock();
}

static bool joined_test(void *arg)
{
	struct cohort_pool *p = arg;

	return p->ended && coh_plan_load(&p->plan) == 0 && !members_coming(p);
}

int cohort_pool_join(struct cohort_pool *p, cohort_time deadline)
{
	int rc = COHORT_ESTATE;

	coh_engine_lock();
	if (pool_cast(p)->closed)
		rc = coh_engine_wait(joined_test, p, deadline);
	coh_engine_unlock();
	return rc;
}

static void pool_forget(struct cohort_pool *p)
{
	struct cohort_pool **at = &open_pools;

	while (*at != NULL && *at != p)
		at = &(*at)->next_open;
	if (*at == p)
		*at = p->next_open;
}

void cohort_pool_free(struct cohort_pool *p)
{
	bool raw;
	int rc;

	if (p == NULL)
		return;
	coh_engine_lock();
	raw = pool_cast(p)->raw;
	pool_terminate(p);
	rc = coh_engine_wait(joined_test, p, cohort_in(FREE_PATIENCE));
	pool_forget(p);
	if (rc == 0)
		coh_pool_unref(p);
	coh_engine_unlock();
	if (rc != 0) /* a thread of the pool is inside a task that does not return: it needs both */
		coh_log(COHORT_LOG_ERROR, "a worker of the pool does not end; its memory is kept");
	else if (!raw)
		coh_engine_close();
}

bool coh_pool_none(void *unused)
{
	(void)unused;
	return open_pools == NULL;
}

static void dispose_cb(void *arg)
{
	cohort_pool_free(arg);
}

void coh_pool_dispose(struct cohort_pool *p)
{
	p->on_change = NULL;
	p->on_flush = NULL;
	p->disposed = true;
	p->disposal = (struct coh_engine_call){.fn = dispose_cb, .arg = p};
	pool_terminate(p);
	if (!members_coming(p))
		coh_engine_call(&p->disposal);
}

int coh_pool_shutdown(cohort_time deadline)
{
	struct cohort_pool *p;
	int rc = 0;

	coh_engine_lock();
	for (p = open_pools; p != NULL; p = p->next_open)
		pool_terminate(p);
	while (rc == 0) {
		for (p = open_pools; p != NULL && joined_test(p);)
			p = p->next_open;
		if (p == NULL)
			break;
		p->refs++; /* its owner may free it while the lock is away */
		rc = coh_engine_wait(joined_test, p, deadline);
		coh_pool_unref(p);
	}
	coh_engine_unlock();
	return rc;
}

int cohort_pool_reload(struct cohort_pool *p, struct cohort_error *err)
{
	int rc = 0;

	coh_engine_lock();
	if (pool_cast(p)->scheme->reload != NULL && !p->ended)
		rc = p->scheme->reload(p, err);
	coh_engine_unlock();
	return rc;
}

void cohort_pool_stats(struct cohort_pool *p, struct cohort_pool_stats *stats)
{
	coh_engine_lock();
	*stats = pool_cast(p)->stats;
	stats->members = (unsigned)p->plan.members;
	stats->slots = (unsigned)p->plan.slots;
	stats->waiting = p->plan.queue.count;
	coh_engine_unlock();
}

const char *cohort_pool_address(const struct cohort_pool *p)
{
	return p->address;
}
