/*
 * launcher_node.c - seam 2 through node agents: tcp://, unix: and listen: pools.
 *
 * A member is a node: dialled when the pool is opened, or one that calls home to a pool that
 * listens.  It says HELLO, is told the JOB (this program by path and SHA-256, the initializer), and
 * is READY with its slots.  A node that is lost is not waited for: what it held runs on the
 * others; its agent may call home again.
 *
 * A name has one bearer at a time in a pool, so that sentences and results say truly where they come from:
 * a second process of the name is refused while the first lives.  The same process again is
 * refused in a list of addresses, where it is a mistake; from one that calls home it means that it
 * gave up the connection we still believe in, and takes the place of it.
 *
 * Rejected: going on with the nodes that could be reached when one of a list could not: a wrong
 * address or key is a mistake to be told of, not half the speed.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "addr/address.h"
#include "conn/dialer.h"
#include "conn/listener_priv.h"
#include "node/program.h"
#include "work/pool_priv.h"
#include "work/proto.h"

#include <cohort/listener.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AHEAD_NS (2 * COHORT_MS) /* a round trip to a node costs more than one to a worker */

struct node {
	struct cohort_conn *conn; /* until start takes it */
	char name[COH_HANDSHAKE_NAME_MAX + 1];
	unsigned char uuid[COH_HANDSHAKE_UUID]; /* of its process */
};

/* A node that has been reached or has called. */
struct node_found {
	struct cohort_conn *conn;
	const char *where;
	struct coh_handshake_peer peer;
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

static bool node_lives(const struct coh_member *m)
{
	return m->ops == &node_ops && m->state != COH_MEMBER_DOWN && m->state != COH_MEMBER_STOPPING;
}

/* The living node of P that PEER is, by its process; NULL: none. */
static struct coh_member *node_same(struct cohort_pool *p, const struct coh_handshake_peer *peer)
{
	for (struct coh_member *m = p->members; m != NULL; m = m->next) {
		const struct node *n = m->data;

		if (node_lives(m) && memcmp(n->uuid, peer->uuid, sizeof n->uuid) == 0)
			return m;
	}
	return NULL;
}

/*
 * Is PEER's name free in the pool ARG, or its own?  0, or COHORT_ENAME with a sentence about the other one.
 * (It is what a listener asks before it lets a node in.)  [lock held]
 */
static int node_judge(const struct coh_handshake_peer *peer, void *arg, struct cohort_error *err)
{
	const struct cohort_pool *p = arg;

	for (struct coh_member *m = p->members; m != NULL; m = m->next) {
		const struct node *n = m->data;

		if (node_lives(m) && strcmp(n->name, peer->name) == 0 &&
		    memcmp(n->uuid, peer->uuid, sizeof n->uuid) != 0)
			return coh_fail(err, COHORT_ENAME,
			    "another node of this name is at %.160s; give each its own by --name",
			    m->where);
	}
	return 0;
}

/* A member of P from F, whose connection is taken in any case.  [lock held] */
static int node_add(struct cohort_pool *p, const struct node_found *f, struct cohort_error *err)
{
	struct node *n;
	struct coh_member *m;
	int rc = node_judge(&f->peer, p, err);

	if (rc != 0) {
		cohort_conn_close(f->conn);
		return coh_fail_in(err, rc, "node %s at %.160s", f->peer.name, f->where);
	}
	n = coh_calloc(sizeof *n);
	m = n != NULL ? coh_member_new(p, &node_ops, n, f->where) : NULL;
	if (m != NULL) {
		n->conn = f->conn;
		memcpy(n->name, f->peer.name, sizeof n->name);
		memcpy(n->uuid, f->peer.uuid, sizeof n->uuid);
		return coh_member_start(m, err);
	}
	coh_free(n);
	cohort_conn_close(f->conn);
	return coh_fail(err, -ENOMEM, "no memory for a node");
}

/* ---- nodes that are dialled ---- */

/* How P's nodes are met: what the options say, and what those of the pool say over them. */
static struct cohort_net_options node_options(const struct cohort_pool_options *o)
{
	struct cohort_net_options net = o->net != NULL ? *o->net : (struct cohort_net_options){0};

