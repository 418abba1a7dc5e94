/*
 * wordcount_report.c - what the program says.
 */
#include "wordcount_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#define TOP 10
#define CLEAR_LINE "\r\033[K"
#define PROGRESS_EVERY (100 * COHORT_MS)

struct tally {
	char *name;
	uint64_t count;
	UT_hash_handle hh;
};

uint64_t tally_add(struct tally **list, const char *name)
{
	struct tally *t;

	HASH_FIND_STR(*list, name, t);
	if (t == NULL) {
		if ((t = calloc(1, sizeof *t)) == NULL || (t->name = strdup(name)) == NULL)
			abort();
		HASH_ADD_KEYPTR(hh, *list, t->name, strlen(t->name), t);
	}
	return ++t->count;
}

static void tally_free(struct tally **list)
{
	struct tally *t, *next;

	HASH_ITER (hh, *list, t, next) {
		HASH_DEL(*list, t);
		free(t->name);
		free(t);
	}
}

void totals_begin(struct totals *t)
{
	t->begun = cohort_now();
	t->terminal = isatty(STDERR_FILENO);
}

void totals_progress(struct totals *t)
{
	cohort_time now = cohort_now();
	double seconds = (double)(now - t->begun) / (double)COHORT_SECOND;
	uint64_t left = t->expected > t->tasks ? t->expected - t->tasks : 0;

	t->tasks++;
	if (!t->terminal || now < t->next || now == t->begun)
		return;
	t->next = now + PROGRESS_EVERY;
	fprintf(stderr, CLEAR_LINE "%" PRIu64 "/%" PRIu64 " tasks, %.0f tasks/s, %.0f s left",
	    t->tasks, t->expected, (double)t->tasks / seconds,
	    (double)left * seconds / (double)t->tasks);
}

static void totals_say(const struct totals *t, const char *sentence)
{
	fprintf(stderr, "%swordcount: %s\n", t->terminal ? CLEAR_LINE : "", sentence);
}

void totals_problem(struct totals *t, const char *sentence)
{
	if (tally_add(&t->problems, sentence) == 1)
		totals_say(t, sentence);
}

void totals_failure(struct totals *t, const char *sentence)
{
	t->failed++;
	totals_say(t, sentence);
}

/* Take the progress line away, and say whether all of standard output could be written. */
static bool totals_printed(const struct totals *t)
{
	if (t->terminal)
		fputs(CLEAR_LINE, stderr);
	return fflush(stdout) == 0 && !ferror(stdout);
}

bool totals_print_tsv(const struct totals *t)
{
	struct word *list = words_sorted(&t->words, WORDS_BY_BYTES);

	for (size_t i = 0; list != NULL && i < t->words.different; i++)
		printf("%s\t%" PRIu64 "\n", words_text(&t->words, &list[i]), list[i].count);
	free(list);
	return list != NULL && totals_printed(t);
}

static int by_name(const struct tally *a, const struct tally *b)
{
	return strcmp(a->name, b->name);
}

bool totals_print(struct totals *t)
{
	struct word *list = words_sorted(&t->words, WORDS_BY_COUNT);
	double seconds = (double)(cohort_now() - t->begun) / (double)COHORT_SECOND;
	struct tally *w;

	for (size_t i = 0; list != NULL && i < t->words.different && i < TOP; i++)
		printf("%12" PRIu64 "  %s\n", list[i].count, words_text(&t->words, &list[i]));
	printf("\n%" PRIu64 " words, %zu different, in %" PRIu64 " files (%.1f MiB of text), %" PRIu64
	       " unreadable\n", t->words.total, t->words.different, t->files,
	    (double)t->bytes / (1 << 20), (uint64_t)HASH_COUNT(t->problems));
	printf("%" PRIu64 " tasks in %.2f s: %.0f tasks/s", t->tasks, seconds, (double)t->tasks / seconds);
	printf(t->failed > 0 ? ", %" PRIu64 " failed\n\n" : "\n\n", t->failed);

	HASH_SORT(t->workers, by_name);
	for (w = t->workers; w != NULL; w = w->hh.next)
		printf("%12" PRIu64 "  tasks by %s\n", w->count, w->name);
	free(list);
	return list != NULL && totals_printed(t);
}

void totals_free(struct totals *t)
{
	words_free(&t->words);
	tally_free(&t->workers);
	tally_free(&t->problems);
}
