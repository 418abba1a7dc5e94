/*
 * peers.h - the other contestants: what a careful programmer has without Cohort.
 *
 * Each is a bench_run_fn whose argument is a struct bench_load, and is written to win: the
 * fewest system calls, no copy it can avoid, nothing of Cohort in it.
 */
#ifndef COHORT_BENCH_PEERS_H
#define COHORT_BENCH_PEERS_H

#include "bench.h"

/* How much, of what, over what; a contestant reads the fields that concern it. */
struct bench_load {
	enum bench_link link;
	long count;  /* round trips, messages, tasks, processes, pack+unpack */
	size_t size; /* bytes of a message */
};

/* us of a round trip; bytes/s one way in whole messages; messages/s framed and batched. */
int peer_socket_roundtrip(const void *load, double *us);
int peer_socket_bulk(const void *load, double *bytes_per_s);
int peer_socket_stream(const void *load, double *messages_per_s);

/* connects/s of plain TCP with HMAC both ways, and of bare OpenSSL by a key. */
int peer_auth_connect(const void *load, double *connects_per_s);
int peer_tls_connect(const void *load, double *connects_per_s);

/* us of a round trip, bytes/s one way, over bare OpenSSL. */
int peer_tls_roundtrip(const void *load, double *us);
int peer_tls_bulk(const void *load, double *bytes_per_s);

/* messages/s of ZeroMQ PUSH/PULL over TCP. */
int peer_zmq_stream(const void *load, double *messages_per_s);

/* tasks/s of 2 forked workers; us of the median task with 1 worker and 1 task under way. */
int peer_forkpool_rate(const void *load, double *tasks_per_s);
int peer_forkpool_latency(const void *load, double *us);

/* tasks/s of Pool(2).imap_unordered(chunksize=1); start+join/s of forkserver processes. */
int peer_python_pool(const void *load, double *tasks_per_s);
int peer_python_forkserver(const void *load, double *processes_per_s);

/* tasks/s of gearmand with 2 workers. */
int peer_gearman_rate(const void *load, double *tasks_per_s);

/* fork+wait/s. */
int peer_fork_rate(const void *load, double *processes_per_s);

#endif
