/*
 * listener.c - strangers in, peers out.
 *
 * One epoll set holds the listening socket, every stranger and one timer, so that its own
 * descriptor tells a caller's poll or loop when there is anything to do.  A step does what
 * can be done without waiting and hands out one peer at most; what else is ready stays
 * ready (level-triggered), so nothing is queued here.  Only a stranger who is alone while a caller waits in accept
 * is beside the set, until that ends.
 *
 * The rule that matters: nobody who has not proved the key costs more than one slot of few,
 * a bounded time from the moment of accept, and 1 KiB at a time.  Who gets a slot is for
 * trust/strangers.h to say; listener_door.c meets newcomers, listener_stranger.c hears strangers.
 *
 * Rejected: a thread a stranger (memory for each, and a limit of threads to attack), accepting
 * only when somebody is asked for (one mute peer would block the rest).
 */
#include "conn/listener_struct.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "trust/hmac_openssl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 64               /* ready strangers of one step */
#define LATE COHORT_SECOND     /* from here on it is we who have not listened */
#define MS_MAX (24 * 60 * 60 * 1000) /* of one wait, which may then begin again */

void coh_listener_say(struct cohort_listener *l, uint64_t source, const char *format, ...)
{
	char text[COHORT_ERROR_TEXT];
	va_list ap;

	if (!coh_loglimit_may(&l->log, source, cohort_now()))
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	coh_log(COHORT_LOG_WARN, "listener %s: %s", l->address, text);
}

/* Say how much was not said in the last minute, when it is over. */
static void say_sums(struct cohort_listener *l, cohort_time now)
{
	struct coh_loglimit_sum sum;
	char source[COH_SOCKADDR_SOURCE_TEXT];

	while (coh_loglimit_next(&l->log, now, &sum)) {
		if (sum.source == COH_LOGLIMIT_OTHERS)
			snprintf(source, sizeof source, "others");
		else if (sum.source == COH_LISTENER_ITSELF)
			snprintf(source, sizeof source, "this listener's own");
		else
			coh_sockaddr_source_text(sum.source, source);
		coh_log(COHORT_LOG_WARN, "listener %s: %lu more lines about %s were left out",
		    l->address, sum.count, source);
	}
}

int coh_listener_watch(struct cohort_listener *l, int op, int fd, void *whom, short events)
{
	struct epoll_event e = {.events = (uint32_t)events, .data.ptr = whom};

	return epoll_ctl(l->epoll, op, fd, &e) == 0 ? 0 : -errno;
}

/*
 * Let go of those whose time is up, each heard once more: its last word may be here already.  When
 * we come late it is not the stranger's fault.
 */
static void expire(struct cohort_listener *l, cohort_time now)
{
	struct coh_stranger *place;
	struct coh_listener_stranger *s;
	cohort_time when;

	while (l->found == NULL && (place = coh_strangers_due(&l->strangers, &when)) != NULL &&
	    when <= now) {
		s = coh_listener_stranger_at(place);
		if (coh_listener_hear(l, s) != COH_LISTENER_STAYS)
			continue;
		coh_listener_say(l, place->source, "%s did not prove itself in time",
		    cohort_conn_peer(s->conn));
		coh_listener_drop(
		    l, s, now - when < LATE ? COH_PENALTY_TIMEOUT : COH_PENALTY_NONE);
	}
}

/* Ring at NEXT (COHORT_FOREVER: never).  A ring too early costs less than setting it for each stranger. */
static void timer_set(struct cohort_listener *l, cohort_time next)
{
	struct itimerspec when = {0};

	if (l->armed >= 0 && (next == COHORT_FOREVER || (l->armed != 0 && l->armed <= next)))
		return;
	if (next == COHORT_FOREVER)
		next = 0;
	when.it_value = coh_clock_timespec(next);
	if (timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &when, NULL) == 0)
		l->armed = next;
}

/* Is there so much room that opening the door is worth it? */
static bool has_room(const struct coh_strangers *s)
{
	return s->count < s->limits.full - s->limits.full / 16;
}

/* What time brings: ends of patience, of a pause, of a minute of log.  Then set the timer for the next. */
static void listener_tick(struct cohort_listener *l)
{
	cohort_time now = cohort_now(), next, sums;

	expire(l, now);
	if (l->paused != 0 && (l->paused <= now || (l->crowded && has_room(&l->strangers)))) {
		l->paused = 0;
		l->crowded = false;
		(void)coh_listener_watch(l, EPOLL_CTL_MOD, l->bound.fd, &l->bound, EPOLLIN);
	}
	say_sums(l, now);
	(void)coh_strangers_due(&l->strangers, &next);
	sums = coh_loglimit_due(&l->log);
	if (sums < next)
		next = sums;
	if (l->paused != 0 && l->paused < next)
		next = l->paused;
	timer_set(l, next);
}

