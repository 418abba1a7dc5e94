#include "net/hall.h"
#include "support/test.h"

#include "base/mem.h"

#include <cohort/dial.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (20 * COHORT_SECOND)

static struct cohort_error err;

/* Listening at ADDRESS fails with CODE, and the sentence has WORDS. */
static void refuses(const char *address, const struct cohort_net_options *o, int code,
    const char *words)
{
	struct cohort_listener *l;

	memset(&err, 0, sizeof err);
	CHECK_EQ(cohort_listen(&l, address, o, &err), code);
	CHECK(l == NULL);
	CHECK_HAS(err.text, words);
	cohort_listener_close(l);
}

static struct cohort_listener *listening(const char *address, const struct cohort_net_options *o)
{
	struct cohort_listener *l;

	if (cohort_listen(&l, address, o, &err) != 0) {
		FAIL("%s", err.text);
		REQUIRE(false);
	}
	return l;
}

TEST(listener, tells_the_port_it_was_given)
{
	struct hall h;

	hall_open(&h, "tcp://127.0.0.1:0", PATIENCE, 8);
	CHECK_HAS(cohort_listener_address(h.listener), "tcp://127.0.0.1:");
	CHECK(strcmp(cohort_listener_address(h.listener), "tcp://127.0.0.1:0") != 0);
	hall_serves(&h);
	hall_close(&h);
}

TEST(listener, serves_ipv6_and_unix)
{
	struct hall h;
	char address[300];

	hall_open(&h, "tcp://[::1]:0", PATIENCE, 8);
	hall_serves(&h);
	hall_close(&h);
	snprintf(address, sizeof address, "listen:unix:%s", test_path("s"));
	hall_open(&h, address, PATIENCE, 8);
	CHECK_STR(cohort_listener_address(h.listener), address + 7);
	hall_serves(&h);
	hall_close(&h);
}

TEST(listener, refuses_addresses_it_cannot_listen_at)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	char path[400] = "unix:/";

	memset(path + 6, 'x', 200);
	refuses("tcp://127.0.0.1", &o, COHORT_EADDRESS, "port");
	refuses("nonsense", &o, COHORT_EADDRESS, "nonsense");
	refuses(path, &o, COHORT_EADDRESS, "107");
	refuses("local:2", &o, COHORT_EADDRESS, "local");
	refuses("tls://127.0.0.1", &o, COHORT_EADDRESS, "port");
	refuses("tcp://no-such-host.invalid:1", &o, COHORT_EADDRESS, "no-such-host.invalid");
	refuses("unix:/no/such/folder/s", &o, -ENOENT, "/no/such/folder");
	cohort_key_free(key);
}

/* The address says how it is to be dialled, whatever was asked for. */
static void is_guarded(const char *address, const struct cohort_net_options *o, const char *as)
{
	struct cohort_listener *l = listening(address, o);

	CHECK_HAS(cohort_listener_address(l), as);
	cohort_listener_close(l);
}

TEST(listener, speaks_tls_beyond_this_machine_unless_told)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};

	is_guarded("tcp://127.0.0.1:0", &o, "tcp://127.0.0.1:");
	is_guarded("tls://127.0.0.1:0", &o, "tls://127.0.0.1:");
	is_guarded("tcp://0.0.0.0:0", &o, "tls://0.0.0.0:");
	is_guarded("tcp://[::]:0", &o, "tls://[::]:");
	o.insecure_plaintext = 1;
	is_guarded("tcp://0.0.0.0:0", &o, "tcp://0.0.0.0:");
	is_guarded("tls://0.0.0.0:0", &o, "tls://0.0.0.0:");
	cohort_key_free(key);
}

TEST(listener, refuses_exempt_networks_that_are_none)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key, .exempt = "10.1.0.0/16,host"};

	refuses("tcp://127.0.0.1:0", &o, COHORT_EADDRESS, "\"host\" is no address by number");
	cohort_key_free(key);
}

