/*
 * empty_key.c - a key of nothing: it cannot be made, loaded or proved with.
 */
#include "net/hall.h"
#include "support/test.h"
#include "trust/hmac_openssl.h"

#include <fcntl.h>
#include <unistd.h>

TEST(attack, an_empty_key_is_no_key)
{
	struct cohort_net_options options = {.key_file = test_path("key")};
	struct cohort_error err = {0};
	struct cohort_key *key;
	struct cohort_conn *c;
	struct hall h;
	int fd;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	CHECK_EQ(cohort_key_new(&key, "", 0, &err), COHORT_EKEY);
	fd = open(options.key_file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	close(fd);
	CHECK_EQ(hall_dial(&h, &options, &c, &err), COHORT_EKEY);
	CHECK_HAS(err.text, "empty");
	hall_serves(&h);
	hall_close(&h);
}

TEST(attack, a_proof_of_nothing_is_turned_away)
{
	static const size_t sizes[] = {0, 1, 31, 32, 33, 64};
	unsigned char body[COH_HANDSHAKE_BODY_MAX], proof[64] = "";
	struct hall h;
	size_t n;
	int fd;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	/* What a server would expect of one whose key were empty, if it were that naive. */
	(void)coh_hmac_sign((struct coh_span){"", 0}, NULL, 0, proof);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		fd = hall_stranger(&h);
		hall_say_frame(fd, COH_FRAME_CLIENT_HELLO, body, hall_hello(&h, fd, body));
		REQUIRE_EQ(hall_hear_frame(fd, body, sizeof body, &n), COH_FRAME_SERVER_HELLO);
		hall_say_frame(fd, COH_FRAME_CLIENT_PROOF, proof, sizes[i]);
		CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
	}
	CHECK_EQ(h.welcomed, 0);
	hall_serves(&h);
	hall_close(&h);
}
