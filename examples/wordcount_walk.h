/*
 * wordcount_walk.h - the slices of all regular files below some directories, found as they are
 * asked for.  Symbolic links are not followed.
 */
#ifndef WORDCOUNT_WALK_H
#define WORDCOUNT_WALK_H

#include "wordcount_slice.h"

/* Called with a sentence about what cannot be looked into. */
typedef void (*walk_problem_fn)(const char *problem, void *arg);

struct walk;

/* Walk below ROOTS, which end in NULL (they are made absolute: nodes may work elsewhere); NULL. */
struct walk *walk_open(const char *const *roots, walk_problem_fn problem, void *arg);

/* The next slice, its path valid until the next call; false at the end. */
bool walk_next(struct walk *w, struct slice *slice);

/* Files found so far. */
uint64_t walk_files(const struct walk *w);

/* How many slices there are, without reading any of them. */
uint64_t walk_count(const char *const *roots);

void walk_close(struct walk *w);

#endif
