/*
 * zygote.c - the program's side of its zygote.
 *
 * One lock, one socket.  A start holds the lock for its round trip; whoever reads the socket
 * files what is meant for others: an END sets the code in the child it is about, found by
 * pid among those that run.  A pid is enough: the socket keeps the order, so the END of one
 * child always comes before the ANSWER that gives its number to another.
 *
 * Who waits for an end polls the child's own pidfd without the lock, and asks the socket only
 * once the child has ended; so any number of threads wait, each for its own, and none of them
 * wakes another.  The zygote's death is an end of stream here: all its children died with
 * it (COH_CODE_UNKNOWN).
 */
#include "os/zygote.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/object.h"
#include "os/fd.h"
#include "os/zygote_priv.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUCKETS 64 /* children that run are few */

/* A child has ended, its code is on its way: that is worth this much beyond a deadline. */
#define GRACE COHORT_SECOND

static struct {
	pthread_mutex_t lock; /* guards all below, and ended and code of its children */
	int socket;
	pid_t pid;            /* 0: none */
	bool gone;            /* it died */
	uint32_t number;      /* of the last request */
	struct coh_child *running[BUCKETS];
} zygote = {.lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1};

/*
 * Fork with no exit signal: the zygote then stays out of every wait of the application that
 * does not ask for such children (__WALL), and ends without a SIGCHLD.  ThreadSanitizer must
 * see the call, so it gets the plain one.
 */
static pid_t fork_unseen(void)
{
#if COH_PROC_TSAN
	return fork();
#else
	return (pid_t)syscall(SYS_clone, 0UL, 0UL, 0UL, 0UL, 0UL);
#endif
}

int coh_zygote_open(coh_child_fn fn, struct cohort_error *err)
{
	int pair[2], rc, parent = getpid(), threads = coh_proc_threads();
	pid_t pid;

	if (zygote.pid != 0)
		return coh_fail(err, COHORT_ESTATE, "open the zygote: it is open already");
	if (threads < 0)
		return coh_fail_errno(err, -threads, "open the zygote: count threads");
	if (threads != 1)
		return coh_fail(err, COHORT_ETHREADS,
		    "open the zygote: this process has %d threads, allowed is 1", threads);
	rc = coh_fd_pair(pair, SOCK_SEQPACKET);
	if (rc < 0)
		return coh_fail_errno(err, -rc, "open the zygote: socketpair");
	fflush(NULL); /* else every child would say it again */
	pid = fork_unseen();
	if (pid == 0)
		coh_zygote_main(pair[1], parent, fn);
	rc = pid < 0 ? -errno : 0;
	coh_fd_close(&pair[1]);
	if (rc < 0) {
		coh_fd_close(&pair[0]);
		return coh_fail_errno(err, -rc, "open the zygote: fork");
	}
	zygote.socket = pair[0];
	zygote.pid = pid;
	return 0;
}

int coh_zygote_pid(void)
{
	return zygote.pid;
}

/*
 * Take the lock unless DEADLINE passes first: its holder may be waiting for a zygote that
 * somebody stopped.  The ThreadSanitizer of gcc 12 does not know this way of locking.
 */
static bool lock_until(cohort_time deadline)
{
#if COH_PROC_TSAN
	(void)deadline;
	return pthread_mutex_lock(&zygote.lock) == 0;
#else
	struct timespec until = coh_clock_timespec(deadline);

	return pthread_mutex_clocklock(&zygote.lock, CLOCK_MONOTONIC, &until) == 0;
#endif
}

static struct coh_child **bucket(int pid)
{
	return &zygote.running[(unsigned)pid % BUCKETS];
}

/* Where the running child PID hangs, or NULL. */
static struct coh_child **find(int pid)
{
	for (struct coh_child **p = bucket(pid); *p != NULL; p = &(*p)->next)
		if ((*p)->pid == pid)
			return p;
	return NULL;
}

static void end_child(struct coh_child **at, int code)
{
	struct coh_child *c = *at;

	*at = c->next;
	c->ended = true;
	c->code = code;
}

static int zygote_died(void)
{
	zygote.gone = true;
	for (int i = 0; i < BUCKETS; i++)
		while (zygote.running[i] != NULL)
			end_child(&zygote.running[i], COH_CODE_UNKNOWN);
	return COHORT_EZYGOTE;
}

