/*
 * test_bind.c - many who want to listen at one path at the same moment: one of them does, and can be reached.
 */
#include "net/hall.h"
#include "support/test.h"

#include <cohort/listener.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RACERS 50
#define ROUNDS 4

struct course {
	const char *path;
	int start[2], told[2], end[2]; /* pipes: a closed end is the signal */
};

static struct sockaddr_un place(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
	return sun;
}

/* A socket at PATH whose owner is gone. */
static void abandon(const char *path)
{
	struct sockaddr_un sun = place(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(fd >= 0);
	REQUIRE_EQ(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	close(fd);
}

/* In a child: listen when the start is given, tell how it went, stay until the end. */
static _Noreturn void racer(struct course *c)
{
	struct cohort_net_options o = {.key = hall_key()};
	struct cohort_listener *l;
	char address[512], byte;
	int32_t rc;

	snprintf(address, sizeof address, "unix:%s", c->path);
	close(c->start[1]);
	close(c->end[1]);
	(void)!read(c->start[0], &byte, 1);
	rc = cohort_listen(&l, address, &o, NULL);
	(void)!write(c->told[1], &rc, sizeof rc);
	(void)!read(c->end[0], &byte, 1);
	_exit(0);
}

static bool can_be_reached(const char *path)
{
	struct sockaddr_un sun = place(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool reached = connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0;

	close(fd);
	return reached;
}

/* How many of them listen; those who do not say that another does. */
static int race(struct course *c)
{
	int winners = 0;
	int32_t rc;

	REQUIRE(pipe2(c->start, O_CLOEXEC) == 0 && pipe2(c->told, O_CLOEXEC) == 0 &&
	    pipe2(c->end, O_CLOEXEC) == 0);
	for (int i = 0; i < RACERS; i++)
		if (test_fork() == 0)
			racer(c);
	close(c->start[1]);
	for (int i = 0; i < RACERS; i++) {
		REQUIRE_EQ(read(c->told[0], &rc, sizeof rc), (ssize_t)sizeof rc);
		winners += rc == 0;
		CHECK(rc == 0 || rc == -EADDRINUSE);
	}
	CHECK(can_be_reached(c->path));
	close(c->end[1]);
	while (wait(NULL) > 0)
		continue;
	close(c->start[0]);
	close(c->told[0]);
	close(c->told[1]);
	close(c->end[0]);
	return winners;
}

TEST_TIMEOUT(bind, of_fifty_at_one_path_one_wins, 120)
{
	struct course c = {.path = test_path("s")};

	for (int round = 0; round < ROUNDS; round++) {
		unlink(c.path);
		if (round % 2 == 1)
			abandon(c.path);
		CHECK_EQ(race(&c), 1);
	}
}

/* Whoever may open the folder may lock it, in /tmp everybody: that keeps nobody from listening. */
TEST(bind, goes_on_without_the_lock_of_its_folder_but_removes_nothing)
{
	struct cohort_net_options o = {.key = hall_key()};
	int folder = open(test_path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct cohort_error err = {0};
	struct cohort_listener *l;
	char address[512];

	snprintf(address, sizeof address, "unix:%s", test_path("s"));
	REQUIRE(folder >= 0 && flock(folder, LOCK_EX) == 0);
	REQUIRE_EQ(cohort_listen(&l, address, &o, &err), 0);
	cohort_listener_close(l);
	abandon(test_path("s"));
	CHECK_EQ(cohort_listen(&l, address, &o, &err), -EADDRINUSE);
	CHECK_HAS(err.text, "its folder is locked by another process");
	close(folder);
	REQUIRE_EQ(cohort_listen(&l, address, &o, &err), 0);
	cohort_listener_close(l);
	cohort_key_free((struct cohort_key *)(uintptr_t)o.key);
}
