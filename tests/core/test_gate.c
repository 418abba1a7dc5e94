/* test_gate.c - who sleeps at a gate wakes when it is opened, and nobody pays while nobody sleeps. */
#include "core/sync_page.h"
#include "os/cpu.h"
#include "os/fd.h"
#include "sync/bell.h"
#include "sync/gate.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>

struct page {
	struct coh_gate g, back;
	_Atomic unsigned items, taken;
	_Atomic int ready, done;
};

TEST(gate, is_unarmed_when_zeroed_and_opening_it_is_nothing)
{
	struct page *p = sync_page(sizeof *p);

	CHECK(!coh_gate_armed(&p->g));
	coh_gate_open(&p->g, 1);
	coh_gate_wake(&p->g, 1);
	CHECK_EQ(p->g.pair.both, 0);
}

TEST(gate, a_ticket_from_before_the_opening_does_not_sleep)
{
	struct page *p = sync_page(sizeof *p);
	uint32_t ticket = coh_gate_arm(&p->g);

	CHECK(coh_gate_armed(&p->g));
	coh_gate_open(&p->g, 1);
	CHECK(!coh_gate_armed(&p->g)); /* nobody was asleep */
	CHECK_EQ(coh_gate_sleep(&p->g, ticket, COHORT_FOREVER), 0);
}

TEST(gate, sleeps_until_its_deadline_or_for_a_slice)
{
	struct page *p = sync_page(sizeof *p);
	cohort_time start = cohort_now(), deadline = start + 20 * COHORT_MS;

	CHECK_EQ(coh_gate_sleep(&p->g, coh_gate_arm(&p->g), COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(coh_gate_sleep(&p->g, coh_gate_arm(&p->g), start - 1), COHORT_ETIMEDOUT);
	CHECK_EQ(coh_gate_sleep(&p->g, coh_gate_arm(&p->g), deadline), COHORT_ETIMEDOUT);
	CHECK(cohort_now() >= deadline);
	start = cohort_now();
	CHECK_EQ(coh_gate_sleep(&p->g, coh_gate_arm(&p->g), COHORT_FOREVER), 0);
	CHECK(cohort_now() >= start + COH_GATE_SLICE);
}

/* Take one item, waiting for it without a deadline; false when woken by the slice only. */
static void take(struct page *p)
{
	uint32_t ticket;
	unsigned n;

	for (;;) {
		ticket = coh_gate_arm(&p->g);
		n = p->items;
		while (n > 0)
			if (atomic_compare_exchange_weak(&p->items, &n, n - 1))
				return;
		coh_gate_sleep(&p->g, ticket, COHORT_FOREVER);
	}
}

static void take_one(void *arg)
{
	struct page *p = arg;

	p->ready++;
	take(p);
	p->taken++;
}

#define SLEEPERS 6

static void start_sleepers(struct page *p, pid_t *pids)
{
	for (int i = 0; i < SLEEPERS; i++) {
		pids[i] = sync_fork(take_one, p);
		SYNC_AWAIT(p->ready == i + 1);
		sync_await_state(pids[i], 'S');
	}
}

static void put(struct page *p, unsigned n, int wake)
{
	atomic_fetch_add(&p->items, n);
	coh_gate_fence_after_rmw();
	coh_gate_open(&p->g, wake);
}

/* Each opening wakes one, also when nobody has armed in between: well before the slice would. */
TEST(gate, each_of_several_openings_wakes_one_more)
{
	struct page *p = sync_page(sizeof *p);
	pid_t pids[SLEEPERS];

	start_sleepers(p, pids);
	for (int i = 0; i < SLEEPERS; i++)
		put(p, 1, 1);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK_EQ(p->taken, SLEEPERS);
}

TEST(gate, killed_sleepers_do_not_swallow_the_wake)
{
	struct page *p = sync_page(sizeof *p);
	pid_t pids[SLEEPERS];

	start_sleepers(p, pids);
	for (int i = 0; i < SLEEPERS - 1; i++) {
		kill(pids[i], SIGKILL);
		CHECK_EQ(WTERMSIG(sync_join(pids[i])), SIGKILL);
	}
	put(p, 1, 1);
	CHECK_EQ(sync_join(pids[SLEEPERS - 1]), 0);
}

TEST(gate, opening_for_all_wakes_all)
{
	struct page *p = sync_page(sizeof *p);
	pid_t pids[SLEEPERS];

	start_sleepers(p, pids);
	put(p, SLEEPERS, INT_MAX);
	for (int i = 0; i < SLEEPERS; i++)
		CHECK_EQ(sync_join(pids[i]), 0);
	CHECK(!coh_gate_armed(&p->g) || p->items == 0);
}

/* How long LOOKS sleeping looks take in all, when the slice may not help: to tell a lost wake from a slow one. */
#define TURNS 3000

static void *reply(void *arg)
{
	struct page *p = arg;
	uint32_t ticket;

	for (unsigned i = 1; i <= TURNS; i++) {
		for (;;) {
			ticket = coh_gate_arm(&p->g);
			if (p->items >= i)
				break;
			coh_gate_sleep(&p->g, ticket, COHORT_FOREVER);
		}
		p->taken = i;
		coh_gate_fence_after_rmw();
		coh_gate_open(&p->back, 1);
	}
	return NULL;
}

/* A lost wake would cost a slice each: thousands of turns may lose none. */
TEST(gate, ping_pong_never_waits_for_the_slice)
{
	struct page *p = sync_page(sizeof *p);
	cohort_time longest = 0, start;
	uint32_t ticket;
	int slow = 0;
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, reply, p) == 0);
	for (unsigned i = 1; i <= TURNS; i++) {
		start = cohort_now();
		p->items = i;
		coh_gate_fence_after_rmw();
		coh_gate_open(&p->g, 1);
		for (;;) {
			ticket = coh_gate_arm(&p->back);
			if (p->taken >= i)
				break;
			coh_gate_sleep(&p->back, ticket, COHORT_FOREVER);
		}
		longest = cohort_now() - start;
		slow += longest >= COH_GATE_SLICE;
	}
	pthread_join(t, NULL);
	CHECK(slow < test_span(TURNS / 500)); /* a busy machine may be slow a few times */
}

