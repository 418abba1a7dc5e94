/*
 * data.h - what values, arrays, blocks, lists, arenas and dictionaries have in common: a segment whose second part says what the
 * rest of it is.
 *
 *	header (segment.h) | a lock | the shape | what the object is for
 *
 * The shape is written once, and the header's `detail` is a sum over it.  Who opens the object checks the sum and takes a
 * copy; nothing that follows from it is read from shared memory again, so no damage leads out of bounds.
 */
#ifndef COH_SYNC_DATA_H
#define COH_SYNC_DATA_H

#include "sync/mutex.h"
#include "sync/shared.h"

#include <cohort/shared.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

/* What an object is, as far as its users may choose.  What a kind has no use for is 0. */
struct coh_data_shape {
	uint64_t type;    /* of a value, or of an array's elements */
	uint64_t size;    /* bytes: of an element, of all, ... */
	uint64_t count;   /* elements */
	uint64_t room;    /* bytes for each */
	uint64_t lock;    /* whose lock guards it */
	uint8_t with[16]; /* the id of the segment of that lock */
	uint64_t spare;
};

#define COH_DATA_LOCK 64 /* bytes for the lock: a cache line */

/* Behind the segment's header. */
struct coh_data_head {
	union {
		struct coh_mutex mutex;
		unsigned char room[COH_DATA_LOCK];
	};
	struct coh_data_shape shape;
};

/* Where the rest begins in the segment: a multiple of a cache line. */
#define COH_DATA_BEGIN (sizeof(struct coh_segment_header) + sizeof(struct coh_data_head))

/* What every handle begins with. */
struct coh_data {
	struct coh_shared shared;
	struct coh_data_shape shape; /* of the object, as it was when it was opened */
};

/* How one is opened. */
struct coh_data_plan {
	struct coh_segment_spec spec; /* `least` is set here */
	size_t handle;                /* its size */
	struct coh_data_shape shape;  /* of a new one */
	const char *lacks;            /* why no new one can be made so; NULL: it can */

	/* D, all zero behind the shape and nobody else's yet, becomes what OPTIONS say.  NULL: it stays as it is. */
	int (*make)(struct coh_data *d, const void *options, struct cohort_error *err);

	/*
	 * D is there, made by us or not: its shape is one that can be, and what OPTIONS say (COHORT_ESEGMENT,
	 * COHORT_EARGUMENT, with a sentence); fill in the rest of the handle.
	 */
	int (*see)(struct coh_data *d, const void *options, struct cohort_error *err);
};

/* As any open of data.h.  Gives *OUT, a handle that is zero but for its struct coh_data. */
int coh_data_open(void *out, const struct coh_data_plan *plan, const char *address,
    enum cohort_open how, const void *options, struct cohort_error *err);

/* The handle D, whose magic was checked, is closed and freed. */
void coh_data_close(struct coh_data *d);

/* D, a handle of MAGIC (else this ends the process): its memory is there: 0, or COHORT_ESEGMENT. */
static inline int coh_data_check(const struct coh_data *d, uint32_t magic)
{
	return coh_shared_there(&d->shared, magic) ? 0 : coh_shared_gone(&d->shared, magic);
}

/*
 * One of what options say is GOT in the object, and they want WANT, where 0 is any: 0, or COHORT_EARGUMENT with a sentence:
 * "open a list: COUNT is 7, wanted was 8".
 */
int coh_data_agree(const struct coh_data *d, const char *name, uint64_t got, uint64_t want,
    struct cohort_error *err);

static inline struct coh_data_head *coh_data_head(const struct coh_data *d)
{
	return (struct coh_data_head *)(void *)(d->shared.segment.header + 1);
}

/* The byte AT of the segment. */
static inline void *coh_data_at(const struct coh_data *d, uint64_t at)
{
	return (char *)d->shared.segment.header + at;
}

#endif
