/*
 * test_shared_crowd.c - two hundred processes that meet at one queue and one lock by their names.
 *
 * Inherited ones without a name: test_ring.c, test_sync_crowd.c.
 */
#include "core/segment_fixture.h"
#include "core/sync_page.h"

#include "os/fd.h"
#include "work/queue_priv.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CROWD 200
#define ROUNDS 5
#define SOON cohort_in(test_span(15 * COHORT_SECOND))
#define QUEUE "local:crowd-queue"
#define LOCK "local:crowd-lock"

static struct board {
	_Atomic int here;             /* who has both open */
	_Atomic bool end;
	_Atomic int rounds[CROWD];
	int first, second;            /* guarded by the lock; equal but in the middle of a change */
} *board;

static int gate[2]; /* its end is what all of them begin at */
static struct cohort_queue *queue;
static struct cohort_lock *lock;

static void open_both(enum cohort_open how)
{
	struct cohort_queue_options q = {.open = how, .most = how == COHORT_OPEN_CREATE ? 64 : 0};
	struct cohort_lock_options l = {.open = how};
	struct cohort_error err = {0};

	if (cohort_queue_open(&queue, QUEUE, &q, &err) != 0 || cohort_lock_open(&lock, LOCK, &l, &err) != 0)
		FAIL("%s", err.text);
	REQUIRE(queue != NULL && lock != NULL);
}

static void close_both(void)
{
	cohort_queue_close(queue, COHORT_NOW);
	cohort_lock_close(lock);
	queue = NULL;
	lock = NULL;
}

/* One item in, one out, and a change under the lock. */
static void go_round(long number)
{
	long got;
	size_t n;
	int rc;

	REQUIRE_EQ(cohort_queue_put_bytes(queue, &number, sizeof number, SOON), 0);
	REQUIRE_EQ(cohort_queue_get_into(queue, &got, sizeof got, &n, SOON), 0);
	CHECK(got >= 0 && got < CROWD);
	CHECK_EQ(cohort_queue_task_done(queue), 0);
	rc = cohort_lock_acquire(lock, SOON);
	REQUIRE(rc == 0 || rc == COHORT_EOWNERDEAD);
	if (rc == COHORT_EOWNERDEAD)
		board->second = board->first;
	CHECK_EQ(board->first, board->second);
	board->first++;
	board->second++;
	CHECK_EQ(cohort_lock_release(lock), 0);
}

static void wait_at_gate(void)
{
	char byte;

	coh_fd_close(&gate[1]);
	CHECK_EQ(read(gate[0], &byte, 1), 0);
	coh_fd_close(&gate[0]);
}

static void be_one_of_many(long number)
{
	open_both(COHORT_OPEN_ATTACH);
	atomic_fetch_add(&board->here, 1);
	wait_at_gate();
	while (atomic_load(&board->rounds[number]) < ROUNDS || !atomic_load(&board->end)) {
		go_round(number);
		atomic_fetch_add(&board->rounds[number], 1);
		if (!atomic_load(&board->end))
			poll(NULL, 0, 10); /* let the others come to it */
	}
	close_both();
	_exit(0);
}

static void start_crowd(pid_t pids[CROWD])
{
	for (long i = 0; i < CROWD; i++) {
		pids[i] = fork();
		REQUIRE(pids[i] >= 0);
		if (pids[i] == 0)
			be_one_of_many(i);
	}
	SYNC_AWAIT(atomic_load(&board->here) == CROWD);
	coh_fd_close(&gate[1]);
	coh_fd_close(&gate[0]);
}

static void expect_gone(void)
{
	struct cohort_lock_options l = {.open = COHORT_OPEN_ATTACH};
	struct cohort_queue_options q = {.open = COHORT_OPEN_ATTACH};

	CHECK_EQ(cohort_lock_open(&lock, LOCK, &l, NULL), -ENOENT);
	CHECK_EQ(cohort_queue_open(&queue, QUEUE, &q, NULL), -ENOENT);
	CHECK(cohort_shared_sweep() >= 0);
	CHECK(!segment_root_there());
}

/* The last of those that had them open. */
static void expect_whole(void)
{
	const char *why = NULL;

	CHECK_EQ(coh_ring_tend(coh_queue_local_ring(queue)), 0);
	if (coh_ring_check(coh_queue_local_ring(queue), &why) != 0)
		FAIL("%s", why);
	CHECK_EQ(cohort_lock_locked(lock), 0);
}

static void begin(void)
{
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(board != MAP_FAILED && coh_fd_pipe(gate) == 0);
}

TEST_TIMEOUT(shared_crowd, two_hundred_processes_meet_by_name, 60)
{
	pid_t pids[CROWD];
	int rounds = 0;

	begin();
	open_both(COHORT_OPEN_CREATE);
	atomic_store(&board->end, true);
	start_crowd(pids);
	for (int i = 0; i < CROWD; i++) {
		CHECK_EQ(sync_join(pids[i]), 0);
		rounds += board->rounds[i];
	}
	CHECK_EQ(board->first, rounds);
	CHECK_EQ(board->second, rounds);
	CHECK_EQ(cohort_queue_size(queue), 0);
	CHECK_EQ(cohort_queue_join(queue, COHORT_NOW), 0);
	expect_whole();
	close_both();
	expect_gone();
}

