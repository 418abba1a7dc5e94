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
	int sides;   /* who put, and as many who get; clients */
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

/* messages/s of ZeroMQ PUSH/PULL over TCP; of 64 bytes between two processes over ipc. */
int peer_zmq_stream(const void *load, double *messages_per_s);
int peer_zmq_ipc(const void *load, double *messages_per_s);

/* tasks/s of 2 forked workers; us of the median task with 1 worker and 1 task under way. */
int peer_forkpool_rate(const void *load, double *tasks_per_s);
int peer_forkpool_latency(const void *load, double *us);

/* tasks/s of Pool(2).imap_unordered(chunksize=1); start+join/s of forkserver processes. */
int peer_python_pool(const void *load, double *tasks_per_s);
int peer_python_forkserver(const void *load, double *processes_per_s);

/* tasks/s of gearmand with 2 workers. */
int peer_gearman_rate(const void *load, double *tasks_per_s);

/*
 * messages/s of 64 bytes through Python's Queue; through a ring under a mutex and two condition
 * variables; through a ring of one producer and one consumer who only spin.
 */
int peer_python_queue(const void *load, double *messages_per_s);
int peer_ring_stream(const void *load, double *messages_per_s);
int peer_spin_stream(const void *load, double *messages_per_s);

/* us of a round trip by two words in shared memory: asleep in a futex; spinning. */
int peer_futex_roundtrip(const void *load, double *us);
int peer_spin_roundtrip(const void *load, double *us);

/* bytes/s of whole messages: one segment that both have mapped; MPI_Send to MPI_Recv. */
int peer_segment_bulk(const void *load, double *bytes_per_s);
int peer_openmpi_bulk(const void *load, double *bytes_per_s);

/* A process-shared robust pthread mutex: ns of lock+unlock by one; locks/s of two processes. */
int peer_mutex_uncontended(const void *load, double *ns);
int peer_mutex_contended(const void *load, double *locks_per_s);

/* ns of a C11 atomic add in shared memory. */
int peer_atomic_add(const void *load, double *ns);

/* LPUSH+RPOP/s of a Redis server: a call at a time by `sides` clients; 100 calls under way. */
int peer_redis_calls(const void *load, double *pairs_per_s);
int peer_redis_pipeline(const void *load, double *pairs_per_s);

/* fork+wait/s. */
int peer_fork_rate(const void *load, double *processes_per_s);

#endif
