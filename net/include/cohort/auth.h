/*
 * auth.h - the key that lets processes on different addresses trust each other.
 *
 * A key is a secret of 16 to 64 bytes that all processes of a cluster share; whoever holds
 * it is trusted, so keep it in a file of your own and never on a command line or in the
 * environment.  A key file holds one key, 32 to 128 hexadecimal digits on a line; `cohort keygen
 * FILE` writes one.  While a cluster goes over to another key it holds two, a line each: connections
 * are dialled with the first, and let in with either (`cohort keygen --add`, cohort(1)).  It is
 * refused (COHORT_EKEY, with a sentence that says what to do) unless
 *
 *   - it is a regular file and no symbolic link,
 *   - its owner is the user the process runs as, or root,
 *   - nobody else may do anything with it (mode 0600 or stricter), and
 *   - each directory above it belongs to that user or root, and can be written by nobody
 *     else, unless it is sticky like /tmp.
 *
 * What is kept of a key in memory lies on a page of its own that is left out of core
 * files, held in memory where the limits allow, and wiped in children made by fork, where
 * using it fails with COHORT_EKEY.
 *
 * A key may be used by any number of threads at once; freeing it is for the last.
 */
#ifndef COHORT_AUTH_H
#define COHORT_AUTH_H

#include <cohort/error.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COHORT_KEY_MIN 16 /* bytes: what cannot be guessed */
#define COHORT_KEY_MAX 64 /* bytes: more adds nothing to an HMAC by SHA-256 */

struct cohort_key;

/*
 * Read the key (or two) in the file PATH, or with NULL the one that $COHORT_KEY_FILE names.
 * Gives *KEY; NULL on failure.  Waits for the disk only.
 *
 * Returns 0; COHORT_EKEY (no file named, not there, its permissions, its content); -ENOMEM;
 * COHORT_EAUTH (no working SHA-256).
 */
COHORT_API int cohort_key_load(
    struct cohort_key **key, const char *path, struct cohort_error *err);

/*
 * A key out of SIZE bytes at SECRET, for programs that keep secrets their own way.  Borrows
 * SECRET, which is the caller's to wipe.  Gives *KEY; NULL on failure.
 * Returns as cohort_key_load; COHORT_EKEY: SIZE is not 16 to 64.
 */
COHORT_API int cohort_key_new(
    struct cohort_key **key, const void *secret, size_t size, struct cohort_error *err);

/*
 * The same for Python peers (addresses python+tcp:// and python+unix:), from the file PATH, or with NULL
 * the one that $COHORT_PYTHON_KEY_FILE names.  Python signs with the secret itself, and what a
 * stranger chose: so such a key serves Python addresses only, an ordinary one never serves
 * them, and the file should be one of its own.  Python reads it as
 *	authkey = bytes.fromhex(open(path).readline().strip())
 */
COHORT_API int cohort_key_load_python(
    struct cohort_key **key, const char *path, struct cohort_error *err);

/* As cohort_key_new, for Python peers; SECRET is what is called authkey there. */
COHORT_API int cohort_key_new_python(
    struct cohort_key **key, const void *secret, size_t size, struct cohort_error *err);

/*
 * Write a new key of 32 random bytes to the file PATH (mode 0600), which must not exist.
 * Waits until the disk has it; on failure no file is left.
 *
 * Returns 0; COHORT_EKEY (it exists, or cohort_key_load would refuse the directory);
 * COHORT_EAUTH (no random bytes); -errno of writing.
 */
COHORT_API int cohort_key_generate(const char *path, struct cohort_error *err);

/* Wipe and free KEY.  NULL is fine. */
COHORT_API void cohort_key_free(struct cohort_key *key);

#ifdef __cplusplus
}
#endif
#endif
