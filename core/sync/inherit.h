/*
 * inherit.h - shared objects by the names a parent gave them: what "inherit:NAME" means.
 *
 * A process has one table, which work/ fills at its birth from the heritage (os/heritage.h); it
 * stays as long as the process lives, so that an object can be opened more than once.  A worker
 * that is a thread of its pool's process sees its pool's table first: the scope of the thread.
 */
#ifndef COH_SYNC_INHERIT_H
#define COH_SYNC_INHERIT_H

#include "base/name.h"
#include "os/heritage.h"

#include <cohort/error.h>

struct coh_inherit_entry {
	char name[COH_NAME_MAX + 1];
	int n;
	int fd[COH_HERITAGE_SHARE_FDS];
};

/* Zeroed: empty.  Not changed any more once others can see it. */
struct coh_inherit {
	int count;
	struct coh_inherit_entry entry[COH_HERITAGE_SHARES];
};

/*
 * NAME in T is the object of the N descriptors at FDS; T owns them if whoever calls says so (it
 * is only coh_inherit_close that cares). 0; COHORT_ENAME; -EEXIST; COHORT_EARGUMENT (too many
 * objects or descriptors).
 */
int coh_inherit_add(struct coh_inherit *t, const char *name, const int *fds, int n);

/* Descriptors of T's own in place of those it borrows: 0, or -errno and all is as it was. */
int coh_inherit_keep(struct coh_inherit *t);

/* Close all descriptors of T, which is empty then. */
void coh_inherit_close(struct coh_inherit *t);

/*
 * A new life with H begins in this process: what it inherited is this, and T's of before are not
 * open here.
 */
int coh_inherit_begin(const struct coh_heritage *h);

/*
 * How many lives began so, in this process and those it was forked from: what was opened in
 * another one is not open in this.
 */
unsigned coh_inherit_life(void);

/*
 * From now on T (borrowed; NULL: none) is what this thread looks into first; returns what it was.
 */
const struct coh_inherit *coh_inherit_scope(const struct coh_inherit *t);

/*
 * Second descriptors for those of NAME into FDS; gives them.  How many; -ENOENT with a sentence
 * that says how many there are; -EMFILE.
 */
int coh_inherit_dup(const char *name, int fds[COH_HERITAGE_SHARE_FDS], struct cohort_error *err);

#endif
