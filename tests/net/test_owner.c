/*
 * test_owner.c - Unix sockets of other users, also where the file's mode would let them in.
 *
 * Only root can be two users: for others these tests say that they are skipped.
 */
#include "support/test.h"

#include <cohort/dial.h>
#include <cohort/listener.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static bool skipped(void)
{
	if (geteuid() != 0)
		printf("skipped: only root can be another user too\n");
	return geteuid() != 0;
}

static cohort_time patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

/* The key of KIND ("unix:" or "python+unix:"), which everybody here holds. */
static struct cohort_net_options options(const char *kind)
{
	static const char secret[] = "a key that others hold too";
	struct cohort_key *key = NULL;

	if (strcmp(kind, "unix:") == 0)
		REQUIRE_EQ(cohort_key_new(&key, secret, sizeof secret, NULL), 0);
	else
		REQUIRE_EQ(cohort_key_new_python(&key, secret, sizeof secret, NULL), 0);
	return (struct cohort_net_options){.key = key};
}

static void options_free(struct cohort_net_options *o)
{
	cohort_key_free((struct cohort_key *)(uintptr_t)o->key);
}

static void become_nobody(void)
{
	REQUIRE_EQ(setresgid(NOBODY, NOBODY, NOBODY), 0);
	REQUIRE_EQ(setresuid(NOBODY, NOBODY, NOBODY), 0);
}

/* A listener of ours at ADDRESS that the file system lets everybody into, and nobody in a child. */
static void stranger_dials(const char *kind, int code)
{
	struct cohort_net_options o = options(kind);
	struct cohort_error err = {0};
	struct cohort_listener *l;
	struct cohort_conn *c;
	char address[512];
	int status;
	pid_t pid;

	snprintf(address, sizeof address, "%s%s", kind, test_path("ours"));
	REQUIRE_EQ(cohort_listen(&l, address, &o, &err), 0);
	REQUIRE_EQ(chmod(test_folder(), 0755), 0);
	REQUIRE_EQ(chmod(test_path("ours"), 0666), 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		struct cohort_net_options theirs = options(kind);

		become_nobody();
		CHECK_EQ(
		    cohort_dial(&c, address, &theirs, cohort_in(3 * COHORT_SECOND), &err), code);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		CHECK_EQ(cohort_listener_accept(l, &c, cohort_in(5 * COHORT_MS), &err),
		    COHORT_ETIMEDOUT);
	cohort_listener_close(l);
	options_free(&o);
}

TEST(owner, another_users_client_is_refused_whatever_the_mode_of_the_file)
{
	if (skipped())
		return;
	stranger_dials("unix:", COHORT_EAUTH);
}

/* Nobody listens at ADDRESS until the pipe READY is closed; it accepts nothing. */
static pid_t stranger_listens(const char *address, const char *kind, int told[2], int ready[2])
{
	struct cohort_listener *l;
	pid_t pid = test_fork();
	char byte;

	REQUIRE(pid >= 0);
	if (pid != 0)
		return pid;
	close(ready[1]);
	struct cohort_net_options theirs = options(kind);

	become_nobody();
	REQUIRE_EQ(cohort_listen(&l, address, &theirs, NULL), 0);
	REQUIRE_EQ(write(told[1], "x", 1), 1);
	CHECK_EQ(read(ready[0], &byte, 1), 0);
	cohort_listener_close(l);
	_exit(0);
}

static void we_dial(const char *kind)
{
	struct cohort_net_options o = options(kind);
	struct cohort_error err = {0};
	struct cohort_conn *c;
	int told[2], ready[2], status;
	char address[512], byte;
	pid_t pid;

	REQUIRE(pipe(told) == 0 && pipe(ready) == 0);
	REQUIRE(mkdir(test_path("theirs"), 0755) == 0 &&
	    chown(test_path("theirs"), NOBODY, NOBODY) == 0);
	REQUIRE_EQ(chmod(test_folder(), 0755), 0);
	snprintf(address, sizeof address, "%s%s/s", kind, test_path("theirs"));
	pid = stranger_listens(address, kind, told, ready);
	REQUIRE_EQ(read(told[0], &byte, 1), 1);
	CHECK_EQ(cohort_dial(&c, address, &o, patience(), &err), COHORT_EAUTH);
	CHECK_HAS(err.text, "it belongs to uid 65534");
	close(ready[0]);
	close(ready[1]);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	close(told[0]);
	close(told[1]);
	options_free(&o);
}

TEST(owner, a_socket_that_another_user_put_there_is_not_talked_to)
{
	if (!skipped())
		we_dial("unix:");
}

TEST(owner, python_peers_are_met_of_our_own_user_only)
{
	if (!skipped())
		we_dial("python+unix:");
}
