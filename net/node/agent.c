/*
 * agent.c - the daemon on a node: coordinators in, until told to end.
 *
 * Listening, it serves every coordinator that shows the key; joining, it calls one home, and again
 * with growing pauses when that one goes.  The main thread waits in the engine like any caller;
 * signals come in as a descriptor: SIGTERM and SIGINT end it, SIGHUP has it read its keys again.
 *
 * Its end is orderly: no new coordinators, workers killed, connections closed.  If it is killed
 * instead, the zygote ends with it and the workers with the zygote.
 */
#include "node/agent.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/name.h"
#include "conn/dialer.h"
#include "conn/listener_priv.h"
#include "node/port_file.h"
#include "node/serve.h"
#include "os/signal.h"
#include "trust/hmac_openssl.h"
#include "work/engine.h"
#include "work/init.h"
#include "work/pool_priv.h"

#include <cohort/listener.h>
#include <cohort/process.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#define CLOSE_PATIENCE (5 * COHORT_SECOND) /* for killed workers to be gone */
#define REMINDER (3600 * COHORT_SECOND)
#define DIAL_PATIENCE (2 * COHORT_SECOND)

/* Without end, and a coordinator that was gone for long has one call in 2.5 s from each node. */
static const struct cohort_backoff redial = {.first = 100 * COHORT_MS, .last = 5 * COHORT_SECOND};

struct served {
	struct served *prev, *next;
	struct coh_serve *serve;
	struct agent *agent;
};

struct agent {
	const struct coh_agent_options *options;
	struct coh_serve_offer offer;
	char name[COH_NAME_MAX + 1];
	struct cohort_listener *listener;
	struct coh_watch *listening, *signals;
	struct served *served;
	int signal_fd;
	struct coh_identity id; /* to call home as; used by the main thread alone */
	bool open; /* the engine is, and what follows may be */
	bool stop, reload, port_written;
};

/* ---- coordinators ---- */

static void served_end_cb(struct coh_serve *s, void *arg)
{
	struct served *d = arg;

	DL_DELETE(d->agent->served, d);
	coh_serve_free(s);
	coh_free(d);
}

/* Serve CONN, which is taken in any case.  [lock held] */
static int agent_serve(struct agent *a, struct cohort_conn *conn)
{
	struct served *d = coh_calloc(sizeof *d);
	int rc = -ENOMEM;

	if (d != NULL) {
		d->agent = a;
		rc = coh_serve_new(&d->serve, conn, &a->offer, served_end_cb, d);
	}
	if (rc == 0) {
		DL_APPEND(a->served, d);
		return 0;
	}
	coh_log(COHORT_LOG_ERROR, "%s cannot be served: %s", cohort_conn_peer(conn),
	    cohort_strerror(rc));
	cohort_conn_close(conn);
	coh_free(d);
	return rc;
}

static void listening_cb(unsigned events, void *arg)
{
	struct agent *a = arg;
	struct cohort_error err;
	struct cohort_conn *conn;

	(void)events;
	coh_engine_lock();
	while (coh_listener_step(a->listener, &conn, NULL, &err) == 1) {
		coh_log(COHORT_LOG_INFO, "coordinator %s is here", cohort_conn_peer(conn));
		agent_serve(a, conn);
	}
	coh_engine_unlock();
}

static void signal_cb(unsigned events, void *arg)
{
	struct agent *a = arg;

	(void)events;
	coh_engine_lock();
	if (coh_signal_take(a->signal_fd) == SIGHUP)
		a->reload = true;
	else
		a->stop = true;
	coh_engine_unlock();
}

/* ---- beginning ---- */

static struct cohort_net_options conn_options(const struct agent *a)
{
	struct cohort_net_options options = a->options->net;

	/* a certificate proves its own names only */
	options.name = a->options->name == NULL && options.cert_file != NULL ? NULL : a->name;
	if (options.heartbeat == 0)
		options.heartbeat = COH_PULSE_BEAT;
	return options;
}

static int agent_listen(struct agent *a, struct cohort_error *err)
{
	struct cohort_net_options options = conn_options(a);
	int rc;

	rc = cohort_listen(&a->listener, a->options->listen, &options, err);
	if (rc != 0)
		return rc;
	memcpy(a->name, coh_listener_identity(a->listener)->name, sizeof a->name);
	coh_engine_lock();
	a->listening = coh_watch_new(coh_engine_loop(), cohort_listener_fd(a->listener),
	    COH_LOOP_READ, listening_cb, a);
	coh_engine_unlock();
	if (a->listening == NULL)
		return coh_fail(err, -ENOMEM, "no memory to listen");
	coh_log(COHORT_LOG_INFO, "node %s listens on %s with %u slots", a->name,
	    cohort_listener_address(a->listener), a->offer.slots);
	if (a->options->port_file == NULL)
		return 0;
	rc = coh_port_file_write(a->options->port_file, cohort_listener_address(a->listener), err);
	a->port_written = rc == 0;
	return rc;
}

/* The name asked for, or HOST.PID: two agents of one host differ. */
static int agent_name(struct agent *a, struct cohort_error *err)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	const char *asked = a->options->name;
	char host[COH_NAME_MAX - 11] = ""; /* a dot and a pid go behind it */

	if (asked != NULL && !coh_name_valid(asked, strlen(asked)))
		return coh_fail(err, COHORT_ENAME, "node name \"%.80s\": %s", asked,
		    cohort_strerror(COHORT_ENAME));
	if (asked != NULL) {
		memcpy(a->name, asked, strlen(asked) + 1);
		return 0;
	}
	if (gethostname(host, sizeof host - 1) != 0)
		host[0] = '\0';
	host[strspn(host, letters)] = '\0';
	snprintf(a->name, sizeof a->name, "%s.%d", host[0] != '\0' ? host : "node", (int)getpid());
	return 0;
}

