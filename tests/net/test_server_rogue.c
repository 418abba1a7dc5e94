/*
 * test_server_rogue.c - a server of queues and clients that break the protocol, do not read, flood it, and are killed.
 *
 * Whatever one of them does, the others are served, and no item is lost or doubled.  More deaths: COHORT_KILLS=5000.
 */
#include "conn/conn_priv.h"
#include "net/served.h"
#include "work/desk_queue.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))

static struct served served;

static void say(struct cohort_conn *c, struct coh_frame f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};

	(void)coh_conn_put_frame(c, &f, &iov, size != 0, COHORT_NOW);
	(void)coh_conn_push(c);
}

/* The code of the next REPLY; 1: the connection has ended. */
static int hear(struct cohort_conn *c)
{
	const void *body;
	struct coh_frame f;
	int rc = coh_conn_next_frame(c, &f, &body, PATIENCE);

	REQUIRE(rc != COHORT_ETIMEDOUT);
	return rc == 0 && f.type == COH_FRAME_REPLY ? (int)f.channel : 1;
}

static void attach(struct cohort_conn *c, unsigned char version)
{
	unsigned char body[13 + 36] = {0, version, 5, 'q', 'u', 'e', 'u', 'e', 4, 'j', 'o', 'b', 's'};

	say(c, (struct coh_frame){.type = COH_FRAME_ATTACH, .channel = 1 << 16, .flags = 1}, body, sizeof body);
}

static void call(struct cohort_conn *c, unsigned op, uint32_t request, const void *body, size_t size)
{
	say(c,
	    (struct coh_frame){
		.type = COH_FRAME_CALL, .channel = coh_desk_channel(1, op, 0), .flags = request},
	    body, size);
}

/* Somebody honest is served. */
static void is_well(void)
{
	struct cohort_queue *q = served_open(&served);
	char c = 0;

	CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, PATIENCE), 0);
	CHECK_EQ(cohort_queue_get_into(q, &c, 1, NULL, PATIENCE), 0);
	CHECK_EQ(c, 'x');
	cohort_queue_close(q, COHORT_NOW);
}

/* What keeps a connection, whatever is spoken over it; and what a client may say first. */
static bool may_come(int type)
{
	return (type >= COH_FRAME_PING && type <= COH_FRAME_SLICE) || type == COH_FRAME_BLOCK_BACK ||
	    type == COH_FRAME_BLOCK || type == COH_FRAME_CANCEL;
}

TEST_TIMEOUT(server, frame_out_of_place_ends_its_client_alone, 60)
{
	served_begin(&served, "unix", NULL);
	for (int type = 0; type < 256; type += type < 0x50 ? 1 : 16) {
		struct cohort_conn *c;

		if (may_come(type))
			continue;
		c = served_bare(&served, "rogue");
		say(c, (struct coh_frame){.type = (uint8_t)type}, NULL, 0);
		if (!CHECK_EQ(hear(c), 1))
			FAIL("type 0x%02x", type);
		cohort_conn_close(c);
	}
	is_well();
	served_end(&served);
}

TEST(server, client_of_another_version_is_told)
{
	struct cohort_conn *c;

	served_begin(&served, "unix", NULL);
	c = served_bare(&served, "rogue");
	attach(c, 77);
	CHECK_EQ(hear(c), COHORT_EVERSION);
	attach(c, COH_DESK_VERSION);
	CHECK_EQ(hear(c), 0);
	cohort_conn_close(c);
	served_end(&served);
}

TEST(server, op_that_nobody_knows_is_answered)
{
	struct cohort_conn *c;

	served_begin(&served, "unix", NULL);
	c = served_bare(&served, "rogue");
	attach(c, COH_DESK_VERSION);
	CHECK_EQ(hear(c), 0);
	for (unsigned op = 1; op < 256; op++) {
		bool known = op >= COH_DESK_OP_FIRST && op < COH_DESK_QUEUE_OPS;

		if (known)
			continue;
		call(c, op, op, "what", 4);
		CHECK_EQ(hear(c), COHORT_ENOTSUP);
	}
	for (unsigned op = COH_DESK_QUEUE_PUT_MANY; op <= COH_DESK_QUEUE_GET_MANY; op++) {
		call(c, op, 1000 + op, "x", 1);
		CHECK_EQ(hear(c), COHORT_EPROTOCOL);
	}
	cohort_conn_close(c);
	is_well();
	served_end(&served);
}

