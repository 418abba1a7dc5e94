/*
 * wrong_key.c - a peer with a key, but not ours: neither end learns anything but that.
 */
#include "net/hall.h"
#include "support/test.h"

TEST(attack, a_wrong_key_is_turned_away)
{
	struct cohort_key *other = hall_other_key();
	struct cohort_net_options options = {.key = other, .name = "liar"};
	cohort_time start = cohort_now();
	struct cohort_error err = {0};
	struct cohort_conn *c;
	struct hall h;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(hall_dial(&h, &options, &c, &err), COHORT_EAUTH);
		CHECK(c == NULL);
		CHECK_HAS(err.text, "127.0.0.1");
	}
	CHECK_EQ(h.welcomed, 0);
	hall_serves(&h);
	CHECK(h.logged >= 1 && h.logged <= 3 * 6); /* said, but not twenty times a second */
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	cohort_key_free(other);
	hall_close(&h);
}
