/* conn_contract_share.c - shared objects sent over a connection: where descriptors travel, they do. */
#include "contract/joined.h"
#include "core/segment_fixture.h"

#include "os/fd.h"
#include "work/share.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static bool passes(void)
{
	return strcmp(joined_kind(), "pair") == 0 || strcmp(joined_kind(), "unix") == 0;
}

static void pass(struct joined *j, const char *address)
{
	struct coh_segment s = segment_make(address, COH_SEGMENT_EITHER), t;
	struct coh_segment_spec spec = segment_spec();
	uint64_t one = 1;
	int fds[3];

	REQUIRE_EQ(coh_share_send(j->a, &s, joined_patience()), 0);
	REQUIRE_EQ(coh_share_recv(j->b, spec.bells, fds, joined_patience()), 3);
	REQUIRE_EQ(coh_segment_adopt(&t, fds, 3, &spec, NULL), 0);
	segment_bytes(&s)[5] = 55;
	CHECK_EQ(segment_bytes(&t)[5], 55);
	CHECK_EQ(write(s.bell[1], &one, sizeof one), sizeof one);
	CHECK_EQ(coh_fd_wait(t.bell[1], POLLIN, COHORT_NOW), 1);
	coh_segment_close(&s);
	CHECK_EQ(coh_segment_check(&t, NULL), 0);
	segment_bytes(&t)[6] = 1;
	coh_segment_close(&t);
}

TEST(conn_share, an_object_arrives_with_its_bells_and_outlives_who_sent_it)
{
	struct joined j = joined_open();

	if (passes()) {
		pass(&j, "local:");
		pass(&j, "local:named");
	}
	joined_close(&j);
}

TEST(conn_share, where_no_descriptor_travels_none_does_either)
{
	struct joined j = joined_open();
	struct coh_segment s = segment_make("local:", COH_SEGMENT_EITHER);
	int fds[3];

	if (!passes()) {
		CHECK_EQ(coh_share_send(j.a, &s, joined_patience()), COHORT_ENOTSUP);
		CHECK_HAS(cohort_conn_error(j.a), "one machine");
		CHECK_EQ(coh_share_recv(j.b, 2, fds, joined_patience()), COHORT_ENOTSUP);
	}
	coh_segment_close(&s);
	joined_close(&j);
}

TEST(conn_share, one_that_is_cut_short_leaves_no_descriptor)
{
	struct joined j = joined_open();
	struct coh_segment s = segment_make("local:", COH_SEGMENT_EITHER);
	int fds[3];

	if (passes()) {
		REQUIRE_EQ(cohort_conn_send_fd(j.a, s.fd, joined_patience()), 0);
		CHECK_EQ(coh_share_recv(j.b, 2, fds, COHORT_NOW), COHORT_ETIMEDOUT);
		REQUIRE_EQ(cohort_conn_send_fd(j.a, s.fd, joined_patience()), 0);
		cohort_conn_close(j.a);
		j.a = NULL;
		CHECK_EQ(coh_share_recv(j.b, 2, fds, joined_patience()), COHORT_EOF);
	}
	coh_segment_close(&s);
	joined_close(&j);
}

/* A message where a descriptor is due: it is still there, and so is the connection. */
TEST(conn_share, a_message_in_its_place_is_told)
{
	struct joined j = joined_open();
	int fds[3];

	if (passes()) {
		REQUIRE_EQ(cohort_conn_send_bytes(j.a, "abc", 3, joined_patience()), 0);
		CHECK_EQ(coh_share_recv(j.b, 2, fds, joined_patience()), COHORT_ESTATE);
	}
	joined_close(&j);
}
