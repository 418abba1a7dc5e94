/* test_share.c - shared objects sent over a connection. */
#include "core/segment_fixture.h"

#include "os/fd.h"
#include "work/share.h"

#include <cohort/conn.h>
#include <errno.h>
#include <poll.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))

static void pass(struct cohort_conn *pair[2], const char *address)
{
	struct coh_segment s = segment_make(address, COH_SEGMENT_EITHER), t;
	struct coh_segment_spec spec = segment_spec();
	uint64_t one = 1;
	int fds[3];

	REQUIRE_EQ(coh_share_send(pair[0], &s, SOON), 0);
	REQUIRE_EQ(coh_share_recv(pair[1], spec.bells, fds, SOON), 3);
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

TEST(share, objects_travel_over_a_pair)
{
	struct cohort_conn *pair[2];

	REQUIRE_EQ(cohort_conn_pair(&pair[0], &pair[1], NULL), 0);
	pass(pair, "local:");
	pass(pair, "local:named");
	cohort_conn_close(pair[0]);
	cohort_conn_close(pair[1]);
}

TEST(share, what_is_cut_short_leaves_no_descriptor)
{
	struct coh_segment s = segment_make("local:", COH_SEGMENT_EITHER);
	struct cohort_conn *pair[2];
	int fds[3];

	REQUIRE_EQ(cohort_conn_pair(&pair[0], &pair[1], NULL), 0);
	REQUIRE_EQ(cohort_conn_send_fd(pair[0], s.fd, SOON), 0);
	CHECK_EQ(coh_share_recv(pair[1], 2, fds, COHORT_NOW), COHORT_ETIMEDOUT);
	REQUIRE_EQ(cohort_conn_send_fd(pair[0], s.fd, SOON), 0);
	cohort_conn_close(pair[0]);
	CHECK_EQ(coh_share_recv(pair[1], 2, fds, SOON), COHORT_EOF);
	cohort_conn_close(pair[1]);
	coh_segment_close(&s);
}
