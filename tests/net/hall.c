/*
 * hall.c - a listener at work in a thread, honest callers, and strangers of any manners.
 */
#include "net/hall.h"

#include "addr/address.h"
#include "support/test.h"
#include "trust/hmac_openssl.h"

#include <cohort/dial.h>
#include <cohort/log.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GENEROUS (20 * COHORT_SECOND)
#define STRANGER ((size_t)8 << 10) /* what one may cost */
#define STRANGER_TLS ((size_t)48 << 10)
#define CALLER_TLS ((size_t)160 << 10) /* an honest caller's end, in this process too */
#define SLACK ((size_t)96 << 10)   /* a guest's read buffer; what the heap keeps for a thread */

struct cohort_key *hall_key(void)
{
	struct cohort_key *key = NULL;

	REQUIRE_EQ(cohort_key_new(&key, "a key for every hall", 20, NULL), 0);
	return key;
}

struct cohort_key *hall_other_key(void)
{
	struct cohort_key *key = NULL;

	REQUIRE_EQ(cohort_key_new(&key, "a key for no hall at all", 24, NULL), 0);
	return key;
}

static void hall_log(enum cohort_log_level level, const char *line, void *arg)
{
	struct hall *h = arg;

	(void)level;
	CHECK_HAS(line, "listener");
	for (const char *c = line; *c != '\0'; c++)
		CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
	atomic_fetch_add(&h->logged, 1);
}

static bool speaks_tls(const char *address)
{
	return address != NULL && strncmp(address, "tls:", 4) == 0;
}

static void hall_measure(struct hall *h)
{
	int strangers = coh_listener_strangers(h->listener);
	size_t now = mallinfo2().uordblks;

	if (strangers > atomic_load(&h->most))
		atomic_store(&h->most, strangers);
	if (now > h->peak)
		h->peak = now;
}

static cohort_time stalled(int tid)
{
	char path[64], text[128] = "";
	long long ran, waited = 0; /* ns */
	int fd;

	snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) > 0 && sscanf(text, "%lld %lld", &ran, &waited) != 2)
		waited = 0;
	close(fd);
	return waited;
}

cohort_time hall_stalled(const struct hall *h)
{
	return stalled(gettid()) + stalled(atomic_load(&h->tid));
}

static void *hall_thread(void *arg)
{
	struct hall *h = arg;
	struct cohort_conn *c;
	struct cohort_error err = {0};
	int rc;

	atomic_store(&h->tid, gettid());
	while (!atomic_load(&h->closing)) {
		rc = cohort_listener_accept(h->listener, &c, cohort_in(10 * COHORT_MS), &err);
		hall_measure(h);
		if (rc == COHORT_ETIMEDOUT)
			continue;
		if (rc != 0) {
			FAIL("%s", err.text);
			break;
		}
		atomic_fetch_add(&h->welcomed, 1);
		(void)cohort_conn_send_bytes(c, "welcome", 7, COHORT_NOW);
		cohort_conn_close(c);
	}
	return NULL;
}

/* A listener that is not served yet. */
static void hall_build(
    struct hall *h, const char *address, const char *exempt, cohort_time patience, int max)
{
	struct cohort_error err = {0};

	*h = (struct hall){0};
	h->key = hall_key();
	h->options = (struct cohort_net_options){.key = h->key, .name = "hall", .exempt = exempt};
	h->max = max;
	h->memory = mallinfo2().uordblks;
	if (cohort_listen(&h->listener, address != NULL ? address : "tcp://127.0.0.1:0",
		&h->options, &err) != 0) {
		FAIL("%s", err.text);
		REQUIRE(false);
	}
	coh_listener_identity(h->listener)->uuid[0] ^= 1;
	coh_listener_limit(h->listener, test_span(patience), max);
	cohort_log_to(hall_log, COHORT_LOG_DEBUG, h);
}

static void hall_begin(struct hall *h)
{
	REQUIRE_EQ(pthread_create(&h->thread, NULL, hall_thread, h), 0);
}

