/*
 * test_python.c - python+tcp:// and python+unix: between two processes of ours, and against peers who
 * write their bytes by hand.  interop_python.c has the real CPythons.
 */
#include "addr/address.h"
#include "base/buf.h"
#include "support/test.h"
#include "trust/hmac_openssl.h"

#include <arpa/inet.h>
#include <cohort/dial.h>
#include <cohort/listener.h>
#include <cohort/log.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET "a secret for Python peers"
#define SECRET_SPAN ((struct coh_span){SECRET, sizeof SECRET - 1})

static struct cohort_error err;

static cohort_time patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

static struct cohort_key *python_key(const char *secret)
{
	struct cohort_key *key = NULL;

	REQUIRE_EQ(cohort_key_new_python(&key, secret, strlen(secret), NULL), 0);
	return key;
}

/* A listener of Python's kind, its key and its options. */
struct hall {
	struct cohort_key *key;
	struct cohort_net_options options;
	struct cohort_listener *listener;
};

static void hall_open(struct hall *h, const char *address)
{
	*h = (struct hall){.key = python_key(SECRET)};
	h->options.key = h->key;
	if (cohort_listen(&h->listener, address, &h->options, &err) != 0)
		FAIL("%s", err.text);
	REQUIRE(h->listener != NULL);
}

static void hall_close(struct hall *h)
{
	cohort_listener_close(h->listener);
	cohort_key_free(h->key);
}

static struct cohort_conn *hall_accept(struct hall *h)
{
	struct cohort_conn *c;

	if (cohort_listener_accept(h->listener, &c, patience(), &err) != 0)
		FAIL("%s", err.text);
	REQUIRE(c != NULL);
	return c;
}

/* Nobody gets in until the child PID, who tries, has ended; with 0. */
static void hall_admits_nobody(struct hall *h, pid_t pid)
{
	struct cohort_conn *c;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0)
		CHECK_EQ(cohort_listener_accept(h->listener, &c, cohort_in(5 * COHORT_MS), &err),
		    COHORT_ETIMEDOUT);
	CHECK_EQ(status, 0);
}

static void child_ended_well(pid_t pid)
{
	int status;

	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* ---- a child that is a client of ours ---- */

static void echo(struct cohort_conn *c)
{
	const void *data;
	size_t size;

	while (cohort_conn_recv_bytes(c, &data, &size, patience()) == 0)
		CHECK_EQ(cohort_conn_send_bytes(c, data, size, patience()), 0);
	CHECK_HAS(cohort_conn_error(c), "closed by the peer");
}

/* A child that dials ADDRESS with SECRET: it echoes until the end, or dialling gives CODE. */
static pid_t child_dials(const char *address, const char *secret, int code)
{
	struct cohort_net_options o = {0};
	struct cohort_conn *c;
	struct cohort_key *key;
	pid_t pid = test_fork();

	REQUIRE(pid >= 0);
	if (pid != 0)
		return pid;
	key = python_key(secret);
	o.key = key;
	if (!CHECK_EQ(cohort_dial(&c, address, &o, patience(), &err), code))
		FAIL("%s", err.text);
	if (c != NULL)
		echo(c);
	cohort_conn_close(c);
	cohort_key_free(key);
	_exit(0);
}

static void comes_back(struct cohort_conn *c, size_t n)
{
	unsigned char *out = malloc(n + 1);
	const void *data;
	size_t size;

	REQUIRE(out != NULL);
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)(i * 31 + n);
	CHECK_EQ(cohort_conn_send_bytes(c, out, n, patience()), 0);
	REQUIRE_EQ(cohort_conn_recv_bytes(c, &data, &size, patience()), 0);
	if (CHECK_EQ(size, n))
		CHECK_MEM(data, out, n);
	free(out);
}

static void talk_at(const char *address)
{
	struct cohort_conn *c;
	struct hall h;
	pid_t pid;

	hall_open(&h, address);
	CHECK_HAS(cohort_listener_address(h.listener), "python+");
	pid = child_dials(cohort_listener_address(h.listener), SECRET, 0);
	c = hall_accept(&h);
	CHECK_HAS(cohort_conn_peer(c), "Python at ");
	CHECK_STR(cohort_conn_guard(c), "Python's handshake, clear text within this machine");
	comes_back(c, 0);
	comes_back(c, 1);
	comes_back(c, (size_t)64 << 10);
	comes_back(c, (size_t)1 << 20);
	comes_back(c, (size_t)5 << 20);
	comes_back(c, 0);
	cohort_conn_close(c);
	child_ended_well(pid);
	hall_close(&h);
}

