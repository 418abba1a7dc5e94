/*
 * cohort.h - everything in one include: what one machine can do and, where the library was built
 * with it, what needs an address.
 */
#ifndef COHORT_COHORT_H
#define COHORT_COHORT_H

#include <cohort/conn.h>
#include <cohort/data.h>
#include <cohort/error.h>
#include <cohort/future.h>
#include <cohort/log.h>
#include <cohort/message.h>
#include <cohort/pool.h>
#include <cohort/process.h>
#include <cohort/queue.h>
#include <cohort/shared.h>
#include <cohort/sync.h>
#include <cohort/task.h>
#include <cohort/time.h>

#if defined(__has_include)
#if __has_include(<cohort/listener.h>)
#include <cohort/auth.h>
#include <cohort/dial.h>
#include <cohort/listener.h>
#include <cohort/server.h>
#endif
#endif

#endif
