/* away.c - a server in this process, and clients of it in processes of their own. */
#include "net/away.h"

#include "base/clock.h"
#include "node/server_priv.h"
#include "work/engine.h"

#include <cohort/cohort.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct served served;
struct cohort_server *server;

struct cohort_queue *away_serve_at(const char *address, uint32_t most)
{
	struct cohort_net_options net = {.key_file = served_key()};
	struct cohort_queue_options o = {.most = most};
	struct cohort_queue *q;

	REQUIRE_EQ(cohort_queue_open(&q, address, &o, NULL), 0);
	REQUIRE_EQ(cohort_server_open(&server, "tcp://127.0.0.1:0", &net, NULL), 0);
	REQUIRE_EQ(cohort_server_publish(server, "jobs", q, NULL), 0);
	snprintf(served.address, sizeof served.address, "%s/jobs", cohort_server_address(server));
	return q;
}

struct cohort_queue *away_serve(uint32_t most)
{
	return away_serve_at("local:", most);
}

pid_t away_child(int (*fn)(struct cohort_queue *q, int out), int fds[2])
{
	pid_t pid;

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(recv(fds[1], served.address, sizeof served.address, MSG_WAITALL) == sizeof served.address
			? fn(served_open(&served), fds[1])
			: 1);
	return pid;
}

void away_begun(int fds[2])
{
	char c;

	CHECK_EQ(write(fds[0], served.address, sizeof served.address), sizeof served.address);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	(void)poll(NULL, 0, 20); /* so that it waits more often than not; it need not */
}

void away_ended(pid_t pid, int fds[2])
{
	int status = -1;

	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
	close(fds[0]);
	close(fds[1]);
}

void away_over(struct cohort_queue *q, pid_t pid, int fds[2])
{
	away_ended(pid, fds);
	cohort_server_close(server);
	cohort_queue_close(q, COHORT_NOW);
}

void away_hear(int fd, int n)
{
	char c;

	while (n-- > 0)
		REQUIRE_EQ(read(fd, &c, 1), 1);
}

static size_t waiting(void)
{
	size_t n;

	coh_engine_lock();
	n = coh_desk_waiting(coh_desk_find(server->desk, "jobs"), -1);
	coh_engine_unlock();
	return n;
}

void away_await(size_t n)
{
	cohort_time until = cohort_in(test_span(15 * COHORT_SECOND));

	while (waiting() != n && CHECK(!coh_clock_passed(until)))
		(void)poll(NULL, 0, 1);
}
