/*
 * launcher_node.c - seam 2 through node agents: tcp://, unix: and listen: pools.
 *
 * A member is a node: dialled when the pool is opened, or one that calls home to a pool that
 * listens.  It says HELLO, is told the JOB (this program by path and SHA-256, the initializer), and
 * is READY with its slots.  A node that is lost is not waited for: what it held runs on the
 * others; its agent may call home again.
 *
 * Rejected: going on with the nodes that could be reached when one of a list could not: a wrong
 * address or key is a mistake to be told of, not half the speed.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "addr/address.h"
#include "conn/listener_priv.h"
#include "node/program.h"
#include "work/pool_priv.h"
#include "work/proto.h"

#include <cohort/dial.h>
#include <cohort/listener.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AHEAD_NS (2 * COHORT_MS) /* a round trip to a node costs more than one to a worker */

struct node {
	struct cohort_conn *conn; /* until start takes it */
};

static int node_start(struct coh_member *m, struct cohort_error *err)
{
	struct node *n = m->data;

	(void)err;
	m->conn = n->conn;
	n->conn = NULL;
	coh_conn_set_phase(m->conn, COH_PHASE_MEMBER);
	return 0;
}

static int node_greet(struct coh_member *m, struct cohort_error *err)
{
	struct coh_frame f = {.type = COH_FRAME_JOB};
	struct cohort_pool *p = m->pool;
	const struct coh_program *self;
	struct coh_buf body;
	int rc;

	rc = coh_program_self(&self, err);
	if (rc != 0)
		return rc;
	struct coh_job job = {.version = COH_PROTO_VERSION,
	    .tasks = p->kind_count,
	    .strikes = p->strikes,
	    .digest = p->digest,
	    .registry = p->registry,
	    .program = self->path,
	    .sha256 = self->sha256,
	    .has_setup = p->has_setup,
	    .setup_number = p->setup_number,
	    .setup_args = p->setup_args,
	    .setup_size = p->setup_size};
	coh_buf_init(&body, COHORT_MESSAGE_MAX);
	rc = coh_job_pack(&job, &body);
	if (rc == 0)
		coh_member_put(m, &f, coh_buf_peek(&body), coh_buf_len(&body));
	coh_buf_fini(&body);
	return rc == 0 ? 0 : coh_fail_code(err, rc);
}

static void node_end(struct coh_member *m, struct coh_member_end *end)
{
	snprintf(end->text, sizeof end->text, "node %.80s is lost (%.90s)", m->where,
	    m->conn != NULL ? cohort_conn_error(m->conn) : "never reached");
}

static void node_fini(struct coh_member *m)
{
	struct node *n = m->data;

	cohort_conn_close(n->conn);
	coh_free(n);
}

static const struct coh_launcher_ops node_ops = {
    .start = node_start,
    .greet = node_greet,
    .end = node_end,
    .fini = node_fini,
    .ahead_ns = AHEAD_NS,
};

/* A member of P over CONN, which is taken in any case.  [lock held] */
static int node_add(struct cohort_pool *p, struct cohort_conn *conn, const char *where,
    struct cohort_error *err)
{
	struct node *n = coh_calloc(sizeof *n);
	struct coh_member *m = n != NULL ? coh_member_new(p, &node_ops, n, where) : NULL;

	if (m != NULL) {
		n->conn = conn;
		return coh_member_start(m, err);
	}
	coh_free(n);
	cohort_conn_close(conn);
	return coh_fail(err, -ENOMEM, "no memory for a node");
}

/* ---- nodes that are dialled ---- */

static int node_dial(struct cohort_pool *p, const struct coh_address *a,
    const struct cohort_pool_options *o, struct cohort_error *err)
{
	struct cohort_net_options options = {
	    .key_file = o->key_file, .insecure_plaintext = o->insecure_plaintext};
	char where[COH_ADDRESS_TEXT];
	struct cohort_conn *conn;
	int rc;

	coh_address_print(a, where);
	rc = cohort_dial(&conn, where, &options, o->deadline, err);
	if (rc != 0)
		return rc;
	coh_engine_lock();
	rc = node_add(p, conn, where, err);
	coh_engine_unlock();
	return rc;
}

/* Every member serves, or one of them will not. */
static bool settled_test(void *arg)
{
	struct cohort_pool *p = arg;
	bool settled = true;

	for (const struct coh_member *m = p->members; m != NULL; m = m->next) {
		if (m->state == COH_MEMBER_DOWN)
			return true;
		settled &= m->state == COH_MEMBER_UP;
	}
	return settled;
}

