/* test_mutex.c - one holder at a time, whoever dies, waits or is stopped meanwhile. */
#include "core/sync_page.h"
#include "sync/mutex.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

struct page {
	struct coh_mutex m, other;
	unsigned long counter;          /* guarded by m */
	_Atomic int inside, told, ready; /* who is between lock and unlock; who heard of a death */
	_Atomic bool go, stop;
};

static uint32_t word(struct page *p)
{
	return atomic_load(&p->m.robust.pair.word);
}

TEST(mutex, is_free_when_zeroed_and_held_by_its_taker_only)
{
	struct page *p = sync_page(sizeof *p);

	CHECK(!coh_mutex_held(&p->m) && !coh_mutex_mine(&p->m) && !coh_mutex_dead(&p->m));
	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	CHECK(coh_mutex_held(&p->m) && coh_mutex_mine(&p->m) && !coh_mutex_dead(&p->m));
	CHECK_EQ(word(p), (uint32_t)syscall(SYS_gettid));
	CHECK_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), -EDEADLK);
	CHECK_EQ(coh_mutex_trylock(&p->m), -EDEADLK);
	coh_mutex_unlock(&p->m);
	CHECK_EQ(word(p), 0);
	REQUIRE_EQ(coh_mutex_trylock(&p->m), 0);
	coh_mutex_unlock(&p->m);
}

static void unlock_it(void *arg)
{
	struct page *p = arg;

	close(STDERR_FILENO); /* the assertion's line is no news */
	coh_mutex_unlock(&p->m);
}

TEST(mutex, unlocking_what_another_holds_ends_the_process)
{
	struct page *p = sync_page(sizeof *p);

	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	CHECK_EQ(WTERMSIG(sync_join(sync_fork(unlock_it, p))), SIGABRT);
	coh_mutex_unlock(&p->m);
	CHECK_EQ(WTERMSIG(sync_join(sync_fork(unlock_it, p))), SIGABRT);
}

#define ROUNDS 20000

static void count(void *arg)
{
	struct page *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
		CHECK_EQ(atomic_fetch_add(&p->inside, 1), 0);
		p->counter++;
		atomic_fetch_sub(&p->inside, 1);
		coh_mutex_unlock(&p->m);
	}
}

static void *count_thread(void *arg)
{
	count(arg);
	return NULL;
}

TEST(mutex, keeps_threads_and_processes_apart)
{
	struct page *p = sync_page(sizeof *p);
	pthread_t threads[3];
	pid_t pids[3];

	for (int i = 0; i < 3; i++)
		pids[i] = sync_fork(count, p);
	for (int i = 0; i < 3; i++)
		REQUIRE(pthread_create(&threads[i], NULL, count_thread, p) == 0);
	count(p);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		CHECK_EQ(sync_join(pids[i]), 0);
	}
	CHECK_EQ(p->counter, 7 * ROUNDS);
	CHECK(!coh_mutex_held(&p->m));
	/* a last lock and unlock find nobody: the word is clean */
	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	coh_mutex_unlock(&p->m);
	CHECK_EQ(word(p), 0);
}

static void hold(void *arg)
{
	struct page *p = arg;

	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	p->ready = true;
	for (;;)
		pause();
}

static pid_t fork_holder(struct page *p)
{
	pid_t pid;

	p->ready = false;
	pid = sync_fork(hold, p);
	SYNC_AWAIT(p->ready);
	return pid;
}

static void kill_and_join(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK_EQ(WTERMSIG(sync_join(pid)), SIGKILL);
}

TEST(mutex, tells_of_a_dead_holder_once)
{
	struct page *p = sync_page(sizeof *p);

	kill_and_join(fork_holder(p));
	CHECK(coh_mutex_dead(&p->m) && !coh_mutex_held(&p->m));
	REQUIRE_EQ(coh_mutex_trylock(&p->m), COHORT_EOWNERDEAD);
	CHECK(coh_mutex_mine(&p->m) && !coh_mutex_dead(&p->m));
	coh_mutex_unlock(&p->m);
	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	coh_mutex_unlock(&p->m);
}

static void mend(void *arg)
{
	struct page *p = arg;

	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), COHORT_EOWNERDEAD);
	p->ready = true;
	for (;;)
		pause();
}

TEST(mutex, tells_the_next_when_who_mends_dies_too)
{
	struct page *p = sync_page(sizeof *p);
	pid_t pid;

	kill_and_join(fork_holder(p));
	p->ready = false;
	pid = sync_fork(mend, p);
	SYNC_AWAIT(p->ready);
	kill_and_join(pid);
	CHECK_EQ(coh_mutex_trylock(&p->m), COHORT_EOWNERDEAD);
	coh_mutex_unlock(&p->m);
}

TEST(mutex, wakes_who_sleeps_when_the_holder_dies)
{
	struct page *p = sync_page(sizeof *p);
	pid_t holder = fork_holder(p), waiter;

	p->ready = false;
	waiter = sync_fork(mend, p);
	sync_await_state(waiter, 'S');
	kill_and_join(holder);
	SYNC_AWAIT(p->ready);
	kill_and_join(waiter);
}

TEST(mutex, keeps_its_deadline)
{
	struct page *p = sync_page(sizeof *p);
	pid_t holder = fork_holder(p);
	cohort_time start = cohort_now();

	CHECK_EQ(coh_mutex_trylock(&p->m), COHORT_ETIMEDOUT);
	CHECK_EQ(coh_mutex_lock(&p->m, -5), COHORT_ETIMEDOUT);
	CHECK_EQ(coh_mutex_lock(&p->m, start - 1), COHORT_ETIMEDOUT);
	CHECK_EQ(coh_mutex_lock(&p->m, start + 30 * COHORT_MS), COHORT_ETIMEDOUT);
	CHECK(cohort_now() >= start + 30 * COHORT_MS);
	CHECK_EQ(coh_mutex_lock(&p->m, start + 250 * COHORT_MS), COHORT_ETIMEDOUT);
	CHECK(cohort_now() >= start + 250 * COHORT_MS);
	kill_and_join(holder);
	CHECK_EQ(coh_mutex_lock(&p->m, COHORT_NOW), COHORT_EOWNERDEAD);
	coh_mutex_unlock(&p->m);
}

