/*
 * test_handshake_keys.c - the handshake while a cluster goes from one key to another.
 *
 * A file holds the key to dial with and, in a time of change, a second one that is accepted too.
 */
#include "net/ends.h"
#include "support/test.h"
#include "trust/authkey.h"

#include <stddef.h>

#define OLD "the old key, of 32 bytes in all."
#define NEW "the new key, of 32 bytes in all."
#define THIRD "a third one, that nobody accepts"

/* The key of a file whose lines are FIRST and, unless it is NULL, SECOND. */
static struct cohort_key *key_of(const char *first, const char *second)
{
	const struct coh_span secrets[] = {{first, 32}, {second, 32}};
	struct cohort_key *key;

	REQUIRE_EQ(coh_authkey_new(&key, secrets, second != NULL ? 2 : 1, NULL), 0);
	return key;
}

/* Takes both keys; what the server says to the client's proof, and then the client to the server's. */
static int meet(struct cohort_key *client, struct cohort_key *server)
{
	struct ends e;
	int rc;

	ends_open(&e);
	e.client.config.key = client;
	e.server.config.key = server;
	ends_randomize(&e);
	ends_begin(&e);
	ends_run(&e, 2);
	rc = ends_pass(&e.client, &e.server, NULL);
	if (rc == COH_HANDSHAKE_DONE) {
		rc = ends_pass(&e.server, &e.client, NULL);
		CHECK_MEM(e.client.hs.peer.session, e.server.hs.peer.session, COH_HANDSHAKE_SESSION);
	} else
		ends_refuses(&e.server, COH_REFUSE_AUTH);
	cohort_key_free(client);
	cohort_key_free(server);
	ends_close(&e);
	return rc;
}

/* The files of the cluster's machines before, between and after the three steps. */
static const struct {
	const char *first, *second;
} files[] = {{OLD, NULL}, {OLD, NEW}, {NEW, OLD}, {NEW, NULL}};

TEST(handshake, goes_on_between_neighbouring_steps_of_a_change_of_keys)
{
	for (int client = 0; client < 4; client++)
		for (int server = 0; server < 4; server++) {
			bool near = client - server <= 1 && server - client <= 1;

			if (near)
				CHECK_EQ(meet(key_of(files[client].first, files[client].second),
					     key_of(files[server].first, files[server].second)),
				    COH_HANDSHAKE_DONE);
		}
}

TEST(handshake, fails_when_a_step_was_left_out)
{
	CHECK_EQ(meet(key_of(OLD, NULL), key_of(NEW, NULL)), COHORT_EAUTH);
	CHECK_EQ(meet(key_of(NEW, OLD), key_of(OLD, NULL)), COHORT_EAUTH);
	CHECK_EQ(meet(key_of(OLD, NEW), key_of(NEW, NULL)), COHORT_EAUTH);
}

TEST(handshake, server_of_two_keys_takes_no_third)
{
	CHECK_EQ(meet(key_of(THIRD, NULL), key_of(OLD, NEW)), COHORT_EAUTH);
	CHECK_EQ(meet(key_of(THIRD, OLD), key_of(OLD, NEW)), COHORT_EAUTH);
}

TEST(handshake, server_of_two_keys_proves_the_one_that_the_client_showed)
{
	struct ends e;
	struct cohort_key *both = key_of(NEW, OLD), *old = key_of(OLD, NULL);
	struct parcel p;

	ends_open(&e);
	e.client.config.key = old;
	e.server.config.key = both;
	ends_begin(&e);
	ends_run(&e, 3);
	REQUIRE(ends_take(&e.server, &p));
	p.body[p.f.length - 1] ^= 1;
	CHECK_EQ(ends_give(&e.client, &p, NULL), COHORT_EAUTH);
	cohort_key_free(both);
	cohort_key_free(old);
	ends_close(&e);
}
