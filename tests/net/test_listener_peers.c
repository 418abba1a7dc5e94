/*
 * test_listener_peers.c - what a listener says of its peers, and whom it does not want.
 */
#include "base/err.h"
#include "net/hall.h"
#include "support/test.h"

#include <cohort/dial.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))
#define GUESTS 5

static struct cohort_error err;

/* A listener, and guests that dial it from threads of their own, being this process too. */
static struct house {
	struct cohort_key *key;
	struct cohort_listener *listener;
	struct guest {
		pthread_t thread;
		struct cohort_net_options options;
		char name[24];
		struct cohort_conn *conn;
		struct cohort_error err;
		int rc;
	} guests[GUESTS];
} house;

static void house_open(const char *address)
{
	struct cohort_net_options o = {.name = "house"};

	o.key = house.key = hall_key();
	if (cohort_listen(&house.listener, address, &o, &err) != 0) {
		FAIL("%s", err.text);
		REQUIRE(false);
	}
	coh_listener_identity(house.listener)->uuid[0] ^= 1;
}

static void *guest_main(void *arg)
{
	struct guest *g = arg;

	g->rc = cohort_dial(
	    &g->conn, cohort_listener_address(house.listener), &g->options, SOON, &g->err);
	return NULL;
}

/* Guest I dials, under the name "guest-I". */
static void guest_send(int i)
{
	struct guest *g = &house.guests[i];

	snprintf(g->name, sizeof g->name, "guest-%d", i);
	g->options = (struct cohort_net_options){.key = house.key, .name = g->name};
	REQUIRE_EQ(pthread_create(&g->thread, NULL, guest_main, g), 0);
}

static struct guest *guest_back(int i)
{
	pthread_join(house.guests[i].thread, NULL);
	return &house.guests[i];
}

static void house_close(void)
{
	for (int i = 0; i < GUESTS; i++)
		cohort_conn_close(house.guests[i].conn);
	cohort_listener_close(house.listener);
	cohort_key_free(house.key);
}

TEST(listener_peers, says_who_came_last)
{
	const struct cohort_peer *p;
	struct cohort_conn *c;

	house_open("tcp://127.0.0.1:0");
	CHECK(cohort_listener_peer(house.listener) == NULL);
	for (int i = 0; i < 2; i++) {
		guest_send(i);
		REQUIRE_EQ(cohort_listener_accept(house.listener, &c, SOON, &err), 0);
		p = cohort_listener_peer(house.listener);
		REQUIRE(p != NULL);
		CHECK_STR(p->name, guest_back(i)->name);
		CHECK_EQ(strspn(p->uuid, "0123456789abcdef"), 32);
		CHECK_EQ(strlen(p->uuid), 32);
		CHECK_HAS(p->address, "tcp://127.0.0.1:");
		CHECK_STR(p->mode, cohort_conn_guard(c));
		cohort_conn_close(c);
	}
	CHECK_EQ(cohort_listener_accept(house.listener, &c, COHORT_NOW, &err), COHORT_ETIMEDOUT);
	CHECK_STR(cohort_listener_peer(house.listener)->name, "guest-1");
	house_close();
}

TEST(listener_peers, come_by_unix_sockets_without_an_address_of_their_own)
{
	char address[300];
	struct cohort_conn *c;

	snprintf(address, sizeof address, "unix:%s", test_path("s"));
	house_open(address);
	guest_send(0);
	REQUIRE_EQ(cohort_listener_accept(house.listener, &c, SOON, &err), 0);
	guest_back(0);
	CHECK_HAS(cohort_listener_peer(house.listener)->address, address);
	cohort_conn_close(c);
	house_close();
}

/* What a user's function saw. */
struct visits {
	int seen, wanted, last; /* after WANTED visits it returns LAST */
	char names[GUESTS][16];
};

static int visit_cb(struct cohort_listener *l, struct cohort_conn *conn, void *arg)
{
	struct visits *v = arg;

	snprintf(v->names[v->seen], sizeof v->names[0], "%s", cohort_listener_peer(l)->name);
	CHECK_HAS(cohort_conn_peer(conn), v->names[v->seen]);
	cohort_conn_close(conn);
	return ++v->seen == v->wanted ? v->last : 0;
}

TEST(listener_peers, are_handed_to_a_function_until_it_has_enough)
{
	struct visits v = {.wanted = GUESTS, .last = 7};
	unsigned met = 0;

	house_open("tcp://127.0.0.1:0");
	for (int i = 0; i < GUESTS; i++)
		guest_send(i);
	CHECK_EQ(cohort_listener_serve(house.listener, visit_cb, &v, SOON, &err), 7);
	CHECK_EQ(v.seen, GUESTS);
	for (int i = 0; i < GUESTS; i++) {
		met |= 1u << (v.names[i][6] - '0');
		CHECK_EQ(guest_back(i)->rc, 0);
	}
	CHECK_EQ(met, (1u << GUESTS) - 1);
	house_close();
}

TEST(listener_peers, are_handed_to_a_function_until_the_deadline)
{
	struct visits v = {.wanted = GUESTS};
	cohort_time start = cohort_now();

	house_open("tcp://127.0.0.1:0");
	CHECK_EQ(cohort_listener_serve(
		     house.listener, visit_cb, &v, start + 20 * COHORT_MS, &err),
	    COHORT_ETIMEDOUT);
	CHECK(cohort_now() >= start + 20 * COHORT_MS);
	CHECK_EQ(v.seen, 0);
	house_close();
}

/* Everyone but guest-1. */
static int not_guest_1(const struct coh_handshake_peer *peer, void *arg, struct cohort_error *e)
{
	(*(int *)arg)++;
	return strcmp(peer->name, "guest-1") == 0 ? coh_fail(e, COHORT_ENAME, "there is one") : 0;
}

TEST(listener_peers, that_are_not_wanted_hear_it_inside_the_handshake)
{
	struct cohort_conn *c;
	int asked = 0;

	house_open("tcp://127.0.0.1:0");
	coh_listener_admit(house.listener, not_guest_1, &asked);
	guest_send(0);
	REQUIRE_EQ(cohort_listener_accept(house.listener, &c, SOON, &err), 0);
	CHECK_EQ(guest_back(0)->rc, 0);
	cohort_conn_close(c);
	guest_send(1);
	while (asked < 2)
		CHECK_EQ(cohort_listener_accept(house.listener, &c, cohort_in(COHORT_MS), &err),
		    COHORT_ETIMEDOUT);
	CHECK_EQ(guest_back(1)->rc, COHORT_ENAME);
	CHECK_HAS(house.guests[1].err.text, "another peer of our name");
	house_close();
}

TEST(listener_peers, have_no_delay_without_a_call_for_each)
{
	struct cohort_conn *c;
	int on = 0;
	socklen_t size = sizeof on;

	house_open("tcp://127.0.0.1:0");
	guest_send(0);
	REQUIRE_EQ(cohort_listener_accept(house.listener, &c, SOON, &err), 0);
	guest_back(0);
	CHECK_EQ(getsockopt(coh_conn_fd(c), IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
	CHECK(on);
	cohort_conn_close(c);
	house_close();
}
