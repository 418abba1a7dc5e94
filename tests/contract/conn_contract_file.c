/*
 * conn_contract_file.c - files over every kind of connection.
 */
#include "contract/joined.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

static unsigned char byte_at(uint64_t i)
{
	return (unsigned char)(i * 131 + (i >> 13));
}

/* A file without a name, of SIZE bytes that tell their places. */
static int file_make(uint64_t size)
{
	int fd = memfd_create("source", MFD_CLOEXEC);
	unsigned char block[4096];

	REQUIRE(fd >= 0);
	for (uint64_t at = 0; at < size; at += sizeof block) {
		size_t n = size - at < sizeof block ? (size_t)(size - at) : sizeof block;

		for (size_t i = 0; i < n; i++)
			block[i] = byte_at(at + i);
		REQUIRE_EQ(write(fd, block, n), (ssize_t)n);
	}
	return fd;
}

/* FD holds the SIZE bytes that were in a file_make from OFFSET on, and no more. */
static bool file_is(int fd, uint64_t offset, uint64_t size)
{
	unsigned char block[4096];
	uint64_t at = 0;
	ssize_t n;

	while ((n = pread(fd, block, sizeof block, (off_t)at)) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (block[i] != byte_at(offset + at))
				return false;
	return n == 0 && at == size;
}

struct sending {
	struct cohort_conn *conn;
	int fd;
	uint64_t offset, size;
	int rc;
};

static void *send_thread(void *arg)
{
	struct sending *s = arg;

	s->rc = cohort_conn_send_file(s->conn, s->fd, s->offset, s->size, joined_patience());
	return NULL;
}

static int receive(struct cohort_conn *c, int fd, uint64_t *size)
{
	return cohort_conn_recv_file(c, fd, UINT64_MAX, size, joined_patience());
}

static void goes_through(struct joined *j, uint64_t offset, uint64_t size)
{
	struct sending s = {j->a, file_make(offset + size), offset, size, -1};
	int to = memfd_create("copy", MFD_CLOEXEC);
	pthread_t thread;
	uint64_t got = 1;

	REQUIRE_EQ(pthread_create(&thread, NULL, send_thread, &s), 0);
	if (!CHECK_EQ(receive(j->b, to, &got), 0))
		FAIL("%s", cohort_conn_error(j->b));
	pthread_join(thread, NULL);
	CHECK_EQ(s.rc, 0);
	CHECK_EQ(got, size);
	CHECK(file_is(to, offset, size));
	close(s.fd);
	close(to);
}

TEST(file, every_length_arrives_whole)
{
	static const uint64_t sizes[] = {0, 1, 65535, 65536, 65537, 3 * MIB + 5};
	struct joined j = joined_open();

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		goes_through(&j, 0, sizes[i]);
	goes_through(&j, 4097, 100000);
	joined_close(&j);
}

TEST(file, messages_before_and_behind_keep_their_places)
{
	struct joined j = joined_open();
	int fd = file_make(100), to = memfd_create("copy", MFD_CLOEXEC);
	const void *data;
	size_t n;
	uint64_t size;

	REQUIRE_EQ(cohort_conn_send_bytes(j.a, "before", 6, joined_patience()), 0);
	REQUIRE_EQ(cohort_conn_send_file(j.a, fd, 0, 100, joined_patience()), 0);
	REQUIRE_EQ(cohort_conn_send_bytes(j.a, "behind", 6, joined_patience()), 0);
	CHECK_EQ(receive(j.b, to, &size), COHORT_ESTATE);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &n, joined_patience()), 0);
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &n, joined_patience()), COHORT_ESTATE);
	CHECK_HAS(cohort_conn_error(j.b), "a piece of a file");
	CHECK_EQ(receive(j.b, to, &size), 0);
	CHECK_EQ(size, 100);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &n, joined_patience()), 0);
	CHECK_MEM(data, "behind", 6);
	close(fd);
	close(to);
	joined_close(&j);
}

