/*
 * test_server_silent.c - a queue's server that was stopped: what its clients' calls cost then, and what becomes of the items.
 *
 * A call with a deadline ends a second after it; one that does not wait ends after a second; and with it all others of the
 * process.  A server that is slow, but heard, is waited for.
 */
#include "base/buf.h"
#include "conn/conn_priv.h"
#include "net/served.h"
#include "work/desk.h"

#include <cohort/cohort.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))
#define WAIT (200 * COHORT_MS)
#define SOONEST COHORT_SECOND
#define LATEST test_span(4 * COHORT_SECOND) /* half of what silence alone would take */

static struct served served;

static void given_up_after(cohort_time begin, cohort_time least)
{
	cohort_time took = cohort_now() - begin;

	CHECK(took >= least);
	CHECK(took <= LATEST);
	printf("given up after %lld ms\n", (long long)(took / COHORT_MS));
}

struct getter {
	struct cohort_queue *q;
	int rc;
};

static void *getter_main(void *arg)
{
	struct getter *g = arg;
	char room[8];

	g->rc = cohort_queue_get_into(g->q, room, sizeof room, NULL, COHORT_FOREVER);
	return NULL;
}

/* The server of KIND is stopped; one call has a deadline, another has none: both end soon. */
static void deadline_holds(const char *kind)
{
	struct getter g = {.rc = -1};
	cohort_time begin;
	pthread_t other;
	char room[8];

	served_begin(&served, kind, NULL);
	g.q = served_open(&served);
	served_stop(&served);
	REQUIRE_EQ(pthread_create(&other, NULL, getter_main, &g), 0);
	begin = cohort_now();
	CHECK_EQ(cohort_queue_get_into(g.q, room, sizeof room, NULL, cohort_in(WAIT)), COHORT_EPEER);
	given_up_after(begin, WAIT + SOONEST);
	CHECK_HAS(cohort_queue_error(g.q), "is silent: no answer");
	pthread_join(other, NULL);
	CHECK_EQ(g.rc, COHORT_EPEER);
	cohort_queue_close(g.q, COHORT_NOW);
	served_kill(&served);
}

TEST(server_silent, keeps_a_deadline_at_a_path)
{
	deadline_holds("unix");
}

TEST(server_silent, keeps_a_deadline_at_a_port)
{
	deadline_holds("tcp");
}

TEST(server_silent, keeps_a_deadline_through_tls)
{
	deadline_holds("tls");
}

static void try_is_bounded(const char *kind)
{
	cohort_time begin;
	struct cohort_queue *q;

	served_begin(&served, kind, NULL);
	q = served_open(&served);
	served_stop(&served);
	begin = cohort_now();
	CHECK_EQ(cohort_queue_size(q), COHORT_EPEER);
	given_up_after(begin, SOONEST);
	CHECK_HAS(cohort_queue_error(q), "is silent: no answer");
	CHECK_EQ(cohort_queue_put_bytes(q, "", 0, PATIENCE), COHORT_EPEER);
	cohort_queue_close(q, COHORT_NOW);
	served_kill(&served);
}

TEST(server_silent, bounds_a_try_at_a_path)
{
	try_is_bounded("unix");
}

TEST(server_silent, bounds_a_try_at_a_port)
{
	try_is_bounded("tcp");
}

TEST(server_silent, bounds_a_try_through_tls)
{
	try_is_bounded("tls");
}

/* What it would have handed to calls that were given up is there for the next. */
static void nothing_is_lost(const char *kind)
{
	struct cohort_queue *q, *again;
	char got[8] = "";

	served_begin(&served, kind, NULL);
	q = served_open(&served);
	CHECK_EQ(cohort_queue_put_bytes(q, "kept", 5, PATIENCE), 0);
	served_stop(&served);
	CHECK_EQ(cohort_queue_get_into(q, got, sizeof got, NULL, cohort_in(WAIT)), COHORT_EPEER);
	kill(served.pid, SIGCONT);
	again = served_open(&served);
	CHECK_EQ(cohort_queue_size(q), COHORT_EPEER);
	CHECK_EQ(cohort_queue_get_into(again, got, sizeof got, NULL, PATIENCE), 0);
	CHECK_STR(got, "kept");
	cohort_queue_close(q, COHORT_NOW);
	cohort_queue_close(again, COHORT_NOW);
	served_end(&served);
}

