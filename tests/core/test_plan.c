/*
 * test_plan.c - the scheduler's promises, one by one; tests/sim/test_plan_sim.c has them in motion.
 */
#include "support/test.h"
#include "work/plan.h"

#include <cohort/error.h>
#include <string.h>

#define TASKS 1200
#define SHORT 1000             /* ns: of a measured kind in these tests */
#define AHEAD (10 * SHORT)     /* room for ten of them per slot */
#define STRIKES 3

/* A plan with members and tasks to play with; the kind is unmeasured at first. */
struct desk {
	struct coh_plan plan;
	struct coh_plan_kind kind;
	struct coh_plan_member m[4];
	struct coh_plan_task t[TASKS];
};

static struct desk desk; /* each test runs in a process of its own, or sets it up anew */

static struct desk *desk_new(int members, unsigned slots, int64_t ahead_ns)
{
	memset(&desk, 0, sizeof desk);
	coh_plan_init(&desk.plan, STRIKES);
	for (int i = 0; i < TASKS; i++)
		desk.t[i].kind = &desk.kind;
	for (int i = 0; i < members; i++)
		coh_plan_member_up(&desk.plan, &desk.m[i], slots, ahead_ns);
	return &desk;
}

static void desk_measure(struct desk *d, int64_t ns)
{
	d->kind = (struct coh_plan_kind){.average_ns = ns, .samples = 512};
}

static void desk_submit(struct desk *d, int first, int n)
{
	for (int i = first; i < first + n; i++)
		coh_plan_submit(&d->plan, &d->t[i]);
}

/* Take every action there is; returns how many were ASSIGN. */
static int desk_pump(struct desk *d)
{
	struct coh_plan_action a;
	int n = 0;

	while ((a = coh_plan_next(&d->plan)).act != COH_PLAN_NOTHING)
		n += a.act == COH_PLAN_ASSIGN;
	return n;
}

static int desk_held(const struct desk *d, int member)
{
	return (int)d->m[member].held.count;
}

/* The plan is whole and the next action is ACT about T. */
static bool desk_next_is(struct desk *d, enum coh_plan_act act, const struct coh_plan_task *t)
{
	struct coh_plan_action a = coh_plan_next(&d->plan);

	return a.act == act && a.task == t && coh_plan_check(&d->plan) == NULL;
}

#define CHECK_WHOLE(d) CHECK(coh_plan_check(&(d)->plan) == NULL)

TEST(plan, does_nothing_when_empty)
{
	struct desk *d = desk_new(0, 1, 0);

	CHECK(coh_plan_next(&d->plan).act == COH_PLAN_NOTHING);
	CHECK(coh_plan_load(&d->plan) == 0);
	CHECK(coh_plan_hungry(&d->plan, &d->kind) == 0);
	CHECK_WHOLE(d);
}

TEST(plan, keeps_tasks_until_a_member_comes)
{
	struct desk *d = desk_new(0, 1, 0);

	desk_submit(d, 0, 2);
	CHECK(desk_pump(d) == 0);
	CHECK(coh_plan_load(&d->plan) == 2);
	coh_plan_member_up(&d->plan, &d->m[0], 1, 0);
	CHECK(desk_next_is(d, COH_PLAN_ASSIGN, &d->t[0]));
	CHECK(d->t[0].member == &d->m[0]);
}

TEST(plan, serves_first_come_first)
{
	struct desk *d = desk_new(1, 8, 0);

	desk_submit(d, 0, 8);
	for (int i = 0; i < 8; i++)
		CHECK(desk_next_is(d, COH_PLAN_ASSIGN, &d->t[i]));
}

TEST(plan, gives_an_unmeasured_kind_to_idle_slots_only)
{
	struct desk *d = desk_new(2, 1, AHEAD);

	desk_submit(d, 0, 10);
	CHECK(desk_pump(d) == 2);
	CHECK(desk_held(d, 0) == 1);
	CHECK(desk_held(d, 1) == 1);
	CHECK_WHOLE(d);
}

