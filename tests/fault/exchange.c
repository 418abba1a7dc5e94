/*
 * exchange.c - what two connected ends may do to each other, in one thread.
 */
#include "fault/exchange.h"

#include "conn/conn_priv.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define LARGE ((size_t)100 << 10) /* more than one read, and than a slice has */

/* A deadline that only a hang reaches. */
static cohort_time patience(void)
{
	return cohort_in(test_span(20 * COHORT_SECOND));
}

/* What C says of RC. */
static int failed(const struct cohort_conn *c, int rc, struct cohort_error *err)
{
	err->code = rc;
	snprintf(err->text, sizeof err->text, "%s", cohort_conn_error(c));
	return rc;
}

int exchange_say(struct cohort_conn *c, const void *data, size_t size, struct cohort_error *err)
{
	int rc = cohort_conn_send_bytes(c, data, size, patience());

	return rc == 0 ? 0 : failed(c, rc, err);
}

int exchange_hear(
    struct cohort_conn *c, const void *want, size_t size, struct cohort_error *err)
{
	const void *data;
	size_t n;
	int rc = cohort_conn_recv_bytes(c, &data, &n, patience());

	if (rc != 0)
		return failed(c, rc, err);
	if (CHECK_EQ(n, size))
		CHECK_MEM(data, want, size);
	return 0;
}

/* One message sent at once, then three that travel together. */
static int small(struct cohort_conn *a, struct cohort_conn *b, struct cohort_error *err)
{
	int rc = cohort_conn_send_bytes(a, "one", 3, patience());

	if (rc == 0)
		rc = cohort_conn_put_bytes(a, "", 0, patience());
	if (rc == 0)
		rc = cohort_conn_put_bytes(a, "three", 5, patience());
	if (rc == 0)
		rc = cohort_conn_flush(a, patience());
	if (rc != 0)
		return failed(a, rc, err);
	rc = exchange_hear(b, "one", 3, err);
	if (rc == 0)
		rc = exchange_hear(b, "", 0, err);
	return rc == 0 ? exchange_hear(b, "three", 5, err) : rc;
}

/* A message that does not go in one piece: whoever can go on goes on. */
static int large(struct cohort_conn *a, struct cohort_conn *b, struct cohort_error *err)
{
	static unsigned char data[LARGE];
	cohort_time end = patience();
	struct coh_frame f = {.type = COH_FRAME_BYTES};
	struct iovec part = {data, sizeof data};
	int ready = 0, rc;

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)(i >> 8);
	rc = coh_conn_put_frame(a, &f, &part, 1, COHORT_NOW);
	while (rc >= 0 && ready == 0 && cohort_now() < end) {
		rc = coh_conn_push(a);
		ready = cohort_conn_poll(b, COHORT_NOW);
	}
	if (ready == 0 && rc < 0)
		return failed(a, rc, err);
	return exchange_hear(b, data, sizeof data, err);
}

/* Nothing comes: the wait keeps its time. */
static int nothing(struct cohort_conn *c, struct cohort_error *err)
{
	const void *data;
	size_t n;
	int rc = cohort_conn_recv_bytes(c, &data, &n, cohort_in(COHORT_MS));

	return rc == COHORT_ETIMEDOUT ? 0 : failed(c, rc, err);
}

int exchange(struct cohort_conn *a, struct cohort_conn *b, struct cohort_error *err)
{
	int rc = small(a, b, err);

	if (rc == 0)
		rc = small(b, a, err);
	if (rc == 0)
		rc = large(a, b, err);
	if (rc == 0)
		rc = nothing(a, err);
	return rc == 0 ? large(b, a, err) : rc;
}