TEST(python, two_of_ours_exchange_bytes_over_tcp)
{
	talk_at("python+tcp://127.0.0.1:0");
	talk_at("python+tcp://[::1]:0");
	talk_at("python+tcp://localhost:0");
}

TEST(python, two_of_ours_exchange_bytes_over_a_unix_socket)
{
	char address[512];

	snprintf(address, sizeof address, "python+unix:%s", test_path("socket"));
	talk_at(address);
	CHECK(access(test_path("socket"), F_OK) != 0);
}

TEST(python, another_key_is_refused)
{
	struct hall h;

	hall_open(&h, "python+tcp://127.0.0.1:0");
	hall_admits_nobody(&h,
	    child_dials(
		cohort_listener_address(h.listener), "another secret altogether", COHORT_EAUTH));
	hall_close(&h);
}

/* ---- what is refused before anything is said ---- */

static void listening_fails(
    const char *address, const struct cohort_net_options *o, int code, const char *words)
{
	struct cohort_listener *l;

	memset(&err, 0, sizeof err);
	CHECK_EQ(cohort_listen(&l, address, o, &err), code);
	CHECK_HAS(err.text, words);
	cohort_listener_close(l);
}

static void dialling_fails(
    const char *address, const struct cohort_net_options *o, int code, const char *words)
{
	struct cohort_conn *c;

	memset(&err, 0, sizeof err);
	CHECK_EQ(cohort_dial(&c, address, o, patience(), &err), code);
	CHECK_HAS(err.text, words);
	cohort_conn_close(c);
}

static int log_count;

static void count_insecure(enum cohort_log_level level, const char *text, void *arg)
{
	(void)level;
	(void)arg;
	log_count += strstr(text, "INSECURE") != NULL;
}

TEST(python, clear_text_leaves_the_machine_only_when_told)
{
	struct cohort_key *key = python_key(SECRET);
	struct cohort_net_options o = {.key = key};
	struct cohort_listener *l;

	listening_fails("python+tcp://0.0.0.0:0", &o, COHORT_EPLAINTEXT, "--insecure-plaintext");
	dialling_fails("python+tcp://198.51.100.1:4700", &o, COHORT_EPLAINTEXT, "clear text");
	o.insecure_plaintext = 1;
	log_count = 0;
	cohort_log_to(count_insecure, COHORT_LOG_WARN, NULL);
	CHECK_EQ(cohort_listen(&l, "python+tcp://127.0.0.1:0", &o, &err), 0);
	cohort_listener_close(l);
	CHECK_EQ(log_count, 0);
	CHECK_EQ(cohort_listen(&l, "python+tcp://0.0.0.0:0", &o, &err), 0);
	cohort_listener_close(l);
	CHECK_EQ(log_count, 1);
	cohort_log_to(NULL, COHORT_LOG_WARN, NULL);
	cohort_key_free(key);
}

TEST(python, keys_of_one_kind_do_not_serve_the_other)
{
	struct cohort_key *ours, *python = python_key(SECRET);
	struct cohort_net_options o = {.key = python};
	char address[COH_ADDRESS_TEXT];
	struct cohort_listener *l;
	struct cohort_conn *c;
	struct hall h;

	REQUIRE_EQ(cohort_key_new(&ours, SECRET, strlen(SECRET), NULL), 0);
	hall_open(&h, "python+tcp://127.0.0.1:0");
	snprintf(address, sizeof address, "%s", cohort_listener_address(h.listener));
	dialling_fails(address, &(struct cohort_net_options){.key = ours}, COHORT_EKEY,
	    "cohort_key_load_python");
	hall_close(&h);

	o.key = ours;
	REQUIRE_EQ(cohort_listen(&l, "tcp://127.0.0.1:0", &o, &err), 0);
	o.key = python;
	snprintf(address, sizeof address, "%s", cohort_listener_address(l));
	dialling_fails(address, &o, COHORT_EKEY, "serves only them");
	CHECK_EQ(cohort_listener_accept(l, &c, COHORT_NOW, &err), COHORT_ETIMEDOUT);
	cohort_listener_close(l);
	cohort_key_free(ours);
	cohort_key_free(python);
}

