/*
 * program.h - the executable that a node's workers run: named by the coordinator, checked here.
 *
 * The seam for shipping files later: whoever can give a descriptor of the right SHA-256 may.
 */
#ifndef COH_NODE_PROGRAM_H
#define COH_NODE_PROGRAM_H

#include "trust/hmac_openssl.h"

/* This process's own program: its path, and the SHA-256 of its file.  Read once a process.  Any thread. */
struct coh_program {
	char path[4096];
	unsigned char sha256[COH_HASH_SIZE];
};
int coh_program_self(const struct coh_program **out, struct cohort_error *err);

/*
 * Open the executable at PATH whose SHA-256 must be SHA256; what is returned is the very file
 * that was summed.  Gives the descriptor (>= 0).
 * COHORT_EPROGRAM: not there, not a plain executable file, or another sum (both are in the sentence).
 */
int coh_program_open(
    const char *path, const unsigned char sha256[COH_HASH_SIZE], struct cohort_error *err);

/* PATH is one of the COUNT ALLOWED, or COUNT is 0.  COHORT_EPROGRAM otherwise. */
int coh_program_allowed(const char *path, const char *const *allowed, unsigned count,
    struct cohort_error *err);

#endif
