/*
 * test_sync_death.c - a process is killed at every step of every primitive, while two others work.
 *
 * A victim goes through all a primitive has to offer and dies at its first step; the next one at
 * its second, and so on until one gets through.  After each death the test itself uses the object
 * and looks at what must hold.  How the victim and the workers meet is another way each time, so it
 * is done again until enough have died.
 */
#include "core/sync_page.h"
#include "support/test.h"
#include "sync/fault.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))
#define MOMENT cohort_in(2 * COHORT_MS)
#define WORKERS 2
#define DEATHS 250 /* least, of each primitive */
#define PERMITS 3

struct board {
	_Atomic int stop, done[WORKERS];
	int first, second; /* guarded; equal but in the middle of a change */
};

static struct board *board;
static struct cohort_lock *lock, *rlock;
static struct cohort_semaphore *semaphore, *bounded;
static struct cohort_condition *condition;
static struct cohort_event *event;
static struct cohort_barrier *barrier;
static struct cohort_rwlock *rwlock;

/* A primitive: what a victim does once, a worker again and again, and the test after each death. */
struct trial {
	void (*victim)(void), (*worker)(void), (*look)(void);
};

static bool have(int rc)
{
	return rc == 0 || rc == COHORT_EOWNERDEAD;
}

/* A change in two steps of what the lock guards; a dead one's half is put right first. */
static void change(int rc)
{
	if (rc == COHORT_EOWNERDEAD)
		board->second = board->first;
	CHECK_EQ(board->first, board->second);
	board->first++;
	COH_FAULT("test.change.half");
	board->second++;
}

static void be_worker(const struct trial *t, int i)
{
	while (!atomic_load(&board->stop)) {
		t->worker();
		atomic_fetch_add(&board->done[i], 1);
	}
}

/* A victim that dies at its N-th step of those that begin with PREFIX; false when it had no so many. */
static bool dies(const struct trial *t, const char *prefix, unsigned long n)
{
	pid_t pid = fork();
	int status;

	REQUIRE(pid >= 0);
	if (pid == 0) {
		coh_fault_arm(prefix, n);
		t->victim();
		_exit(0);
	}
	status = sync_join(pid);
	if (!WIFSIGNALED(status)) {
		CHECK_EQ(WEXITSTATUS(status), 0);
		return false;
	}
	CHECK_EQ(WTERMSIG(status), SIGKILL);
	return true;
}

/* How far a step is depends on who died before, so there may be one that is passed over each time. */
static void try_spared(const struct trial *t)
{
	const char *names[512];
	int n = coh_fault_spared(names, 512);

	for (int i = 0; i < n; i++)
		for (int tries = 0; tries < 20; tries++) {
			bool died = dies(t, names[i], 1);

			t->look();
			if (died)
				break;
		}
}

static void try_deaths(const struct trial *t)
{
	pid_t workers[WORKERS];
	int deaths = 0, status = 0;

	coh_fault_share();
	board = sync_page(sizeof *board);
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		REQUIRE(workers[i] >= 0);
		if (workers[i] == 0) {
			be_worker(t, i);
			_exit(0);
		}
	}
	while (deaths < DEATHS)
		for (unsigned long n = 1; dies(t, "", n); n++) {
			t->look();
			deaths++;
		}
	try_spared(t);
	for (int i = 0; i < WORKERS; i++) {
		int before = atomic_load(&board->done[i]);

		SYNC_AWAIT((t->look(), atomic_load(&board->done[i]) > before));
	}
	atomic_store(&board->stop, 1);
	for (int i = 0; i < WORKERS; i++) {
		SYNC_AWAIT((t->look(), waitpid(workers[i], &status, WNOHANG) != 0));
		CHECK_EQ(status, 0);
	}
}

/* ---- lock ---- */

static void lock_victim(void)
{
	int rc = cohort_lock_acquire(lock, SOON);

	if (!have(rc))
		_exit(1);
	change(rc);
	cohort_lock_release(lock);
	if (have(cohort_lock_acquire(lock, COHORT_NOW)))
		cohort_lock_release(lock);
	for (int i = 0; i < 2; i++)
		if (!have(cohort_lock_acquire(rlock, SOON)))
			_exit(2);
	for (int i = 0; i < 2; i++)
		cohort_lock_release(rlock);
	if (have(cohort_lock_acquire(rlock, SOON)))
		cohort_lock_close(rlock); /* held: as good as dead */
}

static void lock_worker(void)
{
	int rc = cohort_lock_acquire(lock, COHORT_FOREVER);

	if (!have(rc))
		_exit(1);
	change(rc);
	cohort_lock_release(lock);
	if (!have(cohort_lock_acquire(rlock, COHORT_FOREVER)))
		_exit(2);
	cohort_lock_release(rlock);
}

static void lock_look(void)
{
	int rc = cohort_lock_acquire(lock, SOON);

	REQUIRE(have(rc));
	change(rc);
	CHECK_EQ(cohort_lock_release(lock), 0);
	CHECK_EQ(cohort_lock_release(lock), COHORT_ENOTOWNER);
}

