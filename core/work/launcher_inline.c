/*
 * launcher_inline.c - no workers at all: inline: runs each task in the call that submits it.
 *
 * For debugging and for programs too small to share out: the same futures and errors, one
 * thread.  The one member has as many slots as there may be, so that a task that submits
 * another to the same pool runs it at once, nested.
 */
#include "work/launcher.h"

#include "base/err.h"
#include "base/mem.h"
#include "sync/inherit.h"
#include "work/call.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define INLINE_SLOTS 65535

static void inline_end(struct coh_member *m, struct coh_member_end *end)
{
	(void)m;
	(void)end;
}

static void inline_fini(struct coh_member *m)
{
	(void)m;
}

static const struct coh_launcher_ops inline_ops = {.end = inline_end, .fini = inline_fini};

/* 0 or the failure of KIND's task, of P, on the image. */
static int inline_run(const struct cohort_pool *p, struct cohort_call *call,
    const struct coh_pool_kind *kind, const void *args, size_t size, struct cohort_error *err)
{
	const struct coh_inherit *outer = coh_inherit_scope(p->shares);
	int rc = coh_call_work(call, kind->task, args, size);

	coh_inherit_scope(outer);
	return rc == 0 ? 0 : coh_fail(err, rc, "%s", coh_call_error(call)->text);
}

static int inline_open(struct cohort_pool *p, const char *address,
    const struct cohort_pool_options *options, struct cohort_error *err)
{
	struct cohort_call *call;
	struct coh_member *m;
	int rc = 0;

	(void)options;
	if (strcmp(address, "inline:") != 0)
		return coh_fail(err, COHORT_EADDRESS,
		    "pool address %.100s: nothing may follow inline:", address);
	if (p->has_setup) {
		call = coh_call_new();
		rc = call == NULL ? coh_fail(err, -ENOMEM, "no memory for the initializer")
				  : inline_run(p, call, &p->kinds[p->setup_number], p->setup_args,
					p->setup_size, err);
		coh_call_free(call);
	}
	if (rc != 0)
		return rc;
	coh_engine_lock();
	m = coh_member_new(p, &inline_ops, NULL, "inline");
	if (m != NULL) {
		m->state = COH_MEMBER_UP;
		m->pid = (uint32_t)getpid();
		p->inline_ops = &inline_ops;
		coh_pool_member_up(p, m, INLINE_SLOTS);
	}
	coh_engine_unlock();
	return m != NULL ? 0 : coh_fail(err, -ENOMEM, "no memory for a pool");
}

/* Run F's task with the lock released, then end F unless that has been done meanwhile. */
static void run_one(struct cohort_pool *p, struct cohort_future *f)
{
	struct coh_member *m = p->members;
	struct cohort_call *call = coh_call_new();
	struct cohort_error err = {0};
	cohort_time begin, end;
	const void *image;
	uint64_t id = f->id;
	size_t size;
	int rc;

	coh_engine_unlock();
	begin = cohort_now();
	rc = call == NULL ? coh_fail(&err, -ENOMEM, "no memory to run the task")
			  : inline_run(p, call, f->kind, f->body, f->args_size, &err);
	end = cohort_now();
	coh_engine_lock();
	if (coh_pool_find(p, id) == f &&
	    coh_plan_result(&p->plan, &m->plan, &f->plan, end - begin)) {
		coh_pool_leave(p, f);
		f->member = m;
		f->pid = m->pid;
		f->elapsed_ns = end - begin;
		if (rc == 0) {
			image = coh_call_image(call, &size);
			coh_future_succeed(f, image, size);
		} else
			coh_future_fail(f, rc, err.text);
	}
	coh_call_free(call);
}

void coh_pool_run_inline(struct cohort_pool *p)
{
	struct cohort_future *f;

	while ((f = p->inline_head) != NULL) {
		p->inline_head = f->next;
		f->next = NULL;
		if (!f->done)
			run_one(p, f);
		coh_future_unref(f); /* the queue's */
		coh_pool_act(p);
	}
}

const struct coh_scheme coh_scheme_inline = {.name = "inline", .shares = true, .open = inline_open};
