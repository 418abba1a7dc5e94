/*
 * test_fault_net.c - every system call of listening, dialling, greeting and talking fails, in turn.
 *
 * Both ends are stepped by one thread, so that the same call is always the same one.  A listener at
 * which one guest was lost must serve the next.
 */
#include "conn/listener_priv.h"
#include "fault/exchange.h"
#include "fault/faults.h"
#include "net/hall.h"
#include "net/pki.h"
#include "support/test.h"
#include "trust/keyfile.h"

#include <cohort/auth.h>
#include <cohort/dial.h>
#include <cohort/listener.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IDLE 400 /* ms without an event, and more than a listener's rest: nothing will happen */
#define PATIENCE (5 * COHORT_SECOND) /* of a listener with whom it has met, and may keep so long: less than a sweep waits */
#define IDLE_AFTER 20 /* the same when the dialler is content */

struct scene {
	const char *address;
	struct cohort_net_options options;
	struct cohort_listener *listener;
};

/* Wait a little for something to do at either end; what a fault hid is found by the next step. */
static int either(const struct scene *s, const struct cohort_dialer *d)
{
	struct pollfd p[2] = {{.fd = cohort_listener_fd(s->listener), .events = POLLIN},
	    {.fd = cohort_dialer_fd(d), .events = cohort_dialer_events(d)}};

	return poll(p, 2, 1);
}

/* Step D and the listener until both have an end, one says that it will not, or nothing happens. */
static int both(struct scene *s, struct cohort_dialer *d, struct cohort_conn **there,
    struct cohort_error *err)
{
	cohort_time next, end = cohort_in(test_span(5 * COHORT_SECOND));
	int idle = 0, rc = 0, took;

	while (cohort_now() < end && idle < (rc == 0 ? IDLE : IDLE_AFTER) &&
	    (rc == 0 || *there == NULL)) {
		if (*there != NULL)
			(void)coh_conn_push(*there); /* the last word of the handshake */
		idle = either(s, d) > 0 && rc == 0 ? 0 : idle + 1;
		if (rc == 0)
			rc = cohort_dialer_step(d, &next, err);
		if (rc < 0)
			return rc;
		took = *there == NULL ? coh_listener_step(s->listener, there, NULL, err) : 0;
		if (took < 0)
			return took;
	}
	return 0;
}

/* Dial, and accept who comes: 0 with both ends, or what the one who failed says. */
static int meet(struct scene *s, struct cohort_conn *ends[2], struct cohort_error *err)
{
	cohort_time end = cohort_in(test_span(5 * COHORT_SECOND));
	struct cohort_dialer *d;
	int rc;

	ends[0] = ends[1] = NULL;
	rc = cohort_dialer_start(
	    &d, cohort_listener_address(s->listener), &s->options, end, err);
	if (rc == 0)
		rc = both(s, d, &ends[1], err);
	if (rc == 0)
		ends[0] = cohort_dialer_take(d);
	cohort_dialer_close(d);
	if (rc == 0 && ends[0] == NULL)
		return *err = (struct cohort_error){COHORT_ETIMEDOUT, "nothing happens any more"},
		       COHORT_ETIMEDOUT;
	if (rc == 0 && ends[1] == NULL) /* the listener gave it up: the guest hears so */
		rc = exchange_hear(ends[0], "", 0, err);
	return rc;
}

/* Those whom the listener let in and who were gone by then. */
static void see_out(struct scene *s)
{
	struct pollfd p = {.fd = cohort_listener_fd(s->listener), .events = POLLIN};
	struct cohort_error err = {0};
	struct cohort_conn *c;

	while (poll(&p, 1, 1) > 0) {
		c = NULL;
		REQUIRE(coh_listener_step(s->listener, &c, NULL, &err) >= 0);
		cohort_conn_close(c);
	}
}

static int visit(struct scene *s, struct cohort_error *err)
{
	struct cohort_conn *ends[2];
	int rc = meet(s, ends, err);

	if (rc == 0)
		rc = exchange(ends[0], ends[1], err);
	cohort_conn_close(ends[0]);
	cohort_conn_close(ends[1]);
	return rc;
}

/* Open a listener, be its guest, and, whatever became of that, be its guest once more. */
static int listen_and_visit(void *arg, struct cohort_error *err)
{
	struct scene *s = arg;
	struct cohort_error second = {0};
	int rc = cohort_listen(&s->listener, s->address, &s->options, err);

	if (rc == 0) {
		coh_listener_identity(s->listener)->uuid[0] ^= 1;
		rc = visit(s, err);
		faults_over();
		see_out(s);
		if (rc != 0 && visit(s, &second) != 0)
			FAIL("after \"%s\" the next guest met \"%s\"", err->text, second.text);
	}
	cohort_listener_close(s->listener);
	return rc;
}

static void sweep_as(struct scene *s, bool by_the_byte)
{
	struct cohort_error err = {0};

	CHECK_EQ(listen_and_visit(s, &err), 0);
	faults_short(by_the_byte);
	if (by_the_byte)
		CHECK_EQ(listen_and_visit(s, &err), 0);
	else
		CHECK(faults_sweep(listen_and_visit, s) > 100);
	faults_short(false);
	if (err.code != 0)
		FAIL("%s", err.text);
}

