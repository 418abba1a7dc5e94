/* data.c - opening shared data: made by one, attached by others, who must mean the same. */
#include "sync/data.h"

#include "base/err.h"
#include "base/mem.h"
#include "sync/fault.h"

#include <errno.h>
#include <string.h>

_Static_assert(COH_DATA_BEGIN % 64 == 0, "data begins a cache line");
_Static_assert(sizeof(struct coh_data_head) == COH_DATA_LOCK + sizeof(struct coh_data_shape),
    "the lock has its line");
_Static_assert((int)COHORT_OPEN_EITHER == (int)COH_SEGMENT_EITHER &&
	(int)COHORT_OPEN_CREATE == (int)COH_SEGMENT_CREATE &&
	(int)COHORT_OPEN_ATTACH == (int)COH_SEGMENT_ATTACH,
    "the public names are the segment's");

/* FNV-1a: against accidents, not against who means it. */
static uint64_t sum_of(const struct coh_data_shape *shape)
{
	const unsigned char *p = (const unsigned char *)shape;
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof *shape; i++)
		sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static int make(struct coh_data *d, const struct coh_data_plan *plan, const void *options,
    struct cohort_error *err)
{
	struct coh_segment *s = &d->shared.segment;
	int rc;

	if (plan->lacks != NULL)
		return coh_fail(
		    err, COHORT_EARGUMENT, "make a %s: %s", plan->spec.what, plan->lacks);
	d->shape = coh_data_head(d)->shape = plan->shape;
	rc = plan->make != NULL ? plan->make(d, options, err) : 0;
	if (rc != 0)
		return rc;
	s->header->detail = sum_of(&d->shape);
	COH_FAULT("data.open.made");
	return coh_segment_publish(s, &plan->spec, err);
}

/* What others made, or now others see. */
static int see(struct coh_data *d, const struct coh_data_plan *plan, const void *options,
    struct cohort_error *err)
{
	const struct coh_segment *s = &d->shared.segment;

	d->shape = coh_data_head(d)->shape;
	if (s->header->detail != sum_of(&d->shape))
		return coh_fail(err, COHORT_ESEGMENT,
		    "open the %s: what it says of itself was damaged", plan->spec.what);
	return plan->see(d, options, err);
}

static int open_in(struct coh_data *d, const struct coh_data_plan *plan, const char *address,
    enum cohort_open how, const void *options, struct cohort_error *err)
{
	bool made = false;
	int rc = coh_segment_open(
	    &d->shared.segment, address, (enum coh_segment_open)how, &plan->spec, &made, err);

	if (rc != 0)
		return rc;
	if (made) {
		rc = make(d, plan, options, err);
		if (rc != 0 && (rc != -EEXIST || how != COHORT_OPEN_EITHER))
			return rc;
	} /* if another was quicker, its segment is attached now */
	return see(d, plan, options, err);
}

int coh_data_open(void *out, const struct coh_data_plan *plan, const char *address,
    enum cohort_open how, const void *options, struct cohort_error *err)
{
	struct coh_data_plan p = *plan;
	struct coh_data *d = coh_calloc(plan->handle);
	int rc;

	if (d == NULL)
		return coh_fail_code(err, -ENOMEM);
	p.spec.least = COH_DATA_BEGIN;
	rc = open_in(d, &p, address, how, options, err);
	if (rc != 0) {
		coh_segment_close(&d->shared.segment);
		coh_free(d);
		return rc;
	}
	d->shared.magic = COH_SHARED_MAGIC(plan->spec.kind);
	*(void **)out = d;
	return 0;
}

void coh_data_close(struct coh_data *d)
{
	coh_segment_close(&d->shared.segment);
	d->shape = (struct coh_data_shape){0};
	coh_shared_retire(&d->shared);
}

int coh_data_agree(const struct coh_data *d, const char *name, uint64_t got, uint64_t want,
    struct cohort_error *err)
{
	if (want == 0 || got == want)
		return 0;
	return coh_fail(err, COHORT_EARGUMENT,
	    "open the %s: its %s is %llu, wanted was %llu (0: any)",
	    coh_segment_word(d->shared.segment.kind), name, (unsigned long long)got,
	    (unsigned long long)want);
}
