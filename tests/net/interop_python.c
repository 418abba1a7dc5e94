/*
 * interop_python.c - unmodified CPythons as peers, in both roles, every version on this machine.
 */
#include "net/pythons.h"
#include "support/test.h"

#include <cohort/dial.h>
#include <cohort/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_TEXT "000102030405060708090a0b0c0d0e0f"
#define OTHER_TEXT "ff0102030405060708090a0b0c0d0e0f"
#define MANY 10000 /* messages each way, with one version */
#define BATCH 100

static struct cohort_error err;

static cohort_time patience(void)
{
	return cohort_in(test_span(20 * COHORT_SECOND));
}

/* Options with Python's key; MD5 when asked for. */
static struct cohort_net_options options(bool md5)
{
	unsigned char secret[16];
	struct cohort_key *key;

	for (unsigned i = 0; i < sizeof secret; i++)
		secret[i] = (unsigned char)i;
	REQUIRE_EQ(cohort_key_new_python(&key, secret, sizeof secret, NULL), 0);
	return (struct cohort_net_options){.key = key, .python_md5 = md5};
}

static void options_free(struct cohort_net_options *o)
{
	cohort_key_free((struct cohort_key *)(uintptr_t)o->key);
}

/* How a meeting begins: where, who knows what, and what must come of it. */
struct meeting {
	const struct python *python;
	const char *family; /* "tcp" or "unix" */
	const char *their_key;
	const char *first; /* what Python says first; NULL: nothing */
	bool md5;          /* our option */
	int code;          /* of our dial; of our accept it is COHORT_ETIMEDOUT instead */
	int exit;          /* Python's exit code */
};

static struct meeting meeting_of(const struct python *p)
{
	return (struct meeting){
	    .python = p, .family = "tcp", .their_key = KEY_TEXT, .md5 = python_is_old(p)};
}

/* We listen and Python dials; the connection, or NULL when M says that there will be none. */
static struct cohort_conn *listen_for(const struct meeting *m, struct python_peer *peer)
{
	struct cohort_net_options o = options(m->md5);
	struct cohort_conn *c = NULL;
	struct cohort_listener *l;
	char address[512];
	int rc;

	if (strcmp(m->family, "tcp") == 0)
		snprintf(address, sizeof address, "python+tcp://127.0.0.1:0");
	else
		snprintf(address, sizeof address, "python+unix:%s", test_path("ours"));
	REQUIRE_EQ(cohort_listen(&l, address, &o, &err), 0);
	*peer = python_start(m->python, "python_peer.py",
	    (const char *const[]){"dial", m->family, strrchr(cohort_listener_address(l), ':') + 1,
		m->their_key, m->first, NULL});
	if (m->code == 0) {
		rc = cohort_listener_accept(l, &c, patience(), &err);
		if (rc != 0)
			FAIL("Python %d.%d: %s", m->python->major, m->python->minor, err.text);
	} else {
		struct cohort_wait_item gone = {.fd = peer->out};

		do
			CHECK_EQ(cohort_listener_accept(l, &c, cohort_in(10 * COHORT_MS), &err),
			    COHORT_ETIMEDOUT);
		while (cohort_wait(&gone, 1, COHORT_NOW) == 0);
	}
	cohort_listener_close(l);
	options_free(&o);
	return c;
}

/* Python listens and we dial. */
static struct cohort_conn *dial_to(const struct meeting *m, struct python_peer *peer)
{
	struct cohort_net_options o = options(m->md5);
	bool tcp = strcmp(m->family, "tcp") == 0;
	char line[256], address[512];
	struct cohort_conn *c;

	*peer = python_start(m->python, "python_peer.py",
	    (const char *const[]){
		"listen", m->family, tcp ? "0" : test_path("theirs"), m->their_key, NULL});
	REQUIRE(python_line(peer, line, sizeof line));
	snprintf(
	    address, sizeof address, tcp ? "python+tcp://127.0.0.1:%s" : "python+unix:%s", line);
	memset(&err, 0, sizeof err);
	CHECK_EQ(cohort_dial(&c, address, &o, patience(), &err), m->code);
	if (err.code != m->code)
		FAIL("Python %d.%d: %s", m->python->major, m->python->minor, err.text);
	options_free(&o);
	return c;
}

static void meeting_end(const struct meeting *m, struct cohort_conn *c, struct python_peer *peer)
{
	cohort_conn_close(c);
	if (!CHECK_EQ(python_end(peer), m->exit))
		FAIL("it was Python %d.%d", m->python->major, m->python->minor);
}

static void comes_back(struct cohort_conn *c, size_t n)
{
	unsigned char *out = malloc(n + 1);
	const void *data;
	size_t size;

	REQUIRE(out != NULL);
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)(i * 31 + n);
	REQUIRE_EQ(cohort_conn_send_bytes(c, out, n, patience()), 0);
	REQUIRE_EQ(cohort_conn_recv_bytes(c, &data, &size, patience()), 0);
	if (CHECK_EQ(size, n))
		CHECK_MEM(data, out, n);
	free(out);
}