static void sweep(const char *address, bool by_the_byte)
{
	struct cohort_key *key = hall_key();
	struct scene s = {.address = address,
	    .options = {.key = key, .name = "guest", .heartbeat = 2 * COHORT_SECOND}};

	sweep_as(&s, by_the_byte);
	cohort_key_free(key);
}

TEST_TIMEOUT(fault_net, every_call_over_tcp, 120)
{
	sweep("tcp://127.0.0.1:0", false);
}

TEST_TIMEOUT(fault_net, every_call_over_a_unix_socket, 120)
{
	char address[512] = "unix:";

	strncat(address, test_path("socket"), sizeof address - 6);
	sweep(address, false);
}

TEST_TIMEOUT(fault_net, every_call_over_tls, 240)
{
	sweep("tls://127.0.0.1:0", false);
}

/* Certificates, keys and lists are read from files, before and within it. */
TEST_TIMEOUT(fault_net, every_call_over_tls_by_certificates, 240)
{
	struct scene s = {.address = "tls://127.0.0.1:0"};

	pki_open();
	s.options = pki_options("guest");
	s.options.crl_file = pki_list();
	sweep_as(&s, false);
	sweep_as(&s, true);
}

/* Listen at a Unix socket in a folder that is not there yet. */
static int settle(void *arg, struct cohort_error *err)
{
	struct scene *s = arg;
	const char *path = strchr(s->address, ':') + 1;
	char folder[512] = "";
	int rc = cohort_listen(&s->listener, s->address, &s->options, err);

	faults_over();
	cohort_listener_close(s->listener);
	(void)unlink(path); /* the unlink of the close failed */
	strncat(folder, path, (size_t)(strrchr(path, '/') - path));
	(void)rmdir(folder);
	return rc;
}

TEST_TIMEOUT(fault_net, every_call_of_a_folder_for_a_unix_socket, 60)
{
	struct cohort_key *key = hall_key();
	struct scene s = {.options = {.key = key}};
	char address[512] = "unix:";

	strncat(address, test_path("folder/socket"), sizeof address - 6);
	s.address = address;
	CHECK(faults_sweep(settle, &s) > 20);
	cohort_key_free(key);
}

TEST_TIMEOUT(fault_net, a_byte_at_a_time_over_tcp, 60)
{
	sweep("tcp://127.0.0.1:0", true);
}

TEST_TIMEOUT(fault_net, a_byte_at_a_time_over_tls, 60)
{
	sweep("tls://127.0.0.1:0", true);
}

/* The call that waits, against a listener of another thread, which sees no faults. */
static int call(void *arg, struct cohort_error *err)
{
	struct hall *h = arg;
	struct cohort_conn *c;
	int rc = hall_dial(h, &h->options, &c, err);

	if (rc == 0)
		rc = exchange_hear(c, "welcome", 7, err);
	cohort_conn_close(c);
	return rc;
}

TEST_TIMEOUT(fault_net, every_call_of_a_dial_that_waits, 120)
{
	struct hall h;

	hall_open(&h, NULL, PATIENCE, 128);
	CHECK(faults_sweep(call, &h) > 20);
	hall_close(&h);
}

/* A key made and read. */
static int key_file(void *arg, struct cohort_error *err)
{
	struct cohort_key *key = NULL;
	int rc = cohort_key_generate(arg, err);

	if (rc == 0)
		rc = cohort_key_load(&key, arg, err);
	cohort_key_free(key);
	faults_over();
	unlink(arg);
	return rc;
}

TEST_TIMEOUT(fault_net, every_call_of_a_key_file, 60)
{
	struct cohort_error err = {0};
	char path[512] = "";

	strncat(path, test_path("key"), sizeof path - 1);
	CHECK(faults_sweep(key_file, path) > 20);
	faults_short(true);
	CHECK_EQ(key_file(path, &err), 0);
	faults_short(false);
}

/* From one key to another; wherever it failed there is a file that can be used, and the change can be made. */
static int key_change(void *arg, struct cohort_error *err)
{
	static const enum coh_keyfile_step steps[] = {
	    COH_KEYFILE_ADD, COH_KEYFILE_SWAP, COH_KEYFILE_DROP};
	struct cohort_key *key = NULL;
	char beside[600];
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = coh_keyfile_rotate(arg, steps[i], err);
	faults_over();
	CHECK_EQ(cohort_key_load(&key, arg, NULL), 0);
	cohort_key_free(key);
	snprintf(beside, sizeof beside, "%s.new", (const char *)arg);
	(void)unlink(beside); /* unlinkat itself failed */
	(void)unlink(arg);
	CHECK_EQ(cohort_key_generate(arg, NULL), 0);
	return rc;
}

TEST_TIMEOUT(fault_net, every_call_of_a_change_of_keys, 60)
{
	char path[512] = "";
	struct cohort_error err = {0};

	strncat(path, test_path("key"), sizeof path - 1);
	REQUIRE_EQ(cohort_key_generate(path, NULL), 0);
	CHECK(faults_sweep(key_change, path) > 50);
	faults_short(true);
	CHECK_EQ(key_change(path, &err), 0);
	faults_short(false);
}