TEST(python, the_key_file_is_one_of_its_own)
{
	struct cohort_net_options o = {0};
	struct cohort_listener *l;

	REQUIRE_EQ(cohort_key_generate(test_path("ours"), &err), 0);
	REQUIRE_EQ(cohort_key_generate(test_path("python"), &err), 0);
	setenv("COHORT_KEY_FILE", test_path("ours"), 1);
	listening_fails("python+tcp://127.0.0.1:0", NULL, COHORT_EKEY, "COHORT_PYTHON_KEY_FILE");
	setenv("COHORT_PYTHON_KEY_FILE", test_path("python"), 1);
	CHECK_EQ(cohort_listen(&l, "python+tcp://127.0.0.1:0", NULL, &err), 0);
	cohort_listener_close(l);
	o.key_file = test_path("nothing");
	listening_fails("python+tcp://127.0.0.1:0", &o, COHORT_EKEY, "there is no such file");
}

/* ---- peers who write by hand ---- */

static int raw_connect(const char *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct coh_address a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(fd >= 0);
	REQUIRE_EQ(coh_address_parse(&a, address, NULL), 0);
	in.sin_port = htons(a.port);
	REQUIRE_EQ(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
	return fd;
}

static void raw_say(int fd, const void *p, size_t n)
{
	REQUIRE_EQ(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* TEXT and SIZE bytes at MORE, in one message. */
static void raw_tell(int fd, const char *text, const void *more, size_t size)
{
	unsigned char out[512] = {0};
	size_t n = strlen(text);

	coh_put_u32(out, (uint32_t)(n + size));
	memcpy(out + 4, text, n);
	if (size != 0)
		memcpy(out + 4 + n, more, size);
	raw_say(fd, out, 4 + n + size);
}

/* A message that comes, at most MAX bytes: how many; -1 at the end of the stream. */
static int raw_hear(int fd, unsigned char *in, size_t max)
{
	unsigned char header[4];
	uint32_t n;

	if (recv(fd, header, sizeof header, MSG_WAITALL) != sizeof header)
		return -1;
	n = coh_get_u32(header);
	REQUIRE(n <= max);
	return recv(fd, in, n, MSG_WAITALL) == (ssize_t)n ? (int)n : -1;
}

/* As CPython's client, up to the message that ends the handshake. */
static void raw_log_in(int fd)
{
	unsigned char in[256], mac[COH_HMAC_MAX];
	struct coh_span secret = SECRET_SPAN;

	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 59);
	REQUIRE_EQ(coh_hmac_sign_by("SHA256", secret, (struct coh_span){in + 11, 48}, mac), 32);
	raw_tell(fd, "{sha256}", mac, 32);
	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 9);
	CHECK_MEM(in, "#WELCOME#", 9);
	raw_tell(fd, "#CHALLENGE#{sha256}0123456789012345678901234567890123456789", NULL, 0);
	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 40);
}

/* A child that runs SCRIPT on a socket connected to H. */
static pid_t child_writes(struct hall *h, void (*script)(int fd))
{
	pid_t pid = test_fork();
	int fd;

	REQUIRE(pid >= 0);
	if (pid != 0)
		return pid;
	fd = raw_connect(cohort_listener_address(h->listener));
	script(fd);
	close(fd);
	_exit(0);
}

static void script_hurry(int fd)
{
	raw_log_in(fd);
	raw_say(fd,
	    "\0\0\0\x09#WELCOME#\0\0\0\x05hello\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x03"
	    "abc",
	    41);
}

TEST(python, what_comes_right_behind_the_handshake_is_received)
{
	static const char *const want[] = {"hello", "", "abc"};
	struct cohort_conn *c;
	const void *data;
	struct hall h;
	size_t size;
	pid_t pid;

	hall_open(&h, "python+tcp://127.0.0.1:0");
	pid = child_writes(&h, script_hurry);
	c = hall_accept(&h);
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(cohort_conn_recv_bytes(c, &data, &size, patience()), 0);
		if (CHECK_EQ(size, strlen(want[i])))
			CHECK_MEM(data, want[i], size);
	}
	CHECK_EQ(cohort_conn_recv_bytes(c, &data, &size, patience()), COHORT_EOF);
	cohort_conn_close(c);
	child_ended_well(pid);
	hall_close(&h);
}

/* What a peer who logged in and then runs SCRIPT is heard to have done. */
static void ends_in(void (*script)(int fd), int code, const char *words)
{
	struct cohort_conn *c;
	const void *data;
	struct hall h;
	size_t size;
	pid_t pid;

	hall_open(&h, "python+tcp://127.0.0.1:0");
	pid = child_writes(&h, script);
	c = hall_accept(&h);
	CHECK_EQ(cohort_conn_recv_bytes(c, &data, &size, patience()), code);
	CHECK_HAS(cohort_conn_error(c), words);
	CHECK_EQ(cohort_conn_recv_bytes(c, &data, &size, patience()), code);
	cohort_conn_close(c);
	child_ended_well(pid);
	hall_close(&h);
}