static int agent_open(struct agent *a, struct cohort_error *err)
{
	int rc = coh_init_children(COHORT_START_ZYGOTE, err); /* before the engine's thread */

	if (rc == 0)
		rc = coh_engine_open(err);
	if (rc != 0)
		return rc;
	a->open = true;
	a->signal_fd = coh_signal_open();
	if (a->signal_fd < 0)
		return coh_fail_errno(err, -a->signal_fd, "watch for signals");
	coh_engine_lock();
	a->signals = coh_watch_new(
	    coh_engine_loop(), a->signal_fd, COH_LOOP_READ, signal_cb, a);
	coh_engine_unlock();
	if (a->signals == NULL)
		return coh_fail(err, -ENOMEM, "no memory for an agent");
	return 0;
}

static void agent_close(struct agent *a)
{
	struct served *d, *tmp;
	bool gone;

	if (!a->open)
		return;
	coh_engine_lock();
	coh_engine_loop();
	DL_FOREACH_SAFE(a->served, d, tmp)
		served_end_cb(d->serve, d);
	coh_engine_loop(); /* each end may have let the lock go, and the loop run */
	coh_watch_free(a->listening);
	coh_watch_free(a->signals);
	gone = coh_engine_wait(coh_pool_none, NULL, cohort_in(CLOSE_PATIENCE)) == 0;
	coh_engine_unlock();
	cohort_listener_close(a->listener);
	if (a->port_written)
		unlink(a->options->port_file);
	coh_identity_fini(&a->id);
	coh_signal_close(a->signal_fd);
	if (gone) /* else it is for the end of the process to wait for them */
		coh_engine_close();
}

/* ---- life ---- */

static bool stop_test(void *arg)
{
	const struct agent *a = arg;

	return a->stop || a->reload;
}

static bool alone_test(void *arg)
{
	const struct agent *a = arg;

	return a->stop || a->reload || a->served == NULL;
}

/* SIGHUP came: read keys and certificates again.  [lock held] */
static void agent_reload(struct agent *a)
{
	struct cohort_error err = {0};
	int rc = a->listener != NULL ? cohort_listener_reload(a->listener, &err)
				     : coh_identity_reload(&a->id, &err);

	a->reload = false;
	if (rc == 0)
		coh_log(COHORT_LOG_WARN, "SIGHUP: the key and what goes with it are read again");
	else
		coh_log(COHORT_LOG_ERROR, "SIGHUP: the old key stays in force: %s", err.text);
}

/*
 * Wait until TEST, which is true when a signal comes; a SIGHUP is seen to, and waited on.  Every hour
 * who listens in clear text is reminded of it.
 */
static int wait_for(struct agent *a, coh_engine_test_fn test, cohort_time deadline)
{
	cohort_time hour = cohort_in(REMINDER);
	int rc;

	coh_engine_lock();
	for (;;) {
		rc = coh_engine_wait(test, a, hour < deadline ? hour : deadline);
		if (rc == 0 && a->reload)
			agent_reload(a);
		else if (rc == COHORT_ETIMEDOUT && hour < deadline) {
			if (a->listener != NULL)
				coh_listener_warn(a->listener);
			hour = cohort_in(REMINDER);
		} else
			break;
	}
	coh_engine_unlock();
	return rc;
}

/* Call home and serve, over and over. */
static int agent_join(struct agent *a, struct cohort_error *err)
{
	struct cohort_net_options options = conn_options(a);
	struct coh_dial how = {.id = &a->id, .options = &options};
	struct coh_backoff backoff;
	struct cohort_conn *conn;
	uint64_t seed = 0;
	int rc = coh_identity_init(&a->id, &options, err);

	if (rc != 0)
		return rc;
	memcpy(a->name, a->id.name, sizeof a->name);
	(void)coh_random_bytes(&seed, sizeof seed);
	coh_backoff_init(&backoff, &redial, seed);
	while (!a->stop) {
		rc = coh_dial(&conn, a->options->join, &how, cohort_in(DIAL_PATIENCE), err);
		if (rc == 0) {
			coh_engine_lock();
			agent_serve(a, conn);
			coh_engine_unlock();
			wait_for(a, alone_test, COHORT_FOREVER);
			coh_backoff_succeeded(&backoff);
		} else if (rc == COHORT_EADDRESS || rc == COHORT_EKEY ||
		    rc == COHORT_EPLAINTEXT || rc == COHORT_ENOTSUP)
			return rc; /* no later try can go better */
		else
			coh_log(COHORT_LOG_WARN, "call home: %s", err != NULL ? err->text : "");
		wait_for(a, stop_test, cohort_in(coh_backoff_failed(&backoff)));
	}
	return 0;
}

int coh_agent_run(const struct coh_agent_options *o, struct cohort_error *err)
{
	struct agent a = {.options = o, .signal_fd = -1};
	int rc = agent_name(&a, err);

	if (rc != 0)
		return rc;
	a.offer = (struct coh_serve_offer){.name = a.name,
	    .slots = o->slots != 0 ? o->slots : (unsigned)cohort_cpu_count(),
	    .programs = o->programs,
	    .program_count = o->program_count};
	rc = agent_open(&a, err);
	if (rc == 0 && o->listen != NULL)
		rc = agent_listen(&a, err);
	if (rc == 0)
		rc = o->join != NULL ? agent_join(&a, err)
				     : wait_for(&a, stop_test, COHORT_FOREVER);
	agent_close(&a);
	return rc;
}
