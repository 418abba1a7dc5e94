/*
 * engine.c - leader and followers around one loop.
 *
 * Happy path of a wait: take the lock; nobody leads; lead: release the lock, run a round of the
 * loop (whose callbacks take the lock), take the lock, look whether the wait is over.
 * Otherwise: somebody leads, so sleep on a condition of one's own until the leader sees that
 * the wait is over, or leaves and passes the lead on.  The library's thread leads only when no
 * caller has for a tick, so a program that waits again and again never meets it; ticks grow
 * while callers keep leading, so that an idle wait costs little.  Where no caller waits at all, as in
 * a program that is told by callbacks, it leads round after round, and what comes is not held up.
 *
 * Rejected: a thread that always runs the loop (each result would cost two wake-ups across
 * CPUs, some 100 us), and letting every waiter poll by itself (one epoll set, many herds).
 */
#include "work/engine.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/object.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <utlist.h>

#define TICK_SHORT (5 * COHORT_MS)  /* how long nobody leads before the library's thread does */
#define TICK_LONG (50 * COHORT_MS)  /* the same once callers have kept the lead for long */
#define GRACE (100 * COHORT_US)     /* for one who only wants the loop: if it then waits, it leads */

struct waiter {
	struct waiter *prev, *next;
	coh_engine_test_fn test;
	void *arg;
	pthread_cond_t turn;
};

static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER; /* held while it starts or ends */

/* The engine of this process: a loop and a thread cannot be had twice. */
static struct {
	pthread_mutex_t lock; /* the engine lock: guards everything below, and every pool */
	struct coh_loop *loop;
	unsigned users;
	pthread_t thread, leader;
	pthread_cond_t step_back; /* claimants and the library's thread wait here */
	struct waiter *waiters;
	unsigned claims;     /* threads in coh_engine_loop that want the loop stopped */
	unsigned long led;   /* rounds led by callers, ever */
	bool leading;        /* a thread, `leader`, is inside coh_loop_run */
	bool background;     /* ... and it is the library's */
	bool stopping;
	struct coh_engine_call *calls, *calls_last;
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

/*
 * A forked child has nothing of it: the thread is the parent's, and so is what the loop waits for.  Its descriptors stay open,
 * and its memory; whoever opens it in the child has a new one.
 */
static atomic_bool orphaned;
static pthread_mutex_t orphan_lock = PTHREAD_MUTEX_INITIALIZER;

static void forked(void)
{
	pthread_mutex_init(&orphan_lock, NULL); /* somebody else of the parent's may have held it */
	atomic_store(&orphaned, true);
}

static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, forked); /* no memory: a child must not open it, as before */
}

static void leave_to_parent(void)
{
	if (!atomic_load(&orphaned))
		return;
	pthread_mutex_lock(&orphan_lock);
	if (atomic_load(&orphaned)) {
		pthread_mutex_init(&life, NULL);
		memset(&engine, 0, sizeof engine);
		pthread_mutex_init(&engine.lock, NULL);
		atomic_store(&orphaned, false);
	}
	pthread_mutex_unlock(&orphan_lock);
}

void coh_engine_lock(void)
{
	pthread_mutex_lock(&engine.lock);
}

void coh_engine_unlock(void)
{
	pthread_mutex_unlock(&engine.lock);
}

static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static void cond_wait(pthread_cond_t *cond, cohort_time deadline)
{
	struct timespec ts;

	if (deadline == COHORT_FOREVER) {
		pthread_cond_wait(cond, &engine.lock);
		return;
	}
	ts = coh_clock_timespec(deadline);
	pthread_cond_timedwait(cond, &engine.lock, &ts);
}

static bool self_leads(void)
{
	return engine.leading && pthread_equal(engine.leader, pthread_self());
}

void coh_engine_call(struct coh_engine_call *call)
{
	call->next = NULL;
	if (engine.calls == NULL)
		engine.calls = call;
	else
		engine.calls_last->next = call;
	engine.calls_last = call;
	if (engine.leading && !self_leads())
		coh_loop_wake(engine.loop);
}

static void run_calls(void)
{
	struct coh_engine_call *call;

	while ((call = engine.calls) != NULL) {
		engine.calls = call->next;
		pthread_mutex_unlock(&engine.lock);
		call->fn(call->arg); /* may free CALL */
		pthread_mutex_lock(&engine.lock);
	}
}

/* Wake those whose wait is over, and, when nobody is going to lead, one more to lead. */
static void wake_waiters(bool leaving)
{
	struct waiter *w;
	bool passed = !leaving;

	DL_FOREACH(engine.waiters, w)
		if (w->test(w->arg))
			pthread_cond_signal(&w->turn);
		else if (!passed) {
			pthread_cond_signal(&w->turn);
			passed = true;
		}
}

/* [lock held] One round of the loop, and what follows from it. */
static void lead(cohort_time deadline, bool background)
{
	engine.leading = true;
	engine.background = background;
	engine.leader = pthread_self();
	if (!background)
		engine.led++;
	pthread_mutex_unlock(&engine.lock);
	coh_loop_run(engine.loop, deadline);
	pthread_mutex_lock(&engine.lock);
	engine.leading = false;
	engine.background = false;
	if (engine.claims != 0)
		pthread_cond_broadcast(&engine.step_back);
	run_calls();
	if (engine.waiters != NULL)
		wake_waiters(background); /* the library's thread gives way to whoever waits */
}