/* As epoll_wait(2), and the stranger beside the set, if there is one, is told of too. */
static int listener_wait(const struct cohort_listener *l, struct epoll_event *events, int ms)
{
	struct pollfd p[2] = {{.fd = l->epoll, .events = POLLIN}};
	int n;

	if (l->beside == NULL)
		return epoll_wait(l->epoll, events, BATCH, ms);
	p[1] = (struct pollfd){.fd = coh_conn_fd(l->beside->conn), .events = l->beside->watched};
	n = poll(p, 2, ms);
	if (n > 0)
		n = p[0].revents != 0 ? epoll_wait(l->epoll, events, BATCH, 0) : 0;
	if (n >= 0 && p[1].revents != 0)
		events[n++] = (struct epoll_event){.data.ptr = l->beside};
	return n;
}

/*
 * Wait for something to do for MS at most (< 0: until there is), and do it.  1: there is l->found; 0;
 * -errno.
 */
static int listener_step(struct cohort_listener *l, int ms, struct cohort_error *err)
{
	struct epoll_event events[BATCH + 1];
	bool waiting = false;
	int rc = 0, n = listener_wait(l, events, ms);

	if (n < 0 && errno != EINTR)
		rc = -errno;
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == &l->bound)
			waiting = true;
		else if (events[i].data.ptr == &l->timer)
			l->armed = -1; /* it is silent only when set anew */
		else if (l->found == NULL)
			(void)coh_listener_hear(l, events[i].data.ptr);
	}
	if (!waiting)
		l->allowance = 1;
	/* Newcomers last: a stranger who stood in EVENTS may have to go for them. */
	if (waiting && l->found == NULL)
		rc = coh_listener_take(l);
	listener_tick(l);
	if (rc != 0)
		return coh_fail_errno(err, -rc, "listener %s", l->address);
	return l->found != NULL;
}

static struct cohort_conn *found_take(struct cohort_listener *l)
{
	struct cohort_conn *conn = l->found;

	l->found = NULL;
	return conn;
}

int coh_listener_step(struct cohort_listener *l, struct cohort_conn **conn,
    struct coh_handshake_peer *peer, struct cohort_error *err)
{
	int rc = listener_step(l, 0, err);

	if (rc == 1 && peer != NULL)
		*peer = l->last.peer;
	if (rc == 1)
		*conn = found_take(l);
	return rc;
}

/* What is left until DEADLINE, for epoll_wait: rounded up, since too early would be a spin. */
static int ms_left(cohort_time deadline)
{
	cohort_time left = coh_clock_left(deadline);

	if (left == COHORT_FOREVER)
		return -1;
	return left < MS_MAX * COHORT_MS ? (int)((left + COHORT_MS - 1) / COHORT_MS) : MS_MAX;
}

int cohort_listener_accept(struct cohort_listener *l, struct cohort_conn **conn,
    cohort_time deadline, struct cohort_error *err)
{
	int rc, ms = ms_left(deadline), last = -1;

	l->attended = true;
	for (rc = 0; rc == 0 && last != 0; ms = ms_left(deadline)) {
		rc = listener_step(l, ms, err);
		last = ms;
	}
	l->attended = false;
	coh_listener_set(l);
	*conn = rc == 1 ? found_take(l) : NULL;
	if (rc == 0)
		return coh_fail(
		    err, COHORT_ETIMEDOUT, "listener %s: nobody came in time", l->address);
	return rc == 1 ? 0 : rc;
}

int cohort_listener_serve(struct cohort_listener *l, cohort_listener_fn fn, void *arg,
    cohort_time deadline, struct cohort_error *err)
{
	struct cohort_conn *conn;
	int rc;

	do {
		rc = cohort_listener_accept(l, &conn, deadline, err);
		if (rc == 0)
			rc = fn(l, conn, arg);
	} while (rc == 0);
	return rc;
}

const struct cohort_peer *cohort_listener_peer(const struct cohort_listener *l)
{
	return l->last.told.name != NULL ? &l->last.told : NULL;
}

/* How many strangers there may be: the usual number, but never half of the descriptors of this process. */
static struct coh_strangers_limits limits_here(void)
{
	struct coh_strangers_limits limits = COH_STRANGERS_LIMITS;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 2 < (rlim_t)limits.full) {
		limits.full = files.rlim_cur < 4 ? 2 : (int)files.rlim_cur / 2;
		limits.start = limits.full / 10;
	}
	return limits;
}

