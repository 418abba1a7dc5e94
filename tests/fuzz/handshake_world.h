/*
 * handshake_world.h - one end of a handshake, fed frames that the fuzzer makes.
 *
 * Input: frames of type(1) length(2, big-endian) body; the last may be cut.  The end is that of
 * the known answers (trust 3.4), its random bytes are fixed, so that a seed can hold a whole
 * valid handshake.  What must hold whatever comes:
 *   - a failure has a code, a sentence, and lasts: every later frame is COHORT_EPROTOCOL;
 *   - what is sent is a frame of this role within the limits; after a failure one REFUSE or nothing;
 *   - a hello that was taken is written again as the same bytes;
 *   - it ends well only on a proof that is right by an HMAC made here.
 */
#include "base/object.h"
#include "trust/authkey.h"
#include "trust/hello.h"

#include <string.h>

struct world {
	struct coh_handshake hs;
	struct cohort_key *key;
	enum coh_handshake_role peer; /* what the fuzzer plays */
	int ended;                    /* 0, or the failure */
	bool done;
};

/* A frame of the fuzzer's. */
struct piece {
	struct coh_frame f;
	const unsigned char *body;
};

static int world_random(void *out, size_t n, void *arg)
{
	const struct world *w = arg;

	memset(out, n == COH_HANDSHAKE_SESSION ? 0x77 : w->peer == COH_HANDSHAKE_SERVER ? 0x11 : 0x22, n);
	return 0;
}

static void world_open(struct world *w, enum coh_handshake_role own)
{
	static unsigned char uuid[2][COH_HANDSHAKE_UUID];
	unsigned char key[32];
	struct coh_handshake_config c = {.role = own, .cluster = "demo", .address = "tcp:127.0.0.1:47000",
	    .name = own == COH_HANDSHAKE_CLIENT ? "w1" : "mgr", .uuid = uuid[own], .epoch = 1,
	    .random = world_random, .random_arg = w};

	memset(uuid[COH_HANDSHAKE_CLIENT], 0xc0, COH_HANDSHAKE_UUID);
	memset(uuid[COH_HANDSHAKE_SERVER], 0x50, COH_HANDSHAKE_UUID);
	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (unsigned char)i;
	memset(w, 0, sizeof *w);
	w->peer = own == COH_HANDSHAKE_CLIENT ? COH_HANDSHAKE_SERVER : COH_HANDSHAKE_CLIENT;
	COH_ASSERT(cohort_key_new(&w->key, key, sizeof key, NULL) == 0);
	c.key = w->key;
	COH_ASSERT(coh_handshake_init(&w->hs, &c, NULL) == 0);
}

static void world_close(struct world *w)
{
	coh_handshake_fini(&w->hs);
	cohort_key_free(w->key);
}

/* The next frame of the input; false at its end. */
static bool world_next(const uint8_t **data, size_t *size, struct piece *p)
{
	size_t n;

	if (*size < 3)
		return false;
	n = (size_t)(*data)[1] << 8 | (*data)[2];
	n = n < *size - 3 ? n : *size - 3;
	p->f = (struct coh_frame){.type = (*data)[0], .length = (uint32_t)n};
	p->body = *data + 3;
	*data += 3 + n;
	*size -= 3 + n;
	return n <= COH_FRAME_STRANGER_MAX;
}

static void world_check_sent(struct world *w)
{
	struct coh_frame f;
	const void *body = coh_handshake_output(&w->hs, &f);

	if (body == NULL)
		return;
	COH_ASSERT(f.length <= COH_HANDSHAKE_BODY_MAX && f.channel == 0 && f.flags == 0 && f.id == 0);
	if (w->ended != 0)
		COH_ASSERT(f.type == COH_FRAME_REFUSE && f.length == 1);
	else
		COH_ASSERT(f.type >= COH_FRAME_CLIENT_HELLO && f.type <= COH_FRAME_SERVER_PROOF);
	COH_ASSERT(coh_handshake_output(&w->hs, &f) == NULL);
}

/* A hello that was taken has one spelling. */
static void world_check_hello(const struct world *w, const struct piece *p)
{
	const struct coh_span body = {p->body, p->f.length};
	unsigned char again[COH_HANDSHAKE_BODY_MAX];
	struct coh_hello h;

	COH_ASSERT(coh_hello_decode(&h, w->peer, &body, NULL) == 0);
	COH_ASSERT(coh_hello_encode(&h, w->peer, again) == p->f.length);
	COH_ASSERT(memcmp(again, p->body, p->f.length) == 0);
	COH_ASSERT(strcmp(h.cluster, "demo") == 0 && strcmp(h.address, "tcp:127.0.0.1:47000") == 0);
	COH_ASSERT(strcmp(h.name, w->hs.peer.name) == 0);
}

/* The last frame must be the proof, by arithmetic done here from the transcript. */
static void world_check_proof(const struct world *w, const struct piece *p)
{
	const char *label = w->peer == COH_HANDSHAKE_CLIENT ? "cohort-hs1 client finished"
							     : "cohort-hs1 server finished";
	const struct coh_span parts[] = {{w->hs.transcript, 32}, {w->hs.proof, 32}, {p->body, 24}};
	size_t at = w->peer == COH_HANDSHAKE_CLIENT ? 0 : 24;
	unsigned char key[COH_HASH_SIZE], mac[COH_HASH_SIZE];

	COH_ASSERT(coh_authkey_derive(w->key, &(struct coh_authkey_use){0, label, "demo"}, key) == 0);
	COH_ASSERT(coh_hmac_sign((struct coh_span){key, sizeof key}, parts,
		       w->peer == COH_HANDSHAKE_CLIENT ? 1 : 3, mac) == 0);
	COH_ASSERT(p->f.length == at + sizeof mac && memcmp(p->body + at, mac, sizeof mac) == 0);
}

/* RC was the answer to P. */
static void world_judge(
    struct world *w, const struct piece *p, int rc, const struct cohort_error *err)
{
	if (rc < 0) {
		COH_ASSERT(err->code == rc && strlen(err->text) > 20);
		COH_ASSERT((w->ended == 0 && !w->done) || rc == COHORT_EPROTOCOL);
		w->ended = rc;
		return;
	}
	COH_ASSERT(w->ended == 0 && !w->done);
	if (rc == COH_HANDSHAKE_DONE) {
		world_check_proof(w, p);
		w->done = true;
	} else
		world_check_hello(w, p);
}

/* How one frame is given to the machine; a planted bug replaces it. */
typedef int (*world_feed_fn)(struct world *w, const struct piece *p, struct cohort_error *err);

static inline int world_feed(struct world *w, const struct piece *p, struct cohort_error *err)
{
	return coh_handshake_feed(&w->hs, &p->f, p->body, err);
}

static void world_run(enum coh_handshake_role own, world_feed_fn feed, const uint8_t *data, size_t size)
{
	struct world w;
	struct piece p;

	world_open(&w, own);
	world_check_sent(&w);
	while (world_next(&data, &size, &p)) {
		struct cohort_error err = {0};

		world_judge(&w, &p, feed(&w, &p, &err), &err);
		world_check_sent(&w);
	}
	world_close(&w);
}