TEST(plan, sends_nothing_behind_an_unmeasured_task)
{
	struct desk *d = desk_new(1, 1, AHEAD);
	struct coh_plan_kind known = {.average_ns = SHORT, .samples = 512};

	d->t[1].kind = &known;
	desk_submit(d, 0, 2);
	CHECK(desk_pump(d) == 1);
	CHECK(coh_plan_hungry(&d->plan, &known) == 0);
	CHECK(coh_plan_result(&d->plan, &d->m[0], &d->t[0], SHORT));
	CHECK(desk_pump(d) == 1);
	CHECK_WHOLE(d);
}

TEST(plan, sends_short_tasks_ahead_up_to_the_time_allowed)
{
	struct desk *d = desk_new(2, 2, AHEAD);

	desk_measure(d, SHORT);
	desk_submit(d, 0, 100);
	CHECK(desk_pump(d) == 40);
	CHECK(desk_held(d, 0) == 20);
	CHECK(d->m[0].expected_ns == 20 * SHORT);
	CHECK_WHOLE(d);
}

TEST(plan, sends_no_long_task_ahead)
{
	struct desk *d = desk_new(2, 2, AHEAD);

	desk_measure(d, AHEAD * 2);
	desk_submit(d, 0, 100);
	CHECK(desk_pump(d) == 4);
	CHECK(desk_held(d, 0) == 2);
	CHECK_WHOLE(d);
}

TEST(plan, sends_nothing_ahead_when_none_is_allowed)
{
	struct desk *d = desk_new(1, 3, 0);

	desk_measure(d, 1);
	desk_submit(d, 0, 10);
	CHECK(desk_pump(d) == 3);
	CHECK_WHOLE(d);
}

TEST(plan, bounds_what_is_held_however_short)
{
	struct desk *d = desk_new(1, 1, COHORT_SECOND);

	desk_measure(d, 0);
	desk_submit(d, 0, TASKS);
	CHECK(desk_pump(d) == COH_PLAN_AHEAD_MAX);
	CHECK_WHOLE(d);
}

TEST(plan, sends_nothing_ahead_of_large_tasks_to_a_member_that_holds_enough)
{
	struct desk *d = desk_new(1, 2, AHEAD);

	desk_measure(d, SHORT);
	for (int i = 0; i < 10; i++)
		d->t[i].size = COH_PLAN_AHEAD_SIZE / 4;
	desk_submit(d, 0, 10);
	CHECK_EQ(desk_pump(d), 4); /* two for the slots, two more until there is enough */
	CHECK_EQ(d->m[0].held.size, COH_PLAN_AHEAD_SIZE);
	CHECK_EQ(coh_plan_hungry(&d->plan, &d->kind), 0);
	CHECK(coh_plan_result(&d->plan, &d->m[0], &d->t[0], SHORT));
	CHECK_EQ(desk_pump(d), 1);
	CHECK_WHOLE(d);
}

TEST(plan, gives_every_idle_slot_a_task_however_large)
{
	struct desk *d = desk_new(1, 4, AHEAD);

	desk_measure(d, SHORT);
	for (int i = 0; i < 10; i++)
		d->t[i].size = COH_PLAN_AHEAD_SIZE * 16;
	desk_submit(d, 0, 10);
	CHECK_EQ(desk_pump(d), 4);
	CHECK_WHOLE(d);
}

TEST(plan, expects_something_of_a_free_task)
{
	struct desk *d = desk_new(1, 1, SHORT);

	desk_measure(d, 0);
	desk_submit(d, 0, 100);
	CHECK(desk_pump(d) < 100);
	CHECK(desk_held(d, 0) > 1);
}

TEST(plan, spreads_consecutive_tasks_evenly)
{
	struct desk *d = desk_new(2, 1, AHEAD);

	desk_measure(d, SHORT);
	desk_submit(d, 0, 4);
	CHECK(desk_pump(d) == 4);
	CHECK(desk_held(d, 0) == 2);
	CHECK(desk_held(d, 1) == 2);
}

