/* test_heritage.c - what a child inherits survives the journey, and nothing else is believed. */
#include "os/heritage.h"

#include "base/name.h"
#include "os/fd.h"
#include "support/test.h"

#include <cohort/error.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct coh_heritage sample(void)
{
	struct coh_heritage h = COH_HERITAGE_INIT;

	h.role = COH_ROLE_WORKER;
	h.start = COHORT_START_SPAWN;
	h.daemon = true;
	h.log_level = 3;
	h.parent = 4711;
	h.name = "worker 3";
	h.task = "square";
	h.args = "\0image";
	h.args_size = 6;
	h.work = "blob";
	h.work_size = 4;
	h.fd[COH_HERITAGE_CONN] = 10;
	h.fd[COH_HERITAGE_PROGRAM] = 12;
	h.shares = 2;
	h.share[0] = (struct coh_heritage_share){.name = "jobs", .n = 3, .fd = {13, 14, 15}};
	h.share[1] = (struct coh_heritage_share){.name = "lock", .n = 1, .fd = {16}};
	return h;
}

static void encode(const struct coh_heritage *h, struct coh_buf *b, int fds[COH_HERITAGE_ALL_FDS], int *n)
{
	coh_buf_init(b, COH_HERITAGE_MAX);
	REQUIRE_EQ(coh_heritage_encode(h, b, fds, n), 0);
}

TEST(heritage, comes_out_as_it_went_in)
{
	struct coh_heritage in = sample(), out;
	int fds[COH_HERITAGE_ALL_FDS], n, arrived[] = {20, 21, 22, 23, 24, 25};
	struct coh_buf b;

	encode(&in, &b, fds, &n);
	REQUIRE_EQ(n, 6);
	CHECK(fds[0] == 10 && fds[1] == 12 && fds[2] == 13 && fds[5] == 16);
	REQUIRE_EQ(coh_heritage_decode(&out, coh_buf_peek(&b), coh_buf_len(&b), arrived, 6), 0);
	CHECK(out.role == in.role && out.start == in.start && out.daemon);
	CHECK(out.log_level == 3 && out.parent == 4711);
	CHECK_STR(out.name, "worker 3");
	CHECK_STR(out.task, "square");
	CHECK(out.args_size == 6 && memcmp(out.args, "\0image", 6) == 0);
	CHECK(out.work_size == 4 && memcmp(out.work, "blob", 4) == 0);
	CHECK_EQ(out.fd[COH_HERITAGE_CONN], 20);
	CHECK_EQ(out.fd[COH_HERITAGE_STATUS], -1);
	CHECK_EQ(out.fd[COH_HERITAGE_PROGRAM], 21);
	REQUIRE_EQ(out.shares, 2);
	CHECK_STR(out.share[0].name, "jobs");
	CHECK(out.share[0].n == 3 && out.share[0].fd[0] == 22 && out.share[0].fd[2] == 24);
	CHECK_STR(out.share[1].name, "lock");
	CHECK(out.share[1].n == 1 && out.share[1].fd[0] == 25);
	coh_buf_fini(&b);
}

TEST(heritage, cut_at_any_byte_or_longer_is_refused)
{
	struct coh_heritage in = sample(), out;
	int fds[COH_HERITAGE_ALL_FDS], n;
	struct coh_buf b;

	encode(&in, &b, fds, &n);
	for (size_t size = 0; size < coh_buf_len(&b); size++)
		CHECK_EQ(coh_heritage_decode(&out, coh_buf_peek(&b), size, fds, n),
		    COHORT_EPROTOCOL);
	REQUIRE_EQ(coh_buf_put_u8(&b, 0), 0);
	CHECK_EQ(coh_heritage_decode(&out, coh_buf_peek(&b), coh_buf_len(&b), fds, n),
	    COHORT_EPROTOCOL);
	coh_buf_fini(&b);
}

TEST(heritage, too_few_or_too_many_descriptors_are_refused)
{
	struct coh_heritage in = sample(), out;
	int fds[COH_HERITAGE_ALL_FDS] = {0}, n;
	struct coh_buf b;

	encode(&in, &b, fds, &n);
	CHECK_EQ(coh_heritage_decode(&out, coh_buf_peek(&b), coh_buf_len(&b), fds, 5),
	    COHORT_EPROTOCOL);
	CHECK_EQ(coh_heritage_decode(&out, coh_buf_peek(&b), coh_buf_len(&b), fds, 7),
	    COHORT_EPROTOCOL);
	coh_buf_fini(&b);
}

static size_t shares_length(const struct coh_heritage *h)
{
	size_t n = 0;

	CHECK(h->shares >= 0 && h->shares <= COH_HERITAGE_SHARES);
	for (int i = 0; i < h->shares; i++) {
		CHECK(h->share[i].n >= 1 && h->share[i].n <= COH_HERITAGE_SHARE_FDS);
		n += strlen(h->share[i].name);
	}
	return n;
}

