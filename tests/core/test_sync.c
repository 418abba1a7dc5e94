/*
 * test_sync.c - locks and their kin where the world is rough: bad input, signals, stopped
 * processes, fork and exec in the middle, the dead of a crowd (the living: test_sync_crowd.c).
 */
#include "core/sync_page.h"
#include "support/test.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SOON cohort_in(test_span(15 * COHORT_SECOND))
#define CROWD 200

static struct cohort_lock *lock;
static struct cohort_semaphore *semaphore;
static struct cohort_condition *condition;
static struct cohort_event *event;
static struct cohort_barrier *barrier;
static struct cohort_rwlock *rwlock;
static struct cohort_queue *queue;

static struct {
	_Atomic int here, done;
	int plain;
} *board;

static void open_all(unsigned parties)
{
	struct cohort_semaphore_options s = {.value = 2};
	struct cohort_barrier_options b = {.parties = parties};

	board = sync_page(sizeof *board);
	REQUIRE(cohort_lock_open(&lock, "local:", NULL, NULL) == 0);
	REQUIRE(cohort_semaphore_open(&semaphore, "local:", &s, NULL) == 0);
	REQUIRE(cohort_condition_open(&condition, "local:", NULL, NULL) == 0);
	REQUIRE(cohort_event_open(&event, "local:", NULL, NULL) == 0);
	REQUIRE(cohort_barrier_open(&barrier, "local:", &b, NULL) == 0);
	REQUIRE(cohort_rwlock_open(&rwlock, "local:", NULL, NULL) == 0);
}

static void close_all(void)
{
	cohort_lock_close(lock);
	cohort_semaphore_close(semaphore);
	cohort_condition_close(condition);
	cohort_event_close(event);
	cohort_barrier_close(barrier);
	cohort_rwlock_close(rwlock);
}

/* ---- bad input ---- */

