/* test_cut.c - named objects whose file is cut short under those who have them open. */
#include "core/cut_kinds.h"
#include "core/sync_page.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const long cuts[] = {0, 1, 100, 4096, -1, -4, -8, -16}; /* a page is more than some have: then nothing is cut */
#define CUTS ((int)(sizeof cuts / sizeof *cuts))

static void expect_gone(const struct cut_kind *k, void *object, long cut)
{
	struct cohort_error err = {.code = 0};

	for (int i = 0; i < CUT_CALLS && k->calls[i] != NULL; i++) {
		int64_t rc = k->calls[i](object);

		if (rc != COHORT_ESEGMENT)
			FAIL("%s cut to %ld: call %d gives %lld", k->name, cut, i, (long long)rc);
	}
	CHECK_EQ(cohort_shared_check(object, &err), COHORT_ESEGMENT);
	CHECK_HAS(err.text, "bytes");
	CHECK_HAS(err.text, "make it anew");
}

TEST_TIMEOUT(cut, every_call_of_every_kind_says_so_on_every_handle, 60)
{
	for (int i = 0; i < CUT_KINDS; i++)
		for (int c = 0; c < CUTS; c++) {
			void *a = cut_open(&cut_kinds[i], "local:cut"), *b = cut_open(&cut_kinds[i], "local:cut");

			if (c % 2 == 0)
				cut_walk(&cut_kinds[i], a, NULL);
			if (cuts[c] < cut_size_of("cut")) {
				cut_to("cut", cuts[c]);
				expect_gone(&cut_kinds[i], a, cuts[c]);
				expect_gone(&cut_kinds[i], b, cuts[c]);
			}
			cut_kinds[i].close(b);
			cut_kinds[i].close(a);
		}
}

TEST(cut, a_file_that_was_made_as_long_again_is_no_object)
{
	for (int i = 0; i < CUT_KINDS; i++) {
		void *a = cut_open(&cut_kinds[i], "local:again");
		long size = cut_size_of("again");

		cut_to("again", 0);
		cut_to("again", size);
		expect_gone(&cut_kinds[i], a, 0);
		cut_kinds[i].close(a);
	}
}

