/*
 * wait.c - wait for the first of many: connections, processes, listeners, descriptors.
 *
 * A connection is ready when a whole message is there, not when bytes are: what has come of
 * an unfinished one is read, without waiting, until it is whole or there is no more.  All that
 * are ready are marked, so that a caller who serves them all starves none.
 *
 * poll(2) and not epoll: the set is the caller's and may change at every call.
 */
#include "conn/conn_struct.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>

#define FEW 32  /* items that need no allocation */
#define TURNS 8 /* reads of one connection before the others have their turn again */

/* Has the connection of ITEM a message, or ended?  What was put is sent on the way. */
static int wait_conn_ready(const struct cohort_wait_item *item)
{
	if (coh_conn_message_ready(item->conn))
		return 1;
	(void)coh_conn_push(item->conn); /* its failure is the next sender's to hear */
	return 0;
}

/* Read what there is for ITEM without waiting. */
static int wait_conn_read(const struct cohort_wait_item *item)
{
	for (int i = 0; i < TURNS; i++) {
		if (!coh_conn_in_pump(item->conn))
			return 0;
		if (coh_conn_message_ready(item->conn))
			return 1;
	}
	return 0;
}

/* What to ask poll of ITEM.  A connection known to be ready is not asked about. */
static struct pollfd wait_question(const struct cohort_wait_item *item)
{
	if (item->conn == NULL)
		return (struct pollfd){.fd = item->fd, .events = POLLIN};
	if (item->ready)
		return (struct pollfd){.fd = -1};
	return (struct pollfd){
	    .fd = coh_conn_fd(item->conn), .events = coh_conn_events(item->conn)};
}

/* Mark those that are no open descriptors, and no other; how many. */
static int wait_mark_bad(struct cohort_wait_item *items, const struct pollfd *polled, int n)
{
	int bad = 0;

	for (int i = 0; i < n; i++)
		bad += (polled[i].revents & POLLNVAL) != 0;
	for (int i = 0; i < n && bad != 0; i++)
		items[i].ready = (polled[i].revents & POLLNVAL) != 0;
	return bad;
}

/* Mark what is ready by POLLED.  How many are, or -EBADF. */
static int wait_mark(struct cohort_wait_item *items, const struct pollfd *polled, int n)
{
	int count = 0;

	if (wait_mark_bad(items, polled, n) != 0)
		return -EBADF;
	for (int i = 0; i < n; i++) {
		if (polled[i].revents != 0)
			items[i].ready =
			    items[i].conn == NULL ? 1 : wait_conn_read(&items[i]);
		count += items[i].ready;
	}
	return count;
}

/* DEADLINE, or when the first of the connections must be ticked; those that are due are. */
static cohort_time wait_until(struct cohort_wait_item *items, int n, cohort_time deadline)
{
	cohort_time now = 0, next;

	for (int i = 0; i < n; i++) {
		if (items[i].conn == NULL || coh_conn_session_next(items[i].conn) == COHORT_FOREVER)
			continue;
		if (now == 0)
			now = cohort_now();
		next = coh_conn_session_next(items[i].conn);
		if (next <= now)
			(void)coh_conn_tick(items[i].conn, now, &next); /* the next receive tells */
		deadline = next < deadline ? next : deadline;
	}
	return deadline;
}

/* Ask once, waiting until DEADLINE if nothing is ready yet.  As wait_mark. */
static int wait_round(
    struct cohort_wait_item *items, struct pollfd *polled, int n, cohort_time deadline)
{
	cohort_time left = coh_clock_left(wait_until(items, n, deadline));
	struct timespec ts;

	for (int i = 0; i < n; i++) {
		items[i].ready = items[i].conn != NULL && wait_conn_ready(&items[i]);
		if (items[i].ready)
			left = 0;
	}
	for (int i = 0; i < n; i++)
		polled[i] = wait_question(&items[i]);
	ts = coh_clock_timespec(left);
	if (ppoll(polled, (nfds_t)n, left == COHORT_FOREVER ? NULL : &ts, NULL) < 0)
		return errno == EINTR ? 0 : -errno;
	return wait_mark(items, polled, n);
}

int cohort_wait(struct cohort_wait_item *items, int n, cohort_time deadline)
{
	struct pollfd few[FEW], *polled = few;
	bool late;
	int rc;

	if (n < 0 || (n == 0 && deadline == COHORT_FOREVER))
		return COHORT_EARGUMENT;
	for (int i = 0; i < n; i++)
		if (items[i].conn == NULL && items[i].fd < 0)
			return COHORT_EARGUMENT;
	if (n > FEW)
		polled = coh_alloc((size_t)n * sizeof *polled);
	if (polled == NULL)
		return -ENOMEM;
	do {
		late = coh_clock_passed(deadline);
		rc = wait_round(items, polled, n, deadline);
	} while (rc == 0 && !late);
	if (polled != few)
		coh_free(polled);
	return rc;
}
