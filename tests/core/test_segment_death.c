/* test_segment_death.c - makers, attachers and sweepers die at every step; nothing half-made, nothing left. */
#include "core/segment_fixture.h"

#include "os/fd.h"
#include "sync/fault.h"
#include "sync/party.h"
#include "sync/segment_priv.h"

#include <cohort/error.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MARK 0x5aU /* in every object before it is published */

static struct coh_segment make_marked(const char *address, enum coh_segment_open how)
{
	struct coh_segment s = segment_begin(address, how);

	segment_bytes(&s)[0] = MARK;
	REQUIRE_EQ(segment_publish(&s), 0);
	return s;
}

/* Open it as those do who do not care who made it; the descriptors are let go on any failure. */
static int open_either(struct coh_segment *s, const char *address)
{
	struct coh_segment_spec spec = segment_spec();
	bool made;
	int rc = coh_segment_open(s, address, COH_SEGMENT_EITHER, &spec, &made, NULL);

	if (rc != 0 || !made)
		return rc;
	segment_bytes(s)[0] = MARK;
	rc = coh_segment_publish(s, &spec, NULL);
	return rc == -EEXIST ? 0 : rc;
}

/* What a victim does; dies where it was told to, or returns. */
typedef void (*life_fn)(void);

/* Run LIFE in a child that dies at its N-th point; false once it got through alive. */
static bool died_at(life_fn life, unsigned long n)
{
	pid_t pid = fork();
	int code;

	if (pid == 0) {
		coh_fault_arm("segment.", n);
		life();
		_exit(0);
	}
	code = segment_exit(pid);
	CHECK(code == 0 || code == -SIGKILL);
	return code == -SIGKILL;
}

static void life_of_a_maker(void)
{
	struct coh_segment s = make_marked("local:victim", COH_SEGMENT_CREATE);

	coh_segment_close(&s);
}

TEST(segment_death, a_maker_killed_anywhere_leaves_no_half_made_name)
{
	struct coh_segment s;
	unsigned long n;

	for (n = 1; died_at(life_of_a_maker, n); n++) {
		/* its maker is dead and nobody has it open: as good as swept */
		CHECK_EQ(segment_attach(&s, "local:victim", NULL), -ENOENT);
		REQUIRE_EQ(open_either(&s, "local:victim"), 0);
		coh_segment_close(&s);
		CHECK(coh_segment_sweep() >= 0);
		CHECK(!segment_root_there());
	}
	CHECK(n > 15);
}

/* A name that outlives its maker because this process has it open. */
static void life_of_a_maker_that_is_watched(void)
{
	struct coh_segment s = make_marked("local:victim", COH_SEGMENT_EITHER);
	struct coh_segment_spec spec = segment_spec();
	struct coh_segment t;
	bool made;

	if (coh_segment_open(&t, "local:victim", COH_SEGMENT_EITHER, &spec, &made, NULL) != 0)
		_exit(1);
	coh_segment_close(&t);
	(void)coh_segment_unlink("victim", NULL);
	coh_segment_close(&s);
}

TEST(segment_death, what_is_found_after_a_death_is_whole)
{
	unsigned long n;

	for (n = 1; died_at(life_of_a_maker_that_is_watched, n); n++) {
		CHECK(coh_segment_sweep() >= 0);
		CHECK(!segment_root_there());
	}
	CHECK(n > 15);
}

static void life_of_an_attacher(void)
{
	struct coh_segment s;

	if (open_either(&s, "local:stays") != 0)
		_exit(1);
	coh_segment_close(&s);
}

TEST(segment_death, an_attacher_killed_anywhere_changes_nothing)
{
	struct coh_segment a = make_marked("local:stays", COH_SEGMENT_CREATE), b;
	unsigned long n;

	for (n = 1; died_at(life_of_an_attacher, n); n++) {
		CHECK_EQ(coh_segment_sweep(), 0);
		REQUIRE_EQ(segment_attach(&b, "local:stays", NULL), 0);
		CHECK_EQ(segment_bytes(&b)[0], MARK);
		coh_segment_close(&b);
	}
	CHECK(n > 1);
	coh_segment_close(&a);
	CHECK(!segment_root_there());
}