static void hall_end(struct hall *h)
{
	atomic_store(&h->closing, true);
	pthread_join(h->thread, NULL);
	cohort_log_to(NULL, COHORT_LOG_ERROR, NULL);
	cohort_listener_close(h->listener);
	cohort_key_free(h->key);
}

/* Make OpenSSL and this thread's part of the heap take what they keep for good: none of it is left by a test. */
static void hall_warm_up(const char *address)
{
	unsigned char out[COH_HASH_SIZE];
	struct hall first;

	REQUIRE_EQ(coh_hmac_sign((struct coh_span){"k", 1}, NULL, 0, out), 0);
	REQUIRE_EQ(coh_hmac_expand(out, NULL, 0, out, sizeof out), 0);
	REQUIRE_EQ(coh_random_bytes(out, sizeof out), 0);
	if (!speaks_tls(address))
		return;
	hall_build(&first, address, NULL, GENEROUS, 8);
	hall_begin(&first);
	hall_serves(&first);
	hall_end(&first);
}

void hall_open(struct hall *h, const char *address, cohort_time patience, int max)
{
	hall_warm_up(address);
	hall_build(h, address, NULL, patience, max);
	hall_begin(h);
}

/* Each 127.0.0.HOST is a source of its own, but the first. */
static uint64_t hall_source(const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in sin;

	REQUIRE(len >= sizeof sin);
	memcpy(&sin, sa, sizeof sin);
	return ntohl(sin.sin_addr.s_addr) - INADDR_LOOPBACK;
}

void hall_open_with_sources(struct hall *h, const char *exempt, cohort_time patience, int max)
{
	hall_warm_up(NULL);
	hall_build(h, NULL, exempt, patience, max);
	coh_listener_source_by(h->listener, hall_source);
	hall_begin(h);
}

/* How much all that it may hold may cost. */
static size_t hall_allows(const struct hall *h)
{
	size_t most = (size_t)h->max + 1;

	if (speaks_tls(cohort_listener_address(h->listener)))
		return most * STRANGER_TLS + CALLER_TLS;
	return most * STRANGER;
}

void hall_close(struct hall *h)
{
	size_t allowed = hall_allows(h);

	hall_end(h);
	CHECK(h->most <= h->max);
	CHECK(h->peak <= h->memory + allowed + SLACK);
	CHECK(mallinfo2().uordblks <= h->memory + SLACK);
}

int hall_dial(struct hall *h, const struct cohort_net_options *options,
    struct cohort_conn **conn, struct cohort_error *err)
{
	return cohort_dial(conn, cohort_listener_address(h->listener), options,
	    cohort_in(test_span(GENEROUS)), err);
}

void hall_serves(struct hall *h)
{
	cohort_time start = cohort_now(), stall = hall_stalled(h);
	struct cohort_conn *c = NULL;
	struct cohort_error err = {0};
	const void *data;
	size_t size;

	if (hall_dial(h, &h->options, &c, &err) != 0) {
		FAIL("%s", err.text);
		return;
	}
	if (CHECK_EQ(cohort_conn_recv_bytes(c, &data, &size, cohort_in(test_span(GENEROUS))), 0) &&
	    CHECK_EQ(size, 7))
		CHECK_MEM(data, "welcome", 7);
	cohort_conn_close(c);
	CHECK(cohort_now() - start - (hall_stalled(h) - stall) < test_span(COHORT_SECOND));
}

