/*
 * test_sync_mend.c - one process dies in the middle of a primitive, and who comes next dies of putting that right.
 *
 * The second dies at its first step, in the next round at its second, and so on until one gets through; there is no third, so
 * that each of those steps is met by somebody.  After each round the test itself looks.
 */
#include "core/segment_fixture.h"
#include "core/sync_page.h"
#include "sync/fault.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <stdatomic.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))
#define WHILE cohort_in(50 * COHORT_MS) /* enough to come to any step, on a machine that is busy too */
#define SURVIVORS 3 /* then it is believed that there are no more steps */

static struct board {
	_Atomic int stage;
	_Atomic bool released;
} *board;

/* The process of LIFE, which dies at the Nth point of PREFIX. */
static pid_t start(void (*life)(void), const char *prefix, unsigned long n)
{
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		coh_fault_arm(prefix, n);
		life();
		_exit(0);
	}
	return pid;
}

/* Whether it died. */
static bool ended(pid_t pid)
{
	int status = sync_join(pid);

	CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	return status != 0;
}

static bool have(int rc)
{
	return rc == 0 || rc == COHORT_EOWNERDEAD;
}

/* What a round is made of: FIRST, if any, dies at POINT; SECOND dies at each step in turn; LOOK is told whether it did. */
struct trial {
	void (*first)(void);
	const char *point;
	void (*second)(void);
	const char *prefix; /* of the steps of SECOND that count; others' are tried elsewhere */
	void (*look)(bool died);
	unsigned long steps; /* that SECOND has at least */
};

static void try_mending(const struct trial *t)
{
	unsigned long deaths = 0;

	board = sync_page(sizeof *board);
	for (unsigned long n = 1, survived = 0; survived < SURVIVORS; n++) {
		bool died;

		board->released = false;
		if (t->first != NULL)
			CHECK(ended(start(t->first, t->point, 1)));
		died = ended(start(t->second, t->prefix, n));
		t->look(died);
		deaths += died;
		survived += !died;
	}
	if (deaths < t->steps)
		FAIL("after %s there were only %lu steps", t->point, deaths);
}

/* ---- semaphore ---- */

static struct cohort_semaphore *semaphore;

static void take_and_die(void)
{
	CHECK_EQ(cohort_semaphore_acquire(semaphore, SOON), 0);
	COH_FAULT("test.has");
}

static void take_and_close(void)
{
	CHECK_EQ(cohort_semaphore_acquire(semaphore, SOON), 0);
	cohort_semaphore_close(semaphore);
}

static void semaphore_look(bool died)
{
	(void)died;
	CHECK_EQ(cohort_semaphore_acquire(semaphore, SOON), 0);
	CHECK_EQ(cohort_semaphore_value(semaphore), 0);
	CHECK_EQ(cohort_semaphore_release(semaphore, 1), 0);
}

TEST_TIMEOUT(mending, a_semaphore_gets_back_what_two_dead_had, 100)
{
	static const char *const at[] = {"test.has", "semaphore.take.row"};
	struct cohort_semaphore_options o = {.value = 1, .bounded = 1};

	for (int i = 0; i < 2; i++) {
		struct trial t = {take_and_die, at[i], take_and_close, "semaphore.", semaphore_look, 10};

		REQUIRE_EQ(cohort_semaphore_open(&semaphore, "local:", &o, NULL), 0);
		try_mending(&t);
		cohort_semaphore_close(semaphore);
	}
}

/* ---- condition ---- */

static struct cohort_condition *condition;

static void wait_to_be_told(void)
{
	if (!have(cohort_condition_acquire(condition, SOON)))
		_exit(1);
	board->stage++;
	for (;;) {
		int rc = cohort_condition_wait(condition, SOON);

		if (rc == 0 || rc == COHORT_EOWNERDEAD) /* what the dead one did is to be looked at */
			break;
		_exit(2);
	}
	(void)cohort_condition_release(condition);
}

static void tell(void)
{
	if (!have(cohort_condition_acquire(condition, SOON)))
		_exit(1);
	(void)cohort_condition_notify(condition, 1);
	(void)cohort_condition_release(condition);
}

