/*
 * conn_contract_block.c - large messages: by memory that both ends map where that can be, else as ever.
 *
 * What a user sees is the same on every kind; on Unix sockets and pairs it is checked that blocks are
 * used, returned, given up and never in the way.
 */
#include "base/mem.h"
#include "conn/conn_block.h"
#include "contract/joined.h"
#include "os/fd.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static bool has_blocks(void)
{
	return strcmp(joined_kind(), "pair") == 0 || strcmp(joined_kind(), "unix") == 0;
}

/* SIZE bytes that depend on SEED; the caller frees them. */
static unsigned char *pattern(size_t size, unsigned seed)
{
	unsigned char *p = malloc(size + 1);

	REQUIRE(p != NULL);
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)((i * 2654435761u + seed) >> 13);
	return p;
}

static const unsigned char *expect(struct cohort_conn *c, const unsigned char *want, size_t size)
{
	const void *got;
	size_t n;

	REQUIRE_EQ(cohort_conn_recv_bytes(c, &got, &n, joined_patience()), 0);
	REQUIRE_EQ(n, size);
	CHECK_MEM(got, want, size);
	return got;
}

struct sending {
	struct cohort_conn *conn;
	const unsigned char *data;
	size_t size;
	int count;
};

static void *send_them(void *arg)
{
	struct sending *s = arg;

	for (int i = 0; i < s->count; i++)
		CHECK_EQ(cohort_conn_send_bytes(s->conn, s->data, s->size, joined_patience()), 0);
	return NULL;
}

/* Send COUNT messages by a thread and receive them; how many came in a block. */
static int transfer(struct joined *j, const unsigned char *data, size_t size, int count)
{
	struct sending s = {j->a, data, size, count};
	int in_blocks = 0;
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, send_them, &s), 0);
	for (int i = 0; i < count; i++) {
		expect(j->b, data, size);
		in_blocks += j->b->in.block != NULL;
	}
	pthread_join(thread, NULL);
	return in_blocks;
}

/* The next large message of J goes by a block. */
static void warm(struct joined *j)
{
	unsigned char *data = pattern(MIB, 0);

	transfer(j, data, MIB, 1);
	CHECK_EQ(cohort_conn_poll(j->b, COHORT_NOW), 0); /* sends what it has to say of the block */
	free(data);
}

TEST_TIMEOUT(conn_block, messages_of_all_sizes_arrive_as_they_were, 60)
{
	/* where it grows piece by piece the address sanitizer copies it each time: the largest would take a minute */
	const size_t largest = test_span(1) > 1 && !has_blocks() ? 16 * MIB : COHORT_MESSAGE_MAX;
	const size_t sizes[] = {MIB - 1, MIB, MIB + 1, 3 * MIB + 4097, largest};
	struct joined j = joined_open();
	unsigned char *data = pattern(COHORT_MESSAGE_MAX, 7);

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int in_blocks = transfer(&j, data + i, sizes[i] - i, 4);

		if (!has_blocks() || sizes[i] - i < MIB)
			CHECK_EQ(in_blocks, 0);
		else
			CHECK(in_blocks > 0);
	}
	free(data);
	joined_close(&j);
}

/* Sends back what it is lent, from where it lies. */
static void *echo(void *arg)
{
	struct cohort_conn *c = arg;
	const void *data;
	size_t size;

	while (cohort_conn_recv_bytes(c, &data, &size, COHORT_FOREVER) == 0)
		CHECK_EQ(cohort_conn_send_bytes(c, data, size, COHORT_FOREVER), 0);
	cohort_conn_close(c);
	return NULL;
}

TEST_TIMEOUT(conn_block, what_is_lent_can_be_sent_back, 60)
{
	struct joined j = joined_open();
	int in_blocks = 0;
	pthread_t thread;

	REQUIRE_EQ(pthread_create(&thread, NULL, echo, j.b), 0);
	for (unsigned i = 0; i < 20; i++) {
		unsigned char *data = pattern(2 * MIB, i);

		CHECK_EQ(cohort_conn_send_bytes(j.a, data, 2 * MIB, COHORT_FOREVER), 0);
		expect(j.a, data, 2 * MIB);
		in_blocks += j.a->in.block != NULL;
		free(data);
	}
	CHECK(in_blocks >= 10 || !has_blocks());
	cohort_conn_close(j.a);
	pthread_join(thread, NULL);
}

