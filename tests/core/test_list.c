/* test_list.c - lists of fixed length whose items may be of any type. */
#include "core/sync_page.h"
#include "support/test.h"
#include "sync/data.h"

#include <cohort/data.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define TEXT(s)                                                                                    \
	{                                                                                          \
		.type = COHORT_ITEM_TEXT, .data = (s), .size = sizeof(s) - 1                       \
	}
#define BYTES(s)                                                                                   \
	{                                                                                          \
		.type = COHORT_ITEM_BYTES, .data = (s), .size = sizeof(s) - 1                      \
	}
#define INT(n)                                                                                     \
	{                                                                                          \
		.type = COHORT_ITEM_INT, .number = (n)                                             \
	}

static struct cohort_list *make(
    const char *address, size_t count, size_t room, const struct cohort_list_item *init)
{
	struct cohort_list_options o = {.count = count, .room = room, .init = init};
	struct cohort_error err = {.code = 0};
	struct cohort_list *l = NULL;

	if (!CHECK_EQ(cohort_list_open(&l, address, &o, &err), 0))
		FAIL("%s", err.text);
	REQUIRE(l != NULL);
	return l;
}

static bool same(const struct cohort_list_item *a, const struct cohort_list_item *b)
{
	return a->type == b->type && a->number == b->number && a->real == b->real &&
	    a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void check_item(struct cohort_list *l, size_t at, struct cohort_list_item want)
{
	struct cohort_list_item got;
	char buffer[2000];

	REQUIRE_EQ(cohort_list_get(l, at, &got, buffer, sizeof buffer), 0);
	CHECK(same(&got, &want));
}

static const struct cohort_list_item mixed[] = {INT(-5), {.type = COHORT_ITEM_DOUBLE, .real = 2.5},
    {.type = COHORT_ITEM_BOOL, .number = 1}, TEXT("h\0i\0\0"), BYTES("\xff\0"),
    {.type = COHORT_ITEM_NONE}, TEXT(""), INT(INT64_MIN),
    TEXT("a text that is a good deal longer than the "
	 "usual room of sixty-four bytes for each item")};
#define MIXED (sizeof mixed / sizeof mixed[0])

TEST(list, keeps_items_of_all_types_byte_for_byte)
{
	struct cohort_list *l = make("local:", MIXED, 0, mixed);

	CHECK_EQ(cohort_list_count(l), MIXED);
	for (size_t i = 0; i < MIXED; i++)
		check_item(l, i, mixed[i]); /* trailing NULs too, which Python loses */
	for (size_t i = 0; i < MIXED - 1; i++) {
		CHECK_EQ(cohort_list_set(l, i, &mixed[MIXED - 2 - i]), 0);
		check_item(l, i, mixed[MIXED - 2 - i]);
	}
	cohort_list_close(l);
}

TEST(list, is_of_none_at_first)
{
	struct cohort_list *l = make("local:", 3, 0, NULL);
	struct cohort_list_item none = {.type = COHORT_ITEM_NONE};

	check_item(l, 2, none);
	CHECK_EQ(cohort_list_tally(l, &none), 3);
	cohort_list_close(l);
}

TEST(list, refuses_what_does_not_fit_and_keeps_what_was_there)
{
	struct cohort_list_item first[] = {INT(1), TEXT("0123456789abcdef0")};
	struct cohort_list *l = make("local:", 2, 8, first);
	struct cohort_list_item item = TEXT("nine byte");
	char buffer[32];

	CHECK_EQ(cohort_list_set(l, 0, &item), COHORT_ETOOBIG);
	check_item(l, 0, first[0]);
	CHECK_EQ(cohort_list_set(l, 1, &item), 0); /* its room is larger: 17 at first */
	CHECK_EQ(cohort_list_get(l, 1, &item, buffer, 8), COHORT_ETOOBIG);
	CHECK_EQ(item.size, 9);
	CHECK_EQ(cohort_list_get(l, 1, &item, NULL, 0), COHORT_ETOOBIG);
	CHECK_EQ(cohort_list_get(l, 2, &item, buffer, 32), COHORT_EARGUMENT);
	CHECK_EQ(cohort_list_set(l, SIZE_MAX, &item), COHORT_EARGUMENT);
	item = (struct cohort_list_item){.type = (enum cohort_item_type)6};
	CHECK_EQ(cohort_list_set(l, 0, &item), COHORT_EARGUMENT);
	item = (struct cohort_list_item){.type = COHORT_ITEM_BYTES, .size = 3};
	CHECK_EQ(cohort_list_set(l, 0, &item), COHORT_EARGUMENT);
	item = (struct cohort_list_item){.type = COHORT_ITEM_BOOL, .number = 2};
	CHECK_EQ(cohort_list_set(l, 0, &item), COHORT_EARGUMENT);
	CHECK_EQ(cohort_list_set(l, 0, NULL), COHORT_EARGUMENT);
	cohort_list_close(l);
}

TEST(list, finds_and_counts_what_is_equal)
{
	struct cohort_list_item init[] = {INT(7), TEXT("x"), INT(7), BYTES("x"), INT(1),
	    {.type = COHORT_ITEM_BOOL, .number = 1}, {.type = COHORT_ITEM_DOUBLE, .real = NAN}};
	struct cohort_list *l = make("local:", 7, 0, init);
	struct cohort_list_item bad = {.type = (enum cohort_item_type)99};

	CHECK_EQ(cohort_list_index(l, &init[0], 0), 0);
	CHECK_EQ(cohort_list_index(l, &init[0], 1), 2);
	CHECK_EQ(cohort_list_index(l, &init[0], 3), -ENOENT);
	CHECK_EQ(cohort_list_index(l, &init[0], 100), -ENOENT);
	CHECK_EQ(cohort_list_index(l, &init[3], 0), 3);       /* bytes are no text */
	CHECK_EQ(cohort_list_index(l, &init[5], 0), 5);       /* true is no 1 */
	CHECK_EQ(cohort_list_index(l, &init[6], 0), -ENOENT); /* and no number is equal to this */
	CHECK_EQ(cohort_list_index(l, &bad, 0), COHORT_EARGUMENT);
	CHECK_EQ(cohort_list_tally(l, &init[2]), 2);
	CHECK_EQ(cohort_list_tally(l, &init[1]), 1);
	cohort_list_close(l);
}

TEST(list, refuses_options_that_cannot_be)
{
	struct cohort_list_item bad = {.type = COHORT_ITEM_TEXT, .size = 5};
	struct cohort_list_options o = {.count = ((size_t)1 << 24) + 1};
	struct cohort_error err = {.code = 0};
	struct cohort_list *l = NULL;

	CHECK_EQ(cohort_list_open(&l, "local:", &o, &err), COHORT_EARGUMENT);
	CHECK_HAS(err.text, "2^24");
	o = (struct cohort_list_options){.count = 1, .room = ((size_t)1 << 30) + 1};
	CHECK_EQ(cohort_list_open(&l, "local:", &o, NULL), COHORT_EARGUMENT);
	o = (struct cohort_list_options){.count = 1, .init = &bad};
	CHECK_EQ(cohort_list_open(&l, "local:", &o, &err), COHORT_EARGUMENT);
	CHECK_HAS(err.text, "item 0");
	o = (struct cohort_list_options){.count = (size_t)1 << 24, .room = (size_t)1 << 30};
	CHECK_EQ(cohort_list_open(&l, "local:", &o, NULL), COHORT_EARGUMENT);
	CHECK(l == NULL);
}

static void add_one(void *arg)
{
	struct cohort_list_options o = {.open = COHORT_OPEN_ATTACH};
	struct cohort_list_item item = INT(99), text = TEXT("from the child");
	struct cohort_list *l = NULL;

	REQUIRE_EQ(cohort_list_open(&l, arg, &o, NULL), 0);
	CHECK_EQ(cohort_list_count(l), 3);
	CHECK_EQ(cohort_list_set(l, 0, &item), 0);
	CHECK_EQ(cohort_list_set(l, 2, &text), 0);
	cohort_list_close(l);
}

TEST(list, is_the_same_for_who_attaches)
{
	struct cohort_list *l = make("local:list", 3, 20, NULL), *other = NULL;
	struct cohort_list_options o = {.count = 4};

	CHECK_EQ(sync_join(sync_fork(add_one, (void *)(uintptr_t) "local:list")), 0);
	check_item(l, 0, (struct cohort_list_item)INT(99));
	check_item(l, 2, (struct cohort_list_item)TEXT("from the child"));
	CHECK_EQ(cohort_list_open(&other, "local:list", &o, NULL), COHORT_EARGUMENT);
	o = (struct cohort_list_options){.room = 21};
	CHECK_EQ(cohort_list_open(&other, "local:list", &o, NULL), COHORT_EARGUMENT);
	cohort_list_close(l);
}

/* Any byte behind the lock may be anything: calls say so, or give something, and touch nothing else. */
TEST(list, that_was_damaged_never_crashes)
{
	char buffer[100];

	for (int round = 0; round < 300; round++) {
		struct cohort_list *l = make("local:", 8, 16, NULL);
		unsigned char *p = coh_data_at((struct coh_data *)l, COH_DATA_BEGIN);
		struct cohort_list_item item = TEXT("text"), got;

		for (size_t i = 0; i < 8; i++)
			CHECK_EQ(cohort_list_set(l, i, &item), 0);
		for (int i = 0; i < 20; i++)
			p[test_random_below(8 * 72)] = (unsigned char)test_random();
		for (size_t i = 0; i < 8; i++) {
			int rc = cohort_list_get(l, i, &got, buffer, sizeof buffer);

			CHECK(rc == 0 || rc == COHORT_ETOOBIG || rc == COHORT_ESEGMENT);
			rc = cohort_list_set(l, i, &item);
			CHECK(rc == 0 || rc == COHORT_ETOOBIG || rc == COHORT_ESEGMENT);
		}
		(void)cohort_list_index(l, &item, 0);
		cohort_list_close(l);
	}
}
