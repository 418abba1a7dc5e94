/*
 * handshake.c - the proof of the key, as one table: state -> the frame that may come.
 *
 *   client   EXPECT_SERVER_HELLO -> EXPECT_SERVER_PROOF -> DONE
 *   server   EXPECT_CLIENT_HELLO -> EXPECT_CLIENT_PROOF -> DONE
 *   any      -> FAILED, and stays there
 *
 * What binds the proof: both hellos to the byte (roles, versions, suites, nonces, names,
 * addresses), and different keys for the two directions, so that nothing said by one end
 * serves at the other.  The client proves first: a scanner gets nothing keyed.  On a local
 * connection the address dialled must be the one that answers, without which a local user
 * who lures a client could relay it elsewhere.
 *
 * Each way to fail, and the code it ends in:
 *   a frame out of turn, header fields set, lengths wrong, after the end    EPROTOCOL
 *   no version or suite in common                                           EVERSION
 *   the peer's uuid is ours / another cluster / another address             ESELF ECLUSTER EADDR
 *   a name outside the grammar                                              ENAME
 *   our own nonce comes back; a proof that is wrong                         EAUTH
 *   the name is taken by another peer                                       ENAME
 *   the peer refused                                                        what its byte means
 * A failure that the peer should hear of leaves a REFUSE to be sent; its byte says little.
 *
 * Inside TLS the hellos are all: there the channel has shown the key or the certificate, nobody else can
 * say anything in it, and whoever comes to hear a hello is DONE.
 *
 * Derived keys live here only while one MAC is made; between handshakes the authkey guards them.
 */
#include "trust/handshake.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/name.h"
#include "trust/authkey.h"
#include "trust/hello.h"
#include "trust/nonce.h"

#include <string.h>

#define DIALS_WITH 0 /* the secret of a key that a client proves; a server takes any of them */
#define SERVER_PROOF_SIZE (COH_HANDSHAKE_SESSION + 8 + COH_HASH_SIZE)

static const char client_label[] = "cohort-hs1 client finished";
static const char server_label[] = "cohort-hs1 server finished";

enum state {
	STATE_NONE, /* a zeroed struct: refuses everything */
	STATE_EXPECT_CLIENT_HELLO,
	STATE_EXPECT_SERVER_HELLO,
	STATE_EXPECT_CLIENT_PROOF,
	STATE_EXPECT_SERVER_PROOF,
	STATE_DONE,
	STATE_FAILED,
};

typedef int (*step_fn)(struct coh_handshake *hs, struct coh_span body, struct cohort_error *err);

static int on_client_hello(struct coh_handshake *, struct coh_span, struct cohort_error *);
static int on_server_hello(struct coh_handshake *, struct coh_span, struct cohort_error *);
static int on_client_proof(struct coh_handshake *, struct coh_span, struct cohort_error *);
static int on_server_proof(struct coh_handshake *, struct coh_span, struct cohort_error *);

/* What each state waits for; a state without an entry waits for nothing. */
static const struct step {
	uint8_t type;
	uint32_t min, max;
	step_fn run;
} steps[] = {
	[STATE_EXPECT_CLIENT_HELLO] = {COH_FRAME_CLIENT_HELLO, 1, COH_HANDSHAKE_BODY_MAX, on_client_hello},
	[STATE_EXPECT_SERVER_HELLO] = {COH_FRAME_SERVER_HELLO, 1, COH_HANDSHAKE_BODY_MAX, on_server_hello},
	[STATE_EXPECT_CLIENT_PROOF] = {COH_FRAME_CLIENT_PROOF, COH_HASH_SIZE, COH_HASH_SIZE, on_client_proof},
	[STATE_EXPECT_SERVER_PROOF] = {COH_FRAME_SERVER_PROOF, SERVER_PROOF_SIZE, SERVER_PROOF_SIZE, on_server_proof},
	[STATE_FAILED] = {0},
};