TEST(file, a_message_overtakes_a_long_file)
{
	struct joined j = joined_open();
	const uint64_t whole = 64 * MIB;
	int fd = memfd_create("long", MFD_CLOEXEC), rc;
	bool heard = false;
	const void *data;
	uint64_t size, left;
	size_t n;

	REQUIRE_EQ(ftruncate(fd, (off_t)whole), 0);
	REQUIRE_EQ(cohort_conn_start_file(j.a, fd, 0, whole), 0);
	close(fd);
	left = cohort_conn_file_left(j.a);
	CHECK(left > whole / 2);
	rc = cohort_conn_put_bytes(j.a, "urgent", 6, COHORT_NOW);
	for (int i = 0; rc != 0 && i < 10000; i++) { /* the transport is full: make room */
		CHECK_EQ(cohort_conn_recv_file(j.b, -1, UINT64_MAX, &size, COHORT_NOW),
		    COHORT_ETIMEDOUT);
		rc = cohort_conn_put_bytes(j.a, "urgent", 6, COHORT_NOW);
	}
	REQUIRE_EQ(rc, 0);
	while ((rc = cohort_conn_recv_file(j.b, -1, UINT64_MAX, &size, COHORT_NOW)) != 0) {
		if (rc == COHORT_ESTATE) {
			REQUIRE_EQ(cohort_conn_recv_bytes(j.b, &data, &n, joined_patience()), 0);
			CHECK_MEM(data, "urgent", 6);
			left = cohort_conn_file_left(j.a);
			CHECK(left > whole / 2);
			heard = true;
		} else {
			REQUIRE_EQ(rc, COHORT_ETIMEDOUT);
		}
		REQUIRE(cohort_conn_step(j.a, NULL) == 0);
	}
	CHECK(heard);
	CHECK_EQ(size, whole);
	CHECK_EQ(cohort_conn_file_left(j.a), 0);
	joined_close(&j);
}

/* No disk is used: the source is a hole, the copy goes nowhere. */
TEST_TIMEOUT(file, four_gigabytes_need_little_memory, 60)
{
	struct joined j = joined_open();
	struct sending s = {j.a, memfd_create("huge", MFD_CLOEXEC), 0, 4096 * MIB + 5, -1};
	int to = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const char *kind = joined_kind();
	struct mallinfo2 before;
	pthread_t thread;
	uint64_t got;

	if (test_span(1) != 1 || strncmp(kind, "tls", 3) == 0 || strcmp(kind, "memory") == 0)
		s.size = 256 * MIB + 5; /* slower ways: enough to show that nothing grows */
	REQUIRE_EQ(ftruncate(s.fd, (off_t)s.size), 0);
	goes_through(&j, 0, 3 * MIB); /* what is kept for the next is there now */
	before = mallinfo2();
	REQUIRE_EQ(pthread_create(&thread, NULL, send_thread, &s), 0);
	if (!CHECK_EQ(receive(j.b, to, &got), 0))
		FAIL("%s", cohort_conn_error(j.b));
	pthread_join(thread, NULL);
	CHECK_EQ(s.rc, 0);
	CHECK_EQ(got, s.size);
	CHECK(mallinfo2().uordblks + mallinfo2().hblkhd < before.uordblks + before.hblkhd + 4 * MIB);
	close(s.fd);
	close(to);
	joined_close(&j);
}

TEST(file, one_that_shrinks_is_given_up_and_told)
{
	struct joined j = joined_open();
	int fd = file_make(32 * MIB), rc;
	const void *data;
	uint64_t size;
	size_t n;

	REQUIRE_EQ(cohort_conn_start_file(j.a, fd, 0, 32 * MIB), 0);
	REQUIRE_EQ(ftruncate(fd, 0), 0);
	do {
		(void)cohort_conn_step(j.a, NULL);
		rc = cohort_conn_recv_file(j.b, -1, UINT64_MAX, &size, COHORT_NOW);
	} while (rc == COHORT_ETIMEDOUT);
	CHECK_EQ(rc, COHORT_ETRUNCATED);
	CHECK_HAS(cohort_conn_error(j.b), "gave the file up");
	CHECK_EQ(cohort_conn_file_left(j.a), 0);
	CHECK_EQ(cohort_conn_send_bytes(j.a, "on", 2, joined_patience()), 0);
	CHECK_EQ(cohort_conn_recv_bytes(j.b, &data, &n, joined_patience()), 0);
	goes_through(&j, 0, 70000);
	close(fd);
	joined_close(&j);
}

