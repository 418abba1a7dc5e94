/*
 * honest.h - somebody honest who goes on joining while others attack.
 */
#ifndef TESTS_ATTACK_HONEST_H
#define TESTS_ATTACK_HONEST_H

#include "net/hall.h"

#define HONEST_JOINS 4000

struct honest {
	struct hall *hall;
	pthread_t thread;
	int end; /* an eventfd */
	cohort_time took[HONEST_JOINS];
	int joins;
};

/* Join HALL twenty times a second from now on, each time as hall_serves. */
void honest_begin(struct honest *h, struct hall *hall);

/* Stop: the time that 99 of 100 joins did not exceed, without what hall_stalled tells of it. */
cohort_time honest_end(struct honest *h);

#endif