	if (o->key_file != NULL) {
		net.key = NULL;
		net.key_file = o->key_file;
	}
	if (o->insecure_plaintext)
		net.insecure_plaintext = 1;
	if (net.heartbeat == 0)
		net.heartbeat = COH_PULSE_BEAT;
	return net;
}

/* Dial A as HOW says, and take who answers. */
static int node_dial(struct cohort_pool *p, const struct coh_address *a, struct coh_dial how,
    cohort_time deadline, struct cohort_error *err)
{
	char where[COH_ADDRESS_TEXT];
	struct node_found f = {.where = where};
	const struct coh_member *same;
	int rc;

	coh_address_print(a, where);
	how.peer = &f.peer;
	rc = coh_dial(&f.conn, where, &how, deadline, err);
	if (rc != 0)
		return rc;
	coh_engine_lock();
	same = node_same(p, &f.peer);
	if (same == NULL)
		rc = node_add(p, &f, err);
	else {
		cohort_conn_close(f.conn);
		rc = coh_fail(err, COHORT_ENAME,
		    "node %s at %.160s is the one at %.160s: name it once", f.peer.name, where,
		    same->where);
	}
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

/* Dial the COUNT addresses of LIST, one after the other. */
static int nodes_dial(struct cohort_pool *p, const struct coh_address *list, size_t count,
    const struct cohort_pool_options *o, struct cohort_error *err)
{
	struct cohort_net_options options = node_options(o);
	struct coh_identity id;
	int rc = coh_identity_init(&id, &options, err);

	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = coh_address_check(&list[i], COH_ADDRESS_DIAL, err);
		if (rc == 0)
			rc = node_dial(p, &list[i],
			    (struct coh_dial){.id = &id, .options = &options}, o->deadline, err);
	}
	coh_identity_fini(&id);
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
	if (rc == 0)
		rc = nodes_dial(p, list, count, o, err);
	coh_free(list);
	return rc == 0 ? nodes_wait(p, o->deadline, err) : rc;
}

/* ---- nodes that call home ---- */

struct home {
	struct cohort_pool *pool;
	struct cohort_listener *listener;
	struct coh_watch *watch;
};

/* F has called: it takes the place of the connection it had before, if there is one. */
static void home_take(struct home *h, const struct node_found *f)
{
	struct coh_member *before = node_same(h->pool, &f->peer);
	struct cohort_error err = {0};

	if (before != NULL) {
		coh_log(COHORT_LOG_WARN, "node %s calls again: its old connection is dropped",
		    f->where);
		coh_member_kill(before);
	}
	if (node_add(h->pool, f, &err) != 0)
		coh_log(COHORT_LOG_ERROR, "a node that called home: %s", err.text);
}

static void home_step(struct home *h)
{
	struct cohort_error err = {0};
	struct node_found f;

	while (coh_listener_step(h->listener, &f.conn, &f.peer, &err) == 1) {
		f.where = cohort_conn_peer(f.conn);
		home_take(h, &f);
	}
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

static int home_reload(struct cohort_pool *p, struct cohort_error *err)
{
	struct home *h = p->scheme_data;

	return cohort_listener_reload(h->listener, err);
}

static int home_watch(struct cohort_pool *p, struct home *h)
{
	struct coh_loop *loop;

	coh_engine_lock();
	p->scheme_data = h;
	p->joining = true;
	loop = coh_engine_loop();
	coh_listener_admit(h->listener, node_judge, p);
	h->watch = coh_watch_new(
	    loop, cohort_listener_fd(h->listener), COH_LOOP_READ, home_cb, h);
	coh_engine_unlock();
	return h->watch != NULL ? 0 : -ENOMEM;
}

static int home_open(struct cohort_pool *p, const char *address,
    const struct cohort_pool_options *o, struct cohort_error *err)
{
	struct cohort_net_options options = node_options(o);
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
    .name = "listen", .open = home_open, .close = home_close, .reload = home_reload};

const struct coh_scheme *const coh_schemes[] = {&coh_scheme_inline, &coh_scheme_thread,
    &coh_scheme_local, &scheme_tcp, &scheme_tls, &scheme_unix, &scheme_listen, NULL};
