/*
 * gateway.c - Python programs call tasks of a Cohort pool.
 *
 *	gateway [--key FILE] [--python-md5] [--port-file FILE] python+tcp://127.0.0.1:4800 [POOL]
 *
 * Listens for Python peers at the first address (python+tcp:// or python+unix:) and runs what they
 * ask for on POOL (local:, tcp://node:4700, ...; without it where $COHORT_POOL says).  The peers' key is
 * in FILE or in the one that $COHORT_PYTHON_KEY_FILE names: not the cluster's, since Python's handshake
 * gives more away.  examples/python/cohort.py is the other end; PROTOCOL.md, "The gateway", and
 * gateway_client.c have the bytes.  SIGTERM or SIGINT ends it.
 */
#include "gateway_client.h"

#include <cohort/cohort.h>
#include <cohort/listener.h>
#include <err.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CLIENTS 64 /* more are told to go, by closing */

static struct gateway_client *clients[CLIENTS];

/* A place for a newcomer, freeing those of clients that are over; NULL when all are taken. */
static struct gateway_client **place(void)
{
	struct gateway_client **free_one = NULL;

	for (int i = 0; i < CLIENTS; i++) {
		if (clients[i] != NULL && gateway_client_over(clients[i])) {
			gateway_client_stop(clients[i]);
			clients[i] = NULL;
		}
		if (clients[i] == NULL)
			free_one = &clients[i];
	}
	return free_one;
}

static void welcome(struct cohort_conn *conn, struct cohort_pool *pool)
{
	struct gateway_client **at = place();

	if (at != NULL)
		*at = gateway_client_start(conn, pool);
	if (at == NULL || *at == NULL) {
		warnx("%s: turned away, %d clients are here", cohort_conn_peer(conn), CLIENTS);
		cohort_conn_close(conn);
	}
}

/* Take clients in until a signal comes. */
static void serve(struct cohort_listener *l, struct cohort_pool *pool, int signals)
{
	struct cohort_wait_item items[] = {{.fd = cohort_listener_fd(l)}, {.fd = signals}};
	struct cohort_error e = {0};
	struct cohort_conn *conn;
	int rc = 0;

	while ((rc == 0 || rc == COHORT_ETIMEDOUT) && cohort_wait(items, 2, COHORT_FOREVER) > 0) {
		if (items[1].ready)
			return;
		while ((rc = cohort_listener_accept(l, &conn, COHORT_NOW, &e)) == 0)
			welcome(conn, pool);
	}
	warnx("%s", e.text);
}

static void write_port(const char *file, const char *address)
{
	FILE *f = fopen(file, "w");

	if (f == NULL || fprintf(f, "%s\n", address) < 0 || fclose(f) != 0)
		err(1, "%s", file);
}

/* SIGTERM and SIGINT as a descriptor; before any thread is there, so that all have them blocked. */
static int signals_open(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		err(1, "signalfd");
	return fd;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"key", required_argument, NULL, 'k'},
	    {"python-md5", no_argument, NULL, 'm'}, {"port-file", required_argument, NULL, 'p'},
	    {0}};
	struct cohort_net_options net = {0};
	struct cohort_listener *listener;
	const char *port_file = NULL;
	struct cohort_pool *pool;
	struct cohort_error e;
	int c, signals;

	if (cohort_init(&argc, &argv, &e) < 0)
		errx(1, "%s", e.text);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'k':
			net.key_file = optarg;
			break;
		case 'm':
			net.python_md5 = 1;
			break;
		case 'p':
			port_file = optarg;
			break;
		default:
			return 2;
		}
	if (optind == argc)
		errx(2,
		    "usage: gateway [--key FILE] [--python-md5] [--port-file FILE] ADDRESS [POOL]");
	signals = signals_open();
	if (cohort_listen(&listener, argv[optind], &net, &e) < 0 ||
	    cohort_pool_open(&pool, argv[optind + 1], NULL, &e) < 0)
		errx(1, "%s", e.text);
	if (port_file != NULL)
		write_port(port_file, cohort_listener_address(listener));
	serve(listener, pool, signals);

	cohort_listener_close(listener);
	cohort_pool_terminate(pool); /* what is under way ends now */
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i] != NULL)
			gateway_client_stop(clients[i]);
	cohort_pool_free(pool);
	close(signals);
	return 0;
}
