/* pool_fixture.h - a pool of the kind under test, and what that kind can do. */
#ifndef TESTS_CONTRACT_POOL_FIXTURE_H
#define TESTS_CONTRACT_POOL_FIXTURE_H

#include "support/test.h"

#include <cohort/cohort.h>
#include <stdbool.h>

/* Become a program of Cohort (cohort_init), once a test.  pool_begin does it too. */
void pool_program(void);

/* A pool with two slots of the kind in $COHORT_CONTRACT, with its node agent where it needs one. */
struct cohort_pool *pool_begin(const struct cohort_pool_options *options);

/* The same where opening may fail: the code. */
int pool_try(struct cohort_pool **p, const struct cohort_pool_options *options,
    struct cohort_error *err);

/* End the pool and its agents. */
void pool_end(struct cohort_pool *p);

struct cohort_pool_stats pool_stats(struct cohort_pool *p);

/* Its workers are processes, which may be killed; they run beside the caller. */
bool pool_processes(void);
bool pool_parallel(void);

/* Start the `cohort` command as a node agent with ARGS (NULL-ended) behind "node"; its pid. */
int pool_agent(const char *const *args);
/* The first line of the file PATH once it is there (waits for it); static storage. */
const char *pool_line(const char *path);
/* A key file made for this test. */
const char *pool_key(void);

/*
 * Wait for F, a `held` task, letting whoever waits to open FIFO go on.  The code of F's end, with
 * COHORT_ECANCELLED as 0.
 */
int pool_release_held(struct cohort_future *f, const char *fifo);

#endif
