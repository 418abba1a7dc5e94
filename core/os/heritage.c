/*
 * heritage.c - the struct of everything a child inherits, to bytes and back.  Pure.
 *
 *    0  4  magic "CohH"       8  1  role     10  1  daemon         12  4  log level
 *    4  4  version            9  1  start    11  1  fds present    16  4  parent pid
 *   20     name, task, args, work: each a u32 length and its bytes; the first two with a
 *          closing NUL, so that the struct can lend them.
 *          a u32 count of shares; of each its name as above and a u8 count of its descriptors.
 *          Nothing may follow.
 *
 * The descriptors come in the order of their bits, then those of each share.
 *
 * Trusted by inheritance, and checked all the same: the exec'd child cannot tell a memory
 * file of its parent from a descriptor somebody left open under that number.
 */
#include "os/heritage.h"

#include "base/name.h"

#include <limits.h>
#include <string.h>

#define MAGIC 0x436f6848u
#define VERSION 2u

static int put_block(struct coh_buf *out, const void *p, size_t n)
{
	int rc;

	if (n > COHORT_MESSAGE_MAX)
		return COHORT_ETOOBIG;
	rc = coh_buf_put_u32(out, (uint32_t)n);
	return rc != 0 ? rc : coh_buf_put(out, p, n);
}

static int put_text(struct coh_buf *out, const char *s)
{
	size_t n = strlen(s);

	return n > COH_HERITAGE_NAME ? COHORT_EARGUMENT : put_block(out, s, n + 1);
}

static unsigned fds_present(const struct coh_heritage *h)
{
	unsigned bits = 0;

	for (int i = 0; i < COH_HERITAGE_FDS; i++)
		if (h->fd[i] >= 0)
			bits |= 1u << i;
	return bits;
}

static int put_head(struct coh_buf *out, const struct coh_heritage *h)
{
	unsigned char head[20];

	coh_put_u32(head, MAGIC);
	coh_put_u32(head + 4, VERSION);
	head[8] = (unsigned char)h->role;
	head[9] = (unsigned char)h->start;
	head[10] = h->daemon;
	head[11] = (unsigned char)fds_present(h);
	coh_put_u32(head + 12, (uint32_t)h->log_level);
	coh_put_u32(head + 16, (uint32_t)h->parent);
	return coh_buf_put(out, head, sizeof head);
}

static bool share_valid(const struct coh_heritage_share *s)
{
	return coh_name_valid(s->name, strnlen(s->name, COH_NAME_MAX + 1)) && s->n >= 1 &&
	    s->n <= COH_HERITAGE_SHARE_FDS;
}

static int put_shares(struct coh_buf *out, const struct coh_heritage *h)
{
	int rc;

	if (h->shares < 0 || h->shares > COH_HERITAGE_SHARES)
		return COHORT_EARGUMENT;
	rc = coh_buf_put_u32(out, (uint32_t)h->shares);
	for (int i = 0; rc == 0 && i < h->shares; i++) {
		if (!share_valid(&h->share[i]))
			return COHORT_EARGUMENT;
		rc = put_text(out, h->share[i].name);
		if (rc == 0)
			rc = coh_buf_put_u8(out, (uint8_t)h->share[i].n);
	}
	return rc;
}

int coh_heritage_fds(const struct coh_heritage *h, int fds[COH_HERITAGE_ALL_FDS])
{
	int n = 0;

	for (int i = 0; i < COH_HERITAGE_FDS; i++)
		if (h->fd[i] >= 0)
			fds[n++] = h->fd[i];
	for (int i = 0; i < h->shares; i++)
		for (int k = 0; k < h->share[i].n; k++)
			fds[n++] = h->share[i].fd[k];
	return n;
}