/*
 * Read one reply, waiting until DEADLINE, and file an END.  Returns 1 for an ANSWER (in *R,
 * with *PIDFD given, -1 without), 0 for an END, COHORT_ETIMEDOUT, COHORT_EZYGOTE, -EMFILE
 * (an ANSWER whose descriptor found no room).
 */
static int read_reply(struct coh_zygote_reply *r, int *pidfd, cohort_time deadline)
{
	int fds[COH_FD_PASS], nfds, rc;
	struct coh_child **at;
	ssize_t n;

	do {
		rc = coh_fd_wait(zygote.socket, POLLIN, deadline);
		if (rc == 0)
			return COHORT_ETIMEDOUT;
		n = coh_fd_recv(zygote.socket, r, sizeof *r, fds, &nfds, MSG_DONTWAIT);
	} while (n == -EAGAIN);
	if (n == -EMFILE)
		return -EMFILE;
	if (n != sizeof *r)
		return zygote_died();
	*pidfd = nfds > 0 ? fds[0] : -1;
	if (r->word == COH_ZYGOTE_ANSWER)
		return 1;
	at = find(r->pid);
	if (at != NULL)
		end_child(at, r->value);
	return 0;
}

static void send_kill(int pid)
{
	struct coh_zygote_request q = {.op = COH_ZYGOTE_KILL, .pid = pid};
	struct iovec iov = {&q, sizeof q};

	coh_fd_send(zygote.socket, &iov, 1, NULL, 0); /* a dead zygote has killed it already */
}

/* Wait for the answer to request NUMBER; children of requests given up before are ended. */
static int await_answer(uint32_t number, struct coh_child *out, cohort_time deadline)
{
	struct coh_zygote_reply r;
	int pidfd, rc;

	for (;;) {
		pidfd = -1;
		rc = read_reply(&r, &pidfd, deadline);
		if (rc == 0)
			continue;
		if (rc == COHORT_ETIMEDOUT || rc == COHORT_EZYGOTE)
			return rc;
		if (r.number == number && rc == 1 && r.value == 0)
			break;
		if (r.pid > 0 && r.value == 0)
			send_kill(r.pid);
		coh_fd_close(&pidfd);
		if (r.number == number)
			return rc < 0 ? rc : r.value;
	}
	*out = (struct coh_child){.pid = r.pid, .pidfd = pidfd, .next = *bucket(r.pid)};
	*bucket(r.pid) = out;
	return 0;
}

/* What one start needs beside the heritage. */
struct order {
	struct coh_buf bytes;
	int fds[COH_FD_PASS];
	int heritage_fds;
	int report[2]; /* START_SPAWN: how exec failed, or the end of stream */
	int file;      /* a heritage too large for a request */
};

static int order_fill(struct order *o, const struct coh_heritage *h)
{
	struct iovec iov;
	int rc = coh_heritage_encode(h, &o->bytes, o->fds, &o->heritage_fds);

	if (rc == 0 && h->start == COHORT_START_SPAWN)
		rc = coh_fd_pipe(o->report);
	if (rc == 0 && coh_buf_len(&o->bytes) > COH_ZYGOTE_INLINE) {
		o->file = coh_fd_memory("cohort-heritage");
		iov = (struct iovec){o->bytes.data, coh_buf_len(&o->bytes)};
		rc = o->file < 0 ? o->file : coh_fd_write_all(o->file, &iov, 1);
	}
	return rc;
}

static void order_fini(struct order *o)
{
	coh_buf_fini(&o->bytes);
	coh_fd_close(&o->report[0]);
	coh_fd_close(&o->report[1]);
	coh_fd_close(&o->file);
}

static int order_send(struct order *o, uint32_t number)
{
	struct coh_zygote_request q = {.op = COH_ZYGOTE_START,
	    .number = number,
	    .size = o->file < 0 ? (uint32_t)coh_buf_len(&o->bytes) : 0,
	    .fds = (uint32_t)o->heritage_fds,
	    .report = o->report[1] >= 0,
	    .file = o->file >= 0};
	struct iovec iov[] = {{&q, sizeof q}, {o->bytes.data, q.size}};
	int n = o->heritage_fds;
	ssize_t rc;

	if (q.report)
		o->fds[n++] = o->report[1];
	if (q.file)
		o->fds[n++] = o->file;
	rc = coh_fd_send(zygote.socket, iov, 2, o->fds, n);
	if (rc == -EPIPE || rc == -ECONNRESET)
		return zygote_died();
	return rc < 0 ? (int)rc : 0;
}

