/*
 * test_skew.c - four versions of the protocol, all pairs: each build speaks its own and the one before.
 *
 * Neighbours talk, in the highest version of both; others part at once, and both ends know why.
 */
#include "net/ends.h"
#include "support/test.h"

#include <stdio.h>

#define VERSIONS 4
#define AT_ONCE (100 * COHORT_MS)

static void speaks(struct end *e, int version)
{
	e->config.version_max = (uint8_t)version;
	e->config.version_min = (uint8_t)(version > 1 ? version - 1 : 1);
}

static void talks(struct ends *e, int best)
{
	ends_begin(e);
	ends_run(e, 4);
	CHECK_EQ(e->client.hs.peer.version, best);
	CHECK_EQ(e->server.hs.peer.version, best);
}

/* The server says no, and the client, told by one byte, says the same. */
static void parts(struct ends *e, int client, int server)
{
	struct cohort_error errs[2] = {{0}};
	char both[64];

	ends_begin(e);
	CHECK_EQ(ends_pass(&e->client, &e->server, &errs[1]), COHORT_EVERSION);
	CHECK_EQ(ends_pass(&e->server, &e->client, &errs[0]), COHORT_EVERSION);
	snprintf(both, sizeof both, "we speak versions %d to %d, w1 %d to %d",
	    server > 1 ? server - 1 : 1, server, client > 1 ? client - 1 : 1, client);
	CHECK_HAS(errs[1].text, both);
	CHECK_HAS(errs[0].text, "it speaks no version that we do");
}

TEST(skew, neighbours_talk_and_others_part_at_once)
{
	cohort_time start;
	struct ends e;

	ends_open(&e);
	for (int client = 1; client <= VERSIONS; client++)
		for (int server = 1; server <= VERSIONS; server++) {
			start = cohort_now();
			speaks(&e.client, client);
			speaks(&e.server, server);
			if (client - server <= 1 && server - client <= 1)
				talks(&e, client < server ? client : server);
			else
				parts(&e, client, server);
			CHECK(cohort_now() - start < test_span(AT_ONCE));
		}
	ends_close(&e);
}
