/*
 * dialect.c - the proof of the key as CPython does it, as one table: state -> what may come.
 *
 *   listener   EXPECT_ANSWER -> EXPECT_CHALLENGE -> EXPECT_WELCOME -> DONE
 *   client     EXPECT_CHALLENGE -> EXPECT_WELCOME -> EXPECT_ANSWER -> DONE
 *   any        -> FAILED, and stays there
 *
 * The rule that matters: a challenge that this process has itself sent, and has no answer to yet, is
 * never answered.  Without it a rogue that holds no key shows one of our connections what another one
 * asked, and passes the answer on.  Between processes the protocol cannot be mended.
 *
 * Each way to fail, and the code it ends in:
 *   another message than the one due, a challenge too short, too long or without a name  EPROTOCOL
 *   a digest we do not speak, or MD5 that was not allowed                                EAUTH
 *   a wrong answer; our answer is not welcome; our own challenge comes back              EAUTH
 * Only a wrong answer is told the peer (#FAILURE#); in the other cases CPython closes too.
 *
 * Rejected: keeping challenges that were answered (their answer is of no use to anybody any more), and a
 * hash over the list (it holds no more than there are strangers, and comparing costs nanoseconds).
 */
#include "python/dialect.h"

#include "base/err.h"
#include "trust/authkey.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define TAG_CHALLENGE "#CHALLENGE#"
#define TAG_WELCOME "#WELCOME#"
#define TAG_FAILURE "#FAILURE#"
#define TAG_SIZE (sizeof TAG_CHALLENGE - 1)
#define OWN_PREFIX "{sha256}" /* of our challenges */

/* The two sizes by which a message is of the old dialect. */
#define LEGACY_CHALLENGE 20
#define LEGACY_ANSWER 16

enum state {
	STATE_NONE, /* a zeroed struct: refuses everything */
	STATE_EXPECT_CHALLENGE,
	STATE_EXPECT_ANSWER,
	STATE_EXPECT_WELCOME,
	STATE_DONE,
	STATE_FAILED,
};

/* What CPython may name in braces.  The first stands for the old dialect as well. */
static const struct digest {
	const char *prefix, *openssl;
} digests[] = {
    {"{md5}", "MD5"},
    {"{sha256}", "SHA256"},
    {"{sha384}", "SHA384"},
    {"{sha3_256}", "SHA3-256"},
    {"{sha3_384}", "SHA3-384"},
};
#define MD5 (&digests[0])

static pthread_mutex_t outstanding_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, coh_dialect) outstanding = LIST_HEAD_INITIALIZER(
    outstanding); /* guarded by it */

static void outstanding_add(struct coh_dialect *d)
{
	pthread_mutex_lock(&outstanding_lock);
	LIST_INSERT_HEAD(&outstanding, d, link);
	d->outstanding = true;
	pthread_mutex_unlock(&outstanding_lock);
}

static void outstanding_remove(struct coh_dialect *d)
{
	if (!d->outstanding)
		return;
	pthread_mutex_lock(&outstanding_lock);
	LIST_REMOVE(d, link);
	d->outstanding = false;
	pthread_mutex_unlock(&outstanding_lock);
}

static bool outstanding_has(struct coh_span challenge)
{
	const struct coh_dialect *d;
	bool found = false;

	pthread_mutex_lock(&outstanding_lock);
	LIST_FOREACH(d, &outstanding, link)
	if (challenge.size == sizeof d->challenge &&
	    memcmp(challenge.data, d->challenge, sizeof d->challenge) == 0)
		found = true;
	pthread_mutex_unlock(&outstanding_lock);
	return found;
}

static int fail(struct coh_dialect *d, struct cohort_error *err, int code, const char *why)
{
	return coh_fail(err, code, "Python's handshake with %s: %s", d->config.peer, why);
}

static void to_send(struct coh_dialect *d, const char *tag, const void *more, size_t size)
{
	size_t n = strlen(tag);

	memcpy(d->out, tag, n);
	if (size != 0)
		memcpy(d->out + n, more, size);
	d->out_size = n + size;
}

/* The digest that the N bytes at P name at their beginning, or NULL. */
static const struct digest *digest_named(const char *p, size_t n)
{
	for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
		size_t length = strlen(digests[i].prefix);

		if (n >= length && memcmp(p, digests[i].prefix, length) == 0)
			return &digests[i];
	}
	return NULL;
}

/* May we speak DIGEST (NULL: none that we know)?  WHAT uses it. */
static int digest_check(
    struct coh_dialect *d, const struct digest *digest, const char *what, struct cohort_error *err)
{
	char why[192];