TEST(listener, makes_a_folder_for_us_alone)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct cohort_listener *l;
	struct stat st;
	char at[4200], folder[4096];

	snprintf(folder, sizeof folder, "%s", test_path("new"));
	snprintf(at, sizeof at, "unix:%s/socket", folder);
	l = listening(at, &o);
	REQUIRE_EQ(stat(folder, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0700);
	REQUIRE_EQ(stat(at + 5, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	cohort_listener_close(l);
	cohort_key_free(key);
}

TEST(listener, refuses_a_port_in_use_by_its_name)
{
	struct hall h;

	hall_open(&h, NULL, PATIENCE, 8);
	refuses(cohort_listener_address(h.listener), &h.options, -EADDRINUSE,
	    cohort_listener_address(h.listener));
	hall_serves(&h);
	hall_close(&h);
}

TEST(listener, needs_a_key_and_names_that_are_names)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key_file = "/no/key"};

	refuses("tcp://127.0.0.1:0", &o, COHORT_EKEY, "/no/key");
	unsetenv("COHORT_KEY_FILE");
	refuses("tcp://127.0.0.1:0", NULL, COHORT_EKEY, "COHORT_KEY_FILE");
	o = (struct cohort_net_options){.key = key, .name = "two words"};
	refuses("tcp://127.0.0.1:0", &o, COHORT_ENAME, "two words");
	o = (struct cohort_net_options){.key = key, .cluster = ""};
	refuses("tcp://127.0.0.1:0", &o, COHORT_ENAME, "\"\"");
	cohort_key_free(key);
}

static const char *unix_address(const char *path)
{
	static char address[300];

	snprintf(address, sizeof address, "unix:%s", path);
	return address;
}

TEST(listener, makes_a_unix_socket_for_nobody_else_and_removes_it)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	const char *path = test_path("s");
	struct cohort_listener *l;
	struct stat st;

	umask(0);
	l = listening(unix_address(path), &o);
	REQUIRE_EQ(stat(path, &st), 0);
	CHECK(S_ISSOCK(st.st_mode));
	CHECK_EQ(st.st_mode & 07777, 0600);
	cohort_listener_close(l);
	CHECK_EQ(stat(path, &st), -1);
	cohort_key_free(key);
}

TEST(listener, refuses_a_folder_that_others_may_write)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	const char *folder = test_path("open");

	REQUIRE_EQ(mkdir(folder, 0700), 0);
	REQUIRE_EQ(chmod(folder, 0777), 0);
	refuses(unix_address(test_path("open/s")), &o, -EACCES, "chmod go-w");
	REQUIRE_EQ(chmod(folder, 01777), 0);
	cohort_listener_close(listening(unix_address(test_path("open/s")), &o));
	cohort_key_free(key);
}

/* A Unix socket bound to PATH whose owner is gone. */
static void abandon(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(fd >= 0);
	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	REQUIRE_EQ(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	REQUIRE_EQ(listen(fd, 1), 0);
	close(fd);
}

TEST(listener, replaces_a_socket_left_behind_and_nothing_else)
{
	struct hall h;
	const char *path = test_path("s"), *file = test_path("file");
	int fd;

	abandon(path);
	hall_open(&h, unix_address(path), PATIENCE, 8);
	hall_serves(&h);
	refuses(unix_address(path), &h.options, -EADDRINUSE, "another process listens");
	hall_serves(&h);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	close(fd);
	refuses(unix_address(file), &h.options, -EADDRINUSE, "no socket");
	CHECK_EQ(access(file, F_OK), 0);
	hall_close(&h);
}

TEST(listener, leaves_a_socket_that_is_no_longer_its_own)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	const char *path = test_path("s");
	struct cohort_listener *l = listening(unix_address(path), &o);

	REQUIRE_EQ(rename(path, test_path("aside")), 0);
	abandon(path);
	cohort_listener_close(l);
	CHECK_EQ(access(path, F_OK), 0);
	cohort_key_free(key);
}