TEST_TIMEOUT(death, a_lock_outlives_its_holders_at_every_step, 100)
{
	static const struct trial t = {lock_victim, lock_worker, lock_look};
	struct cohort_lock_options again = {.recursive = 1};

	REQUIRE(cohort_lock_open(&lock, "local:", NULL, NULL) == 0);
	REQUIRE(cohort_lock_open(&rlock, "local:", &again, NULL) == 0);
	try_deaths(&t);
	cohort_lock_close(lock);
	cohort_lock_close(rlock);
}

/* ---- semaphore ---- */

static void semaphore_victim(void)
{
	for (int i = 0; i < 2; i++)
		if (cohort_semaphore_acquire(semaphore, MOMENT) == 0 && i == 0)
			cohort_semaphore_release(semaphore, 1);
	if (cohort_semaphore_acquire(bounded, MOMENT) == 0)
		(void)cohort_semaphore_release(bounded, 2); /* one for another, if one has any */
	(void)cohort_semaphore_value(semaphore);
}

static void semaphore_worker(void)
{
	if (cohort_semaphore_acquire(semaphore, COHORT_FOREVER) != 0)
		_exit(1);
	if (cohort_semaphore_acquire(bounded, COHORT_FOREVER) != 0)
		_exit(2);
	if (cohort_semaphore_release(semaphore, 1) != 0)
		_exit(3);
	(void)cohort_semaphore_release(bounded, 1); /* a victim may have been before us */
}

static void semaphore_look(void)
{
	CHECK_EQ(cohort_semaphore_acquire(semaphore, SOON), 0);
	CHECK(cohort_semaphore_value(semaphore) < PERMITS);
	CHECK_EQ(cohort_semaphore_release(semaphore, 1), 0);
	CHECK(cohort_semaphore_value(bounded) <= PERMITS);
}