#define REFUSES(kind, address, options, want, part)                                         \
	do {                                                                                \
		struct cohort_##kind *h_ = NULL;                                            \
		struct cohort_error e_ = {0};                                               \
		CHECK_EQ(cohort_##kind##_open(&h_, address, options, &e_), want);           \
		CHECK_EQ(e_.code, want);                                                    \
		CHECK_HAS(e_.text, part);                                                   \
		CHECK(h_ == NULL);                                                          \
	} while (0)

TEST(sync, absurd_numbers_are_refused)
{
	struct cohort_barrier_options none = {.parties = 0}, many = {.parties = 1025};
	struct cohort_barrier_options early = {.parties = 2, .timeout = -1};
	struct cohort_semaphore_options huge = {.value = 1u << 31};

	REFUSES(barrier, "local:", &none, COHORT_EARGUMENT, "0 parties, allowed are 1 to 1024");
	REFUSES(barrier, "local:", NULL, COHORT_EARGUMENT, "0 parties, allowed are 1 to 1024");
	REFUSES(barrier, "local:", &many, COHORT_EARGUMENT, "1025 parties");
	REFUSES(barrier, "local:", &early, COHORT_EARGUMENT, "timeout");
	REFUSES(semaphore, "local:", &huge, COHORT_EARGUMENT, "2147483648 permits");
}

TEST(sync, bad_addresses_are_refused)
{
	struct cohort_event_options attach = {.open = COHORT_OPEN_ATTACH};
	struct cohort_lock_options attach_lock = {.open = COHORT_OPEN_ATTACH};
	struct cohort_barrier_options two = {.parties = 2};

	REFUSES(lock, "local:no-such-lock-here", &attach_lock, -ENOENT, "no-such-lock-here");
	REFUSES(event, "local:no-such-event-here", &attach, -ENOENT, "no-such-event-here");
	REFUSES(lock, "local:a/b", NULL, COHORT_ENAME, "a/b");
	REFUSES(semaphore, "local:..", NULL, COHORT_ENAME, "..");
	REFUSES(rwlock, "inherit:nothing", NULL, -ENOENT, "nothing");
	REFUSES(condition, "elsewhere:x", NULL, COHORT_EADDRESS, "elsewhere:x");
	REFUSES(barrier, "tcp://127.0.0.1:1/b", &two, COHORT_ENOTSUP, "tcp");
}

#define ATTACHES_NO_ONE_WITHOUT_A_NAME(kind, ...)                                                   \
	do {                                                                                        \
		struct cohort_##kind##_options o_ = {__VA_ARGS__};                                  \
		o_.open = COHORT_OPEN_ATTACH;                                                       \
		REFUSES(kind, "local:", &o_, COHORT_ENOTSUP, "attach local:NAME, or inherit:NAME"); \
		o_.open = COHORT_OPEN_CREATE;                                                       \
		REFUSES(kind, "inherit:x", &o_, COHORT_ENOTSUP, "make one at local: or local:NAME"); \
	} while (0)

TEST(sync, what_has_no_name_cannot_be_attached_nor_what_is_inherited_be_made)
{
	ATTACHES_NO_ONE_WITHOUT_A_NAME(lock, 0);
	ATTACHES_NO_ONE_WITHOUT_A_NAME(semaphore, 0);
	ATTACHES_NO_ONE_WITHOUT_A_NAME(condition, 0);
	ATTACHES_NO_ONE_WITHOUT_A_NAME(event, 0);
	ATTACHES_NO_ONE_WITHOUT_A_NAME(barrier, .parties = 2);
	ATTACHES_NO_ONE_WITHOUT_A_NAME(rwlock, 0);
	ATTACHES_NO_ONE_WITHOUT_A_NAME(queue, 0);
}

TEST(sync, what_is_attached_must_be_what_it_was_made)
{
	struct cohort_lock_options again = {.recursive = 1};
	struct cohort_semaphore_options three = {.value = 3}, four = {.value = 4};
	struct cohort_semaphore_options bound = {.value = 3, .bounded = 1};
	struct cohort_barrier_options two = {.parties = 2}, five = {.parties = 5};
	struct cohort_semaphore *s, *t;
	struct cohort_barrier *b;
	char l_at[64], s_at[64], b_at[64];

	snprintf(l_at, sizeof l_at, "local:agree-l-%d", (int)getpid());
	snprintf(s_at, sizeof s_at, "local:agree-s-%d", (int)getpid());
	snprintf(b_at, sizeof b_at, "local:agree-b-%d", (int)getpid());
	REQUIRE(cohort_lock_open(&lock, l_at, NULL, NULL) == 0);
	REQUIRE(cohort_semaphore_open(&s, s_at, &three, NULL) == 0);
	REQUIRE(cohort_barrier_open(&b, b_at, &two, NULL) == 0);
	REFUSES(lock, l_at, &again, COHORT_EARGUMENT, "made not recursive");
	REFUSES(semaphore, s_at, &four, COHORT_EARGUMENT, "made with 3 permits, and is opened with 4");
	REFUSES(semaphore, s_at, &bound, COHORT_EARGUMENT, "bounded");
	REFUSES(barrier, b_at, &five, COHORT_EARGUMENT, "made for 2 parties, and is opened for 5");
	REFUSES(event, l_at, NULL, COHORT_ESEGMENT, "lock");
	REQUIRE(cohort_semaphore_open(&t, s_at, NULL, NULL) == 0); /* taken as it is */
	CHECK_EQ(cohort_semaphore_value(t), 3);
	cohort_semaphore_close(t);
	cohort_semaphore_close(s);
	cohort_barrier_close(b);
	cohort_lock_close(lock);
}

TEST(sync, a_condition_knows_its_lock)
{
	struct cohort_condition_options mine = {0}, other = {0};
	struct cohort_lock *second;
	char at[64];

	snprintf(at, sizeof at, "local:its-lock-%d", (int)getpid());
	REQUIRE(cohort_lock_open(&lock, "local:", NULL, NULL) == 0);
	REQUIRE(cohort_lock_open(&second, "local:", NULL, NULL) == 0);
	mine.lock = lock;
	other.lock = second;
	REQUIRE(cohort_condition_open(&condition, at, &mine, NULL) == 0);
	REFUSES(condition, at, &other, COHORT_EARGUMENT, "another lock");
	REFUSES(condition, at, NULL, COHORT_EARGUMENT, "a caller's lock");
	cohort_condition_close(condition);
	REQUIRE(cohort_condition_open(&condition, at, NULL, NULL) == 0);
	REFUSES(condition, at, &mine, COHORT_EARGUMENT, "its own lock");
	cohort_condition_close(condition);
	cohort_lock_close(second);
	cohort_lock_close(lock);
}

static int open_each(void *arg)
{
	struct cohort_semaphore *s;
	struct cohort_condition *c;
	int rc = cohort_semaphore_open(&s, "local:", NULL, NULL);

	(void)arg;
	if (rc != 0)
		return rc;
	rc = cohort_condition_open(&c, "local:", NULL, NULL);
	cohort_semaphore_close(s);
	if (rc == 0)
		cohort_condition_close(c);
	return rc;
}

TEST(sync, any_allocation_may_fail)
{
	test_every_allocation(open_each, NULL);
}

TEST(sync, close_takes_nothing_and_gives_back_what_is_held)
{
	struct cohort_lock *second;
	char at[64];

	close_all(); /* of NULL */
	snprintf(at, sizeof at, "local:held-%d", (int)getpid());
	REQUIRE(cohort_lock_open(&lock, at, NULL, NULL) == 0);
	REQUIRE(cohort_lock_open(&second, at, NULL, NULL) == 0);
	CHECK_EQ(cohort_lock_acquire(second, COHORT_NOW), 0);
	cohort_lock_close(second);
	CHECK_EQ(cohort_lock_acquire(lock, COHORT_NOW), COHORT_EOWNERDEAD);
	CHECK_EQ(cohort_lock_release(lock), 0);
	cohort_lock_close(lock);
}

TEST(sync, a_semaphore_that_is_closed_gives_back_its_permits)
{
	struct cohort_semaphore_options two = {.value = 2};
	struct cohort_semaphore *s, *t;
	char at[64];

	snprintf(at, sizeof at, "local:permits-%d", (int)getpid());
	REQUIRE(cohort_semaphore_open(&s, at, &two, NULL) == 0);
	REQUIRE(cohort_semaphore_open(&t, at, &two, NULL) == 0);
	CHECK_EQ(cohort_semaphore_acquire(s, COHORT_NOW), 0);
	CHECK_EQ(cohort_semaphore_acquire(t, COHORT_NOW), 0);
	cohort_semaphore_close(t);
	CHECK_EQ(cohort_semaphore_value(s), 1);
	CHECK_EQ(cohort_semaphore_release(s, 1), 0);
	CHECK_EQ(cohort_semaphore_value(s), 2);
	cohort_semaphore_close(s);
}

/* ---- signals ---- */

static _Atomic int interrupts;

static void interrupt(int signal)
{
	(void)signal;
	atomic_fetch_add(&interrupts, 1);
}

static void set_in_handler(int signal)
{
	(void)signal;
	cohort_event_set(event);
	cohort_event_clear(event);
	cohort_event_set(event);
}

/* SIGALRM comes every SPAN microseconds (0: no more), and HANDLER runs; calls are not restarted. */
static void storm(void (*handler)(int), long span)
{
	struct sigaction sa = {.sa_handler = handler};
	struct itimerval t = {{0, span}, {0, span}};

	if (span == 0)
		setitimer(ITIMER_REAL, &t, NULL);
	sigaction(SIGALRM, &sa, NULL);
	if (span > 0)
		setitimer(ITIMER_REAL, &t, NULL);
}

static void hold_all(void *arg)
{
	(void)arg;
	if (cohort_lock_acquire(lock, SOON) != 0 || cohort_rwlock_write(rwlock, SOON) != 0 ||
	    cohort_semaphore_acquire(semaphore, SOON) != 0 ||
	    cohort_semaphore_acquire(semaphore, SOON) != 0)
		_exit(1);
	atomic_store(&board->here, 1);
	SYNC_AWAIT(atomic_load(&board->done));
	_exit(0);
}

TEST(sync, signals_do_not_end_a_wait)
{
	cohort_time until;
	pid_t pid;

	open_all(2);
	pid = sync_fork(hold_all, NULL);
	SYNC_AWAIT(atomic_load(&board->here));
	CHECK_EQ(cohort_condition_acquire(condition, COHORT_NOW), 0);
	storm(interrupt, 500);
	until = cohort_in(50 * COHORT_MS);
	CHECK_EQ(cohort_lock_acquire(lock, until), COHORT_ETIMEDOUT);
	CHECK(cohort_now() >= until);
	CHECK_EQ(cohort_rwlock_read(rwlock, cohort_in(20 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_rwlock_write(rwlock, cohort_in(20 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_semaphore_acquire(semaphore, cohort_in(20 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_event_wait(event, cohort_in(20 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_condition_wait(condition, cohort_in(20 * COHORT_MS)), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_barrier_wait(barrier, cohort_in(20 * COHORT_MS)), COHORT_ETIMEDOUT);
	storm(SIG_IGN, 0);
	CHECK(atomic_load(&interrupts) > 5);
	CHECK_EQ(cohort_condition_release(condition), 0);
	atomic_store(&board->done, 1);
	CHECK_EQ(sync_join(pid), 0);
	close_all();
}

/* ---- the timeout of a barrier ---- */

static struct cohort_barrier *impatient(cohort_time timeout)
{
	struct cohort_barrier_options o = {.parties = 3, .timeout = timeout};
	struct cohort_barrier *b = NULL;

	REQUIRE_EQ(cohort_barrier_open(&b, "local:", &o, NULL), 0);
	return b;
}

/* Its deadline is far away: only another's can end its wait. */
static void wait_to_be_told(void *arg)
{
	cohort_time until = SOON;

	CHECK_EQ(cohort_barrier_wait(arg, until), COHORT_EBARRIER);
	CHECK(cohort_now() < until);
}

TEST(barrier, timeout_ends_a_wait_without_a_deadline_and_breaks_it_for_all)
{
	struct cohort_barrier *b = impatient(20 * COHORT_MS);
	cohort_time begin;
	pid_t pid = sync_fork(wait_to_be_told, b);

	SYNC_AWAIT(cohort_barrier_waiting(b) == 1);
	begin = cohort_now();
	CHECK_EQ(cohort_barrier_wait(b, COHORT_FOREVER), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - begin >= 20 * COHORT_MS);
	CHECK_EQ(sync_join(pid), 0);
	CHECK_EQ(cohort_barrier_broken(b), 1);
	CHECK_EQ(cohort_barrier_wait(b, COHORT_FOREVER), COHORT_EBARRIER); /* who comes later too */
	CHECK_EQ(cohort_barrier_reset(b), 0);
	CHECK_EQ(cohort_barrier_wait(b, COHORT_FOREVER), COHORT_ETIMEDOUT); /* it is one for each wait */
	cohort_barrier_close(b);
}

TEST(barrier, timeout_changes_no_deadline_that_is_given)
{
	struct cohort_barrier *patient = impatient(3600 * COHORT_SECOND), *b = impatient(COHORT_MS);
	cohort_time until = cohort_in(20 * COHORT_MS);

	CHECK_EQ(cohort_barrier_wait(patient, until), COHORT_ETIMEDOUT);
	CHECK(cohort_now() >= until);
	CHECK_EQ(cohort_barrier_broken(patient), 1);
	until = cohort_in(50 * COHORT_MS); /* later than it */
	CHECK_EQ(cohort_barrier_wait(b, until), COHORT_ETIMEDOUT);
	CHECK(cohort_now() >= until);
	cohort_barrier_close(patient);
	cohort_barrier_close(b);
}

/* A handler sets the event while what it interrupts sets, clears and awaits the very same. */
TEST(event, set_in_a_signal_handler_meets_whatever_it_interrupts)
{
	cohort_time until = cohort_in(300 * COHORT_MS);
	int waits = 0;

	REQUIRE(cohort_event_open(&event, "local:", NULL, NULL) == 0);
	storm(set_in_handler, 200);
	while (cohort_now() < until) {
		cohort_event_clear(event);
		CHECK_EQ(cohort_event_wait(event, SOON), 0); /* the handler's */
		cohort_event_set(event);
		waits++;
	}
	storm(SIG_IGN, 0);
	CHECK(waits > 0);
	cohort_event_close(event);
}

/* ---- stopped, forked, turned into another program ---- */

static void wait_at_each(void *arg)
{
	(void)arg;
	if (cohort_condition_acquire(condition, SOON) != 0)
		_exit(1);
	atomic_fetch_add(&board->here, 1);
	if (cohort_condition_wait(condition, SOON) != 0)
		_exit(2);
	cohort_condition_release(condition);
	atomic_fetch_add(&board->done, 1);
	_exit(cohort_event_wait(event, SOON) == 0 ? 0 : 3);
}

TEST(sync, a_stopped_waiter_holds_up_nobody)
{
	pid_t stopped, lively;

	open_all(2);
	stopped = sync_fork(wait_at_each, NULL);
	lively = sync_fork(wait_at_each, NULL);
	SYNC_AWAIT(atomic_load(&board->here) == 2);
	REQUIRE_EQ(cohort_condition_acquire(condition, SOON), 0);
	kill(stopped, SIGSTOP);
	REQUIRE(sync_await_state(stopped, 'T'));
	CHECK_EQ(cohort_condition_notify_all(condition), 2);
	CHECK_EQ(cohort_condition_release(condition), 0);
	CHECK_EQ(cohort_event_set(event), 0);
	CHECK_EQ(sync_join(lively), 0);
	CHECK_EQ(atomic_load(&board->done), 1);
	kill(stopped, SIGCONT);
	CHECK_EQ(sync_join(stopped), 0);
	close_all();
}

/* It was told, and could not act on it: stopped first, then killed. */
TEST(condition, what_was_told_to_one_who_died_is_told_to_another)
{
	pid_t first, second;

	open_all(2);
	first = sync_fork(wait_at_each, NULL);
	SYNC_AWAIT(atomic_load(&board->here) == 1);
	REQUIRE_EQ(cohort_condition_acquire(condition, SOON), 0); /* it waits, and its turn is first */
	kill(first, SIGSTOP);
	REQUIRE(sync_await_state(first, 'T'));
	CHECK_EQ(cohort_condition_release(condition), 0);
	second = sync_fork(wait_at_each, NULL);
	SYNC_AWAIT(atomic_load(&board->here) == 2);
	REQUIRE_EQ(cohort_condition_acquire(condition, SOON), 0);
	CHECK_EQ(cohort_condition_notify(condition, 1), 1);
	CHECK_EQ(cohort_condition_release(condition), 0);
	kill(first, SIGKILL);
	CHECK(WIFSIGNALED(sync_join(first)));
	SYNC_AWAIT(atomic_load(&board->done) == 1);
	CHECK_EQ(cohort_event_set(event), 0);
	CHECK_EQ(sync_join(second), 0);
	close_all();
}

/* Who holds something and forks has a child that does not hold it. */
TEST(sync, a_forked_child_holds_nothing_of_its_parent)
{
	pid_t pid;

	open_all(2);
	REQUIRE_EQ(cohort_lock_acquire(lock, COHORT_NOW), 0);
	REQUIRE_EQ(cohort_rwlock_read(rwlock, COHORT_NOW), 0);
	REQUIRE_EQ(cohort_semaphore_acquire(semaphore, COHORT_NOW), 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		CHECK_EQ(cohort_lock_release(lock), COHORT_ENOTOWNER);
		CHECK_EQ(cohort_lock_acquire(lock, COHORT_NOW), COHORT_ETIMEDOUT);
		CHECK_EQ(cohort_rwlock_release(rwlock), COHORT_ENOTOWNER);
		CHECK_EQ(cohort_rwlock_read(rwlock, COHORT_NOW), 0);
		CHECK_EQ(cohort_semaphore_value(semaphore), 1);
		close_all();
		_exit(0);
	}
	CHECK_EQ(sync_join(pid), 0);
	CHECK_EQ(cohort_rwlock_locked(rwlock), 1);
	CHECK_EQ(cohort_semaphore_value(semaphore), 1);
	CHECK_EQ(cohort_lock_release(lock), 0);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
	CHECK_EQ(cohort_semaphore_release(semaphore, 1), 0);
	close_all();
}

static void hold_and_exec(void *arg)
{
	(void)arg;
	if (cohort_lock_acquire(lock, SOON) != 0 || cohort_rwlock_write(rwlock, SOON) != 0)
		_exit(1);
	execl("/bin/true", "true", (char *)NULL);
	_exit(2);
}

TEST(sync, exec_lets_go_of_what_was_held)
{
	pid_t pid;

	open_all(2);
	pid = sync_fork(hold_and_exec, NULL);
	CHECK_EQ(sync_join(pid), 0);
	CHECK_EQ(cohort_lock_acquire(lock, COHORT_NOW), COHORT_EOWNERDEAD);
	CHECK_EQ(cohort_lock_release(lock), 0);
	CHECK_EQ(cohort_rwlock_read(rwlock, COHORT_NOW), COHORT_EOWNERDEAD);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
	close_all();
}

static void take_and_exec(void *arg)
{
	int *fed = arg;
	struct cohort_item item;

	if (cohort_queue_take(queue, &item, SOON) != 0 || dup2(fed[0], 0) != 0)
		return;
	execl("/bin/cat", "cat", (char *)NULL);
}

/* One exec in a thousand is not told (party.h): not four in a row. */
TEST(sync, exec_gives_back_what_was_taken)
{
	struct cohort_item item = {.deliveries = 0};
	int rc = COHORT_EEMPTY, fed[2];
	pid_t pid;

	REQUIRE_EQ(cohort_queue_open(&queue, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_queue_put_bytes(queue, "x", 1, COHORT_NOW), 0);
	for (int i = 0; i < 4 && rc == COHORT_EEMPTY; i++) {
		REQUIRE_EQ(pipe2(fed, O_CLOEXEC), 0);
		pid = sync_fork(take_and_exec, fed);
		close(fed[0]);
		SYNC_AWAIT(cohort_queue_size(queue) == 0);
		REQUIRE(sync_await_state(pid, 'S'));
		rc = cohort_queue_take(queue, &item, cohort_in(test_span(COHORT_SECOND)));
		CHECK_EQ(kill(pid, 0), 0); /* it lives */
		close(fed[1]);
		CHECK_EQ(sync_join(pid), 0);
	}
	CHECK_EQ(rc, 0);
	CHECK(item.deliveries >= 2);
	CHECK_EQ(cohort_queue_ack(queue, &item), 0);
	cohort_queue_close(queue, COHORT_NOW);
}

static void *read_and_exec(void *arg)
{
	(void)arg;
	if (cohort_rwlock_read(rwlock, SOON) != 0)
		_exit(1);
	execl("/bin/true", "true", (char *)NULL);
	_exit(2);
}

static void exec_in_a_thread(void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, read_and_exec, arg) != 0)
		_exit(3);
	pthread_join(t, NULL);
}

/* The kernel takes such a thread's id away before it looks at what the thread held. */
TEST(rwlock, a_reader_that_calls_exec_in_a_later_thread_vanishes)
{
	pid_t pid;

	open_all(2);
	pid = sync_fork(exec_in_a_thread, NULL);
	CHECK_EQ(sync_join(pid), 0);
	CHECK_EQ(cohort_rwlock_write(rwlock, SOON), 0);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
	close_all();
}

/* The holder forks again and again while others wait: what it holds stays its own. */
static void fork_while_holding(void *arg)
{
	(void)arg;
	for (int i = 0; i < 30; i++) {
		pid_t pid;

		if (cohort_lock_acquire(lock, SOON) != 0)
			_exit(1);
		board->plain++;
		pid = fork();
		if (pid == 0)
			_exit(0);
		sync_join(pid);
		if (cohort_lock_release(lock) != 0)
			_exit(2);
	}
	_exit(0);
}

TEST(lock, fork_by_its_holder_changes_nothing)
{
	pid_t pids[3];

	open_all(2);
	for (int i = 0; i < 3; i++)
		pids[i] = sync_fork(fork_while_holding, NULL);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(board->plain, 90);
	close_all();
}

/* ---- crowds ---- */

/* Half of a crowd at a barrier is killed while it waits: all the others are told. */
TEST_TIMEOUT(barrier, a_crowd_is_told_of_its_dead, 60)
{
	pid_t pids[CROWD / 2];
	int told = 0;

	open_all(CROWD);
	for (int i = 0; i < CROWD / 2; i++) {
		pids[i] = fork();
		REQUIRE(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(cohort_barrier_wait(barrier, SOON) == COHORT_EBARRIER ? 7 : 1);
	}
	SYNC_AWAIT(cohort_barrier_waiting(barrier) == CROWD / 2);
	for (int i = 0; i < CROWD / 2; i += 2)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < CROWD / 2; i++) {
		int status = sync_join(pids[i]);

		told += WIFEXITED(status) && WEXITSTATUS(status) == 7;
	}
	CHECK(told >= CROWD / 4);
	CHECK_EQ(cohort_barrier_broken(barrier), 1);
	close_all();
}

/* Each holder of a permit is killed, one after the other. */
TEST_TIMEOUT(semaphore, every_dead_holder_is_found, 60)
{
	struct cohort_semaphore_options one = {.value = 1};

	REQUIRE(cohort_semaphore_open(&semaphore, "local:", &one, NULL) == 0);
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		REQUIRE(pid >= 0);
		if (pid == 0) {
			if (cohort_semaphore_acquire(semaphore, SOON) != 0)
				_exit(1);
			raise(SIGKILL);
		}
		CHECK(WIFSIGNALED(sync_join(pid)));
	}
	CHECK_EQ(cohort_semaphore_acquire(semaphore, SOON), 0);
	CHECK_EQ(cohort_semaphore_release(semaphore, 1), 0);
	cohort_semaphore_close(semaphore);
}
