/*
 * conn_contract_range.c - parts of one's own memory, sent and received into; what does not fit.
 */
#include "contract/joined.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

static const char text[] = "0123456789";

static void send_text(struct cohort_conn *c, const char *what)
{
	CHECK_EQ(cohort_conn_send_bytes(c, what, strlen(what), COHORT_FOREVER), 0);
}

/* The next message of C is WHAT. */
static void expect_text(struct cohort_conn *c, const char *what)
{
	const void *data;
	size_t size;

	REQUIRE_EQ(cohort_conn_recv_bytes(c, &data, &size, joined_patience()), 0);
	if (CHECK_EQ(size, strlen(what)))
		CHECK_MEM(data, what, size);
}

static int send_range(struct cohort_conn *c, size_t offset, size_t count)
{
	return cohort_conn_send_range(c, text, 10, offset, count, COHORT_FOREVER);
}

TEST(conn_range, sends_the_part_that_is_named)
{
	static const char *const want[] = {"0123456789", "", "", "9", "456"};
	static const size_t ranges[][2] = {{0, 10}, {0, 0}, {10, 0}, {9, 1}, {4, 3}};
	struct joined j = joined_open();

	for (size_t i = 0; i < 5; i++) {
		CHECK_EQ(send_range(j.a, ranges[i][0], ranges[i][1]), 0);
		expect_text(j.b, want[i]);
	}
	CHECK_EQ(cohort_conn_send_range(j.a, NULL, 0, 0, 0, COHORT_FOREVER), 0);
	expect_text(j.b, "");
	joined_close(&j);
}

TEST(conn_range, refuses_to_send_what_lies_outside)
{
	static const struct {
		size_t offset, count;
		const char *says;
	} bad[] = {
	    {(size_t)-3, 1, "offset is negative: got -3, 0 to 10"},
	    {11, 0, "offset is out of range: got 11, 0 to 10"},
	    {0, (size_t)-1, "count is negative: got -1, 0 to 10"},
	    {0, 11, "count is out of range: got 11, 0 to 10"},
	    {7, 4, "count is out of range: got 4, 0 to 3"},
	    {10, 1, "count is out of range: got 1, 0 to 0"},
	    {9, SIZE_MAX / 2, "count is out of range"},
	};
	struct joined j = joined_open();

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK_EQ(send_range(j.a, bad[i].offset, bad[i].count), COHORT_EARGUMENT);
		CHECK_HAS(cohort_conn_error(j.a), bad[i].says);
	}
	CHECK_EQ(
	    cohort_conn_send_range(j.a, text, (size_t)-10, 0, 1, COHORT_FOREVER), COHORT_EARGUMENT);
	CHECK_HAS(cohort_conn_error(j.a), "size is negative: got -10");
	send_text(j.a, "good");
	expect_text(j.b, "good"); /* and nothing before it */
	joined_close(&j);
}

TEST(conn_range, receives_into_the_callers_memory)
{
	struct joined j = joined_open();
	char room[16] = "................";
	size_t got = 99;

	send_text(j.a, "abc");
	send_text(j.a, "");
	send_text(j.a, "defg");
	CHECK_EQ(cohort_conn_recv_into(j.b, room, 3, &got, joined_patience()), 0);
	CHECK_EQ(got, 3);
	CHECK_EQ(cohort_conn_recv_into(j.b, NULL, 0, &got, joined_patience()), 0);
	CHECK_EQ(got, 0);
	CHECK_EQ(cohort_conn_recv_range(j.b, room, 16, 12, &got, joined_patience()), 0);
	CHECK_EQ(got, 4);
	CHECK_MEM(room, "abc.........defg", 16);
	CHECK_EQ(cohort_conn_recv_into(j.b, room, 16, &got, COHORT_NOW), COHORT_ETIMEDOUT);
	CHECK_EQ(got, 0);
	joined_close(&j);
}

