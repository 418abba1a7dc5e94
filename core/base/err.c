/*
 * err.c - the words for every code, and the one-line way to fail.
 *
 * A sentence is written once, where the failure is understood, and each layer above may
 * put its own context before it.  Nothing here allocates.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct entry {
	int code;
	const char *name;
	const char *text;
};

static const struct entry entries[] = {
#define ENTRY(name, number, text) {number, #name, text},
	COHORT_ERRORS(ENTRY)
#undef ENTRY
};

#define SYSTEM_LAST 4095 /* the largest errno the Linux kernel returns (MAX_ERRNO) */

static const struct entry *entry_find(int code)
{
	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
		if (entries[i].code == code)
			return &entries[i];
	return NULL;
}

const char *cohort_strerror(int code)
{
	const struct entry *e = entry_find(code);

	if (e != NULL)
		return e->text;
	if (code == 0)
		return "success";
	if (code < 0 && code >= -SYSTEM_LAST)
		return strerror(-code);
	return "unknown error code";
}

const char *cohort_errname(int code)
{
	const struct entry *e = entry_find(code);
	const char *name;

	if (e != NULL)
		return e->name;
	if (code == 0)
		return "COHORT_OK";
	name = code < 0 && code >= -SYSTEM_LAST ? strerrorname_np(-code) : NULL;
	return name != NULL ? name : "?";
}

COHORT_PRINTF(3, 0)
static void fill(struct cohort_error *err, int code, const char *format, va_list ap)
{
	if (err == NULL)
		return;
	err->code = code;
	vsnprintf(err->text, sizeof err->text, format, ap);
}

int coh_fail(struct cohort_error *err, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fill(err, code, format, ap);
	va_end(ap);
	return code;
}

int coh_fail_errno(struct cohort_error *err, int e, const char *format, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, format);
	fill(err, -e, format, ap);
	va_end(ap);
	if (err != NULL) {
		n = strlen(err->text);
		snprintf(err->text + n, sizeof err->text - n, ": %s", strerror(e));
	}
	return -e;
}

int coh_fail_in(struct cohort_error *err, int code, const char *format, ...)
{
	char inner[COHORT_ERROR_TEXT];
	va_list ap;
	size_t n;

	if (err == NULL)
		return code;
	snprintf(inner, sizeof inner, "%s", err->code == code ? err->text : cohort_strerror(code));
	va_start(ap, format);
	fill(err, code, format, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof err->text - n, ": %s", inner);
	return code;
}

int coh_fail_code(struct cohort_error *err, int code)
{
	if (err != NULL && err->code != code)
		return coh_fail(err, code, "%s", cohort_strerror(code));
	return code;
}
