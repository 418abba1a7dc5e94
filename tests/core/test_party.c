/* test_party.c - which process, and whether it still is. */
#include "core/sync_page.h"
#include "sync/party.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that says who it is by a pipe, and stays until it is killed. */
struct other {
	pid_t pid;
	uint64_t party;
};

static _Noreturn void *stay(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void be_other(int to, const char *name, bool leader_ends)
{
	uint64_t party;
	pthread_t t;

	prctl(PR_SET_NAME, name);
	party = coh_party_self();
	if (leader_ends)
		pthread_create(&t, NULL, stay, NULL);
	if (write(to, &party, sizeof party) != sizeof party)
		_exit(1);
	close(to);
	if (leader_ends)
		pthread_exit(NULL);
	stay(NULL);
}

static struct other other_start(const char *name, bool leader_ends)
{
	struct other o = {.pid = 0};
	int pipe_fds[2];

	REQUIRE(pipe(pipe_fds) == 0);
	o.pid = fork();
	REQUIRE(o.pid >= 0);
	if (o.pid == 0) {
		close(pipe_fds[0]);
		be_other(pipe_fds[1], name, leader_ends);
		_exit(1);
	}
	close(pipe_fds[1]);
	REQUIRE(read(pipe_fds[0], &o.party, sizeof o.party) == sizeof o.party);
	close(pipe_fds[0]);
	return o;
}

/* Dead, and not reaped yet. */
static void other_kill(const struct other *o)
{
	siginfo_t info;

	kill(o->pid, SIGKILL);
	REQUIRE(waitid(P_PID, (id_t)o->pid, &info, WEXITED | WNOWAIT) == 0);
}

static void other_reap(const struct other *o)
{
	waitpid(o->pid, NULL, 0);
}

TEST(party, this_process_is_alive_and_keeps_its_id)
{
	uint64_t party = coh_party_self();

	CHECK_EQ(coh_party_pid(party), getpid());
	CHECK((uint32_t)party != 0);
	CHECK(coh_party_self() == party);
	CHECK(coh_party_alive(party));
}

TEST(party, a_forked_child_is_another_one)
{
	uint64_t mine = coh_party_self();
	struct other o = other_start("child", false);

	CHECK(o.party != mine);
	CHECK_EQ(coh_party_pid(o.party), o.pid);
	CHECK(coh_party_alive(o.party));
	other_kill(&o);
	other_reap(&o);
}

TEST(party, a_zombie_is_dead_and_so_is_who_was_reaped)
{
	struct other o = other_start("child", false);

	other_kill(&o);
	CHECK(!coh_party_alive(o.party));
	other_reap(&o);
	CHECK(!coh_party_alive(o.party));
}

TEST(party, a_program_may_have_brackets_and_blanks_in_its_name)
{
	static const char *const names[] = {"a b", ") Z 1 (", "((", ") X 0 0 0", "x)\n y"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct other o = other_start(names[i], false);

		CHECK_EQ(coh_party_pid(o.party), o.pid);
		CHECK((uint32_t)o.party != 0);
		CHECK(coh_party_alive(o.party));
		other_kill(&o);
		CHECK(!coh_party_alive(o.party));
		other_reap(&o);
	}
}

TEST(party, a_process_whose_first_thread_ended_is_alive)
{
	struct other o = other_start("child", true);

	for (int i = 0; i < 100; i++)
		CHECK(coh_party_alive(o.party));
	kill(o.pid, SIGKILL);
	other_reap(&o);
	CHECK(!coh_party_alive(o.party));
}

/* A child that says who it is and becomes cat(1), which stays until IN ends.  It has done so when this returns. */
static struct other other_exec(int *in)
{
	struct other o = {.pid = 0};
	int told[2], fed[2];

	REQUIRE(pipe2(told, O_CLOEXEC) == 0 && pipe2(fed, O_CLOEXEC) == 0);
	o.pid = fork();
	REQUIRE(o.pid >= 0);
	if (o.pid == 0) {
		o.party = coh_party_self();
		if (write(told[1], &o.party, sizeof o.party) == sizeof o.party && dup2(fed[0], 0) == 0)
			execl("/bin/cat", "cat", (char *)NULL);
		_exit(1);
	}
	close(told[1]);
	close(fed[0]);
	CHECK_EQ(read(told[0], &o.party, sizeof o.party), sizeof o.party);
	CHECK_EQ(read(told[0], &(char){0}, 1), 0);
	close(told[0]);
	*in = fed[1];
	return o;
}

/* One in a thousand is not told apart: not four in a row. */
TEST(party, a_process_that_has_become_another_program_is_dead)
{
	bool dead = false;
	int in;

	for (int i = 0; i < 4 && !dead; i++) {
		struct other o = other_exec(&in);

		REQUIRE(sync_await_state(o.pid, 'S')); /* it is through with its exec */
		dead = !coh_party_alive(o.party);
		CHECK_EQ(kill(o.pid, 0), 0);
		close(in);
		other_reap(&o);
	}
	CHECK(dead);
}

TEST(party, whose_program_is_not_known_is_alive)
{
	uint64_t program = UINT64_C(0x3ff) << 54, mine = coh_party_self();

	CHECK((mine & program) != 0);
	CHECK(coh_party_alive(mine & ~program));
	CHECK((mine & program) == program || !coh_party_alive(mine ^ program));
}

TEST(party, a_pid_used_again_is_nobody_we_knew)
{
	uint64_t mine = coh_party_self();

	CHECK(!coh_party_alive(mine + 1));
	CHECK(!coh_party_alive(mine - 1));
	CHECK(coh_party_alive(mine & ~UINT64_C(0xffffffff))); /* where the start is not known */
}

TEST(party, what_is_no_party_is_dead)
{
	CHECK(!coh_party_alive(0));
	CHECK(!coh_party_alive(UINT64_MAX));
	CHECK(!coh_party_alive((uint64_t)0x7fffffff << 32 | 1));
}