int coh_heritage_encode(const struct coh_heritage *h, struct coh_buf *out,
    int fds[COH_HERITAGE_ALL_FDS], int *nfds)
{
	int rc = put_head(out, h);

	if (rc == 0)
		rc = put_text(out, h->name);
	if (rc == 0)
		rc = put_text(out, h->task);
	if (rc == 0)
		rc = put_block(out, h->args, h->args_size);
	if (rc == 0)
		rc = put_block(out, h->work, h->work_size);
	if (rc == 0)
		rc = put_shares(out, h);
	*nfds = rc == 0 ? coh_heritage_fds(h, fds) : 0;
	return rc;
}

/* What remains to be read; `bad` once anything was out of order. */
struct reader {
	const unsigned char *p;
	size_t left;
	bool bad;
};

static const unsigned char *take(struct reader *r, size_t n)
{
	const unsigned char *p = r->p;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static uint32_t take_u32(struct reader *r)
{
	const unsigned char *p = take(r, 4);

	return p != NULL ? coh_get_u32(p) : 0;
}

static int take_byte(struct reader *r, int max)
{
	const unsigned char *p = take(r, 1);

	if (p == NULL || *p > max) {
		r->bad = true;
		return 0;
	}
	return *p;
}

static const void *take_block(struct reader *r, size_t *n)
{
	*n = take_u32(r);
	return take(r, *n);
}

static const char *take_text(struct reader *r)
{
	size_t n;
	const char *s = take_block(r, &n);

	if (s == NULL || n == 0 || n > COH_HERITAGE_NAME + 1 || strnlen(s, n) != n - 1) {
		r->bad = true;
		return "";
	}
	return s;
}

static int take_int(struct reader *r)
{
	uint32_t v = take_u32(r);

	if (v > INT_MAX)
		r->bad = true;
	return r->bad ? 0 : (int)v;
}

static void take_shares(struct reader *r, struct coh_heritage *h)
{
	uint32_t count = take_u32(r);

	if (count > COH_HERITAGE_SHARES)
		r->bad = true;
	for (h->shares = 0; !r->bad && (uint32_t)h->shares < count; h->shares++) {
		struct coh_heritage_share *s = &h->share[h->shares];

		s->name = take_text(r);
		s->n = take_byte(r, COH_HERITAGE_SHARE_FDS);
		if (!r->bad && !share_valid(s))
			r->bad = true;
	}
}

/* Deal the N descriptors out to the places that BITS names, and to the shares. */
static bool deal_fds(struct coh_heritage *h, int bits, const int *fds, int n)
{
	int used = 0;

	for (int i = 0; i < COH_HERITAGE_FDS; i++) {
		h->fd[i] = -1;
		if ((bits >> i & 1) == 0)
			continue;
		if (used == n)
			return false;
		h->fd[i] = fds[used++];
	}
	for (int i = 0; i < h->shares; i++)
		for (int k = 0; k < h->share[i].n; k++) {
			if (used == n)
				return false;
			h->share[i].fd[k] = fds[used++];
		}
	return used == n;
}

int coh_heritage_decode(struct coh_heritage *h, const void *data, size_t size, const int *fds,
    int nfds)
{
	struct reader r = {.p = data, .left = size};
	struct coh_heritage out = COH_HERITAGE_INIT;
	int bits;

	if (take_u32(&r) != MAGIC || take_u32(&r) != VERSION)
		return COHORT_EPROTOCOL;
	out.role = (enum coh_role)take_byte(&r, COH_ROLE_WORKER);
	out.start = (enum cohort_start)take_byte(&r, COHORT_START_FORK);
	out.daemon = take_byte(&r, 1) != 0;
	bits = take_byte(&r, (1 << COH_HERITAGE_FDS) - 1);
	out.log_level = take_int(&r);
	out.parent = take_int(&r);
	out.name = take_text(&r);
	out.task = take_text(&r);
	out.args = take_block(&r, &out.args_size);
	out.work = take_block(&r, &out.work_size);
	take_shares(&r, &out);
	if (r.bad || r.left != 0 || out.role == 0 || !deal_fds(&out, bits, fds, nfds))
		return COHORT_EPROTOCOL;
	*h = out;
	return 0;
}
