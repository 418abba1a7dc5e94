/*
 * test_mutex_faults.c - a death at every step of lock and gate, while others are at work.
 *
 * The library here has no slice that would make sleepers look again: a wake that is lost is a test that hangs.
 */
#include "core/sync_page.h"
#include "sync/fault.h"
#include "sync/gate.h"
#include "sync/mutex.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Every point of the lock, and whether who dies there has it. */
static const struct point {
	const char *name;
	bool holds, entering; /* entering: it has not yet heard what its lock has to tell */
} points[] = {
    {"mutex.lock.pending", false, false},
    {"mutex.lock.taken", true, true},
    {"mutex.lock.entered", true, true},
    {"mutex.wait.look", false, false},
    {"mutex.wait.sleep", false, false},
    {"mutex.wait.woken", false, false},
    {"mutex.wait.taken", true, true},
    {"mutex.wait.entered", true, true},
    {"mutex.wait.give_up", false, false},
    {"mutex.unlock.pending", true, false},
    {"mutex.unlock.left", true, false},
    {"mutex.unlock.free", false, false},
    {"mutex.unlock.serial", true, false},
    {"mutex.unlock.wake", false, false},
    {"mutex.unlock.woke", false, false},
    {"mutex.test.inside", true, false}, /* this file's own */
};
#define POINTS ((int)(sizeof points / sizeof *points))

struct page {
	struct coh_mutex m;
	struct coh_gate g;
	_Atomic int stage, told, hung, wrong, inside;
	_Atomic unsigned items;
	long a, b; /* guarded by m: equal, but while somebody is at it */
};

/* Where the next child dies: at which passing of which point. */
static const char *arm;
static unsigned long nth;

static void lock_it(struct page *p)
{
	cohort_time deadline = cohort_in(test_span(8 * COHORT_SECOND));
	int rc = coh_mutex_lock(&p->m, deadline);

	p->told += rc == COHORT_EOWNERDEAD;
	p->hung += cohort_now() >= deadline; /* only the deadline woke us, even if the lock was free then */
	if (rc == COHORT_ETIMEDOUT)
		_exit(1);
	if (rc == 0 && (p->a != p->b || p->inside != 0))
		p->wrong++; /* somebody is inside, or died there and we were not told */
	p->inside = 1;
	p->a++;
	COH_FAULT("mutex.test.inside");
	p->b = p->a;
	p->inside = 0;
}

/* Stages: the parent of both leads; every point lies on the way. */
static void victim(void *arg)
{
	struct page *p = arg;

	coh_robust_self(); /* so that the first lock goes the short way */
	coh_fault_arm(arm, nth);
	lock_it(p);
	coh_mutex_unlock(&p->m);
	p->stage = 1;
	SYNC_AWAIT(p->stage == 2); /* the parent has it */
	CHECK_EQ(coh_mutex_lock(&p->m, cohort_in(COHORT_MS)), COHORT_ETIMEDOUT);
	p->stage = 3;
	lock_it(p);
	p->stage = 4;
	SYNC_AWAIT(p->stage == 5); /* the other sleeps on it */
	coh_mutex_unlock(&p->m);
}

static void other(void *arg)
{
	struct page *p = arg;

	lock_it(p);
	coh_mutex_unlock(&p->m);
}

