/* primitive.c - opening a cell: made by one, attached by others, who must mean the same. */
#include "sync/primitive.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "sync/fault.h"

#include <errno.h>
#include <string.h>

_Static_assert((int)COHORT_OPEN_EITHER == (int)COH_SEGMENT_EITHER &&
	(int)COHORT_OPEN_CREATE == (int)COH_SEGMENT_CREATE &&
	(int)COHORT_OPEN_ATTACH == (int)COH_SEGMENT_ATTACH,
    "the public names are the segment's");
_Static_assert(sizeof(struct coh_segment_header) % 64 == 0, "cells begin a cache line");

static int make_cell(struct coh_segment *s, const struct coh_primitive *kind, const void *options,
    struct cohort_error *err)
{
	int rc = kind->make != NULL ? kind->make(s->header + 1, options, err) : 0;

	COH_FAULT("primitive.open.made");
	return rc != 0 ? rc : coh_segment_publish(s, &kind->spec, err);
}

static int open_cell(struct coh_segment *s, const struct coh_primitive *kind, const char *address,
    enum cohort_open how, const void *options, struct cohort_error *err)
{
	bool made = false;
	int rc = coh_segment_open(s, address, (enum coh_segment_open)how, &kind->spec, &made, err);

	if (rc != 0)
		return rc;
	if (made) {
		rc = make_cell(s, kind, options, err);
		if (rc != -EEXIST || how != COHORT_OPEN_EITHER)
			return rc;
	} /* else, or another was quicker: S is attached */
	return kind->agree != NULL ? kind->agree(s->header + 1, options, err) : 0;
}

int coh_primitive_open(void *handle, const struct coh_primitive *kind, const char *address,
    enum cohort_open how, const void *options, struct cohort_error *err)
{
	struct coh_shared *s;
	int rc;

	if (address != NULL && strstr(address, "://") != NULL)
		return coh_fail(err, COHORT_ENOTSUP,
		    "open the %s: '%s' is the address of a network, allowed are local:, local:NAME and "
		    "inherit:NAME; only queues can be elsewhere",
		    kind->spec.what, address);
	s = coh_calloc(kind->handle);
	if (s == NULL)
		return coh_fail_code(err, -ENOMEM);
	rc = open_cell(&s->segment, kind, address, how, options, err);
	if (rc != 0) {
		coh_segment_close(&s->segment);
		coh_free(s);
		return rc;
	}
	s->magic = COH_SHARED_MAGIC(kind->spec.kind);
	*(void **)handle = s;
	return 0;
}

void coh_primitive_close(void *handle)
{
	struct coh_shared *s = handle;

	coh_segment_close(&s->segment);
	coh_shared_retire(s);
}

int coh_primitive_wait(struct coh_mutex *m, cohort_time deadline)
{
	cohort_time grace = cohort_in(COH_PRIMITIVE_GRACE);

	return coh_mutex_lock_slowly(m, deadline > grace ? deadline : grace);
}
