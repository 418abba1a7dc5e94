/*
 * honest.c - somebody honest who goes on joining while others attack.
 */
#include "attack/honest.h"

#include "support/test.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *honest_main(void *arg)
{
	struct honest *h = arg;
	struct pollfd p = {.fd = h->end, .events = POLLIN};
	cohort_time start, stall;

	do {
		stall = hall_stalled(h->hall);
		start = cohort_now();
		hall_serves(h->hall);
		h->took[h->joins] = cohort_now() - start;
		h->took[h->joins++] -= hall_stalled(h->hall) - stall;
	} while (h->joins < HONEST_JOINS && poll(&p, 1, 50) == 0);
	return NULL;
}

void honest_begin(struct honest *h, struct hall *hall)
{
	memset(h, 0, sizeof *h);
	h->hall = hall;
	h->end = eventfd(0, EFD_CLOEXEC);
	REQUIRE(h->end >= 0);
	REQUIRE_EQ(pthread_create(&h->thread, NULL, honest_main, h), 0);
}

static int by_size(const void *a, const void *b)
{
	const cohort_time *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

cohort_time honest_end(struct honest *h)
{
	REQUIRE_EQ(eventfd_write(h->end, 1), 0);
	pthread_join(h->thread, NULL);
	close(h->end);
	qsort(h->took, (size_t)h->joins, sizeof *h->took, by_size);
	return h->took[(h->joins - 1) * 99 / 100];
}
