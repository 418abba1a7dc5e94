/*
 * test_name.c - the grammar of names.
 */
#include "base/name.h"
#include "support/test.h"

#include <string.h>

TEST(name, may_hold_letters_digits_and_three_marks)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	char c;

	for (int v = 0; v < 256; v++) {
		c = (char)v;
		CHECK_EQ(coh_name_valid(&c, 1), v != 0 && strchr(allowed, v) != NULL);
	}
}

TEST(name, has_1_to_64_bytes_and_every_one_counts)
{
	char text[80];

	memset(text, 'a', sizeof text);
	CHECK(!coh_name_valid(text, 0));
	CHECK(coh_name_valid(text, 1));
	CHECK(coh_name_valid(text, 64));
	CHECK(!coh_name_valid(text, 65));
	for (size_t i = 0; i < 64; i++) {
		text[i] = '/';
		CHECK(!coh_name_valid(text, 64));
		text[i] = 'a';
	}
}