static int nodes_wait(struct cohort_pool *p, cohort_time deadline, struct cohort_error *err)
{
	int rc;

	coh_engine_lock();
	rc = coh_engine_wait(settled_test, p, deadline);
	if (rc != 0)
		coh_fail(err, rc, "pool %.200s: not every node was ready by the deadline",
		    p->address);
	for (const struct coh_member *m = p->members; m != NULL && rc == 0; m = m->next)
		if (m->state != COH_MEMBER_UP)
			rc = p->refusal.code != 0
			    ? coh_fail(err, p->refusal.code, "%s", p->refusal.text)
			    : coh_fail(err, COHORT_EPEER, "%s went away before it was ready",
				  m->where);
	coh_engine_unlock();
	return rc;
}

static int node_open(struct cohort_pool *p, const char *address,
    const struct cohort_pool_options *o, struct cohort_error *err)
{
	const struct coh_program *self;
	struct coh_address *list;
	size_t count;
	int rc;

	rc = coh_address_parse_list(&list, &count, address, err);
	if (rc == 0)
		rc = coh_program_self(&self, err); /* here, not under the lock */
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = coh_address_check(&list[i], COH_ADDRESS_DIAL, err);
		if (rc == 0)
			rc = node_dial(p, &list[i], o, err);
	}
	coh_free(list);
	return rc == 0 ? nodes_wait(p, o->deadline, err) : rc;
}

/* ---- nodes that call home ---- */

struct home {
	struct cohort_pool *pool;
	struct cohort_listener *listener;
	struct coh_watch *watch;
};

static void home_step(struct home *h)
{
	struct cohort_error err = {0};
	struct cohort_conn *conn;

	while (coh_listener_step(h->listener, &conn, NULL, &err) == 1)
		if (node_add(h->pool, conn, cohort_conn_peer(conn), &err) != 0)
			coh_log(COHORT_LOG_ERROR, "a node that called home: %s", err.text);
	coh_pool_flush(h->pool);
}

static void home_cb(unsigned events, void *arg)
{
	(void)events;
	coh_engine_lock();
	home_step(arg);
	coh_engine_unlock();
}

static void home_close(struct cohort_pool *p)
{
	struct home *h = p->scheme_data;

	if (h == NULL)
		return;
	p->scheme_data = NULL;
	p->joining = false;
	coh_engine_loop();
	coh_watch_free(h->watch);
	cohort_listener_close(h->listener);
	coh_free(h);
}

static int home_watch(struct cohort_pool *p, struct home *h)
{
	struct coh_loop *loop;

	coh_engine_lock();
	p->scheme_data = h;
	p->joining = true;
	loop = coh_engine_loop();
	h->watch = coh_watch_new(
	    loop, cohort_listener_fd(h->listener), COH_LOOP_READ, home_cb, h);
	coh_engine_unlock();
	return h->watch != NULL ? 0 : -ENOMEM;
}

static int home_open(struct cohort_pool *p, const char *address,
    const struct cohort_pool_options *o, struct cohort_error *err)
{
	struct cohort_net_options options = {
	    .key_file = o->key_file, .insecure_plaintext = o->insecure_plaintext};
	struct home *h = coh_calloc(sizeof *h);
	const struct coh_program *self;
	int rc;

	if (h == NULL)
		return coh_fail(err, -ENOMEM, "no memory for a pool that listens");
	h->pool = p;
	rc = coh_program_self(&self, err); /* here, not under the lock */
	if (rc == 0)
		rc = cohort_listen(&h->listener, address + strlen("listen:"), &options, err);
	if (rc != 0) {
		coh_free(h);
		return rc;
	}
	coh_free(p->address);
	p->address = coh_strdup(cohort_listener_address(h->listener));
	rc = home_watch(p, h);
	return rc == 0 && p->address != NULL ? 0 : coh_fail(err, -ENOMEM, "no memory for a pool");
}

static const struct coh_scheme scheme_tcp = {.name = "tcp", .open = node_open};
static const struct coh_scheme scheme_tls = {.name = "tls", .open = node_open};
static const struct coh_scheme scheme_unix = {.name = "unix", .open = node_open};
static const struct coh_scheme scheme_listen = {
    .name = "listen", .open = home_open, .close = home_close};

const struct coh_scheme *const coh_schemes[] = {&coh_scheme_inline, &coh_scheme_thread,
    &coh_scheme_local, &scheme_tcp, &scheme_tls, &scheme_unix, &scheme_listen, NULL};
