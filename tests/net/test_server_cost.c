/* test_server_cost.c - what clients cost a server: each process a connection, each call its entry. */
#include "net/away.h"

#include <cohort/cohort.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))
#define CALLERS 8 /* of a process: two for each of four handles, of two queues */

struct caller {
	struct cohort_queue *q;
	pthread_t thread;
	int out, rc;
};

/* A call that is answered, a word of it, and a call that waits. */
static void *caller_main(void *arg)
{
	struct caller *c = arg;
	char room[8];

	c->rc = cohort_queue_size(c->q) < 0;
	(void)!write(c->out, "", 1);
	c->rc |= cohort_queue_get_into(c->q, room, sizeof room, NULL, PATIENCE);
	return NULL;
}

static int call_by_all(struct cohort_queue *q, int out)
{
	struct caller c[CALLERS];
	char go;
	int rc = 0;

	for (int i = 0; i < CALLERS; i++) {
		strcpy(strrchr(served.address, '/'), i % 2 == 0 ? "/jobs" : "/more");
		c[i].q = i == 0 ? q : i < CALLERS / 2 ? served_open(&served) : c[i - CALLERS / 2].q;
		c[i].out = out;
		rc |= pthread_create(&c[i].thread, NULL, caller_main, &c[i]);
	}
	for (int i = 0; i < CALLERS; i++) {
		rc |= pthread_join(c[i].thread, NULL);
		rc |= c[i].rc;
	}
	(void)!write(out, "", 1);
	return rc != 0 || read(out, &go, 1) != 1;
}

TEST(server, is_met_by_each_process_over_one_connection)
{
	int fds[2][2];
	pid_t pid[2] = {away_child(call_by_all, fds[0]), away_child(call_by_all, fds[1])};
	struct cohort_queue *q = away_serve(0), *more;

	REQUIRE_EQ(cohort_queue_open(&more, "local:", NULL, NULL), 0);
	CHECK_EQ(cohort_server_publish(server, "more", more, NULL), 0);
	CHECK_EQ(cohort_server_clients(server), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(write(fds[i][0], served.address, sizeof served.address), sizeof served.address);
		away_hear(fds[i][0], CALLERS);
		CHECK_EQ(cohort_server_clients(server), i + 1);
	}
	away_await(CALLERS);
	CHECK_EQ(cohort_server_clients(server), 2);
	for (int i = 0; i < CALLERS; i++) {
		CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, PATIENCE), 0);
		CHECK_EQ(cohort_queue_put_bytes(more, "x", 1, PATIENCE), 0);
	}
	for (int i = 0; i < 2; i++)
		away_hear(fds[i][0], 1);
	CHECK_EQ(cohort_server_clients(server), 2);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(write(fds[i][0], "", 1), 1);
	away_ended(pid[1], fds[1]);
	away_over(q, pid[0], fds[0]);
	cohort_queue_close(more, COHORT_NOW);
}
