/*
 * keytext.h - the text of a key file: one or two keys, a line each.  Pure.
 *
 * A line is 32 to 128 hexadecimal digits; the newline of the last one may be missing, and nothing
 * else may be there: a stray blank or a text editor cannot make another key of it.  Sentences
 * tell where a fault is and never what stands there.
 */
#ifndef COH_TRUST_KEYTEXT_H
#define COH_TRUST_KEYTEXT_H

#include "trust/authkey.h"

#define COH_KEYTEXT_MAX (COH_AUTHKEY_MAX * (2 * COHORT_KEY_MAX + 1)) /* characters */

/* The keys of a file in their order.  Secret: wipe it. */
struct coh_keytext {
	int count;
	size_t size[COH_AUTHKEY_MAX];
	unsigned char bytes[COH_AUTHKEY_MAX][COHORT_KEY_MAX];
};

/*
 * Read the N characters at TEXT into K, of which on failure nothing is to be used.  0, or COHORT_EKEY:
 * no such text, or both lines hold one key.
 */
int coh_keytext_decode(
    struct coh_keytext *k, const char *text, size_t n, struct cohort_error *err);

/* Write K as decode reads it, with all newlines; how many characters. */
size_t coh_keytext_encode(const struct coh_keytext *k, char text[COH_KEYTEXT_MAX]);

#endif
