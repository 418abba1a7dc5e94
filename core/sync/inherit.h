/*
 * inherit.h - the shared objects that a parent gave this process, by name: what "inherit:NAME" means.
 *
 * The descriptors came with the heritage (os/heritage.h); work/ enters them here at the child's birth.  They stay for as
 * long as the process lives, so that an object can be opened more than once.
 */
#ifndef COH_SYNC_INHERIT_H
#define COH_SYNC_INHERIT_H

#include <cohort/error.h>

#define COH_INHERIT_MAX 32 /* objects */
#define COH_INHERIT_FDS 3  /* of each: its memory, two bells */

/*
 * NAME is the object of the N descriptors at FDS, which it takes on success.  0; COHORT_ENAME; -EEXIST; COHORT_EARGUMENT (too
 * many objects or descriptors); -ENOMEM.
 */
int coh_inherit_add(const char *name, const int *fds, int n);

/*
 * Second descriptors for those of NAME into FDS (room for COH_INHERIT_FDS); gives them.  How many; -ENOENT with a sentence
 * that says what there is; -EMFILE.
 */
int coh_inherit_dup(const char *name, int *fds, struct cohort_error *err);

/* Close all: a new life begins. */
void coh_inherit_clear(void);

#endif
