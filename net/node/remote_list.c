/*
 * remote_list.c - one connection for each server and way of meeting it, however many handles there are.
 *
 * The first who wants it dials, with the engine lock let go; others who want the same wait for that.  It ends with its last user.
 */
#include "node/remote_list.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "conn/dialer.h"
#include "trust/authkey.h"
#include "work/engine.h"
#include "work/pulse.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Guarded by the engine lock. */
static struct coh_remote_link *links;
static unsigned links_generation; /* whose they are: a forked child begins anew */

static _Atomic unsigned generation;

static void forked(void)
{
	generation++;
}

static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, forked); /* no memory: a child's calls wait for nothing */
}

unsigned coh_remote_generation(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
	return generation;
}

cohort_time coh_remote_left(cohort_time deadline)
{
	return deadline != COHORT_NOW ? coh_clock_left(deadline) : 0;
}

/* ---- the way a server is met, as text ---- */

#define WAY_MAX ((size_t)1 << 20) /* paths, and names of peers */

static const char *text(const char *s)
{
	return s != NULL ? s : "";
}

/* By which key: the id of the one that is given, or the file it is in. */
static void way_key(const struct cohort_net_options *o, char out[512])
{
	unsigned char id[COH_AUTHKEY_ID] = {0};

	if (o->key != NULL && coh_authkey_id(o->key, 0, id) == 0)
		snprintf(out, 512, "id %02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
	else
		snprintf(out, 512, "file %s", text(o->key_file != NULL ? o->key_file : getenv("COHORT_KEY_FILE")));
}

static int way_put(struct coh_buf *b, const char *s)
{
	int rc = coh_buf_put(b, text(s), strlen(text(s)));

	return rc == 0 ? coh_buf_put_u8(b, '|') : rc;
}

/* Given; NULL: no memory. */
static char *way_of(const char *address, const struct cohort_net_options *o)
{
	char key[512], numbers[64], *way = NULL;
	struct coh_buf b;
	int rc = 0;

	way_key(o, key);
	snprintf(numbers, sizeof numbers, "%d %lld", o->insecure_plaintext, (long long)o->heartbeat);
	const char *const all[] = {
	    address, key, o->cluster, o->name, o->cert_file, o->ca_file, o->crl_file, numbers};
	coh_buf_init(&b, WAY_MAX);
	for (size_t i = 0; i < sizeof all / sizeof *all && rc == 0; i++)
		rc = way_put(&b, all[i]);
	for (const char *const *p = o->peers; p != NULL && *p != NULL && rc == 0; p++)
		rc = way_put(&b, *p);
	if (rc == 0 && coh_buf_put_u8(&b, 0) == 0)
		way = coh_strdup((const char *)coh_buf_peek(&b));
	coh_buf_fini(&b);
	return way;
}

/* ---- the list ---- */

static bool dialled_test(void *arg)
{
	const struct coh_remote_link *l = arg;

	return l->up || l->failure.code != 0;
}

void coh_remote_list_drop(struct coh_remote_link *l)
{
	if (l->listed)
		DL_DELETE(links, l);
	l->listed = false;
}

void coh_remote_list_put(struct coh_remote_link *l)
{
	if (--l->users != 0)
		return;
	coh_engine_loop(); /* may let the lock go */
	if (l->users != 0)
		return;
	coh_remote_list_drop(l);
	coh_free(l->way);
	coh_remote_free(l);
}

/* Somebody dials L, or has: wait for that.  One user more. */
static int list_join(struct coh_remote_link *l, cohort_time deadline, struct cohort_error *err)
{
	int rc;

	l->users++;
	rc = coh_engine_wait(dialled_test, l, deadline);
	if (rc != 0)
		coh_fail(err, rc, "open: %.200s was not reached in time", l->address);
	else if (l->failure.code != 0)
		rc = coh_fail(err, l->failure.code, "%s", l->failure.text);
	if (rc != 0)
		coh_remote_list_put(l);
	return rc;
}

/* Is L, which is listed, not one that has ended? */
static bool list_lives(struct coh_remote_link *l)
{
	bool lives;

	l->users++;
	if (l->up)
		coh_remote_look(l);
	lives = l->listed;
	if (lives)
		l->users--;
	else
		coh_remote_list_put(l);
	return lives;
}

static int list_dial(struct coh_remote_link *l, const struct cohort_net_options *net,
    cohort_time deadline, struct cohort_error *err)
{
	struct cohort_error own = {0};
	struct cohort_conn *conn;
	int rc;

	coh_engine_unlock();
	rc = cohort_dial(&conn, l->address, net, deadline, &own);
	coh_engine_lock();
	if (rc == 0) {
		rc = coh_remote_begin(l, conn);
		if (rc != 0)
			coh_fail_errno(&own, -rc, "open %.200s", l->address);
	}
	if (rc == 0) {
		l->up = true;
		return 0;
	}
	coh_remote_list_drop(l);
	l->failure = own;
	coh_fail(err, rc, "%s", own.text);
	coh_remote_list_put(l);
	return rc;
}

int coh_remote_list_get(struct coh_remote_link **out, const char *address,
    const struct cohort_net_options *net, cohort_time deadline, struct cohort_error *err)
{
	struct coh_address where;
	struct coh_remote_link *l;
	char server[COH_ADDRESS_TEXT], *way;
	int rc = coh_address_parse_object(&where, address, NULL, err);

	if (rc != 0)
		return rc;
	coh_address_print(&where, server);
	way = way_of(server, net);
	if (way == NULL)
		return coh_fail(err, -ENOMEM, "no memory to open %.200s", address);
	if (links_generation != coh_remote_generation())
		links = NULL;
	links_generation = coh_remote_generation();
	DL_FOREACH(links, l)
		if (strcmp(l->way, way) == 0)
			break;
	if (l != NULL && !list_lives(l))
		l = NULL;
	*out = l;
	if (l != NULL) {
		coh_free(way);
		return list_join(l, deadline, err);
	}
	*out = l = coh_remote_new(err);
	if (l == NULL) {
		coh_free(way);
		return -ENOMEM;
	}
	memcpy(l->address, server, sizeof server);
	l->way = way;
	l->users = 1;
	l->listed = true;
	DL_APPEND(links, l);
	return list_dial(l, net, deadline, err);
}
