/*
 * cmd_echo.c - `cohort echo`: what comes in goes back, for trying links.
 *
 * Serves in any mode, as the address and the options say, and so shows that key, certificates,
 * firewall and peer agree before any program is written.  Messages and plain bytes come back
 * as they were, in their order; a peer that does not read what it is sent is not read from.
 *
 * SIGHUP has it read key and certificates again.  One thread and one loop for everybody; nothing here waits
 * but the loop.
 */
#include "base/log.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "conn/framing.h"
#include "conn/listener_priv.h"
#include "node/port_file.h"
#include "os/loop.h"
#include "os/signal.h"

#include <cohort/log.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <utlist.h>

#define BEAT (2500 * COHORT_MS)      /* signs of life, as nodes give them */
#define HIGH_WATER ((size_t)8 << 20) /* bytes that wait for a peer before it is not read from */

struct link {
	struct link *prev, *next;
	struct echo *echo;
	struct cohort_conn *conn;
	struct coh_watch *watch;
	unsigned wanted; /* what the watch waits for */
	cohort_time due; /* look at it again then, at the latest */
};

struct echo {
	const char *address, *port_file;
	struct cohort_net_options net;
	struct cohort_listener *listener;
	struct coh_loop *loop;
	struct coh_watch *listening, *signals;
	struct link *links;
	cohort_time due; /* no later than that of any link */
	int signal_fd;
	int verbose;
	bool stop, port_written;
};

static void link_end(struct link *k, const char *why)
{
	coh_log(COHORT_LOG_INFO, "%s: %s", cohort_conn_peer(k->conn), why);
	DL_DELETE(k->echo->links, k);
	coh_watch_free(k->watch);
	cohort_conn_close(k->conn);
	coh_free(k);
}

