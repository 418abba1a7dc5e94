/*
 * keytext.c - hexadecimal digits to keys and back.
 *
 * The same key twice is refused: it is what a change of keys looks like in which one file was copied
 * over the other, and would end with a cluster that never changed.
 */
#include "trust/keytext.h"

#include "base/err.h"

#include <string.h>

#define FORMAT_HELP                                                                         \
	"a key file holds one line of 32 to 128 hexadecimal digits, or two while keys are changed"

static int digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The N characters at FROM, a line that begins at byte AT of the file, as the next key of K. */
static int line_decode(
    struct coh_keytext *k, const char *from, size_t n, size_t at, struct cohort_error *err)
{
	unsigned char *to = k->bytes[k->count];
	int high, low;

	if (n % 2 != 0 || n < 2 * COHORT_KEY_MIN || n > 2 * COHORT_KEY_MAX)
		return coh_fail(err, COHORT_EKEY, "line %d has %zu characters; " FORMAT_HELP,
		    k->count + 1, n);
	for (size_t i = 0; i < n; i += 2) {
		high = digit((unsigned char)from[i]);
		low = digit((unsigned char)from[i + 1]);
		if (high < 0 || low < 0)
			return coh_fail(err, COHORT_EKEY,
			    "no hexadecimal digit at byte %zu; " FORMAT_HELP, at + i + (high >= 0));
		to[i / 2] = (unsigned char)(high << 4 | low);
	}
	k->size[k->count++] = n / 2;
	return 0;
}

int coh_keytext_decode(
    struct coh_keytext *k, const char *text, size_t n, struct cohort_error *err)
{
	size_t at = 0, end;
	const char *newline;
	int rc;

	*k = (struct coh_keytext){0};
	do {
		if (k->count == COH_AUTHKEY_MAX)
			return coh_fail(err, COHORT_EKEY, "more than %d lines; " FORMAT_HELP,
			    COH_AUTHKEY_MAX);
		newline = memchr(text + at, '\n', n - at);
		end = newline != NULL ? (size_t)(newline - text) : n;
		rc = line_decode(k, text + at, end - at, at, err);
		if (rc < 0)
			return rc;
		at = end + 1;
	} while (at < n);
	if (k->count == 2 && k->size[0] == k->size[1] &&
	    coh_hmac_equal(k->bytes[0], k->bytes[1], k->size[0]))
		return coh_fail(err, COHORT_EKEY, "both lines hold the same key");
	return 0;
}

size_t coh_keytext_encode(const struct coh_keytext *k, char text[COH_KEYTEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	char *to = text;

	for (int i = 0; i < k->count; i++) {
		for (size_t at = 0; at < k->size[i]; at++) {
			*to++ = digits[k->bytes[i][at] >> 4];
			*to++ = digits[k->bytes[i][at] & 15];
		}
		*to++ = '\n';
	}
	return (size_t)(to - text);
}