static void all_permits_are_there(struct cohort_semaphore *s)
{
	for (int i = 0; i < PERMITS; i++)
		CHECK_EQ(cohort_semaphore_acquire(s, SOON), 0);
	CHECK_EQ(cohort_semaphore_acquire(s, cohort_in(150 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_semaphore_release(s, PERMITS), 0);
}

TEST_TIMEOUT(death, a_semaphore_gets_its_permits_back_at_every_step, 100)
{
	static const struct trial t = {semaphore_victim, semaphore_worker, semaphore_look};
	struct cohort_semaphore_options plain = {.value = PERMITS},
	                                tight = {.value = PERMITS, .bounded = 1};

	REQUIRE(cohort_semaphore_open(&semaphore, "local:", &plain, NULL) == 0);
	REQUIRE(cohort_semaphore_open(&bounded, "local:", &tight, NULL) == 0);
	try_deaths(&t);
	all_permits_are_there(semaphore);
	all_permits_are_there(bounded);
	cohort_semaphore_close(semaphore);
	cohort_semaphore_close(bounded);
}

/* ---- condition: FIRST counts what is to be done, SECOND what was ---- */

static int something_to_do(void *arg)
{
	(void)arg;
	return board->first > board->second;
}

static int condition_lock(void)
{
	int rc = cohort_condition_acquire(condition, SOON);

	if (rc == COHORT_EOWNERDEAD)
		(void)cohort_condition_notify_all(condition); /* what the dead one was told of */
	return have(rc) ? 0 : rc;
}

/* Whoever is told of something and does not do it passes that on. */
static void condition_victim(void)
{
	if (condition_lock() != 0)
		_exit(1);
	(void)cohort_condition_wait(condition, MOMENT);
	(void)cohort_condition_notify(condition, 1);
	(void)cohort_condition_wait_for(condition, something_to_do, NULL, MOMENT);
	(void)cohort_condition_notify_all(condition);
	(void)cohort_condition_release(condition);
}

static void condition_worker(void)
{
	if (condition_lock() != 0)
		_exit(1);
	while (!something_to_do(NULL) && !atomic_load(&board->stop)) {
		int rc = cohort_condition_wait(condition, COHORT_FOREVER);

		if (rc == COHORT_EOWNERDEAD)
			(void)cohort_condition_notify_all(condition);
		else if (rc != 0)
			_exit(2);
	}
	if (something_to_do(NULL))
		board->second++;
	(void)cohort_condition_release(condition);
}

static void condition_look(void)
{
	REQUIRE_EQ(condition_lock(), 0);
	board->first++;
	CHECK(cohort_condition_notify(condition, 1) >= 0);
	if (atomic_load(&board->stop))
		(void)cohort_condition_notify_all(condition);
	CHECK_EQ(cohort_condition_release(condition), 0);
	if (!atomic_load(&board->stop))
		SYNC_AWAIT(*(volatile int *)&board->first == *(volatile int *)&board->second);
}

TEST_TIMEOUT(death, a_condition_loses_no_notice_at_any_step, 100)
{
	static const struct trial t = {condition_victim, condition_worker, condition_look};

	REQUIRE(cohort_condition_open(&condition, "local:", NULL, NULL) == 0);
	try_deaths(&t);
	cohort_condition_close(condition);
}

/* ---- event ---- */

static void event_victim(void)
{
	(void)cohort_event_wait(event, MOMENT);
	cohort_event_set(event);
	(void)cohort_event_is_set(event);
	cohort_event_clear(event);
	(void)cohort_event_wait(event, COHORT_NOW);
	cohort_event_set(event);
}

static void event_worker(void)
{
	if (cohort_event_wait(event, COHORT_FOREVER) != 0)
		_exit(1);
	cohort_event_clear(event);
}

static void event_look(void)
{
	int before[WORKERS];

	for (int i = 0; i < WORKERS; i++)
		before[i] = atomic_load(&board->done[i]);
	for (int i = 0; i < WORKERS; i++)
		SYNC_AWAIT((cohort_event_set(event), atomic_load(&board->stop)) ||
		    atomic_load(&board->done[i]) > before[i]);
}

TEST_TIMEOUT(death, an_event_wakes_at_every_step, 100)
{
	static const struct trial t = {event_victim, event_worker, event_look};

	REQUIRE(cohort_event_open(&event, "local:", NULL, NULL) == 0);
	try_deaths(&t);
	cohort_event_close(event);
}

/* ---- barrier: two workers and a third ---- */

static int act(void *arg)
{
	(void)arg;
	COH_FAULT("test.act");
	return 0;
}

static void barrier_victim(void)
{
	(void)cohort_barrier_wait(barrier, SOON);
	(void)cohort_barrier_wait(barrier, cohort_in(50 * COHORT_MS));
	(void)cohort_barrier_waiting(barrier);
	for (int i = 0; i < 3; i++) /* the others cannot be back so soon each time */
		(void)cohort_barrier_wait(barrier, COHORT_NOW);
	(void)cohort_barrier_abort(barrier);
	(void)cohort_barrier_reset(barrier);
}

static void barrier_worker(void)
{
	int rc = cohort_barrier_wait(barrier, SOON);

	if (rc == COHORT_EBARRIER && cohort_barrier_broken(barrier))
		(void)cohort_barrier_reset(barrier);
	else if (rc < 0 && rc != COHORT_EBARRIER)
		_exit(1);
}

static void barrier_look(void)
{
	if (atomic_load(&board->stop))
		(void)cohort_barrier_abort(barrier);
	else
		SYNC_AWAIT(cohort_barrier_wait(barrier, SOON) >= 0);
}

TEST_TIMEOUT(death, a_barrier_breaks_or_holds_at_every_step, 100)
{
	static const struct trial t = {barrier_victim, barrier_worker, barrier_look};
	struct cohort_barrier_options o = {.parties = WORKERS + 1, .action = act};

	REQUIRE(cohort_barrier_open(&barrier, "local:", &o, NULL) == 0);
	try_deaths(&t);
	cohort_barrier_close(barrier);
}

/* ---- rwlock ---- */

static void rwlock_read_once(void)
{
	int rc = cohort_rwlock_read(rwlock, SOON);

	if (!have(rc))
		_exit(1);
	if (rc == 0 && board->first != board->second)
		_exit(2);
	cohort_rwlock_release(rwlock);
}

static void rwlock_write_once(void)
{
	int rc = cohort_rwlock_write(rwlock, SOON);

	if (!have(rc))
		_exit(3);
	change(rc);
	cohort_rwlock_release(rwlock);
}

static void rwlock_victim(void)
{
	rwlock_read_once();
	rwlock_write_once();
	if (have(cohort_rwlock_write(rwlock, COHORT_NOW)))
		cohort_rwlock_release(rwlock);
	if (have(cohort_rwlock_read(rwlock, COHORT_NOW)))
		cohort_rwlock_release(rwlock);
	if (have(cohort_rwlock_write(rwlock, SOON)))
		cohort_rwlock_close(rwlock);
}

static void rwlock_worker(void)
{
	rwlock_read_once();
	rwlock_write_once();
}

static void rwlock_look(void)
{
	int rc = cohort_rwlock_write(rwlock, SOON);

	REQUIRE(have(rc));
	CHECK_EQ(cohort_rwlock_locked(rwlock), -1);
	change(rc);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
	CHECK_EQ(cohort_rwlock_release(rwlock), COHORT_ENOTOWNER);
}

TEST_TIMEOUT(death, a_reader_writer_lock_outlives_both_at_every_step, 100)
{
	static const struct trial t = {rwlock_victim, rwlock_worker, rwlock_look};

	REQUIRE(cohort_rwlock_open(&rwlock, "local:", NULL, NULL) == 0);
	try_deaths(&t);
	CHECK_EQ(cohort_rwlock_locked(rwlock), 0);
	cohort_rwlock_close(rwlock);
}
