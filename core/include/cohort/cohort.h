/* cohort.h - everything a user of Cohort may want, in one line. */
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

/* The half that needs an address, where it is installed. */
#if __has_include(<cohort/auth.h>)
#include <cohort/auth.h>
#endif
#if __has_include(<cohort/listener.h>)
#include <cohort/listener.h>
#endif

#endif