static int listener_open(struct cohort_listener *l, struct cohort_error *err)
{
	struct coh_strangers_limits limits = limits_here();
	struct coh_source_key key;
	int rc = 0;

	if (coh_random_bytes(&key, sizeof key) != 0)
		return coh_fail(err, COHORT_EAUTH, "cannot listen at %s: the system gives no random bytes",
		    l->address);
	coh_strangers_init(&l->strangers, &limits, &key);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (l->epoll < 0 || l->timer < 0 || l->reserve < 0)
		rc = -errno;
	if (rc == 0)
		rc = coh_listener_watch(l, EPOLL_CTL_ADD, l->bound.fd, &l->bound, EPOLLIN);
	if (rc == 0)
		rc = coh_listener_watch(l, EPOLL_CTL_ADD, l->timer, &l->timer, EPOLLIN);
	return rc == 0 ? 0 : coh_fail_errno(err, -rc, "cannot listen at %s", l->address);
}

/* Who has certificates only can prove nothing in the clear: say so now and not to each peer. */
static int key_check(const struct cohort_listener *l, struct cohort_error *err)
{
	if (l->id.key != NULL || l->bound.mode == COH_MODE_TLS_CERTIFICATE)
		return 0;
	return coh_fail(err, COHORT_EKEY,
	    "cannot listen at %s: there is no key, and certificates count in TLS only; name a key file, or "
	    "listen at tls://",
	    l->address);
}

int cohort_listen(struct cohort_listener **out, const char *address,
    const struct cohort_net_options *options, struct cohort_error *err)
{
	static const struct cohort_net_options none;
	struct cohort_listener *l = coh_calloc(sizeof *l);
	struct coh_address a;
	int rc;

	*out = NULL;
	if (l == NULL)
		return coh_fail(err, -ENOMEM, "cannot listen at %.200s: no memory", address);
	l->bound.fd = l->epoll = l->timer = l->reserve = -1;
	l->allowance = 1;
	l->source = coh_sockaddr_source;
	rc = coh_address_parse(&a, address, err);
	if (rc == 0)
		rc = coh_address_check(&a, COH_ADDRESS_BIND, err);
	if (rc == 0)
		rc = coh_address_is_python(&a) ? coh_identity_init_python(&l->id, options, err)
					       : coh_identity_init(&l->id, options, err);
	if (rc == 0 && options != NULL) {
		rc = coh_network_parse(&l->exempt, options->exempt, err);
		if (rc != 0)
			coh_fail_in(err, rc, "cannot listen at %.200s: exempt", address);
	}
	if (rc == 0)
		rc = coh_bind(&l->bound, &a, options != NULL ? options : &none, err);
	if (rc == 0) {
		coh_address_print(&l->bound.address, l->address);
		rc = key_check(l, err);
	}
	if (rc == 0)
		rc = listener_open(l, err);
	if (rc != 0) {
		cohort_listener_close(l);
		return rc;
	}
	coh_listener_warn(l);
	*out = l;
	return 0;
}

int cohort_listener_reload(struct cohort_listener *l, struct cohort_error *err)
{
	int rc = coh_identity_reload(&l->id, err);

	return rc == 0 ? 0 : coh_fail_in(err, rc, "listener %s", l->address);
}

const char *cohort_listener_address(const struct cohort_listener *l)
{
	return l->address;
}

int cohort_listener_fd(const struct cohort_listener *l)
{
	return l->epoll;
}

void coh_listener_limits(struct cohort_listener *l, const struct coh_strangers_limits *limits)
{
	l->strangers.limits = *limits;
}

void coh_listener_limit(struct cohort_listener *l, cohort_time handshake, int strangers)
{
	struct coh_strangers_limits limits = COH_STRANGERS_LIMITS;

	limits.patience = handshake;
	limits.start = limits.full = strangers;
	coh_listener_limits(l, &limits);
}

void coh_listener_source_by(struct cohort_listener *l, coh_listener_source_fn fn)
{
	l->source = fn;
}

void coh_listener_admit(struct cohort_listener *l, coh_handshake_admit_fn fn, void *arg)
{
	l->admit = fn;
	l->admit_arg = arg;
}

bool coh_listener_warn(const struct cohort_listener *l)
{
	return coh_mode_warn(l->bound.mode, "listener", l->address);
}

struct coh_identity *coh_listener_identity(struct cohort_listener *l)
{
	return &l->id;
}

int coh_listener_strangers(const struct cohort_listener *l)
{
	return l->strangers.count;
}

static void fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

void cohort_listener_close(struct cohort_listener *l)
{
	struct coh_stranger *place;
	cohort_time when;

	if (l == NULL)
		return;
	while ((place = coh_strangers_due(&l->strangers, &when)) != NULL)
		coh_listener_drop(l, coh_listener_stranger_at(place), COH_PENALTY_NONE);
	coh_strangers_fini(&l->strangers);
	coh_bind_undo(&l->bound);
	coh_identity_fini(&l->id);
	fd_close(l->epoll);
	fd_close(l->timer);
	fd_close(l->reserve);
	coh_free(l);
}
