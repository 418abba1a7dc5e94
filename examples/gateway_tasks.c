/*
 * gateway_tasks.c - the tasks themselves: any that a program has would do.
 */
#include "gateway_tasks.h"

#include <cohort/cohort.h>
#include <ctype.h>
#include <string.h>

static int is_prime(struct cohort_call *call)
{
	uint64_t n;
	int32_t prime;

	cohort_call_args(call, &n);
	prime = n > 1;
	for (uint64_t d = 2; prime && d * d <= n; d++)
		prime = n % d != 0;
	return cohort_call_result(call, &prime);
}
COHORT_TASK(is_prime, "U", "i");

static int quotient(struct cohort_call *call)
{
	double a, b;

	cohort_call_args(call, &a, &b);
	if (b == 0)
		return cohort_call_fail(call, "%g divided by nothing", a);
	a /= b;
	return cohort_call_result(call, &a);
}
COHORT_TASK(quotient, "ff", "f");

/* How often each byte occurs in a blob. */
static int histogram(struct cohort_call *call)
{
	struct cohort_bytes blob;
	uint64_t counts[256] = {0};
	int rc = 0;

	cohort_call_args(call, &blob);
	for (size_t i = 0; i < blob.size; i++)
		counts[((const unsigned char *)blob.data)[i]]++;
	for (uint16_t byte = 0; byte < 256 && rc == 0; byte++)
		if (counts[byte] != 0)
			rc = cohort_call_result_row(call, 1, &byte, &counts[byte]);
	return rc;
}
COHORT_TASK(histogram, "B", "A(vU)");

/* The longest of some words, and how long it is. */
static int longest(struct cohort_call *call)
{
	const char *word, *most = NULL;
	uint32_t length = 0;

	while (cohort_call_args_row(call, 1, &word) > 0)
		if (word != NULL && (most == NULL || strlen(word) > length)) {
			most = word;
			length = (uint32_t)strlen(word);
		}
	return cohort_call_result(call, &most, &length);
}
COHORT_TASK(longest, "A(s)", "su");

/* A task of the program's own: it is not in the table. */
static int house_keeping(struct cohort_call *call)
{
	return cohort_call_result(call);
}
COHORT_TASK(house_keeping, "", "");

const struct gateway_task gateway_tasks[] = {
    {"is_prime", &cohort_task_is_prime},
    {"quotient", &cohort_task_quotient},
    {"histogram", &cohort_task_histogram},
    {"longest", &cohort_task_longest},
    {NULL, NULL},
};

const struct cohort_task *gateway_task_find(const char *name)
{
	for (const struct gateway_task *t = gateway_tasks; t->name != NULL; t++)
		if (strcmp(t->name, name) == 0)
			return t->task;
	return NULL;
}
