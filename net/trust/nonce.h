/*
 * nonce.h - numbers that nobody can predict and everybody may see: nonces, the numbers of sessions.
 */
#ifndef COH_TRUST_NONCE_H
#define COH_TRUST_NONCE_H

#include <stddef.h>

/*
 * N unpredictable bytes at OUT, never the same twice, nor in a child by fork; for what is sent in the clear,
 * not for keys.  0, or COHORT_EAUTH when the system gives none; OUT is then wiped.  Any thread.
 */
int coh_nonce_bytes(void *out, size_t n);

#endif
