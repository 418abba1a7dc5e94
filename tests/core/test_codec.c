/*
 * test_codec.c - formats, the check of images, flat packing.
 *
 * The images here are written byte by byte; interop_tpl.c shows that tpl's are the same.
 */
#include "base/mem.h"
#include "support/test.h"
#include "wire/codec.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An image of FORMAT with the literal BODY; flags as they should be. */
#define IMAGE(format, body) image_make(format, body, sizeof(body) - 1)

struct image {
	unsigned char data[256];
	size_t size;
};

static struct image image_make(const char *format, const char *body, size_t size)
{
	struct image m = {.data = "tpl", .size = 8 + strlen(format) + 1 + size};
	uint32_t n = (uint32_t)m.size;

	m.data[3] = strchr(format, 's') != NULL ? 2 : 0;
	memcpy(m.data + 4, &n, sizeof n);
	memcpy(m.data + 8, format, strlen(format) + 1);
	memcpy(m.data + 8 + strlen(format) + 1, body, size);
	return m;
}

static const struct coh_format *format_of(const char *text)
{
	struct cohort_error err;
	const struct coh_format *f = coh_format_get(text, &err);

	if (f == NULL)
		FAIL("%s", err.text);
	REQUIRE(f != NULL);
	return f;
}

/* The check of the SIZE bytes at DATA in memory of exactly that size, for the sanitizer. */
static int check(const char *format, const void *data, size_t size, struct cohort_error *err)
{
	void *exact = coh_memdup(data, size);
	int rc;

	REQUIRE(exact != NULL);
	rc = coh_codec_check(format_of(format), exact, size, err);
	coh_free(exact);
	return rc;
}

static void refuse(const char *format, struct image m, const char *why)
{
	struct cohort_error err = {0};

	CHECK_EQ(check(format, m.data, m.size, &err), COHORT_ECODEC);
	CHECK_EQ(err.code, COHORT_ECODEC);
	CHECK_HAS(err.text, why);
}

/* --- formats --- */

TEST(format, every_part_is_taken)
{
	static const char *const taken[] = {"", "i", "cjviuIUfsB", "A(i)", "sA(iA(s))", "A(A(s)A(B))i",
	    "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii", "A(A(A(A(A(A(A(A(c))))))))"};

	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		CHECK_STR(coh_format_text(format_of(taken[i])), taken[i]);
}

TEST(format, others_are_refused_at_the_character)
{
	static const struct {
		const char *text, *why;
	} refused[] = {
	    {"x", "character 1: not one of"},
	    {"iQ", "character 2: not one of"},
	    {"i i", "character 2"},
	    {"A", "character 1: 'A' without '('"},
	    {"Ai", "character 1: 'A' without '('"},
	    {"AA(i)", "character 1: 'A' without '('"},
	    {"A()", "character 3: an array of nothing"},
	    {"A(i", "not closed"},
	    {"A(i))", "character 5: ')' closes nothing"},
	    {"(i)", "character 1"},
	    {"S(is)", "'S', '$' and '#'"},
	    {"A(S($(i)))", "'S', '$' and '#'"},
	    {"i#", "character 2: 'S', '$' and '#'"},
	    {"iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii", "more than 32"},
	    {"A(iiiiiiiiiiiiiiii)iiiiiiiiiiiiiiiii", "more than 32"},
	    {"A(A(A(A(A(A(A(A(A(c)))))))))", "8 deep"},
	    {"i\n\x1b[31m", "character 2: not one of"},
	};
	struct cohort_error err;

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		CHECK(coh_format_get(refused[i].text, &err) == NULL);
		CHECK_EQ(err.code, COHORT_EFORMAT);
		CHECK_HAS(err.text, refused[i].why);
		CHECK(coh_format_get(refused[i].text, NULL) == NULL);
	}
	CHECK_HAS(err.text, "i\\x0a\\x1b[31m");
}