/* Python writes header and body apart from 16385 bytes on. */
static void comes_back_in_sizes(struct cohort_conn *c)
{
	static const size_t sizes[] = {
	    0, 1, 255, 256, 257, 16384, 16385, (size_t)64 << 10, (size_t)1 << 20, 0};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		comes_back(c, sizes[i]);
}

/* COUNT numbers there and back, in order, many under way. */
static void comes_back_in_order(struct cohort_conn *c, uint32_t count)
{
	const void *data;
	uint32_t next, sent = 0;
	size_t size;

	for (uint32_t got = 0; got < count; got++) {
		for (; sent < count && sent < got + BATCH; sent++)
			REQUIRE_EQ(cohort_conn_put_bytes(c, &sent, sizeof sent, patience()), 0);
		REQUIRE_EQ(cohort_conn_recv_bytes(c, &data, &size, patience()), 0);
		REQUIRE_EQ(size, sizeof next);
		memcpy(&next, data, sizeof next);
		REQUIRE_EQ(next, got);
	}
}

static void meet_all(const struct meeting *change,
    struct cohort_conn *(*begin)(const struct meeting *m, struct python_peer *peer))
{
	struct python list[PYTHONS_MAX];
	struct python_peer peer;
	struct cohort_conn *c;
	int n = pythons_find(list);

	for (int i = 0; i < n; i++) {
		struct meeting m = meeting_of(&list[i]);

		m.family = change->family;
		c = begin(&m, &peer);
		REQUIRE(c != NULL);
		comes_back_in_sizes(c);
		comes_back_in_order(c, i == n - 1 ? MANY : BATCH);
		meeting_end(&m, c, &peer);
	}
}

TEST_TIMEOUT(interop_python, every_version_dials_us, 120)
{
	meet_all(&(struct meeting){.family = "tcp"}, listen_for);
}

TEST_TIMEOUT(interop_python, every_version_listens_to_us, 120)
{
	meet_all(&(struct meeting){.family = "tcp"}, dial_to);
}

TEST_TIMEOUT(interop_python, every_version_meets_us_at_a_unix_socket, 120)
{
	meet_all(&(struct meeting){.family = "unix"}, listen_for);
	meet_all(&(struct meeting){.family = "unix"}, dial_to);
}

/* Both ways for each Python that is old or not, as changed by CHANGE; nobody gets in. */
static void nobody_gets_in(void (*change)(struct meeting *m), bool old_only)
{
	struct python list[PYTHONS_MAX];
	struct python_peer peer;
	int n = pythons_find(list);

	for (int i = 0; i < n; i++) {
		struct meeting m = meeting_of(&list[i]);

		if (old_only && !python_is_old(&list[i]))
			continue;
		change(&m);
		m.code = COHORT_EAUTH;
		m.exit = 3;
		CHECK(listen_for(&m, &peer) == NULL);
		meeting_end(&m, NULL, &peer);
		m.exit = old_only ? 4 : 3; /* we hang up without a word; or it refuses us */
		CHECK(dial_to(&m, &peer) == NULL);
		CHECK_HAS(err.text, old_only ? "python_md5" : "is the key the same at both ends?");
		meeting_end(&m, NULL, &peer);
	}
}

static void without_md5(struct meeting *m)
{
	m->md5 = false;
}

static void with_another_key(struct meeting *m)
{
	m->their_key = OTHER_TEXT;
}

TEST_TIMEOUT(interop_python, old_versions_are_refused_without_the_option, 120)
{
	nobody_gets_in(without_md5, true);
}

TEST_TIMEOUT(interop_python, another_key_is_refused_in_both_roles, 120)
{
	nobody_gets_in(with_another_key, false);
}

TEST(interop_python, what_python_says_first_is_heard)
{
	struct python list[PYTHONS_MAX];
	struct python_peer peer;
	struct cohort_conn *c;
	const void *data;
	size_t size;
	int n = pythons_find(list);

	if (n == 0)
		return;
	struct meeting m = meeting_of(&list[n - 1]);

	m.first = "first";
	c = listen_for(&m, &peer);
	REQUIRE(c != NULL);
	REQUIRE_EQ(cohort_conn_recv_bytes(c, &data, &size, patience()), 0);
	CHECK_EQ(size, 5);
	CHECK_MEM(data, "first", 5);
	comes_back(c, 100);
	meeting_end(&m, c, &peer);
}

/* ---- cohort.py: images ---- */

/* One line for python_images.py: M, and it is empty again. */
static void line(FILE *f, struct cohort_message *m)
{
	const void *image;
	size_t size;

	REQUIRE_EQ(cohort_message_image(m, &image, &size), 0);
	fprintf(f, "%s ", cohort_message_format(m));
	for (size_t i = 0; i < size; i++)
		fprintf(f, "%02x", ((const unsigned char *)image)[i]);
	fprintf(f, "\n");
	cohort_message_free(m);
}

