/*
 * wordcount_words.c - a hash table whose words lie one behind the other in one piece of memory.
 *
 * The letters of a word are folded straight to the end of that piece; when the word is known
 * already it is forgotten there, else it stays.  So nothing is copied and nothing is allocated
 * for a word, and counting runs at hundreds of megabytes a second (a uthash item for each word
 * would be an allocation each, and pointers to follow).
 */
#include "wordcount_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAD 8 /* zeros behind each word while it is hashed; the first of them is its NUL */
#define PLACES_MIN 512
#define TEXT_MIN 4096

static unsigned char fold[256]; /* the letter in lower case; 0 for what separates */

__attribute__((constructor)) static void fold_fill(void)
{
	for (int i = 0; i < 26; i++)
		fold['a' + i] = fold['A' + i] = (unsigned char)('a' + i);
}

bool words_letter(unsigned char c)
{
	return fold[c] != 0;
}

static uint32_t words_hash(const char *s, size_t n)
{
	uint64_t h = n, part;

	for (size_t i = 0; i < n; i += 8) {
		memcpy(&part, s + i, 8); /* past the end are the zeros of PAD */
		h = (h ^ part) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 16);
}

static int words_reserve_text(struct words *w, size_t n)
{
	size_t room = w->room > 0 ? w->room : TEXT_MIN;
	char *text;

	n += w->used + w->open + PAD;
	if (n <= w->room)
		return 0;
	while (room < n)
		room *= 2;
	if ((text = realloc(w->text, room)) == NULL)
		return -ENOMEM;
	w->text = text;
	w->room = room;
	return 0;
}

static int words_grow(struct words *w)
{
	size_t places = w->places > 0 ? 2 * w->places : PLACES_MIN, at;
	struct word *table = calloc(places, sizeof *table);

	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < w->places; i++) {
		if (w->table[i].count == 0)
			continue;
		for (at = w->table[i].hash & (places - 1); table[at].count != 0;)
			at = (at + 1) & (places - 1);
		table[at] = w->table[i];
	}
	free(w->table);
	w->table = table;
	w->places = places;
	return 0;
}

/* The word of N letters at the end of the text came COUNT more times. */
static int words_close(struct words *w, size_t n, uint64_t count)
{
	char *s = w->text + w->used;
	struct word *found;
	uint32_t hash;

	if (n > WORD_MAX)
		return -E2BIG;
	if (w->different >= w->places / 2 && words_grow(w) < 0)
		return -ENOMEM;
	memset(s + n, 0, PAD);
	hash = words_hash(s, n);
	for (size_t at = hash;; at++) {
		found = &w->table[at & (w->places - 1)];
		if (found->count == 0)
			break;
		if (found->hash == hash && found->length == n &&
		    memcmp(w->text + found->at, s, n) == 0)
			break;
	}
	if (found->count == 0) {
		*found = (struct word){0, w->used, hash, (uint32_t)n};
		w->used += n + 1;
		w->different++;
	}
	found->count += count;
	w->total += count;
	w->open = 0;
	return 0;
}

int words_feed(struct words *w, const void *bytes, size_t n)
{
	const unsigned char *p = bytes, *end = p + n;
	int r = words_reserve_text(w, n); /* words take no more room than they did in BYTES */
	char *tail;

	if (r < 0)
		return r;
	while (p < end) {
		tail = w->text + w->used + w->open;
		while (p < end && fold[*p] != 0)
			*tail++ = (char)fold[*p++];
		w->open = (size_t)(tail - (w->text + w->used));
		if (w->open > WORD_MAX)
			return -E2BIG;
		if (p == end)
			return 0;
		if (w->open > 0 && (r = words_close(w, w->open, 1)) < 0)
			return r;
		while (p < end && fold[*p] == 0)
			p++;
	}
	return 0;
}

int words_end(struct words *w)
{
	return w->open > 0 ? words_close(w, w->open, 1) : 0;
}

int words_add(struct words *w, const char *word, uint64_t count)
{
	size_t n = strlen(word);
	int r = words_reserve_text(w, n);

	if (r < 0)
		return r;
	memcpy(w->text + w->used, word, n);
	return words_close(w, n, count);
}

const char *words_next(const struct words *w, size_t *place, uint64_t *count)
{
	while (*place < w->places) {
		const struct word *found = &w->table[(*place)++];

		if (found->count == 0)
			continue;
		*count = found->count;
		return w->text + found->at;
	}
	return NULL;
}

static int by_bytes(const void *a, const void *b, void *text)
{
	const struct word *x = a, *y = b;

	return strcmp((char *)text + x->at, (char *)text + y->at);
}

static int by_count(const void *a, const void *b, void *text)
{
	const struct word *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return by_bytes(a, b, text);
}

struct word *words_sorted(const struct words *w, enum words_order order)
{
	struct word *list = malloc((w->different + 1) * sizeof *list);
	size_t n = 0;

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < w->places; i++)
		if (w->table[i].count != 0)
			list[n++] = w->table[i];
	qsort_r(list, n, sizeof *list, order == WORDS_BY_COUNT ? by_count : by_bytes, w->text);
	return list;
}

const char *words_text(const struct words *w, const struct word *word)
{
	return w->text + word->at;
}

void words_free(struct words *w)
{
	free(w->table);
	free(w->text);
	*w = (struct words){0};
}