/* KiB of memory that the server has in use. */
static long resident(void)
{
	char path[64], line[200];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)served.pid);
	f = fopen(path, "re");
	REQUIRE(f != NULL);
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

#define FLOOD 600
#define ITEM 60000

TEST_TIMEOUT(server, client_that_does_not_read_costs_little_and_loses_nothing, 60)
{
	static char item[ITEM];
	unsigned char most[8] = {0, 0, 0, 0, 0, 1, 0, 0};
	struct cohort_conn *c;
	struct cohort_queue *q;
	long before;

	served_begin(&served, "tcp", NULL);
	q = served_open(&served);
	CHECK_EQ(cohort_queue_put_bytes(q, item, ITEM, PATIENCE), 0);
	c = served_bare(&served, "rogue");
	attach(c, COH_DESK_VERSION);
	CHECK_EQ(hear(c), 0);
	before = resident();
	for (uint32_t i = 0; i < FLOOD; i++) /* 36 MB of answers */
		call(c, COH_DESK_QUEUE_PEEK, 10 + i, most, sizeof most);
	for (int i = 0; i < 200; i++)
		CHECK_EQ(cohort_queue_size(q), 1);
	CHECK(resident() - before < 16 << 10 || test_span(1) != 1);
	for (int i = 0; i < FLOOD; i++)
		REQUIRE_EQ(hear(c), 0);
	cohort_conn_close(c);
	cohort_queue_close(q, COHORT_NOW);
	served_end(&served);
}

/* ---- deaths ---- */

#define ITEMS 400

/* Take, say which, acknowledge, until killed. */
static void consume(int out)
{
	struct cohort_queue *q = served_open(&served);
	struct cohort_item item;

	while (cohort_queue_take(q, &item, COHORT_FOREVER) == 0) {
		(void)!write(out, item.data, sizeof(uint32_t));
		cohort_queue_ack(q, &item);
	}
	_exit(1);
}

static void count_in(int in, unsigned char seen[ITEMS])
{
	uint32_t n;

	while (read(in, &n, sizeof n) == sizeof n)
		if (CHECK(n < ITEMS))
			seen[n] = 1;
}

/* One dies after up to SPAN; the number of an item that was said is in SEEN. */
static void one_death(const int fds[2], cohort_time span, unsigned char seen[ITEMS])
{
	struct timespec pause = {.tv_nsec = (long)test_random_below((uint64_t)span)};
	pid_t pid = test_fork();

	REQUIRE(pid >= 0);
	if (pid == 0)
		consume(fds[1]);
	(void)ppoll(NULL, 0, &pause, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	count_in(fds[0], seen);
}

TEST_TIMEOUT(server, no_item_is_lost_however_many_clients_are_killed, 120)
{
	const char *kills = getenv("COHORT_KILLS");
	unsigned char seen[ITEMS] = {0};
	struct cohort_queue_stats s;
	struct cohort_item item;
	struct cohort_queue *q;
	int fds[2];

	served_begin(&served, "tcp", NULL);
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	q = served_open(&served);
	for (uint32_t i = 0; i < ITEMS; i++)
		CHECK_EQ(cohort_queue_put_bytes(q, &i, sizeof i, PATIENCE), 0);
	for (long i = 0; i < (kills != NULL ? atol(kills) : 60); i++)
		one_death(fds, 20 * COHORT_MS, seen);
	while (cohort_queue_take(q, &item, cohort_in(test_span(500 * COHORT_MS))) == 0) {
		seen[*(const uint32_t *)item.data] = 1;
		CHECK_EQ(cohort_queue_ack(q, &item), 0);
	}
	for (int i = 0; i < ITEMS; i++)
		CHECK_EQ(seen[i], 1);
	REQUIRE_EQ(cohort_queue_stats(q, &s), 0);
	CHECK_EQ(s.taken, 0);
	CHECK_EQ(s.got, ITEMS);
	close(fds[0]);
	close(fds[1]);
	cohort_queue_close(q, COHORT_NOW);
	served_end(&served);
}
