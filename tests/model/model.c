/*
 * model.c - breadth-first search through the states of a model.
 *
 * States stand behind each other in one array, in the order they were found, each with the number of the one it came
 * from; a hash table finds them again.  One model at a time.
 */
#include "model/model.h"

#include "support/test.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATES_MAX (1u << 25) /* 32 million: more is a model to be made smaller */

struct origin {
	uint32_t from;
	uint16_t thread, move;
};

static struct {
	unsigned char *states, *scratch;
	struct origin *origins;
	uint32_t n, room;
	uint32_t *table; /* 1 + number of the state; 0: free */
	uint32_t mask;
	size_t size;
} all;

static void *grown(void *p, size_t n)
{
	p = realloc(p, n);
	if (p == NULL)
		abort();
	return p;
}

static uint64_t hash(const unsigned char *p, size_t n)
{
	uint64_t h = n, word;

	for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
		memcpy(&word, p, sizeof word);
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, p, n);
	h = (h ^ word) * 0x9e3779b97f4a7c15;
	return h ^ h >> 29;
}

static unsigned char *state_at(uint32_t i)
{
	return all.states + i * all.size;
}

static uint32_t slot_of(const void *state)
{
	uint32_t at = (uint32_t)hash(state, all.size) & all.mask;

	while (all.table[at] != 0 && memcmp(state_at(all.table[at] - 1), state, all.size) != 0)
		at = (at + 1) & all.mask;
	return at;
}

static void make_room(void)
{
	if (all.n < all.room)
		return;
	all.room = all.room == 0 ? 1024 : all.room * 2;
	if (all.room > STATES_MAX) {
		fprintf(stderr, "the model has more than %u states\n", STATES_MAX);
		abort();
	}
	all.states = grown(all.states, all.room * all.size);
	all.origins = grown(all.origins, all.room * sizeof *all.origins);
	all.table = grown(all.table, 4 * (size_t)all.room * sizeof *all.table);
	memset(all.table, 0, 4 * (size_t)all.room * sizeof *all.table);
	all.mask = 4 * all.room - 1;
	for (uint32_t i = 0; i < all.n; i++)
		all.table[slot_of(state_at(i))] = i + 1;
}

static void add(const void *state, struct origin o)
{
	uint32_t slot;

	make_room();
	slot = slot_of(state);
	if (all.table[slot] != 0)
		return;
	memcpy(state_at(all.n), state, all.size);
	all.origins[all.n] = o;
	all.table[slot] = ++all.n;
}

/* Every move out of state I.  NULL, or what is wrong; then the last state is the wrong one. */
static const char *expand(const struct model *m, uint32_t i)
{
	unsigned char *now = all.scratch;
	const char *wrong = NULL;
	bool any = false;

	for (int t = 0; wrong == NULL && t < m->threads; t++) {
		struct model_moves moves = m->moves(state_at(i), t);

		any |= moves.steps > 0;
		for (int k = 0; wrong == NULL && k < moves.steps + moves.blows; k++) {
			memcpy(now, state_at(i), m->size);
			wrong = m->step(now, t, k);
			add(now, (struct origin){i, (uint16_t)t, (uint16_t)k});
		}
	}
	if (wrong == NULL && !any) {
		wrong = m->stuck(state_at(i));
		if (wrong != NULL && i + 1 != all.n) /* let it be the last */
			all.n = i + 1;
	}
	return wrong;
}

static void forget(void)
{
	free(all.states);
	free(all.scratch);
	free(all.origins);
	free(all.table);
	memset(&all, 0, sizeof all);
}

/* Visit all states of CAST: NULL, or the sentence of the first wrong one. */
static const char *visit(const struct model *m, int cast)
{
	const char *wrong = NULL;

	forget();
	all.size = m->size;
	all.scratch = grown(NULL, m->size);
	memset(all.scratch, 0, m->size);
	m->begin(all.scratch, cast);
	add(all.scratch, (struct origin){0});
	for (uint32_t i = 0; wrong == NULL && i < all.n; i++)
		wrong = expand(m, i);
	printf("fault %d, cast %d, %u states: %s\n", *m->fault, cast, all.n, wrong != NULL ? wrong : "fine");
	return wrong;
}

/* The way to the last state. */
static void print_way(const struct model *m)
{
	uint32_t way[1024];
	char text[400];
	int n = 0;

	for (uint32_t i = all.n - 1; n < 1024; i = all.origins[i].from) {
		way[n++] = i;
		if (i == 0)
			break;
	}
	while (n-- > 0) {
		m->print(state_at(way[n]), text, sizeof text);
		printf("  thread %d, move %d: %s\n", all.origins[way[n]].thread,
		    all.origins[way[n]].move, text);
	}
}

void model_holds(const struct model *m)
{
	const char *wrong;

	*m->fault = 0;
	for (int cast = 0; cast < m->casts; cast++) {
		wrong = visit(m, cast);
		if (wrong != NULL) {
			print_way(m);
			FAIL("cast %d: %s", cast, wrong);
		}
	}
	forget();
}

void model_finds_faults(const struct model *m)
{
	bool found;

	for (*m->fault = 1; *m->fault < m->faults; ++*m->fault) {
		found = false;
		for (int cast = m->casts - 1; !found && cast >= 0; cast--) /* the richest are last */
			found = visit(m, cast) != NULL;
		if (!CHECK(found))
			FAIL("planted fault %d is not found", *m->fault);
	}
	forget();
}
