/*
 * test_fault_conn.c - every system call of a connection over a pair of sockets fails, in turn.
 */
#include "fault/exchange.h"
#include "fault/faults.h"
#include "conn/conn_priv.h"
#include "support/test.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int pair(void *arg, struct cohort_error *err)
{
	struct cohort_conn *a, *b;
	int rc = cohort_conn_pair(&a, &b, err);

	(void)arg;
	if (rc == 0)
		rc = exchange(a, b, err);
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc;
}

TEST_TIMEOUT(fault_conn, every_call_of_a_pair, 120)
{
	CHECK(faults_sweep(pair, NULL) > 50);
}

TEST_TIMEOUT(fault_conn, a_pair_a_byte_at_a_time, 60)
{
	struct cohort_error err = {0};

	faults_short(true);
	CHECK_EQ(pair(NULL, &err), 0);
	faults_short(false);
}

static int memory(void *arg, struct cohort_error *err)
{
	struct cohort_conn *a, *b;
	int rc = cohort_conn_memory(&a, &b, err);

	(void)arg;
	if (rc == 0)
		rc = exchange(a, b, err);
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc;
}

TEST_TIMEOUT(fault_conn, every_call_of_two_ends_in_memory, 120)
{
	CHECK(faults_sweep(memory, NULL) > 5);
}

/* Waiting for both ends of a pair, when one has something. */
static int wait_for_one(void *arg, struct cohort_error *err)
{
	struct cohort_wait_item items[2] = {{0}};
	cohort_time patience = cohort_in(test_span(5 * COHORT_SECOND));
	struct cohort_conn *a, *b;
	int rc = cohort_conn_pair(&a, &b, err);

	(void)arg;
	if (rc == 0) {
		items[0].conn = a;
		items[1].conn = b;
		rc = exchange_say(a, "x", 1, err);
	}
	if (rc == 0) {
		rc = cohort_wait(items, 2, patience);
		if (rc < 0)
			*err = (struct cohort_error){rc, "the wait said so"};
		else
			CHECK(rc == 1 && items[1].ready);
	}
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc < 0 ? rc : 0;
}

TEST_TIMEOUT(fault_conn, every_call_of_a_wait, 60)
{
	CHECK(faults_sweep(wait_for_one, NULL) > 5);
}

/* ---- what is large: files, and blocks of shared memory ---- */

#define FILE_SIZE ((size_t)70 << 10) /* more than one piece */
#define BLOCK ((size_t)1 << 20)       /* what a block is used for, at least */

/* The bytes of a file, and a file of them. */
static unsigned char source[FILE_SIZE];

static int file_make(void)
{
	int fd = memfd_create("source", MFD_CLOEXEC);

	for (size_t i = 0; i < sizeof source; i++)
		source[i] = (unsigned char)(i * 131 + (i >> 8));
	REQUIRE_EQ(write(fd, source, sizeof source), (ssize_t)sizeof source);
	return fd;
}

static int failed(const struct cohort_conn *c, int rc, struct cohort_error *err)
{
	err->code = rc;
	strncpy(err->text, cohort_conn_error(c), sizeof err->text - 1);
	return rc;
}

/* A, which has begun to send a file, and B, which writes it to TO, by turns. */
static int file_goes(struct cohort_conn *a, struct cohort_conn *b, int to, struct cohort_error *err)
{
	cohort_time end = cohort_in(test_span(20 * COHORT_SECOND));
	uint64_t size;
	int rc, sent = 0;

	do {
		rc = cohort_conn_recv_file(b, to, UINT64_MAX, &size, COHORT_NOW);
		if (rc == COHORT_ETIMEDOUT && sent >= 0)
			sent = coh_conn_push(a);
	} while (rc == COHORT_ETIMEDOUT && sent >= 0 && cohort_now() < end);
	return rc == 0 ? 0 : sent < 0 ? failed(a, sent, err) : failed(b, rc, err);
}

struct copying {
	int from, to;
	size_t size;
};

static int file(void *arg, struct cohort_error *err)
{
	static unsigned char copy[FILE_SIZE];
	struct copying *f = arg;
	struct cohort_conn *a, *b;
	int rc = cohort_conn_pair(&a, &b, err);

	if (rc == 0) {
		rc = cohort_conn_start_file(a, f->from, 0, f->size);
		rc = rc == 0 ? file_goes(a, b, f->to, err) : failed(a, rc, err);
	}
	faults_over();
	faults_short(false);
	if (rc == 0) {
		CHECK_EQ(pread(f->to, copy, sizeof copy, 0), (ssize_t)f->size);
		CHECK_MEM(copy, source, f->size);
	}
	REQUIRE(lseek(f->to, 0, SEEK_SET) == 0 && ftruncate(f->to, 0) == 0);
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc;
}

TEST_TIMEOUT(fault_conn, every_call_of_a_file, 120)
{
	struct copying f = {file_make(), memfd_create("copy", MFD_CLOEXEC), FILE_SIZE};
	struct cohort_error err = {0};

	CHECK(faults_sweep(file, &f) > 50);
	f.size = 3000;
	faults_short(true);
	CHECK_EQ(file(&f, &err), 0);
	close(f.from);
	close(f.to);
}

/* One large message: begun at once, then by turns. */
static int block_goes(struct cohort_conn *a, struct cohort_conn *b, const unsigned char *data,
    struct cohort_error *err)
{
	cohort_time end = cohort_in(test_span(5 * COHORT_SECOND));
	struct coh_frame f = {.type = COH_FRAME_BYTES};
	struct iovec part = {(void *)(uintptr_t)data, BLOCK};
	int ready = 0, rc = coh_conn_put_frame(a, &f, &part, 1, COHORT_NOW);

	while (rc >= 0 && ready == 0 && cohort_now() < end) {
		rc = coh_conn_push(a);
		ready = cohort_conn_poll(b, COHORT_NOW);
	}
	if (ready == 0)
		return failed(a, rc < 0 ? rc : COHORT_ETIMEDOUT, err);
	rc = exchange_hear(b, data, BLOCK, err);
	if (rc == 0)
		(void)cohort_conn_poll(b, COHORT_NOW); /* gives the block back */
	if (rc == 0)
		(void)cohort_conn_poll(a, COHORT_NOW); /* hears of it */
	return rc;
}

static int blocks(void *arg, struct cohort_error *err)
{
	static unsigned char data[BLOCK];
	struct cohort_conn *a, *b;
	int rc = cohort_conn_pair(&a, &b, err);

	(void)arg;
	for (int i = 0; i < 4 && rc == 0; i++) {
		memset(data, 'a' + i, sizeof data);
		rc = block_goes(a, b, data, err);
	}
	cohort_conn_close(a);
	cohort_conn_close(b);
	return rc;
}

TEST_TIMEOUT(fault_conn, every_call_of_blocks, 120)
{
	CHECK(faults_sweep(blocks, NULL) > 50);
}