TEST(listener, accept_keeps_its_deadline)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct cohort_listener *l = listening("tcp://127.0.0.1:0", &o);
	cohort_time start = cohort_now();
	struct cohort_conn *c;

	CHECK_EQ(cohort_listener_accept(l, &c, COHORT_NOW, &err), COHORT_ETIMEDOUT);
	CHECK_EQ(cohort_listener_accept(l, &c, start + 30 * COHORT_MS, &err), COHORT_ETIMEDOUT);
	CHECK(cohort_now() - start >= 30 * COHORT_MS);
	CHECK_HAS(err.text, cohort_listener_address(l));
	cohort_listener_close(l);
	cohort_key_free(key);
}

/* A child that dials L and ends with 0 when it was let in. */
static pid_t dialling_child(struct cohort_listener *l, const char *name)
{
	pid_t pid = test_fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		const struct cohort_backoff once = {.tries = 1};
		struct cohort_net_options o = {.name = name, .retry = &once};
		struct cohort_key *key;
		struct cohort_conn *c;
		int rc;

		coh_mem_fail(0, COH_MEM_FAIL_ONCE);
		o.key = key = hall_key(); /* a key does not survive fork */
		rc = cohort_dial(&c, cohort_listener_address(l), &o,
		    cohort_in(test_span(15 * COHORT_SECOND)), &err);
		if (rc == 0)
			(void)cohort_conn_poll(c, COHORT_FOREVER); /* until the other end goes */
		cohort_conn_close(c);
		cohort_key_free(key);
		_exit(rc == 0 ? 0 : 1);
	}
	return pid;
}

TEST(listener, can_be_waited_for_and_stepped_with_other_things)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct cohort_listener *l = listening("tcp://127.0.0.1:0", &o);
	struct cohort_wait_item item = {.fd = cohort_listener_fd(l)};
	struct coh_handshake_peer peer;
	struct cohort_conn *c = NULL;
	pid_t pid;
	int rc = 0;

	CHECK_EQ(cohort_wait(&item, 1, COHORT_NOW), 0);
	pid = dialling_child(l, "guest-7");
	while (rc == 0 && cohort_wait(&item, 1, cohort_in(test_span(15 * COHORT_SECOND))) == 1)
		rc = coh_listener_step(l, &c, &peer, &err);
	REQUIRE_EQ(rc, 1);
	CHECK_STR(peer.name, "guest-7");
	CHECK_HAS(cohort_conn_peer(c), "guest-7 at tcp://127.0.0.1:");
	CHECK_EQ(coh_listener_strangers(l), 0);
	CHECK_EQ(cohort_wait(&item, 1, COHORT_NOW), 0);
	cohort_listener_close(l);
	cohort_conn_close(c); /* lives on after the listener */
	CHECK_EQ(waitpid(pid, &rc, 0), pid);
	CHECK_EQ(rc, 0);
	cohort_key_free(key);
}

/* Whom accept watched by itself is watched by the descriptor once accept has given up. */
TEST(listener, descriptor_tells_of_whom_accept_left_half_way)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct hall h = {.listener = listening("tcp://127.0.0.1:0", &o)};
	struct cohort_wait_item item = {.fd = cohort_listener_fd(h.listener)};
	struct cohort_conn *c;
	int fd = hall_stranger(&h);

	CHECK_EQ(cohort_listener_accept(h.listener, &c, cohort_in(50 * COHORT_MS), &err), COHORT_ETIMEDOUT);
	CHECK_EQ(coh_listener_strangers(h.listener), 1);
	CHECK_EQ(cohort_wait(&item, 1, COHORT_NOW), 0);
	hall_say(fd, "no word of ours", 15);
	CHECK_EQ(cohort_wait(&item, 1, cohort_in(test_span(COHORT_SECOND))), 1);
	CHECK_EQ(coh_listener_step(h.listener, &c, NULL, &err), 0);
	CHECK_EQ(coh_listener_strangers(h.listener), 0);
	close(fd);
	cohort_listener_close(h.listener);
	cohort_key_free(key);
}

