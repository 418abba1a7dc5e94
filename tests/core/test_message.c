/* test_message.c - what message.h promises, and what it says to wrong uses. */
#include "core/messages.h"
#include "wire/codec.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one value of each kind --- */

#define THERE_AND_BACK(type, format, ...)                                                   \
	do {                                                                                \
		const type sent[] = {__VA_ARGS__};                                          \
		there_and_back(format, sent, sizeof *sent, sizeof sent / sizeof *sent);     \
	} while (0)

static void there_and_back(const char *format, const void *values, size_t size, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *value = (const char *)values + i * size;
		struct cohort_message *m = message_of(format), *got;
		char out[8];

		REQUIRE_EQ(cohort_message_pack(m, 0, value), 0);
		got = received(m);
		memset(out, 0x55, sizeof out);
		CHECK_EQ(cohort_message_unpack(got, 0, out), 1);
		CHECK_MEM(out, value, size);
		for (size_t behind = size; behind < sizeof out; behind++)
			CHECK_EQ(out[behind], 0x55);
		cohort_message_free(m);
		cohort_message_free(got);
	}
}

TEST(message, numbers_come_back_at_their_extremes)
{
	THERE_AND_BACK(int8_t, "c", INT8_MIN, -1, 0, 1, INT8_MAX);
	THERE_AND_BACK(int16_t, "j", INT16_MIN, -1, 0, 1, INT16_MAX);
	THERE_AND_BACK(uint16_t, "v", 0, 1, UINT16_MAX);
	THERE_AND_BACK(int32_t, "i", INT32_MIN, -1, 0, 1, INT32_MAX);
	THERE_AND_BACK(uint32_t, "u", 0, 1, UINT32_MAX);
	THERE_AND_BACK(int64_t, "I", INT64_MIN, -1, 0, 1, INT64_MAX);
	THERE_AND_BACK(uint64_t, "U", 0, 1, UINT64_MAX);
	THERE_AND_BACK(double, "f", -DBL_MAX, -0.0, 0.0, DBL_MIN, DBL_TRUE_MIN, DBL_MAX,
	    (double)INFINITY, -(double)INFINITY, (double)NAN);
}

TEST(message, strings_come_back_null_empty_and_long)
{
	static char long_one[100001];
	const char *sent[] = {NULL, "", "a", "\xc3\xa4\x01\xff", long_one};

	memset(long_one, 'x', sizeof long_one - 1);
	for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
		struct cohort_message *m = message_of("ss"), *got;
		const char *a = "unset", *b = "unset";

		REQUIRE_EQ(cohort_message_pack(m, 0, &sent[i], &sent[1]), 0);
		got = received(m);
		CHECK_EQ(cohort_message_unpack(got, 0, &a, &b), 1);
		if (sent[i] == NULL)
			CHECK(a == NULL);
		else
			CHECK_STR(a, sent[i]);
		CHECK_STR(b, "");
		cohort_message_free(m);
		cohort_message_free(got);
	}
}

TEST(message, bytes_come_back_with_their_nuls)
{
	struct cohort_message *m = message_of("BB"), *got;
	struct cohort_bytes some = {"\0a\0\xff", 4}, none = {NULL, 0}, a = none, b = some;

	REQUIRE_EQ(cohort_message_pack(m, 0, &some, &none), 0);
	got = received(m);
	CHECK_EQ(cohort_message_unpack(got, 0, &a, &b), 1);
	CHECK_EQ(a.size, 4);
	CHECK_MEM(a.data, "\0a\0\xff", 4);
	CHECK_EQ(b.size, 0);
	CHECK(b.data == NULL);
	cohort_message_free(m);
	cohort_message_free(got);
}

/* --- arrays --- */

