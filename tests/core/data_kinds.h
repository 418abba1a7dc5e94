/* data_kinds.h - every kind of shared data, opened alike: for what they all promise. */
#ifndef TESTS_CORE_DATA_KINDS_H
#define TESTS_CORE_DATA_KINDS_H

#include "support/test.h"

#include <cohort/data.h>

struct data_kind {
	const char *name;
	/* as its own open, of a size that is right, or with options that say HOW alone */
	int (*open)(
	    void **out, const char *address, enum cohort_open how, struct cohort_error *err);
	int (*open_any)(
	    void **out, const char *address, enum cohort_open how, struct cohort_error *err);
	void (*close)(void *object);
};
#define DATA_KINDS 6
extern const struct data_kind data_kinds[DATA_KINDS];

/* Open it as OPEN says; the test ends when that cannot be. */
void *data_kind_open(const struct data_kind *k, const char *address, enum cohort_open how);

#endif