TEST(plan, prefers_an_idle_slot_to_sending_ahead)
{
	struct desk *d = desk_new(2, 1, AHEAD);

	desk_measure(d, SHORT);
	desk_submit(d, 0, 4);
	desk_pump(d);
	coh_plan_result(&d->plan, &d->m[1], d->m[1].held.head, SHORT);
	coh_plan_result(&d->plan, &d->m[1], d->m[1].held.head, SHORT);
	desk_submit(d, 4, 1);
	desk_pump(d);
	CHECK(d->t[4].member == &d->m[1]);
	CHECK_WHOLE(d);
}

TEST(plan, takes_the_first_measure_whole_and_later_ones_by_an_eighth)
{
	struct desk *d = desk_new(1, 3, 0);

	desk_submit(d, 0, 3);
	desk_pump(d);
	coh_plan_result(&d->plan, &d->m[0], &d->t[0], -1);
	CHECK(d->kind.samples == 0);
	coh_plan_result(&d->plan, &d->m[0], &d->t[1], 8000);
	CHECK(d->kind.average_ns == 8000);
	coh_plan_result(&d->plan, &d->m[0], &d->t[2], 16000);
	CHECK(d->kind.average_ns == 9000);
}

TEST(plan, trusts_a_kind_as_far_as_it_was_measured)
{
	struct desk *d = desk_new(1, 1, AHEAD);

	desk_measure(d, 0);
	d->kind.samples = 2;
	desk_submit(d, 0, 100);
	CHECK(desk_pump(d) == 2);
	CHECK_WHOLE(d);
}

TEST(plan, sends_ahead_by_as_many_as_there_are_slots)
{
	struct desk *d = desk_new(1, 1, AHEAD);

	coh_plan_member_up(&d->plan, &d->m[1], 3, AHEAD);
	desk_measure(d, SHORT);
	desk_submit(d, 0, 12);
	CHECK(desk_pump(d) == 12);
	CHECK(desk_held(d, 0) == 3);
	CHECK(desk_held(d, 1) == 9);
}

TEST(plan, sends_no_unmeasured_task_behind_measured_ones)
{
	struct desk *d = desk_new(1, 1, AHEAD);
	struct coh_plan_kind unknown = {0};

	desk_measure(d, SHORT);
	d->t[1].kind = &unknown;
	desk_submit(d, 0, 3);
	CHECK(desk_pump(d) == 1);
	CHECK(coh_plan_hungry(&d->plan, &d->kind) == 0); /* nothing passes the head */
	CHECK_WHOLE(d);
}

TEST(plan, survives_absurd_measures)
{
	struct desk *d = desk_new(1, 64, AHEAD);

	for (int i = 0; i < 640; i += 64) {
		desk_submit(d, i, 64);
		CHECK(desk_pump(d) == 64);
		CHECK_WHOLE(d);
		for (int k = i; k < i + 64; k++)
			coh_plan_result(&d->plan, &d->m[0], &d->t[k], INT64_MAX);
	}
	CHECK(d->kind.average_ns > 0);
}

TEST(plan, ignores_a_late_result)
{
	struct desk *d = desk_new(2, 1, 0);

	desk_submit(d, 0, 3);
	desk_pump(d);
	CHECK(!coh_plan_result(&d->plan, d->t[1].member, &d->t[0], 1)); /* another's */
	CHECK(!coh_plan_result(&d->plan, &d->m[0], &d->t[2], 1));      /* still queued */
	CHECK(coh_plan_result(&d->plan, d->t[0].member, &d->t[0], 1));
	CHECK(!coh_plan_result(&d->plan, &d->m[0], &d->t[0], 1)); /* a second time */
	CHECK(coh_plan_load(&d->plan) == 2);
	CHECK_WHOLE(d);
}

