/*
 * conn_range.c - parts of the caller's memory, sent from and received into.
 *
 * The rule that matters: what does not fit costs nothing.  A range outside the caller's memory is
 * refused before anything is sent or taken, and a message that is too long stays where it
 * is, its size told, so that the caller comes back with more room.
 *
 * Lengths have no sign in C: a negative one arrives here as more than any object can have
 * (PTRDIFF_MAX), is refused and is printed as what it was.
 *
 * Rejected: dropping the message (Python closes the connection, or hands the bytes over inside
 * an exception), and cutting it short (nobody would notice).
 */
#include "conn/conn_struct.h"

#include <stdint.h>
#include <string.h>

/* VALUE, the caller's WHAT, is 0 to MOST. */
static int range_check(struct cohort_conn *c, const char *what, size_t value, size_t most)
{
	if (value > PTRDIFF_MAX)
		return coh_conn_fail(c, COHORT_EARGUMENT,
		    "the %s is negative: got %td, 0 to %zu are allowed", what, (ptrdiff_t)value,
		    most);
	if (value > most)
		return coh_conn_fail(c, COHORT_EARGUMENT,
		    "the %s is out of range: got %zu, 0 to %zu are allowed", what, value, most);
	return 0;
}

int cohort_conn_send_range(struct cohort_conn *c, const void *data, size_t size, size_t offset,
    size_t count, cohort_time deadline)
{
	int rc = range_check(c, "size", size, PTRDIFF_MAX);

	if (rc == 0)
		rc = range_check(c, "offset", offset, size);
	if (rc == 0)
		rc = range_check(c, "count", count, size - offset);
	if (rc != 0)
		return rc;
	return cohort_conn_send_bytes(
	    c, count != 0 ? (const char *)data + offset : NULL, count, deadline);
}

/* Wait for plain bytes of at most MOST; a longer message is kept, and *SIZE is its size. */
static int range_expect(
    struct cohort_conn *c, struct coh_frame *f, size_t most, size_t *size, cohort_time deadline)
{
	int rc = coh_conn_expect(c, COH_FRAME_BYTES, f, deadline);

	if (rc != 0)
		return rc;
	*size = f->length;
	if (f->length <= most)
		return 0;
	return coh_conn_fail(c, COHORT_ETOOBIG,
	    "the next message has %u bytes, there is room for %zu; it is kept", f->length, most);
}

int cohort_conn_recv_most(
    struct cohort_conn *c, const void **data, size_t *size, size_t most, cohort_time deadline)
{
	struct coh_frame f;
	int rc = range_check(c, "maximum", most, PTRDIFF_MAX);

	*data = NULL;
	*size = 0;
	if (rc == 0)
		rc = range_expect(c, &f, most, size, deadline);
	if (rc == 0)
		*data = coh_conn_in_take(c);
	return rc;
}

int cohort_conn_recv_range(struct cohort_conn *c, void *buffer, size_t size, size_t offset,
    size_t *got, cohort_time deadline)
{
	struct coh_frame f;
	int rc = range_check(c, "size", size, PTRDIFF_MAX);

	*got = 0;
	if (rc == 0)
		rc = range_check(c, "offset", offset, size);
	if (rc == 0)
		rc = range_expect(c, &f, size - offset, got, deadline);
	if (rc != 0)
		return rc;
	if (f.length != 0)
		memcpy((char *)buffer + offset, coh_conn_in_body(c), f.length);
	coh_conn_in_take(c);
	return 0;
}

int cohort_conn_recv_into(
    struct cohort_conn *c, void *buffer, size_t size, size_t *got, cohort_time deadline)
{
	return cohort_conn_recv_range(c, buffer, size, 0, got, deadline);
}