TEST(format, one_of_129_characters_is_refused)
{
	char text[130] = "";
	struct cohort_error err;

	for (int i = 0; i < 32; i++)
		strcat(text, "A(i)");
	CHECK_EQ(strlen(text), 128);
	CHECK(coh_format_get(text, &err) != NULL);
	CHECK_EQ(coh_format_parts(format_of(text), 32), 1);
	CHECK_EQ(coh_format_parts(format_of(text), 33), -1);
	strcat(text, "i");
	CHECK(coh_format_get(text, &err) == NULL);
	CHECK_HAS(err.text, "128");
}

TEST(format, most_arrays_that_fit_are_parsed)
{
	/* Eight deep, closing and opening at the bottom: the most 'A' in the fewest characters. */
	char text[130] = "A(A(A(A(A(A(A(";

	while (strlen(text) + 4 + 7 <= 128)
		strcat(text, "A(i)");
	strcat(text, ")))))))");
	CHECK_EQ(coh_format_parts(format_of(text), 8), 1);
	CHECK(!coh_format_flat(format_of(text)));
}

TEST(format, values_are_counted_by_index)
{
	const struct coh_format *f = format_of("sA(iA(sB)u)fA(cj)");

	CHECK_EQ(coh_format_parts(f, 0), 2);
	CHECK_EQ(coh_format_parts(f, 1), 2);
	CHECK_EQ(coh_format_parts(f, 2), 2);
	CHECK_EQ(coh_format_parts(f, 3), 2);
	CHECK_EQ(coh_format_parts(f, 4), -1);
	CHECK_EQ(coh_format_parts(f, -1), -1);
	CHECK(!coh_format_flat(f));
	CHECK(coh_format_flat(format_of("sfB")));
}

static void *get_many(void *arg)
{
	const struct coh_format **out = arg;
	char text[8];

	for (int i = 0; i < 32; i++) {
		snprintf(text, sizeof text, "%.*s", i % 8, "iiuujjj");
		out[i] = coh_format_get(text, NULL);
	}
	return NULL;
}

TEST(format, threads_get_the_same_table)
{
	const struct coh_format *got[4][32];
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, get_many, got[i]) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 1; i < 4; i++)
		CHECK_MEM(got[i], got[0], sizeof got[0]);
	CHECK(got[0][0] != NULL && got[0][0] == got[0][8]);
}

/* The I-th of many different formats. */
static const char *made_up(char text[32], int i)
{
	for (int bit = 0; bit < 16; bit++)
		text[bit] = (i >> bit & 1) != 0 ? 'i' : 'u';
	text[16] = '\0';
	return text;
}

TEST(format, a_program_that_makes_them_up_meets_a_bound)
{
	struct cohort_error err;
	char text[32];
	int i;

	for (i = 0; i < 10000 && coh_format_get(made_up(text, i), &err) != NULL; i++)
		;
	CHECK(i > 4000 && i <= 4096);
	CHECK_EQ(err.code, COHORT_EFORMAT);
	CHECK_HAS(err.text, "4096");
	CHECK(coh_format_get(made_up(text, 0), &err) != NULL);
}

static int get_new(void *arg)
{
	int *i = arg;
	struct cohort_error err = {0};
	char text[32];

	return coh_format_get(made_up(text, (*i)++), &err) != NULL ? 0 : err.code;
}

TEST(format, out_of_memory_is_said)
{
	int i = 0;

	test_every_allocation(get_new, &i);
	CHECK(i >= 4);
}

/* --- the check --- */