static void follow(struct waiter *w, cohort_time deadline)
{
	if (engine.background)
		coh_loop_wake(engine.loop);
	DL_APPEND(engine.waiters, w);
	cond_wait(&w->turn, deadline);
	DL_DELETE(engine.waiters, w);
}

int coh_engine_wait(coh_engine_test_fn test, void *arg, cohort_time deadline)
{
	struct waiter w = {.test = test, .arg = arg};
	bool cond_ready = false;
	int rc = 0;

	for (;;) {
		run_calls();
		if (test(arg))
			break;
		if (deadline != COHORT_FOREVER && coh_clock_passed(deadline)) {
			rc = COHORT_ETIMEDOUT;
			break;
		}
		if (!engine.leading && engine.claims == 0) {
			lead(deadline, false);
			continue;
		}
		if (!cond_ready)
			cond_init(&w.turn);
		cond_ready = true;
		follow(&w, deadline);
	}
	if (cond_ready)
		pthread_cond_destroy(&w.turn);
	if (engine.waiters != NULL && !engine.leading)
		wake_waiters(true);
	return rc;
}

void coh_engine_poke(void)
{
	if (engine.leading && !self_leads())
		coh_loop_wake(engine.loop); /* after each round the leader wakes those whose wait is over */
	else if (engine.waiters != NULL)
		wake_waiters(true);
}

struct coh_loop *coh_engine_loop(void)
{
	if (!self_leads()) {
		engine.claims++;
		while (engine.leading) {
			coh_loop_wake(engine.loop);
			pthread_cond_wait(&engine.step_back, &engine.lock);
		}
		engine.claims--;
		if (engine.claims == 0 && engine.waiters != NULL)
			wake_waiters(true); /* they run once the claimant lets go of the lock */
	}
	return engine.loop;
}

/* [lock held] Does a caller lead, or has one since SEEN rounds, or is one about to? */
static bool callers_lead(unsigned long seen)
{
	return engine.leading || engine.waiters != NULL || engine.led != seen;
}

/* [lock held] The library's thread: lead while no caller does. */
static void background(void)
{
	unsigned long seen = engine.led - 1;
	cohort_time tick = TICK_SHORT;

	while (!engine.stopping) {
		run_calls();
		if (callers_lead(seen)) {
			tick = engine.led == seen && tick < TICK_LONG ? tick * 2 : TICK_SHORT;
			seen = engine.led;
			cond_wait(&engine.step_back, cohort_in(tick));
		} else if (engine.claims != 0) {
			cond_wait(&engine.step_back, cohort_in(GRACE));
		} else {
			lead(COHORT_FOREVER, true);
			seen = engine.led;
		}
	}
}

static void *background_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&engine.lock);
	background();
	pthread_mutex_unlock(&engine.lock);
	return NULL;
}

static int thread_start(void)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	sigdelset(&all, SIGBUS); /* memory of others may be cut (sync/cut.h), also under this thread */
	pthread_sigmask(SIG_SETMASK, &all, &old); /* the thread inherits it */
	rc = pthread_create(&engine.thread, NULL, background_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -rc;
}

static int engine_start(struct cohort_error *err)
{
	int rc;

	engine.loop = coh_loop_new();
	if (engine.loop == NULL)
		return coh_fail(err, -EMFILE,
		    "start the engine: not 5 descriptors are left, or no memory");
	cond_init(&engine.step_back);
	engine.stopping = false;
	rc = thread_start();
	if (rc == 0)
		return 0;
	coh_loop_free(engine.loop);
	engine.loop = NULL;
	return coh_fail_errno(err, -rc, "start the library's thread");
}

int coh_engine_open(struct cohort_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int rc = 0;

	pthread_once(&once, watch_forks);
	leave_to_parent();
	pthread_mutex_lock(&life);
	pthread_mutex_lock(&engine.lock);
	if (engine.users == 0)
		rc = engine_start(err);
	if (rc == 0)
		engine.users++;
	pthread_mutex_unlock(&engine.lock);
	pthread_mutex_unlock(&life);
	return rc;
}

/* [life held] */
static void engine_stop(void)
{
	pthread_mutex_lock(&engine.lock);
	engine.stopping = true;
	pthread_cond_broadcast(&engine.step_back);
	coh_loop_wake(engine.loop);
	pthread_mutex_unlock(&engine.lock);
	pthread_join(engine.thread, NULL);
	pthread_mutex_lock(&engine.lock);
	run_calls();
	coh_loop_free(engine.loop);
	engine.loop = NULL;
	pthread_cond_destroy(&engine.step_back);
	pthread_mutex_unlock(&engine.lock);
}

void coh_engine_close(void)
{
	pthread_mutex_lock(&life);
	COH_ASSERT(engine.users > 0);
	if (--engine.users == 0)
		engine_stop();
	pthread_mutex_unlock(&life);
}
