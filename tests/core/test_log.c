/* test_log.c - one sink, one escaped line an event. */
#include "base/log.h"
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct heard {
	enum cohort_log_level level;
	char line[COH_LOG_LINE];
	int n;
};

static void hear(enum cohort_log_level level, const char *line, void *arg)
{
	struct heard *h = arg;

	h->level = level;
	snprintf(h->line, sizeof h->line, "%s", line);
	h->n++;
}

TEST(log, is_silent_without_a_sink)
{
	CHECK_EQ(coh_log_level(), 0);
	coh_log(COHORT_LOG_ERROR, "nobody hears %s", "this");
}

TEST(log, passes_its_level_and_graver)
{
	struct heard h = {0};

	cohort_log_to(hear, COHORT_LOG_WARN, &h);
	CHECK_EQ(coh_log_level(), COHORT_LOG_WARN);
	coh_log(COHORT_LOG_INFO, "too fine");
	CHECK_EQ(h.n, 0);
	coh_log(COHORT_LOG_ERROR, "worker %d died", 3);
	CHECK_EQ(h.level, COHORT_LOG_ERROR);
	CHECK_STR(h.line, "worker 3 died");
	cohort_log_to(NULL, COHORT_LOG_DEBUG, NULL);
	coh_log(COHORT_LOG_ERROR, "gone");
	CHECK_EQ(h.n, 1);
}

TEST(log, escapes_what_could_forge_a_line)
{
	struct heard h = {0};

	cohort_log_to(hear, COHORT_LOG_DEBUG, &h);
	coh_log(COHORT_LOG_INFO, "%s", "a\nb\r\x1b[2J\x7f");
	CHECK_STR(h.line, "a\\x0ab\\x0d\\x1b[2J\\x7f");
	coh_log(COHORT_LOG_INFO, "%s", "\xc2\x9b" "2J \xc2\x80 \xc2\xa0");
	CHECK_STR(h.line, "\\xc2\\x9b2J \\xc2\\x80 \xc2\xa0");
}

TEST(log, keeps_utf8_and_escapes_what_only_looks_like_it)
{
	struct heard h = {0};

	cohort_log_to(hear, COHORT_LOG_DEBUG, &h);
	coh_log(COHORT_LOG_INFO, "%s", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82");
	CHECK_STR(h.line, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82");
	coh_log(COHORT_LOG_INFO, "%s", "\xc3( \xff \xc0\x80 \xe2\x82");
	CHECK_STR(h.line, "\\xc3( \\xff \\xc0\\x80 \\xe2\\x82");
	coh_log(COHORT_LOG_INFO, "%s", "\xe0\x80\xaf \xed\xa0\x80 \xf0\x80\x80\x80 \xf4\x90\x80\x80");
	CHECK_STR(h.line,
	    "\\xe0\\x80\\xaf \\xed\\xa0\\x80 \\xf0\\x80\\x80\\x80 \\xf4\\x90\\x80\\x80");
}

TEST(log, cuts_a_long_line)
{
	char word[3 * COH_LOG_LINE];
	struct heard h = {0};

	memset(word, 1, sizeof word - 1);
	word[sizeof word - 1] = '\0';
	cohort_log_to(hear, COHORT_LOG_DEBUG, &h);
	coh_log(COHORT_LOG_INFO, "%s", word);
	CHECK(strlen(h.line) < COH_LOG_LINE);
	CHECK(strlen(h.line) > COH_LOG_LINE - 10);
	CHECK_STR(h.line + strlen(h.line) - 4, "\\x01");
}

TEST(log, stderr_sink_writes_one_named_line)
{
	char got[256] = "";
	int fds[2], saved = dup(STDERR_FILENO);

	REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
	coh_log_name("worker 3");
	dup2(fds[1], STDERR_FILENO);
	cohort_log_stderr(COHORT_LOG_WARN, "slow peer", NULL);
	dup2(saved, STDERR_FILENO);
	CHECK(read(fds[0], got, sizeof got - 1) > 0);
	CHECK_STR(got, "[WARN/worker 3] slow peer\n");
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void *say_much(void *arg)
{
	for (int i = 0; i < 1000; i++)
		coh_log(COHORT_LOG_INFO, "line %d", i);
	return arg;
}

TEST(log, threads_speak_one_at_a_time)
{
	struct heard h = {0};
	pthread_t a, b;

	cohort_log_to(hear, COHORT_LOG_INFO, &h);
	REQUIRE(pthread_create(&a, NULL, say_much, NULL) == 0);
	REQUIRE(pthread_create(&b, NULL, say_much, NULL) == 0);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	CHECK_EQ(h.n, 2000);
}
