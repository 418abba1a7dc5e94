/* test_server.c - a queue of a server: its end, its clients' ends, and what only addresses can do wrong. */
#include "base/clock.h"
#include "net/away.h"
#include "work/queue_priv.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))

static void put(struct cohort_queue *q, const char *text)
{
	if (!CHECK_EQ(cohort_queue_put_bytes(q, text, strlen(text) + 1, PATIENCE), 0))
		FAIL("%s", cohort_queue_error(q));
}

/* What comes next is TEXT. */
static bool gets(struct cohort_queue *q, const char *text, cohort_time deadline)
{
	char got[64] = "";
	size_t size;

	return CHECK_EQ(cohort_queue_get_into(q, got, sizeof got, &size, deadline), 0) &&
	    CHECK_STR(got, text);
}

static void alike(const char *kind)
{
	struct cohort_queue *q, *again;

	served_begin(&served, kind, NULL);
	q = served_open(&served);
	again = served_open(&served);
	put(q, "one");
	put(again, "two");
	CHECK_EQ(cohort_queue_size(q), 2);
	gets(again, "one", COHORT_NOW);
	gets(q, "two", COHORT_NOW);
	CHECK_EQ(cohort_queue_get_into(q, NULL, 0, NULL, COHORT_NOW), COHORT_EEMPTY);
	CHECK_EQ(cohort_queue_close(again, COHORT_NOW), 0);
	put(q, "three");
	CHECK_EQ(cohort_queue_close(q, COHORT_NOW), 1);
	served_end(&served);
}

TEST(server, queue_is_met_at_a_path)
{
	alike("unix");
}

TEST(server, queue_is_met_at_a_port)
{
	alike("tcp");
}

TEST(server, queue_is_met_through_tls)
{
	alike("tls");
}

struct getter {
	struct cohort_queue *q;
	pthread_t thread;
	int rc;
	char text[300];
};

static void *getter_main(void *arg)
{
	struct getter *g = arg;
	char room[64];

	g->rc = cohort_queue_get_into(g->q, room, sizeof room, NULL, COHORT_FOREVER);
	snprintf(g->text, sizeof g->text, "%s", cohort_queue_error(g->q));
	return NULL;
}

TEST(server, that_is_killed_ends_every_call_that_waits)
{
	struct getter g[3];
	struct cohort_queue *q;

	served_begin(&served, "tcp", NULL);
	q = served_open(&served);
	for (int i = 0; i < 3; i++) {
		g[i].q = q;
		REQUIRE_EQ(pthread_create(&g[i].thread, NULL, getter_main, &g[i]), 0);
	}
	CHECK_EQ(cohort_queue_size(q), 0); /* they may wait already, or not yet: both must end */
	served_kill(&served);
	for (int i = 0; i < 3; i++) {
		pthread_join(g[i].thread, NULL);
		CHECK_EQ(g[i].rc, COHORT_EPEER);
		CHECK_HAS(g[i].text, "is gone");
	}
	CHECK_EQ(cohort_queue_put_bytes(q, "", 0, PATIENCE), COHORT_EPEER);
	CHECK_EQ(cohort_queue_size(q), COHORT_EPEER);
	cohort_queue_close(q, COHORT_NOW);
}

TEST(server, that_came_again_is_dialled_by_the_next_open)
{
	struct cohort_queue *old, *q;

	served_begin(&served, "tcp", NULL);
	old = served_open(&served);
	put(old, "lost with the server");
	served_kill(&served);
	served_again(&served);
	q = served_open(&served); /* also when nobody has noticed yet */
	put(q, "x");
	gets(q, "x", COHORT_NOW);
	CHECK_EQ(cohort_queue_size(old), COHORT_EPEER);
	cohort_queue_close(old, COHORT_NOW);
	cohort_queue_close(q, COHORT_NOW);
	served_end(&served);
}

TEST(server, that_is_silent_ends_every_call_by_its_heartbeat)
{
	struct cohort_queue *q;
	char room[8];

	served_begin(&served, "tcp", NULL);
	q = served_open(&served);
	kill(served.pid, SIGSTOP);
	CHECK_EQ(cohort_queue_get_into(q, room, sizeof room, NULL, COHORT_FOREVER), COHORT_EPEER);
	CHECK_HAS(cohort_queue_error(q), "nothing came for");
	cohort_queue_close(q, COHORT_NOW);
	served_kill(&served);
}

