/* messages.h - messages that tests begin with. */
#ifndef TESTS_CORE_MESSAGES_H
#define TESTS_CORE_MESSAGES_H

#include "support/test.h"

#include <cohort/message.h>
#include <stdio.h>

/* A new message of FORMAT; the caller frees it. */
static inline struct cohort_message *message_of(const char *format)
{
	struct cohort_message *m = NULL;

	REQUIRE_EQ(cohort_message_new(&m, format, NULL), 0);
	return m;
}

/* A new message loaded with the image of M. */
static inline struct cohort_message *received(struct cohort_message *m)
{
	struct cohort_message *got = message_of(cohort_message_format(m));
	struct cohort_error err = {0};
	const void *image;
	size_t size;

	REQUIRE_EQ(cohort_message_image(m, &image, &size), 0);
	if (!CHECK_EQ(cohort_message_load(got, image, size, &err), 0))
		FAIL("%s", err.text);
	return got;
}

/* Fill M, of format "sA(iA(s))", with "root" and three rows that hold 0, 1 and 2 strings. */
static inline void pack_nested(struct cohort_message *m)
{
	const char *name = "root";
	char text[32];
	const char *leaf = text;

	for (int32_t outer = 0; outer < 3; outer++) {
		for (int inner = 0; inner < outer; inner++) {
			snprintf(text, sizeof text, "%d.%d", outer, inner);
			REQUIRE_EQ(cohort_message_pack(m, 2, &leaf), 0);
		}
		REQUIRE_EQ(cohort_message_pack(m, 1, &outer), 0);
	}
	REQUIRE_EQ(cohort_message_pack(m, 0, &name), 0);
}

#endif