TEST(conn_block, a_loan_is_not_written_to_before_it_ends)
{
	struct joined j = joined_open();
	unsigned char *one = pattern(MIB, 1), *two = pattern(MIB, 2);
	const unsigned char *lent;

	if (has_blocks()) {
		warm(&j);
		CHECK_EQ(cohort_conn_send_bytes(j.a, one, MIB, joined_patience()), 0);
		lent = expect(j.b, one, MIB);
		for (int i = 0; i < 6; i++) /* some find no room: they time out or are kept */
			(void)cohort_conn_send_bytes(j.a, two, MIB, COHORT_NOW);
		CHECK_MEM(lent, one, MIB);
	}
	free(one);
	free(two);
	joined_close(&j);
}

TEST(conn_block, who_only_sends_hears_of_blocks_behind_messages_nobody_received)
{
	struct joined j = joined_open();
	unsigned char *data = pattern(MIB, 3);
	int in_blocks = 0;

	if (has_blocks()) {
		CHECK_EQ(cohort_conn_send_bytes(j.b, "unread", 6, joined_patience()), 0);
		CHECK_EQ(cohort_conn_poll(j.a, joined_patience()), 1);
		for (int i = 0; i < 10; i++)
			in_blocks += transfer(&j, data, MIB, 1);
		CHECK(in_blocks >= 5);
		expect(j.a, (const unsigned char *)"unread", 6);
	}
	free(data);
	joined_close(&j);
}

TEST(conn_block, a_typed_message_is_a_copy_of_its_own)
{
	struct joined j = joined_open();
	unsigned char *data = pattern(MIB, 4);
	struct cohort_bytes b = {data, MIB}, got = {0};
	struct cohort_message *m, *other;
	const void *image;
	size_t size;

	REQUIRE_EQ(cohort_message_new(&m, "B", NULL), 0);
	REQUIRE_EQ(cohort_message_new(&other, "s", NULL), 0);
	warm(&j);
	CHECK_EQ(cohort_message_pack(m, 0, &b), 0);
	for (int i = 0; i < 3; i++) {
		struct cohort_wait_item items[2] = {{.conn = j.a}, {.conn = j.b}};

		CHECK_EQ(cohort_conn_put(j.a, m, COHORT_NOW), 0);
		REQUIRE_EQ(cohort_wait(items, 2, joined_patience()), 1); /* goes on sending, too */
		if (i == 1) { /* of another format: it is dropped, the block is not */
			CHECK_EQ(cohort_conn_recv(j.b, other, COHORT_NOW), COHORT_EFORMAT);
			continue;
		}
		cohort_message_reset(m);
		REQUIRE_EQ(cohort_conn_recv(j.b, m, COHORT_NOW), 0);
		CHECK(j.b->in.block != NULL || !has_blocks() || i != 0);
		CHECK_EQ(cohort_message_image(m, &image, &size), 0);
		CHECK(image != j.b->in.block);
		CHECK_EQ(cohort_message_unpack(m, 0, &got), 1);
		REQUIRE_EQ(got.size, MIB);
		CHECK_MEM(got.data, data, MIB);
		cohort_message_reset(m);
		CHECK_EQ(cohort_message_pack(m, 0, &b), 0);
		CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
	}
	cohort_message_free(m);
	cohort_message_free(other);
	free(data);
	joined_close(&j);
}

TEST(conn_block, one_that_times_out_was_not_sent)
{
	struct joined j = joined_open();
	unsigned char *data = pattern(MIB, 5);
	static const char small[8000];
	const void *got;
	size_t size, sent = 0;

	if (has_blocks()) {
		warm(&j);
		while (cohort_conn_send_bytes(j.a, small, sizeof small, COHORT_NOW) == 0)
			sent++;
		CHECK_EQ(cohort_conn_send_bytes(j.a, data, MIB, COHORT_NOW), COHORT_ETIMEDOUT);
		for (; sent != 0; sent--) {
			(void)cohort_conn_flush(j.a, COHORT_NOW);
			REQUIRE_EQ(cohort_conn_recv_bytes(j.b, &got, &size, joined_patience()), 0);
			CHECK_EQ(size, sizeof small);
		}
		CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
		CHECK_EQ(cohort_conn_send_bytes(j.a, data, MIB, joined_patience()), 0);
		expect(j.b, data, MIB);
		CHECK(j.b->in.block != NULL); /* its block was free again */
	}
	free(data);
	joined_close(&j);
}