TEST(file, one_that_lacks_its_last_bytes_is_never_whole)
{
	struct joined j = joined_open();
	int fd = file_make(32 * MIB), rc;
	uint64_t size;

	REQUIRE_EQ(cohort_conn_start_file(j.a, fd, 0, 32 * MIB), 0);
	REQUIRE_EQ(ftruncate(fd, 32 * (off_t)MIB - 10), 0);
	do {
		(void)cohort_conn_step(j.a, NULL);
		rc = cohort_conn_recv_file(j.b, -1, UINT64_MAX, &size, COHORT_NOW);
	} while (rc == COHORT_ETIMEDOUT);
	CHECK_EQ(rc, COHORT_ETRUNCATED);
	goes_through(&j, 0, 0);
	goes_through(&j, 0, 70000);
	close(fd);
	joined_close(&j);
}

TEST(file, a_full_disk_loses_nothing)
{
	struct joined j = joined_open();
	int fd = file_make(5000), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int to = memfd_create("copy", MFD_CLOEXEC);
	uint64_t size;

	REQUIRE_EQ(cohort_conn_send_file(j.a, fd, 0, 5000, joined_patience()), 0);
	CHECK_EQ(receive(j.b, full, &size), -ENOSPC);
	CHECK_EQ(receive(j.b, to, &size), 0);
	CHECK_EQ(size, 5000);
	CHECK(file_is(to, 0, 5000));
	close(fd);
	close(full);
	close(to);
	joined_close(&j);
}

TEST(file, one_that_is_too_long_is_kept)
{
	struct joined j = joined_open();
	int fd = file_make(5000), to = memfd_create("copy", MFD_CLOEXEC);
	uint64_t size = 0;

	REQUIRE_EQ(cohort_conn_send_file(j.a, fd, 0, 5000, joined_patience()), 0);
	CHECK_EQ(cohort_conn_recv_file(j.b, to, 4999, &size, joined_patience()), COHORT_ETOOBIG);
	CHECK_EQ(size, 5000);
	CHECK_HAS(cohort_conn_error(j.b), "has 5000 bytes, 4999 are allowed");
	CHECK_EQ(cohort_conn_recv_file(j.b, to, 5000, &size, joined_patience()), 0);
	CHECK(file_is(to, 0, 5000));
	close(fd);
	close(to);
	joined_close(&j);
}

TEST(file, a_deadline_leaves_it_going)
{
	struct joined j = joined_open();
	const uint64_t whole = 64 * MIB;
	int fd = memfd_create("long", MFD_CLOEXEC), rc;
	uint64_t size;

	REQUIRE_EQ(ftruncate(fd, (off_t)whole), 0);
	CHECK_EQ(cohort_conn_send_file(j.a, fd, 0, whole, cohort_in(50 * COHORT_MS)),
	    COHORT_ETIMEDOUT);
	CHECK(cohort_conn_file_left(j.a) != 0);
	CHECK_EQ(cohort_conn_start_file(j.a, fd, 0, 1), COHORT_ESTATE);
	do {
		rc = cohort_conn_recv_file(j.b, -1, UINT64_MAX, &size, COHORT_NOW);
		(void)cohort_conn_step(j.a, NULL);
	} while (rc == COHORT_ETIMEDOUT);
	CHECK_EQ(rc, 0);
	CHECK_EQ(size, whole);
	CHECK_EQ(cohort_conn_flush(j.a, joined_patience()), 0);
	close(fd);
	joined_close(&j);
}

