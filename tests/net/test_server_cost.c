/* test_server_cost.c - what clients cost a server: each process a connection, each call its entry. */
#include "conn/conn_priv.h"
#include "net/away.h"
#include "os/proc.h"
#include "work/desk_queue.h"

#include <cohort/cohort.h>
#include <malloc.h>
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

#define MANY COH_DESK_CALLS_MAX
#define ENTRY_MOST 1024 /* bytes of heap */

static void say(struct cohort_conn *c, struct coh_frame f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};

	CHECK_EQ(coh_conn_put_frame(c, &f, &iov, 1, PATIENCE), 0);
}

/* Gets, FIRST to LAST, half of them without a deadline. */
static void get_bare(struct cohort_conn *c, uint32_t first, uint32_t last)
{
	static const unsigned char room[8] = {0};

	for (uint32_t i = first; i <= last; i++)
		say(c,
		    (struct coh_frame){.type = COH_FRAME_CALL,
			.channel = coh_desk_channel(1, COH_DESK_QUEUE_GET, 0),
			.flags = i,
			.id = i % 2 == 0 ? COH_DESK_NO_LIMIT : (uint64_t)test_span(60 * COHORT_SECOND)},
		    room, sizeof room);
	CHECK_EQ(cohort_conn_flush(c, PATIENCE), 0);
}

static int call_a_lot(struct cohort_queue *q, int out)
{
	unsigned char attach[13 + 36] = {0, COH_DESK_VERSION, 5, 'q', 'u', 'e', 'u', 'e', 4, 'j', 'o', 'b', 's'};
	struct cohort_conn *c = served_bare(&served, "many");

	cohort_queue_close(q, COHORT_NOW);
	say(c, (struct coh_frame){.type = COH_FRAME_ATTACH, .channel = 1 << 16, .flags = MANY + 1}, attach, sizeof attach);
	get_bare(c, 1, 2);
	(void)!write(out, "", 1);
	away_hear(out, 1);
	get_bare(c, 3, MANY);
	away_hear(out, 1);
	cohort_conn_close(c);
	return 0;
}

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* Sanitizers' allocators count nothing: there it shows that all of them wait, and by which threads. */
TEST(server, call_that_waits_costs_its_entry_and_no_thread)
{
	int fds[2], before;
	pid_t pid = away_child(call_a_lot, fds);
	struct cohort_queue *q = away_serve(0);
	size_t empty, full;

	away_begun(fds);
	away_await(2);
	before = coh_proc_threads();
	empty = heap();
	CHECK_EQ(write(fds[0], "", 1), 1);
	away_await(MANY);
	full = heap();
	CHECK_EQ(coh_proc_threads(), before);
	if (full > empty && (full - empty) / (MANY - 2) >= ENTRY_MOST)
		FAIL("%zu bytes for each call, less than %d are allowed", (full - empty) / (MANY - 2), ENTRY_MOST);
	CHECK_EQ(write(fds[0], "", 1), 1);
	away_await(0);
	away_over(q, pid, fds);
}

