/*
 * handshake_relay.c - a local process lures a client and relays it to an honest listener.
 *
 * The relay holds no key; if it got both ends to accept, it could speak in the client's name
 * afterwards, since nothing is encrypted.  On one machine the address check stops it.
 */
#include "attack/forge.h"
#include "support/test.h"

#include <string.h>

#define HONEST "tcp:127.0.0.1:47000"
#define ROGUE "tcp:127.0.0.1:47001"

static void lure(struct ends *e)
{
	ends_open(e);
	ends_randomize(e);
	e->client.config.address = ROGUE;
}

/* Write the other address over the one that ends P; both are as long. */
static void readdress(struct parcel *p, const char *address)
{
	size_t n = strlen(address);

	memcpy(p->body + p->f.length - n, address, n);
}

TEST(attack_relay, of_a_lured_client_is_refused_by_the_server)
{
	struct ends e;

	lure(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		CHECK_EQ(ends_pass(&e.client, &e.server, NULL), COHORT_EADDR);
	}
	ends_close(&e);
}

TEST(attack_relay, that_changes_the_servers_word_only_is_refused_by_the_client)
{
	struct ends e;

	lure(&e);
	e.server.config.reach = COH_HANDSHAKE_REMOTE; /* a server that does not look */
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		ends_run(&e, 1);
		CHECK_EQ(ends_pass(&e.server, &e.client, NULL), COHORT_EADDR);
	}
	ends_close(&e);
}

TEST(attack_relay, that_changes_the_addresses_breaks_the_proof)
{
	struct parcel p;
	struct ends e;

	lure(&e);
	for (int i = 0; i < ATTACK_RUNS; i++) {
		ends_begin(&e);
		REQUIRE(ends_take(&e.client, &p));
		readdress(&p, HONEST);
		REQUIRE_EQ(ends_give(&e.server, &p, NULL), COH_HANDSHAKE_MORE);
		REQUIRE(ends_take(&e.server, &p));
		readdress(&p, ROGUE);
		REQUIRE_EQ(ends_give(&e.client, &p, NULL), COH_HANDSHAKE_MORE);
		CHECK_EQ(ends_pass(&e.client, &e.server, NULL), COHORT_EAUTH);
	}
	ends_close(&e);
}

/* Why a routable address needs more than this handshake: without the check the relay wins. */
TEST(attack_relay, is_what_the_address_check_stops_and_nothing_else_does)
{
	struct ends e;

	lure(&e);
	e.client.config.reach = e.server.config.reach = COH_HANDSHAKE_REMOTE;
	ends_begin(&e);
	ends_run(&e, 4);
	ends_close(&e);
}
