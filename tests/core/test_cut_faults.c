/*
 * test_cut_faults.c - the file of a named object is cut at every step of every call of every kind.
 *
 * A process goes through all calls of a kind and cuts its file at its first step; the next process at its second, and so on
 * until one comes to the end.  The call in which it happens ends, as it likes; every call after it says COHORT_ESEGMENT; and
 * what is no part of the object goes on.  The same again beside threads that use the object, and after a death.
 */
#include "core/cut_kinds.h"
#include "core/sync_page.h"
#include "sync/fault.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RIVALS 2
#define TRIALS 24 /* of each kind, where it is another way each time */
#define HANG 20 /* seconds */

struct trial {
	const struct cut_kind *kind;
	long size;         /* what the file is cut to */
	unsigned long at;  /* the step */
	unsigned long die; /* at which step somebody dies before; 0: nobody does */
	int rivals;
	const char *prefix;
};

static _Atomic bool cut;
static _Atomic long cut_size;

static void cut_it(void)
{
	cut_to("cut", cut_size);
	cut = true;
}

/* Calls that begin after the cut say so. */
static void walk(const struct trial *t, void *object)
{
	for (int i = 0; i < CUT_CALLS && t->kind->calls[i] != NULL; i++) {
		bool gone = cut;
		int64_t rc = t->kind->calls[i](object);

		if (gone && rc != COHORT_ESEGMENT)
			FAIL("%s, cut to %ld at step %lu of %s: call %d gives %lld", t->kind->name, t->size, t->at,
			    t->prefix, i, (long long)rc);
	}
}

/* ---- processes ---- */

static void victim(void *arg)
{
	const struct trial *t = arg;
	void *object = cut_open(t->kind, "local:cut");

	coh_fault_arm("", t->die);
	cut_walk(t->kind, object, NULL);
}

struct rival {
	const struct trial *t;
	void *object;
	_Atomic bool *stop;
};

static void *be_rival(void *arg)
{
	struct rival *r = arg;

	while (!*r->stop)
		walk(r->t, r->object);
	return NULL;
}