TEST(listener, wakes_by_itself_when_a_strangers_time_is_up)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct hall h = {.listener = listening("tcp://127.0.0.1:0", &o)};
	struct cohort_wait_item item = {.fd = cohort_listener_fd(h.listener)};
	struct cohort_conn *c;
	int fd, wakes = 0;

	coh_listener_limit(h.listener, 50 * COHORT_MS, 8);
	fd = hall_stranger(&h);
	for (; cohort_wait(&item, 1, cohort_in(test_span(COHORT_SECOND))) == 1; wakes++)
		CHECK_EQ(coh_listener_step(h.listener, &c, NULL, &err), 0);
	CHECK(wakes >= 2 && wakes <= 5); /* it came, its time was up: no spinning */
	CHECK_EQ(coh_listener_strangers(h.listener), 0);
	CHECK_EQ(hall_turned_away(fd), 0);
	cohort_listener_close(h.listener);
	cohort_key_free(key);
}

/* Leave this process N descriptors more than it has; gives the old limit back. */
static struct rlimit descriptors_left(int n)
{
	struct rlimit old, now;
	int next = dup(0);

	REQUIRE(next >= 0);
	close(next);
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	now = old;
	now.rlim_cur = (rlim_t)(next + n);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
	return old;
}

TEST(listener, says_that_there_are_no_descriptors)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct rlimit old;

	for (int left = 0; left < 4; left++) {
		old = descriptors_left(left);
		refuses("tcp://127.0.0.1:0", &o, -EMFILE, "Too many open files");
		REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	}
	cohort_key_free(key);
}

TEST(listener, without_descriptors_turns_one_away_rests_and_recovers)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct hall h = {.listener = listening("tcp://127.0.0.1:0", &o)};
	struct pollfd p = {.fd = cohort_listener_fd(h.listener), .events = POLLIN};
	struct cohort_conn *c = NULL;
	int a = hall_stranger(&h), b = hall_stranger(&h), steps = 0, rc;
	struct rlimit old = descriptors_left(0);
	pid_t pid;

	while (poll(&p, 1, 50) == 1 && steps++ < 100)
		CHECK_EQ(coh_listener_step(h.listener, &c, NULL, &err), 0);
	CHECK_EQ(steps, 1);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	CHECK_EQ(hall_turned_away(a), COH_REFUSE_BUSY);
	pid = dialling_child(h.listener, "patient");
	CHECK_EQ(cohort_listener_accept(h.listener, &c, cohort_in(test_span(15 * COHORT_SECOND)), &err),
	    0);
	cohort_conn_close(c);
	close(b);
	cohort_listener_close(h.listener);
	CHECK_EQ(waitpid(pid, &rc, 0), pid);
	CHECK_EQ(rc, 0);
	cohort_key_free(key);
}

/* Listen, and let one child in.  A stranger that finds no memory is turned away, not an error. */
static int let_one_in(void *arg)
{
	struct cohort_listener *l;
	struct cohort_conn *c = NULL;
	struct cohort_net_options o = {.key = arg};
	cohort_time end = cohort_in(test_span(15 * COHORT_SECOND));
	int status = 0, rc = cohort_listen(&l, "tcp://127.0.0.1:0", &o, &err);
	bool ended = false;
	pid_t pid;

	if (rc != 0)
		return rc;
	pid = dialling_child(l, "one");
	while (c == NULL && !ended && cohort_now() < end) {
		rc = cohort_listener_accept(l, &c, cohort_in(5 * COHORT_MS), &err);
		ended = waitpid(pid, &status, WNOHANG) == pid;
	}
	if (c != NULL && strstr(cohort_conn_peer(c), "one at") == NULL)
		rc = -ENOMEM; /* it found all but room for the name, and does without */
	cohort_conn_close(c);
	cohort_listener_close(l);
	if (!ended)
		CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (rc == COHORT_ETIMEDOUT && status != 0)
		return -ENOMEM;
	return rc;
}

TEST_TIMEOUT(listener, survives_every_failed_allocation, 60)
{
	struct cohort_key *key = hall_key();

	test_every_allocation(let_one_in, key);
	cohort_key_free(key);
}