static _Atomic int alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

TEST(gate, a_signal_is_a_reason_to_look_again)
{
	struct sigaction act = {.sa_handler = on_alarm};
	struct itimerval soon = {{0, 1000}, {0, 1000}}, never = {0};
	struct page *p = sync_page(sizeof *p);

	errno = 7;
	REQUIRE(sigaction(SIGALRM, &act, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	while (alarms == 0)
		CHECK_EQ(coh_gate_sleep(&p->g, coh_gate_arm(&p->g), COHORT_FOREVER), 0);
	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
	CHECK_EQ(errno, 7);
}

/* Who is bound to one CPU may wait for somebody on another. */
TEST(gate, spinning_does_not_depend_on_our_own_affinity)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	REQUIRE(sched_setaffinity(0, sizeof set, &set) == 0);
	CHECK_EQ(coh_gate_may_spin(),
	    sysconf(_SC_NPROCESSORS_ONLN) > 1 && coh_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup") > 1);
}

static bool readable(int fd)
{
	return coh_fd_wait(fd, POLLIN, COHORT_NOW) == 1;
}

static void ring_and_hush(int fd)
{
	REQUIRE(fd >= 0);
	errno = 7;
	CHECK(!readable(fd));
	coh_bell_hush(fd); /* nothing to hush */
	coh_bell_ring(fd);
	CHECK(readable(fd));
	for (int i = 0; i < 20000; i++) /* more than a fifo holds: never waits */
		coh_bell_ring(fd);
	coh_bell_hush(fd);
	CHECK(!readable(fd));
	CHECK_EQ(errno, 7);
	coh_fd_close(&fd);
}

TEST(bell, rings_and_is_hushed_as_an_eventfd_and_as_a_fifo)
{
	ring_and_hush(coh_fd_event());
	REQUIRE(mkfifo(test_path("bell"), 0600) == 0);
	ring_and_hush(open(test_path("bell"), O_RDWR | O_NONBLOCK | O_CLOEXEC));
}
