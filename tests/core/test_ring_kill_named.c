/*
 * test_ring_kill_named.c - the campaign of test_ring_kill.c over queues with a name: one process makes it, others attach, and any
 * of them dies, the maker too.
 *
 * The name lives as long as somebody has the queue open, and is gone without anybody's doing after that.
 */
#include "core/ring_crowd.h"
#include "core/segment_fixture.h"
#include "core/sync_page.h"

#include <errno.h>
#include <string.h>

#define NAME "local:kill-named"

static const char *const prefixes[] = {"ring.", "mutex.", "gate.", "heap.", "segment."};

static bool is_the_queues(const char *point)
{
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (strncmp(point, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};

	REQUIRE(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
	return info.si_pid == pid;
}

/* What MAKER makes; NULL: it died before it had. */
static struct cohort_queue *attach(pid_t maker)
{
	struct cohort_queue_options o = {.open = COHORT_OPEN_ATTACH};
	cohort_time end = cohort_in(test_span(10 * COHORT_SECOND));
	struct cohort_queue *q = NULL;
	bool ended;
	int rc;

	do {
		ended = has_ended(maker);
		rc = cohort_queue_open(&q, NAME, &o, NULL);
		if (rc != 0)
			poll(NULL, 0, 1);
	} while (rc == -ENOENT && !ended && cohort_now() < end);
	CHECK(rc == 0 || (rc == -ENOENT && ended));
	if (rc == 0)
		ring_crowd_met();
	return q;
}

/* Nobody has it open: there is no such name, and nothing in its place. */
static void expect_gone(void)
{
	struct cohort_queue_options o = {.open = COHORT_OPEN_ATTACH};
	struct cohort_queue *q;

	CHECK_EQ(cohort_queue_open(&q, NAME, &o, NULL), -ENOENT);
	CHECK(cohort_shared_sweep() >= 0);
	CHECK(!segment_root_there());
}

static pid_t fork_maker(const char *point, unsigned long n, int number)
{
	struct ring_crowd_death d = {.name = NAME, .makes = true, .point = point, .n = n, .number = number};

	return ring_crowd_fork(NULL, RING_OTHER, &d);
}

static pid_t fork_heir(int number)
{
	struct ring_crowd_death d = {.name = NAME, .number = number};

	return ring_crowd_fork(NULL, RING_HEIR, &d);
}

/* A maker that dies at the Nth passing of POINT, one that attached, and this process: whether the maker died. */
static bool maker_dies(const char *point, unsigned long n)
{
	struct cohort_queue *q;
	pid_t maker, heir;
	bool died;

	ring_crowd_begin();
	maker = fork_maker(point, n, 150);
	q = attach(maker);
	heir = q != NULL ? fork_heir(50) : 0;
	died = ring_crowd_join(q, maker, RING_OTHER);
	if (q != NULL) {
		if (ring_crowd_was_open()) { /* then the name is still there, and the queue of use */
			CHECK(died);
			CHECK(!ring_crowd_join(q, fork_heir(20), RING_HEIR));
		}
		(void)ring_crowd_join(q, heir, RING_HEIR);
		ring_crowd_check(q, point);
		ring_crowd_settle(q);
		cohort_queue_close(q, COHORT_NOW);
	}
	expect_gone();
	ring_crowd_end();
	return died;
}

/* The points that a maker passes who does all there is to do. */
static int points(const char *names[RING_CROWD_NAMES])
{
	coh_fault_share();
	for (int i = 0; i < 5; i++)
		CHECK(!maker_dies("nowhere", 1));
	return coh_fault_names(names, RING_CROWD_NAMES);
}

TEST_TIMEOUT(ring_named, survives_the_death_of_its_maker_at_each_point, 120)
{
	const char *names[RING_CROWD_NAMES];
	int n = points(names), killed = 0, tried = 0;

	CHECK(n > 80);
	for (int i = 0; i < n; i++)
		for (int k = 1; is_the_queues(names[i]) && k <= ring_crowd_kills(1); k++, tried++)
			killed += maker_dies(names[i], ring_crowd_nth(k));
	CHECK(killed > tried / 2);
}

static bool attached_dies(struct cohort_queue *q, const char *point, unsigned long n)
{
	struct ring_crowd_death d = {.name = NAME, .point = point, .n = n, .number = 200};
	bool died = ring_crowd_join(q, ring_crowd_fork(NULL, RING_VICTIM, &d), RING_VICTIM);

	ring_crowd_check(q, point);
	return died;
}

/* In the middle of it the maker is killed, wherever it is; another takes its place at work. */
static pid_t replace_maker(struct cohort_queue *q, pid_t maker)
{
	CHECK_EQ(kill(maker, SIGKILL), 0);
	CHECK(ring_crowd_join(q, maker, RING_OTHER));
	ring_crowd_check(q, "any point, being its maker");
	return fork_heir(1 << 30);
}

TEST_TIMEOUT(ring_named, survives_the_death_of_those_who_attached_at_each_point, 120)
{
	const char *names[RING_CROWD_NAMES];
	int n = points(names), killed = 0, tried = 0;
	struct cohort_queue *q;
	pid_t other;

	ring_crowd_begin();
	other = fork_maker(NULL, 0, 1 << 30);
	q = attach(other);
	REQUIRE(q != NULL);
	for (int i = 0; i < n; i++) {
		for (int k = 1; is_the_queues(names[i]) && k <= ring_crowd_kills(2); k++, tried++)
			killed += attached_dies(q, names[i], ring_crowd_nth(k));
		if (i == n / 2)
			other = replace_maker(q, other);
	}
	CHECK(killed > tried / 3);
	ring_crowd_stop();
	CHECK(!ring_crowd_join(q, other, RING_HEIR));
	ring_crowd_settle(q);
	cohort_queue_close(q, COHORT_NOW);
	expect_gone();
	ring_crowd_end();
}
