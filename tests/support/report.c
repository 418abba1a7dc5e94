/*
 * report.c - the checks, and how a failed one is told to the runner.
 *
 * A failure goes to standard error at once, so that it stands among the test's other output,
 * and into the shared report, out of which the runner makes CUnit's.
 */
#include "support/support_priv.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test_report *test_report;

static jmp_buf body_end;      /* where a failed REQUIRE of the test's own thread goes */
static pid_t body_process;    /* who may jump there */
static pthread_t body_thread;

void test_call(void (*body)(void))
{
	body_process = getpid();
	body_thread = pthread_self();
	if (setjmp(body_end) == 0)
		body();
	body_process = 0;
}

void test_require(bool held)
{
	if (held)
		return;
	if (body_process == getpid() && pthread_equal(body_thread, pthread_self()))
		longjmp(body_end, 1);
	fflush(NULL);
	_exit(125);
}

void test_fail(struct test_place at, const char *format, ...)
{
	char text[TEST_FAILURE_TEXT];
	struct test_failure *f;
	va_list ap;
	int i;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	fprintf(stderr, "\n%s:%d: %s", at.file, at.line, text);
	i = atomic_fetch_add(&test_report->failures, 1);
	if (i >= TEST_FAILURES_KEPT)
		return;
	f = &test_report->kept[i];
	snprintf(f->file, sizeof f->file, "%s", at.file);
	snprintf(f->text, sizeof f->text, "%s", text);
	f->line = at.line;
}

bool test_check(struct test_place at, bool held, const char *what)
{
	if (!held)
		test_fail(at, "%s", what);
	return held;
}

/* " (NAME)" for a value that may be an error code. */
static const char *code_words(long long value, char *out, size_t size)
{
	const char *name = value < 0 && value >= -20000 ? cohort_errname((int)value) : "?";

	snprintf(out, size, strcmp(name, "?") == 0 ? "%.0s" : " (%s)", name);
	return out;
}

bool test_check_eq(struct test_place at, long long got, long long want, const char *what)
{
	char a[64], b[64];

	if (got != want)
		test_fail(at, "%s: got %lld%s, want %lld%s", what, got,
		    code_words(got, a, sizeof a), want, code_words(want, b, sizeof b));
	return got == want;
}

bool test_check_str(struct test_place at, const char *got, const char *want, const char *what)
{
	bool held = got == want || (got != NULL && want != NULL && strcmp(got, want) == 0);

	if (!held)
		test_fail(at, "%s: got \"%s\", want \"%s\"", what, got != NULL ? got : "(null)",
		    want != NULL ? want : "(null)");
	return held;
}

bool test_check_has(struct test_place at, const char *text, const char *part, const char *what)
{
	bool held = text != NULL && strstr(text, part) != NULL;

	if (!held)
		test_fail(at, "%s: \"%s\" does not contain \"%s\"", what,
		    text != NULL ? text : "(null)", part);
	return held;
}

bool test_check_mem(
    struct test_place at, const void *got, const void *want, size_t size, const char *what)
{
	const unsigned char *a = got, *b = want;

	for (size_t i = 0; i < size; i++)
		if (a[i] != b[i]) {
			test_fail(at, "%s: byte %zu of %zu: got 0x%02x, want 0x%02x", what, i,
			    size, a[i], b[i]);
			return false;
		}
	return true;
}
