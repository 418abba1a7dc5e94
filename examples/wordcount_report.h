/*
 * wordcount_report.h - what the program says: the totals, a progress line, complaints.
 */
#ifndef WORDCOUNT_REPORT_H
#define WORDCOUNT_REPORT_H

#include "wordcount_words.h"

#include <cohort/time.h>

/* How often something was named: workers, problems.  A hash by name; NULL is an empty one. */
struct tally;

/* Count NAME once more in *LIST; returns how often it has been named now. */
uint64_t tally_add(struct tally **list, const char *name);

struct totals {
	struct words words;
	struct tally *workers;  /* tasks done, by worker */
	struct tally *problems; /* what could not be read */
	uint64_t files, tasks, failed, bytes;
	uint64_t expected;      /* tasks there will be: for the progress line */
	bool terminal;          /* there is somebody to show one to */
	cohort_time begun, next;
};

void totals_begin(struct totals *t);

/* One more task is done: now and then, rewrite the line on standard error, if it is a terminal. */
void totals_progress(struct totals *t);

/* Something cannot be read (said and counted once, as its slices all say so); a task failed. */
void totals_problem(struct totals *t, const char *sentence);
void totals_failure(struct totals *t, const char *sentence);

/* Every word and its count by the word's bytes, or the summary.  False when it cannot be written. */
bool totals_print_tsv(const struct totals *t);
bool totals_print(struct totals *t);

void totals_free(struct totals *t);

#endif
