/*
 * 08_libevent_loop.c - connections inside a libevent program.
 *
 * usage: 08_libevent_loop [ADDRESS]     tcp://127.0.0.1:0; or tls://127.0.0.1:0, unix:/some/path
 *
 * A server that gives every word back in capitals, and a child that asks it for some.  The loop is the
 * program's own: each connection is an event on cohort_conn_fd, for what cohort_conn_events says, with
 * the time that cohort_conn_step gives; timers and other sockets of yours stand beside it.
 * The key is in the file $COHORT_KEY_FILE (`cohort keygen FILE` makes one).
 */
#include <cohort/cohort.h>
#include <cohort/dial.h>
#include <cohort/listener.h>
#include <ctype.h>
#include <err.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 255

struct server {
	struct event_base *base;
	struct cohort_listener *listener;
};

struct client {
	struct cohort_conn *conn;
	struct event *event;
};

/* A child: has some words made capital. */
static int shy(struct cohort_call *call)
{
	static const char *const words[] = {"work", "runs", "where", "there", "is", "room"};
	cohort_time deadline = cohort_in(10 * COHORT_SECOND);
	const char *address;
	struct cohort_conn *c;
	struct cohort_error e;
	const void *data;
	size_t size;

	cohort_call_args(call, &address);
	if (cohort_dial(&c, address, NULL, deadline, &e) < 0)
		return cohort_call_fail(call, "%s", e.text);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (cohort_conn_send_bytes(c, words[i], strlen(words[i]), deadline) < 0 ||
		    cohort_conn_recv_bytes(c, &data, &size, deadline) < 0)
			return cohort_call_fail(call, "%s", cohort_conn_error(c));
		printf("%s -> %.*s\n", words[i], (int)size, (const char *)data);
	}
	fflush(stdout);
	cohort_conn_close(c);
	return 0;
}
COHORT_TASK(shy, "s", "");

/* Give back what has come.  0, or how the connection ended. */
static int client_answer(struct client *k)
{
	char loud[LONGEST];
	const void *data;
	size_t size;
	int rc;

	while ((rc = cohort_conn_recv_bytes(k->conn, &data, &size, COHORT_NOW)) == 0) {
		if (size > LONGEST)
			return COHORT_ETOOBIG;
		for (size_t i = 0; i < size; i++)
			loud[i] = (char)toupper(((const unsigned char *)data)[i]);
		rc = cohort_conn_put_bytes(k->conn, loud, size, COHORT_NOW);
		if (rc < 0)
			return rc;
	}
	return rc == COHORT_ETIMEDOUT ? 0 : rc;
}

static void client_ready(evutil_socket_t fd, short what, void *arg);

/* Wait for what the connection asks for now. */
static void client_watch(struct client *k, cohort_time next)
{
	cohort_time left = next - cohort_now();
	struct timeval tv = {
	    .tv_sec = left / COHORT_SECOND, .tv_usec = left % COHORT_SECOND / COHORT_US};
	short events = cohort_conn_events(k->conn);

	event_del(k->event);
	event_assign(k->event, event_get_base(k->event), cohort_conn_fd(k->conn),
	    (short)((events & POLLIN ? EV_READ : 0) | (events & POLLOUT ? EV_WRITE : 0)),
	    client_ready, k);
	event_add(k->event, next == COHORT_FOREVER ? NULL : left > 0 ? &tv : &(struct timeval){0});
}

static void client_ready(evutil_socket_t fd, short what, void *arg)
{
	struct client *k = arg;
	cohort_time next;
	int rc = 0;

	(void)fd;
	(void)what;
	while (rc == 0 && cohort_conn_step(k->conn, &next) == 1)
		rc = client_answer(k);
	if (rc == 0) {
		client_watch(k, next);
		return;
	}
	printf("%s: %s\n", cohort_conn_peer(k->conn), cohort_strerror(rc));
	event_base_loopbreak(event_get_base(k->event)); /* this server has one client */
	event_free(k->event);
	cohort_conn_close(k->conn);
	free(k);
}

static void listener_ready(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct client *k = malloc(sizeof *k);
	struct cohort_error e;

	(void)fd;
	(void)what;
	if (k == NULL || cohort_listener_accept(s->listener, &k->conn, COHORT_NOW, &e) != 0) {
		free(k);
		return;
	}
	k->event = event_new(s->base, -1, 0, client_ready, k);
	client_ready(-1, 0, k);
}

int main(int argc, char **argv)
{
	struct cohort_process *child;
	struct server s;
	struct cohort_error e;
	struct event *listening;
	const char *address;

	if (cohort_init(&argc, &argv, &e) < 0 ||
	    cohort_listen(&s.listener, argc > 1 ? argv[1] : "tcp://127.0.0.1:0", NULL, &e) < 0)
		errx(1, "%s", e.text);
	address = cohort_listener_address(s.listener);
	if (cohort_process_start(&child, NULL, &e, "shy", &address) < 0)
		errx(1, "%s", e.text);
	s.base = event_base_new();
	listening = event_new(
	    s.base, cohort_listener_fd(s.listener), EV_READ | EV_PERSIST, listener_ready, &s);
	event_add(listening, NULL);
	event_base_dispatch(s.base);
	cohort_process_join(child, cohort_in(5 * COHORT_SECOND));
	cohort_process_free(child);
	event_free(listening);
	event_base_free(s.base);
	cohort_listener_close(s.listener);
	return 0;
}