/* What a code is called to a stranger; all others are AUTH. */
static const struct refusal {
	int code;
	enum coh_handshake_refusal byte;
	const char *sentence; /* when we are the ones refused */
} refusals[] = {
	{COHORT_EAUTH, COH_REFUSE_AUTH, "it does not accept us: is the key the same at both ends?"},
	{COHORT_EVERSION, COH_REFUSE_VERSION, "it speaks no version that we do"},
	{COHORT_ESELF, COH_REFUSE_SELF, "it is this very process"},
	{COHORT_ECLUSTER, COH_REFUSE_CLUSTER, "it belongs to another cluster"},
	{COHORT_EADDR, COH_REFUSE_ADDRESS, "the address dialled is not its own"},
	{COHORT_EBUSY, COH_REFUSE_BUSY, "it takes no more peers now, or none from here for a while"},
	{COHORT_ENAME, COH_REFUSE_NAME, "another peer of our name is there already"},
};

#define REFUSALS (sizeof refusals / sizeof *refusals)

enum coh_handshake_refusal coh_handshake_refusal(int code)
{
	/* A stranger's name may be wrong by its form only, which is AUTH. */
	for (size_t i = 0; i < REFUSALS; i++)
		if (refusals[i].code == code && refusals[i].byte != COH_REFUSE_NAME)
			return refusals[i].byte;
	return COH_REFUSE_AUTH;
}

static const char *peer_words(const struct coh_handshake *hs)
{
	return hs->config.peer != NULL ? hs->config.peer : hs->config.address;
}

static int random_bytes(struct coh_handshake *hs, void *out, size_t n)
{
	const struct coh_handshake_config *c = &hs->config;

	return c->random != NULL ? c->random(out, n, c->random_arg) : coh_nonce_bytes(out, n);
}

/* RC of something on this side that has no words of its own; 0 stays 0. */
static int own_fault(int rc, struct cohort_error *err)
{
	return rc < 0 ? coh_fail(err, rc, "on this side: %s", cohort_strerror(rc)) : 0;
}

/* Our own hello, apart from what is negotiated. */
static void own_hello(const struct coh_handshake *hs, struct coh_hello *h)
{
	const struct coh_handshake_config *c = &hs->config;

	*h = (struct coh_hello){
	    .version_min = c->version_min,
	    .version_max = c->version_max,
	    .suite_count = 1,
	    .suites = {COH_HELLO_SUITE_SHA256},
	    .features = c->features,
	};
	memcpy(h->nonce, hs->nonce, sizeof h->nonce);
	memcpy(h->uuid, c->uuid, sizeof h->uuid);
	memcpy(h->cluster, c->cluster, strlen(c->cluster));
	memcpy(h->name, c->name, strlen(c->name));
	memcpy(h->address, c->address, strlen(c->address));
}

/* SHA-256("cohort-hs1\0" || u32 len CH || CH || u32 len SH || SH || u32 0): the 0 is for a channel binding. */
static int make_transcript(struct coh_handshake *hs, struct coh_span ch, struct coh_span sh)
{
	static const char label[] = "cohort-hs1";
	unsigned char sizes[3][4] = {{0}};
	const struct coh_span parts[] = {
	    {label, sizeof label}, {sizes[0], 4}, ch, {sizes[1], 4}, sh, {sizes[2], 4}};

	coh_put_u32(sizes[0], (uint32_t)ch.size);
	coh_put_u32(sizes[1], (uint32_t)sh.size);
	return coh_hash_parts(parts, sizeof parts / sizeof *parts, hs->transcript);
}

/* HMAC of the transcript and MORE under the key that LABEL derives from secret INDEX. */
static int make_proof(const struct coh_handshake *hs, int index, const char *label,
    struct coh_span more, unsigned char out[COH_HASH_SIZE])
{
	const struct coh_span parts[] = {{hs->transcript, sizeof hs->transcript}, more};
	const struct coh_authkey_use use = {index, label, hs->config.cluster};
	unsigned char key[COH_HASH_SIZE];
	int rc = coh_authkey_derive(hs->config.key, &use, key);

	if (rc == 0)
		rc = coh_hmac_sign((struct coh_span){key, sizeof key}, parts, 2, out);
	coh_wipe(key, sizeof key);
	return rc;
}

static int make_client_proof(
    const struct coh_handshake *hs, int index, unsigned char out[COH_HASH_SIZE])
{
	return make_proof(hs, index, client_label, (struct coh_span){NULL, 0}, out);
}

