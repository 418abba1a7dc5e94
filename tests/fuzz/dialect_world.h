/*
 * dialect_world.h - one end of Python's handshake, fed messages that the fuzzer makes.
 *
 * Input: one byte (odd: MD5 is allowed), then messages of length(2, big-endian) body; the last may be
 * cut.  Our key is 00..1f and our random bytes are 11, so that a seed can hold a whole valid handshake.
 * What must hold whatever comes:
 *   - a failure has a code, a sentence, and lasts: every later message is COHORT_EPROTOCOL;
 *   - what is sent fits CPython's 256 bytes; after a failure it is #FAILURE# or nothing;
 *   - a challenge is answered only if it is 20 to 245 bytes long and not our own;
 *   - it ends well only on an answer that is right by an HMAC made here, and in MD5 only if allowed.
 */
#include "base/object.h"
#include "python/dialect.h"
#include "trust/authkey.h"

#include <string.h>

struct world {
	struct coh_dialect d;
	struct cohort_key *key;
	int ended; /* 0, or the failure */
	bool done, proved;
};

/* A message of the fuzzer's. */
struct piece {
	size_t size;
	const unsigned char *body;
};

static int world_random(void *out, size_t n, void *arg)
{
	(void)arg;
	memset(out, 0x11, n);
	return 0;
}

static void world_open(struct world *w, enum coh_handshake_role own, bool md5)
{
	unsigned char secret[32];
	struct coh_dialect_config c = {
	    .role = own, .md5 = md5, .peer = "the fuzzer", .random = world_random};

	for (unsigned i = 0; i < sizeof secret; i++)
		secret[i] = (unsigned char)i;
	memset(w, 0, sizeof *w);
	COH_ASSERT(cohort_key_new_python(&w->key, secret, sizeof secret, NULL) == 0);
	c.key = w->key;
	COH_ASSERT(coh_dialect_init(&w->d, &c, NULL) == 0);
}

static void world_close(struct world *w)
{
	coh_dialect_fini(&w->d);
	cohort_key_free(w->key);
}

/* The next message of the input; false at its end. */
static bool world_next(const uint8_t **data, size_t *size, struct piece *p)
{
	size_t n;

	if (*size < 2)
		return false;
	n = (size_t)(*data)[0] << 8 | (*data)[1];
	n = n < *size - 2 ? n : *size - 2;
	*p = (struct piece){n, *data + 2};
	*data += 2 + n;
	*size -= 2 + n;
	return n <= COH_DIALECT_MESSAGE_MAX;
}

static bool starts(const struct piece *p, const char *text)
{
	return p->size >= strlen(text) && memcmp(p->body, text, strlen(text)) == 0;
}

static void world_check_sent(struct world *w, const struct piece *p)
{
	size_t n;
	const unsigned char *out = coh_dialect_output(&w->d, &n);

	if (out == NULL)
		return;
	COH_ASSERT(n <= COH_DIALECT_MESSAGE_MAX);
	COH_ASSERT(coh_dialect_output(&w->d, &n) == NULL);
	if (w->ended != 0)
		COH_ASSERT(memcmp(out, "#FAILURE#", 9) == 0);
	else if (p != NULL && starts(p, "#CHALLENGE#")) {
		COH_ASSERT(p->size >= 11 + 20 && p->size <= 11 + 245);
		COH_ASSERT(p->size != 11 + sizeof w->d.challenge ||
		    memcmp(p->body + 11, w->d.challenge, sizeof w->d.challenge) != 0 || w->proved);
	}
}

/* P was taken as the answer to our challenge: it must be one, by arithmetic done here. */
static void world_check_answer(const struct world *w, const struct piece *p)
{
	static const char *const names[][2] = {{"{sha256}", "SHA256"}, {"{sha384}", "SHA384"},
	    {"{sha3_256}", "SHA3-256"}, {"{sha3_384}", "SHA3-384"}, {"{md5}", "MD5"}, {"", "MD5"}};
	struct coh_span secret, challenge = {w->d.challenge, sizeof w->d.challenge};
	unsigned char mac[COH_HMAC_MAX];
	size_t i = 0, at;
	int n;

	COH_ASSERT(coh_authkey_secret(w->key, 0, &secret, NULL) == 0);
	while (!starts(p, names[i][0]))
		i++;
	at = strlen(names[i][0]);
	n = coh_hmac_sign_by(names[i][1], secret, challenge, mac);
	COH_ASSERT(n > 0 && p->size == at + (size_t)n && memcmp(p->body + at, mac, (size_t)n) == 0);
	COH_ASSERT(w->d.config.md5 || strcmp(names[i][1], "MD5") != 0);
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
	if (coh_dialect_proved(&w->d) && !w->proved)
		world_check_answer(w, p);
	w->proved = coh_dialect_proved(&w->d);
	w->done = rc == COH_HANDSHAKE_DONE;
	COH_ASSERT(!w->done || w->proved);
}

/* How one message is given to the machine; a planted bug replaces it. */
typedef int (*world_feed_fn)(struct world *w, const struct piece *p, struct cohort_error *err);

static inline int world_feed(struct world *w, const struct piece *p, struct cohort_error *err)
{
	return coh_dialect_feed(&w->d, p->body, p->size, err);
}

/* A bug to plant: the answer is compared without its last 4 bytes. */
static inline int world_feed_careless(
    struct world *w, const struct piece *p, struct cohort_error *err)
{
	/* the end of the one right answer by SHA-256 */
	static const unsigned char end[] = {0x93, 0x0f, 0xaf, 0x3a};
	unsigned char whole[8 + COH_HASH_SIZE];

	if (p->size != sizeof whole || !starts(p, "{sha256}"))
		return world_feed(w, p, err);
	memcpy(whole, p->body, sizeof whole - sizeof end);
	memcpy(whole + sizeof whole - sizeof end, end, sizeof end);
	return world_feed(w, &(struct piece){sizeof whole, whole}, err);
}

static void world_run(
    enum coh_handshake_role own, world_feed_fn feed, const uint8_t *data, size_t size)
{
	struct world w;
	struct piece p;

	if (size == 0)
		return;
	world_open(&w, own, *data++ & 1);
	size--;
	world_check_sent(&w, NULL);
	while (world_next(&data, &size, &p)) {
		struct cohort_error err = {0};

		world_judge(&w, &p, feed(&w, &p, &err), &err);
		world_check_sent(&w, &p);
	}
	world_close(&w);
}