static bool ended(pid_t pid)
{
	siginfo_t info = {0};

	REQUIRE(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
	return info.si_pid == pid;
}

/* The victim got to STAGE; false: it died. */
static bool came_to(struct page *p, pid_t pid, int stage)
{
	SYNC_AWAIT(p->stage == stage || ended(pid));
	return !ended(pid);
}

/* Lead a victim through its stages until it dies. */
static void lead(struct page *p, pid_t pid)
{
	pid_t second;

	if (!came_to(p, pid, 1))
		return;
	lock_it(p);
	p->stage = 2;
	if (came_to(p, pid, 3))
		SYNC_AWAIT(ended(pid) || sync_state(pid) == 'S');
	coh_mutex_unlock(&p->m);
	if (!came_to(p, pid, 4))
		return;
	second = sync_fork(other, p);
	sync_await_state(second, 'S');
	p->stage = 5;
	CHECK_EQ(sync_join(second), 0);
}

TEST_TIMEOUT(mutex_faults, a_death_at_each_point_is_told_exactly_when_it_held, 60)
{
	struct page *p = sync_page(sizeof *p);

	for (int i = 0; i < POINTS; i++) {
		pid_t pid;

		memset(p, 0, sizeof *p);
		arm = points[i].name;
		nth = 1;
		pid = sync_fork(victim, p);
		lead(p, pid);
		if (WTERMSIG(sync_join(pid)) != SIGKILL)
			FAIL("%s: not passed", points[i].name);
		lock_it(p);
		coh_mutex_unlock(&p->m);
		if (p->told != points[i].holds || p->wrong != 0 || p->hung != 0)
			FAIL("%s: told %d times, %d wrong, %d hung", points[i].name, p->told, p->wrong,
			    p->hung);
	}
}

static bool is_listed(const char *name)
{
	for (int i = 0; i < POINTS; i++)
		if (strcmp(points[i].name, name) == 0)
			return true;
	return strncmp(name, "mutex.", 6) != 0;
}

/* So that a point that is added is tried too. */
TEST(mutex_faults, the_list_of_points_is_complete)
{
	struct page *p = sync_page(sizeof *p);
	const char *names[64];
	pid_t pid;
	int n;

	arm = "mutex.unlock.serial";
	nth = 1;
	pid = sync_fork(victim, p);
	lead(p, pid);
	sync_join(pid);
	pid = sync_fork(other, p);
	sync_join(pid);
	n = coh_fault_names(names, 64);
	CHECK(n > 5);
	for (int i = 0; i < n; i++)
		if (!is_listed(names[i]))
			FAIL("%s is not in the list", names[i]);
}

static void sleeper(void *arg)
{
	struct page *p = arg;

	if (arm != NULL)
		coh_fault_arm(arm, 1);
	lock_it(p);
	coh_mutex_unlock(&p->m);
}

/* The one woken first dies of it; the wake goes on to the next, again and again. */
TEST(mutex_faults, who_is_woken_and_killed_passes_the_wake_on)
{
	struct page *p = sync_page(sizeof *p);
	pid_t pids[5];

	lock_it(p);
	for (int i = 0; i < 5; i++) {
		arm = i < 4 ? "mutex.wait.woken" : NULL;
		pids[i] = sync_fork(sleeper, p);
		sync_await_state(pids[i], 'S');
	}
	coh_mutex_unlock(&p->m);
	CHECK_EQ(sync_join(pids[4]), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(WTERMSIG(sync_join(pids[i])), SIGKILL);
	CHECK(p->told == 0 && p->hung == 0);
}

#define WORKERS 4
#define TURNS 40 /* of a worker, unless it dies before */

struct worker {
	pid_t pid;
	const struct point *point;
};

static void work(void *arg)
{
	struct page *p = arg;

	if (arm != NULL)
		coh_fault_arm(arm, nth);
	for (int i = 0; i < TURNS; i++) {
		lock_it(p);
		coh_mutex_unlock(&p->m);
	}
}

static void start_worker(struct page *p, struct worker *w)
{
	do
		w->point = &points[test_random_below(POINTS)];
	while (strcmp(w->point->name, "mutex.wait.give_up") == 0); /* nobody does here */
	arm = w->point->name;
	nth = 1 + test_random_below(test_random_below(4) != 0 ? 5 : 40);
	w->pid = sync_fork(work, p);
}

/* Wait for one of the workers; true, with its POINT, when it was killed there. */
static bool join_worker(struct worker *w, const struct point **point)
{
	int status, i;
	pid_t pid = wait(&status);

	REQUIRE(pid > 0);
	for (i = 0; w[i].pid != pid; i++)
		REQUIRE(i < WORKERS - 1);
	w[i].pid = 0;
	*point = w[i].point;
	if (!WIFSIGNALED(status))
		CHECK_EQ(status, 0);
	return WIFSIGNALED(status);
}

/* Thousands of deaths at all points, among workers that go on. */
TEST_TIMEOUT(mutex_faults, thousands_of_deaths_leave_the_lock_whole, 120)
{
	int deaths = test_span(1) > 1 ? 300 : 2000, killed = 0, holding = 0, entering = 0;
	struct worker workers[WORKERS] = {0};
	struct page *p = sync_page(sizeof *p);
	const struct point *point;

	for (int running = 0; killed < deaths || running > 0;) {
		for (int i = 0; killed < deaths && i < WORKERS; i++) {
			running += workers[i].pid == 0;
			if (workers[i].pid == 0)
				start_worker(p, &workers[i]);
		}
		if (join_worker(workers, &point)) {
			killed++;
			holding += point->holds;
			entering += point->entering;
		}
		running--;
	}
	lock_it(p);
	coh_mutex_unlock(&p->m);
	CHECK_EQ(p->hung, 0);
	CHECK_EQ(p->wrong, 0);
	/* who died entering may have been told, and took it along; the next was told again */
	CHECK(p->told <= holding && p->told >= holding - entering);
	CHECK_EQ(atomic_load(&p->m.robust.pair.word), 0);
}

static void take_items(void *arg)
{
	struct page *p = arg;
	cohort_time deadline = cohort_in(test_span(15 * COHORT_SECOND));

	if (arm != NULL)
		coh_fault_arm(arm, nth);
	for (int i = 0; i < TURNS; i++) {
		uint32_t ticket = coh_gate_arm(&p->g);
		unsigned n = p->items;

		while (n > 0 && !atomic_compare_exchange_weak(&p->items, &n, n - 1))
			;
		if (n > 0)
			continue;
		if (p->stage != 0)
			return;
		p->hung += coh_gate_sleep(&p->g, ticket, deadline) == COHORT_ETIMEDOUT;
	}
}

static void put_items(void *arg)
{
	struct page *p = arg;

	if (arm != NULL)
		coh_fault_arm(arm, nth);
	for (int i = 0; i < TURNS; i++) {
		atomic_fetch_add(&p->items, 1);
		coh_gate_fence_after_rmw();
		coh_gate_open(&p->g, 1);
	}
}

/* Here the slice is what helps: nobody hangs whoever dies. */
TEST_TIMEOUT(gate_faults, deaths_of_openers_and_sleepers_leave_nobody_asleep_for_long, 120)
{
	struct page *p = sync_page(sizeof *p);
	pid_t pids[6];

	for (int round = 0; round < 30; round++) {
		p->stage = 0;
		for (int i = 0; i < 6; i++) {
			arm = i % 3 != 0 ? "gate." : NULL;
			nth = i % 3 != 0 ? 1 + test_random_below(200) : 0;
			pids[i] = sync_fork(i % 2 != 0 ? put_items : take_items, p);
		}
		for (int i = 1; i < 6; i += 2)
			sync_join(pids[i]);
		p->stage = 1;
		coh_gate_wake(&p->g, INT_MAX);
		for (int i = 0; i < 6; i += 2)
			sync_join(pids[i]);
		CHECK_EQ(p->hung, 0);
	}
}