static struct cohort_message *message(const char *format)
{
	struct cohort_message *m;

	REQUIRE_EQ(cohort_message_new(&m, format, NULL), 0);
	return m;
}

static void scalars(FILE *f)
{
	struct cohort_message *m = message("cjviuIUf");
	int8_t c = INT8_MIN;
	int16_t j = INT16_MIN;
	uint16_t v = UINT16_MAX;
	int32_t i = INT32_MIN;
	uint32_t u = UINT32_MAX;
	int64_t big = INT64_MIN;
	uint64_t most = UINT64_MAX;
	double d = -0.1;

	line(f, message(""));
	REQUIRE_EQ(cohort_message_pack(m, 0, &c, &j, &v, &i, &u, &big, &most, &d), 0);
	line(f, m);
}

static void strings(FILE *f)
{
	const char *text = "h\xc3\xa9llo", *none = NULL, *empty = "";
	struct cohort_bytes blob = {"\0\1\2\xff", 4}, nothing = {NULL, 0};
	struct cohort_message *m = message("ss");

	REQUIRE_EQ(cohort_message_pack(m, 0, &text, &none), 0);
	line(f, m);
	m = message("sB");
	REQUIRE_EQ(cohort_message_pack(m, 0, &empty, &blob), 0);
	line(f, m);
	m = message("B");
	REQUIRE_EQ(cohort_message_pack(m, 0, &nothing), 0);
	line(f, m);
}

static void arrays(FILE *f)
{
	static const char *const words[] = {"to", "be", "or"};
	static const uint64_t counts[] = {2, 2, 1};
	static const int32_t numbers[] = {1, -2, 3};
	struct cohort_message *m = message("sA(sU)");
	const char *title = "words";

	line(f, message("A(i)"));
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(cohort_message_pack(m, 1, &words[i], &counts[i]), 0);
	REQUIRE_EQ(cohort_message_pack(m, 0, &title), 0);
	{
		struct cohort_message *n = message("A(i)");

		for (int i = 0; i < 3; i++)
			REQUIRE_EQ(cohort_message_pack(n, 1, &numbers[i]), 0);
		line(f, n);
	}
	line(f, m);
}

static void arrays_in_arrays(FILE *f)
{
	const char *a = "a", *none = NULL;
	struct cohort_bytes x = {"x", 1}, nothing = {NULL, 0};
	struct cohort_message *m = message("iA(sA(B)f)U");
	double half = 0.5, minus = -1;
	int8_t one = 1, two = 2, three = 3;
	int32_t seven = 7;
	uint64_t nine = 9;

	REQUIRE_EQ(cohort_message_pack(m, 2, &x), 0);
	REQUIRE_EQ(cohort_message_pack(m, 2, &nothing), 0);
	REQUIRE_EQ(cohort_message_pack(m, 1, &a, &half), 0);
	REQUIRE_EQ(cohort_message_pack(m, 1, &none, &minus), 0);
	REQUIRE_EQ(cohort_message_pack(m, 0, &seven, &nine), 0);
	line(f, m);
	m = message("A(A(A(c)))");
	REQUIRE_EQ(cohort_message_pack(m, 3, &one), 0);
	REQUIRE_EQ(cohort_message_pack(m, 3, &two), 0);
	REQUIRE_EQ(cohort_message_pack(m, 2), 0);
	REQUIRE_EQ(cohort_message_pack(m, 2), 0);
	REQUIRE_EQ(cohort_message_pack(m, 1), 0);
	REQUIRE_EQ(cohort_message_pack(m, 1), 0);
	REQUIRE_EQ(cohort_message_pack(m, 3, &three), 0);
	REQUIRE_EQ(cohort_message_pack(m, 2), 0);
	REQUIRE_EQ(cohort_message_pack(m, 1), 0);
	line(f, m);
}

TEST_TIMEOUT(interop_python, images_are_the_same_on_both_sides, 120)
{
	struct python list[PYTHONS_MAX];
	int n = pythons_find(list);
	FILE *f = fopen(test_path("images"), "w");

	REQUIRE(f != NULL);
	scalars(f);
	strings(f);
	arrays(f);
	arrays_in_arrays(f);
	REQUIRE_EQ(fclose(f), 0);
	for (int i = 0; i < n; i++) {
		struct python_peer peer;

		if (list[i].major < 3)
			continue; /* cohort.py is for 3.6 and later */
		peer = python_start(&list[i], "python_images.py",
		    (const char *const[]){PYTHON_EXAMPLES, test_path("images"), NULL});
		if (!CHECK_EQ(python_end(&peer), 0))
			FAIL("it was Python %d.%d", list[i].major, list[i].minor);
	}
}