TEST(server_silent, loses_no_item_when_it_comes_back_at_a_path)
{
	nothing_is_lost("unix");
}

TEST(server_silent, loses_no_item_when_it_comes_back_at_a_port)
{
	nothing_is_lost("tcp");
}

TEST(server_silent, loses_no_item_when_it_comes_back_through_tls)
{
	nothing_is_lost("tls");
}

/* ---- slow, but heard ---- */

#define ITEM 60000 /* in one frame */
#define PIECES 8
#define PAUSE 300 /* ms between them */

/* The next frame of TYPE. */
static struct coh_frame next(struct cohort_conn *c, uint8_t type)
{
	const void *body;
	struct coh_frame f;

	do
		if (coh_conn_next_frame(c, &f, &body, PATIENCE) != 0)
			_exit(1);
	while (f.type != type);
	return f;
}

static void say(int fd, const void *p, size_t n)
{
	if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		_exit(1);
}

/* Serve one client: an ATTACH, then a GET, whose answer begins when the client has cancelled it, and takes its time. */
static void dribble(struct cohort_conn *c)
{
	static char item[ITEM];
	unsigned char head[COH_FRAME_SIZE], about[20] = {0};
	struct coh_frame f;
	int fd = coh_conn_fd(c);

	coh_put_u32(about, 1);
	coh_conn_set_phase(c, COH_PHASE_SHARED);
	f = next(c, COH_FRAME_ATTACH);
	f = (struct coh_frame){.type = COH_FRAME_REPLY, .flags = f.flags, .length = sizeof about};
	coh_frame_encode(&f, head);
	say(fd, head, sizeof head);
	say(fd, about, sizeof about);
	f = next(c, COH_FRAME_CALL);
	(void)next(c, COH_FRAME_CANCEL);
	f = (struct coh_frame){.type = COH_FRAME_REPLY, .flags = f.flags, .length = ITEM};
	coh_frame_encode(&f, head);
	say(fd, head, sizeof head);
	memset(item, 'd', ITEM);
	for (int i = 0; i < PIECES; i++) {
		(void)poll(NULL, 0, PAUSE); /* that it takes time is what this is about */
		say(fd, item + i * (ITEM / PIECES), ITEM / PIECES);
	}
}

/* A process that does this at ADDRESS, once it has said where. */
static pid_t dribbler(int out)
{
	struct cohort_net_options net = {.key_file = served_key()};
	struct cohort_listener *l;
	struct cohort_conn *c;
	char line[sizeof served.address] = "";
	pid_t pid = test_fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cohort_listen(&l, "tcp://127.0.0.1:0", &net, NULL) != 0)
		_exit(2);
	snprintf(line, sizeof line, "%s/jobs", cohort_listener_address(l));
	if (write(out, line, sizeof line) != sizeof line || cohort_listener_accept(l, &c, PATIENCE, NULL) != 0)
		_exit(3);
	dribble(c);
	for (;;)
		pause();
}

TEST(server_silent, is_not_said_of_one_that_is_slow)
{
	static char got[ITEM], want[ITEM];
	struct cohort_queue *q;
	cohort_time begin;
	size_t size = 0;
	int fds[2];
	pid_t pid;

	REQUIRE_EQ(pipe(fds), 0);
	pid = dribbler(fds[1]);
	REQUIRE_EQ(read(fds[0], served.address, sizeof served.address), sizeof served.address);
	q = served_open(&served);
	begin = cohort_now();
	CHECK_EQ(cohort_queue_get_into(q, got, ITEM, &size, cohort_in(WAIT)), 0);
	CHECK(cohort_now() - begin > WAIT + SOONEST);
	CHECK_EQ(size, ITEM);
	memset(want, 'd', ITEM);
	CHECK(memcmp(got, want, ITEM) == 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cohort_queue_close(q, COHORT_NOW);
	close(fds[0]);
	close(fds[1]);
}