TEST(file, a_sender_that_goes_truncates_it)
{
	struct joined j = joined_open();
	int fd = memfd_create("long", MFD_CLOEXEC), rc;
	uint64_t size;

	REQUIRE_EQ(ftruncate(fd, 64 * (off_t)MIB), 0);
	REQUIRE_EQ(cohort_conn_start_file(j.a, fd, 0, 64 * MIB), 0);
	REQUIRE(cohort_conn_file_left(j.a) != 0);
	cohort_conn_close(j.a);
	rc = receive(j.b, -1, &size);
	CHECK(rc == COHORT_ETRUNCATED || rc == COHORT_EPEER); /* a memory connection is cut with what it held */
	close(fd);
	cohort_conn_close(j.b);
}

/* Gone in the middle of a piece, now and then, which must be no SIGPIPE. */
TEST_TIMEOUT(file, a_receiver_that_goes_ends_the_sending, 60)
{
	const uint64_t whole = 1024 * MIB;
	int fd = memfd_create("endless", MFD_CLOEXEC);
	cohort_time start = cohort_now();

	REQUIRE_EQ(ftruncate(fd, (off_t)whole), 0);
	for (int i = 0; i < 200 && cohort_now() - start < 2 * COHORT_SECOND; i++) {
		struct joined j = joined_open();
		struct sending s = {j.a, fd, 0, whole, -1};
		cohort_time span = (i % 20) * COHORT_MS / 10;
		pthread_t thread;
		uint64_t size;

		REQUIRE_EQ(pthread_create(&thread, NULL, send_thread, &s), 0);
		CHECK_EQ(cohort_conn_recv_file(j.b, -1, UINT64_MAX, &size, cohort_in(span)),
		    COHORT_ETIMEDOUT);
		cohort_conn_close(j.b);
		pthread_join(thread, NULL);
		CHECK_EQ(s.rc, COHORT_EPEER);
		cohort_conn_close(j.a);
	}
	close(fd);
}

TEST(file, what_cannot_be_sent_is_refused_at_once)
{
	struct joined j = joined_open();
	int fd = file_make(100), pipes[2];

	REQUIRE_EQ(pipe2(pipes, O_CLOEXEC), 0);
	CHECK_EQ(cohort_conn_start_file(j.a, fd, 0, 101), COHORT_EARGUMENT);
	CHECK_HAS(cohort_conn_error(j.a), "101 bytes from 0 on were asked for, the file has 100");
	CHECK_EQ(cohort_conn_start_file(j.a, fd, 101, 0), COHORT_EARGUMENT);
	CHECK_EQ(cohort_conn_start_file(j.a, fd, UINT64_MAX, 2), COHORT_EARGUMENT);
	CHECK_EQ(cohort_conn_start_file(j.a, pipes[0], 0, 1), COHORT_EARGUMENT);
	CHECK_EQ(cohort_conn_start_file(j.a, -1, 0, 1), -EBADF);
	goes_through(&j, 0, 100);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	joined_close(&j);
}

TEST(file, pieces_that_do_not_add_up_end_the_connection)
{
	static const struct coh_frame wrong[] = {
	    {.type = COH_FRAME_FILE, .flags = 0, .id = 10},
	    {.type = COH_FRAME_FILE, .flags = COH_FILE_FIRST, .id = 10}, /* nothing of ten bytes */
	    {.type = COH_FRAME_FILE, .flags = COH_FILE_GIVEN_UP, .id = 10},
	    {.type = COH_FRAME_FILE, .flags = 7, .id = 0},
	};
	uint64_t size;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct joined j = joined_open();
		struct coh_frame f = wrong[i];

		REQUIRE_EQ(coh_conn_put_frame(j.a, &f, NULL, 0, joined_patience()), 0);
		REQUIRE_EQ(cohort_conn_flush(j.a, joined_patience()), 0);
		CHECK_EQ(receive(j.b, -1, &size), COHORT_EPROTOCOL);
		CHECK_EQ(receive(j.b, -1, &size), COHORT_EPROTOCOL);
		joined_close(&j);
	}
}