/* The server's covers the client's too, and what it grants: session and epoch. */
static int make_server_proof(
    const struct coh_handshake *hs, int index, unsigned char out[COH_HASH_SIZE])
{
	unsigned char more[COH_HASH_SIZE + COH_HANDSHAKE_SESSION + 8], *to = more;

	memcpy(to, hs->proof, sizeof hs->proof);
	memcpy(to + COH_HASH_SIZE, hs->peer.session, COH_HANDSHAKE_SESSION);
	coh_put_u64(to + COH_HASH_SIZE + COH_HANDSHAKE_SESSION, hs->peer.epoch);
	return make_proof(hs, index, server_label, (struct coh_span){more, sizeof more}, out);
}

static void to_send(struct coh_handshake *hs, uint8_t type, size_t size)
{
	hs->out_type = type;
	hs->out_size = size;
}

/* Both ends: is this someone whom we may talk to here at all? */
static int judge_peer(
    const struct coh_handshake *hs, const struct coh_hello *h, struct cohort_error *err)
{
	const struct coh_handshake_config *c = &hs->config;

	if (coh_hmac_equal(h->uuid, c->uuid, sizeof h->uuid))
		return coh_fail(err, COHORT_ESELF, "it is this very process (%s)", h->name);
	if (strcmp(h->cluster, c->cluster) != 0)
		return coh_fail(err, COHORT_ECLUSTER, "%s belongs to cluster %s, we to %s", h->name,
		    h->cluster, c->cluster);
	if (c->reach == COH_HANDSHAKE_LOCAL && strcmp(h->address, c->address) != 0)
		return coh_fail(err, COHORT_EADDR,
		    c->role == COH_HANDSHAKE_SERVER ? "%s dialled %.*s, this is %s"
						    : "%s answers at %.*s, dialled was %s",
		    h->name, COH_HANDSHAKE_ADDRESS_MAX, h->address, c->address);
	if (coh_hmac_equal(h->nonce, hs->nonce, sizeof h->nonce))
		return coh_fail(err, COHORT_EAUTH, "our own nonce came back: an echo");
	return 0;
}

static void keep_peer(struct coh_handshake *hs, const struct coh_hello *h)
{
	memcpy(hs->peer.name, h->name, sizeof hs->peer.name);
	memcpy(hs->peer.uuid, h->uuid, sizeof hs->peer.uuid);
	memcpy(hs->peer.address, h->address, sizeof hs->peer.address);
	hs->peer.features = h->features;
}

/* The highest version of both, and our suite among those offered. */
static int choose(struct coh_handshake *hs, const struct coh_hello *h, struct cohort_error *err)
{
	const struct coh_handshake_config *c = &hs->config;
	uint8_t best = h->version_max < c->version_max ? h->version_max : c->version_max;

	if (best < h->version_min || best < c->version_min)
		return coh_fail(err, COHORT_EVERSION, "we speak versions %u to %u, %s %u to %u",
		    c->version_min, c->version_max, h->name, h->version_min, h->version_max);
	for (int i = 0; i < h->suite_count; i++)
		if (h->suites[i] == COH_HELLO_SUITE_SHA256) {
			hs->peer.version = best;
			return 0;
		}
	return coh_fail(err, COHORT_EVERSION, "%s offers %u suites, none is %04x, which we speak",
	    h->name, h->suite_count, COH_HELLO_SUITE_SHA256);
}

/* The peer is one that holds the key: do we want it? */
static int judge_admission(struct coh_handshake *hs, struct cohort_error *err)
{
	const struct coh_handshake_config *c = &hs->config;
	int rc = c->admit != NULL ? c->admit(&hs->peer, c->admit_arg, err) : 0;

	hs->name_taken = rc == COHORT_ENAME;
	return rc < 0 ? coh_fail_in(err, rc, "%s is not admitted", hs->peer.name) : 0;
}

/* Inside TLS no more is to be said. */
static int done_inside(struct coh_handshake *hs, struct cohort_error *err)
{
	const struct coh_handshake_config *c = &hs->config;
	int rc = c->vouch != NULL ? c->vouch(&hs->peer, c->vouch_arg, err) : 0;

	if (rc == 0)
		rc = judge_admission(hs, err);
	if (rc < 0)
		return rc;
	memcpy(hs->peer.session, hs->transcript, sizeof hs->peer.session);
	hs->state = STATE_DONE;
	return COH_HANDSHAKE_DONE;
}

