/*
 * test_dialer.c - dialling in steps: in a loop of one's own, several addresses, and ends of every kind.
 */
#include "addr/eyeballs.h"
#include "addr/sockaddr.h"
#include "conn/dialer.h"
#include "net/dialing.h"
#include "net/hall.h"
#include "os/fd.h"
#include "support/test.h"

#include <cohort/dial.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (20 * COHORT_SECOND)

/* ---- a resolver of our own ---- */

static struct book {
	pthread_mutex_t lock;
	pthread_cond_t change;
	const char *numbers[COH_RESOLVE_MAX]; /* what every name means; the first NULL ends it */
	int again;                            /* so many times it has no answer now */
	bool silent;
} book = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static int book_lookup(const struct coh_address *a, struct coh_resolved *out, void *arg)
{
	struct coh_address number = *a;
	int rc = 0;

	(void)arg;
	pthread_mutex_lock(&book.lock);
	while (book.silent)
		pthread_cond_wait(&book.change, &book.lock);
	if (book.again > 0) {
		book.again--;
		rc = -EAGAIN;
	}
	pthread_mutex_unlock(&book.lock);
	for (out->n = 0; book.numbers[out->n] != NULL; out->n++) {
		snprintf(number.where, sizeof number.where, "%s", book.numbers[out->n]);
		CHECK_EQ(
		    coh_sockaddr_from_address(&number, &out->at[out->n].sa, &out->at[out->n].len),
		    0);
	}
	return rc;
}

/* NAME at the port where H listens. */
static const char *at_port(const struct hall *h, const char *name)
{
	static char text[64];

	snprintf(
	    text, sizeof text, "tcp://%s:%u", name, dialing_port_of(cohort_listener_address(h->listener)));
	return text;
}

/* ---- one address ---- */

TEST(dialer, goes_through_a_loop_of_ones_own)
{
	struct hall h;
	char address[300];

	snprintf(address, sizeof address, "unix:%s", test_path("s"));
	hall_open(&h, address, PATIENCE, 8);
	dialing_welcomed(dialing_started(address, &h.options, dialing_patience()));
	hall_close(&h);
	hall_open(&h, NULL, PATIENCE, 8);
	dialing_welcomed(dialing_started(cohort_listener_address(h.listener), &h.options, COHORT_FOREVER));
	hall_close(&h);
	hall_open(&h, "tls://127.0.0.1:0", PATIENCE, 64); /* TLS needs the room of several */
	dialing_welcomed(dialing_started(cohort_listener_address(h.listener), &h.options, dialing_patience()));
	hall_close(&h);
}

TEST(dialer, does_nothing_before_its_first_step)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	char address[COH_ADDRESS_TEXT];
	struct pollfd p = {.fd = hall_rogue(address), .events = POLLIN};
	struct cohort_dialer *d = dialing_started(address, &o, dialing_patience());

	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(cohort_dialer_fd(d), -1);
	CHECK(cohort_dialer_take(d) == NULL);
	cohort_dialer_close(d);
	close(p.fd);
	cohort_key_free(key);
}

TEST(dialer, refuses_to_start_with_what_cannot_be)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key}, nobody = {.key = key, .name = "no name"};
	struct cohort_dialer *d;

	CHECK_EQ(cohort_dialer_start(&d, "tcp://x", &o, dialing_patience(), &dialing_err), COHORT_EADDRESS);
	CHECK(d == NULL);
	CHECK_EQ(cohort_dialer_start(&d, "local:", &o, dialing_patience(), &dialing_err), COHORT_EADDRESS);
	CHECK_EQ(cohort_dialer_start(&d, "tcp://x:1", &nobody, dialing_patience(), &dialing_err), COHORT_ENAME);
	CHECK(d == NULL);
	cohort_dialer_close(NULL);
	cohort_key_free(key);
}

TEST(dialer, says_the_same_at_every_step_after_its_end)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	struct cohort_dialer *d = dialing_started("unix:/no/such/socket", &o, dialing_patience());
	struct cohort_error again;
	cohort_time next;

	for (int i = 0; i < 3; i++) {
		memset(&again, 0, sizeof again);
		CHECK_EQ(cohort_dialer_step(d, &next, &again), -ENOENT);
		CHECK_HAS(again.text, "cannot dial unix:/no/such/socket");
		CHECK_EQ(cohort_dialer_fd(d), -1);
		CHECK(cohort_dialer_take(d) == NULL);
	}
	cohort_dialer_close(d);
	cohort_key_free(key);
}