TEST(server, client_that_is_killed_gives_back_what_it_took)
{
	struct cohort_item item;
	struct cohort_queue *q;
	int rc, fds[2];
	char c = 0;
	pid_t pid;

	served_begin(&served, "tcp", NULL);
	REQUIRE_EQ(pipe(fds), 0);
	pid = test_fork();
	if (pid == 0) {
		q = served_open(&served);
		rc = cohort_queue_take(q, &item, PATIENCE);
		(void)!write(fds[1], &rc, 1);
		for (;;)
			pause();
	}
	q = served_open(&served);
	put(q, "mine");
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 0);
	CHECK_EQ(cohort_queue_size(q), 0);
	kill(pid, SIGKILL);
	REQUIRE_EQ(cohort_queue_take(q, &item, PATIENCE), 0);
	CHECK_STR((const char *)item.data, "mine");
	CHECK_EQ(item.deliveries, 2);
	CHECK_EQ(cohort_queue_ack(q, &item), 0);
	CHECK_EQ(cohort_queue_ack(q, &item), COHORT_EARGUMENT);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	cohort_queue_close(q, COHORT_NOW);
	served_end(&served);
}

TEST(server, handle_is_no_forked_childs)
{
	struct cohort_queue *q;
	int status;
	pid_t pid;

	served_begin(&served, "unix", NULL);
	q = served_open(&served);
	pid = test_fork();
	if (pid == 0)
		_exit(cohort_queue_size(q) != COHORT_ESTATE ||
		    strstr(cohort_queue_error(q), "forked") == NULL);
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
	put(q, "still mine");
	cohort_queue_close(q, COHORT_NOW);
	served_end(&served);
}

TEST(server, descriptor_tells_of_items)
{
	struct cohort_queue *q, *other;
	struct pollfd p = {.events = POLLIN};
	char room[8];

	served_begin(&served, "tcp", NULL);
	q = served_open(&served);
	other = served_open(&served);
	p.fd = cohort_queue_fd(q);
	REQUIRE(p.fd >= 0);
	CHECK_EQ(poll(&p, 1, 0), 1); /* as long as nobody has looked */
	CHECK_EQ(cohort_queue_get_into(q, room, sizeof room, NULL, COHORT_NOW), COHORT_EEMPTY);
	CHECK_EQ(poll(&p, 1, 0), 0);
	put(other, "x");
	CHECK_EQ(poll(&p, 1, 10000), 1);
	gets(q, "x", COHORT_NOW);
	cohort_queue_close(q, COHORT_NOW);
	cohort_queue_close(other, COHORT_NOW);
	served_end(&served);
}

TEST(server, opening_says_what_is_wrong)
{
	struct cohort_queue_options o = {.most = 5};
	struct cohort_error err = {0};
	struct cohort_queue *q;

	served_begin(&served, "unix", &o);
	o.key_file = served_key();
	o.most = 6;
	CHECK_EQ(cohort_queue_open(&q, served.address, &o, &err), COHORT_EARGUMENT);
	CHECK_HAS(err.text, "6");
	o.most = 5;
	o.open = COHORT_OPEN_CREATE;
	CHECK_EQ(cohort_queue_open(&q, served.address, &o, &err), -EEXIST);
	o.open = COHORT_OPEN_ATTACH;
	o.format = "s";
	CHECK_EQ(cohort_queue_open(&q, served.address, &o, &err), COHORT_EFORMAT);
	o.format = NULL;
	strcat(served.address, "x");
	CHECK_EQ(cohort_queue_open(&q, served.address, &o, &err), -ENOENT);
	CHECK_HAS(err.text, "jobsx");
	CHECK_EQ(cohort_queue_open(&q, "unix:/nowhere/at/all/jobs", &o, &err), -ENOENT);
	CHECK_EQ(cohort_queue_open(&q, "tcp://127.0.0.1:1", &o, &err), COHORT_EADDRESS);
	served_end(&served);
}