static bool is_dead(pid_t pid)
{
	siginfo_t info = {0};

	REQUIRE(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
	return info.si_pid == pid;
}

/* Of three that wait two are killed when they are told; somebody dies telling; the third hears of it all the same. */
static bool dies_telling(const char *prefix, unsigned long n)
{
	pid_t dead[2], waiter, teller;
	int rc;
	bool died;

	board->stage = 0;
	for (int i = 0; i < 2; i++) {
		dead[i] = start(wait_to_be_told, "condition.wait.woken", 1);
		SYNC_AWAIT(board->stage == i + 1 && sync_state(dead[i]) == 'S');
	}
	waiter = start(wait_to_be_told, "", 0);
	SYNC_AWAIT(board->stage == 3 && sync_state(waiter) == 'S');
	tell();
	tell();
	SYNC_AWAIT(is_dead(dead[0]) || is_dead(dead[1]));
	teller = start(tell, prefix, n);
	died = ended(teller);
	for (int i = 0; i < 2; i++)
		if (waitpid(dead[i], NULL, WNOHANG) == 0) { /* the waiter was told in its place */
			kill(dead[i], SIGKILL);
			(void)ended(dead[i]);
		}
	SYNC_AWAIT((tell(), waitpid(waiter, &rc, WNOHANG) != 0));
	CHECK_EQ(rc, 0);
	return died;
}

TEST_TIMEOUT(mending, a_condition_passes_on_what_the_dead_were_told, 100)
{
	unsigned long deaths = 0;
	bool buried = false;

	board = sync_page(sizeof *board);
	REQUIRE_EQ(cohort_condition_open(&condition, "local:", NULL, NULL), 0);
	for (unsigned long n = 1, survived = 0; survived < 4 * SURVIVORS; n++) {
		bool died = dies_telling("", n); /* how far it goes depends on who of the others was told */

		deaths += died;
		survived += !died;
	}
	CHECK(deaths > 10);
	for (int tries = 0; tries < 50 && !buried; tries++)
		buried = dies_telling("condition.bury.", 1);
	CHECK(buried);
	cohort_condition_close(condition);
}

/* ---- rwlock ---- */

static struct cohort_rwlock *rwlock;

static void read_and_die(void)
{
	CHECK(have(cohort_rwlock_read(rwlock, SOON)));
}

static void write_and_die(void)
{
	CHECK(have(cohort_rwlock_write(rwlock, SOON)));
	COH_FAULT("test.has");
}

static void write_and_release(void)
{
	CHECK(have(cohort_rwlock_write(rwlock, SOON)));
	board->released = true;
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
}

static void look_after_reader(bool died)
{
	(void)died;
	CHECK(have(cohort_rwlock_write(rwlock, SOON)));
	CHECK_EQ(cohort_rwlock_locked(rwlock), -1);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
}

/* What the dead writer left is told until somebody has put it right. */
static void look_after_writer(bool died)
{
	int rc = cohort_rwlock_read(rwlock, SOON);

	CHECK(have(rc));
	if (!board->released)
		CHECK_EQ(rc, COHORT_EOWNERDEAD);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
	look_after_reader(died);
}

TEST_TIMEOUT(mending, a_reader_writer_lock_is_taken_over_from_two_dead, 100)
{
	static const struct trial reader = {
	    read_and_die, "rwlock.read.done", write_and_release, "", look_after_reader, 20};
	static const struct trial writer = {write_and_die, "test.has", write_and_release, "", look_after_writer, 10};

	REQUIRE_EQ(cohort_rwlock_open(&rwlock, "local:", NULL, NULL), 0);
	try_mending(&reader);
	try_mending(&writer);
	cohort_rwlock_close(rwlock);
}

static void write_in_vain(void)
{
	int rc = cohort_rwlock_write(rwlock, WHILE);

	CHECK_EQ(rc, COHORT_ETIMEDOUT);
}

/* The test itself reads. */
static void look_and_read_on(bool died)
{
	(void)died;
	CHECK_EQ(cohort_rwlock_locked(rwlock), 1);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
	look_after_reader(died);
	CHECK_EQ(cohort_rwlock_read(rwlock, SOON), 0);
}

TEST_TIMEOUT(mending, a_writer_that_dies_waiting_holds_up_nobody, 100)
{
	static const struct trial t = {NULL, "nobody", write_in_vain, "", look_and_read_on, 10};

	REQUIRE_EQ(cohort_rwlock_open(&rwlock, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_rwlock_read(rwlock, SOON), 0);
	try_mending(&t);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
	cohort_rwlock_close(rwlock);
}

/* A reader that saw no writer, and goes in as one has looked and seen no reader: the writer withdraws, and dies of that. */
static void reader_stays(void)
{
	atomic_store(&board->stage, 3);
	SYNC_AWAIT(atomic_load(&board->stage) == 4);
}

static void reader_begins(void)
{
	coh_fault_arm("rwlock.read.entered", 1);
	coh_fault_do(reader_stays);
	atomic_store(&board->stage, 1);
	SYNC_AWAIT(atomic_load(&board->stage) == 2);
}

static void read_as_one_looks(void)
{
	coh_fault_do(reader_begins);
	CHECK_EQ(cohort_rwlock_read(rwlock, SOON), 0);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
}

static void writer_looked(void)
{
	coh_fault_arm("rwlock.write.withdrawn", 1);
	coh_fault_do(NULL);
	atomic_store(&board->stage, 2);
	SYNC_AWAIT(atomic_load(&board->stage) == 3);
}

static void write_as_one_begins(void)
{
	coh_fault_do(writer_looked);
	(void)cohort_rwlock_write(rwlock, SOON);
}

TEST_TIMEOUT(mending, a_writer_that_dies_as_it_withdraws_holds_up_nobody, 100)
{
	pid_t reader, writer;

	board = sync_page(sizeof *board);
	REQUIRE_EQ(cohort_rwlock_open(&rwlock, "local:", NULL, NULL), 0);
	reader = start(read_as_one_looks, "roster.enter.held", 1);
	SYNC_AWAIT(atomic_load(&board->stage) == 1);
	writer = start(write_as_one_begins, "rwlock.write.clear", 1);
	CHECK(ended(writer));
	atomic_store(&board->stage, 4);
	CHECK(!ended(reader));
	look_after_reader(true);
	cohort_rwlock_close(rwlock);
}

/* A reader that a writer overtakes as it comes, and one that comes behind a writer: each dies of that. */
static const char *next_point;

static void reader_stops(void)
{
	coh_fault_do(NULL);
	coh_fault_arm(next_point, 1);
	atomic_store(&board->stage, 1);
	SYNC_AWAIT(atomic_load(&board->stage) == 2);
}

static void read_beside_a_writer(void)
{
	coh_fault_do(reader_stops);
	(void)cohort_rwlock_read(rwlock, SOON);
}

/* It has come as far as its slot, goes on when STAGE is 2, and dies at POINT. */
static pid_t start_reader(const char *point)
{
	pid_t reader;

	next_point = point;
	atomic_store(&board->stage, 0);
	reader = start(read_beside_a_writer, "roster.enter.held", 1);
	SYNC_AWAIT(atomic_load(&board->stage) == 1);
	return reader;
}

TEST_TIMEOUT(mending, a_reader_that_dies_beside_a_writer_holds_up_nobody, 100)
{
	pid_t reader;

	board = sync_page(sizeof *board);
	REQUIRE_EQ(cohort_rwlock_open(&rwlock, "local:", NULL, NULL), 0);
	reader = start_reader("rwlock.read.back");
	CHECK_EQ(cohort_rwlock_write(rwlock, SOON), 0);
	atomic_store(&board->stage, 2);
	CHECK(ended(reader));
	reader = start_reader("rwlock.read.turned");
	atomic_store(&board->stage, 2);
	CHECK_EQ(cohort_rwlock_release(rwlock), 0);
	CHECK(ended(reader));
	look_after_reader(true);
	cohort_rwlock_close(rwlock);
}

/* ---- barrier ---- */

static struct cohort_barrier *barrier;

static void meet(void)
{
	(void)cohort_barrier_wait(barrier, SOON);
}

static void look_who_waits(void)
{
	(void)cohort_barrier_waiting(barrier);
}

static void barrier_look(bool died)
{
	(void)died;
	CHECK(cohort_barrier_broken(barrier));
	CHECK_EQ(cohort_barrier_waiting(barrier), 0);
	CHECK_EQ(cohort_barrier_reset(barrier), 0);
	CHECK(!cohort_barrier_broken(barrier));
}

TEST_TIMEOUT(mending, a_barrier_is_broken_by_two_dead_and_can_be_reset, 100)
{
	static const struct trial t = {meet, "barrier.enter.there", look_who_waits, "", barrier_look, 10};
	static const struct trial counted = {meet, "barrier.wait.counted", look_who_waits, "", barrier_look, 10};
	struct cohort_barrier_options o = {.parties = 2};

	REQUIRE_EQ(cohort_barrier_open(&barrier, "local:", &o, NULL), 0);
	try_mending(&t);
	try_mending(&counted);
	cohort_barrier_close(barrier);
}

/* ---- making one ---- */

static void make_and_close(void)
{
	struct cohort_lock_options o = {.open = COHORT_OPEN_CREATE};
	struct cohort_lock *l;

	CHECK_EQ(cohort_lock_open(&l, "local:made", &o, NULL), 0);
	cohort_lock_close(l);
}

static void look_at_name(bool died)
{
	struct cohort_lock_options o = {.open = COHORT_OPEN_ATTACH};
	struct cohort_lock *l;

	(void)died;
	CHECK_EQ(cohort_lock_open(&l, "local:made", &o, NULL), -ENOENT);
	CHECK(cohort_shared_sweep() >= 0);
	CHECK(!segment_root_there());
}

TEST_TIMEOUT(mending, a_lock_whose_maker_died_leaves_no_name, 60)
{
	static const struct trial t = {NULL, "nobody", make_and_close, "", look_at_name, 15};

	try_mending(&t);
}
