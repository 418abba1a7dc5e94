/*
 * vanish.c - peers that are gone before anybody looks: closed, or reset, at every stage.
 */
#include "net/hall.h"
#include "support/test.h"

#include <sys/socket.h>
#include <unistd.h>

TEST(attack, those_who_vanish_leave_nothing)
{
	unsigned char body[COH_HANDSHAKE_BODY_MAX];
	struct linger reset = {1, 0};
	struct hall h;
	size_t n;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 128);
	for (int i = 0; i < 300; i++) {
		int fd = hall_stranger(&h);

		if (i % 3 != 0)
			hall_say_frame(fd, COH_FRAME_CLIENT_HELLO, body, hall_hello(&h, fd, body));
		if (i % 3 == 2)
			CHECK_EQ(hall_hear_frame(fd, body, sizeof body, &n), COH_FRAME_SERVER_HELLO);
		if (i % 2 == 0)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(fd);
	}
	hall_serves(&h);
	CHECK_EQ(h.welcomed, 1);
	hall_close(&h);
}