TEST(check, right_images_pass)
{
	static const struct {
		const char *format, *body;
		size_t size;
	} right[] = {
#define RIGHT(format, body) {format, body, sizeof(body) - 1}
	    RIGHT("", ""),
	    RIGHT("i", "\1\2\3\4"),
	    RIGHT("s", "\0\0\0\0"),
	    RIGHT("s", "\1\0\0\0"),
	    RIGHT("s", "\3\0\0\0ab"),
	    RIGHT("B", "\2\0\0\0\0\0"),
	    RIGHT("A(I)", "\0\0\0\0"),
	    RIGHT("A(c)", "\2\0\0\0ab"),
	    RIGHT("A(s)", "\3\0\0\0\0\0\0\0\2\0\0\0x\1\0\0\0"),
	    RIGHT("sA(i)", "\2\0\0\0x\1\0\0\0abcd"),
	    RIGHT("A(iA(s))", "\2\0\0\0abcd\1\0\0\0\2\0\0\0xefgh\0\0\0\0"),
	    RIGHT("A(A(c))c", "\3\0\0\0\0\0\0\0\1\0\0\0x\0\0\0\0y"),
#undef RIGHT
	};
	struct cohort_error err;

	for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
		struct image m = image_make(right[i].format, right[i].body, right[i].size);

		if (!CHECK_EQ(check(right[i].format, m.data, m.size, &err), 0))
			FAIL("%s", err.text);
		m.data[m.size] = 0;
		CHECK_EQ(check(right[i].format, m.data, m.size + 1, NULL), COHORT_ECODEC);
	}
}

/* Each byte that is missing is missed, whatever length the image states. */
TEST(check, an_image_cut_anywhere_is_refused)
{
	struct image whole = IMAGE("sA(iA(s))B", "\2\0\0\0x\2\0\0\0abcd\1\0\0\0\2\0\0\0xefgh\0\0\0\0\3\0\0\0xyz");

	CHECK_EQ(check("sA(iA(s))B", whole.data, whole.size, NULL), 0);
	for (size_t n = 0; n < whole.size; n++) {
		struct image cut = whole;
		uint32_t stated = (uint32_t)n;

		CHECK_EQ(check("sA(iA(s))B", cut.data, n, NULL), COHORT_ECODEC);
		if (n >= 8)
			memcpy(cut.data + 4, &stated, sizeof stated);
		CHECK_EQ(check("sA(iA(s))B", cut.data, n, NULL), COHORT_ECODEC);
	}
}

/* trust: the five known defects of tpl, as images. */
TEST(check, x1_and_x2_a_stated_length_of_zero)
{
	struct image m = {.data = "tpl\0\0\0\0\0AAAA", .size = 12};

	refuse("i", m, "byte 4: it states 0 bytes, 12 came");
	m.size = 9;
	refuse("", m, "byte 4");
	m.size = 8;
	refuse("", m, "8 bytes, the shortest has 9");
}

TEST(check, x3_strings_in_the_old_layout)
{
	struct image m = {.data = "tpl\0\x1c\0\0\0ss\0\5\0\0\0hell\x7f\4\0\0\0abcd", .size = 0x1c};

	refuse("ss", m, "byte 3: flags 0, only 2");
}

TEST(check, x4_a_count_that_is_negative_to_tpl)
{
	struct image m = {.data = "tpl\0\x11\0\0\0A(I)\0\0\0\0\x80", .size = 0x11};

	refuse("A(I)", m, "byte 13: 2147483648 elements of at least 8 bytes, 0 bytes are left");
}

TEST(check, x5_the_image_that_ends_a_process)
{
	struct image m = {.data = "tpl\0\x1a\0\0\0sA(i)\0\4\0\0\0abcd\0\0\0\0", .size = 0x1a};

	refuse("sA(i)", m, "byte 3");
	m.data[3] = 2; /* as a string of three, 'd' and three NULs count the elements */
	refuse("sA(i)", m, "byte 21: 100 elements");
}

TEST(check, flags_are_exactly_those_of_the_format)
{
	for (unsigned flags = 0; flags < 256; flags++) {
		struct image with = IMAGE("s", "\0\0\0\0"), without = IMAGE("i", "\0\0\0\0");

		with.data[3] = without.data[3] = (unsigned char)flags;
		CHECK_EQ(check("s", with.data, with.size, NULL), flags == 2 ? 0 : COHORT_ECODEC);
		CHECK_EQ(check("i", without.data, without.size, NULL), flags == 0 ? 0 : COHORT_ECODEC);
	}
}

