/* test_task.c - the registry, and one call after another. */
#include "support/test.h"
#include "work/call.h"
#include "work/task.h"

#include <errno.h>
#include <string.h>

static int square(struct cohort_call *call)
{
	int32_t x, y;

	cohort_call_args(call, &x);
	y = x * x;
	return cohort_call_result(call, &y);
}
COHORT_TASK(square, "i", "i");

/* Fails in the way that its argument names. */
static int fail(struct cohort_call *call)
{
	char *how;

	cohort_call_args(call, &how);
	if (strcmp(how, "sentence") == 0)
		return cohort_call_fail(call, "no such %s", "thing");
	return strcmp(how, "code") == 0 ? -ENOENT : strcmp(how, "positive") == 0 ? 7 : 0;
}
COHORT_TASK(fail, "s", "i");

/* Sums rows of an array, and returns each with its square. */
static int rows(struct cohort_call *call)
{
	int32_t x, sum = 0;

	while (cohort_call_args_row(call, 1, &x) > 0) {
		sum += x;
		x *= x;
		cohort_call_result_row(call, 1, &x);
	}
	return cohort_call_result(call, &sum);
}
COHORT_TASK(rows, "A(i)", "iA(i)");

static void check_registry(void)
{
	struct cohort_error err;

	if (!CHECK_EQ(coh_task_check(&err), 0))
		FAIL("%s", err.text);
}

TEST(task, are_numbered_in_the_order_of_their_names)
{
	check_registry();
	REQUIRE_EQ(coh_task_count(), 3);
	CHECK_STR(coh_task_at(0)->task->name, "fail");
	CHECK_STR(coh_task_at(1)->task->name, "rows");
	CHECK_STR(coh_task_at(2)->task->name, "square");
	CHECK(coh_task_at(3) == NULL);
	CHECK(coh_task_find("rows", NULL) == coh_task_at(1));
	CHECK_EQ(coh_task_at(1)->number, 1);
}

TEST(task, an_unknown_name_is_an_error_that_names_it)
{
	struct cohort_error err;

	check_registry();
	CHECK(coh_task_find("squares", &err) == NULL);
	CHECK_EQ(err.code, COHORT_ENOTASK);
	CHECK_HAS(err.text, "'squares'");
}

TEST(task, registering_after_the_check_is_refused)
{
	static struct cohort_task late = {"late", square, "i", "i", NULL};

	check_registry();
	CHECK_EQ(cohort_task_register(&late), COHORT_ESTATE);
	CHECK_EQ(coh_task_check(NULL), COHORT_ESTATE);
}

/* Register T beside the others; the check then fails with CODE and a sentence that has PART. */
static void check_refused(struct cohort_task *t, int code, const char *part)
{
	struct cohort_error err = {0};

	REQUIRE_EQ(cohort_task_register(t), 0);
	CHECK_EQ(coh_task_check(&err), code);
	CHECK_EQ(err.code, code);
	CHECK_HAS(err.text, part);
}

TEST(task, a_bad_name_is_named)
{
	static struct cohort_task t = {"no spaces", square, "i", "i", NULL};

	check_refused(&t, COHORT_ENAME, "'no spaces'");
}

TEST(task, a_name_registered_twice_is_named)
{
	static struct cohort_task t = {"square", square, "i", "i", NULL};

	check_refused(&t, COHORT_ENAME, "'square': registered twice");
}

TEST(task, a_bad_format_is_named_with_its_task)
{
	static struct cohort_task t = {"odd", square, "i", "A(", NULL};

	check_refused(&t, COHORT_EFORMAT, "'odd': format of its result");
}

TEST(task, a_task_without_function_or_format_is_refused)
{
	static struct cohort_task none = {"none", NULL, "i", "i", NULL};

	check_refused(&none, COHORT_EARGUMENT, "'none'");
}

TEST(task, a_missing_format_is_refused)
{
	static struct cohort_task t = {"bare", square, NULL, "i", NULL};

	check_refused(&t, COHORT_EFORMAT, "'bare': no format of its arguments");
}

static int compare(const char *list, struct cohort_error *err)
{
	return coh_task_compare(list, strlen(list), "node n7", err);
}

TEST(task, equal_lists_compare_equal_and_have_a_digest)
{
	struct coh_buf list;

	check_registry();
	coh_buf_init(&list, COH_TASK_LIST_MAX);
	REQUIRE_EQ(coh_task_list(&list), 0);
	CHECK_MEM(coh_buf_peek(&list), "fail\ts\ti\nrows\tA(i)\tiA(i)\nsquare\ti\ti\n", 36);
	CHECK_EQ(coh_buf_len(&list), 36);
	CHECK_EQ(coh_task_compare(coh_buf_peek(&list), 36, "node n7", NULL), 0);
	CHECK(coh_task_digest() != 0);
	coh_buf_fini(&list);
}

