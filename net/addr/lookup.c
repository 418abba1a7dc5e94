/*
 * lookup.c - the resolver, asked in a thread.
 *
 * The box between the two is freed by whoever lets go of it last.  Its descriptor is closed by
 * the one who asked, so that an abandoned lookup holds none; hence the lock, under which the
 * thread sees whether it is still wanted.  A child by fork has the box but not the thread: there
 * it is the child's alone, and its lock, which may be held for ever, is left alone.
 *
 * Rejected: getaddrinfo_a (a thread too, which it also waits for when told to cancel), one
 * resolver thread with a queue (the first name that hangs holds up all others).
 */
#include "addr/lookup.h"

#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct coh_lookup {
	pthread_mutex_t lock; /* guards the four below; only once `done` may the rest be read */
	bool done, abandoned;
	int fd;
	pid_t owner;
	struct coh_address address;
	struct coh_resolved found;
	int rc;
	struct cohort_error error;
};

static atomic_int under_way;

static void lookup_free(struct coh_lookup *l)
{
	pthread_mutex_destroy(&l->lock);
	coh_free(l);
}

static void *lookup_thread(void *arg)
{
	static const uint64_t one = 1;
	struct coh_lookup *l = arg;
	bool abandoned;

	pthread_setname_np(pthread_self(), "cohort-lookup");
	l->rc = coh_resolve(&l->address, &l->found, &l->error);
	atomic_fetch_sub(&under_way, 1);
	pthread_mutex_lock(&l->lock);
	l->done = true;
	abandoned = l->abandoned;
	if (!abandoned && write(l->fd, &one, sizeof one) < 0)
		l->rc = coh_fail_errno(&l->error, errno, "host %s", l->address.where);
	pthread_mutex_unlock(&l->lock);
	if (abandoned)
		lookup_free(l);
	return NULL;
}

static int lookup_spawn(struct coh_lookup *l)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return -rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits it */
	rc = pthread_create(&thread, &attr, lookup_thread, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

int coh_lookup_start(struct coh_lookup **out, const struct coh_address *a, struct cohort_error *err)
{
	struct coh_lookup *l = coh_calloc(sizeof *l);
	int rc;

	*out = NULL;
	if (l == NULL)
		return coh_fail(err, -ENOMEM, "no memory to look up host %s", a->where);
	pthread_mutex_init(&l->lock, NULL);
	l->address = *a;
	l->owner = getpid();
	l->fd = coh_fd_event();
	rc = l->fd < 0 ? l->fd : 0;
	if (rc == 0) {
		rc = atomic_fetch_add(&under_way, 1) < COH_LOOKUP_MAX ? lookup_spawn(l) : -EAGAIN;
		if (rc != 0)
			atomic_fetch_sub(&under_way, 1);
	}
	if (rc == 0) {
		*out = l;
		return 0;
	}
	coh_fd_close(&l->fd);
	lookup_free(l);
	if (rc == -EAGAIN)
		return coh_fail(err, rc,
		    "host %s: no thread to look it up (%d at most wait for the "
		    "resolver); is it answering?",
		    a->where, COH_LOOKUP_MAX);
	return coh_fail_errno(err, -rc, "look up host %s", a->where);
}

int coh_lookup_fd(const struct coh_lookup *l)
{
	return l->fd;
}

int coh_lookup_take(struct coh_lookup *l, struct coh_resolved *out, struct cohort_error *err)
{
	bool done;

	if (l->owner != getpid())
		return coh_fail(err, COHORT_ESTATE,
		    "look up host %s: this process was forked meanwhile", l->address.where);
	pthread_mutex_lock(&l->lock);
	done = l->done;
	pthread_mutex_unlock(&l->lock);
	if (!done)
		return 0;
	if (l->rc != 0)
		return coh_fail(err, l->rc, "%s", l->error.text);
	*out = l->found;
	return 1;
}

void coh_lookup_close(struct coh_lookup *l)
{
	bool done = true;

	if (l == NULL)
		return;
	if (l->owner != getpid()) {
		if (!l->done)
			atomic_fetch_sub(&under_way, 1); /* its thread is not in this process */
		coh_fd_close(&l->fd);
		coh_free(l);
		return;
	}
	pthread_mutex_lock(&l->lock);
	coh_fd_close(&l->fd);
	l->abandoned = true;
	done = l->done;
	pthread_mutex_unlock(&l->lock);
	if (done)
		lookup_free(l);
}
