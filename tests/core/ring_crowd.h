/*
 * ring_crowd.h - processes that put into a queue and get from it, some of which are killed; and a ledger of what they did.
 *
 * The ledger is in memory that all of them share and says which items were put and got: none may be doubled, none lost
 * but those in the hands of the killed.
 */
#ifndef TESTS_CORE_RING_CROWD_H
#define TESTS_CORE_RING_CROWD_H

#include "support/test.h"

#include "sync/fault.h"
#include "work/queue_priv.h"

#include <sys/types.h>

#define RING_CROWD_NAMES 512 /* points */

/* Who of the crowd. */
enum ring_crowd_who { RING_VICTIM = 0, RING_HEIR, RING_OTHER, RING_TEST, RING_CROWD };

/* One that dies. */
struct ring_crowd_death {
	const char *name;   /* of the queue, which it opens; NULL: it has inherited it */
	bool makes;         /* it makes that, and waits for two others to have met it: attached, or called ring_crowd_met */
	const char *point;  /* where it dies; NULL: nowhere */
	unsigned long n;    /* the passing of it at which it does */
	int number;         /* of things to do */
};

/* A ledger with nothing in it. */
void ring_crowd_begin(void);
void ring_crowd_end(void);

/* The options of such a queue: small, so that its ends are met often. */
struct cohort_queue_options ring_crowd_options(void);

/* Put, get, take, look: what, is in DICE. */
void ring_crowd_do(struct cohort_queue *q, enum ring_crowd_who who, uint64_t dice);

/* Put one item of SIZE bytes at once: 0, or COHORT_EFULL or COHORT_ESHUTDOWN.  Get one, likewise. */
int ring_crowd_put(struct cohort_queue *q, size_t size);
int ring_crowd_get(struct cohort_queue *q, enum ring_crowd_who who);
/* Take one, if there is one; then acknowledge it, or return it. */
void ring_crowd_take(struct cohort_queue *q, enum ring_crowd_who who, bool ack);

/* A process that does N things, of any kind, or all until ring_crowd_stop, and then ends with 0. */
pid_t ring_crowd_fork(struct cohort_queue *q, enum ring_crowd_who who, const struct ring_crowd_death *d);
void ring_crowd_stop(void);
void ring_crowd_met(void);

/* Wait for PID, while this process uses Q too (NULL: it does not): true when it was killed, what it took is then noted. */
bool ring_crowd_join(struct cohort_queue *q, pid_t pid, enum ring_crowd_who who);

/* Noted: the killed one had not begun to close its queue; and forget that. */
bool ring_crowd_was_open(void);

/* N items more may be lost: they fail with those who have them. */
void ring_crowd_allow(unsigned n);

/* Q is whole now that one died at POINT. */
void ring_crowd_check(struct cohort_queue *q, const char *point);

/* All are gone: get what is left, and read the ledger. */
void ring_crowd_settle(struct cohort_queue *q);

/* Kills at each point: $COHORT_KILLS, or USUAL. */
int ring_crowd_kills(int usual);
/* At which passing of it the Kth of them dies: early ones and late ones, which most points see. */
unsigned long ring_crowd_nth(int k);

#endif
