/*
 * dialing.c - a dialer in the loop of a test.
 */
#include "net/dialing.h"

#include "addr/address.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct cohort_error dialing_err;

cohort_time dialing_patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

void dialing_wait(const struct cohort_dialer *d, cohort_time next)
{
	struct pollfd p = {.fd = cohort_dialer_fd(d), .events = cohort_dialer_events(d)};
	cohort_time left = next - cohort_now();
	struct timespec ts = {left / COHORT_SECOND, left % COHORT_SECOND};

	if (left > 0)
		CHECK(ppoll(&p, 1, &ts, NULL) >= 0);
}

int dialing_run(struct cohort_dialer *d)
{
	cohort_time next;
	int rc;

	while ((rc = cohort_dialer_step(d, &next, &dialing_err)) == 0)
		dialing_wait(d, next);
	CHECK_EQ(cohort_dialer_fd(d), -1);
	return rc;
}

void dialing_run_to_a_pause(struct cohort_dialer *d)
{
	cohort_time next;

	do {
		REQUIRE_EQ(cohort_dialer_step(d, &next, &dialing_err), 0);
		if (cohort_dialer_fd(d) >= 0)
			dialing_wait(d, next);
	} while (cohort_dialer_fd(d) >= 0);
	CHECK(next < COHORT_FOREVER);
	CHECK_EQ(cohort_dialer_events(d), 0);
}

struct cohort_dialer *dialing_started(
    const char *address, const struct cohort_net_options *o, cohort_time deadline)
{
	struct cohort_dialer *d;

	memset(&dialing_err, 0, sizeof dialing_err);
	REQUIRE_EQ(cohort_dialer_start(&d, address, o, deadline, &dialing_err), 0);
	return d;
}

void dialing_welcomed(struct cohort_dialer *d)
{
	struct cohort_conn *c;
	const void *data;
	size_t size;

	if (dialing_run(d) != 1)
		FAIL("%s", dialing_err.text);
	c = cohort_dialer_take(d);
	REQUIRE(c != NULL);
	CHECK(cohort_dialer_take(d) == NULL);
	cohort_dialer_close(d);
	CHECK_EQ(cohort_conn_recv_bytes(c, &data, &size, dialing_patience()), 0);
	CHECK_EQ(size, 7);
	cohort_conn_close(c);
}

uint16_t dialing_port_of(const char *address)
{
	struct coh_address a;

	REQUIRE_EQ(coh_address_parse(&a, address, NULL), 0);
	return a.port;
}

void dialing_hole_open(struct dialing_hole *h, const char *number, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct pollfd p = {.events = POLLOUT};

	REQUIRE_EQ(inet_pton(AF_INET, number, &sa.sin_addr), 1);
	h->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE_EQ(bind(h->listening, (struct sockaddr *)&sa, sizeof sa), 0);
	REQUIRE_EQ(listen(h->listening, 0), 0);
	for (int i = 0; i < 8; i++) {
		h->filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(h->filling[i], (struct sockaddr *)&sa, sizeof sa);
	}
	p.fd = h->filling[7];
	CHECK_EQ(poll(&p, 1, 0), 0); /* it is full */
}

void dialing_hole_close(struct dialing_hole *h)
{
	for (int i = 0; i < 8; i++)
		close(h->filling[i]);
	close(h->listening);
}