TEST(check, big_endian_is_said_to_be_so)
{
	struct image m = {.data = "tpl\1\0\0\0\x0ei\0\0\0\0\1", .size = 14};

	refuse("i", m, "big-endian");
}

TEST(check, another_format_is_named_with_ours)
{
	struct image m = IMAGE("A(sU)#", "");
	struct cohort_error err;

	CHECK_EQ(check("is", m.data, m.size, &err), COHORT_EFORMAT);
	CHECK_HAS(err.text, "\"A(sU)#\"");
	CHECK_HAS(err.text, "\"is\"");
	CHECK_EQ(check("", m.data, m.size, &err), COHORT_EFORMAT);
}

TEST(check, a_format_that_tpl_cannot_have_written_is_no_image)
{
	struct image m = IMAGE("i\n%s\x1b", "");

	refuse("is", m, "\"i\\x0a%s\\x1b\" is no format");
	m = IMAGE("is", "");
	m.size--;
	m.data[4]--;
	refuse("is", m, "byte 8: a format without end");
	m.data[2] = 'x';
	refuse("is", m, "byte 0: got 74 70 78");
}

TEST(check, lengths_are_compared_before_they_are_believed)
{
	refuse("s", IMAGE("s", "\5\0\0\0abc"), "byte 14: a string of 4 bytes, 3 are left");
	refuse("s", IMAGE("s", "\xff\xff\xff\xff"), "a string of 4294967294 bytes, 0 are left");
	refuse("s", IMAGE("s", "\1\0"), "byte 10: a length of 4 bytes, 2 are left");
	refuse("B", IMAGE("B", "\4\0\0\0abc"), "byte 14: bytes of 4 bytes, 3 are left");
	refuse("B", IMAGE("B", "\xff\xff\xff\x7f"), "2147483647");
	refuse("I", IMAGE("I", "1234567"), "byte 10: a number of 8 bytes, 7 are left");
	refuse("A(c)", IMAGE("A(c)", "\4\0\0\0abc"), "4 elements of at least 1 bytes, 3 bytes are left");
	refuse("A(s)", IMAGE("A(s)", "\2\0\0\0\0\0\0\0\1\0\0"), "2 elements of at least 4 bytes");
	refuse("A(i)", IMAGE("A(i)", "\1\0"), "a length of 4 bytes, 2 are left");
	refuse("A(iA(s))", IMAGE("A(iA(s))", "\1\0\0\0abcd\xff\xff\xff\x7f"), "byte 25: 2147483647 elements");
	refuse("i", IMAGE("i", "12345"), "byte 14: 1 bytes behind the last value");
}

TEST(check, a_string_has_no_nul_inside)
{
	refuse("s", IMAGE("s", "\4\0\0\0a\0b"), "byte 15: a NUL inside a string");
	refuse("A(s)", IMAGE("A(s)", "\1\0\0\0\2\0\0\0\0"), "byte 21: a NUL");
}

TEST(check, more_than_a_message_may_have_is_too_big)
{
	struct image m = IMAGE("i", "\0\0\0\0");
	struct cohort_error err;

	CHECK_EQ(coh_codec_check(format_of("i"), m.data, COHORT_MESSAGE_MAX + 1, &err), COHORT_ETOOBIG);
	CHECK_HAS(err.text, "67108865");
}

