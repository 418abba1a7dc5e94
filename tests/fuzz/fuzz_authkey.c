/*
 * fuzz_authkey.c - bytes as the text of a key file.
 *
 * What must hold: it is refused with a sentence, or its bytes, written as digits again, are
 * the text, apart from case and one newline.  PLANT: a blank counts as a zero.
 */
#include "base/mem.h"
#include "base/object.h"
#include "trust/keyfile.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const unsigned char *bytes, size_t n, const char *text, size_t size)
{
	char again[2 * COHORT_KEY_MAX + 2];

	COH_ASSERT(n >= COHORT_KEY_MIN && n <= COHORT_KEY_MAX);
	COH_ASSERT(size == 2 * n || (size == 2 * n + 1 && text[2 * n] == '\n'));
	for (size_t i = 0; i < n; i++)
		snprintf(again + 2 * i, 3, "%02x", bytes[i]);
	for (size_t i = 0; i < 2 * n; i++)
		COH_ASSERT(tolower((unsigned char)text[i]) == again[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char bytes[COHORT_KEY_MAX];
	struct cohort_error err = {0};
	char *text = coh_memdup(data, size); /* exactly as long, for the sanitizer to see */
	int rc;

	COH_ASSERT(text != NULL);
#ifdef PLANT
	for (size_t i = 0; i < size; i++)
		if (text[i] == ' ')
			text[i] = '0';
#endif
	rc = coh_keyfile_decode(text, size, bytes, &err);
	if (rc < 0)
		COH_ASSERT(rc == COHORT_EKEY && err.code == rc && strlen(err.text) > 20);
	else
		check_taken(bytes, (size_t)rc, (const char *)data, size);
	coh_free(text);
	return 0;
}