TEST(cut, the_sentence_names_the_object_and_says_what_there_is_and_should_be)
{
	struct cohort_error err = {.code = 0};
	struct cohort_queue *q = cut_open(cut_kind("queue"), "local:jobs");
	struct cohort_event *e = cut_open(cut_kind("event"), "local:bang"), *plain = NULL;

	REQUIRE_EQ(cohort_event_open(&plain, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_shared_check(plain, &err), 0);
	CHECK_EQ(cohort_shared_check(e, &err), 0);
	cut_to("bang", 10);
	cut_to("jobs", 4096);
	CHECK_EQ(cohort_shared_check(e, &err), COHORT_ESEGMENT);
	CHECK_HAS(err.text, "event 'bang' was cut to 10 bytes, wanted are 144");
	CHECK_EQ(cohort_queue_size(q), COHORT_ESEGMENT);
	CHECK_HAS(cohort_queue_error(q), "queue 'jobs' was cut to 4096 bytes");
	CHECK_EQ(cohort_shared_check(NULL, &err), COHORT_EARGUMENT);
	cohort_queue_close(q, COHORT_NOW);
	cohort_event_close(e);
	cohort_event_close(plain);
}

TEST(cut, those_that_give_no_code_give_nothing)
{
	static const char *const names[] = {"semaphore", "barrier", "dict", "list", "arena"};
	void *o[5];
	uint64_t at = 0;
	struct cohort_arena_stats stats;
	struct cohort_list_item none = {.type = COHORT_ITEM_NONE};

	for (int i = 0; i < 5; i++) {
		char address[32];

		snprintf(address, sizeof address, "local:%s", names[i]);
		o[i] = cut_open(cut_kind(names[i]), address);
	}
	REQUIRE_EQ(cohort_arena_alloc(o[4], 100, &at), 0);
	CHECK(cohort_arena_at(o[4], at) != NULL);
	for (int i = 0; i < 5; i++)
		cut_to(names[i], 0);
	CHECK_EQ(cohort_semaphore_value(o[0]), 0);
	CHECK_EQ(cohort_barrier_parties(o[1]) + cohort_barrier_waiting(o[1]), 0);
	CHECK_EQ(cohort_dict_count(o[2]), 0);
	CHECK_EQ(cohort_list_tally(o[3], &none), 0);
	CHECK(cohort_arena_at(o[4], at) == NULL && cohort_arena_size_at(o[4], at) == 0);
	cohort_arena_stats(o[4], &stats);
	CHECK_EQ(stats.blocks, 0);
	for (int i = 0; i < 5; i++)
		cut_kind(names[i])->close(o[i]);
}

TEST(cut, pointers_into_it_read_zeroes)
{
	struct cohort_memory *m = cut_open(cut_kind("memory"), "local:block");
	unsigned char *p = cohort_memory_data(m);

	memset(p, 7, cohort_memory_size(m));
	cut_to("block", 4096);
	CHECK_EQ(p[40000], 0);
	CHECK_EQ(p[0], 0); /* half a block would be none */
	p[5] = 1;
	CHECK_EQ(p[5], 1);
	CHECK_EQ(cohort_shared_check(m, NULL), COHORT_ESEGMENT);
	cohort_memory_close(m);
	CHECK_EQ(p[5], 1); /* it stays mapped, since a list of locks might lead there */
}

/* ---- other objects ---- */

static void die_holding(void *arg)
{
	struct cohort_lock **l = arg, *gone = cut_open(cut_kind("lock"), "local:gone");

	CHECK_EQ(cohort_lock_acquire(l[0], COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_acquire(gone, COHORT_NOW), 0);
	cut_to("gone", 0);
	CHECK_EQ(cohort_lock_release(gone), COHORT_ESEGMENT);
	cohort_lock_close(gone);
	CHECK_EQ(cohort_lock_release(l[0]), 0);
	CHECK_EQ(cohort_lock_acquire(l[1], COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_acquire(l[0], COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_release(l[1]), 0);
	CHECK_EQ(cohort_lock_acquire(l[1], COHORT_NOW), 0);
	kill(getpid(), SIGKILL);
}

TEST(cut, locks_of_other_objects_go_on_and_tell_of_the_dead)
{
	struct cohort_lock *l[2];

	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(cohort_lock_open(&l[i], "local:", NULL, NULL), 0);
	CHECK_EQ(WTERMSIG(sync_join(sync_fork(die_holding, l))), SIGKILL);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(cohort_lock_acquire(l[i], COHORT_NOW), COHORT_EOWNERDEAD);
		CHECK_EQ(cohort_lock_release(l[i]), 0);
		cohort_lock_close(l[i]);
	}
	CHECK(cohort_shared_sweep() >= 0);
}

static void die_behind(void *arg)
{
	struct cohort_lock *l = arg, *gone = cut_open(cut_kind("lock"), "local:gone");

	CHECK_EQ(cohort_lock_acquire(l, COHORT_NOW), 0);
	CHECK_EQ(cohort_lock_acquire(gone, COHORT_NOW), 0);
	cut_to("gone", 0);
	CHECK_EQ(cohort_lock_release(gone), COHORT_ESEGMENT);
	kill(getpid(), SIGKILL);
}

/* What was held before is not in the kernel's list any more: who waits finds out. */
TEST(cut, a_lock_held_before_it_is_told_of_to_who_waits)
{
	struct cohort_lock *l;

	REQUIRE_EQ(cohort_lock_open(&l, "local:", NULL, NULL), 0);
	CHECK_EQ(WTERMSIG(sync_join(sync_fork(die_behind, l))), SIGKILL);
	CHECK_EQ(cohort_lock_acquire(l, cohort_in(test_span(5 * COHORT_SECOND))), COHORT_EOWNERDEAD);
	CHECK_EQ(cohort_lock_release(l), 0);
	cohort_lock_close(l);
	CHECK(cohort_shared_sweep() >= 0);
}

/* ---- sleepers ---- */

/* Who waits, and what it takes that it has to. */
struct sleep {
	const char *kind;
	int64_t (*before)(void *o), (*call)(void *o);
};

static cohort_time deadline(void)
{
	return cohort_in(test_span(4 * COHORT_SECOND));
}

#define SLEEP(name, expression)                                                                              \
	static int64_t name(void *o)                                                                         \
	{                                                                                                    \
		return expression;                                                                           \
	}
static char some[64];
SLEEP(nothing, o == NULL)
SLEEP(held, cohort_lock_acquire(o, COHORT_NOW))
SLEEP(lock, cohort_lock_acquire(o, deadline()))
SLEEP(taken, cohort_semaphore_acquire(o, COHORT_NOW) + cohort_semaphore_acquire(o, COHORT_NOW))
SLEEP(semaphore, cohort_semaphore_acquire(o, deadline()))
SLEEP(condition, cohort_condition_acquire(o, COHORT_NOW) != 0 ? COHORT_ESEGMENT : cohort_condition_wait(o, deadline()))
SLEEP(condition_held, cohort_condition_acquire(o, COHORT_NOW))
SLEEP(condition_lock, cohort_condition_acquire(o, deadline()))
SLEEP(event, cohort_event_wait(o, deadline()))
SLEEP(barrier, cohort_barrier_wait(o, deadline()))
SLEEP(reading, cohort_rwlock_read(o, COHORT_NOW))
SLEEP(writing, cohort_rwlock_write(o, COHORT_NOW))
SLEEP(reader, cohort_rwlock_read(o, deadline()))
SLEEP(writer, cohort_rwlock_write(o, deadline()))
SLEEP(value_held, cohort_lock_acquire(cohort_value_lock(o), COHORT_NOW))
SLEEP(value, cohort_value_get(o, some, deadline()))
SLEEP(get, cohort_queue_get_into(o, some, sizeof some, NULL, deadline()))
SLEEP(peek, cohort_queue_peek(o, some, sizeof some, NULL, deadline()))
SLEEP(filled, cohort_queue_put_bytes(o, some, 8, COHORT_NOW) + cohort_queue_put_bytes(o, some, 8, COHORT_NOW))
SLEEP(put, cohort_queue_put_bytes(o, some, 8, deadline()))
SLEEP(join, cohort_queue_join(o, deadline()))

static int64_t take(void *o)
{
	struct cohort_item item;

	return cohort_queue_take(o, &item, deadline());
}

static int64_t get_many(void *o)
{
	struct cohort_bytes items[2];

	return cohort_queue_get_many(o, items, 2, some, sizeof some, deadline());
}

static const struct sleep sleeps[] = {
    {"lock", held, lock},
    {"semaphore", taken, semaphore},
    {"condition", nothing, condition},
    {"condition", condition_held, condition_lock},
    {"event", nothing, event},
    {"pair", nothing, barrier},
    {"rwlock", writing, reader},
    {"rwlock", reading, writer},
    {"rwlock", writing, writer},
    {"value", value_held, value},
    {"queue", nothing, get},
    {"queue", nothing, peek},
    {"queue", nothing, take},
    {"queue", nothing, get_many},
    {"full", filled, put},
    {"full", filled, join},
};
#define SLEEPS ((int)(sizeof sleeps / sizeof *sleeps))

static void be_sleeper(void *arg)
{
	const struct sleep *s = arg;
	void *object = cut_open(cut_kind(s->kind), "local:asleep");
	int64_t rc = s->call(object);

	if (rc != COHORT_ESEGMENT)
		FAIL("who waits at a %s got %lld", s->kind, (long long)rc);
	CHECK_EQ(s->call(object), COHORT_ESEGMENT);
	cut_kind(s->kind)->close(object);
}

static void try_sleep(const struct sleep *s, long cut)
{
	void *object = cut_open(cut_kind(s->kind), "local:asleep");
	cohort_time begin;
	pid_t pid;

	CHECK_EQ(s->before(object), 0);
	pid = sync_fork(be_sleeper, (void *)(uintptr_t)s);
	REQUIRE(sync_await_state(pid, 'S'));
	begin = cohort_now();
	cut_to("asleep", cut);
	CHECK_EQ(sync_join(pid), 0);
	CHECK(cohort_now() - begin < test_span(2 * COHORT_SECOND));
	cut_kind(s->kind)->close(object);
}

TEST_TIMEOUT(cut, who_sleeps_is_told_when_all_of_it_went, 60)
{
	for (int i = 0; i < SLEEPS; i++)
		try_sleep(&sleeps[i], 0);
}

TEST_TIMEOUT(cut, who_sleeps_is_told_when_the_word_it_sleeps_on_is_still_there, 60)
{
	for (int i = 0; i < SLEEPS; i++)
		try_sleep(&sleeps[i], -1);
}

/* ---- the signal ---- */

/* A page of a file that has none. */
static volatile char *lost_page(void)
{
	int fd = memfd_create("lost", MFD_CLOEXEC);
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	REQUIRE(fd >= 0 && p != MAP_FAILED);
	close(fd);
	return p;
}

static void touch_another(void *arg)
{
	void *object;

	(void)arg;
	signal(SIGBUS, SIG_DFL); /* a sanitizer has a handler */
	object = cut_open(cut_kind("event"), "local:watched");
	CHECK_EQ(cohort_event_set(object), 0);
	*lost_page() = 1;
}

TEST(cut, a_fault_elsewhere_ends_the_process_as_before)
{
	int status = sync_join(sync_fork(touch_another, NULL));

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	CHECK(cohort_shared_sweep() >= 0);
}

static void be_sent(void *arg)
{
	signal(SIGBUS, arg != NULL ? SIG_IGN : SIG_DFL);
	(void)cut_open(cut_kind("event"), "local:watched");
	kill(getpid(), SIGBUS);
}

TEST(cut, a_signal_that_is_sent_does_what_it_did_before)
{
	int status = sync_join(sync_fork(be_sent, NULL));

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	CHECK_EQ(sync_join(sync_fork(be_sent, &status)), 0);
	CHECK(cohort_shared_sweep() >= 0);
}

static volatile char *_Atomic lost;

static void end_well(int sig, siginfo_t *info, void *context)
{
	(void)context;
	_exit(sig == SIGBUS && info->si_addr == (void *)(uintptr_t)lost ? 7 : 1);
}

static void have_a_handler(void *arg)
{
	struct sigaction mine = {.sa_sigaction = end_well, .sa_flags = SA_SIGINFO};
	struct cohort_event *e;

	(void)arg;
	REQUIRE(sigaction(SIGBUS, &mine, NULL) == 0);
	e = cut_open(cut_kind("event"), "local:watched");
	cut_to("watched", 0);
	CHECK_EQ(cohort_event_set(e), COHORT_ESEGMENT);
	lost = lost_page();
	*lost = 1;
}

TEST(cut, a_fault_elsewhere_reaches_the_handler_the_program_had)
{
	CHECK_EQ(WEXITSTATUS(sync_join(sync_fork(have_a_handler, NULL))), 7);
	CHECK(cohort_shared_sweep() >= 0);
}

static void reset_it(void *arg)
{
	struct cohort_event *e = cut_open(cut_kind("event"), "local:first"), *f;

	(void)arg;
	signal(SIGBUS, SIG_DFL);
	f = cut_open(cut_kind("event"), "local:second");
	cut_to("first", 0);
	cut_to("second", 0);
	CHECK_EQ(cohort_event_set(e), COHORT_ESEGMENT);
	CHECK_EQ(cohort_event_set(f), COHORT_ESEGMENT);
	cohort_event_close(e);
	cohort_event_close(f);
}

TEST(cut, the_next_named_object_has_the_handler_back)
{
	CHECK_EQ(sync_join(sync_fork(reset_it, NULL)), 0);
}

static void anonymous_only(void *arg)
{
	struct sigaction now;

	(void)arg;
	for (int i = 0; i < CUT_KINDS; i++) {
		void *object = cut_open(&cut_kinds[i], "local:");

		cut_walk(&cut_kinds[i], object, NULL);
		cut_kinds[i].close(object);
	}
	CHECK(sigaction(SIGBUS, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}

TEST(cut, who_has_no_named_object_has_no_handler)
{
	signal(SIGBUS, SIG_DFL); /* a sanitizer has one */
	CHECK_EQ(sync_join(sync_fork(anonymous_only, NULL)), 0);
}

static void use_as_child(void *arg)
{
	CHECK_EQ(cohort_event_set(arg), COHORT_ESEGMENT);
}

TEST(cut, a_forked_child_is_told_as_well)
{
	struct cohort_event *e = cut_open(cut_kind("event"), "local:family");

	CHECK_EQ(cohort_event_set(e), 0);
	cut_to("family", 0);
	CHECK_EQ(sync_join(sync_fork(use_as_child, e)), 0);
	CHECK_EQ(cohort_event_set(e), COHORT_ESEGMENT);
	CHECK_EQ(sync_join(sync_fork(use_as_child, e)), 0);
	cohort_event_close(e);
}

/* ---- threads ---- */

static struct cohort_event *bang;

/* What the event says, in a thread of the library's. */
static int set_it(struct cohort_call *call)
{
	int64_t rc = cohort_event_set(bang);

	return cohort_call_result(call, &rc);
}
COHORT_TASK(set_it, "", "I");

TEST(cut, threads_of_the_library_are_told_as_well)
{
	struct cohort_error err = {.code = 0};
	struct cohort_pool *p = NULL;
	int64_t rc = 0;

	REQUIRE_EQ(cohort_init(&test_argc, &test_argv, &err), 0);
	REQUIRE_EQ(cohort_pool_open(&p, "thread:1", NULL, &err), 0);
	bang = cut_open(cut_kind("event"), "local:bang");
	cut_to("bang", 0);
	CHECK_EQ(cohort_pool_apply(p, deadline(), &err, "set_it", &rc), 0);
	CHECK_EQ(rc, COHORT_ESEGMENT);
	cohort_pool_free(p);
	cohort_event_close(bang);
}

struct crowd {
	const struct cut_kind *kind;
	void *object;
	_Atomic bool cut;
	_Atomic int rounds;
};

static void *use_it(void *arg)
{
	struct crowd *c = arg;
	bool cut = false;

	while (!cut) {
		cut = c->cut;
		cut_walk(c->kind, c->object, NULL);
		c->rounds++;
	}
	CHECK_EQ(c->kind->calls[0](c->object), COHORT_ESEGMENT);
	return NULL;
}

TEST_TIMEOUT(cut, threads_in_the_middle_of_it_all_come_out, 100)
{
	for (int i = 0; CUT_RACES && i < CUT_KINDS * 4; i++) {
		struct crowd c = {.kind = &cut_kinds[i % CUT_KINDS]};
		pthread_t t[4];

		c.object = cut_open(c.kind, "local:crowd");
		for (int n = 0; n < 4; n++)
			REQUIRE(pthread_create(&t[n], NULL, use_it, &c) == 0);
		SYNC_AWAIT(c.rounds > 4);
		cut_to("crowd", i % 2 == 0 ? 0 : -1);
		c.cut = true;
		for (int n = 0; n < 4; n++)
			pthread_join(t[n], NULL);
		c.kind->close(c.object);
	}
}
