/*
 * test_pid_reuse.c - a process dies and its pid is given to another at once: it is dead all the same.
 *
 * The kernel gives a pid that is asked for (clone3(2), set_tid) to who may ask; elsewhere there is only what test_party.c and
 * test_segment_death.c do with numbers.
 */
#include "core/segment_fixture.h"
#include "core/sync_page.h"

#include "sync/party.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))

static struct board {
	_Atomic uint64_t party;
} *board;

static bool ours; /* the process that has the pid of the dead now */

/* A process of the pid PID that does nothing: 0; -EEXIST: another one has it already; -EPERM: we may not choose. */
static int take_pid(pid_t pid)
{
	pid_t set[1] = {pid};
	struct clone_args a = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)set, .set_tid_size = 1};
	long rc = syscall(SYS_clone3, &a, sizeof a);

	if (rc == 0) /* no library was told of this fork: nothing but system calls */
		for (;;)
			pause();
	return rc > 0 ? 0 : -errno;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK(WIFSIGNALED(sync_join(pid)));
}

/* LIFE in a process that stays then; who it is. */
static pid_t start(void (*life)(void))
{
	pid_t pid;

	board->party = 0;
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		life();
		board->party = coh_party_self();
		for (;;)
			pause();
	}
	SYNC_AWAIT(board->party != 0);
	return pid;
}

/*
 * PID is killed, and another process has that pid.  False: not here.  The start of a process is told in hundredths
 * of a second, so one that follows too soon is let go again: for want of 30000 others that cannot happen otherwise.
 */
static bool replace(pid_t pid)
{
	cohort_time until = SOON;
	int rc;

	ours = false;
	end(pid);
	do {
		rc = take_pid(pid);
		if (rc == -EEXIST)
			return true; /* a stranger's: as good */
		CHECK(rc == 0 || rc == -EPERM || rc == -ENOSYS);
		if (rc != 0)
			return false;
		ours = true;
		if (!coh_party_alive(board->party))
			break;
		ours = false;
		end(pid);
	} while (cohort_now() < until);
	CHECK(ours);
	return true;
}

static void release(pid_t pid)
{
	if (ours)
		end(pid);
}

static void begin(void)
{
	board = sync_page(sizeof *board);
}

static void live(void)
{
}

TEST(pid_reuse, a_party_is_dead_while_another_has_its_pid)
{
	pid_t pid;

	begin();
	pid = start(live);
	CHECK(coh_party_alive(board->party));
	if (!replace(pid))
		return;
	CHECK(!coh_party_alive(board->party));
	release(pid);
}

static struct cohort_queue *queue;

static void take_item(void)
{
	struct cohort_item item;

	if (cohort_queue_take(queue, &item, SOON) != 0)
		_exit(1);
}

TEST(pid_reuse, an_item_comes_back_from_the_dead)
{
	pid_t pid;
	char c = 0;

	begin();
	REQUIRE_EQ(cohort_queue_open(&queue, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_queue_put_bytes(queue, "x", 1, SOON), 0);
	pid = start(take_item);
	CHECK_EQ(cohort_queue_size(queue), 0);
	if (replace(pid)) {
		CHECK_EQ(cohort_queue_get_into(queue, &c, 1, NULL, SOON), 0);
		CHECK_EQ(c, 'x');
		release(pid);
	}
	cohort_queue_close(queue, COHORT_NOW);
}

static struct cohort_semaphore *semaphore;

static void take_permit(void)
{
	if (cohort_semaphore_acquire(semaphore, SOON) != 0)
		_exit(1);
}

TEST(pid_reuse, a_permit_comes_back_from_the_dead)
{
	struct cohort_semaphore_options o = {.value = 1};
	pid_t pid;

	begin();
	REQUIRE_EQ(cohort_semaphore_open(&semaphore, "local:", &o, NULL), 0);
	pid = start(take_permit);
	CHECK_EQ(cohort_semaphore_value(semaphore), 0);
	if (replace(pid)) {
		CHECK_EQ(cohort_semaphore_acquire(semaphore, SOON), 0);
		CHECK_EQ(cohort_semaphore_release(semaphore, 1), 0);
		release(pid);
	}
	cohort_semaphore_close(semaphore);
}

static struct cohort_lock *lock;

static void take_lock(void)
{
	if (cohort_lock_acquire(lock, SOON) != 0)
		_exit(1);
}

TEST(pid_reuse, a_lock_of_the_dead_is_no_lock_of_another)
{
	pid_t pid;

	begin();
	REQUIRE_EQ(cohort_lock_open(&lock, "local:", NULL, NULL), 0);
	pid = start(take_lock);
	CHECK(cohort_lock_locked(lock));
	if (replace(pid)) {
		CHECK(!cohort_lock_locked(lock));
		CHECK_EQ(cohort_lock_acquire(lock, SOON), COHORT_EOWNERDEAD);
		CHECK_EQ(cohort_lock_release(lock), 0);
		release(pid);
	}
	cohort_lock_close(lock);
}

static void make_name(void)
{
	struct cohort_lock_options o = {.open = COHORT_OPEN_CREATE};

	if (cohort_lock_open(&lock, "local:reused", &o, NULL) != 0)
		_exit(1);
}

TEST(pid_reuse, a_name_goes_with_its_maker)
{
	struct cohort_lock_options o = {.open = COHORT_OPEN_ATTACH};
	pid_t pid;

	begin();
	pid = start(make_name);
	CHECK(segment_root_there());
	if (replace(pid)) {
		CHECK_EQ(cohort_lock_open(&lock, "local:reused", &o, NULL), -ENOENT);
		release(pid);
	}
	CHECK(cohort_shared_sweep() >= 0);
	CHECK(!segment_root_there());
}
