/*
 * conn_contract_pass_hostile.c - descriptors that come where none should, or not where they should.
 *
 * The peer writes raw frames, with descriptors of its choice beside them, onto one end of a pair.
 */
#include "contract/joined.h"
#include "contract/rogue.h"
#include "os/fd.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A frame with N new descriptors beside it. */
static void raw_send(struct rogue *r, struct coh_frame f, const void *body, int n)
{
	int fds[COH_FD_PASS] = {0};

	for (int i = 0; i < n; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	rogue_send(r, f, body, fds, n);
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

static const struct coh_frame bytes = {.type = COH_FRAME_BYTES, .length = 3};
static const struct coh_frame pass_fd = {.type = COH_FRAME_PASS, .channel = 1};

TEST(conn_pass_hostile, a_descriptor_that_no_frame_announces_ends_it)
{
	struct rogue r = rogue_open(COH_PHASE_USER);

	raw_send(&r, bytes, "abc", 1);
	raw_send(&r, bytes, "def", 0);
	rogue_expect_end(&r, "no message announced");
}

TEST(conn_pass_hostile, more_than_one_with_a_frame_end_it)
{
	struct rogue r = rogue_open(COH_PHASE_USER);

	raw_send(&r, pass_fd, NULL, COH_FD_PASS);
	rogue_expect_end(&r, "more descriptors");
}

TEST(conn_pass_hostile, one_with_each_byte_of_a_frame_ends_it)
{
	struct rogue r = rogue_open(COH_PHASE_USER);
	unsigned char header[COH_FRAME_SIZE];
	struct iovec iov;
	int fd = eventfd(0, EFD_CLOEXEC);

	coh_frame_encode(&bytes, header);
	for (size_t i = 0; i < sizeof header; i++) {
		iov = (struct iovec){header + i, 1};
		CHECK_EQ(coh_fd_send(r.socket, &iov, 1, &fd, 1), 1);
	}
	close(fd);
	rogue_expect_end(&r, "more descriptors");
}

TEST(conn_pass_hostile, a_frame_without_its_descriptor_ends_it)
{
	struct rogue r = rogue_open(COH_PHASE_USER);

	raw_send(&r, pass_fd, NULL, 0);
	rogue_expect_end(&r, "without its descriptor");
}

TEST(conn_pass_hostile, a_pass_of_an_unknown_kind_ends_it)
{
	struct rogue r = rogue_open(COH_PHASE_USER);
	struct coh_frame f = {.type = COH_FRAME_PASS, .channel = 3};
	int fd;

	raw_send(&r, f, NULL, 1);
	CHECK_EQ(cohort_conn_recv_fd(r.conn, &fd, joined_patience()), COHORT_EPROTOCOL);
	rogue_expect_end(&r, "unknown kind");
}

/* A state of SIZE bytes with a descriptor that is no socket is no connection. */
static void expect_no_conn(const char *state, size_t size, int fd)
{
	struct rogue r = rogue_open(COH_PHASE_USER);
	struct coh_frame f = {.type = COH_FRAME_PASS, .channel = 2, .length = (uint32_t)size};
	struct cohort_conn *got;

	rogue_send(&r, f, state, &fd, 1);
	CHECK_EQ(cohort_conn_recv_conn(r.conn, &got, joined_patience()), COHORT_EPROTOCOL);
	CHECK(got == NULL);
	rogue_expect_end(&r, "is no connection");
}

#define HEAD                                                                                       \
	92 /* of a state, before the words for the peer; all zero is valid but for the version */

/* As expect_no_conn, of a state with a peer of four bytes in which byte AT is VALUE. */
static void expect_no_conn_with(size_t at, int value, int fd)
{
	char state[HEAD + 4] = {1, 0, 0, 4};

	memcpy(state + HEAD, "peer", 4);
	state[at] = (char)value;
	expect_no_conn(state, sizeof state, fd);
}

TEST(conn_pass_hostile, what_is_no_connection_ends_it)
{
	int pair[2], packets[2], event = eventfd(0, EFD_CLOEXEC);
	char longer[HEAD + 256] = {1, 0, 1, 0};

	REQUIRE_EQ(coh_fd_pair(pair, SOCK_STREAM), 0);
	REQUIRE_EQ(coh_fd_pair(packets, SOCK_SEQPACKET), 0);
	memset(longer + HEAD, 'x', 256);
	expect_no_conn("", 0, pair[0]);
	expect_no_conn("\1\0\0\0", 4, pair[0]);
	expect_no_conn(longer, sizeof longer, pair[0]); /* words longer than may be */
	expect_no_conn_with(0, 2, pair[0]);             /* another version */
	expect_no_conn_with(1, 2, pair[0]);
	expect_no_conn_with(3, 5, pair[0]);           /* longer words than there are */
	expect_no_conn_with(HEAD + 1, '\n', pair[0]); /* words that would make a line */
	expect_no_conn_with(4, 1, pair[0]);           /* a beat every two years */
	expect_no_conn_with(36, 1, pair[0]);          /* more credit than any window */
	expect_no_conn_with(44, 1, pair[0]);
	expect_no_conn_with(52, 1, pair[0]);
	expect_no_conn_with(91, 1, pair[0]); /* judged what never came */
	expect_no_conn_with(2, 0, event);
	expect_no_conn_with(2, 0, packets[0]);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(packets[i]);
	}
	close(event);
}

/* The state that all these depart from is good. */
TEST(conn_pass_hostile, a_state_that_is_right_makes_a_connection)
{
	char state[HEAD + 4] = {1, 0, 0, 4};
	struct coh_frame f = {
	    .type = COH_FRAME_PASS, .channel = 2, .length = (uint32_t)sizeof state};
	struct rogue r = rogue_open(COH_PHASE_USER);
	struct cohort_conn *got;
	int pair[2];

	REQUIRE_EQ(coh_fd_pair(pair, SOCK_STREAM), 0);
	memcpy(state + HEAD, "peer", 4);
	rogue_send(&r, f, state, pair, 1);
	REQUIRE_EQ(cohort_conn_recv_conn(r.conn, &got, joined_patience()), 0);
	CHECK_STR(cohort_conn_peer(got), "peer");
	cohort_conn_close(got);
	close(pair[0]);
	close(pair[1]);
	rogue_close(&r);
}

TEST(conn_pass_hostile, nothing_passed_is_taken_in_another_phase)
{
	struct rogue r = rogue_open(COH_PHASE_MEMBER);
	const void *body;
	struct coh_frame f;

	raw_send(&r, pass_fd, NULL, 1);
	CHECK_EQ(coh_conn_next_frame(r.conn, &f, &body, joined_patience()), COHORT_EPROTOCOL);
	rogue_close(&r);
}

/* A stranger's descriptors are dropped by the kernel: none is ever in this process. */
TEST(conn_pass_hostile, strangers_can_pass_nothing)
{
	struct coh_frame hello = {.type = COH_FRAME_CLIENT_HELLO, .length = 3};
	struct rogue r = rogue_open(COH_PHASE_STRANGER);
	const void *body;
	struct coh_frame f;
	int lowest = dup(0), next;

	close(lowest);
	for (int i = 0; i < 3; i++)
		raw_send(&r, hello, "abc", 2);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(coh_conn_next_frame(r.conn, &f, &body, joined_patience()), 0);
	CHECK_EQ(r.conn->in.ncame, 0);
	next = dup(0);
	CHECK_EQ(next, lowest);
	close(next);
	coh_conn_set_phase(r.conn, COH_PHASE_USER); /* and honest ones are welcome afterwards */
	raw_send(&r, pass_fd, NULL, 1);
	REQUIRE_EQ(cohort_conn_recv_fd(r.conn, &next, joined_patience()), 0);
	close(next);
	rogue_close(&r);
}

static ssize_t refuse_fd(void *self, const struct iovec *iov, int n, cohort_time deadline, int fd)
{
	(void)self, (void)iov, (void)n, (void)deadline, (void)fd;
	return -ETOOMANYREFS;
}

TEST(conn_pass_hostile, one_the_system_refuses_costs_nothing_else)
{
	struct rogue r = rogue_open(COH_PHASE_USER);
	const struct coh_stream_ops *real = r.conn->ops;
	struct coh_stream_ops ops = *real;
	char got[COH_FRAME_SIZE + 4];

	ops.write_fd = refuse_fd;
	r.conn->ops = &ops;
	CHECK_EQ(cohort_conn_send_fd(r.conn, 0, COHORT_FOREVER), -ETOOMANYREFS);
	CHECK_HAS(cohort_conn_error(r.conn), "too many");
	CHECK_EQ(cohort_conn_send_bytes(r.conn, "next", 4, COHORT_FOREVER), 0);
	CHECK_EQ(recv(r.socket, got, sizeof got, 0), (ssize_t)sizeof got);
	CHECK_MEM(got + COH_FRAME_SIZE, "next", 4);
	rogue_close(&r);
}
