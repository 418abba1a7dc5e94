/*
 * runner.c - main of every test program: CUnit counts and prints, isolate.c runs.
 *
 *	test_queue [-l] [-n] [NAME...]
 *
 * NAME is suite, suite/name or the beginning of one.  -l lists, -n runs in this process, for a
 * debugger.  The exit code is 0 only if something ran and nothing failed.
 *
 * A test program is a program of Cohort like any other, so it too is a worker when it was
 * started as one.
 */
#include "support/support_priv.h"

#include <CUnit/Basic.h>
#include <cohort/process.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int test_argc;
char **test_argv;

/* Present when the program uses processes at all. */
__attribute__((weak)) int cohort_init(int *argc, char ***argv, struct cohort_error *err);

static struct test_case *cases, **cases_end = &cases; /* in the order of definition */
static uint64_t seed;
static bool unforked;

void test_register(struct test_case *t)
{
	*cases_end = t;
	cases_end = &t->next;
}

static int become_child(int argc, char **argv)
{
	struct cohort_error err = {0};

	if (cohort_init == NULL)
		fprintf(stderr, "%s: started as a child, but knows nothing of processes\n", argv[0]);
	else if (cohort_init(&argc, &argv, &err) != 0)
		fprintf(stderr, "%s: %s\n", argv[0], err.text);
	else
		fprintf(stderr, "%s: cohort_init came back in a child\n", argv[0]);
	return 1;
}

/* NAME is exactly the full name of a case: then it means no other. */
static bool is_full_name(const char *name)
{
	char full[256];

	for (const struct test_case *t = cases; t != NULL; t = t->next) {
		snprintf(full, sizeof full, "%s/%s", t->suite, t->name);
		if (strcmp(full, name) == 0)
			return true;
	}
	return false;
}

static bool selects(const char *name, const struct test_case *t)
{
	size_t n = strlen(name);
	char full[256];

	snprintf(full, sizeof full, "%s/%s", t->suite, t->name);
	if (is_full_name(name))
		return strcmp(full, name) == 0;
	return strncmp(full, name, n) == 0 || strncmp(t->name, name, n) == 0;
}

static bool selected(const struct test_case *t, int n, char **names)
{
	for (int i = 0; i < n; i++)
		if (selects(names[i], t))
			return true;
	return n == 0;
}

/* The case CUnit is running now: its functions take no argument. */
static const struct test_case *current(void)
{
	const char *suite = CU_get_current_suite()->pName, *name = CU_get_current_test()->pName;

	for (const struct test_case *t = cases; t != NULL; t = t->next)
		if (strcmp(t->suite, suite) == 0 && strcmp(t->name, name) == 0)
			return t;
	abort();
}

/* One line a test into the file $COHORT_TEST_TALLY names, for whoever counts many programs. */
static void tally(const struct test_case *t, bool passed)
{
	const char *path = getenv("COHORT_TEST_TALLY");
	char line[512];
	int fd, n;

	if (path == NULL)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	n = snprintf(line, sizeof line, "%s %s %s/%s\n", passed ? "passed" : "failed",
	    program_invocation_short_name, t->suite, t->name);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		fprintf(stderr, "cannot write %s\n", path);
	if (fd >= 0)
		close(fd);
}

static void run_current(void)
{
	const struct test_case *t = current();
	int kept;

	memset(test_report, 0, sizeof *test_report);
	if (unforked)
		test_run_here(t, seed);
	else
		test_run_forked(t, seed);
	kept = test_report->failures;
	tally(t, kept == 0);
	if (kept > TEST_FAILURES_KEPT)
		kept = TEST_FAILURES_KEPT;
	for (int i = 0; i < kept; i++)
		CU_assertImplementation(CU_FALSE, (unsigned)test_report->kept[i].line,
		    test_report->kept[i].text, test_report->kept[i].file, t->name, CU_FALSE);
	if (kept == 0)
		CU_assertImplementation(CU_TRUE, (unsigned)t->line, "", t->file, t->name, CU_FALSE);
}

/* Hand the selected cases to CUnit; how many, or -1. */
static int add_selected(int n, char **names)
{
	CU_pSuite suite;
	int count = 0;

	for (const struct test_case *t = cases; t != NULL; t = t->next) {
		if (!selected(t, n, names))
			continue;
		suite = CU_get_suite(t->suite);
		if (suite == NULL)
			suite = CU_add_suite(t->suite, NULL, NULL);
		if (suite == NULL || CU_add_test(suite, t->name, run_current) == NULL) {
			fprintf(stderr, "%s/%s: %s\n", t->suite, t->name, CU_get_error_msg());
			return -1;
		}
		count++;
	}
	return count;
}

static void list(int n, char **names)
{
	for (const struct test_case *t = cases; t != NULL; t = t->next)
		if (selected(t, n, names))
			printf("%s/%s\n", t->suite, t->name);
}

static void prepare(void)
{
	const char *given = getenv("COHORT_TEST_SEED"), *deaths = getenv("COHORT_FAULT_LOG");

	unsetenv("COHORT_POOL"); /* what the user has set is no part of a test */
	unsetenv("COHORT_KEY_FILE");
	if (deaths != NULL)
		unlink(deaths); /* of an earlier run */
	if (given != NULL)
		seed = strtoull(given, NULL, 0);
	else if (getentropy(&seed, sizeof seed) != 0)
		seed = (uint64_t)getpid();
	test_report = mmap(NULL, sizeof *test_report, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (test_report == MAP_FAILED)
		abort();
}

static int run(int n, char **names)
{
	int count, failed;

	prepare();
	test_hide_shared();
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	count = add_selected(n, names);
	if (count <= 0) {
		fprintf(stderr, count == 0 ? "no such test\n" : "the tests cannot be added\n");
		CU_cleanup_registry();
		return 2;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = (int)CU_get_number_of_failures();
	if (failed != 0)
		printf("COHORT_TEST_SEED=%llu repeats this run\n", (unsigned long long)seed);
	CU_cleanup_registry();
	return failed != 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	int opt;

	test_argc = argc;
	test_argv = argv;
	if (argc > 1 && strncmp(argv[1], "--cohort-child", 14) == 0)
		return become_child(argc, argv);
	while ((opt = getopt(argc, argv, "+ln")) != -1) {
		if (opt == 'l') {
			list(argc - optind, argv + optind);
			return 0;
		}
		if (opt != 'n') {
			fprintf(stderr, "usage: %s [-l] [-n] [NAME...]\n", argv[0]);
			return 2;
		}
		unforked = true;
	}
	return run(argc - optind, argv + optind);
}