TEST(dialer, has_no_patience_at_all_when_told_so)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	char address[COH_ADDRESS_TEXT];
	int fd = hall_rogue(address);
	struct cohort_dialer *d = dialing_started(address, &o, COHORT_NOW);

	CHECK_EQ(dialing_run(d), COHORT_ETIMEDOUT);
	cohort_dialer_close(d);
	close(fd);
	cohort_key_free(key);
}

/* ---- several addresses ---- */

TEST(dialer, passes_by_a_black_hole_after_250_ms)
{
	struct hall h;
	struct dialing_hole hole;
	cohort_time start;

	hall_open(&h, NULL, PATIENCE, 8);
	dialing_hole_open(&hole, "127.0.0.2", dialing_port_of(cohort_listener_address(h.listener)));
	book.numbers[0] = "127.0.0.2";
	book.numbers[1] = "127.0.0.1";
	coh_resolve_replace(book_lookup, NULL);
	start = cohort_now();
	dialing_welcomed(dialing_started(at_port(&h, "two.example"), &h.options, dialing_patience()));
	CHECK(cohort_now() - start >= COH_EYEBALLS_DELAY);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	dialing_hole_close(&hole);
	hall_close(&h);
}

TEST(dialer, takes_whoever_of_many_answers_first)
{
	struct hall h;
	struct dialing_hole holes[2];
	uint16_t port;

	hall_open(&h, NULL, PATIENCE, 8);
	port = dialing_port_of(cohort_listener_address(h.listener));
	dialing_hole_open(&holes[0], "127.0.0.2", port);
	dialing_hole_open(&holes[1], "127.0.0.3", port);
	book.numbers[0] = "127.0.0.2";
	book.numbers[1] = "127.0.0.3"; /* and nobody at the next two */
	book.numbers[2] = "127.0.0.4";
	book.numbers[3] = "::1";
	book.numbers[4] = "127.0.0.1";
	coh_resolve_replace(book_lookup, NULL);
	dialing_welcomed(dialing_started(at_port(&h, "five.example"), &h.options, dialing_patience()));
	dialing_hole_close(&holes[0]);
	dialing_hole_close(&holes[1]);
	hall_close(&h);
}

TEST(dialer, finds_localhost_in_either_family)
{
	struct hall h;

	hall_open(&h, "tcp://127.0.0.1:0", PATIENCE, 8);
	dialing_welcomed(dialing_started(at_port(&h, "localhost"), &h.options, dialing_patience()));
	hall_close(&h);
	hall_open(&h, "tcp://[::1]:0", PATIENCE, 8);
	dialing_welcomed(dialing_started(at_port(&h, "localhost"), &h.options, dialing_patience()));
	hall_close(&h);
}

TEST(dialer, tells_of_the_address_that_said_most)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key, .insecure_plaintext = 1};
	char address[COH_ADDRESS_TEXT];
	struct cohort_dialer *d;

	close(hall_rogue(address));
	snprintf(address, sizeof address, "tcp://few.example:%u", dialing_port_of(address));
	book.numbers[0] = "255.255.255.255"; /* no way there for TCP */
	book.numbers[1] = "127.0.0.1";
	book.numbers[2] = "255.255.255.255";
	coh_resolve_replace(book_lookup, NULL);
	d = dialing_started(address, &o, dialing_patience());
	CHECK_EQ(dialing_run(d), -ECONNREFUSED);
	CHECK_HAS(dialing_err.text, address);
	CHECK_HAS(dialing_err.text, "tcp:127.0.0.1:");
	cohort_dialer_close(d);
	cohort_key_free(key);
}

/* Python's handshake goes to no other machine in clear text, and has no other way. */
TEST(dialer, tries_no_address_unless_all_may_be)
{
	struct cohort_key *key;
	struct cohort_net_options o = {0};
	struct pollfd p = {.events = POLLIN};
	char address[COH_ADDRESS_TEXT];
	struct cohort_dialer *d;

	REQUIRE_EQ(cohort_key_new_python(&key, "a key for Python's peers", 24, &dialing_err), 0);
	o.key = key;
	p.fd = hall_rogue(address);
	snprintf(address, sizeof address, "python+tcp://mixed.example:%u", dialing_port_of(address));
	book.numbers[0] = "127.0.0.1";
	book.numbers[1] = "198.51.100.1";
	coh_resolve_replace(book_lookup, NULL);
	d = dialing_started(address, &o, dialing_patience());
	CHECK_EQ(dialing_run(d), COHORT_EPLAINTEXT);
	CHECK_EQ(poll(&p, 1, 0), 0); /* nobody came */
	cohort_dialer_close(d);
	close(p.fd);
	cohort_key_free(key);
}