static void die_with_three_names(void)
{
	(void)make_marked("local:dead-1", COH_SEGMENT_CREATE);
	(void)make_marked("local:dead-2", COH_SEGMENT_CREATE);
	(void)segment_begin("local:dead-3", COH_SEGMENT_CREATE);
	kill(getpid(), SIGKILL);
}

static void life_of_a_sweeper(void)
{
	(void)coh_segment_sweep();
}

TEST(segment_death, a_sweeper_killed_anywhere_is_followed_by_the_next)
{
	unsigned long n = 1;
	bool died = true;

	for (; died; n++) {
		CHECK(died_at(die_with_three_names, 0));
		died = died_at(life_of_a_sweeper, n);
		CHECK(coh_segment_sweep() >= 0);
		CHECK(!segment_root_there());
	}
	CHECK(n > 10);
}

TEST(segment_death, a_sweep_counts_what_it_takes_away)
{
	struct coh_segment a = make_marked("local:lives", COH_SEGMENT_CREATE);

	CHECK(died_at(die_with_three_names, 0));
	CHECK_EQ(coh_segment_sweep(), 3);
	CHECK_EQ(coh_segment_sweep(), 0);
	coh_segment_close(&a);
	CHECK(!segment_root_there());
}

TEST(segment_death, a_name_lives_while_one_has_it_open_after_its_maker_died)
{
	struct coh_segment s, t;
	int go[2], up[2];
	char byte;
	pid_t pid;

	REQUIRE(coh_fd_pipe(go) == 0 && coh_fd_pipe(up) == 0);
	pid = fork();
	if (pid == 0) {
		(void)make_marked("local:heir", COH_SEGMENT_CREATE);
		_exit(write(up[1], "u", 1) != 1 || read(go[0], &byte, 1) != 1 ||
		    kill(getpid(), SIGKILL) != 0);
	}
	REQUIRE(read(up[0], &byte, 1) == 1);
	REQUIRE_EQ(segment_attach(&s, "local:heir", NULL), 0);
	REQUIRE(write(go[1], "g", 1) == 1);
	CHECK_EQ(segment_exit(pid), -SIGKILL);
	CHECK_EQ(coh_segment_sweep(), 0);
	REQUIRE_EQ(segment_attach(&t, "local:heir", NULL), 0);
	coh_segment_close(&t);
	CHECK_EQ(segment_bytes(&s)[0], MARK);
	coh_segment_close(&s);
	CHECK_EQ(segment_attach(&t, "local:heir", NULL), -ENOENT);
	CHECK(!segment_root_there());
	for (int i = 0; i < 2; i++) {
		coh_fd_close(&go[i]);
		coh_fd_close(&up[i]);
	}
}

/* ---- forged owners ---- */

/* An object that nobody has open and whose header says that OWNER made it. */
static void leave_owned_by(uint64_t owner)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct coh_segment s = segment_begin("local:forged", COH_SEGMENT_CREATE);

		s.header->owner = owner;
		_exit(segment_publish(&s));
	}
	REQUIRE_EQ(segment_exit(pid), 0);
}

TEST(segment_death, a_pid_used_again_does_not_keep_a_name)
{
	struct coh_segment s;

	leave_owned_by(coh_party_self() + 1); /* our pid, begun at another time */
	CHECK_EQ(segment_attach(&s, "local:forged", NULL), -ENOENT);
	leave_owned_by(coh_party_self() - 1);
	CHECK_EQ(coh_segment_sweep(), 1);
	leave_owned_by(0);
	CHECK_EQ(coh_segment_sweep(), 1);
	leave_owned_by(UINT64_MAX);
	CHECK_EQ(coh_segment_sweep(), 1);
	CHECK(!segment_root_there());
}

TEST(segment_death, what_a_living_process_made_is_not_swept)
{
	struct coh_segment s;

	leave_owned_by(coh_party_self());
	CHECK_EQ(coh_segment_sweep(), 0);
	REQUIRE_EQ(segment_attach(&s, "local:forged", NULL), 0);
	coh_segment_close(&s);
	CHECK_EQ(coh_segment_unlink("forged", NULL), 0);
	CHECK(!segment_root_there());
}

TEST(segment_death, a_damaged_one_that_nobody_has_open_is_swept)
{
	char file[160];
	struct cohort_error err;
	struct coh_segment s;

	leave_owned_by(coh_party_self());
	snprintf(file, sizeof file, "%s/names/forged/segment", segment_root());
	REQUIRE(truncate(file, 10) == 0);
	CHECK_EQ(segment_attach(&s, "local:forged", &err), COHORT_ESEGMENT);
	CHECK_HAS(err.text, "10 bytes");
	CHECK_EQ(coh_segment_sweep(), 1);
	CHECK(!segment_root_there());
}

