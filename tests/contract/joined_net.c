/*
 * joined_net.c - two ends that meet as they do in life: one listens, one dials, both show a key.
 *
 * Both being one process, which the handshake rightly refuses, the listener is given
 * another identity.
 */
#include "contract/joined.h"

#include "conn/dialer.h"
#include "conn/listener_priv.h"
#include "net/pki.h"
#include "support/test.h"

#include <pthread.h>
#include <string.h>

struct joined joined_by_net(const char *address);

struct dialling {
	const struct cohort_net_options *options;
	const char *address;
	struct cohort_conn *conn;
	struct cohort_error err;
	int rc;
};

static void *dial_thread(void *arg)
{
	struct dialling *d = arg;
	struct coh_identity id;
	struct coh_dial how = {.id = &id, .options = d->options};

	d->rc = coh_identity_init(&id, d->options, &d->err);
	if (d->rc == 0)
		d->rc = coh_dial(&d->conn, d->address, &how, joined_patience(), &d->err);
	coh_identity_fini(&id);
	return NULL;
}

struct joined joined_by_net(const char *address)
{
	struct cohort_net_options options = {.name = "joined"};
	struct cohort_key *key;
	struct cohort_listener *l;
	struct dialling d = {.options = &options};
	struct joined j = {0};
	struct cohort_error err = {0};
	pthread_t thread;

	REQUIRE_EQ(cohort_key_new(&key, "0123456789abcdef", 16, &err), 0);
	if (strcmp(joined_kind(), "tlscert") == 0) {
		pki_open();
		options = pki_options("joined");
	} else {
		options.key = key;
	}
	if (cohort_listen(&l, address, &options, &err) != 0) {
		FAIL("%s", err.text);
		REQUIRE(false);
	}
	coh_listener_identity(l)->uuid[0] ^= 1;
	d.address = cohort_listener_address(l);
	REQUIRE_EQ(pthread_create(&thread, NULL, dial_thread, &d), 0);
	if (cohort_listener_accept(l, &j.a, joined_patience(), &err) != 0)
		FAIL("%s", err.text);
	pthread_join(thread, NULL);
	if (d.rc != 0)
		FAIL("%s", d.err.text);
	cohort_listener_close(l);
	cohort_key_free(key);
	j.b = d.conn;
	return j;
}