static int on_client_hello(struct coh_handshake *hs, struct coh_span body, struct cohort_error *err)
{
	struct coh_hello theirs, ours;
	int rc = coh_hello_decode(&theirs, COH_HANDSHAKE_CLIENT, &body, err);

	if (rc == 0)
		rc = choose(hs, &theirs, err);
	if (rc == 0)
		rc = own_fault(random_bytes(hs, hs->nonce, sizeof hs->nonce), err);
	if (rc == 0)
		rc = judge_peer(hs, &theirs, err);
	if (rc < 0)
		return rc;
	keep_peer(hs, &theirs);
	own_hello(hs, &ours);
	ours.version_min = ours.version_max = hs->peer.version;
	to_send(hs, COH_FRAME_SERVER_HELLO, coh_hello_encode(&ours, COH_HANDSHAKE_SERVER, hs->out));
	rc = make_transcript(hs, body, (struct coh_span){hs->out, hs->out_size});
	if (rc < 0)
		return own_fault(rc, err);
	if (hs->config.inside)
		return done_inside(hs, err);
	hs->state = STATE_EXPECT_CLIENT_PROOF;
	return COH_HANDSHAKE_MORE;
}

/* Did the server choose from what we offered? */
static int judge_choice(
    const struct coh_handshake *hs, const struct coh_hello *h, struct cohort_error *err)
{
	const struct coh_handshake_config *c = &hs->config;

	if (h->version_min < c->version_min || h->version_min > c->version_max)
		return coh_fail(err, COHORT_EVERSION, "we speak versions %u to %u, %s chose %u",
		    c->version_min, c->version_max, h->name, h->version_min);
	if (h->suites[0] != COH_HELLO_SUITE_SHA256)
		return coh_fail(err, COHORT_EVERSION, "%s chose suite %04x, offered was %04x", h->name,
		    h->suites[0], COH_HELLO_SUITE_SHA256);
	return 0;
}

static int on_server_hello(struct coh_handshake *hs, struct coh_span body, struct cohort_error *err)
{
	struct coh_hello theirs, ours;
	struct coh_span sent;
	int rc = coh_hello_decode(&theirs, COH_HANDSHAKE_SERVER, &body, err);

	if (rc == 0)
		rc = judge_choice(hs, &theirs, err);
	if (rc == 0)
		rc = judge_peer(hs, &theirs, err);
	if (rc < 0)
		return rc;
	keep_peer(hs, &theirs);
	hs->peer.version = theirs.version_min;
	own_hello(hs, &ours); /* once more, to the byte what was sent */
	sent = (struct coh_span){hs->out, coh_hello_encode(&ours, COH_HANDSHAKE_CLIENT, hs->out)};
	rc = make_transcript(hs, sent, body);
	if (rc == 0 && hs->config.inside)
		return done_inside(hs, err);
	if (rc == 0)
		rc = make_client_proof(hs, DIALS_WITH, hs->proof);
	if (rc < 0)
		return own_fault(rc, err);
	memcpy(hs->out, hs->proof, sizeof hs->proof);
	to_send(hs, COH_FRAME_CLIENT_PROOF, sizeof hs->proof);
	hs->state = STATE_EXPECT_SERVER_PROOF;
	return COH_HANDSHAKE_MORE;
}

/* Session, epoch and the server's proof by secret INDEX, to be sent. */
static int grant(struct coh_handshake *hs, int index, struct cohort_error *err)
{
	unsigned char *epoch = hs->out + COH_HANDSHAKE_SESSION;
	int rc = random_bytes(hs, hs->peer.session, sizeof hs->peer.session);

	hs->peer.epoch = hs->config.epoch;
	memcpy(hs->out, hs->peer.session, sizeof hs->peer.session);
	coh_put_u64(epoch, hs->peer.epoch);
	if (rc == 0)
		rc = make_server_proof(hs, index, epoch + 8);
	if (rc < 0)
		return own_fault(rc, err);
	to_send(hs, COH_FRAME_SERVER_PROOF, SERVER_PROOF_SIZE);
	hs->state = STATE_DONE;
	return COH_HANDSHAKE_DONE;
}