/* Step a dialer to ADDRESS until its connection is there, and both wait for the peer's first word: is the peer near? */
static bool greets_near(const char *address, const struct cohort_net_options *o)
{
	struct cohort_dialer *d = dialing_started(address, o, dialing_patience());
	cohort_time next;
	bool near;

	REQUIRE_EQ(cohort_dialer_step(d, &next, &dialing_err), 0);
	while (d->state != COH_DIALER_GREETING) {
		CHECK(!coh_dialer_is_near(d));
		dialing_wait(d, next);
		REQUIRE_EQ(cohort_dialer_step(d, &next, &dialing_err), 0);
	}
	near = coh_dialer_is_near(d);
	cohort_dialer_close(d);
	return near;
}

/* Those who are awaited awake for a moment (dial.c): they answer at once. */
TEST(dialer, finds_peers_of_ours_on_this_machine_near_and_no_others)
{
	struct cohort_key *key = hall_key(), *python;
	struct cohort_net_options o = {.key = key};
	char ours[COH_ADDRESS_TEXT], theirs[COH_ADDRESS_TEXT];
	int fd = hall_rogue(ours);

	REQUIRE_EQ(cohort_key_new_python(&python, "a key for Python's peers", 24, &dialing_err), 0);
	CHECK(greets_near(ours, &o));
	o.key = python;
	snprintf(theirs, sizeof theirs, "python+tcp://127.0.0.1:%u", dialing_port_of(ours));
	CHECK(!greets_near(theirs, &o));
	close(fd);
	cohort_key_free(python);
	cohort_key_free(key);
}

/* ---- the resolver ---- */

static void book_speak(void)
{
	pthread_mutex_lock(&book.lock);
	book.silent = false;
	pthread_cond_broadcast(&book.change);
	pthread_mutex_unlock(&book.lock);
}

TEST(dialer, keeps_its_deadline_with_a_resolver_that_does_not_answer)
{
	struct cohort_key *key = hall_key();
	struct cohort_net_options o = {.key = key};
	cohort_time start = cohort_now();
	struct cohort_conn *c;

	book.silent = true;
	coh_resolve_replace(book_lookup, NULL);
	CHECK_EQ(cohort_dial(&c, "tcp://db.example:4700", &o, start + 50 * COHORT_MS, &dialing_err),
	    COHORT_ETIMEDOUT);
	CHECK_HAS(dialing_err.text, "tcp://db.example:4700");
	CHECK_HAS(dialing_err.text, "resolver");
	CHECK(cohort_now() - start >= 50 * COHORT_MS);
	CHECK(cohort_now() - start < test_span(5 * COHORT_SECOND));
	book_speak();
	cohort_key_free(key);
}

TEST(dialer, asks_a_resolver_again_that_has_no_answer_now)
{
	static const struct cohort_backoff soon = {.first = COHORT_MS, .last = COHORT_MS};
	struct hall h;
	struct cohort_net_options o;
	struct cohort_dialer *d;

	hall_open(&h, NULL, PATIENCE, 8);
	o = h.options;
	book.numbers[0] = "127.0.0.1";
	book.again = 3;
	coh_resolve_replace(book_lookup, NULL);
	d = dialing_started(at_port(&h, "db.example"), &o, dialing_patience());
	CHECK_EQ(dialing_run(d), -EAGAIN);
	CHECK_HAS(dialing_err.text, "db.example");
	cohort_dialer_close(d);
	o.retry = &soon;
	dialing_welcomed(dialing_started(at_port(&h, "db.example"), &o, dialing_patience()));
	hall_close(&h);
}

/* ---- ends of every kind ---- */

