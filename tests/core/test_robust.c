/* test_robust.c - our locks and glibc's robust mutexes stand in one list, in any order. */
#include "core/sync_page.h"
#include "sync/mutex.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

#define LOCKS 8 /* every second one is glibc's */

struct page {
	struct coh_mutex ours[LOCKS];
	pthread_mutex_t theirs[LOCKS];
	_Atomic unsigned held; /* bits: what the process to be killed holds */
	int script[64];        /* lock it when free, else let go */
	int steps;
};

static struct page *new_page(void)
{
	struct page *p = sync_page(sizeof *p);
	pthread_mutexattr_t attr;

	REQUIRE(pthread_mutexattr_init(&attr) == 0);
	REQUIRE(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0);
	REQUIRE(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
	for (int i = 0; i < LOCKS; i++) {
		/* some of them with priority inheritance: the kernel marks them by a bit in the links */
		pthread_mutexattr_setprotocol(
		    &attr, i % 4 == 3 ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE);
		REQUIRE(pthread_mutex_init(&p->theirs[i], &attr) == 0);
	}
	pthread_mutexattr_destroy(&attr);
	return p;
}

static void toggle(struct page *p, int i)
{
	bool held = (p->held & 1u << i) != 0;

	if (i % 2 == 0 && held)
		coh_mutex_unlock(&p->ours[i]);
	else if (i % 2 == 0)
		REQUIRE_EQ(coh_mutex_lock(&p->ours[i], COHORT_NOW), 0);
	else if (held)
		REQUIRE_EQ(pthread_mutex_unlock(&p->theirs[i]), 0);
	else
		REQUIRE_EQ(pthread_mutex_trylock(&p->theirs[i]), 0);
	p->held ^= 1u << i;
}

static void play(void *arg)
{
	struct page *p = arg;

	for (int i = 0; i < p->steps; i++)
		toggle(p, p->script[i]);
	kill(getpid(), SIGKILL);
}

/* Lock I is told dead if HELD, free if not; free it again. */
static void check_lock(struct page *p, int i, bool held)
{
	if (i % 2 == 0) {
		CHECK_EQ(coh_mutex_trylock(&p->ours[i]), held ? COHORT_EOWNERDEAD : 0);
		coh_mutex_unlock(&p->ours[i]);
		return;
	}
	CHECK_EQ(pthread_mutex_trylock(&p->theirs[i]), held ? EOWNERDEAD : 0);
	if (held)
		CHECK_EQ(pthread_mutex_consistent(&p->theirs[i]), 0);
	CHECK_EQ(pthread_mutex_unlock(&p->theirs[i]), 0);
}

TEST(robust, finds_what_the_dead_held_among_glibcs_in_any_order)
{
	struct page *p = new_page();

	for (int round = 0; round < 300; round++) {
		p->held = 0;
		p->steps = 1 + (int)test_random_below(64);
		for (int i = 0; i < p->steps; i++)
			p->script[i] = (int)test_random_below(LOCKS);
		CHECK_EQ(WTERMSIG(sync_join(sync_fork(play, p))), SIGKILL);
		for (int i = 0; i < LOCKS; i++)
			check_lock(p, i, (p->held & 1u << i) != 0);
	}
}

TEST(robust, keeps_glibcs_list_whole_in_one_thread)
{
	struct page *p = new_page();
	struct robust_list_head *head;
	size_t size;

	for (int i = 0; i < 20000; i++)
		toggle(p, (int)test_random_below(LOCKS));
	for (int i = 0; i < LOCKS; i++)
		if (p->held & 1u << i)
			toggle(p, i);
	REQUIRE(syscall(SYS_get_robust_list, 0, &head, &size) == 0);
	CHECK(head->list.next == &head->list);
	CHECK(head->list_op_pending == NULL);
}

static void forget_and_ask(void *arg)
{
	(void)arg;
	CHECK_EQ(coh_robust_self(), (uint32_t)getpid());
	CHECK_EQ(coh_robust_self(), (uint32_t)syscall(SYS_gettid));
}

TEST(robust, knows_this_thread_also_right_after_fork)
{
	CHECK_EQ(coh_robust_self(), (uint32_t)syscall(SYS_gettid));
	CHECK_EQ(sync_join(sync_fork(forget_and_ask, NULL)), 0);
	CHECK_EQ(coh_robust_self(), (uint32_t)syscall(SYS_gettid));
}

static void *ask(void *arg)
{
	*(uint32_t *)arg = coh_robust_self();
	CHECK_EQ(coh_robust_self(), (uint32_t)syscall(SYS_gettid));
	return NULL;
}

TEST(robust, knows_each_thread)
{
	uint32_t id = 0;
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, ask, &id) == 0);
	pthread_join(t, NULL);
	CHECK(id != 0 && id != coh_robust_self());
}

TEST(futex, wait_says_why_it_ended)
{
	_Atomic uint32_t *w = sync_page(4);
	cohort_time start = cohort_now();

	errno = 7;
	CHECK_EQ(coh_futex_wait(w, 1, COHORT_FOREVER), -EAGAIN);
	CHECK_EQ(coh_futex_wait(w, 0, COHORT_NOW), -ETIMEDOUT);
	CHECK_EQ(coh_futex_wait(w, 0, -1), -ETIMEDOUT);
	CHECK_EQ(coh_futex_wait(w, 0, start + 10 * COHORT_MS), -ETIMEDOUT);
	CHECK(cohort_now() >= start + 10 * COHORT_MS);
	CHECK_EQ(coh_futex_wake(w, 1), 0);
	CHECK_EQ(errno, 7);
}
