/*
 * exchange.h - what two connected ends may do to each other, in one thread.
 */
#ifndef TESTS_FAULT_EXCHANGE_H
#define TESTS_FAULT_EXCHANGE_H

#include <cohort/conn.h>

/* Send SIZE bytes at DATA, and hear that they have come.  As exchange. */
int exchange_say(
    struct cohort_conn *c, const void *data, size_t size, struct cohort_error *err);
int exchange_hear(
    struct cohort_conn *c, const void *want, size_t size, struct cohort_error *err);

/*
 * Small messages and large ones, both ways, held ones and waited for; CHECK that all arrive as they
 * were.  0, or the code and the words of the end that failed.
 */
int exchange(struct cohort_conn *a, struct cohort_conn *b, struct cohort_error *err);

#endif