static void script_negative(int fd)
{
	raw_log_in(fd);
	raw_say(fd, "\0\0\0\x09#WELCOME#\xff\xff\xff\xfe", 17);
}

static void script_huge(int fd)
{
	raw_log_in(fd);
	raw_say(fd, "\0\0\0\x09#WELCOME#\x7f\xff\xff\xff", 17);
}

static void script_cut(int fd)
{
	raw_log_in(fd);
	raw_say(fd, "\0\0\0\x09#WELCOME#\0\0\0\x05hel", 20);
}

TEST(python, a_message_that_cannot_be_ends_the_connection)
{
	ends_in(script_negative, COHORT_EPROTOCOL, "-2 bytes");
	ends_in(script_huge, COHORT_ETOOBIG, "2147483647 bytes, allowed are 67108864");
	ends_in(script_cut, COHORT_ETRUNCATED, "7 bytes into it");
}

static void script_failure(int fd)
{
	unsigned char in[256];

	raw_log_in(fd);
	raw_tell(fd, "#FAILURE#", NULL, 0);
	CHECK_EQ(raw_hear(fd, in, sizeof in), -1);
}

static void script_long(int fd)
{
	unsigned char in[256];

	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 59);
	raw_say(fd, "\0\0\x01\x01", 4);
	CHECK_EQ(raw_hear(fd, in, sizeof in), -1);
}

static void script_wrong(int fd)
{
	unsigned char in[256] = {0};

	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 59);
	raw_tell(fd, "{sha256}", in, 32);
	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 9);
	CHECK_MEM(in, "#FAILURE#", 9);
	CHECK_EQ(raw_hear(fd, in, sizeof in), -1);
}

static void script_cohort(int fd)
{
	unsigned char in[256] = {0};

	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 59);
	raw_say(fd, "\x43\xc7\x01\x01\0\0\0\x80", 8);
	CHECK_EQ(raw_hear(fd, in, sizeof in), -1);
}

TEST(python, strangers_who_do_not_know_the_handshake_are_turned_away)
{
	static void (*const scripts[])(int fd) = {
	    script_failure, script_long, script_wrong, script_cohort};
	struct hall h;

	hall_open(&h, "python+tcp://127.0.0.1:0");
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
		hall_admits_nobody(&h, child_writes(&h, scripts[i]));
	hall_close(&h);
}

/* ---- what is not Python's ---- */

TEST(python, typed_messages_are_refused_with_words)
{
	struct cohort_message *m;
	struct cohort_conn *c;
	struct hall h;
	pid_t pid;
	int one = 1;

	hall_open(&h, "python+tcp://127.0.0.1:0");
	pid = child_dials(cohort_listener_address(h.listener), SECRET, 0);
	c = hall_accept(&h);
	REQUIRE_EQ(cohort_message_new(&m, "i", NULL), 0);
	REQUIRE_EQ(cohort_message_pack(m, 0, &one), 0);
	CHECK_EQ(cohort_conn_send(c, m, patience()), COHORT_ENOTSUP);
	CHECK_HAS(cohort_conn_error(c), "plain bytes");
	CHECK_EQ(cohort_conn_recv(c, m, patience()), COHORT_ENOTSUP);
	CHECK_HAS(cohort_conn_error(c), "cohort_message_load");
	comes_back(c, 10); /* and it goes on */
	cohort_message_free(m);
	cohort_conn_close(c);
	child_ended_well(pid);
	hall_close(&h);
}

TEST(python, a_message_that_does_not_fit_is_kept)
{
	struct cohort_conn *c;
	char small[4], large[16];
	struct hall h;
	size_t got;
	pid_t pid;

	hall_open(&h, "python+tcp://127.0.0.1:0");
	pid = child_dials(cohort_listener_address(h.listener), SECRET, 0);
	c = hall_accept(&h);
	REQUIRE_EQ(cohort_conn_send_bytes(c, "0123456789", 10, patience()), 0);
	CHECK_EQ(cohort_conn_poll(c, patience()), 1);
	CHECK_EQ(cohort_conn_recv_into(c, small, sizeof small, &got, patience()), COHORT_ETOOBIG);
	CHECK_EQ(got, 10);
	CHECK_EQ(cohort_conn_recv_into(c, large, sizeof large, &got, patience()), 0);
	CHECK_EQ(got, 10);
	CHECK_MEM(large, "0123456789", 10);
	cohort_conn_close(c);
	child_ended_well(pid);
	hall_close(&h);
}

/* ---- reflection, over sockets ---- */