/* Whatever one byte becomes: either refused, or still inside its bounds. */
TEST(heritage, a_changed_byte_never_leads_outside)
{
	struct coh_heritage in = sample(), out;
	int fds[COH_HERITAGE_ALL_FDS] = {0}, n;
	struct coh_buf b;

	encode(&in, &b, fds, &n);
	for (size_t i = 0; i < coh_buf_len(&b); i++)
		for (int value = 0; value < 256; value++) {
			unsigned char was = b.data[b.head + i];

			b.data[b.head + i] = (unsigned char)value;
			if (coh_heritage_decode(&out, coh_buf_peek(&b), coh_buf_len(&b), fds, n) == 0)
				CHECK(strlen(out.name) + strlen(out.task) + out.args_size +
					out.work_size + shares_length(&out) < coh_buf_len(&b));
			b.data[b.head + i] = was;
		}
	coh_buf_fini(&b);
}

TEST(heritage, names_are_bounded)
{
	char name[COH_HERITAGE_NAME + 2];
	struct coh_heritage h = COH_HERITAGE_INIT;
	int fds[COH_HERITAGE_ALL_FDS], n;
	struct coh_buf b;

	memset(name, 'x', sizeof name);
	name[COH_HERITAGE_NAME + 1] = '\0';
	h.name = name;
	coh_buf_init(&b, COH_HERITAGE_MAX);
	CHECK_EQ(coh_heritage_encode(&h, &b, fds, &n), COHORT_EARGUMENT);
	coh_buf_fini(&b);
}

TEST(heritage, as_many_shares_as_there_may_be_come_through)
{
	struct coh_heritage in = COH_HERITAGE_INIT, out;
	int fds[COH_HERITAGE_ALL_FDS], n;
	char names[COH_HERITAGE_SHARES][COH_NAME_MAX + 1];
	struct coh_buf b;

	for (in.shares = 0; in.shares < COH_HERITAGE_SHARES; in.shares++) {
		snprintf(names[in.shares], sizeof names[0], "%064d", in.shares);
		in.share[in.shares] =
		    (struct coh_heritage_share){.name = names[in.shares], .n = 3, .fd = {7, 8, in.shares}};
	}
	encode(&in, &b, fds, &n);
	CHECK_EQ(n, COH_HERITAGE_SHARES * COH_HERITAGE_SHARE_FDS);
	CHECK(n + COH_HERITAGE_FDS + 2 <= COH_FD_PASS);
	REQUIRE_EQ(coh_heritage_decode(&out, coh_buf_peek(&b), coh_buf_len(&b), fds, n), 0);
	REQUIRE_EQ(out.shares, COH_HERITAGE_SHARES);
	for (int i = 0; i < out.shares; i++) {
		CHECK_STR(out.share[i].name, names[i]);
		CHECK_EQ(out.share[i].fd[2], i);
	}
	coh_buf_fini(&b);
}

TEST(heritage, shares_out_of_their_bounds_are_refused)
{
	static const struct coh_heritage_share bad[] = {{.name = "", .n = 1}, {.name = "a/b", .n = 1},
	    {.name = "a", .n = 0}, {.name = "a", .n = COH_HERITAGE_SHARE_FDS + 1}, {.name = "a", .n = -1}};
	int fds[COH_HERITAGE_ALL_FDS], n;
	struct coh_heritage h;
	struct coh_buf b;

	coh_buf_init(&b, COH_HERITAGE_MAX);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		h = sample();
		h.share[1] = bad[i];
		CHECK_EQ(coh_heritage_encode(&h, &b, fds, &n), COHORT_EARGUMENT);
		CHECK_EQ(n, 0);
	}
	h = sample();
	h.shares = COH_HERITAGE_SHARES + 1;
	CHECK_EQ(coh_heritage_encode(&h, &b, fds, &n), COHORT_EARGUMENT);
	h.shares = -1;
	CHECK_EQ(coh_heritage_encode(&h, &b, fds, &n), COHORT_EARGUMENT);
	coh_buf_fini(&b);
}

static int encode_once(void *arg)
{
	struct coh_heritage h = sample();
	int fds[COH_HERITAGE_ALL_FDS], n, rc;
	struct coh_buf b;

	(void)arg;
	coh_buf_init(&b, COH_HERITAGE_MAX);
	rc = coh_heritage_encode(&h, &b, fds, &n);
	coh_buf_fini(&b);
	return rc;
}

TEST(heritage, encoding_survives_the_lack_of_memory)
{
	test_every_allocation(encode_once, NULL);
}
