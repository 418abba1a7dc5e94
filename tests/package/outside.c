/*
 * outside.c - a program of somebody else's: C or C++, against the installed library only.
 *
 * A message goes out and comes back over a connection; with that the headers, the library and
 * everything the library itself needs have been found.
 */
#include <cohort/cohort.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *where, const char *why)
{
	fprintf(stderr, "outside: %s: %s\n", where, why);
	return 1;
}

static int exchange(struct cohort_conn *a, struct cohort_conn *b, struct cohort_message *m)
{
	const char *word = "over there", *got = NULL;
	uint64_t count = 42, n = 0;

	if (cohort_message_pack(m, 0, &word, &count) != 0 ||
	    cohort_conn_send(a, m, cohort_in(5 * COHORT_SECOND)) != 0)
		return fail("send", cohort_conn_error(a));
	if (cohort_conn_recv(b, m, cohort_in(5 * COHORT_SECOND)) != 0)
		return fail("receive", cohort_conn_error(b));
	if (cohort_message_unpack(m, 0, &got, &n) != 1 || strcmp(got, word) != 0 || n != count)
		return fail("unpack", "not what was packed");
	return 0;
}

int main(void)
{
	struct cohort_conn *a, *b;
	struct cohort_message *m;
	struct cohort_error err;
	int rc;

	if (cohort_conn_pair(&a, &b, &err) != 0 || cohort_message_new(&m, "sU", &err) != 0)
		return fail("start", err.text);
	rc = exchange(a, b, m);
	cohort_message_free(m);
	cohort_conn_close(a);
	cohort_conn_close(b);
	if (rc == 0)
		puts("outside: ok");
	return rc;
}