TEST(plan, takes_a_task_again_after_it_left)
{
	struct desk *d = desk_new(1, 1, 0);

	desk_submit(d, 0, 1);
	desk_pump(d);
	coh_plan_result(&d->plan, &d->m[0], &d->t[0], 1);
	desk_submit(d, 0, 1);
	CHECK(desk_next_is(d, COH_PLAN_ASSIGN, &d->t[0]));
}

TEST(plan, puts_what_a_dead_member_held_back_at_the_head_in_order)
{
	struct desk *d = desk_new(1, 2, AHEAD);

	desk_measure(d, SHORT * 5);
	desk_submit(d, 0, 6);
	CHECK(desk_pump(d) == 4);
	coh_plan_member_down(&d->plan, &d->m[0], NULL, 0);
	CHECK_WHOLE(d);
	coh_plan_member_up(&d->plan, &d->m[1], 6, 0);
	for (int i = 0; i < 6; i++)
		CHECK(desk_next_is(d, COH_PLAN_ASSIGN, &d->t[i]));
}

TEST(plan, strikes_only_what_was_running)
{
	struct desk *d = desk_new(1, 1, AHEAD);
	struct coh_plan_task *running[] = {&d->t[1], &d->t[1], &d->t[7]};

	desk_measure(d, SHORT);
	desk_submit(d, 0, 3);
	desk_pump(d);
	coh_plan_member_down(&d->plan, &d->m[0], running, 3);
	CHECK(d->t[0].strikes == 0);
	CHECK(d->t[1].strikes == 1); /* named twice, struck once */
	CHECK(d->t[7].strikes == 0); /* not held at all */
	CHECK_WHOLE(d);
}

TEST(plan, strikes_the_oldest_when_nobody_knows_what_ran)
{
	struct desk *d = desk_new(1, 2, AHEAD);

	desk_measure(d, SHORT);
	desk_submit(d, 0, 4);
	desk_pump(d);
	coh_plan_member_down(&d->plan, &d->m[0], NULL, 0);
	CHECK(d->t[0].strikes == 1);
	CHECK(d->t[1].strikes == 1);
	CHECK(d->t[2].strikes == 0);
}

TEST(plan, strikes_nothing_when_nothing_ran)
{
	struct desk *d = desk_new(1, 1, AHEAD);
	struct coh_plan_task *none[1] = {NULL};

	desk_submit(d, 0, 1);
	desk_pump(d);
	coh_plan_member_down(&d->plan, &d->m[0], none, 0);
	CHECK(d->t[0].strikes == 0);
}

TEST(plan, fails_a_task_that_is_out_of_strikes)
{
	struct desk *d = desk_new(0, 1, 0);

	desk_submit(d, 0, 1);
	for (int i = 0; i < STRIKES; i++) {
		coh_plan_member_up(&d->plan, &d->m[0], 1, 0);
		CHECK(desk_next_is(d, COH_PLAN_ASSIGN, &d->t[0]));
		coh_plan_member_down(&d->plan, &d->m[0], NULL, 0);
	}
	CHECK(coh_plan_load(&d->plan) == 1);
	CHECK(desk_next_is(d, COH_PLAN_FAIL, &d->t[0]));
	CHECK(d->t[0].code == COHORT_EPOISON);
	CHECK(coh_plan_load(&d->plan) == 0);
}

TEST(plan, forgets_strikes_when_a_task_comes_anew)
{
	struct desk *d = desk_new(1, 1, 0);

	desk_submit(d, 0, 1);
	desk_pump(d);
	coh_plan_member_down(&d->plan, &d->m[0], NULL, 0);
	CHECK(coh_plan_cancel(&d->plan, &d->t[0]));
	desk_submit(d, 0, 1);
	CHECK(d->t[0].strikes == 0);
}