	if (digest != NULL && (digest != MD5 || d->config.md5))
		return 0;
	if (digest != NULL)
		snprintf(why, sizeof why,
		    "%s uses MD5, as Python 3.11 and older do; allow it with the option python_md5 "
		    "(--python-md5), or use Python 3.12 or later",
		    what);
	else
		snprintf(why, sizeof why,
		    "%s names no digest; allowed are sha256, sha384, sha3_256 and sha3_384", what);
	return fail(d, err, COHORT_EAUTH, why);
}

/* HMAC of MESSAGE by DIGEST under secret KEY: how many bytes at OUT, or a code. */
static int sign(struct coh_dialect *d, const struct digest *digest, int key,
    struct coh_span message, unsigned char out[COH_HMAC_MAX], struct cohort_error *err)
{
	struct coh_span secret;
	int n = coh_authkey_secret(d->config.key, key, &secret, err);

	if (n < 0)
		return coh_fail_in(err, n, "Python's handshake with %s", d->config.peer);
	n = coh_hmac_sign_by(digest->openssl, secret, message, out);
	return n < 0 ? fail(d, err, n, cohort_strerror(n)) : n;
}

static int challenge_send(struct coh_dialect *d, struct cohort_error *err)
{
	const struct coh_dialect_config *c = &d->config;
	unsigned char *random = d->challenge + sizeof OWN_PREFIX - 1;
	size_t n = sizeof d->challenge - (sizeof OWN_PREFIX - 1);
	int rc;

	memcpy(d->challenge, OWN_PREFIX, sizeof OWN_PREFIX - 1);
	rc = c->random != NULL ? c->random(random, n, c->random_arg) : coh_random_bytes(random, n);
	if (rc != 0)
		return fail(d, err, rc, "the system gives no random bytes");
	to_send(d, TAG_CHALLENGE, d->challenge, sizeof d->challenge);
	outstanding_add(d);
	d->state = STATE_EXPECT_ANSWER;
	return COH_HANDSHAKE_MORE;
}

/* The peer's challenge: which digest must answer it?  NULL with ERR filled; *RC is why. */
static const struct digest *challenge_judge(
    struct coh_dialect *d, struct coh_span m, int *rc, struct cohort_error *err)
{
	const struct digest *digest = MD5;
	char why[96];

	if (m.size < LEGACY_CHALLENGE || m.size > COH_DIALECT_MESSAGE_MAX - TAG_SIZE) {
		snprintf(
		    why, sizeof why, "a challenge of %zu bytes, allowed are 20 to 245", m.size);
		*rc = fail(d, err, COHORT_EPROTOCOL, why);
		return NULL;
	}
	if (m.size != LEGACY_CHALLENGE)
		digest = digest_named(m.data, m.size);
	if (digest == NULL) {
		*rc = fail(d, err, COHORT_EPROTOCOL,
		    "a challenge without the name of a digest; known are {sha256}, {sha384}, "
		    "{sha3_256}, "
		    "{sha3_384} and {md5}");
		return NULL;
	}
	*rc = digest_check(d, digest, "its challenge", err);
	if (*rc == 0 && outstanding_has(m))
		*rc = fail(d, err, COHORT_EAUTH,
		    "its challenge is one that this process has sent: it dialled itself, or "
		    "somebody "
		    "reflects it");
	return *rc == 0 ? digest : NULL;
}

static int on_challenge(struct coh_dialect *d, struct coh_span body, struct cohort_error *err)
{
	unsigned char mac[COH_HMAC_MAX];
	const struct digest *digest;
	struct coh_span m;
	int n;

	if (body.size < TAG_SIZE || memcmp(body.data, TAG_CHALLENGE, TAG_SIZE) != 0)
		return fail(d, err, COHORT_EPROTOCOL, "#CHALLENGE# was due, another message came");
	m = (struct coh_span){(const char *)body.data + TAG_SIZE, body.size - TAG_SIZE};
	digest = challenge_judge(d, m, &n, err);
	if (digest == NULL)
		return n;
	/* The keys may have been read again since the peer showed which it has. */
	n = sign(d, digest, d->key < coh_authkey_count(d->config.key) ? d->key : 0, m, mac, err);
	if (n < 0)
		return n;
	to_send(d, m.size == LEGACY_CHALLENGE ? "" : digest->prefix, mac, (size_t)n);
	coh_wipe(mac, sizeof mac);
	d->state = STATE_EXPECT_WELCOME;
	return COH_HANDSHAKE_MORE;
}

/*
 * Is MAC right under any of our secrets?  1, 0 or a code; the one it is becomes ours.  All are tried,
 * so that the time does not tell which it was.
 */
