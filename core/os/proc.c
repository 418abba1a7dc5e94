/*
 * proc.c - a child's birth, and the parent's hold on it.
 *
 * A child is born three ways (forked by the zygote, the same and exec'd, forked from here) and
 * is settled the same way before its life begins: bound to its parent's life, no signal
 * handled or blocked, /dev/null for standard input, nothing open but its heritage.
 *
 * Refused: waiting by pid and SIGCHLD.  The signal belongs to the application, and a pid may
 * be another process by the time it is used.
 */
#include "os/proc.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/object.h"
#include "os/fd.h"
#include "os/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t reap_lock = PTHREAD_MUTEX_INITIALIZER; /* guards ended, code: forked ones */

int coh_proc_threads(void)
{
	struct stat st;
	int n;

	/* a folder has as many links as it has folders inside, and two more */
	if (stat("/proc/self/task", &st) < 0)
		return -errno;
	n = (int)st.st_nlink - 2;
	return COH_PROC_TSAN && n == 2 ? 1 : n;
}

void coh_proc_bind(int parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(COH_CODE_UNKNOWN); /* it died before it could take us along */
}

int coh_proc_seal(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	if (COH_PROC_LEAK_CHECK)
		return 0; /* its checker is a process that looks into this one */
	return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

int coh_proc_renounce(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

void coh_proc_reset_signals(void)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &plain, NULL); /* fails for the two that cannot be changed */
}

void coh_proc_mask_signals(int how_many)
{
	sigset_t set;

	if (how_many == COH_MASK_NONE)
		sigemptyset(&set);
	else
		sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

int coh_proc_null_stdin(void)
{
	int rc = 0, fd = coh_fd_open("/dev/null", O_RDONLY);

	if (fd < 0)
		return fd;
	if (fd != STDIN_FILENO) {
		rc = dup2(fd, STDIN_FILENO) < 0 ? -errno : 0;
		coh_fd_close(&fd);
	} else {
		rc = coh_fd_set_exec(fd, COH_FD_EXEC_KEEP);
	}
	return rc;
}

int coh_proc_close_others(const struct coh_heritage *h)
{
	int fds[COH_HERITAGE_ALL_FDS], n = coh_heritage_fds(h, fds);

	return coh_fd_close_except(STDERR_FILENO + 1, fds, n);
}

static _Noreturn void forked_child(const struct coh_heritage *h, coh_child_fn fn, int parent)
{
	coh_proc_bind(parent);
	coh_proc_reset_signals();
	coh_proc_mask_signals(COH_MASK_NONE);
	if (coh_proc_null_stdin() < 0 || coh_proc_close_others(h) < 0)
		_exit(COH_CODE_UNKNOWN);
	fn(h);
	COH_ASSERT(false);
	_exit(COH_CODE_UNKNOWN);
}

int coh_proc_fork(const struct coh_heritage *h, coh_child_fn fn, struct coh_child *out,
    struct cohort_error *err)
{
	int parent = getpid(), threads = coh_proc_threads();
	pid_t pid;

	if (threads < 0)
		return coh_fail_errno(err, -threads, "start %s by fork: count threads", h->name);
	if (threads != 1)
		return coh_fail(err, COHORT_ETHREADS,
		    "start %s by fork: this process has %d threads, allowed is 1", h->name,
		    threads);
	fflush(NULL); /* else the child would say it again */
	pid = fork();
	if (pid < 0)
		return coh_fail_errno(err, errno, "start %s: fork", h->name);
	if (pid == 0)
		forked_child(h, fn, parent);
	*out = (struct coh_child){.pid = pid, .forked = true};
	out->pidfd = pidfd_open(pid, 0);
	if (out->pidfd < 0) {
		int e = errno;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return coh_fail_errno(err, e, "start %s: watch the child", h->name);
	}
	return 0;
}

bool coh_proc_ended(const struct coh_child *c)
{
	return coh_fd_wait(c->pidfd, POLLIN, COHORT_NOW) != 0;
}

/* C has ended: reap it, unless another thread has. */
static void reap(struct coh_child *c)
{
	siginfo_t si = {.si_pid = 0};

	pthread_mutex_lock(&reap_lock);
	if (!c->ended) {
		c->code = COH_CODE_UNKNOWN; /* the application took it by a wait of its own */
		if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED) == 0)
			c->code = si.si_code == CLD_EXITED ? si.si_status : -si.si_status;
		c->ended = true;
	}
	pthread_mutex_unlock(&reap_lock);
}

int coh_proc_wait(struct coh_child *c, cohort_time deadline, int *code)
{
	int ignored;

	if (code == NULL)
		code = &ignored;
	if (!c->forked)
		return coh_zygote_status(c, deadline, code);
	if (coh_fd_wait(c->pidfd, POLLIN, deadline) == 0)
		return COHORT_ETIMEDOUT;
	reap(c);
	*code = c->code;
	return 0;
}