TEST(dialer, leaves_nothing_behind_wherever_it_is_called_off)
{
	struct hall h;
	struct dialing_hole hole;
	struct cohort_dialer *d;
	cohort_time next;
	int rc = 0;

	hall_open(&h, NULL, PATIENCE, 8);
	dialing_hole_open(&hole, "127.0.0.2", dialing_port_of(cohort_listener_address(h.listener)));
	book.numbers[0] = "127.0.0.2";
	book.numbers[1] = "127.0.0.1";
	coh_resolve_replace(book_lookup, NULL);
	for (int steps = 0; rc == 0; steps++) {
		d = dialing_started(at_port(&h, "two.example"), &h.options, dialing_patience());
		for (int i = 0; i < steps && rc == 0; i++) {
			rc = cohort_dialer_step(d, &next, &dialing_err);
			if (rc == 0)
				dialing_wait(d, next);
		}
		cohort_dialer_close(d);
	}
	CHECK_EQ(rc, 1);
	dialing_hole_close(&hole);
	hall_close(&h);
}

TEST(dialer, leaves_no_tls_behind_wherever_it_is_called_off)
{
	struct hall h;
	struct cohort_dialer *d;
	cohort_time next;
	int rc = 0;

	hall_open(&h, "tls://127.0.0.1:0", PATIENCE, 64);
	for (int steps = 0; rc == 0; steps++) {
		d = dialing_started(cohort_listener_address(h.listener), &h.options, dialing_patience());
		for (int i = 0; i < steps && rc == 0; i++) {
			rc = cohort_dialer_step(d, &next, &dialing_err);
			if (rc == 0)
				dialing_wait(d, next);
		}
		cohort_dialer_close(d);
	}
	CHECK_EQ(rc, 1);
	hall_close(&h);
}

TEST(dialer, says_so_when_there_is_no_descriptor)
{
	struct hall h;
	struct rlimit old, none;
	struct cohort_dialer *d;
	cohort_time next;
	int fd;

	hall_open(&h, NULL, PATIENCE, 8);
	d = dialing_started(cohort_listener_address(h.listener), &h.options, dialing_patience());
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	fd = dup(0);
	none = (struct rlimit){(rlim_t)fd, old.rlim_max};
	close(fd);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	CHECK_EQ(cohort_dialer_step(d, &next, &dialing_err), -EMFILE);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	cohort_dialer_close(d);
	hall_close(&h);
}

static int dial_by_name(void *arg)
{
	struct cohort_key *key = NULL;
	struct cohort_dialer *d = NULL;
	struct cohort_conn *c = NULL;
	struct cohort_net_options o = {0};
	int rc = cohort_key_new(&key, "a key for every hall", 20, &dialing_err);

	o.key = key;
	if (rc == 0)
		rc = cohort_dialer_start(&d, arg, &o, dialing_patience(), &dialing_err);
	if (rc == 0)
		rc = dialing_run(d);
	if (rc == 1) {
		rc = 0;
		c = cohort_dialer_take(d);
		if (strstr(cohort_conn_peer(c), "hall at") == NULL)
			rc = -ENOMEM; /* it found all but room for the name, and does without */
	}
	cohort_dialer_close(d);
	cohort_conn_close(c);
	cohort_key_free(key);
	return rc;
}

/* A hall in a process of its own, which has none of our failures; it ends when *END is closed. */
static pid_t hall_process(uint16_t *port, int *end)
{
	int ready[2], stop[2];
	struct hall h;
	pid_t pid;
	char byte;

	REQUIRE(pipe2(ready, O_CLOEXEC) == 0 && pipe2(stop, O_CLOEXEC) == 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		close(stop[1]);
		hall_open(&h, NULL, PATIENCE, 64);
		*port = dialing_port_of(cohort_listener_address(h.listener));
		CHECK_EQ(write(ready[1], port, sizeof *port), sizeof *port);
		CHECK_EQ(read(stop[0], &byte, 1), 0);
		hall_close(&h);
		_exit(0);
	}
	close(ready[1]);
	close(stop[0]);
	CHECK_EQ(read(ready[0], port, sizeof *port), sizeof *port);
	close(ready[0]);
	*end = stop[1];
	return pid;
}

TEST_TIMEOUT(dialer, survives_every_failed_allocation, 60)
{
	char address[64];
	uint16_t port;
	int end;
	pid_t pid = hall_process(&port, &end);

	book.numbers[0] = "127.0.0.1";
	coh_resolve_replace(book_lookup, NULL);
	snprintf(address, sizeof address, "tcp://db.example:%u", port);
	test_every_allocation(dial_by_name, address);
	close(end);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}