/* Each secret is tried, also after the right one: the time tells nobody which it was. */
static int on_client_proof(struct coh_handshake *hs, struct coh_span body, struct cohort_error *err)
{
	unsigned char want[COH_HASH_SIZE];
	int count = coh_authkey_count(hs->config.key), index = -1;
	int rc = count > 0 ? 0 : COHORT_EKEY;

	for (int i = 0; rc == 0 && i < count; i++) {
		rc = make_client_proof(hs, i, want);
		if (rc == 0 && coh_hmac_equal(body.data, want, sizeof want))
			index = i;
	}
	coh_wipe(want, sizeof want);
	if (rc < 0)
		return own_fault(rc, err);
	if (index < 0)
		return coh_fail(err, COHORT_EAUTH,
		    "the proof of %s is wrong: is the key the same at both ends?", hs->peer.name);
	memcpy(hs->proof, body.data, sizeof hs->proof);
	rc = judge_admission(hs, err);
	return rc < 0 ? rc : grant(hs, index, err);
}

static int on_server_proof(struct coh_handshake *hs, struct coh_span body, struct cohort_error *err)
{
	const unsigned char *epoch = (const unsigned char *)body.data + COH_HANDSHAKE_SESSION;
	unsigned char want[COH_HASH_SIZE];
	bool equal;
	int rc;

	memcpy(hs->peer.session, body.data, sizeof hs->peer.session);
	hs->peer.epoch = coh_get_u64(epoch);
	rc = make_server_proof(hs, DIALS_WITH, want);
	equal = rc == 0 && coh_hmac_equal(epoch + 8, want, sizeof want);
	coh_wipe(want, sizeof want);
	if (rc < 0)
		return own_fault(rc, err);
	if (!equal)
		return coh_fail(err, COHORT_EAUTH,
		    "the proof of %s is wrong: it does not hold the key", hs->peer.name);
	hs->state = STATE_DONE;
	return COH_HANDSHAKE_DONE;
}

/* The peer refused; REFUSE is an answer, never answered. */
static int on_refuse(struct coh_span body, struct cohort_error *err)
{
	const unsigned char *byte = body.data;

	for (size_t i = 0; i < REFUSALS && body.size == 1; i++)
		if (refusals[i].byte == *byte)
			return coh_fail(err, refusals[i].code, "it refused: %s", refusals[i].sentence);
	return coh_fail(err, COHORT_EPROTOCOL, "it refused with a code that has no meaning");
}

static const struct step *step_of(int state)
{
	const struct step *s = &steps[state];

	return s->run != NULL ? s : NULL;
}

/* Is F what this state waits for, to the last field of its header? */
static int judge_frame(
    const struct coh_handshake *hs, const struct coh_frame *f, struct cohort_error *err)
{
	const struct step *s = step_of(hs->state);

	if (s == NULL)
		return coh_fail(err, COHORT_EPROTOCOL, "a %s came after the end of it",
		    coh_frame_name(f->type));
	if (f->channel != 0 || f->flags != 0 || f->id != 0)
		return coh_fail(err, COHORT_EPROTOCOL,
		    "a %s came with fields set that must be 0", coh_frame_name(f->type));
	if (f->type == COH_FRAME_REFUSE)
		return 0;
	if (f->type != s->type)
		return coh_fail(err, COHORT_EPROTOCOL, "a %s came where a %s was due",
		    coh_frame_name(f->type), coh_frame_name(s->type));
	if (f->length < s->min || f->length > s->max)
		return coh_fail(err, COHORT_EPROTOCOL, "a %s of %u bytes came, allowed are %u to %u",
		    coh_frame_name(f->type), (unsigned)f->length, (unsigned)s->min, (unsigned)s->max);
	return 0;
}

/* Ended for CODE: forget what was under way and leave a REFUSE, if the peer should hear one. */
static void fail_with(struct coh_handshake *hs, int code, bool tell)
{
	to_send(hs, 0, 0);
	coh_wipe(&hs->peer, sizeof hs->peer);
	coh_wipe(hs->proof, sizeof hs->proof);
	coh_wipe(hs->out, sizeof hs->out);
	hs->state = STATE_FAILED;
	if (tell) {
		hs->out[0] = (unsigned char)(hs->name_taken ? COH_REFUSE_NAME
							    : coh_handshake_refusal(code));
		to_send(hs, COH_FRAME_REFUSE, 1);
	}
}

