/* test_err.c - codes, their names and sentences, and failing in one line. */
#include "base/err.h"
#include "support/test.h"

#include <errno.h>
#include <string.h>

TEST(err, every_code_has_its_own_number_name_and_sentence)
{
	static const int codes[] = {
#define CODE(name, number, text) name,
	    COHORT_ERRORS(CODE)
#undef CODE
	};
	size_t n = sizeof codes / sizeof *codes;

	for (size_t i = 0; i < n; i++) {
		CHECK(codes[i] < -4095); /* below every errno */
		CHECK(strncmp(cohort_errname(codes[i]), "COHORT_E", 8) == 0);
		for (size_t j = 0; j < i; j++) {
			CHECK(codes[i] != codes[j]);
			CHECK(strcmp(cohort_strerror(codes[i]), cohort_strerror(codes[j])) != 0);
		}
	}
}

TEST(err, system_codes_speak_as_the_system_does)
{
	CHECK_STR(cohort_strerror(-ENOENT), "No such file or directory");
	CHECK_STR(cohort_errname(-ENOENT), "ENOENT");
	CHECK_STR(cohort_errname(0), "COHORT_OK");
}

TEST(err, unknown_codes_are_said_to_be_unknown)
{
	CHECK_STR(cohort_errname(17), "?");
	CHECK_STR(cohort_errname(-9999), "?");
	CHECK_STR(cohort_strerror(-9999), "unknown error code");
	CHECK_STR(cohort_strerror(1), "unknown error code");
}

TEST(err, fail_fills_and_returns_the_code)
{
	struct cohort_error err;

	CHECK_EQ(coh_fail(&err, COHORT_EKEY, "key %s: mode %o", "k", 0644), COHORT_EKEY);
	CHECK_EQ(err.code, COHORT_EKEY);
	CHECK_STR(err.text, "key k: mode 644");
	CHECK_EQ(coh_fail(NULL, COHORT_EKEY, "nobody listens"), COHORT_EKEY);
}

TEST(err, fail_errno_ends_in_the_words_of_errno)
{
	struct cohort_error err;

	CHECK_EQ(coh_fail_errno(&err, EACCES, "open %s", "/x"), -EACCES);
	CHECK_STR(err.text, "open /x: Permission denied");
	CHECK_EQ(err.code, -EACCES);
	CHECK_EQ(coh_fail_errno(NULL, EACCES, "open"), -EACCES);
}

TEST(err, each_layer_puts_its_context_in_front)
{
	struct cohort_error err = {0};

	coh_fail(&err, COHORT_EPEER, "refused");
	CHECK_EQ(coh_fail_in(&err, COHORT_EPEER, "connect %s", "node7:9000"), COHORT_EPEER);
	coh_fail_in(&err, COHORT_EPEER, "start worker %d", 3);
	CHECK_STR(err.text, "start worker 3: connect node7:9000: refused");
}

TEST(err, context_for_another_code_takes_that_codes_sentence)
{
	struct cohort_error err = {0};

	coh_fail(&err, COHORT_EPEER, "stale");
	coh_fail_in(&err, COHORT_EKEY, "listen");
	CHECK_STR(err.text, "listen: the key cannot be used");
	coh_fail_code(&err, COHORT_EKEY);
	CHECK_STR(err.text, "listen: the key cannot be used");
	coh_fail_code(&err, COHORT_EOF);
	CHECK_STR(err.text, cohort_strerror(COHORT_EOF));
}

TEST(err, long_sentences_are_cut_and_ended)
{
	char word[2 * COHORT_ERROR_TEXT];
	struct cohort_error err;

	memset(word, 'w', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	coh_fail(&err, COHORT_EKEY, "%s", word);
	CHECK_EQ(strlen(err.text), COHORT_ERROR_TEXT - 1);
	coh_fail_in(&err, COHORT_EKEY, "outer");
	CHECK_EQ(strlen(err.text), COHORT_ERROR_TEXT - 1);
	CHECK(strncmp(err.text, "outer: www", 10) == 0);
	coh_fail_errno(&err, ENOENT, "%s", word);
	CHECK_EQ(strlen(err.text), COHORT_ERROR_TEXT - 1);
}
