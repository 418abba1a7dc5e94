/*
 * test_listener_reload.c - a listener that is told to read its key file again.
 */
#include "conn/listener_priv.h"
#include "support/test.h"
#include "trust/authkey.h"
#include "trust/keyfile.h"

#include <cohort/dial.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(10 * COHORT_SECOND))

/* A listener with the key file "key", and a copy of the key as it was first, "old". */
struct house {
	struct cohort_listener *listener;
	const char *key, *old;
	struct cohort_error err;
};

static void house_open(struct house *h)
{
	struct cohort_net_options o = {.name = "house"};

	memset(h, 0, sizeof *h);
	o.key_file = h->key = test_path("key");
	h->old = test_path("old");
	REQUIRE_EQ(cohort_key_generate(h->key, NULL), 0);
	REQUIRE_EQ(link(h->key, h->old), 0);
	REQUIRE_EQ(cohort_listen(&h->listener, "tcp://127.0.0.1:0", &o, NULL), 0);
	coh_listener_identity(h->listener)->uuid[0] ^= 1; /* the guests are this process too */
}

static void house_close(struct house *h)
{
	cohort_listener_close(h->listener);
}

struct guest {
	struct house *house;
	const char *key_file;
	int rc;
};

static void *guest_main(void *arg)
{
	struct guest *g = arg;
	struct cohort_net_options o = {.key_file = g->key_file};
	struct cohort_conn *c;

	g->rc = cohort_dial(&c, cohort_listener_address(g->house->listener), &o, PATIENCE, NULL);
	cohort_conn_close(c);
	return NULL;
}

/* What comes of dialling with KEY_FILE. */
static int gets_in(struct house *h, const char *key_file)
{
	struct guest g = {.house = h, .key_file = key_file};
	struct cohort_conn *c = NULL;
	pthread_t thread;
	void *ended;
	int rc;

	REQUIRE_EQ(pthread_create(&thread, NULL, guest_main, &g), 0);
	do
		rc = cohort_listener_accept(h->listener, &c, cohort_in(10 * COHORT_MS), &h->err);
	while (rc == COHORT_ETIMEDOUT && pthread_tryjoin_np(thread, &ended) != 0);
	if (rc == 0)
		pthread_join(thread, NULL);
	CHECK_EQ(rc == 0, g.rc == 0);
	cohort_conn_close(c);
	return g.rc;
}

TEST(listener_reload, takes_another_key_from_its_file)
{
	struct house h;

	house_open(&h);
	CHECK_EQ(gets_in(&h, h.old), 0);
	REQUIRE_EQ(unlink(h.key), 0);
	REQUIRE_EQ(cohort_key_generate(h.key, NULL), 0);
	CHECK_EQ(gets_in(&h, h.key), COHORT_EAUTH); /* nobody told it yet */
	CHECK_EQ(cohort_listener_reload(h.listener, &h.err), 0);
	CHECK_EQ(gets_in(&h, h.key), 0);
	CHECK_EQ(gets_in(&h, h.old), COHORT_EAUTH);
	house_close(&h);
}

TEST(listener_reload, goes_from_one_key_to_another_and_refuses_nobody)
{
	static const enum coh_keyfile_step steps[] = {
	    COH_KEYFILE_ADD, COH_KEYFILE_SWAP, COH_KEYFILE_DROP};
	struct house h;

	house_open(&h);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		unlink(h.old);
		REQUIRE_EQ(link(h.key, h.old), 0); /* the guest who has not made the step yet */
		REQUIRE_EQ(coh_keyfile_rotate(h.key, steps[i], NULL), 0);
		CHECK_EQ(gets_in(&h, h.key), 0);
		CHECK_EQ(gets_in(&h, h.old), 0);
		CHECK_EQ(cohort_listener_reload(h.listener, &h.err), 0);
		CHECK_EQ(gets_in(&h, h.key), 0);
		CHECK_EQ(gets_in(&h, h.old), 0);
	}
	house_close(&h);
}

/* The file cannot be used, as HINT says: the listener says so and goes on as before. */
static void keeps(struct house *h, const char *hint)
{
	CHECK_EQ(cohort_listener_reload(h->listener, &h->err), COHORT_EKEY);
	CHECK_HAS(h->err.text, "listener tcp://127.0.0.1:");
	CHECK_HAS(h->err.text, hint);
	CHECK_EQ(gets_in(h, h->old), 0);
}

TEST(listener_reload, keeps_its_key_when_the_new_one_cannot_be_used)
{
	struct house h;
	FILE *f;

	house_open(&h);
	REQUIRE_EQ(unlink(h.key), 0);
	keeps(&h, "there is no such file");
	REQUIRE((f = fopen(h.key, "we")) != NULL);
	REQUIRE(fputs("no key\n", f) > 0 && fclose(f) == 0);
	REQUIRE_EQ(chmod(h.key, 0600), 0);
	keeps(&h, "line 1 has 6 characters");
	REQUIRE_EQ(chmod(h.key, 0644), 0);
	keeps(&h, "lets others at it");
	house_close(&h);
}

TEST(listener_reload, leaves_a_key_that_was_given_alone)
{
	struct cohort_net_options o = {0};
	struct cohort_listener *l;
	struct cohort_key *key;

	REQUIRE_EQ(cohort_key_new(&key, "a key that no file has", 22, NULL), 0);
	o.key = key;
	REQUIRE_EQ(cohort_listen(&l, "tcp://127.0.0.1:0", &o, NULL), 0);
	CHECK_EQ(cohort_listener_reload(l, NULL), 0);
	CHECK(coh_listener_identity(l)->key == key);
	cohort_listener_close(l);
	cohort_key_free(key);
}

/* The secrets change under a handshake that is under way: it goes on with the new ones. */
TEST(listener_reload, leaves_no_handshake_without_a_key)
{
	struct cohort_net_options o = {0};
	struct coh_handshake hs;
	struct coh_handshake_config config = {.role = COH_HANDSHAKE_SERVER,
	    .address = "unix:/x"};
	struct coh_identity id;
	struct house h;

	house_open(&h);
	o.key_file = h.key;
	REQUIRE_EQ(coh_identity_init(&id, &o, NULL), 0);
	config.key = id.key;
	config.cluster = id.cluster;
	config.name = id.name;
	config.uuid = id.uuid;
	REQUIRE_EQ(coh_handshake_init(&hs, &config, NULL), 0);
	REQUIRE_EQ(coh_keyfile_rotate(h.key, COH_KEYFILE_ADD, NULL), 0);
	REQUIRE_EQ(coh_identity_reload(&id, NULL), 0);
	CHECK(hs.config.key == id.key);
	CHECK_EQ(coh_authkey_count(hs.config.key), 2);
	coh_handshake_fini(&hs);
	coh_identity_fini(&id);
	house_close(&h);
}
