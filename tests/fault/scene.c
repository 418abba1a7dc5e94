/* scene.c - a listener and its guests, stepped by one thread. */
#include "fault/scene.h"

#include "conn/listener_priv.h"
#include "fault/exchange.h"
#include "fault/faults.h"
#include "net/hall.h"
#include "support/test.h"

#include <cohort/dial.h>
#include <cohort/listener.h>
#include <poll.h>
#include <unistd.h>

#define IDLE 400 /* ms without an event, and more than a listener's rest: nothing will happen */
#define IDLE_AFTER 20 /* the same when the dialler is content */

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

static int play(void *arg, struct cohort_error *err)
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

void scene_sweep(struct scene *s, bool by_the_byte)
{
	struct cohort_error err = {0};

	CHECK_EQ(play(s, &err), 0);
	faults_short(by_the_byte);
	if (by_the_byte)
		CHECK_EQ(play(s, &err), 0);
	else
		CHECK(faults_sweep(play, s) > 100);
	faults_short(false);
	if (err.code != 0)
		FAIL("%s", err.text);
}

void scene_sweep_at(const char *address, bool by_the_byte)
{
	struct cohort_key *key = hall_key();
	struct scene s = {.address = address,
	    .options = {.key = key, .name = "guest", .heartbeat = 2 * COHORT_SECOND}};

	scene_sweep(&s, by_the_byte);
	cohort_key_free(key);
}
