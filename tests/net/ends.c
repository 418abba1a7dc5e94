/*
 * ends.c - both ends of a handshake under a test's hands.
 */
#include "net/ends.h"

#include "support/test.h"
#include "trust/hmac_openssl.h"

#include <string.h>

/* Known bytes for known answers: the nonce, and the session by its size. */
static int end_random(void *out, size_t n, void *arg)
{
	const struct end *e = arg;
	unsigned char byte = n == COH_HANDSHAKE_NONCE ? e->nonce : e->session;

	if (byte == 0)
		return coh_random_bytes(out, n);
	memset(out, byte, n);
	return 0;
}

static void end_init(struct end *e, const struct ends *both, enum coh_handshake_role role)
{
	e->config = (struct coh_handshake_config){
	    .role = role,
	    .reach = COH_HANDSHAKE_LOCAL,
	    .key = both->key,
	    .cluster = "demo",
	    .name = role == COH_HANDSHAKE_CLIENT ? "w1" : "mgr",
	    .address = "tcp:127.0.0.1:47000",
	    .uuid = e->uuid,
	    .epoch = role == COH_HANDSHAKE_CLIENT ? 0 : 1,
	    .random = end_random,
	    .random_arg = e,
	};
	memset(e->uuid, role == COH_HANDSHAKE_CLIENT ? 0xc0 : 0x50, sizeof e->uuid);
	e->nonce = role == COH_HANDSHAKE_CLIENT ? 0x11 : 0x22;
	e->session = 0x77;
}

void ends_open(struct ends *e)
{
	unsigned char key[32];

	memset(e, 0, sizeof *e);
	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (unsigned char)i;
	REQUIRE_EQ(cohort_key_new(&e->key, key, sizeof key, NULL), 0);
	end_init(&e->client, e, COH_HANDSHAKE_CLIENT);
	end_init(&e->server, e, COH_HANDSHAKE_SERVER);
}

void ends_close(struct ends *e)
{
	coh_handshake_fini(&e->client.hs);
	coh_handshake_fini(&e->server.hs);
	cohort_key_free(e->key);
}

void ends_begin(struct ends *e)
{
	struct cohort_error err = {0};

	if (coh_handshake_init(&e->client.hs, &e->client.config, &err) < 0 ||
	    coh_handshake_init(&e->server.hs, &e->server.config, &err) < 0)
		FAIL("%s", err.text);
}

void ends_randomize(struct ends *e)
{
	e->client.nonce = e->client.session = e->server.nonce = e->server.session = 0;
	REQUIRE_EQ(coh_random_bytes(e->client.uuid, sizeof e->client.uuid), 0);
	REQUIRE_EQ(coh_random_bytes(e->server.uuid, sizeof e->server.uuid), 0);
}

bool ends_take(struct end *from, struct parcel *p)
{
	const void *body = coh_handshake_output(&from->hs, &p->f);

	if (body == NULL)
		return false;
	REQUIRE(p->f.length <= sizeof p->body);
	memcpy(p->body, body, p->f.length);
	return true;
}

int ends_give(struct end *to, const struct parcel *p, struct cohort_error *err)
{
	return coh_handshake_feed(&to->hs, &p->f, p->body, err);
}

int ends_pass(struct end *from, struct end *to, struct cohort_error *err)
{
	struct parcel p;

	REQUIRE(ends_take(from, &p));
	return ends_give(to, &p, err);
}

void ends_run(struct ends *e, int n)
{
	struct cohort_error err = {0};

	for (int i = 0; i < n; i++) {
		struct end *from = i % 2 == 0 ? &e->client : &e->server;
		struct end *to = i % 2 == 0 ? &e->server : &e->client;
		int rc = ends_pass(from, to, &err);

		if (!CHECK_EQ(rc, i < 2 ? COH_HANDSHAKE_MORE : COH_HANDSHAKE_DONE))
			FAIL("frame %d: %s", i + 1, err.text);
	}
}

void ends_refuses(struct end *e, enum coh_handshake_refusal byte)
{
	struct parcel p;

	REQUIRE(ends_take(e, &p));
	CHECK_EQ(p.f.type, COH_FRAME_REFUSE);
	CHECK_EQ(p.f.length, 1);
	CHECK_EQ(p.body[0], byte);
	ends_silent(e);
}

void ends_silent(struct end *e)
{
	struct parcel p;

	CHECK(!ends_take(e, &p));
}
