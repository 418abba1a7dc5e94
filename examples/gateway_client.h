/*
 * gateway_client.h - one client of the gateway: its requests in, its answers out.
 *
 * A client has a thread, so that one who reads slowly holds up nobody else, and bounds: what is under
 * way for it, the size of a request, the time in which it must take an answer.
 */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include <cohort/cohort.h>

#define GATEWAY_UNDER_WAY 256 /* requests of one client; it is not read from beyond */
#define GATEWAY_REQUEST_MAX ((size_t)1 << 20) /* bytes; larger ones are answered COHORT_ETOOBIG */
#define GATEWAY_PATIENCE (30 * COHORT_SECOND) /* for a client to take its answers */

struct gateway_client;

/*
 * Serve CONN, which is taken on success, with POOL, which must outlive it.  NULL: no memory, no
 * thread or no descriptor.
 */
struct gateway_client *gateway_client_start(struct cohort_conn *conn, struct cohort_pool *pool);

/* Whether it is over: the other end has gone and nothing is under way. */
int gateway_client_over(struct gateway_client *c);

/* Let it go: at once when it is over, else after what is under way has ended. */
void gateway_client_stop(struct gateway_client *c);

#endif
