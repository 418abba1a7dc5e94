/*
 * 02_connection.c - the same conversation over a socket pair and over a network.
 *
 * usage: 02_connection [ADDRESS]     tcp://127.0.0.1:0; or tls://127.0.0.1:0, unix:/some/path
 *
 * Over a network both ends first prove that they hold the same key, which is in the file $COHORT_KEY_FILE
 * (`cohort keygen FILE` makes one).
 */
#include <cohort/cohort.h>
#include <cohort/dial.h>
#include <cohort/listener.h>
#include <err.h>
#include <stdio.h>
#include <string.h>

static int say(struct cohort_conn *c, const char *text)
{
	return cohort_conn_send_bytes(c, text, strlen(text), cohort_in(5 * COHORT_SECOND));
}

static void hear(struct cohort_conn *c, const char *want)
{
	const void *data;
	size_t size;

	if (cohort_conn_recv_bytes(c, &data, &size, cohort_in(5 * COHORT_SECOND)) < 0)
		errx(1, "%s", cohort_conn_error(c));
	printf("%s says: %.*s\n", cohort_conn_peer(c), (int)size, (const char *)data);
	if (size != strlen(want) || memcmp(data, want, size) != 0)
		errx(1, "that is not \"%s\"", want);
}

/* A child that dials its parent. */
static int caller(struct cohort_call *call)
{
	struct cohort_conn *c;
	struct cohort_error e;
	const char *address;

	cohort_call_args(call, &address);
	if (cohort_dial(&c, address, NULL, cohort_in(5 * COHORT_SECOND), &e) < 0)
		return cohort_call_fail(call, "%s", e.text);
	say(c, "hello from afar");
	hear(c, "hello yourself");
	cohort_conn_close(c);
	return 0;
}
COHORT_TASK(caller, "s", "");

int main(int argc, char **argv)
{
	struct cohort_listener *listener;
	struct cohort_process *child;
	struct cohort_conn *a, *b;
	struct cohort_error e;
	const char *address;

	if (cohort_init(&argc, &argv, &e) < 0 || cohort_conn_pair(&a, &b, &e) < 0)
		errx(1, "%s", e.text);
	say(a, "hello from next door");
	hear(b, "hello from next door");
	cohort_conn_close(a);
	cohort_conn_close(b);

	address = argc > 1 ? argv[1] : "tcp://127.0.0.1:0";
	if (cohort_listen(&listener, address, NULL, &e) < 0)
		errx(1, "%s", e.text);
	address = cohort_listener_address(listener);
	if (cohort_process_start(&child, NULL, &e, "caller", &address) < 0 ||
	    cohort_listener_accept(listener, &a, cohort_in(5 * COHORT_SECOND), &e) < 0)
		errx(1, "%s", e.text);
	hear(a, "hello from afar");
	say(a, "hello yourself");

	cohort_process_join(child, cohort_in(5 * COHORT_SECOND));
	cohort_process_free(child);
	cohort_conn_close(a);
	cohort_listener_close(listener);
	return 0;
}