TEST(plan, gives_a_draining_member_nothing_new)
{
	struct desk *d = desk_new(2, 2, AHEAD);

	desk_submit(d, 0, 1);
	desk_pump(d);
	coh_plan_member_drain(&d->plan, &d->m[0]);
	desk_submit(d, 1, 5);
	CHECK(desk_pump(d) == 2);
	CHECK(desk_held(d, 0) == 1);
	CHECK(coh_plan_result(&d->plan, &d->m[0], &d->t[0], AHEAD * 2));
	CHECK(desk_held(d, 0) == 0);
	CHECK(desk_pump(d) == 0);
	CHECK_WHOLE(d);
}

TEST(plan, cancels_what_is_queued_and_nothing_else)
{
	struct desk *d = desk_new(1, 1, 0);

	desk_submit(d, 0, 4);
	desk_pump(d);
	CHECK(!coh_plan_cancel(&d->plan, &d->t[0])); /* assigned */
	CHECK(coh_plan_cancel(&d->plan, &d->t[2]));  /* in the middle */
	CHECK(coh_plan_cancel(&d->plan, &d->t[3]));  /* the last */
	CHECK(!coh_plan_cancel(&d->plan, &d->t[3])); /* a second time */
	CHECK(coh_plan_load(&d->plan) == 2);
	CHECK_WHOLE(d);
	coh_plan_result(&d->plan, &d->m[0], &d->t[0], 1);
	CHECK(desk_next_is(d, COH_PLAN_ASSIGN, &d->t[1]));
}

TEST(plan, fails_everything_with_the_code_given)
{
	struct desk *d = desk_new(3, 1, AHEAD);
	struct coh_plan_action a;
	int failed = 0;

	desk_measure(d, SHORT * 8);
	desk_submit(d, 0, 20);
	desk_pump(d);
	coh_plan_member_drain(&d->plan, &d->m[2]);
	coh_plan_member_up(&d->plan, &d->m[3], 30, 0); /* stays idle with a few */
	desk_pump(d);
	coh_plan_fail_all(&d->plan, COHORT_ECANCELLED);
	CHECK_WHOLE(d);
	CHECK(coh_plan_load(&d->plan) == 20);
	while ((a = coh_plan_next(&d->plan)).act == COH_PLAN_FAIL)
		failed += a.task->code == COHORT_ECANCELLED;
	CHECK(failed == 20);
	CHECK(!coh_plan_result(&d->plan, &d->m[0], &d->t[0], 1));
	CHECK(coh_plan_load(&d->plan) == 0);
	CHECK_WHOLE(d);
}

TEST(plan, hungers_for_exactly_what_it_would_take)
{
	struct desk *d = desk_new(3, 2, AHEAD);
	size_t hungry;

	desk_measure(d, 3 * SHORT);
	for (int first = 0; first < 30; first += 5) {
		hungry = coh_plan_hungry(&d->plan, &d->kind);
		desk_submit(d, first, 5);
		CHECK((size_t)desk_pump(d) == (hungry < 5 ? hungry : 5));
	}
	CHECK(coh_plan_hungry(&d->plan, &d->kind) == 0);
}

TEST(plan, hungers_for_idle_slots_only_when_a_kind_is_unmeasured)
{
	struct desk *d = desk_new(2, 3, AHEAD);

	CHECK(coh_plan_hungry(&d->plan, &d->kind) == 6);
	desk_submit(d, 0, 2);
	CHECK(coh_plan_hungry(&d->plan, &d->kind) == 4);
	desk_pump(d);
	CHECK(coh_plan_hungry(&d->plan, &d->kind) == 4);
}

TEST(plan, check_sees_a_sum_that_is_wrong)
{
	struct desk *d = desk_new(1, 1, AHEAD);

	desk_measure(d, SHORT);
	desk_submit(d, 0, 2);
	desk_pump(d);
	d->m[0].expected_ns++;
	CHECK(coh_plan_check(&d->plan) != NULL);
	d->m[0].expected_ns--;
	d->plan.assigned++;
	CHECK(coh_plan_check(&d->plan) != NULL);
	d->plan.assigned--;
	d->t[1].state = COH_PLAN_QUEUED;
	CHECK(coh_plan_check(&d->plan) != NULL);
}
