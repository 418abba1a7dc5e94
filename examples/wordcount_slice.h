/*
 * wordcount_slice.h - what one task counts: a file, or a slice of a large one.
 *
 * Slices never split a word: each begins after the first separator behind its start (the first
 * one at its start) and ends at the first separator behind its end.
 */
#ifndef WORDCOUNT_SLICE_H
#define WORDCOUNT_SLICE_H

#include "wordcount_words.h"

#define SLICE_BYTES ((uint64_t)4 << 20) /* a hundredth of a second's work */

struct slice {
	const char *path;
	uint64_t from, to; /* bytes; to UINT64_MAX: to the end of the file */
};

/* Room for a sentence about a file. */
#define SLICE_PROBLEM 512

/*
 * Add the words of S to WORDS, and the size of its text to *BYTES (inflated, for a .gz file).
 * True; or false when it cannot be read, and PROBLEM says which file and why.
 */
bool slice_count(const struct slice *s, struct words *words, uint64_t *bytes,
    char problem[SLICE_PROBLEM]);

#endif
