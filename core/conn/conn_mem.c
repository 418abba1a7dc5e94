/*
 * conn_mem.c - two ends in one process: a stream of bytes each way through memory.
 *
 * The reference for what a transport does, for simulations, and for threads of one process.
 * Both ends may be used at once by two threads: everything they share is guarded by the
 * pair's lock.  Each way holds a bounded number of bytes, as a socket does, so that a program
 * that forgets to read meets the same wall here as elsewhere.
 *
 * An end can be watched by poll(2): its bell, an eventfd, is readable while there is
 * something to read, or room for a writer that met a full way.  Ringing costs a system call,
 * so nobody rings before somebody has asked for the descriptor.
 *
 * Rejected: a list of messages instead of bytes (it would not be the same code above).
 */
#include "conn/conn_struct.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAY_SIZE ((size_t)256 << 10) /* what a Unix socket holds here, and it stays in the cache */

struct mem_end;

/* Bytes on their way to one end: LEN of them from data[head], around the corner. */
struct mem_way {
	unsigned char *data;
	size_t head, len;
};

struct mem_pair {
	pthread_mutex_t lock; /* guards all of the pair and of both ends */
	pthread_cond_t moved; /* something was read, written or closed */
	struct mem_end *end[2];
};

struct mem_end {
	struct mem_pair *pair;
	struct mem_way in;  /* what the other end wrote */
	int index;          /* of this end in the pair */
	int bell;           /* eventfd */
	bool watched;       /* somebody has asked for the bell */
	bool rung;
	bool starved;       /* a write here met a full way */
	bool reset;         /* the other end closed without reading all that was written to it */
};

static struct mem_end *mem_peer(const struct mem_end *e)
{
	return e->pair->end[1 - e->index];
}

/* Bring the bell of E into line with what is there.  Lock held. */
static void mem_ring(struct mem_end *e)
{
	struct mem_end *peer = mem_peer(e);
	uint64_t one = 1;
	bool due = e->in.len != 0 || peer == NULL || (e->starved && peer->in.len < WAY_SIZE);

	if (!e->watched || due == e->rung)
		return;
	/* An eventfd of our own that holds 0 or 1 refuses neither. */
	if ((due ? write(e->bell, &one, sizeof one) : read(e->bell, &one, sizeof one)) > 0)
		e->rung = due;
}

/* Something moved between E and its peer.  Lock held. */
static void mem_moved(struct mem_end *e)
{
	struct mem_end *peer = mem_peer(e);

	mem_ring(e);
	if (peer != NULL)
		mem_ring(peer);
	pthread_cond_broadcast(&e->pair->moved);
}

/* Wait until something moved: false when DEADLINE passed.  Lock held. */
static bool mem_wait(struct mem_pair *pair, cohort_time deadline)
{
	struct timespec ts;

	if (coh_clock_passed(deadline))
		return false;
	ts = coh_clock_timespec(deadline);
	if (deadline == COHORT_FOREVER)
		pthread_cond_wait(&pair->moved, &pair->lock);
	else
		pthread_cond_timedwait(&pair->moved, &pair->lock, &ts);
	return true;
}

static size_t way_put(struct mem_way *w, const unsigned char *p, size_t n)
{
	size_t tail = (w->head + w->len) % WAY_SIZE, first;

	if (n > WAY_SIZE - w->len)
		n = WAY_SIZE - w->len;
	first = n < WAY_SIZE - tail ? n : WAY_SIZE - tail;
	memcpy(w->data + tail, p, first);
	memcpy(w->data, p + first, n - first);
	w->len += n;
	return n;
}

static size_t way_get(struct mem_way *w, unsigned char *p, size_t n)
{
	size_t first;

	if (n > w->len)
		n = w->len;
	first = n < WAY_SIZE - w->head ? n : WAY_SIZE - w->head;
	memcpy(p, w->data + w->head, first);
	memcpy(p + first, w->data, n - first);
	w->len -= n;
	w->head = w->len == 0 ? 0 : (w->head + n) % WAY_SIZE;
	return n;
}

static ssize_t mem_read(void *self, void *p, size_t n, cohort_time deadline)
{
	struct mem_end *e = self;
	ssize_t got = -EAGAIN;

	pthread_mutex_lock(&e->pair->lock);
	while (e->in.len == 0 && mem_peer(e) != NULL)
		if (!mem_wait(e->pair, deadline))
			goto out;
	if (e->in.len != 0) {
		got = (ssize_t)way_get(&e->in, p, n);
		mem_moved(e);
	} else {
		got = e->reset ? -ECONNRESET : 0;
	}
out:
	pthread_mutex_unlock(&e->pair->lock);
	return got;
}

