/*
 * identity.c - who we are to strangers: key, cluster, name, and a number of this process.
 *
 * The number (uuid) is how a process that dials itself finds out.  It is drawn once per process,
 * not per listener, and again in a child by fork, which is another process.
 */
#include "conn/identity.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/name.h"
#include "os/own.h"
#include "trust/authkey.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEAT_MIN 10 /* ms: a quarter of it is as exact as a timer on a busy machine */

#define SELF_NAME 32

/* Kept where a child by fork finds zeroes: nothing drawn, and the lock free. */
struct self {
	pthread_mutex_t lock; /* guards the three below */
	bool drawn;
	unsigned char uuid[COH_HANDSHAKE_UUID];
	char name[SELF_NAME];
};

static void *_Atomic self_pages;

/* The number of this process at UUID, and what it is called at NAME when the options do not say. */
static int self_get(unsigned char uuid[COH_HANDSHAKE_UUID], char name[SELF_NAME])
{
	struct self *self = coh_own_get(&self_pages, sizeof *self);
	int rc = 0;

	if (self == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&self->lock);
	if (!self->drawn) {
		snprintf(self->name, sizeof self->name, "pid-%d", (int)getpid());
		rc = coh_random_bytes(self->uuid, sizeof self->uuid);
		self->drawn = rc == 0;
	}
	memcpy(uuid, self->uuid, sizeof self->uuid);
	memcpy(name, self->name, sizeof self->name);
	pthread_mutex_unlock(&self->lock);
	return rc;
}

static int name_set(
    char out[COH_HANDSHAKE_NAME_MAX + 1], const char *name, struct cohort_error *err)
{
	size_t n = strlen(name);

	if (!coh_name_valid(name, n))
		return coh_fail(
		    err, COHORT_ENAME, "\"%.80s\": %s", name, cohort_strerror(COHORT_ENAME));
	memcpy(out, name, n + 1);
	return 0;
}

static int key_read(
    struct cohort_key **key, const struct coh_identity *id, struct cohort_error *err)
{
	return id->python ? cohort_key_load_python(key, id->key_file, err)
			  : cohort_key_load(key, id->key_file, err);
}

static int key_set(struct coh_identity *id, const char *file, struct cohort_error *err)
{
	int rc;

	if (file != NULL) {
		id->key_file = coh_strdup(file);
		if (id->key_file == NULL)
			return coh_fail(err, -ENOMEM, "no memory for the name of the key file");
	}
	rc = key_read(&id->own_key, id, err);
	id->key = id->own_key;
	return rc;
}

/* With certificates there need not be a key; who names one means it. */
static bool key_is_wanted(const struct cohort_net_options *o)
{
	return o->cert_file == NULL || o->key_file != NULL || secure_getenv("COHORT_KEY_FILE") != NULL;
}

static int heartbeat_set(struct coh_identity *id, cohort_time beat, struct cohort_error *err)
{
	cohort_time ms = beat / COHORT_MS;

	if (beat != 0 && (ms < BEAT_MIN || ms > (cohort_time)COH_HANDSHAKE_BEAT))
		return coh_fail(err, COHORT_EARGUMENT,
		    "a heartbeat of %lld ms, allowed are %d to %u, or 0 for none", (long long)ms,
		    BEAT_MIN, COH_HANDSHAKE_BEAT);
	id->features = (uint32_t)ms;
	return 0;
}

int coh_identity_init(
    struct coh_identity *id, const struct cohort_net_options *options, struct cohort_error *err)
{
	static const struct cohort_net_options none;
	const struct cohort_net_options *o = options != NULL ? options : &none;
	char own[SELF_NAME];
	int rc;

	*id = (struct coh_identity){.key = o->key};
	rc = self_get(id->uuid, own);
	if (rc != 0)
		return coh_fail(err, rc, "the system gives no %s",
		    rc == -ENOMEM ? "memory" : "random bytes");
	rc = name_set(id->cluster, o->cluster != NULL ? o->cluster : "cohort", err);
	if (rc == 0)
		rc = heartbeat_set(id, o->heartbeat, err);
	if (rc == 0)
		rc = coh_identity_certs_init(&id->certs, o, err);
	if (rc == 0 && (o->name != NULL || id->certs.loaded == NULL ||
			   !coh_tls_certs_name(id->certs.loaded, id->name)))
		rc = name_set(id->name, o->name != NULL ? o->name : own, err);
	if (rc == 0 && o->key == NULL && key_is_wanted(o))
		rc = key_set(id, o->key_file, err);
	return rc;
}

int coh_identity_init_python(
    struct coh_identity *id, const struct cohort_net_options *options, struct cohort_error *err)
{
	static const struct cohort_net_options none;
	const struct cohort_net_options *o = options != NULL ? options : &none;

	*id =
	    (struct coh_identity){.key = o->key, .python = true, .python_md5 = o->python_md5 != 0};
	return o->key == NULL ? key_set(id, o->key_file, err) : 0;
}

int coh_identity_reload(struct coh_identity *id, struct cohort_error *err)
{
	struct cohort_key *key = NULL;
	struct coh_tls_certs *certs;
	int rc = coh_identity_certs_read(&certs, &id->certs, err);

	if (rc == 0 && id->own_key != NULL)
		rc = key_read(&key, id, err);
	if (rc != 0) {
		coh_tls_certs_free(certs);
		return rc;
	}
	if (key != NULL)
		coh_authkey_replace(id->own_key, key);
	coh_tls_certs_free(id->certs.loaded);
	id->certs.loaded = certs;
	return 0;
}

void coh_identity_fini(struct coh_identity *id)
{
	cohort_key_free(id->own_key);
	coh_free(id->key_file);
	coh_identity_certs_fini(&id->certs);
	*id = (struct coh_identity){0};
}
