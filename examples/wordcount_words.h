/*
 * wordcount_words.h - a table of words and how often each came.
 *
 * A word is a maximal run of the letters A-Z and a-z, folded to lower case; every other byte
 * separates.  A zeroed struct is an empty table.  One thread at a time.
 */
#ifndef WORDCOUNT_WORDS_H
#define WORDCOUNT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORD_MAX ((size_t)1 << 20) /* letters in one word: none in earnest is longer */

struct word {
	uint64_t count; /* 0: this place of the table is free */
	size_t at;      /* where its text begins */
	uint32_t hash, length;
};

struct words {
	struct word *table;
	size_t places, different; /* a power of two; how many are taken */
	uint64_t total;           /* words, each as often as it came */
	char *text;               /* all words, each with its NUL */
	size_t used, open, room;  /* of text: whole words; letters of one begun behind them; bytes */
};

/* True when C is part of a word. */
bool words_letter(unsigned char c);

/*
 * Count the words in N bytes that follow on those fed before: a word may go on in the next part,
 * words_end ends the last one.  0, -ENOMEM, -E2BIG (longer than WORD_MAX).
 */
int words_feed(struct words *w, const void *bytes, size_t n);
int words_end(struct words *w);

/* Add COUNT to WORD, which is in lower case.  0, -ENOMEM, -E2BIG. */
int words_add(struct words *w, const char *word, uint64_t count);

/* The next word after *PLACE, which begins at 0, in no order: its text and count; NULL at the end. */
const char *words_next(const struct words *w, size_t *place, uint64_t *count);

/* All words, the most frequent first or by their bytes: w->different of them, free() them; NULL. */
enum words_order { WORDS_BY_COUNT, WORDS_BY_BYTES };
struct word *words_sorted(const struct words *w, enum words_order order);
const char *words_text(const struct words *w, const struct word *word);

void words_free(struct words *w);

#endif