static bool all_went_on(const pid_t pids[CROWD], const int before[CROWD])
{
	for (int i = 0; i < CROWD; i++)
		if (pids[i] != 0 && atomic_load(&board->rounds[i]) < before[i] + ROUNDS)
			return false;
	return true;
}

/* Half of them, wherever they are at that moment.  An item may go with each: the test puts in what the others need. */
TEST_TIMEOUT(shared_crowd, half_of_two_hundred_are_killed_and_the_others_go_on, 60)
{
	static pid_t pids[CROWD];
	static int before[CROWD];
	long number = 0;

	begin();
	open_both(COHORT_OPEN_CREATE);
	start_crowd(pids);
	for (int i = 0; i < CROWD; i += 2) {
		kill(pids[i], SIGKILL);
		CHECK(WIFSIGNALED(sync_join(pids[i])));
		pids[i] = 0;
	}
	for (int i = 0; i < CROWD; i++)
		before[i] = atomic_load(&board->rounds[i]);
	SYNC_AWAIT((cohort_queue_put_bytes(queue, &number, sizeof number, COHORT_NOW), all_went_on(pids, before)));
	atomic_store(&board->end, true);
	for (int i = 1; i < CROWD; i += 2)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(board->first, board->second);
	expect_whole();
	close_both();
	expect_gone();
}

static void make_and_die(void *arg)
{
	(void)arg;
	open_both(COHORT_OPEN_CREATE);
	wait_at_gate();
	kill(getpid(), SIGKILL);
}

static bool lock_is_there(void)
{
	struct cohort_lock_options l = {.open = COHORT_OPEN_ATTACH};

	if (cohort_lock_open(&lock, LOCK, &l, NULL) != 0)
		return false;
	cohort_lock_close(lock);
	return true;
}

/* The last of two hundred to leave takes the names of a dead maker away. */
TEST_TIMEOUT(shared_crowd, two_hundred_processes_go_on_without_the_maker, 60)
{
	pid_t pids[CROWD], maker;

	begin();
	maker = sync_fork(make_and_die, NULL);
	SYNC_AWAIT(lock_is_there());
	start_crowd(pids);
	CHECK(WIFSIGNALED(sync_join(maker)));
	open_both(COHORT_OPEN_ATTACH);
	atomic_store(&board->end, true);
	for (int i = 0; i < CROWD; i++)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(board->first, board->second);
	expect_whole();
	close_both();
	expect_gone();
}

/* ---- a run of these tests that is killed, and another one ---- */

#define LISTING 65536

/* `ls -R /dev/shm` */
static void list_shared(char text[LISTING])
{
	FILE *f = popen("ls -AR /dev/shm", "re");
	size_t n;

	REQUIRE(f != NULL);
	n = fread(text, 1, LISTING - 1, f);
	REQUIRE(n < LISTING - 1);
	text[n] = '\0';
	CHECK_EQ(pclose(f), 0);
}

/* This very program on the first test, in a group of its own; it sees the /dev/shm that we see. */
static pid_t start_run(void)
{
	static char name[] = "run", test[] = "shared_crowd/two_hundred_processes_meet_by_name";
	static char seen[] = "COHORT_TEST_SHARED=seen";
	static char *const argv[] = {name, test, NULL}, *const env[] = {seen, NULL};
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		setpgid(0, 0);
		dup2(null, STDOUT_FILENO);
		execve("/proc/self/exe", argv, env);
		_exit(99);
	}
	return pid;
}

static bool names_are_there(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/names/%s", segment_root(), &LOCK[strlen("local:")]);
	return access(path, F_OK) == 0;
}

/* Killed with all its children, somewhere after both names were made; whether something was left. */
static bool kill_run(void)
{
	struct timespec pause = {.tv_nsec = (long)test_random_below(100 * COHORT_MS)};
	pid_t pid = start_run();

	SYNC_AWAIT(names_are_there());
	(void)ppoll(NULL, 0, &pause, NULL);
	kill(-pid, SIGKILL);
	(void)sync_join(pid);
	SYNC_AWAIT(kill(-pid, 0) != 0); /* the runner waits for those that have lost their parent */
	return segment_root_there();
}

TEST_TIMEOUT(shared_run, that_is_killed_half_way_and_run_again_leaves_all_as_before, 60)
{
	static char before[LISTING], after[LISTING];
	int left = 0;

	list_shared(before);
	for (int i = 0; i < 4; i++) {
		left += kill_run();
		if (i % 2 == 0) /* what two that were killed left is one run's to clear */
			continue;
		CHECK_EQ(sync_join(start_run()), 0);
		list_shared(after);
		CHECK_STR(after, before);
	}
	CHECK(left > 0);
}