static ssize_t mem_write(void *self, const struct iovec *iov, int n, cohort_time deadline)
{
	struct mem_end *e = self, *peer;
	ssize_t sent = -EAGAIN;

	pthread_mutex_lock(&e->pair->lock);
	while ((peer = mem_peer(e)) != NULL && peer->in.len == WAY_SIZE)
		if (!mem_wait(e->pair, deadline)) {
			e->starved = true;
			mem_ring(e);
			goto out;
		}
	e->starved = false;
	sent = peer != NULL ? 0 : -EPIPE;
	for (int i = 0; i < n && peer != NULL; i++)
		if (iov[i].iov_len != 0)
			sent += (ssize_t)way_put(&peer->in, iov[i].iov_base, iov[i].iov_len);
	mem_moved(e);
out:
	pthread_mutex_unlock(&e->pair->lock);
	return sent;
}

static int mem_fd(void *self)
{
	struct mem_end *e = self;

	pthread_mutex_lock(&e->pair->lock);
	e->watched = true;
	mem_ring(e);
	pthread_mutex_unlock(&e->pair->lock);
	return e->bell;
}

static short mem_events(void *self, bool writing)
{
	struct mem_end *e = self;

	/* Who says that bytes wait to be sent wants to hear of room even before a write failed. */
	pthread_mutex_lock(&e->pair->lock);
	if (writing != e->starved) {
		e->starved = writing;
		mem_ring(e);
	}
	pthread_mutex_unlock(&e->pair->lock);
	return POLLIN;
}

static void mem_end_free(struct mem_end *e)
{
	if (e == NULL)
		return;
	if (e->bell >= 0)
		close(e->bell);
	coh_free(e->in.data);
	coh_free(e);
}

static void mem_pair_free(struct mem_pair *pair)
{
	pthread_cond_destroy(&pair->moved);
	pthread_mutex_destroy(&pair->lock);
	coh_free(pair);
}

static void mem_close(void *self)
{
	struct mem_end *e = self, *peer;
	struct mem_pair *pair = e->pair;

	pthread_mutex_lock(&pair->lock);
	peer = mem_peer(e);
	pair->end[e->index] = NULL;
	if (peer != NULL) {
		peer->reset = e->in.len != 0;
		mem_moved(peer);
	}
	pthread_mutex_unlock(&pair->lock);
	mem_end_free(e);
	if (peer == NULL)
		mem_pair_free(pair);
}

static const struct coh_stream_ops mem_ops = {
    .read = mem_read,
    .write = mem_write,
    .fd = mem_fd,
    .events = mem_events,
    .close = mem_close,
};

static struct mem_end *mem_end_new(struct mem_pair *pair, int index)
{
	struct mem_end *e = coh_calloc(sizeof *e);

	if (e == NULL)
		return NULL;
	e->pair = pair;
	e->index = index;
	e->in.data = coh_alloc(WAY_SIZE);
	e->bell = e->in.data != NULL ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (e->bell < 0) {
		mem_end_free(e);
		return NULL;
	}
	pair->end[index] = e;
	return e;
}

static struct mem_pair *mem_pair_new(void)
{
	struct mem_pair *pair = coh_calloc(sizeof *pair);
	pthread_condattr_t attr;

	if (pair == NULL)
		return NULL;
	pthread_mutex_init(&pair->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pair->moved, &attr);
	pthread_condattr_destroy(&attr);
	return pair;
}

int cohort_conn_memory(struct cohort_conn **a, struct cohort_conn **b, struct cohort_error *err)
{
	struct mem_pair *pair;
	struct cohort_conn **out[2] = {a, b};
	int saved = ENOMEM;

	*a = *b = NULL;
	errno = ENOMEM;
	pair = mem_pair_new();
	if (pair == NULL)
		return coh_fail_errno(err, ENOMEM, "cannot make a memory connection");
	for (int i = 0; i < 2; i++) {
		if (mem_end_new(pair, i) == NULL)
			break;
		*out[i] = coh_conn_new(&mem_ops, pair->end[i], COH_PHASE_USER, "memory");
	}
	if (*a != NULL && *b != NULL)
		return 0;
	saved = errno != 0 ? errno : ENOMEM;
	for (int i = 0; i < 2; i++) {
		if (*out[i] != NULL)
			coh_conn_dispose(*out[i]);
		*out[i] = NULL;
		mem_end_free(pair->end[i]);
	}
	mem_pair_free(pair);
	return coh_fail_errno(err, saved, "cannot make a memory connection");
}
