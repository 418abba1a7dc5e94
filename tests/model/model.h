/*
 * model.h - an algorithm as a small machine of states, tried in every interleaving.
 *
 * A model is a struct of plain bytes (shared words, and for each thread where it is and what it remembers) and the
 * steps a thread may take from it.  The frame visits every state that can be reached, breadth first, so the way it
 * prints to a broken one is a shortest.  A step is what happens at once for the others: one access to shared
 * memory, or one system call.  Orders of memory weaker than sequential are not tried.
 *
 *	struct state { uint8_t lock, at[2]; };
 *	static struct model_moves moves(const void *state, int thread);    what THREAD may do
 *	static const char *step(void *state, int thread, int move);        do it; a sentence: what is wrong with that
 *	static const char *stuck(const void *state);                       nobody can go on: why that is wrong
 *
 * A model is played by casts: who takes part, how often, how many may die.  Beside the right algorithm it knows
 * planted faults, one of them at work at a time; a model that does not find each of them proves nothing.
 *
 * What a thread does by itself are its steps; what the world does to it (a kill, a deadline) are its blows.  A
 * state is stuck when no thread has a step, whatever blows there may be: nobody is to wait for help of that kind.
 */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <stddef.h>

struct model_moves {
	int steps, blows; /* moves 0 to steps - 1 are steps, those up to steps + blows - 1 are blows */
};

struct model {
	size_t size; /* bytes of a state, unused ones and padding zero: states are told apart by their bytes */
	int threads, casts, faults; /* how many there are of each; faults are counted from 1 */
	int *fault;                 /* the one at work; 0: none */
	/* How CAST begins, written into zeroes. */
	void (*begin)(void *state, int cast);
	struct model_moves (*moves)(const void *state, int thread);
	const char *(*step)(void *state, int thread, int move);
	const char *(*stuck)(const void *state);
	/* STATE in a line, for the way that is printed. */
	void (*print)(const void *state, char *text, size_t room);
};

/* A test: no state of any cast is wrong.  If one is, the way to it is printed, a line a step. */
void model_holds(const struct model *m);

/* A test: each planted fault makes some cast go wrong. */
void model_finds_faults(const struct model *m);

#endif
