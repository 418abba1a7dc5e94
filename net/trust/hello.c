/*
 * hello.c - hellos to bytes and back.
 *
 * What decodes encodes to the same bytes, so there is one spelling of every hello and the
 * transcript cannot be ambiguous.  The reader never goes back: it takes bytes in order and
 * remembers that it ran out, which is asked once, at the end.
 */
#include "trust/hello.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/name.h"
#include "base/object.h"

#include <string.h>

#define FIXED_MAX (4 + 1 + 3 + 2 * COH_HELLO_SUITES + 4 + COH_HANDSHAKE_NONCE + COH_HANDSHAKE_UUID)

_Static_assert(FIXED_MAX + 2 * (1 + COH_HANDSHAKE_NAME_MAX) + 1 + COH_HANDSHAKE_ADDRESS_MAX <=
	COH_HANDSHAKE_BODY_MAX, "the longest hello fits");
_Static_assert(COH_HANDSHAKE_BODY_MAX <= COH_FRAME_STRANGER_MAX, "a stranger's frame fits");
_Static_assert(COH_HANDSHAKE_NAME_MAX == COH_NAME_MAX, "one grammar of names");

static const char magic[4] = {'C', 'O', 'H', '1'};

static unsigned char role_letter(enum coh_handshake_role role)
{
	return role == COH_HANDSHAKE_CLIENT ? 'C' : 'S';
}

static unsigned char *put(unsigned char *to, const void *from, size_t n)
{
	memcpy(to, from, n);
	return to + n;
}

static unsigned char *put_lp(unsigned char *to, const char *text)
{
	size_t n = strlen(text);

	COH_ASSERT(n <= COH_HANDSHAKE_ADDRESS_MAX);
	*to = (unsigned char)n;
	return put(to + 1, text, n);
}

size_t coh_hello_encode(const struct coh_hello *h, enum coh_handshake_role role,
    unsigned char out[COH_HANDSHAKE_BODY_MAX])
{
	unsigned char *to = put(out, magic, sizeof magic);

	COH_ASSERT(h->suite_count <= COH_HELLO_SUITES);
	*to++ = role_letter(role);
	*to++ = h->version_min;
	if (role == COH_HANDSHAKE_CLIENT) {
		*to++ = h->version_max;
		*to++ = h->suite_count;
	}
	for (int i = 0; i < h->suite_count; i++, to += 2)
		coh_put_u16(to, h->suites[i]);
	coh_put_u32(to, h->features);
	to = put(to + 4, h->nonce, sizeof h->nonce);
	to = put(to, h->uuid, sizeof h->uuid);
	to = put_lp(to, h->cluster);
	to = put_lp(to, h->name);
	to = put_lp(to, h->address);
	return (size_t)(to - out);
}

/* Bytes not yet read; `ran_out` once there were fewer than asked for. */
struct cursor {
	const unsigned char *at;
	size_t left;
	bool ran_out;
};

/* The next N bytes into TO, zeros when there are not as many. */
static void take(struct cursor *c, void *to, size_t n)
{
	c->ran_out = c->ran_out || n > c->left;
	if (c->ran_out) {
		memset(to, 0, n);
		return;
	}
	memcpy(to, c->at, n);
	c->at += n;
	c->left -= n;
}

static uint8_t take_u8(struct cursor *c)
{
	uint8_t v;

	take(c, &v, 1);
	return v;
}

/* Length and bytes into TO as a string of at most MAX; false when longer or with a NUL inside. */
static bool take_lp(struct cursor *c, char *to, size_t max)
{
	size_t n = take_u8(c);

	if (n > max)
		return false;
	take(c, to, n);
	to[n] = '\0';
	return c->ran_out || strlen(to) == n;
}

static bool address_valid(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int take_head(struct cursor *c, struct coh_hello *h, enum coh_handshake_role role,
    struct cohort_error *err)
{
	unsigned char head[sizeof magic + 1], pair[2];

	take(c, head, sizeof head);
	/* NOT SECRET: the magic is in PROTOCOL.md */
	if (memcmp(head, magic, sizeof magic) != 0)
		return coh_fail(err, COHORT_EPROTOCOL, "its hello does not begin with COH1");
	if (head[sizeof magic] != role_letter(role))
		return coh_fail(err, COHORT_EPROTOCOL, "its hello is not that of a %s",
		    role == COH_HANDSHAKE_CLIENT ? "client" : "server");
	h->version_min = take_u8(c);
	h->version_max = role == COH_HANDSHAKE_CLIENT ? take_u8(c) : h->version_min;
	h->suite_count = role == COH_HANDSHAKE_CLIENT ? take_u8(c) : 1;
	if (!c->ran_out && (h->version_min == 0 || h->version_min > h->version_max))
		return coh_fail(err, COHORT_EPROTOCOL, "its hello offers versions %u to %u",
		    h->version_min, h->version_max);
	if (!c->ran_out && (h->suite_count == 0 || h->suite_count > COH_HELLO_SUITES))
		return coh_fail(err, COHORT_EPROTOCOL, "its hello offers %u suites, allowed are 1 to %d",
		    h->suite_count, COH_HELLO_SUITES);
	for (int i = 0; i < h->suite_count && !c->ran_out; i++) {
		take(c, pair, sizeof pair);
		h->suites[i] = coh_get_u16(pair);
	}
	return 0;
}

static int take_names(struct cursor *c, struct coh_hello *h, struct cohort_error *err)
{
	bool cluster = take_lp(c, h->cluster, COH_HANDSHAKE_NAME_MAX);
	bool name = cluster && take_lp(c, h->name, COH_HANDSHAKE_NAME_MAX);
	bool address = name && take_lp(c, h->address, COH_HANDSHAKE_ADDRESS_MAX);

	if (c->ran_out)
		return coh_fail(err, COHORT_EPROTOCOL, "its hello is cut short");
	if (!cluster || !coh_name_valid(h->cluster, strlen(h->cluster)))
		return coh_fail(err, COHORT_ENAME, "its cluster: %s", cohort_strerror(COHORT_ENAME));
	if (!name || !coh_name_valid(h->name, strlen(h->name)))
		return coh_fail(err, COHORT_ENAME, "its name: %s", cohort_strerror(COHORT_ENAME));
	if (!address || !address_valid(h->address))
		return coh_fail(err, COHORT_EPROTOCOL, "the address in its hello is none");
	if (c->left != 0)
		return coh_fail(err, COHORT_EPROTOCOL, "%zu bytes follow its hello", c->left);
	return 0;
}

int coh_hello_decode(struct coh_hello *h, enum coh_handshake_role role,
    const struct coh_span *body, struct cohort_error *err)
{
	struct cursor c = {body->data, body->size, false};
	unsigned char word[4];
	int rc;

	memset(h, 0, sizeof *h);
	rc = take_head(&c, h, role, err);
	if (rc < 0)
		return rc;
	take(&c, word, sizeof word);
	h->features = coh_get_u32(word);
	take(&c, h->nonce, sizeof h->nonce);
	take(&c, h->uuid, sizeof h->uuid);
	return take_names(&c, h, err);
}
