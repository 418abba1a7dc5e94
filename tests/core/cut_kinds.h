/* cut_kinds.h - every kind of shared object with a walk through its calls: for what holds when its memory is cut. */
#ifndef TESTS_CORE_CUT_KINDS_H
#define TESTS_CORE_CUT_KINDS_H

#include "support/test.h"

#include <cohort/cohort.h>

/*
 * Threads that go on in zeroes may hold one lock at the same time there, and then what it guards is a race, in which nothing
 * but the zeroes is at stake: not for the thread sanitizer.
 */
#if defined(__SANITIZE_THREAD__)
#define CUT_RACES false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CUT_RACES false
#endif
#endif
#ifndef CUT_RACES
#define CUT_RACES true
#endif

/* A call, or a few that belong together: the first failure of them, or what the last gives.  Waits for a moment at most. */
typedef int64_t cut_call(void *object);

#define CUT_CALLS 24
struct cut_kind {
	const char *name;
	int (*open)(void **out, const char *address, struct cohort_error *err);
	void (*close)(void *object);
	cut_call *calls[CUT_CALLS]; /* in an order in which they make sense; NULL ends them */
};
#define CUT_KINDS 19
extern const struct cut_kind cut_kinds[CUT_KINDS];

/* The one called NAME. */
const struct cut_kind *cut_kind(const char *name);

/* Open it at ADDRESS; the test ends when that cannot be. */
void *cut_open(const struct cut_kind *k, const char *address);

/* All calls of K in turn, as far as *STOP (NULL: to the end) is false. */
void cut_walk(const struct cut_kind *k, void *object, const _Atomic bool *stop);

/* The file of the object NAME; make it SIZE bytes long (negative: so many less than it has). */
const char *cut_file(const char *name);
void cut_to(const char *name, long size);
long cut_size_of(const char *name);

#endif
