/* wordcount_options.h - the command line. */
#ifndef WORDCOUNT_OPTIONS_H
#define WORDCOUNT_OPTIONS_H

#include <stdbool.h>

struct options {
	const char *pool;         /* NULL: $COHORT_POOL, or else local: */
	const char *const *roots; /* the directories, with NULL behind the last */
	bool tsv;
};

/* Read it; wrong usage and directories that are not there end the program with 2. */
void options_read(struct options *o, int argc, char **argv);

#endif