/*
 * After its proof a client hears nothing of failures: the server has let it in by then, or
 * is none.  A server that is done may still take back what it has not sent.
 */
static bool peer_listens(const struct coh_handshake *hs, const struct coh_frame *f)
{
	if (f->type == COH_FRAME_REFUSE)
		return false;
	return hs->state == STATE_EXPECT_CLIENT_HELLO || hs->state == STATE_EXPECT_CLIENT_PROOF ||
	    hs->state == STATE_EXPECT_SERVER_HELLO || (hs->state == STATE_DONE && hs->out_type != 0);
}

int coh_handshake_feed(struct coh_handshake *hs, const struct coh_frame *f, const void *body,
    struct cohort_error *err)
{
	const struct coh_span span = {body, f->length};
	bool tell = peer_listens(hs, f);
	int rc = judge_frame(hs, f, err);

	if (rc == 0)
		rc = f->type == COH_FRAME_REFUSE ? on_refuse(span, err)
						 : step_of(hs->state)->run(hs, span, err);
	if (rc >= 0)
		return rc;
	fail_with(hs, rc, tell);
	return coh_fail_in(err, rc, "handshake with %s", peer_words(hs));
}

const void *coh_handshake_output(struct coh_handshake *hs, struct coh_frame *f)
{
	if (hs->out_type == 0)
		return NULL;
	*f = (struct coh_frame){.type = hs->out_type, .length = (uint32_t)hs->out_size};
	hs->out_type = 0;
	return hs->out;
}

static int judge_config(const struct coh_handshake_config *c, struct cohort_error *err)
{
	size_t n = strlen(c->address);

	if (!coh_name_valid(c->cluster, strlen(c->cluster)))
		return coh_fail(err, COHORT_ENAME, "cluster \"%.64s\": %s", c->cluster,
		    cohort_strerror(COHORT_ENAME));
	if (!coh_name_valid(c->name, strlen(c->name)))
		return coh_fail(err, COHORT_ENAME, "name \"%.64s\": %s", c->name,
		    cohort_strerror(COHORT_ENAME));
	if (n == 0 || n > COH_HANDSHAKE_ADDRESS_MAX)
		return coh_fail(err, COHORT_EADDRESS, "handshake: an address of %zu bytes, allowed are 1 to %d",
		    n, COH_HANDSHAKE_ADDRESS_MAX);
	if (c->version_min < 1 || c->version_min > c->version_max)
		return coh_fail(err, COHORT_EARGUMENT, "handshake: versions %u to %u", c->version_min,
		    c->version_max);
	if (c->inside)
		return 0;
	if (c->key == NULL)
		return coh_fail(err, COHORT_EKEY,
		    "handshake: there is no key, and certificates count in TLS only; name a key file");
	return coh_authkey_prk(c->key, DIALS_WITH, err) != NULL ? 0 : COHORT_EKEY;
}

/* The first word is the client's. */
static int begin_client(struct coh_handshake *hs)
{
	struct coh_hello ours;
	int rc = random_bytes(hs, hs->nonce, sizeof hs->nonce);

	if (rc < 0)
		return rc;
	own_hello(hs, &ours);
	to_send(hs, COH_FRAME_CLIENT_HELLO, coh_hello_encode(&ours, COH_HANDSHAKE_CLIENT, hs->out));
	hs->state = STATE_EXPECT_SERVER_HELLO;
	return 0;
}

int coh_handshake_init(struct coh_handshake *hs, const struct coh_handshake_config *config,
    struct cohort_error *err)
{
	int rc = 0;

	memset(hs, 0, sizeof *hs);
	hs->config = *config;
	if (config->version_min == 0 && config->version_max == 0)
		hs->config.version_min = hs->config.version_max = COH_HANDSHAKE_VERSION;
	rc = judge_config(&hs->config, err);
	if (rc < 0)
		return rc;
	hs->state = STATE_EXPECT_CLIENT_HELLO;
	if (config->role == COH_HANDSHAKE_CLIENT)
		rc = begin_client(hs);
	return rc < 0 ? coh_fail(err, rc, "handshake with %s: no random bytes", peer_words(hs)) : 0;
}

void coh_handshake_fini(struct coh_handshake *hs)
{
	coh_wipe(hs, sizeof *hs);
}