int coh_proc_signal(const struct coh_child *c, int sig)
{
	if (pidfd_send_signal(c->pidfd, sig, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	return 0;
}

void coh_proc_release(struct coh_child *c)
{
	if (!c->forked)
		coh_zygote_forget(c);
	coh_fd_close(&c->pidfd);
}

const char *coh_proc_words(int code, char *out, size_t size)
{
	if (code < 0)
		snprintf(out, size, "signal %d (%s)", -code, strsignal(-code));
	else
		snprintf(out, size, "exit code %d", code);
	return out;
}

/*
 * A memory file with H for the image that comes: the count and the numbers of its
 * descriptors, which stay open across exec, then its bytes.
 */
static int leave_heritage(const struct coh_heritage *h)
{
	struct coh_buf bytes;
	uint32_t head[1 + COH_HERITAGE_ALL_FDS] = {0};
	int fds[COH_HERITAGE_ALL_FDS], n, file, rc;
	struct iovec iov[2];

	coh_buf_init(&bytes, COH_HERITAGE_MAX);
	rc = coh_heritage_encode(h, &bytes, fds, &n);
	file = rc == 0 ? coh_fd_memory("cohort-heritage") : rc;
	if (file >= 0) {
		head[0] = (uint32_t)n;
		for (int i = 0; i < n; i++)
			head[1 + i] = (uint32_t)fds[i];
		iov[0] = (struct iovec){head, sizeof head};
		iov[1] = (struct iovec){bytes.data, coh_buf_len(&bytes)};
		rc = coh_fd_write_all(file, iov, 2);
		for (int i = 0; rc == 0 && i < n; i++)
			rc = coh_fd_set_exec(fds[i], COH_FD_EXEC_KEEP);
		if (rc == 0)
			rc = coh_fd_set_exec(file, COH_FD_EXEC_KEEP);
		if (rc != 0) {
			coh_fd_close(&file);
			file = rc;
		}
	}
	coh_buf_fini(&bytes);
	return file;
}

/* The file name of the program open at FD, for argv[0]; PATH is its storage. */
static char *program_name(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t n;

	if (fd < 0)
		return program_invocation_name;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > 0 ? path : program_invocation_name;
}

int coh_proc_exec(struct coh_heritage *h)
{
	char path[PATH_MAX], argument[64];
	int file, program = h->fd[COH_HERITAGE_PROGRAM];
	char *argv[] = {program_name(program, path), argument, NULL};

	h->fd[COH_HERITAGE_PROGRAM] = -1; /* closes at exec */
	file = leave_heritage(h);
	if (file < 0)
		return file;
	snprintf(argument, sizeof argument, COH_CHILD_ARGUMENT "%d", file);
	if (program >= 0)
		execveat(program, "", argv, environ, AT_EMPTY_PATH);
	else
		execv("/proc/self/exe", argv);
	return -errno;
}

/* The descriptors whose numbers HEAD names: each open, none standard, none twice. */
static int adopt_fds(const uint32_t head[1 + COH_HERITAGE_ALL_FDS], int fds[COH_HERITAGE_ALL_FDS])
{
	if (head[0] > COH_HERITAGE_ALL_FDS)
		return COHORT_EPROTOCOL;
	for (uint32_t i = 0; i < head[0]; i++) {
		if (head[1 + i] <= STDERR_FILENO || head[1 + i] > INT_MAX)
			return COHORT_EPROTOCOL;
		fds[i] = (int)head[1 + i];
		for (uint32_t j = 0; j < i; j++)
			if (fds[j] == fds[i])
				return COHORT_EPROTOCOL;
		if (coh_fd_set_exec(fds[i], COH_FD_EXEC_CLOSE) < 0)
			return COHORT_EPROTOCOL;
	}
	return 0;
}

int coh_proc_adopt(int fd, struct coh_heritage *h, void **memory)
{
	uint32_t head[1 + COH_HERITAGE_ALL_FDS];
	int fds[COH_HERITAGE_ALL_FDS], rc;
	struct stat st;
	size_t size;

	if (fd <= STDERR_FILENO || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_size < (off_t)sizeof head || (size_t)st.st_size > COH_HERITAGE_MAX)
		return COHORT_EPROTOCOL;
	size = (size_t)st.st_size - sizeof head;
	*memory = coh_alloc(size);
	if (*memory == NULL)
		return -ENOMEM;
	rc = coh_fd_read_at(fd, head, sizeof head, 0);
	if (rc == 0)
		rc = coh_fd_read_at(fd, *memory, size, sizeof head);
	if (rc == 0)
		rc = adopt_fds(head, fds);
	if (rc == 0)
		rc = coh_heritage_decode(h, *memory, size, fds, (int)head[0]);
	if (rc == 0)
		rc = coh_proc_close_others(h);
	if (rc != 0)
		coh_free(*memory);
	return rc;
}