/* A rogue without the key: it shows the challenge of its first client to its second one. */
static void *rogue(void *arg)
{
	int listening = *(int *)arg, a = accept(listening, NULL, NULL);
	unsigned char m2[256];
	int b, n;

	raw_tell(a, "#CHALLENGE#{sha256}0123456789012345678901234567890123456789", NULL, 0);
	CHECK_EQ(raw_hear(a, m2, sizeof m2), 40);
	raw_tell(a, "#WELCOME#", NULL, 0);
	n = raw_hear(a, m2, sizeof m2);
	CHECK_EQ(n, 59);
	b = accept(listening, NULL, NULL);
	close(listening); /* who is hung up on may come back, and finds nobody */
	raw_tell(b, "", m2, (size_t)n);
	CHECK_EQ(raw_hear(b, m2, sizeof m2), -1); /* no answer: it has understood */
	close(a);
	close(b);
	return NULL;
}

struct dialling {
	const char *address;
	struct cohort_key *key;
	struct cohort_error err;
	int rc;
};

static void *dial_thread(void *arg)
{
	struct dialling *d = arg;
	struct cohort_net_options o = {.key = d->key};
	struct cohort_conn *c;

	d->rc = cohort_dial(&c, d->address, &o, patience(), &d->err);
	cohort_conn_close(c);
	return NULL;
}

TEST(python, a_process_that_dials_itself_is_refused)
{
	struct dialling d = {0};
	struct cohort_conn *c;
	pthread_t thread;
	struct hall h;

	hall_open(&h, "python+tcp://127.0.0.1:0");
	d.address = cohort_listener_address(h.listener);
	d.key = h.key;
	REQUIRE_EQ(pthread_create(&thread, NULL, dial_thread, &d), 0);
	while (pthread_tryjoin_np(thread, NULL) != 0)
		CHECK_EQ(cohort_listener_accept(h.listener, &c, cohort_in(5 * COHORT_MS), &err),
		    COHORT_ETIMEDOUT);
	CHECK_EQ(d.rc, COHORT_EAUTH);
	CHECK_HAS(d.err.text, "it dialled itself");
	hall_close(&h);
}

TEST(python, a_rogue_between_two_connections_of_a_process_gets_no_answer)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof in;
	struct dialling d[2] = {0};
	pthread_t threads[3];
	char address[64];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), reflected = 0;

	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&in, size) == 0 && listen(fd, 5) == 0);
	REQUIRE_EQ(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	snprintf(address, sizeof address, "python+tcp://127.0.0.1:%d", ntohs(in.sin_port));
	REQUIRE_EQ(pthread_create(&threads[2], NULL, rogue, &fd), 0);
	for (int i = 0; i < 2; i++) {
		d[i] = (struct dialling){.address = address, .key = python_key(SECRET)};
		REQUIRE_EQ(pthread_create(&threads[i], NULL, dial_thread, &d[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		CHECK(d[i].rc < 0);
		reflected +=
		    d[i].rc == COHORT_EAUTH && strstr(d[i].err.text, "reflects it") != NULL;
		cohort_key_free(d[i].key);
	}
	CHECK_EQ(reflected, 1);
}

/* ---- who says nothing ---- */

TEST(python, a_listener_without_a_key_is_given_up_in_time)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct cohort_key *key = python_key(SECRET);
	struct cohort_net_options o = {.key = key};
	socklen_t size = sizeof in;
	struct cohort_conn *c;
	char address[64];

	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&in, size) == 0 && listen(fd, 5) == 0);
	REQUIRE_EQ(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	snprintf(address, sizeof address, "python+tcp://127.0.0.1:%d", ntohs(in.sin_port));
	CHECK_EQ(
	    cohort_dial(&c, address, &o, cohort_in(100 * COHORT_MS), &err), COHORT_ETIMEDOUT);
	CHECK_HAS(err.text, "has its Listener an authkey?");
	close(fd);
	cohort_key_free(key);
}

static void script_keyless(int fd)
{
	unsigned char in[256];

	raw_tell(fd, "a message of a client without a key", NULL, 0);
	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 59);
	REQUIRE_EQ(raw_hear(fd, in, sizeof in), 9);
	CHECK_MEM(in, "#FAILURE#", 9);
	CHECK_EQ(raw_hear(fd, in, sizeof in), -1);
}

TEST(python, a_client_without_a_key_is_turned_away)
{
	struct hall h;

	hall_open(&h, "python+tcp://127.0.0.1:0");
	hall_admits_nobody(&h, child_writes(&h, script_keyless));
	hall_close(&h);
}