TEST(server, is_asked_by_many_threads_over_one_connection)
{
	struct getter g[8];
	struct cohort_queue *q;

	served_begin(&served, "tcp", NULL);
	q = served_open(&served);
	for (int i = 0; i < 8; i++) {
		g[i].q = q;
		REQUIRE_EQ(pthread_create(&g[i].thread, NULL, getter_main, &g[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		put(q, "x");
	for (int i = 0; i < 8; i++) {
		pthread_join(g[i].thread, NULL);
		CHECK_EQ(g[i].rc, 0);
	}
	cohort_queue_close(q, COHORT_NOW);
	served_end(&served);
}

static void *joiner_main(void *arg)
{
	struct getter *g = arg;

	g->rc = cohort_queue_join(g->q, COHORT_FOREVER);
	return NULL;
}

/* Who sleeps in the connection keeps nobody from sending what it takes at once only in part, or from the answer. */
TEST(server, large_items_go_while_another_thread_waits)
{
	const size_t size = (size_t)8 << 20;
	struct getter g = {.rc = -1};
	unsigned char *p = calloc(1, size);
	size_t got = 0;

	served_begin(&served, "tcp", NULL);
	g.q = served_open(&served);
	put(g.q, "undone");
	REQUIRE_EQ(pthread_create(&g.thread, NULL, joiner_main, &g), 0);
	gets(g.q, "undone", PATIENCE);
	for (int i = 0; i < 4; i++) {
		memset(p, i + 1, size);
		CHECK_EQ(cohort_queue_put_bytes(g.q, p, size, PATIENCE), 0);
		memset(p, 0, size);
		CHECK_EQ(cohort_queue_get_into(g.q, p, size, &got, PATIENCE), 0);
		CHECK(got == size && p[0] == i + 1 && memcmp(p, p + 1, size - 1) == 0);
	}
	for (int i = 0; i < 5; i++)
		CHECK_EQ(cohort_queue_task_done(g.q), 0);
	pthread_join(g.thread, NULL);
	CHECK_EQ(g.rc, 0);
	free(p);
	cohort_queue_close(g.q, COHORT_NOW);
	served_end(&served);
}

TEST(server, large_items_go_both_ways)
{
	size_t size = 5 << 20, got = 0;
	struct cohort_queue *q;
	char *p = calloc(2, size);

	served_begin(&served, "tcp", NULL);
	q = served_open(&served);
	for (size_t i = 0; i < size; i++)
		p[i] = (char)(i * 7);
	CHECK_EQ(cohort_queue_put_bytes(q, p, size, PATIENCE), 0);
	CHECK_EQ(cohort_queue_get_into(q, p + size, 10, &got, PATIENCE), COHORT_ETOOBIG);
	CHECK_EQ(got, size);
	CHECK_EQ(cohort_queue_get_into(q, p + size, size, &got, PATIENCE), 0);
	CHECK(memcmp(p, p + size, size) == 0);
	free(p);
	cohort_queue_close(q, COHORT_NOW);
	served_end(&served);
}

/* ---- the same queue in memory of this machine ---- */

static int get_elsewhere(struct cohort_queue *q, int out)
{
	char c = 0;

	(void)!write(out, "", 1);
	return cohort_queue_get_into(q, &c, 1, NULL, PATIENCE) != 0 || c != 'x';
}

TEST(server, item_put_in_shared_memory_reaches_who_waits_elsewhere)
{
	int fds[2];
	pid_t pid = away_child(get_elsewhere, fds);
	struct cohort_queue *q = away_serve(0);

	away_begun(fds);
	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	away_over(q, pid, fds);
}

static int put_elsewhere(struct cohort_queue *q, int out)
{
	(void)!write(out, "", 1);
	return cohort_queue_put_bytes(q, "y", 1, PATIENCE) != 0;
}

TEST(server, room_made_in_shared_memory_lets_a_put_elsewhere_go_on)
{
	int fds[2];
	pid_t pid = away_child(put_elsewhere, fds);
	struct cohort_queue *q = away_serve(1);
	char c = 0;

	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	away_begun(fds);
	CHECK_EQ(cohort_queue_get_into(q, &c, 1, NULL, COHORT_NOW), 0);
	CHECK_EQ(c, 'x');
	CHECK_EQ(cohort_queue_get_into(q, &c, 1, NULL, PATIENCE), 0);
	CHECK_EQ(c, 'y');
	away_over(q, pid, fds);
}

static int join_elsewhere(struct cohort_queue *q, int out)
{
	(void)!write(out, "", 1);
	return cohort_queue_join(q, PATIENCE);
}

TEST(server, join_elsewhere_hears_of_work_done_in_shared_memory)
{
	int fds[2];
	pid_t pid = away_child(join_elsewhere, fds);
	struct cohort_queue *q = away_serve(0);
	char c;

	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	away_begun(fds);
	CHECK_EQ(cohort_queue_get_into(q, &c, 1, NULL, COHORT_NOW), 0);
	CHECK_EQ(cohort_queue_task_done(q), 0);
	away_over(q, pid, fds);
}

static int poll_elsewhere(struct cohort_queue *q, int out)
{
	struct pollfd p = {.fd = cohort_queue_fd(q), .events = POLLIN};
	char c = 0;

	if (cohort_queue_get_into(q, &c, 1, NULL, COHORT_NOW) != COHORT_EEMPTY)
		return 1;
	(void)!write(out, "", 1);
	return poll(&p, 1, 15000) != 1 || cohort_queue_get_into(q, &c, 1, NULL, COHORT_NOW) != 0;
}

/* Nothing is there: the server hears of that, and is not called on and on. */
static void falls_silent(struct cohort_queue *q)
{
	struct pollfd p = {.fd = coh_queue_local_ring(q)->bell[COH_RING_ITEMS], .events = POLLIN};
	cohort_time until = PATIENCE;

	while (poll(&p, 1, 0) != 0 && CHECK(!coh_clock_passed(until)))
		sched_yield();
}

TEST(server, descriptor_elsewhere_tells_of_an_item_put_in_shared_memory)
{
	int fds[2];
	pid_t pid = away_child(poll_elsewhere, fds);
	struct cohort_queue *q = away_serve(0);

	away_begun(fds);
	falls_silent(q);
	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, COHORT_NOW), 0);
	away_over(q, pid, fds);
}

static int told_of_the_cut(struct cohort_queue *q, int out)
{
	char c;
	int rc;

	(void)!write(out, "", 1);
	rc = cohort_queue_get_into(q, &c, 1, NULL, PATIENCE);
	return rc != COHORT_ESEGMENT || cohort_queue_put_bytes(q, "z", 1, PATIENCE) != COHORT_ESEGMENT;
}

TEST(server, whose_queue_is_cut_says_so_and_goes_on)
{
	int fds[2];
	pid_t pid = away_child(told_of_the_cut, fds);
	struct cohort_queue *q = away_serve_at("local:cut", 0), *other;
	char file[100];

	away_begun(fds);
	snprintf(file, sizeof file, "/dev/shm/cohort-%u/names/cut/segment", (unsigned)geteuid());
	REQUIRE_EQ(truncate(file, 0), 0);
	REQUIRE_EQ(cohort_queue_open(&other, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_server_publish(server, "more", other, NULL), 0);
	away_over(q, pid, fds);
	cohort_queue_close(other, COHORT_NOW);
}

TEST(server, that_a_process_opens_over_the_network_itself_is_refused)
{
	struct cohort_queue *q = away_serve(0), *again;
	struct cohort_error err;

	CHECK_EQ(served_try(&served, &again, &err), COHORT_ESELF);
	cohort_server_close(server);
	cohort_queue_close(q, COHORT_NOW);
}

TEST(server, what_is_unpublished_ends_its_calls)
{
	struct cohort_net_options net = {.key_file = served_key()};
	struct cohort_server *s;
	struct cohort_queue *q;
	struct cohort_error err;

	REQUIRE_EQ(cohort_queue_open(&q, "local:", NULL, NULL), 0);
	REQUIRE_EQ(cohort_server_open(&s, "tcp://127.0.0.1:0", &net, NULL), 0);
	CHECK_EQ(cohort_server_publish(s, "a/b", q, &err), COHORT_ENAME);
	CHECK_EQ(cohort_server_publish(s, "jobs", q, &err), 0);
	CHECK_EQ(cohort_server_publish(s, "jobs", q, &err), -EEXIST);
	CHECK_EQ(cohort_server_publish(s, "again", q, &err), 0);
	CHECK_EQ(cohort_server_unpublish(s, "jobs", &err), 0);
	CHECK_EQ(cohort_server_unpublish(s, "jobs", &err), -ENOENT);
	CHECK_EQ(cohort_server_clients(s), 0);
	cohort_server_close(s);
	cohort_queue_close(q, COHORT_NOW);
}

static int told_that_it_is_gone(struct cohort_queue *q, int out)
{
	struct cohort_queue *again;
	char c;

	(void)!write(out, "", 1);
	if (cohort_queue_get_into(q, &c, 1, NULL, PATIENCE) != COHORT_EPEER ||
	    strstr(cohort_queue_error(q), "does not publish it any more") == NULL)
		return 1;
	if (cohort_queue_size(q) != COHORT_EPEER)
		return 2;
	return served_try(&served, &again, NULL) != -ENOENT ? 3 : 0;
}

TEST(server, what_is_unpublished_ends_the_calls_that_wait_elsewhere)
{
	int fds[2];
	pid_t pid = away_child(told_that_it_is_gone, fds);
	struct cohort_queue *q = away_serve(0);

	away_begun(fds);
	away_await(1);
	CHECK_EQ(cohort_server_unpublish(server, "jobs", NULL), 0);
	away_over(q, pid, fds);
}
