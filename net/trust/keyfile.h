/*
 * keyfile.h - a key file on disk: changing from one key to another; loading and generating are public,
 * in cohort/auth.h.
 */
#ifndef COH_TRUST_KEYFILE_H
#define COH_TRUST_KEYFILE_H

#include <cohort/auth.h>

/* The three steps from one key to another; each is to reach every machine before the next. */
enum coh_keyfile_step {
	COH_KEYFILE_ADD,  /* one key -> it and, behind it, a new one: both let in */
	COH_KEYFILE_SWAP, /* two keys -> the other one first: it is dialled with */
	COH_KEYFILE_DROP, /* two keys -> the first alone */
};

/*
 * Do STEP to the file PATH, which is replaced whole or not at all.  Waits for the disk.
 *
 * Returns 0; COHORT_EKEY (cohort_key_load would refuse the file; it has not as many keys as STEP
 * starts from; another change of it is under way or was left half-done); COHORT_EAUTH (no random
 * bytes); -ENOMEM; -errno of writing.
 */
int coh_keyfile_rotate(const char *path, enum coh_keyfile_step step, struct cohort_error *err);

#endif