TEST(task, the_first_difference_is_named_with_both_formats)
{
	struct cohort_error err;

	check_registry();
	CHECK_EQ(compare("fail\ts\ti\nrows\tA(i)\tiA(U)\nsquare\ti\ti\n", &err), COHORT_EREGISTRY);
	CHECK_STR(err.text,
	    "task 'rows' is \"A(i)\" -> \"iA(i)\" here and \"A(i)\" -> \"iA(U)\" at node n7");
	CHECK_EQ(compare("fail\ts\ti\nsquare\ti\ti\n", &err), COHORT_EREGISTRY);
	CHECK_STR(err.text, "task 'rows' (\"A(i)\" -> \"iA(i)\") is not registered at node n7");
	CHECK_EQ(compare("fail\ts\ti\nmore\t\ts\n", &err), COHORT_EREGISTRY);
	CHECK_STR(err.text, "node n7 has a task 'more' (\"\" -> \"s\") that is not registered here");
	CHECK_EQ(compare("fail\ts\ti\nrows\tA(i)\tiA(i)\nsquare\ti\ti\nz\ti\ti\n", &err),
	    COHORT_EREGISTRY);
	CHECK_EQ(compare("", &err), COHORT_EREGISTRY);
}

TEST(task, what_is_no_list_is_refused)
{
	static const char *const bad[] = {"fail", "fail\ts\ti", "fail\ts\n", "\ts\ti\n",
	    "fail\ts\ti\nro\x1bws\tA(i)\tiA(i)\n", "fail\ts\ti\n\n"};
	struct cohort_error err;

	check_registry();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_EQ(compare(bad[i], &err), COHORT_EPROTOCOL);
}

/* Run task NAME with the values of FORMAT that the rest points at, row by row if it has rows. */
static int run(struct cohort_call *c, const char *name, const void *value, int values)
{
	const struct coh_task *t = coh_task_find(name, NULL);
	struct cohort_message *m = coh_message_new(t->args);
	const void *image;
	size_t size;
	int rc;

	for (int i = 0; i < values; i++)
		REQUIRE_EQ(cohort_message_pack(m, 1, (const int32_t *)value + i), 0);
	if (values == 0)
		REQUIRE_EQ(cohort_message_pack(m, 0, value), 0);
	REQUIRE_EQ(cohort_message_image(m, &image, &size), 0);
	rc = coh_call_run(c, t, image, size);
	cohort_message_free(m);
	return rc;
}

TEST(call, gives_the_result_of_one_after_another)
{
	struct cohort_message *m = NULL;
	struct cohort_call *c;
	const void *image;
	size_t size;
	int32_t y;

	check_registry();
	c = coh_call_new();
	REQUIRE(c != NULL && cohort_message_new(&m, "i", NULL) == 0);
	for (int32_t x = 1; x < 100; x++) {
		REQUIRE_EQ(run(c, "square", &x, 0), 0);
		image = coh_call_image(c, &size);
		REQUIRE_EQ(cohort_message_load(m, image, size, NULL), 0);
		CHECK(cohort_message_unpack(m, 0, &y) == 1 && y == x * x);
	}
	cohort_message_free(m);
	coh_call_free(c);
}

TEST(call, rows_come_and_go)
{
	int32_t in[] = {1, 2, 3}, sum, x;
	struct cohort_message *m = NULL;
	struct cohort_call *c;
	const void *image;
	size_t size;

	check_registry();
	c = coh_call_new();
	REQUIRE(c != NULL && cohort_message_new(&m, "iA(i)", NULL) == 0);
	REQUIRE_EQ(run(c, "rows", in, 3), 0);
	image = coh_call_image(c, &size);
	REQUIRE_EQ(cohort_message_load(m, image, size, NULL), 0);
	CHECK(cohort_message_unpack(m, 0, &sum) == 1 && sum == 6);
	for (int i = 0; i < 3; i++)
		CHECK(cohort_message_unpack(m, 1, &x) == 1 && x == in[i] * in[i]);
	CHECK_EQ(cohort_message_unpack(m, 1, &x), 0);
	cohort_message_free(m);
	coh_call_free(c);
}

static void check_failure(struct cohort_call *c, const char *how, const char *sentence)
{
	CHECK_EQ(run(c, "fail", &how, 0), COHORT_ETASK);
	CHECK_EQ(coh_call_error(c)->code, COHORT_ETASK);
	CHECK_HAS(coh_call_error(c)->text, sentence);
}

TEST(call, a_task_fails_by_its_own_word)
{
	const char *positive = "positive";
	struct cohort_call *c;

	check_registry();
	c = coh_call_new();
	REQUIRE(c != NULL);
	check_failure(c, "sentence", "no such thing");
	check_failure(c, "code", "task 'fail': No such file or directory");
	check_failure(c, "no result", "task 'fail' returned without a result of format \"i\"");
	CHECK_EQ(run(c, "fail", &positive, 0), 7);
	coh_call_free(c);
}

TEST(call, arguments_that_are_not_fit_never_reach_the_function)
{
	struct cohort_call *c;
	int rc;

	check_registry();
	c = coh_call_new();
	REQUIRE(c != NULL);
	rc = coh_call_run(c, coh_task_find("square", NULL), "nonsense", 8);
	CHECK(rc == COHORT_ECODEC || rc == COHORT_EFORMAT);
	CHECK_HAS(coh_call_error(c)->text, "task 'square': its arguments");
	coh_call_free(c);
}
