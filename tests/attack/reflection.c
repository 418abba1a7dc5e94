/*
 * reflection.c - our own words sent back to us, by a client and by a server that has no key.
 */
#include "net/hall.h"
#include "support/test.h"

#include <cohort/dial.h>
#include <sys/socket.h>
#include <unistd.h>

TEST(attack, a_server_hello_sent_back_as_a_proof_is_turned_away)
{
	static const uint8_t as[] = {
	    COH_FRAME_CLIENT_PROOF, COH_FRAME_SERVER_HELLO, COH_FRAME_CLIENT_HELLO};
	unsigned char body[COH_HANDSHAKE_BODY_MAX];
	struct hall h;
	size_t n;
	int fd;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	for (size_t i = 0; i < sizeof as; i++) {
		fd = hall_stranger(&h);
		hall_say_frame(fd, COH_FRAME_CLIENT_HELLO, body, hall_hello(&h, fd, body));
		REQUIRE_EQ(hall_hear_frame(fd, body, sizeof body, &n), COH_FRAME_SERVER_HELLO);
		hall_say_frame(fd, as[i], body, n);
		CHECK_EQ(hall_turned_away(fd), COH_REFUSE_AUTH);
	}
	CHECK_EQ(h.welcomed, 0);
	hall_serves(&h);
	hall_close(&h);
}

struct echo {
	int listening;
	uint8_t as; /* the type it is sent back as; 0: the one it came as */
};

/* Sends back whatever it is told, until the caller has enough. */
static void *echo(void *arg)
{
	struct echo *e = arg;
	unsigned char body[COH_HANDSHAKE_BODY_MAX];
	int type, fd = accept(e->listening, NULL, NULL);
	size_t n;

	REQUIRE(fd >= 0);
	while ((type = hall_hear_frame(fd, body, sizeof body, &n)) > 0 && type != COH_FRAME_REFUSE)
		hall_say_frame(fd, e->as != 0 ? e->as : (uint8_t)type, body, n);
	close(fd);
	return NULL;
}

TEST(attack, an_echo_is_no_server)
{
	static const uint8_t as[] = {0, COH_FRAME_SERVER_HELLO, COH_FRAME_SERVER_PROOF};
	char address[COH_ADDRESS_TEXT];
	struct cohort_key *key = hall_key();
	struct cohort_net_options options = {.key = key};
	struct echo e = {.listening = hall_rogue(address)};
	cohort_time start = cohort_now();
	struct cohort_error err = {0};
	struct cohort_conn *c;
	pthread_t thread;
	int rc;

	for (size_t i = 0; i < sizeof as; i++) {
		e.as = as[i];
		REQUIRE_EQ(pthread_create(&thread, NULL, echo, &e), 0);
		rc = cohort_dial(&c, address, &options, cohort_in(test_span(15 * COHORT_SECOND)), &err);
		CHECK(rc == COHORT_EPROTOCOL || rc == COHORT_EAUTH || rc == COHORT_ESELF);
		CHECK_HAS(err.text, "127.0.0.1");
		CHECK(c == NULL);
		pthread_join(thread, NULL);
	}
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	cohort_key_free(key);
	close(e.listening);
}
