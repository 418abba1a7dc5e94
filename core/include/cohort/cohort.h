/* cohort.h - all of core: what one machine can do. */
#ifndef COHORT_COHORT_H
#define COHORT_COHORT_H

#include <cohort/conn.h>
#include <cohort/error.h>
#include <cohort/future.h>
#include <cohort/log.h>
#include <cohort/message.h>
#include <cohort/pool.h>
#include <cohort/process.h>
#include <cohort/task.h>
#include <cohort/time.h>

#endif
