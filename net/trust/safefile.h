/*
 * safefile.h - files that decide whom we trust: nobody else may have touched them.
 *
 * Such a file is regular and no symbolic link; it belongs to the user or to root, and so does every
 * directory above it; nobody else may write any of them (a sticky directory is fine).  Of a secret
 * nobody else may do anything with it at all.  No state: any thread.
 */
#ifndef COH_TRUST_SAFEFILE_H
#define COH_TRUST_SAFEFILE_H

#include <cohort/error.h>
#include <stdbool.h>
#include <stddef.h>

/* What is expected of a file. */
struct coh_safefile_rule {
	const char *what; /* in sentences: "key file" */
	const char *hint; /* behind "there is no such file"; "" for none */
	size_t max;       /* bytes */
	bool secret;
};

/* A file by its directory and its name in it. */
struct coh_safefile {
	const struct coh_safefile_rule *rule; /* borrowed, as PATH is */
	const char *path;
	char *dir;
	const char *name;
	int dirfd;
};

/*
 * Find the place of PATH and check the directories; the file need not be there.  coh_safefile_fini
 * in any case.  0, COHORT_EKEY, -ENOMEM.
 */
int coh_safefile_find(struct coh_safefile *f, const struct coh_safefile_rule *rule,
    const char *path, struct cohort_error *err);
void coh_safefile_fini(struct coh_safefile *f);

/* The file at F, opened for reading and checked: a descriptor, the caller's; COHORT_EKEY. */
int coh_safefile_open(struct coh_safefile *f, struct cohort_error *err);

/*
 * All of the file PATH.  Gives *DATA (*SIZE bytes of it), to be ended by coh_free_wiped; NULL on
 * failure.  0, COHORT_EKEY, -ENOMEM.
 */
int coh_safefile_read(void **data, size_t *size, const struct coh_safefile_rule *rule,
    const char *path, struct cohort_error *err);

#endif