/* With the lock held: one round trip. */
static int order_run(struct order *o, struct coh_child *out, cohort_time deadline)
{
	int rc, room;

	if (zygote.pid == 0)
		return COHORT_EINIT;
	if (zygote.gone)
		return COHORT_EZYGOTE;
	room = coh_fd_dup(zygote.socket); /* for the pidfd: no room shall mean no child */
	if (room < 0)
		return room;
	rc = order_send(o, ++zygote.number);
	coh_fd_close(&room);
	return rc != 0 ? rc : await_answer(zygote.number, out, deadline);
}

/* START_SPAWN: the pipe closes at exec, or tells why there was none. */
static int await_exec(struct order *o, cohort_time deadline)
{
	int rc;
	ssize_t n;

	coh_fd_close(&o->report[1]);
	if (coh_fd_wait(o->report[0], POLLIN, deadline) == 0)
		return COHORT_ETIMEDOUT;
	n = read(o->report[0], &rc, sizeof rc);
	return n == (ssize_t)sizeof rc ? rc : 0;
}

static void abandon(struct coh_child *c)
{
	coh_proc_signal(c, SIGKILL);
	coh_proc_release(c);
}

int coh_zygote_start(const struct coh_heritage *h, struct coh_child *out, cohort_time deadline,
    struct cohort_error *err)
{
	struct order o = {.report = {-1, -1}, .file = -1};
	int rc;

	coh_buf_init(&o.bytes, COH_HERITAGE_MAX);
	rc = order_fill(&o, h);
	if (rc == 0 && !lock_until(deadline))
		rc = COHORT_ETIMEDOUT;
	else if (rc == 0) {
		rc = order_run(&o, out, deadline);
		pthread_mutex_unlock(&zygote.lock);
		if (rc == 0 && o.report[0] >= 0) {
			rc = await_exec(&o, deadline);
			if (rc != 0)
				abandon(out);
		}
	}
	order_fini(&o);
	if (rc != 0) {
		*out = (struct coh_child){.pidfd = -1};
		return coh_fail(err, rc, "start %s: %s", h->name, cohort_strerror(rc));
	}
	return 0;
}

int coh_zygote_status(struct coh_child *c, cohort_time deadline, int *code)
{
	struct coh_zygote_reply r;
	int rc = 0, pidfd = -1;

	if (coh_fd_wait(c->pidfd, POLLIN, deadline) == 0)
		return COHORT_ETIMEDOUT;
	if (coh_clock_left(deadline) < GRACE)
		deadline = cohort_in(GRACE);
	if (!lock_until(deadline))
		return COHORT_ETIMEDOUT;
	while (!c->ended && rc >= 0) {
		rc = read_reply(&r, &pidfd, deadline);
		if (rc == 1) { /* the answer to a request that was given up */
			send_kill(r.pid);
			coh_fd_close(&pidfd);
		}
	}
	rc = c->ended ? 0 : COHORT_ETIMEDOUT;
	if (rc == 0)
		*code = c->code;
	pthread_mutex_unlock(&zygote.lock);
	return rc;
}

void coh_zygote_forget(struct coh_child *c)
{
	struct coh_child **at;

	pthread_mutex_lock(&zygote.lock);
	at = c->ended ? NULL : find(c->pid);
	if (at != NULL && *at == c)
		*at = c->next;
	pthread_mutex_unlock(&zygote.lock);
}

void coh_zygote_close(void)
{
	pthread_mutex_lock(&zygote.lock);
	if (zygote.pid != 0) {
		kill(zygote.pid, SIGKILL); /* holds nothing that would need more care */
		while (waitpid(zygote.pid, NULL, __WALL) < 0 && errno == EINTR)
			continue;
		zygote_died();
		coh_fd_close(&zygote.socket);
		zygote.pid = 0;
	}
	pthread_mutex_unlock(&zygote.lock);
}

void coh_zygote_reset(void)
{
	pthread_mutex_init(&zygote.lock, NULL);
	zygote.socket = -1;
	zygote.pid = 0;
	zygote.gone = false;
	for (int i = 0; i < BUCKETS; i++)
		zygote.running[i] = NULL;
}