TEST(conn_range, keeps_a_message_that_does_not_fit_and_says_its_size)
{
	struct joined j = joined_open();
	char room[16] = "................";
	const void *data;
	size_t got;

	send_text(j.a, text);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(
		    cohort_conn_recv_into(j.b, room, 9, &got, joined_patience()), COHORT_ETOOBIG);
		CHECK_EQ(got, 10);
		CHECK_HAS(cohort_conn_error(j.b), "has 10 bytes, there is room for 9");
	}
	CHECK_EQ(cohort_conn_recv_range(j.b, room, 16, 7, &got, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(cohort_conn_recv_most(j.b, &data, &got, 9, COHORT_NOW), COHORT_ETOOBIG);
	CHECK_EQ(got, 10);
	CHECK(data == NULL);
	CHECK_MEM(room, "................", 16);
	CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 1);
	send_text(j.b, "the other way"); /* the connection lives */
	expect_text(j.a, "the other way");
	CHECK_EQ(cohort_conn_recv_range(j.b, room, 16, 6, &got, COHORT_NOW), 0);
	CHECK_MEM(room, "......0123456789", 16);
	joined_close(&j);
}

TEST(conn_range, refuses_to_receive_outside)
{
	struct joined j = joined_open();
	char room[8];
	const void *data;
	size_t got;

	send_text(j.a, "x");
	CHECK_EQ(cohort_conn_recv_range(j.b, room, 8, 9, &got, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_HAS(cohort_conn_error(j.b), "offset is out of range: got 9, 0 to 8");
	CHECK_EQ(
	    cohort_conn_recv_range(j.b, room, 8, (size_t)-1, &got, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_HAS(cohort_conn_error(j.b), "offset is negative: got -1, 0 to 8");
	CHECK_EQ(cohort_conn_recv_into(j.b, room, (size_t)-8, &got, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_EQ(cohort_conn_recv_most(j.b, &data, &got, (size_t)-1, COHORT_NOW), COHORT_EARGUMENT);
	CHECK_HAS(cohort_conn_error(j.b), "maximum is negative: got -1");
	CHECK_EQ(cohort_conn_recv_most(j.b, &data, &got, 1, joined_patience()), 0);
	CHECK_EQ(got, 1);
	CHECK_MEM(data, "x", 1);
	joined_close(&j);
}

TEST(conn_range, keeps_a_typed_message_and_the_end_too)
{
	struct joined j = joined_open();
	struct cohort_message *m;
	char room[8];
	size_t got;
	int32_t v = 5;

	REQUIRE_EQ(cohort_message_new(&m, "i", NULL), 0);
	CHECK_EQ(cohort_message_pack(m, 0, &v), 0);
	CHECK_EQ(cohort_conn_send(j.a, m, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_conn_recv_into(j.b, room, 8, &got, joined_patience()), COHORT_ESTATE);
	CHECK_EQ(cohort_conn_recv(j.b, m, COHORT_NOW), 0);
	cohort_conn_close(j.a);
	j.a = NULL;
	CHECK_EQ(cohort_conn_recv_into(j.b, room, 8, &got, joined_patience()), COHORT_EOF);
	CHECK_EQ(got, 0);
	cohort_message_free(m);
	joined_close(&j);
}

/* poll is true for a whole message and for nothing less, at every byte of it. */
TEST(conn_range, polls_true_only_when_a_whole_message_is_there)
{
	struct coh_frame f = {.type = COH_FRAME_BYTES, .length = 10};
	unsigned char wire[COH_FRAME_SIZE + 10];
	struct joined j = joined_open();

	coh_frame_encode(&f, wire);
	memcpy(wire + COH_FRAME_SIZE, text, 10);
	for (size_t i = 0; i < sizeof wire; i++) {
		CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
		joined_raw(j.a, wire + i, 1);
	}
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 1); /* it takes nothing */
	expect_text(j.b, text);
	CHECK_EQ(cohort_conn_poll(j.b, COHORT_NOW), 0);
	send_text(j.a, ""); /* a message of no bytes is one */
	CHECK_EQ(cohort_conn_poll(j.b, joined_patience()), 1);
	expect_text(j.b, "");
	joined_close(&j);
}
