/*
 * folder.h - the private folder of a figure, as its parent keeps it.
 */
#ifndef COHORT_BENCH_FOLDER_H
#define COHORT_BENCH_FOLDER_H

/* Make it, for the process of the next figure to inherit; 0 or -1. */
int folder_make(void);

/* Remove it with all that is in it. */
void folder_remove(void);

/* Remove those whose run is dead. */
void folder_sweep(void);

#endif