TEST(message, rows_come_out_in_the_order_they_went_in)
{
	struct cohort_message *m = message_of("A(sUB)"), *got;
	struct cohort_bytes bytes;
	const char *word;
	uint64_t count;
	char text[32];

	for (count = 0; count < 1000; count++) {
		word = count % 7 == 0 ? NULL : text;
		snprintf(text, sizeof text, "w%d", (int)count);
		bytes = (struct cohort_bytes){text, (size_t)count % 3};
		REQUIRE_EQ(cohort_message_pack(m, 1, &word, &count, &bytes), 0);
	}
	got = received(m);
	for (uint64_t i = 0; i < 1000; i++) {
		REQUIRE_EQ(cohort_message_unpack(got, 1, &word, &count, &bytes), 1);
		snprintf(text, sizeof text, "w%d", (int)i);
		CHECK_EQ(count, i);
		CHECK(i % 7 == 0 ? word == NULL : strcmp(word, text) == 0);
		CHECK_EQ(bytes.size, i % 3);
		CHECK(bytes.size == 0 || memcmp(bytes.data, text, bytes.size) == 0);
	}
	CHECK_EQ(cohort_message_unpack(got, 1, &word, &count, &bytes), 0);
	CHECK_EQ(cohort_message_unpack(got, 1, &word, &count, &bytes), 0);
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message, no_row_at_all_is_an_empty_array)
{
	struct cohort_message *m = message_of("A(s)A(iA(c))"), *got = received(m);
	const char *s;
	int32_t i;

	CHECK_EQ(cohort_message_unpack(got, 0), 1);
	CHECK_EQ(cohort_message_unpack(got, 1, &s), 0);
	CHECK_EQ(cohort_message_unpack(got, 2, &i), 0);
	CHECK_EQ(cohort_message_unpack(got, 3, &i), 0);
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message, inner_arrays_belong_to_their_element)
{
	struct cohort_message *m = message_of("sA(iA(s))"), *got;
	const char *name, *leaf;
	int32_t outer;
	char all[64] = "";

	pack_nested(m);
	got = received(m);
	REQUIRE_EQ(cohort_message_unpack(got, 0, &name), 1);
	CHECK_STR(name, "root");
	while (cohort_message_unpack(got, 1, &outer) > 0) {
		snprintf(all + strlen(all), sizeof all - strlen(all), "[%d", outer);
		while (cohort_message_unpack(got, 2, &leaf) > 0)
			snprintf(all + strlen(all), sizeof all - strlen(all), " %s", leaf);
		strcat(all, "]");
	}
	CHECK_STR(all, "[0][1 1.0][2 2.0 2.1]");
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message, arrays_may_be_nested_eight_deep)
{
	struct cohort_message *m = message_of("A(A(A(A(A(A(A(A(c))))))))"), *got;
	char c = 'x';

	for (int index = 8; index > 0; index--)
		REQUIRE_EQ(index == 8 ? cohort_message_pack(m, 8, &c) : cohort_message_pack(m, index), 0);
	got = received(m);
	for (int index = 1; index < 8; index++)
		CHECK_EQ(cohort_message_unpack(got, index), 1);
	c = 0;
	CHECK_EQ(cohort_message_unpack(got, 8, &c), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(cohort_message_unpack(got, 8, &c), 0);
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message, index_0_can_be_taken_again_without_rewinding_the_arrays)
{
	struct cohort_message *m = message_of("sA(i)"), *got;
	const char *a = "outside", *b;
	int32_t i;

	for (i = 0; i < 3; i++)
		REQUIRE_EQ(cohort_message_pack(m, 1, &i), 0);
	REQUIRE_EQ(cohort_message_pack(m, 0, &a), 0);
	got = received(m);
	CHECK_EQ(cohort_message_unpack(got, 1, &i), 1);
	CHECK_EQ(cohort_message_unpack(got, 0, &a), 1);
	CHECK_EQ(cohort_message_unpack(got, 1, &i), 1);
	CHECK_EQ(i, 1);
	CHECK_EQ(cohort_message_unpack(got, 0, &b), 1);
	CHECK(a == b);
	CHECK_STR(b, "outside");
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message, index_0_packed_again_replaces_its_values)
{
	static const char *const formats[] = {"sB", "sBA(i)"};

	for (int n = 0; n < 2; n++) {
		struct cohort_message *m = message_of(formats[n]), *got;
		const char *s = "first, and longer";
		struct cohort_bytes b = {"123456", 6};

		REQUIRE_EQ(cohort_message_pack(m, 0, &s, &b), 0);
		s = "second";
		b.size = 1;
		REQUIRE_EQ(cohort_message_pack(m, 0, &s, &b), 0);
		got = received(m);
		CHECK_EQ(cohort_message_unpack(got, 0, &s, &b), 1);
		CHECK_STR(s, "second");
		CHECK_EQ(b.size, 1);
		cohort_message_free(m);
		cohort_message_free(got);
	}
}

/* Linear, or this would take minutes. */
TEST(message, a_hundred_thousand_rows_are_quick)
{
	struct cohort_message *m = message_of("A(sU)"), *got;
	cohort_time start = cohort_now();
	const char *word = "a word of some length";
	uint64_t n, sum = 0;

	for (n = 0; n < 100000; n++)
		REQUIRE_EQ(cohort_message_pack(m, 1, &word, &n), 0);
	got = received(m);
	while (cohort_message_unpack(got, 1, &word, &n) > 0)
		sum += n;
	CHECK_EQ(sum, 4999950000);
	CHECK_STR(word, "a word of some length");
	CHECK(cohort_now() - start < test_span(2 * COHORT_SECOND));
	cohort_message_free(m);
	cohort_message_free(got);
}

/* --- image and load --- */

TEST(message, the_empty_format_is_a_message_too)
{
	struct cohort_message *m = message_of(""), *got = received(m);

	CHECK_EQ(cohort_message_unpack(got, 0), 1);
	CHECK_EQ(cohort_message_pack(m, 0), 0);
	CHECK_EQ(cohort_message_pack(m, 1), COHORT_EARGUMENT);
	cohort_message_free(got);
	got = received(m);
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message, the_image_can_be_had_again_and_grows_with_rows)
{
	struct cohort_message *m = message_of("A(i)");
	const void *a, *b;
	size_t first, second;
	int32_t i = 5;

	REQUIRE_EQ(cohort_message_pack(m, 1, &i), 0);
	REQUIRE_EQ(cohort_message_image(m, &a, &first), 0);
	REQUIRE_EQ(cohort_message_image(m, &b, &second), 0);
	CHECK(a == b && first == second);
	REQUIRE_EQ(cohort_message_pack(m, 1, &i), 0);
	REQUIRE_EQ(cohort_message_image(m, &b, &second), 0);
	CHECK_EQ(second, first + 4);
	cohort_message_free(m);
}

TEST(message, a_loaded_message_has_the_image_it_was_given)
{
	struct cohort_message *m = message_of("sA(iA(s))"), *got;
	const void *a, *b;
	size_t first, second;
	const char *name;

	pack_nested(m);
	got = received(m);
	CHECK_EQ(cohort_message_unpack(got, 0, &name), 1);
	REQUIRE_EQ(cohort_message_image(m, &a, &first), 0);
	REQUIRE_EQ(cohort_message_image(got, &b, &second), 0);
	CHECK_EQ(first, second);
	CHECK_MEM(b, a, first);
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message, bad_images_leave_it_empty_and_usable)
{
	struct cohort_message *m = message_of("i"), *got = message_of("i");
	struct cohort_error err;
	const void *image;
	size_t size;
	int32_t i = 3;

	REQUIRE_EQ(cohort_message_pack(m, 0, &i), 0);
	REQUIRE_EQ(cohort_message_image(m, &image, &size), 0);
	REQUIRE_EQ(cohort_message_load(got, image, size, NULL), 0);
	CHECK_EQ(cohort_message_load(got, "nonsense!", 9, &err), COHORT_ECODEC);
	CHECK_HAS(err.text, "byte 0");
	CHECK_EQ(cohort_message_unpack(got, 0, &i), COHORT_ESTATE);
	CHECK_EQ(cohort_message_image(got, &image, &size), COHORT_ESTATE);
	CHECK_EQ(cohort_message_load(got, "tpl\0\x0d\0\0\0A(s)", 13, &err), COHORT_EFORMAT);
	CHECK_EQ(cohort_message_pack(got, 0, &i), 0);
	cohort_message_free(m);
	cohort_message_free(got);
}

/* A message inside a message, unpacked into the very message it came in. */
TEST(message, what_is_loaded_may_be_its_own_bytes)
{
	static const char *const formats[] = {"B", "BA(i)"};

	for (int n = 0; n < 2; n++) {
		struct cohort_message *inner = message_of(formats[n]), *outer = message_of(formats[n]), *got;
		struct cohort_bytes b = {"core", 4};

		REQUIRE_EQ(cohort_message_pack(inner, 0, &b), 0);
		REQUIRE_EQ(cohort_message_image(inner, &b.data, &b.size), 0);
		REQUIRE_EQ(cohort_message_pack(outer, 0, &b), 0);
		got = received(outer);
		REQUIRE_EQ(cohort_message_unpack(got, 0, &b), 1);
		REQUIRE_EQ(cohort_message_load(got, b.data, b.size, NULL), 0);
		REQUIRE_EQ(cohort_message_unpack(got, 0, &b), 1);
		CHECK_EQ(b.size, 4);
		CHECK_MEM(b.data, "core", 4);
		cohort_message_free(inner);
		cohort_message_free(outer);
		cohort_message_free(got);
	}
}

TEST(message, a_borrowed_image_is_read_where_it_lies)
{
	struct cohort_message *m = message_of("B"), *got = message_of("B");
	struct cohort_bytes b = {"lent", 4};
	const void *image;
	size_t size;

	REQUIRE_EQ(cohort_message_pack(m, 0, &b), 0);
	REQUIRE_EQ(cohort_message_image(m, &image, &size), 0);
	REQUIRE_EQ(coh_message_borrow(got, image, size, NULL), 0);
	REQUIRE_EQ(cohort_message_unpack(got, 0, &b), 1);
	CHECK((const char *)b.data == (const char *)image + size - 4);
	CHECK_EQ(coh_message_borrow(got, image, size - 1, NULL), COHORT_ECODEC);
	CHECK_EQ(cohort_message_unpack(got, 0, &b), COHORT_ESTATE);
	cohort_message_free(m);
	cohort_message_free(got);
}

/* --- wrong uses --- */

TEST(message, a_wrong_format_is_refused_where_it_is_wrong)
{
	struct cohort_message *m = (struct cohort_message *)&m;
	struct cohort_error err;

	CHECK_EQ(cohort_message_new(&m, "iQ", &err), COHORT_EFORMAT);
	CHECK(m == NULL);
	CHECK_HAS(err.text, "character 2");
	CHECK_EQ(cohort_message_new(&m, "A(", NULL), COHORT_EFORMAT);
	cohort_message_free(NULL);
}

TEST(message, an_index_that_is_not_there_is_refused)
{
	struct cohort_message *m = message_of("A(i)"), *got = received(m);
	int32_t i = 0;

	for (int index = -1; index < 4; index += 3) {
		CHECK_EQ(cohort_message_pack(m, index, &i), COHORT_EARGUMENT);
		CHECK_EQ(cohort_message_unpack(got, index, &i), COHORT_EARGUMENT);
	}
	cohort_message_free(m);
	cohort_message_free(got);
}

TEST(message, without_index_0_there_is_no_image)
{
	struct cohort_message *flat = message_of("i"), *rows = message_of("iA(i)");
	const void *image;
	size_t size;
	int32_t i = 1;

	CHECK_EQ(cohort_message_image(flat, &image, &size), COHORT_ESTATE);
	REQUIRE_EQ(cohort_message_pack(rows, 1, &i), 0);
	CHECK_EQ(cohort_message_image(rows, &image, &size), COHORT_ESTATE);
	REQUIRE_EQ(cohort_message_pack(rows, 0, &i), 0);
	CHECK_EQ(cohort_message_image(rows, &image, &size), 0);
	cohort_message_free(flat);
	cohort_message_free(rows);
}

TEST(message, one_direction_at_a_time)
{
	static const char *const formats[] = {"i", "iA(i)"};

	for (int n = 0; n < 2; n++) {
		struct cohort_message *m = message_of(formats[n]), *got;
		int32_t i = 1;

		CHECK_EQ(cohort_message_unpack(m, 0, &i), COHORT_ESTATE);
		REQUIRE_EQ(cohort_message_pack(m, 0, &i), 0);
		CHECK_EQ(cohort_message_unpack(m, 0, &i), COHORT_ESTATE);
		got = received(m);
		CHECK_EQ(cohort_message_pack(got, 0, &i), COHORT_ESTATE);
		CHECK_EQ(cohort_message_unpack(got, 0, &i), 1);
		cohort_message_reset(got);
		CHECK_EQ(cohort_message_pack(got, 0, &i), 0);
		cohort_message_free(m);
		cohort_message_free(got);
	}
}