/* Each step uses up a byte, so the walk over the worst image we can think of is short. */
TEST(check, sixteen_million_empty_arrays_are_walked_in_time)
{
	size_t size = COHORT_MESSAGE_MAX, head = 8 + sizeof "A(A(c))";
	uint32_t stated = (uint32_t)size, count = (uint32_t)((size - head - 4) / 4);
	unsigned char *p = calloc(1, size);
	cohort_time start = cohort_now();

	REQUIRE(p != NULL);
	size = head + 4 + 4 * (size_t)count;
	stated = (uint32_t)size;
	memcpy(p, "tpl", 3);
	memcpy(p + 4, &stated, sizeof stated);
	memcpy(p + 8, "A(A(c))", sizeof "A(A(c))");
	memcpy(p + head, &count, sizeof count);
	CHECK_EQ(coh_codec_check(format_of("A(A(c))"), p, size, NULL), 0);
	CHECK(cohort_now() - start < test_span(2 * COHORT_SECOND));
	free(p);
}

/* --- flat packing --- */

static int pack_into(struct coh_buf *out, const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = coh_codec_pack(format_of(format), out, ap);
	va_end(ap);
	return rc;
}

static int unpack_from(const void *image, struct coh_buf *strings, const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = coh_codec_unpack(format_of(format), image, strings, ap);
	va_end(ap);
	return rc;
}

TEST(flat, the_image_is_appended)
{
	struct image want = IMAGE("is", "\7\0\0\0\3\0\0\0ab");
	const char *s = "ab";
	struct coh_buf out;
	int32_t i = 7;

	coh_buf_init(&out, 1024);
	REQUIRE(coh_buf_put(&out, "front", 5) == 0);
	CHECK_EQ(pack_into(&out, "is", &i, &s), 0);
	CHECK_EQ(coh_buf_len(&out), 5 + want.size);
	CHECK_MEM(coh_buf_peek(&out), "front", 5);
	CHECK_MEM(coh_buf_peek(&out) + 5, want.data, want.size);
	coh_buf_fini(&out);
}

TEST(flat, what_does_not_fit_changes_nothing)
{
	struct cohort_bytes b = {"x", COHORT_MESSAGE_MAX + 1};
	struct coh_buf out;
	int32_t i = 1;

	coh_buf_init(&out, 13);
	CHECK_EQ(pack_into(&out, "i", &i), COHORT_ETOOBIG);
	CHECK_EQ(pack_into(&out, "B", &b), COHORT_ETOOBIG);
	b.size = SIZE_MAX;
	CHECK_EQ(pack_into(&out, "BB", &b, &b), COHORT_ETOOBIG);
	CHECK_EQ(coh_buf_len(&out), 0);
	coh_buf_fini(&out);
}

TEST(flat, strings_are_copied_and_bytes_are_lent)
{
	struct image m = IMAGE("sBs", "\3\0\0\0ab\2\0\0\0cd\2\0\0\0e");
	struct coh_buf strings;
	const char *a, *b, *again;
	struct cohort_bytes bytes;

	coh_buf_init(&strings, COHORT_MESSAGE_MAX);
	REQUIRE(unpack_from(m.data, &strings, "sBs", &a, &bytes, &b) == 0);
	CHECK_STR(a, "ab");
	CHECK_STR(b, "e");
	CHECK_EQ(bytes.size, 2);
	CHECK((const unsigned char *)bytes.data > m.data &&
	    (const unsigned char *)bytes.data < m.data + m.size);
	CHECK_EQ(coh_buf_len(&strings), 5);
	REQUIRE(unpack_from(m.data, &strings, "sBs", &again, &bytes, &b) == 0);
	CHECK(again == a);
	coh_buf_fini(&strings);
}

static int pack_and_unpack(void *arg)
{
	struct coh_buf out, strings;
	const char *s = "word";
	int32_t i = 1;
	int rc;

	(void)arg;
	coh_buf_init(&out, 1024);
	coh_buf_init(&strings, 1024);
	rc = pack_into(&out, "is", &i, &s);
	if (rc == 0)
		rc = unpack_from(coh_buf_peek(&out), &strings, "is", &i, &s);
	coh_buf_fini(&out);
	coh_buf_fini(&strings);
	return rc;
}

TEST(flat, out_of_memory_is_said)
{
	format_of("is");
	test_every_allocation(pack_and_unpack, NULL);
}
