/*
 * bulk.h - large messages: their content, and the reading of it that is the same for everybody: a
 * word of each cache line, so that all of the message has been brought to who reads it.
 */
#ifndef COHORT_BENCH_BULK_H
#define COHORT_BENCH_BULK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BULK_SIZE ((size_t)1 << 20)
#define BULK_LINE (64 / sizeof(uint64_t)) /* words */

/* A message of ones; NULL when there is no memory. */
static inline uint64_t *bulk_new(void)
{
	uint64_t *words = malloc(BULK_SIZE);

	for (size_t i = 0; words != NULL && i < BULK_SIZE / sizeof(*words); i++)
		words[i] = 1;
	return words;
}

/* Does the message hold what the one with this NUMBER in its first word must? */
static inline int bulk_is(const void *data, uint64_t number)
{
	const uint64_t *words = data;
	uint64_t sum = 0;

	for (size_t i = 0; i < BULK_SIZE / sizeof(*words); i += BULK_LINE)
		sum += words[i];
	return sum == number + BULK_SIZE / sizeof(*words) / BULK_LINE - 1;
}

#endif
