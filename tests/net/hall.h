/*
 * hall.h - a listener at work in a thread, honest callers, and strangers of any manners.
 *
 * Whoever proves the key is sent "welcome" and let go.  Both ends being one process, the
 * listener's identity is not that of the callers.
 */
#ifndef TESTS_NET_HALL_H
#define TESTS_NET_HALL_H

#include "conn/listener_priv.h"

#include <pthread.h>
#include <stdatomic.h>

struct hall {
	struct cohort_key *key;
	struct cohort_net_options options;
	struct cohort_listener *listener;
	pthread_t thread;
	atomic_int tid; /* of that thread, as the system calls it */
	atomic_bool closing;
	atomic_int most, welcomed, logged; /* strangers at once; peers; lines of log */
	size_t memory, peak;               /* in use before anybody came; at most since */
	int max;
};

/* Nobody's secret: every hall's key, and another one.  Free it. */
struct cohort_key *hall_key(void);
struct cohort_key *hall_other_key(void);

/* Listen at ADDRESS (NULL: a port of 127.0.0.1); strangers have PATIENCE, MAX of them at once. */
void hall_open(struct hall *h, const char *address, cohort_time patience, int max);

/*
 * Likewise at a port of 127.0.0.1, where each 127.0.0.HOST but the first counts as a source from outside, if
 * it is not EXEMPT (a list of networks).
 */
void hall_open_with_sources(struct hall *h, const char *exempt, cohort_time patience, int max);

/* Stop; CHECK that no more than MAX strangers were held, nor 8 KiB for each. */
void hall_close(struct hall *h);

/* As cohort_dial, from one who is not the listener's own process. */
int hall_dial(struct hall *h, const struct cohort_net_options *options,
    struct cohort_conn **conn, struct cohort_error *err);

/*
 * How long the calling thread and the hall's, in all of their lives, were ready to run and had no CPU: what
 * others on this machine took, and no fault of the listener.  0 where the system does not say.
 */
cohort_time hall_stalled(const struct hall *h);

/* CHECK that an honest caller is served, and within a second (of time in which there was a CPU to be had). */
void hall_serves(struct hall *h);

/* A plain socket connected to the listener; from 127.0.0.HOST. */
int hall_stranger(struct hall *h);
int hall_stranger_from(struct hall *h, int host);

/* SIZE bytes as they are. */
void hall_say(int fd, const void *data, size_t size);
/* A frame of TYPE with a body. */
void hall_say_frame(int fd, uint8_t type, const void *body, size_t size);

/*
 * Until FD is closed at the other end: CHECK that nothing came but one REFUSE at most.  Its reason, 0
 * when it was closed without a word; closes FD.
 */
int hall_turned_away(int fd);

/* A frame that came: its type, body at most MAX bytes; -1 at the end of the stream. */
int hall_hear_frame(int fd, unsigned char *body, size_t max, size_t *size);

/* A hello as a client of the hall would send it (its body); how long it is. */
size_t hall_hello(struct hall *h, int fd, unsigned char body[COH_HANDSHAKE_BODY_MAX]);

/* A raw listening socket on 127.0.0.1, and its address as text: for rogue servers. */
int hall_rogue(char address[COH_ADDRESS_TEXT]);

#endif