/* How many of the N bytes at P have memory behind them, in pages. */
static int resident(const void *p, size_t n)
{
	unsigned char pages[256];
	int count = 0;

	REQUIRE(n / 4096 <= sizeof pages);
	REQUIRE_EQ(mincore((void *)(uintptr_t)p, n, pages), 0);
	for (size_t i = 0; i < n / 4096; i++)
		count += pages[i] & 1;
	return count;
}

TEST(conn_block, the_memory_of_blocks_is_given_back_when_only_small_messages_go)
{
	struct joined j = joined_open();
	unsigned char *data = pattern(MIB, 6);
	const void *at = NULL;

	if (has_blocks()) {
		warm(&j);
		CHECK_EQ(cohort_conn_send_bytes(j.a, data, MIB, joined_patience()), 0);
		at = expect(j.b, data, MIB);
		REQUIRE(at == j.b->in.block);
		CHECK_EQ(resident(at, MIB), 256);
		CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
		CHECK_EQ(cohort_conn_poll(j.a, COHORT_NOW), 0); /* it came back */
		for (int i = 0; i < 300; i++) {
			CHECK_EQ(cohort_conn_send_bytes(j.a, "s", 1, joined_patience()), 0);
			expect(j.b, (const unsigned char *)"s", 1);
		}
		CHECK_EQ(resident(at, MIB), 0);
		CHECK_EQ(cohort_conn_send_bytes(j.a, data, MIB, joined_patience()), 0);
		CHECK(expect(j.b, data, MIB) == at); /* and it is had again */
	}
	free(data);
	joined_close(&j);
}

TEST(conn_block, a_loop_keeps_the_memory_between_large_messages_and_gives_it_back_at_rest)
{
	struct joined j = joined_open();
	unsigned char *data = pattern(MIB, 7);
	const void *at;

	if (has_blocks()) {
		warm(&j);
		for (int i = 0; i < 20; i++) {
			CHECK_EQ(cohort_conn_send_bytes(j.a, data, MIB, joined_patience()), 0);
			at = expect(j.b, data, MIB);
			REQUIRE(at == j.b->in.block);
			CHECK_EQ(cohort_conn_step(j.b, NULL), 0);
			CHECK_EQ(cohort_conn_flush(j.b, joined_patience()), 0);
			CHECK_EQ(cohort_conn_step(j.a, NULL), 0);
			CHECK_EQ(resident(at, MIB), 256);
		}
		for (int i = 0; i < 20; i++)
			CHECK_EQ(cohort_conn_step(j.a, NULL), 0);
		CHECK_EQ(resident(at, MIB), 0);
	}
	free(data);
	joined_close(&j);
}

/* How many mappings of blocks this process has. */
static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	REQUIRE(f != NULL);
	while (fgets(line, sizeof line, f) != NULL)
		n += strstr(line, "cohort-block") != NULL;
	fclose(f);
	return n;
}

TEST(conn_block, nothing_stays_mapped)
{
	struct joined j = joined_open();

	warm(&j);
	warm(&j);
	CHECK(mappings() >= 2 || !has_blocks());
	CHECK(mappings() <= 2 * COH_BLOCKS);
	joined_close(&j);
	CHECK_EQ(mappings(), 0);
}

TEST(conn_block, a_connection_that_has_blocks_is_not_handed_over)
{
	struct joined j = joined_open();
	struct cohort_conn *a, *b;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	if (has_blocks()) {
		warm(&j);
		CHECK_EQ(cohort_conn_send_conn(a, j.a, COHORT_NOW), COHORT_ESTATE);
		CHECK_HAS(cohort_conn_error(a), "memory it shares");
		CHECK_EQ(cohort_conn_send_conn(a, j.b, COHORT_NOW), COHORT_ESTATE);
	}
	cohort_conn_close(a);
	cohort_conn_close(b);
	joined_close(&j);
}

