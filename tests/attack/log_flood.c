/*
 * log_flood.c - thousands of failed logins, some of whose words would forge lines or command a terminal.
 * They fill no log, and each line that is said is one line of plain text.
 */
#include "net/hall.h"
#include "support/test.h"

#include <cohort/log.h>
#include <stdio.h>
#include <string.h>

#define LOGINS 3000

/* A hello that names another address, with the bytes WORDS in it: what the caller hears. */
static int forged_address(struct hall *h, const char *words)
{
	unsigned char body[COH_HANDSHAKE_BODY_MAX];
	int fd = hall_stranger(h);
	size_t n = hall_hello(h, fd, body);

	memcpy(body + n - strlen(words), words, strlen(words)); /* the address comes last */
	hall_say_frame(fd, COH_FRAME_CLIENT_HELLO, body, n);
	return hall_turned_away(fd);
}

TEST(attack, a_flood_of_failed_logins_fills_no_log)
{
	struct cohort_key *other = hall_other_key();
	struct cohort_net_options options = {.key = other, .name = "liar"};
	struct cohort_conn *c;
	cohort_time start = cohort_now();
	struct hall h;
	int minutes;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 128);
	for (int i = 0; i < LOGINS; i++)
		CHECK_EQ(hall_dial(&h, &options, &c, NULL), COHORT_EAUTH);
	minutes = (int)((cohort_now() - start) / (60 * COHORT_SECOND)) + 1;
	CHECK(h.logged >= 10 && h.logged <= 11 * minutes);
	CHECK_EQ(h.welcomed, 0);
	hall_serves(&h);
	cohort_key_free(other);
	hall_close(&h);
}

static char said[COH_HANDSHAKE_BODY_MAX + 600];

static void keep_line(enum cohort_log_level level, const char *line, void *arg)
{
	(void)level;
	(void)arg;
	snprintf(said, sizeof said, "%s", line);
}

TEST(attack, words_of_a_stranger_command_no_terminal)
{
	struct hall h;

	hall_open(&h, NULL, 20 * COHORT_SECOND, 8);
	CHECK_EQ(forged_address(&h, "\x1b[2J"), COH_REFUSE_AUTH);
	CHECK_EQ(forged_address(&h, "a\nb"), COH_REFUSE_AUTH);
	CHECK_EQ(forged_address(&h, "%n%s%x"), COH_REFUSE_ADDRESS);
	cohort_log_to(keep_line, COHORT_LOG_DEBUG, NULL);
	CHECK_EQ(forged_address(&h, "\xc2\x9b[2J\xff"), COH_REFUSE_ADDRESS);
	hall_serves(&h); /* after it: the line has been said */
	CHECK_HAS(said, "\\xc2\\x9b[2J\\xff");
	hall_close(&h);
}