int hall_stranger_from(struct hall *h, int host)
{
	struct coh_address a;
	struct sockaddr_in sin = {.sin_family = AF_INET};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(fd >= 0);
	sin.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00) + (uint32_t)host);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	REQUIRE_EQ(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	REQUIRE_EQ(coh_address_parse(&a, cohort_listener_address(h->listener), NULL), 0);
	sin.sin_port = htons(a.port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE_EQ(connect(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	return fd;
}

int hall_stranger(struct hall *h)
{
	return hall_stranger_from(h, 1);
}

void hall_say(int fd, const void *data, size_t size)
{
	ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

	CHECK(n == (ssize_t)size || n < 0); /* it may be closed already: that is for hearing to tell */
}

void hall_say_frame(int fd, uint8_t type, const void *body, size_t size)
{
	struct coh_frame f = {.type = type, .length = (uint32_t)size};
	unsigned char bytes[COH_FRAME_SIZE + COH_HANDSHAKE_BODY_MAX];

	REQUIRE(size <= COH_HANDSHAKE_BODY_MAX);
	coh_frame_encode(&f, bytes);
	if (size != 0)
		memcpy(bytes + COH_FRAME_SIZE, body, size);
	hall_say(fd, bytes, COH_FRAME_SIZE + size);
}

/* Exactly N bytes, fewer at the end of the stream. */
static size_t hear(int fd, unsigned char *p, size_t n)
{
	struct pollfd q = {.fd = fd, .events = POLLIN};
	size_t got = 0;
	ssize_t r;

	while (got < n) {
		if (poll(&q, 1, (int)(test_span(GENEROUS) / COHORT_MS)) <= 0) {
			FAIL("neither a word nor an end");
			break;
		}
		r = recv(fd, p + got, n - got, 0);
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	return got;
}

int hall_hear_frame(int fd, unsigned char *body, size_t max, size_t *size)
{
	unsigned char header[COH_FRAME_SIZE];
	struct coh_frame f;

	if (hear(fd, header, sizeof header) < sizeof header)
		return -1;
	REQUIRE_EQ(coh_frame_decode(&f, header, COH_PHASE_STRANGER, NULL), 0);
	REQUIRE(f.length <= max);
	*size = hear(fd, body, f.length);
	REQUIRE_EQ(*size, f.length);
	return f.type;
}

int hall_turned_away(int fd)
{
	unsigned char all[4096];
	size_t n = hear(fd, all, sizeof all);
	struct coh_frame f = {0};
	int why = 0;

	if (n != 0 && CHECK_EQ(n, COH_FRAME_SIZE + 1) &&
	    CHECK_EQ(coh_frame_decode(&f, all, COH_PHASE_STRANGER, NULL), 0) &&
	    CHECK_EQ(f.type, COH_FRAME_REFUSE) && CHECK_EQ(f.length, 1))
		why = all[COH_FRAME_SIZE];
	close(fd);
	return why;
}

size_t hall_hello(struct hall *h, int fd, unsigned char body[COH_HANDSHAKE_BODY_MAX])
{
	struct coh_identity id;
	struct coh_handshake hs = {0};
	struct coh_handshake_config config = {.role = COH_HANDSHAKE_CLIENT,
	    .key = h->key,
	    .cluster = "cohort",
	    .name = "stranger",
	    .uuid = id.uuid};
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	char address[COH_SOCKADDR_TEXT];
	struct coh_frame f;
	const void *out;

	REQUIRE_EQ(coh_identity_init(&id, &h->options, NULL), 0);
	REQUIRE_EQ(getpeername(fd, (struct sockaddr *)&sa, &len), 0);
	REQUIRE_EQ(coh_sockaddr_text((struct sockaddr *)&sa, len, address), 0);
	config.address = address;
	REQUIRE_EQ(coh_handshake_init(&hs, &config, NULL), 0);
	out = coh_handshake_output(&hs, &f);
	REQUIRE(out != NULL);
	memcpy(body, out, f.length);
	coh_handshake_fini(&hs);
	coh_identity_fini(&id);
	return f.length;
}

int hall_rogue(char address[COH_ADDRESS_TEXT])
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(fd >= 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE_EQ(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	REQUIRE_EQ(listen(fd, 8), 0);
	REQUIRE_EQ(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	snprintf(address, COH_ADDRESS_TEXT, "tcp://127.0.0.1:%u", ntohs(sin.sin_port));
	return fd;
}