static int answer_right(struct coh_dialect *d, const struct digest *digest, struct coh_span mac,
    struct cohort_error *err)
{
	const struct coh_span challenge = {d->challenge, sizeof d->challenge};
	unsigned char want[COH_HMAC_MAX];
	int n = 0, right = 0;

	for (int i = 0; i < coh_authkey_count(d->config.key) && n >= 0; i++) {
		n = sign(d, digest, i, challenge, want, err);
		if (n >= 0 && mac.size == (size_t)n && coh_hmac_equal(mac.data, want, mac.size)) {
			right = 1;
			d->key = i;
		}
	}
	coh_wipe(want, sizeof want);
	return n < 0 ? n : right;
}

static int on_answer(struct coh_dialect *d, struct coh_span body, struct cohort_error *err)
{
	const struct digest *digest = MD5;
	struct coh_span mac = body;
	int rc;

	outstanding_remove(d);
	to_send(d, TAG_FAILURE, NULL, 0);
	if (body.size != LEGACY_ANSWER) {
		digest = digest_named(body.data, body.size);
		if (digest != NULL)
			mac = (struct coh_span){(const char *)body.data + strlen(digest->prefix),
			    body.size - strlen(digest->prefix)};
	}
	rc = digest_check(d, digest, "its answer", err);
	if (rc == 0)
		rc = answer_right(d, digest, mac, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return fail(d, err, COHORT_EAUTH,
		    "its answer to our challenge is wrong: is the key the same at both ends?");
	to_send(d, TAG_WELCOME, NULL, 0);
	d->proved = true;
	d->state = d->config.role == COH_HANDSHAKE_CLIENT ? STATE_DONE : STATE_EXPECT_CHALLENGE;
	return d->state == STATE_DONE ? COH_HANDSHAKE_DONE : COH_HANDSHAKE_MORE;
}

static bool body_is(struct coh_span body, const char *text)
{
	return body.size == strlen(text) && memcmp(body.data, text, body.size) == 0;
}

static int on_welcome(struct coh_dialect *d, struct coh_span body, struct cohort_error *err)
{
	if (body_is(body, TAG_FAILURE))
		return fail(d, err, COHORT_EAUTH,
		    "it does not accept our answer: is the key the same at both ends?");
	if (!body_is(body, TAG_WELCOME))
		return fail(d, err, COHORT_EPROTOCOL, "#WELCOME# was due, another message came");
	if (d->config.role == COH_HANDSHAKE_CLIENT)
		return challenge_send(d, err);
	d->state = STATE_DONE;
	return COH_HANDSHAKE_DONE;
}

static int on_nothing(struct coh_dialect *d, struct coh_span body, struct cohort_error *err)
{
	(void)body;
	return fail(d, err, COHORT_EPROTOCOL, "a message after the end");
}

int coh_dialect_init(
    struct coh_dialect *d, const struct coh_dialect_config *config, struct cohort_error *err)
{
	struct coh_span secret;
	int rc;

	memset(d, 0, sizeof *d);
	d->config = *config;
	rc = coh_authkey_secret(config->key, 0, &secret, err);
	if (rc < 0)
		return coh_fail_in(err, rc, "Python's handshake with %s", config->peer);
	d->state = STATE_EXPECT_CHALLENGE;
	return config->role == COH_HANDSHAKE_SERVER ? challenge_send(d, err) : 0;
}

void coh_dialect_fini(struct coh_dialect *d)
{
	outstanding_remove(d);
	coh_wipe(d, sizeof *d);
}

int coh_dialect_feed(struct coh_dialect *d, const void *p, size_t n, struct cohort_error *err)
{
	static int (*const steps[])(
	    struct coh_dialect *, struct coh_span, struct cohort_error *) = {
	    [STATE_NONE] = on_nothing,
	    [STATE_EXPECT_CHALLENGE] = on_challenge,
	    [STATE_EXPECT_ANSWER] = on_answer,
	    [STATE_EXPECT_WELCOME] = on_welcome,
	    [STATE_DONE] = on_nothing,
	    [STATE_FAILED] = on_nothing,
	};
	int rc;

	d->out_size = 0;
	rc = steps[d->state](d, (struct coh_span){p, n}, err);
	if (rc < 0) {
		outstanding_remove(d);
		d->state = STATE_FAILED;
	}
	return rc;
}

const void *coh_dialect_output(struct coh_dialect *d, size_t *n)
{
	*n = d->out_size;
	d->out_size = 0;
	return *n != 0 ? d->out : NULL;
}

bool coh_dialect_proved(const struct coh_dialect *d)
{
	return d->proved;
}
