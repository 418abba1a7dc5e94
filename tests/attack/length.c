/*
 * length.c - a hello that announces 4 GiB - 1.  The limit for strangers is met before the
 * length is used for anything.
 */
#include "net/hall.h"
#include "support/test.h"

TEST(attack, a_claim_of_4_GiB_is_turned_away_at_once)
{
	static const uint32_t claims[] = {UINT32_MAX, 1u << 31, 64u << 20, COH_FRAME_STRANGER_MAX + 1};
	struct coh_frame f = {.type = COH_FRAME_CLIENT_HELLO};
	unsigned char header[COH_FRAME_SIZE];
	struct hall h;
	cohort_time start = cohort_now();
	int fd;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
		f.length = claims[i];
		coh_frame_encode(&f, header);
		fd = hall_stranger(&h);
		hall_say(fd, header, sizeof header);
		CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
	}
	hall_serves(&h);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	hall_close(&h);
}
