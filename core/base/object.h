/*
 * object.h - a magic number at the head of a handle, and the cast that checks it.
 *
 * A broken invariant of ours always ends the process, in release builds too (COH_ASSERT);
 * what a peer, a file or a user sends must never get here.
 */
#ifndef COH_BASE_OBJECT_H
#define COH_BASE_OBJECT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define COH_ASSERT(condition)                                                              \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "cohort: broken invariant at %s:%d: %s\n",         \
			    __FILE__, __LINE__, #condition);                               \
			abort();                                                           \
		}                                                                          \
	} while (0)

/* P, whose first member must be `uint32_t magic`, checked to be a live TYPE. */
#define COH_CAST(type, want, p) ((type *)coh_object_check((p), (want)))

static inline void *coh_object_check(void *p, uint32_t want)
{
	COH_ASSERT(p != NULL && *(const uint32_t *)p == want);
	return p;
}

/* The object of TYPE whose member NAME is at P. */
#define COH_CONTAINER(type, name, p) ((type *)(void *)((char *)(p) - offsetof(type, name)))

#endif