TEST(conn_block, what_was_lent_stays_when_its_sender_is_killed)
{
	struct cohort_conn *a, *b;
	unsigned char *data = pattern(MIB, 8);
	const unsigned char *lent;
	pid_t pid;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		cohort_conn_close(b);
		for (;;)
			(void)cohort_conn_send_bytes(a, data, MIB, COHORT_FOREVER);
	}
	cohort_conn_close(a);
	do
		lent = expect(b, data, MIB);
	while (b->in.block == NULL);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK_MEM(lent, data, MIB);
	free(data);
	cohort_conn_close(b);
}

/* ---- what cannot be had costs speed alone ---- */

TEST(conn_block, without_a_descriptor_messages_go_the_ordinary_way)
{
	struct joined j = joined_open();
	unsigned char *data = pattern(MIB, 9);

	coh_fd_fail(1, EMFILE);
	CHECK_EQ(transfer(&j, data, MIB, 4), 0);
	coh_fd_fail(0, 0);
	free(data);
	joined_close(&j);
}

TEST(conn_block, with_a_limit_on_files_messages_go_the_ordinary_way)
{
	struct joined j = joined_open();
	unsigned char *data = pattern(MIB, 10);
	struct rlimit old, tight;

	REQUIRE_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = (struct rlimit){MIB, old.rlim_max};
	REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
	CHECK_EQ(transfer(&j, data, MIB, 4), 0);
	REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
	free(data);
	joined_close(&j);
}

TEST(conn_block, a_receiver_without_room_for_a_descriptor_refuses_the_block)
{
	struct cohort_conn *a, *b;
	unsigned char *data = pattern(MIB, 11);
	struct rlimit old, tight;
	int status = -1, fd;
	pid_t pid;

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		cohort_conn_close(a);
		fd = dup(0);
		close(fd);
		tight = (struct rlimit){(rlim_t)fd, old.rlim_max};
		REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
		for (int i = 0; i < 4; i++) {
			expect(b, data, MIB);
			CHECK(b->in.block == NULL);
		}
		CHECK_EQ(cohort_conn_send_bytes(b, "", 0, COHORT_FOREVER), 0);
		_exit(0);
	}
	cohort_conn_close(b);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(cohort_conn_send_bytes(a, data, MIB, joined_patience()), 0);
	expect(a, data, 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(mappings(), 0);
	free(data);
	cohort_conn_close(a);
}

/* Messages there and back; 0, or the first failure. */
static int exchange(const unsigned char *data)
{
	struct cohort_conn *a = NULL, *b = NULL;
	struct sending s = {.data = data, .size = MIB, .count = 1};
	const void *got;
	size_t size;
	int rc = cohort_conn_pair(&a, &b, NULL);

	for (int i = 0; i < 4 && rc == 0; i++) {
		s.conn = i % 2 == 0 ? a : b;
		rc = cohort_conn_send_bytes(s.conn, data, MIB, COHORT_NOW);
		for (int tries = 0; rc == 0 && tries < 10000; tries++) {
			rc = cohort_conn_recv_bytes(i % 2 == 0 ? b : a, &got, &size, COHORT_NOW);
			if (rc == 0)
				break;
			rc = rc == COHORT_ETIMEDOUT ? cohort_conn_flush(s.conn, COHORT_NOW) : rc;
			rc = rc == COHORT_ETIMEDOUT ? 0 : rc;
		}
		if (rc == 0)
			CHECK_MEM(got, data, MIB);
	}
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc;
}

/* A failed allocation is told or costs speed; never a message. */
TEST(conn_block, survives_every_failed_allocation)
{
	unsigned char *data = pattern(MIB, 12);
	unsigned long n = 0, seen;
	int rc;

	do {
		coh_mem_fail(++n, COH_MEM_FAIL_ONCE);
		rc = exchange(data);
		seen = coh_mem_count();
		coh_mem_fail(0, COH_MEM_FAIL_ONCE);
		CHECK(rc == 0 || rc == -ENOMEM);
	} while (seen >= n);
	CHECK_EQ(rc, 0);
	CHECK(n > 5);
	free(data);
}