/* ---- crowds ---- */

/* N children that run WORK at once; how many did not end well. */
static int crowd(int n, int (*work)(int number))
{
	int gate[2], bad = 0;
	pid_t pids[256];
	char byte;

	REQUIRE(n <= 256 && coh_fd_pipe(gate) == 0);
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			coh_fd_close(&gate[1]);
			_exit(read(gate[0], &byte, 1) != 0 ? 99
							   : work(i)); /* the end is the signal */
		}
	}
	coh_fd_close(&gate[1]);
	for (int i = 0; i < n; i++)
		bad += segment_exit(pids[i]) != 0;
	coh_fd_close(&gate[0]);
	return bad;
}

static int attach_often(int number)
{
	struct coh_segment s;

	(void)number;
	for (int i = 0; i < 20; i++) {
		if (segment_attach(&s, "local:crowd", NULL) != 0 || segment_bytes(&s)[0] != MARK)
			return 1;
		atomic_fetch_add((_Atomic int *)(segment_bytes(&s) + 8), 1);
		coh_segment_close(&s);
	}
	return 0;
}

TEST(segment_death, two_hundred_processes_attach_and_detach_one_name)
{
	struct coh_segment a = make_marked("local:crowd", COH_SEGMENT_CREATE);

	CHECK_EQ(crowd(200, attach_often), 0);
	CHECK_EQ(atomic_load((_Atomic int *)(segment_bytes(&a) + 8)), 200 * 20);
	coh_segment_close(&a);
	CHECK(!segment_root_there());
}

static atomic_int *tally; /* shared by the crowd: [0] makers, [1] those who have it open */

static int race_to_make(int number)
{
	struct coh_segment s;

	(void)number;
	if (open_either(&s, "local:race") != 0 || segment_bytes(&s)[0] != MARK)
		return 1;
	atomic_fetch_add(&tally[0], s.owner);
	atomic_fetch_add((_Atomic int *)(segment_bytes(&s) + 8), 1);
	atomic_fetch_add(&tally[1], 1);
	while (atomic_load(&tally[1]) < 4)
		sched_yield(); /* bounded by the test's own limit */
	if (atomic_load((_Atomic int *)(segment_bytes(&s) + 8)) != 4)
		return 2; /* not the same one */
	coh_segment_close(&s);
	return 0;
}

TEST(segment_death, of_many_makers_under_either_one_is_and_the_others_attach)
{
	tally = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(tally != MAP_FAILED);
	for (int round = 0; round < 50; round++) {
		atomic_store(&tally[0], 0);
		atomic_store(&tally[1], 0);
		CHECK_EQ(crowd(4, race_to_make), 0);
		CHECK_EQ(atomic_load(&tally[0]), 1);
		CHECK(!segment_root_there());
	}
	munmap(tally, 4096);
}

/* Make, attach, remove and sweep the same few names, each with its own seed, and die somewhere. */
static int quarrel(int number)
{
	unsigned state = (unsigned)number * 2654435761u + 1;
	struct coh_segment s;
	char address[32];

	coh_fault_arm("segment.", number % 3 == 0 ? 0 : (unsigned long)(20 + number * 7));
	for (int i = 0; i < 60; i++) {
		state = state * 1103515245u + 12345u;
		snprintf(address, sizeof address, "local:q%u", state >> 16 & 1);
		if (open_either(&s, address) != 0 || segment_bytes(&s)[0] != MARK)
			return 1;
		if ((state >> 20 & 3) == 0 && coh_segment_sweep() < 0)
			return 2;
		if ((state >> 24 & 7) == 0)
			(void)coh_segment_unlink(address + 6, NULL);
		coh_segment_close(&s);
	}
	return 0;
}

TEST_TIMEOUT(segment_death, a_quarrel_with_many_deaths_leaves_nothing, 60)
{
	for (int round = 0; round < 5; round++) {
		int died = crowd(24, quarrel);

		CHECK(died <= 16); /* those that were told to die; none of the others fails */
		CHECK(coh_segment_sweep() >= 0);
		CHECK(!segment_root_there());
	}
}
