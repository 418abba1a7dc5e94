/*
 * fuzz_authkey.c - bytes as the text of a key file.
 *
 * What must hold: it is refused with a sentence, or its keys, written as text again, are the text,
 * apart from case and the last newline; two keys differ.  PLANT: a blank counts as a zero.
 */
#include "base/mem.h"
#include "base/object.h"
#include "trust/keytext.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct coh_keytext *k, const char *text, size_t size)
{
	char again[COH_KEYTEXT_MAX];
	size_t n = coh_keytext_encode(k, again);

	COH_ASSERT(k->count >= 1 && k->count <= COH_AUTHKEY_MAX);
	for (int i = 0; i < k->count; i++)
		COH_ASSERT(k->size[i] >= COHORT_KEY_MIN && k->size[i] <= COHORT_KEY_MAX);
	COH_ASSERT(size == n || size == n - 1);
	for (size_t i = 0; i < size; i++)
		COH_ASSERT(tolower((unsigned char)text[i]) == again[i]);
	COH_ASSERT(k->count == 1 || k->size[0] != k->size[1] ||
	    memcmp(k->bytes[0], k->bytes[1], k->size[0]) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coh_keytext k;
	struct cohort_error err = {0};
	char *text = coh_memdup(data, size); /* exactly as long, for the sanitizer to see */
	int rc;

	COH_ASSERT(text != NULL);
#ifdef PLANT
	for (size_t i = 0; i < size; i++)
		if (text[i] == ' ')
			text[i] = '0';
#endif
	rc = coh_keytext_decode(&k, text, size, &err);
	if (rc < 0)
		COH_ASSERT(rc == COHORT_EKEY && err.code == rc && strlen(err.text) > 20);
	else
		check_taken(&k, (const char *)data, size);
	coh_free(text);
	return 0;
}
