/*
 * test_dialer_again.c - dialling that failed: tried again, how often, and when not.
 */
#include "net/dialing.h"
#include "net/hall.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE (20 * COHORT_SECOND)

TEST(dialer_again, comes_back_until_somebody_listens)
{
	static const struct cohort_backoff soon = {.first = COHORT_MS, .last = 20 * COHORT_MS};
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key, .retry = &soon};
	struct cohort_dialer *d;
	struct hall h;
	char address[300];

	snprintf(address, sizeof address, "unix:%s", test_path("s"));
	d = dialing_started(address, &o, dialing_patience());
	dialing_run_to_a_pause(d);
	hall_open(&h, address, PATIENCE, 8);
	dialing_welcomed(d);
	hall_close(&h);
	cohort_key_free(key);
}

TEST(dialer_again, gives_up_after_so_many_tries)
{
	static const struct cohort_backoff three = {.first = 1, .last = 1, .tries = 3};
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key, .retry = &three};
	struct cohort_dialer *d = dialing_started("unix:/no/such/socket", &o, dialing_patience());

	CHECK_EQ(dialing_run(d), -ENOENT);
	CHECK_HAS(dialing_err.text, "after 3 tries: cannot dial unix:/no/such/socket");
	cohort_dialer_close(d);
	cohort_key_free(key);
}

TEST(dialer_again, waits_for_no_try_that_would_come_too_late)
{
	static const struct cohort_backoff late = {.first = COHORT_FOREVER, .last = COHORT_FOREVER};
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key, .retry = &late};
	struct cohort_dialer *d = dialing_started("unix:/no/such/socket", &o, dialing_patience());
	cohort_time next;

	CHECK_EQ(cohort_dialer_step(d, &next, &dialing_err), -ENOENT);
	cohort_dialer_close(d);
	cohort_key_free(key);
}

TEST(dialer_again, tries_no_wrong_key_again)
{
	static const struct cohort_backoff soon = {.first = COHORT_MS, .last = COHORT_MS};
	struct cohort_key *other = hall_other_key();
	struct cohort_net_options o = {.key = other, .retry = &soon};
	struct cohort_dialer *d;
	struct hall h;

	hall_open(&h, NULL, PATIENCE, 8);
	d = dialing_started(cohort_listener_address(h.listener), &o, COHORT_FOREVER);
	CHECK_EQ(dialing_run(d), COHORT_EAUTH);
	cohort_dialer_close(d);
	hall_close(&h);
	cohort_key_free(other);
}

/* A Unix listener of no manners at PATH. */
static int rogue_at(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	REQUIRE_EQ(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	REQUIRE_EQ(listen(fd, 8), 0);
	return fd;
}

/* A rogue hears D's hello, does FN, and is gone; D comes back to find a hall. */
static void comes_back_after(void (*fn)(int fd))
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct cohort_dialer *d;
	struct hall h;
	char address[300];
	unsigned char hello[COH_HANDSHAKE_BODY_MAX];
	size_t size;
	cohort_time next;
	int rogue = rogue_at(test_path("s")), fd;

	snprintf(address, sizeof address, "unix:%s", test_path("s"));
	d = dialing_started(address, &o, dialing_patience());
	CHECK_EQ(cohort_dialer_step(d, &next, &dialing_err), 0);
	fd = accept(rogue, NULL, NULL);
	CHECK_EQ(hall_hear_frame(fd, hello, sizeof hello, &size), COH_FRAME_CLIENT_HELLO);
	fn(fd);
	close(fd);
	dialing_run_to_a_pause(d);
	close(rogue);
	REQUIRE_EQ(unlink(test_path("s")), 0);
	hall_open(&h, address, PATIENCE, 8);
	dialing_welcomed(d);
	hall_close(&h);
	cohort_key_free(key);
}

static void say_busy(int fd)
{
	static const unsigned char busy = COH_REFUSE_BUSY;

	hall_say_frame(fd, COH_FRAME_REFUSE, &busy, 1);
}

static void say_nothing(int fd)
{
	(void)fd;
}

TEST(dialer_again, comes_back_by_itself_when_the_peer_was_busy)
{
	comes_back_after(say_busy);
}

TEST(dialer_again, comes_back_when_the_peer_hung_up_without_a_word)
{
	comes_back_after(say_nothing);
}

TEST(dialer_again, comes_back_when_one_of_tls_hung_up_without_a_word)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	char address[COH_ADDRESS_TEXT], tls[COH_ADDRESS_TEXT], hello[4096];
	int fd, rogue = hall_rogue(address);
	struct cohort_dialer *d;
	cohort_time next;

	snprintf(tls, sizeof tls, "tls://127.0.0.1:%u", dialing_port_of(address));
	d = dialing_started(tls, &o, dialing_patience());
	CHECK_EQ(cohort_dialer_step(d, &next, &dialing_err), 0);
	fd = accept(rogue, NULL, NULL);
	CHECK(recv(fd, hello, sizeof hello, 0) > 0);
	close(fd);
	dialing_run_to_a_pause(d);
	cohort_dialer_close(d);
	close(rogue);
	cohort_key_free(key);
}

/* Accepts and hangs up until it is hung up on itself. */
static void *hang_up(void *arg)
{
	int fd, *listening = arg;

	while ((fd = accept(*listening, NULL, NULL)) >= 0)
		close(fd);
	return NULL;
}

TEST(dialer_again, believes_no_end_of_hanging_up)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	char address[300];
	int rogue = rogue_at(test_path("s")), rc;
	struct cohort_dialer *d;
	pthread_t thread;

	snprintf(address, sizeof address, "unix:%s", test_path("s"));
	REQUIRE_EQ(pthread_create(&thread, NULL, hang_up, &rogue), 0);
	d = dialing_started(address, &o, COHORT_FOREVER);
	rc = dialing_run(d);
	CHECK(rc == COHORT_EOF || rc == COHORT_EPEER);
	CHECK_HAS(dialing_err.text, "after 20 tries");
	cohort_dialer_close(d);
	shutdown(rogue, SHUT_RD);
	pthread_join(thread, NULL);
	close(rogue);
	cohort_key_free(key);
}
