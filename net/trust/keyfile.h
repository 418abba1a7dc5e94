/*
 * keyfile.h - the text of a key file; loading and generating are public, in cohort/auth.h.
 */
#ifndef COH_TRUST_KEYFILE_H
#define COH_TRUST_KEYFILE_H

#include <cohort/auth.h>

/*
 * The bytes that the N characters of a key file mean, at BYTES.  How many, or COHORT_EKEY; the
 * sentence tells where a fault is, never what stands there.  Pure.
 */
int coh_keyfile_decode(const char *text, size_t n, unsigned char bytes[COHORT_KEY_MAX],
    struct cohort_error *err);

#endif
