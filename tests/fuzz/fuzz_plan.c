/*
 * fuzz_plan.c - pairs of bytes, read as events for the scheduler: what happens, and to whom.
 *
 * Whatever happens in whatever order, every invariant holds after each event, a task that is
 * in the plan is counted there once, and each action is one that was due.
 * PLANT: a task that is cancelled between two others stays counted.
 */
#include "base/object.h"
#include "work/plan.h"

#include <string.h>

#define TASKS 48
#define MEMBERS 5
#define KINDS 3

enum event { SUBMIT, SUBMIT_ALL, UP, DRAIN, DOWN, DOWN_KNOWN, RESULT, RESULTS, CANCEL, FAIL_ALL, NEXT, EVENTS };

struct desk {
	struct coh_plan plan;
	struct coh_plan_kind kinds[KINDS];
	struct coh_plan_member members[MEMBERS];
	struct coh_plan_task tasks[TASKS];
	bool up[MEMBERS];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void desk_submit(struct desk *d, struct coh_plan_task *t, unsigned kind)
{
	if (t->state != COH_PLAN_NEW)
		return;
	t->kind = &d->kinds[kind % KINDS];
	t->size = (size_t)(kind % 4) << 20;
	coh_plan_submit(&d->plan, t);
}

static void desk_up(struct desk *d, unsigned i, unsigned how)
{
	static const int64_t ahead[] = {0, 100, COHORT_MS, INT64_MAX};

	if (d->up[i])
		return;
	coh_plan_member_up(&d->plan, &d->members[i], how % 4 == 3 ? 65535 : 1 + how % 4,
	    ahead[how / 4 % 4]);
	d->up[i] = true;
}

/* KNOWN: its second and fourth ran, as a worker may say; one is named twice. */
static void desk_down(struct desk *d, unsigned i, bool known)
{
	struct coh_plan_task *running[3], *t = d->members[i].held.head;
	size_t n = 0, k = 0;

	if (!d->up[i])
		return;
	for (; known && t != NULL && n < 2; t = t->next)
		if (k++ % 2 == 1)
			running[n++] = t;
	if (n != 0) {
		running[n] = running[0];
		n++;
	}
	coh_plan_member_down(&d->plan, &d->members[i], known ? running : NULL, n);
	d->up[i] = false;
}

/* From the right member or another; only the right one's counts. */
static void desk_result(struct desk *d, unsigned task, unsigned member)
{
	static const int64_t elapsed[] = {-1, 0, 1, 80, 5000, COHORT_MS, COHORT_SECOND, INT64_MAX};
	struct coh_plan_task *t = &d->tasks[task % TASKS];
	struct coh_plan_member *m = &d->members[member % MEMBERS];
	bool due = t->state == COH_PLAN_ASSIGNED && t->member == m;

	COH_ASSERT(coh_plan_result(&d->plan, m, t, elapsed[(task ^ member) % 8]) == due);
}

static void desk_cancel(struct desk *d, struct coh_plan_task *t)
{
	bool due = t->state == COH_PLAN_QUEUED;
#ifdef PLANT
	bool inside = due && t->prev != NULL && t->next != NULL;

	d->plan.queue.count += inside;
#endif
	COH_ASSERT(coh_plan_cancel(&d->plan, t) == due);
}

/* Take an action; false when there is none, and then nothing can be due. */
static bool desk_next(struct desk *d)
{
	struct coh_plan_action a = coh_plan_next(&d->plan);

	switch (a.act) {
	case COH_PLAN_ASSIGN:
		COH_ASSERT(a.task->state == COH_PLAN_ASSIGNED && a.task->member == a.member);
		COH_ASSERT(!a.member->draining && a.member->held.tail == a.task);
		return true;
	case COH_PLAN_FAIL:
		COH_ASSERT(a.task->state == COH_PLAN_NEW && a.task->code < 0);
		return true;
	case COH_PLAN_NOTHING:
		COH_ASSERT(d->plan.failing.count == 0);
		COH_ASSERT(d->plan.queue.count == 0 || d->plan.ring[COH_PLAN_IDLE] == NULL);
		return false;
	}
	return false;
}

static void desk_event(struct desk *d, enum event what, unsigned whom)
{
	switch (what) {
	case SUBMIT:
		desk_submit(d, &d->tasks[whom % TASKS], whom / TASKS);
		break;
	case SUBMIT_ALL:
		for (unsigned i = 0; i < TASKS; i++)
			desk_submit(d, &d->tasks[i], whom);
		break;
	case UP:
		desk_up(d, whom % MEMBERS, whom / MEMBERS);
		break;
	case DRAIN:
		if (d->up[whom % MEMBERS])
			coh_plan_member_drain(&d->plan, &d->members[whom % MEMBERS]);
		break;
	case DOWN:
	case DOWN_KNOWN:
		desk_down(d, whom % MEMBERS, what == DOWN_KNOWN);
		break;
	case RESULT:
		desk_result(d, whom, whom / TASKS);
		break;
	case RESULTS:
		for (unsigned i = 0; i < TASKS; i++)
			desk_result(d, i, whom);
		break;
	case CANCEL:
		desk_cancel(d, &d->tasks[whom % TASKS]);
		break;
	case FAIL_ALL:
		coh_plan_fail_all(&d->plan, COHORT_ECLOSED);
		break;
	case NEXT:
		while (desk_next(d) && whom-- > 0)
			;
		break;
	case EVENTS:
		break;
	}
}

static void desk_check(const struct desk *d)
{
	size_t in = 0;

	COH_ASSERT(coh_plan_check(&d->plan) == NULL);
	for (int i = 0; i < TASKS; i++)
		in += d->tasks[i].state != COH_PLAN_NEW;
	COH_ASSERT(coh_plan_load(&d->plan) == in);
	for (int i = 0; i < KINDS; i++)
		COH_ASSERT(coh_plan_hungry(&d->plan, &d->kinds[i]) == 0 || d->plan.members != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct desk d = {0};

	if (size == 0)
		return 0;
	coh_plan_init(&d.plan, 1 + data[0] % 4);
	for (size_t i = 1; i + 1 < size; i += 2) {
		desk_event(&d, (enum event)(data[i] % EVENTS), data[i + 1]);
		desk_check(&d);
	}
	return 0;
}