/* Send back what has come, until nothing more has or too much waits.  0, or how it ended. */
static int link_echo(struct link *k)
{
	struct coh_frame f;
	const void *body;
	struct iovec part;
	int rc;

	while (coh_conn_pending(k->conn) < HIGH_WATER) {
		rc = coh_conn_next_frame(k->conn, &f, &body, COHORT_NOW);
		if (rc != 0)
			return rc == COHORT_ETIMEDOUT ? 0 : rc;
		part = (struct iovec){(void *)(uintptr_t)body, f.length};
		if (f.type == COH_FRAME_MESSAGE || f.type == COH_FRAME_BYTES)
			rc = coh_conn_put_frame(k->conn, &f, &part, 1, COHORT_NOW);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Ask the loop for what K waits for now. */
static int link_watch(struct link *k)
{
	short events = coh_conn_events(k->conn);
	bool hears = coh_conn_pending(k->conn) < HIGH_WATER || !coh_conn_is_foreign(k->conn);
	unsigned wanted = (events & POLLOUT ? COH_LOOP_WRITE : 0u) | (hears ? COH_LOOP_READ : 0u);

	if (wanted == k->wanted)
		return 0;
	k->wanted = wanted;
	return coh_watch_set(k->watch, wanted);
}

/* Go on with K: back with what came, and signs of life.  What is over is ended. */
static void link_step(struct link *k)
{
	int rc;

	do {
		rc = coh_conn_push(k->conn) < 0 ? COHORT_EPEER : link_echo(k);
		if (coh_conn_pending(k->conn) >= HIGH_WATER && !coh_conn_is_foreign(k->conn))
			(void)coh_conn_hear(k->conn); /* what is put waits for the peer's credit */
		if (rc == 0 && coh_conn_push(k->conn) < 0)
			rc = COHORT_EPEER;
	} while (rc == 0 && coh_conn_has_frame(k->conn) && coh_conn_pending(k->conn) < HIGH_WATER);
	if (rc == 0)
		rc = coh_conn_tick(k->conn, cohort_now(), &k->due);
	if (rc == 0)
		rc = link_watch(k);
	if (rc != 0)
		link_end(k, cohort_strerror(rc));
	else if (k->due < k->echo->due)
		k->echo->due = k->due;
}

static void link_cb(unsigned events, void *arg)
{
	(void)events;
	link_step(arg);
}

/* Time has passed: go on with those for whom it matters. */
static void echo_tick(struct echo *e)
{
	cohort_time now = cohort_now(), due = COHORT_FOREVER;
	struct link *k, *next;

	if (now < e->due)
		return;
	e->due = COHORT_FOREVER;
	DL_FOREACH_SAFE(e->links, k, next)
	{
		if (k->due <= now)
			link_step(k);
		else if (k->due < due)
			due = k->due;
	}
	if (due < e->due)
		e->due = due;
}

/* Serve CONN, which is taken in any case. */
static void echo_serve(struct echo *e, struct cohort_conn *conn)
{
	struct link *k = coh_calloc(sizeof *k);

	if (k != NULL) {
		k->echo = e;
		k->conn = conn;
		k->wanted = COH_LOOP_READ;
		k->due = COHORT_FOREVER;
		k->watch = coh_watch_new(e->loop, coh_conn_fd(conn), COH_LOOP_READ, link_cb, k);
	}
	if (k == NULL || k->watch == NULL) {
		coh_log(COHORT_LOG_ERROR, "no memory for %s", cohort_conn_peer(conn));
		cohort_conn_close(conn);
		coh_free(k);
		return;
	}
	coh_log(COHORT_LOG_INFO, "%s is here", cohort_conn_peer(conn));
	DL_APPEND(e->links, k);
	link_step(k); /* what came with the end of the handshake */
}

static void listening_cb(unsigned events, void *arg)
{
	struct echo *e = arg;
	struct cohort_error err;
	struct cohort_conn *conn;

	(void)events;
	while (coh_listener_step(e->listener, &conn, NULL, &err) == 1)
		echo_serve(e, conn);
}

static void signal_cb(unsigned events, void *arg)
{
	struct echo *e = arg;
	struct cohort_error err;

	(void)events;
	if (coh_signal_take(e->signal_fd) != SIGHUP)
		e->stop = true;
	else if (cohort_listener_reload(e->listener, &err) == 0)
		coh_log(COHORT_LOG_WARN, "SIGHUP: the key and what goes with it are read again");
	else
		coh_log(COHORT_LOG_ERROR, "SIGHUP: the old key stays in force: %s", err.text);
}

static int echo_open(struct echo *e, struct cohort_error *err)
{
	int rc = cohort_listen(&e->listener, e->address, &e->net, err);

	if (rc != 0)
		return rc;
	e->signal_fd = coh_signal_open();
	e->loop = coh_loop_new();
	if (e->loop != NULL && e->signal_fd >= 0) {
		e->listening = coh_watch_new(
		    e->loop, cohort_listener_fd(e->listener), COH_LOOP_READ, listening_cb, e);
		e->signals = coh_watch_new(e->loop, e->signal_fd, COH_LOOP_READ, signal_cb, e);
	}
	if (e->listening == NULL || e->signals == NULL) {
		*err = (struct cohort_error){-ENOMEM, "no memory or no descriptor for a loop"};
		return -ENOMEM;
	}
	coh_log(COHORT_LOG_INFO, "echo listens at %s", cohort_listener_address(e->listener));
	if (e->port_file == NULL)
		return 0;
	rc = coh_port_file_write(e->port_file, cohort_listener_address(e->listener), err);
	e->port_written = rc == 0;
	return rc;
}

static void echo_close(struct echo *e)
{
	struct link *k, *next;

	DL_FOREACH_SAFE(e->links, k, next)
	link_end(k, "the echo ends");
	coh_watch_free(e->listening);
	coh_watch_free(e->signals);
	coh_loop_free(e->loop);
	cohort_listener_close(e->listener);
	if (e->port_written)
		unlink(e->port_file);
	if (e->signal_fd >= 0)
		coh_signal_close(e->signal_fd);
}

static int echo_serve_all(const struct coh_cmd *cmd, struct echo *e)
{
	struct cohort_error err = {0};
	int rc;

	cohort_log_to(cohort_log_stderr, e->verbose ? COHORT_LOG_INFO : COHORT_LOG_WARN, NULL);
	rc = echo_open(e, &err);
	while (rc == 0 && !e->stop) {
		rc = coh_loop_run(e->loop, e->due);
		echo_tick(e);
	}
	echo_close(e);
	return rc == 0 ? COH_CMD_DONE : coh_cmd_failed(cmd, &err);
}

static int echo_run(const struct coh_cmd *cmd, int argc, char **argv)
{
	struct echo e = {.net.heartbeat = BEAT, .due = COHORT_FOREVER, .signal_fd = -1};
	int c;

	while ((c = coh_cmd_option(cmd, argc, argv)) != COH_CMD_END) {
		switch (c) {
		case COH_CMD_HELP:
			return COH_CMD_DONE;
		case 'l':
			e.address = optarg;
			break;
		case 'f':
			e.port_file = optarg;
			break;
		case 'm':
			e.net.python_md5 = 1;
			break;
		case 'v':
			e.verbose = 1;
			break;
		default:
			if (!coh_cmd_net_option(&e.net, c))
				return COH_CMD_USAGE;
		}
	}
	if (coh_cmd_operands(cmd, argc, argv, 0) != 0 || coh_cmd_net_check(cmd, e.address, &e.net) != 0)
		return COH_CMD_USAGE;
	if (e.address == NULL)
		return coh_cmd_wrong(cmd, "got no --listen ADDRESS, which is where it serves");
	return echo_serve_all(cmd, &e);
}

static const struct option echo_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"port-file", required_argument, NULL, 'f'},
    COH_CMD_NET_OPTIONS,
    {"python-md5", no_argument, NULL, 'm'},
    {"verbose", no_argument, NULL, 'v'},
    {0},
};

const struct coh_cmd coh_cmd_echo = {
    .name = "echo",
    .summary = "Send back what comes in, to try a link",
    .usage = "--listen ADDRESS " COH_CMD_NET_USAGE " [OPTION...]",
    .help =
	"  --listen ADDRESS      tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH, "
	"python+tcp://HOST:PORT,\n"
	"                        python+unix:/PATH; port 0 is the system's choice\n"
	"  --port-file FILE      write the address really bound to FILE\n" COH_CMD_NET_HELP
	"  --python-md5          python+...: accept Python 3.11 and older, which know MD5 only\n"
	"  -v, --verbose         log who comes and goes to standard error\n",
    .options = echo_options,
    .letters = "v",
    .run = echo_run,
};
