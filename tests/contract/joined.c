/*
 * joined.c - two connected ends of any kind.
 *
 * Over a network the ends meet as they do in life: one listens, one dials, both show a key.
 * Both being one process, which the handshake rightly refuses, the listener is given
 * another identity.
 */
#include "contract/joined.h"

#include "conn/listener_priv.h"
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *joined_kind(void)
{
	const char *kind = getenv("COHORT_CONTRACT");

	return kind != NULL ? kind : "pair";
}

cohort_time joined_patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

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

static struct joined joined_by_net(const char *address)
{
	struct cohort_net_options options = {.name = "joined"};
	struct cohort_key *key;
	struct cohort_listener *l;
	struct dialling d = {.options = &options};
	struct joined j = {0};
	struct cohort_error err = {0};
	pthread_t thread;

	REQUIRE_EQ(cohort_key_new(&key, "0123456789abcdef", 16, &err), 0);
	options.key = key;
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

struct joined joined_open(void)
{
	const char *kind = joined_kind();
	char address[512];
	struct joined j = {0};

	if (strcmp(kind, "pair") == 0) {
		REQUIRE_EQ(cohort_conn_pair(&j.a, &j.b, NULL), 0);
	} else if (strcmp(kind, "memory") == 0) {
		REQUIRE_EQ(cohort_conn_memory(&j.a, &j.b, NULL), 0);
	} else if (strcmp(kind, "unix") == 0) {
		snprintf(address, sizeof address, "unix:%s", test_path("socket"));
		j = joined_by_net(address);
	} else {
		j = joined_by_net(strcmp(kind, "tcp6") == 0 ? "tcp://[::1]:0" : "tcp://127.0.0.1:0");
	}
	REQUIRE(j.a != NULL && j.b != NULL);
	return j;
}

void joined_close(struct joined *j)
{
	cohort_conn_close(j->a);
	cohort_conn_close(j->b);
	*j = (struct joined){0};
}

void joined_raw(struct cohort_conn *c, const void *data, size_t size)
{
	struct iovec iov = {.iov_len = size};
	ssize_t n;

	memcpy(&iov.iov_base, &data, sizeof data);
	while (iov.iov_len != 0) {
		n = c->ops->write(c->self, &iov, 1, joined_patience());
		REQUIRE(n > 0);
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
	}
}

void joined_raw_header(struct cohort_conn *c, uint8_t type, uint32_t length)
{
	struct coh_frame f = {.type = type, .length = length};
	unsigned char header[COH_FRAME_SIZE];

	coh_frame_encode(&f, header);
	joined_raw(c, header, sizeof header);
}
