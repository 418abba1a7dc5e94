/*
 * test_tls_first.c - the first record of a TLS client, however its bytes come.
 */
#include "base/mem.h"
#include "support/test.h"
#include "trust/tls_first.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A record of 40 bytes, and ten behind it. */
static unsigned char record[5 + 40 + 10] = {0x16, 3, 1, 0, 40};
#define WHOLE (5 + 40)

static struct coh_tls_first first;
static int ours, theirs;

static void open_pair(void)
{
	int fds[2];

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ours = fds[0];
	theirs = fds[1];
	for (size_t i = 5; i < sizeof record; i++)
		record[i] = (unsigned char)i;
	coh_tls_first_init(&first);
}

static void close_pair(void)
{
	coh_tls_first_fini(&first);
	close(ours);
	close(theirs);
}

static int gather(void)
{
	return coh_tls_first_gather(&first, ours, false);
}

/* Everything that is given is the first N bytes of the record. */
static void gives(size_t n)
{
	unsigned char all[sizeof record + 1];
	size_t got = 0, part;

	while ((part = coh_tls_first_give(&first, all + got, 7)) != 0)
		got += part;
	CHECK_EQ(got, n);
	CHECK_MEM(all, record, n);
	CHECK(first.bytes.data == NULL);
}

TEST(tls_first, is_whole_at_its_last_byte)
{
	open_pair();
	CHECK_EQ(gather(), -EAGAIN);
	for (size_t i = 0; i < WHOLE; i++) {
		CHECK_EQ(gather(), -EAGAIN);
		REQUIRE_EQ(send(theirs, record + i, 1, 0), 1);
	}
	CHECK_EQ(gather(), 0);
	CHECK_EQ(gather(), 0);
	gives(WHOLE);
	close_pair();
}

TEST(tls_first, gives_on_what_came_behind_it)
{
	open_pair();
	REQUIRE_EQ(send(theirs, record, sizeof record, 0), sizeof record);
	CHECK_EQ(gather(), 0);
	gives(sizeof record);
	close_pair();
}

TEST(tls_first, of_another_language_is_for_others_to_judge)
{
	open_pair();
	REQUIRE_EQ(send(theirs, "G", 1, 0), 1);
	CHECK_EQ(gather(), 0);
	close_pair();
}

TEST(tls_first, may_end_early)
{
	open_pair();
	REQUIRE_EQ(send(theirs, record, 9, 0), 9);
	CHECK_EQ(gather(), -EAGAIN);
	shutdown(theirs, SHUT_WR);
	CHECK_EQ(gather(), 0);
	gives(9);
	close_pair();
}

TEST(tls_first, may_not_be_long)
{
	unsigned char header[5] = {0x16, 3, 1, (COH_TLS_FIRST_MAX - 5) >> 8, (COH_TLS_FIRST_MAX - 5) & 255};

	open_pair();
	REQUIRE_EQ(send(theirs, header, 5, 0), 5);
	CHECK_EQ(gather(), -EAGAIN); /* just as long as it may be */
	close_pair();
	open_pair();
	header[4]++;
	REQUIRE_EQ(send(theirs, header, 5, 0), 5);
	CHECK_EQ(gather(), -EMSGSIZE);
	CHECK(first.bytes.cap < COH_TLS_FIRST_MAX); /* memory by what came, not by what it said */
	close_pair();
}

TEST(tls_first, says_when_there_is_no_memory)
{
	open_pair();
	REQUIRE_EQ(send(theirs, record, 9, 0), 9);
	coh_mem_fail(1, COH_MEM_FAIL_ONCE);
	CHECK_EQ(gather(), -ENOMEM);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	close_pair();
}