static _Atomic int alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

TEST(mutex, signals_do_not_end_the_wait)
{
	struct sigaction act = {.sa_handler = on_alarm}; /* without SA_RESTART */
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};
	struct page *p = sync_page(sizeof *p);
	pid_t holder = fork_holder(p);
	cohort_time start = cohort_now();

	REQUIRE(sigaction(SIGALRM, &act, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
	CHECK_EQ(coh_mutex_lock(&p->m, start + 60 * COHORT_MS), COHORT_ETIMEDOUT);
	CHECK(cohort_now() >= start + 60 * COHORT_MS);
	SYNC_AWAIT(alarms > 5);
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	kill_and_join(holder);
}

static void *hold_and_end(void *arg)
{
	struct page *p = arg;

	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	return NULL;
}

TEST(mutex, a_thread_that_ends_with_it_counts_as_dead)
{
	struct page *p = sync_page(sizeof *p);
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, hold_and_end, p) == 0);
	pthread_join(t, NULL);
	CHECK_EQ(coh_mutex_lock(&p->m, cohort_in(test_span(5 * COHORT_SECOND))), COHORT_EOWNERDEAD);
	coh_mutex_unlock(&p->m);
}

static void hold_and_exec(void *arg)
{
	struct page *p = arg;

	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	execl("/bin/true", "true", (char *)NULL);
}

TEST(mutex, exec_counts_as_death)
{
	struct page *p = sync_page(sizeof *p);

	CHECK_EQ(sync_join(sync_fork(hold_and_exec, p)), 0);
	CHECK_EQ(coh_mutex_trylock(&p->m), COHORT_EOWNERDEAD);
	coh_mutex_unlock(&p->m);
}

static void *hold_and_exec_thread(void *arg)
{
	hold_and_exec(arg);
	return NULL;
}

static void exec_in_a_thread(void *arg)
{
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, hold_and_exec_thread, arg) == 0);
	pthread_join(t, NULL);
}

/* The kernel does not mark this one: the thread has lost its id when its list is looked at. */
TEST(mutex, exec_outside_the_first_thread_counts_as_death_too)
{
	struct page *p = sync_page(sizeof *p);

	CHECK_EQ(sync_join(sync_fork(exec_in_a_thread, p)), 0);
	CHECK_EQ(coh_mutex_lock(&p->m, cohort_in(test_span(5 * COHORT_SECOND))), COHORT_EOWNERDEAD);
	coh_mutex_unlock(&p->m);
	CHECK_EQ(word(p), 0);
}

static void look_at_the_parents(void *arg)
{
	struct page *p = arg;

	CHECK(!coh_mutex_mine(&p->m) && coh_mutex_held(&p->m));
	CHECK_EQ(coh_mutex_trylock(&p->m), COHORT_ETIMEDOUT);
	REQUIRE_EQ(coh_mutex_lock(&p->other, COHORT_FOREVER), 0);
	CHECK_EQ(atomic_load(&p->other.robust.pair.word), (uint32_t)syscall(SYS_gettid));
	kill(getpid(), SIGKILL);
}

TEST(mutex, a_child_forked_while_it_is_held_does_not_hold_it)
{
	struct page *p = sync_page(sizeof *p);

	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	CHECK_EQ(WTERMSIG(sync_join(sync_fork(look_at_the_parents, p))), SIGKILL);
	CHECK(coh_mutex_mine(&p->m));
	CHECK_EQ(coh_mutex_trylock(&p->other), COHORT_EOWNERDEAD);
	coh_mutex_unlock(&p->m);
	coh_mutex_unlock(&p->other);
}

static void lock_once(void *arg)
{
	struct page *p = arg;

	p->ready++;
	CHECK_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	p->told++;
	coh_mutex_unlock(&p->m);
}

/* Killed sleepers are no sleepers: those that live get it. */
TEST(mutex, killed_sleepers_keep_nobody_out)
{
	struct page *p = sync_page(sizeof *p);
	pid_t pids[6];

	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	for (int i = 0; i < 6; i++) {
		pids[i] = sync_fork(lock_once, p);
		SYNC_AWAIT(p->ready == i + 1);
		sync_await_state(pids[i], 'S');
	}
	for (int i = 0; i < 6; i += 2)
		kill_and_join(pids[i]);
	coh_mutex_unlock(&p->m);
	for (int i = 1; i < 6; i += 2)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(p->told, 3);
}

TEST(mutex, a_stopped_waiter_keeps_nobody_out)
{
	struct page *p = sync_page(sizeof *p);
	pid_t stopped, other;

	REQUIRE_EQ(coh_mutex_lock(&p->m, COHORT_FOREVER), 0);
	stopped = sync_fork(lock_once, p);
	SYNC_AWAIT(p->ready == 1);
	sync_await_state(stopped, 'S');
	kill(stopped, SIGSTOP);
	sync_await_state(stopped, 'T');
	other = sync_fork(lock_once, p);
	SYNC_AWAIT(p->ready == 2);
	sync_await_state(other, 'S');
	coh_mutex_unlock(&p->m);
	CHECK_EQ(sync_join(other), 0);
	CHECK_EQ(p->told, 1);
	kill(stopped, SIGCONT);
	CHECK_EQ(sync_join(stopped), 0);
}