/* A lock of another object works, before and after, in whatever list it stands. */
static void use_lock(struct cohort_lock *l)
{
	CHECK_EQ(cohort_lock_acquire(l, COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_release(l), 0);
}

static void go_through(const struct trial *t, void *object)
{
	struct rival r[RIVALS];
	_Atomic bool stop = false;
	pthread_t thread[RIVALS];

	for (int i = 0; i < t->rivals; i++) {
		r[i] = (struct rival){t, object, &stop};
		REQUIRE(pthread_create(&thread[i], NULL, be_rival, &r[i]) == 0);
	}
	walk(t, object);
	stop = true;
	for (int i = 0; i < t->rivals; i++)
		pthread_join(thread[i], NULL);
	if (cut)
		walk(t, object);
}

/* Exits with 3 when there was no such step. */
static void be_cut(void *arg)
{
	const struct trial *t = arg;
	void *object = cut_open(t->kind, "local:cut"), *other = cut_open(t->kind, "local:cut");
	struct cohort_lock *l = NULL, *outer = NULL;

	alarm(HANG);
	if (cut_size_of("cut") <= t->size)
		_exit(3);
	REQUIRE_EQ(cohort_lock_open(&l, "local:", NULL, NULL), 0);
	REQUIRE_EQ(cohort_lock_open(&outer, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_lock_acquire(outer, COHORT_NOW), 0);
	if (t->die != 0)
		(void)sync_join(sync_fork(victim, arg));
	cut_size = t->size;
	coh_fault_do(cut_it);
	coh_fault_arm(t->prefix, t->at);
	go_through(t, object);
	coh_fault_arm("none", 0);
	if (cut)
		walk(t, other);
	use_lock(l);
	CHECK_EQ(cohort_lock_release(outer), 0);
	use_lock(outer);
	t->kind->close(other);
	t->kind->close(object);
	cohort_lock_close(l);
	cohort_lock_close(outer);
	_exit(cut ? 0 : 3);
}

/* False when there was no such step. */
static bool survives(const struct trial *t)
{
	int status = sync_join(sync_fork(be_cut, (void *)(uintptr_t)t));

	if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
		return false;
	if (status != 0)
		FAIL("%s, cut to %ld at step %lu of %s, %d rivals, a death at %lu: status %x", t->kind->name, t->size,
		    t->at, t->prefix, t->rivals, t->die, (unsigned)status);
	return true;
}

static const long sizes[] = {0, 4096, -8}; /* all, what lies behind a page, the marks alone */

/* Every step of those that come early; of the many that are the same again, ever fewer. */
static unsigned long sweep(struct trial *t, unsigned long step)
{
	unsigned long n = 0;

	for (t->at = 1; survives(t); t->at += step + t->at / 64)
		n++;
	(void)cohort_shared_sweep();
	return n;
}

TEST_TIMEOUT(cut_faults, every_step_of_every_call_survives_it, 200)
{
	struct trial t = {.prefix = ""};
	unsigned long steps = 0;

	for (int i = 0; i < CUT_KINDS; i++)
		for (int s = 0; s < 3; s++) {
			t.kind = &cut_kinds[i];
			t.size = sizes[s];
			steps += sweep(&t, s == 0 ? 1 : 3);
		}
	CHECK(steps > 1000);
}

TEST_TIMEOUT(cut_faults, threads_beside_survive_it_too, 200)
{
	struct trial t = {.prefix = "", .rivals = RIVALS};

	for (int i = 0; CUT_RACES && i < CUT_KINDS * TRIALS; i++) {
		t.kind = &cut_kinds[i % CUT_KINDS];
		t.size = sizes[i / CUT_KINDS % 3];
		t.at = 1 + test_random_below(i % 2 == 0 ? 40 : 400);
		(void)survives(&t);
	}
	CHECK(cohort_shared_sweep() >= 0);
}

TEST_TIMEOUT(cut_faults, who_mends_after_a_death_survives_it_too, 200)
{
	struct trial t = {.prefix = ""};

	for (int i = 0; i < CUT_KINDS * TRIALS; i++) {
		t.kind = &cut_kinds[i % CUT_KINDS];
		t.die = 1 + test_random_below(i % 2 == 0 ? 20 : 300);
		t.at = 1 + test_random_below(i % 2 == 0 ? 40 : 400);
		(void)survives(&t);
	}
	CHECK(cohort_shared_sweep() >= 0);
}

/* ---- the list of what a thread holds ---- */

struct after {
	struct cohort_lock *l;
	unsigned long die;
};

static void die_after(void *arg)
{
	struct after *a = arg;
	struct cohort_lock *gone = cut_open(cut_kind("lock"), "local:cut");

	CHECK_EQ(cohort_lock_acquire(gone, COHORT_NOW), 0);
	cut_to("cut", 0);
	CHECK_EQ(cohort_lock_release(gone), COHORT_ESEGMENT);
	coh_fault_arm("mutex.", a->die);
	use_lock(a->l);
}

TEST(cut_faults, who_held_what_was_cut_still_dies_at_any_step_of_another_lock)
{
	struct after a = {.die = 1};
	int status = 1;

	REQUIRE_EQ(cohort_lock_open(&a.l, "local:", NULL, NULL), 0);
	for (; status != 0; a.die++) {
		status = sync_join(sync_fork(die_after, &a));
		REQUIRE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
		CHECK(cohort_lock_acquire(a.l, COHORT_NOW) != COHORT_ETIMEDOUT);
		CHECK_EQ(cohort_lock_release(a.l), 0);
		CHECK(cohort_shared_sweep() >= 0);
	}
	CHECK(a.die > 5);
	cohort_lock_close(a.l);
}
