/*
 * zygote_main.c - the zygote's own life: fork when asked, tell when a child ended.
 *
 * Runs in the zygote, single-threaded from first to last.  All signals are blocked in it
 * (Ctrl-C at a terminal reaches the whole group, and is the program's business); SIGCHLD
 * arrives as a descriptor.  It ends when the program closes the control socket or ends:
 * the socket alone would not tell, since a fork of the application's own may hold it open.
 *
 * Everything a child needs that is the same for all is done here once, before the first
 * fork: dispositions, standard input, no descriptors.  That is what makes a start quick.
 */
#include "os/zygote_priv.h"

#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct zygote {
	int control;  /* to the program */
	int children; /* signalfd of SIGCHLD */
	int parent;   /* pidfd of the program */
	int pid;
	coh_child_fn fn;
};

/* A request as received.  Children borrow their heritage out of their copy of it. */
static struct {
	struct coh_zygote_request head;
	unsigned char heritage[COH_ZYGOTE_INLINE];
} request;

static void send_reply(const struct zygote *z, const struct coh_zygote_reply *r, int pidfd)
{
	struct iovec iov = {(void *)(uintptr_t)r, sizeof *r};

	if (coh_fd_send(z->control, &iov, 1, &pidfd, pidfd >= 0) < 0)
		_exit(0); /* nobody is left to serve */
}

/* The heritage in the memory file FD into memory of this process's own. */
static int read_file(int fd, void **data, size_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size > COH_HERITAGE_MAX)
		return COHORT_EPROTOCOL;
	*size = (size_t)st.st_size;
	*data = coh_alloc(*size);
	return *data != NULL ? coh_fd_read_at(fd, *data, *size, 0) : -ENOMEM;
}

/* In the new child: settle, and live.  Returns only when it could not. */
static int child_begin(const struct zygote *z, const int *fds)
{
	const struct coh_zygote_request *head = &request.head;
	static struct coh_heritage h;
	void *data = request.heritage;
	size_t size = head->size;
	int rc = 0;

	coh_proc_bind(z->pid);
	coh_proc_mask_signals(COH_MASK_NONE);
	if (head->file)
		rc = read_file(fds[head->fds + head->report], &data, &size);
	if (rc == 0)
		rc = coh_heritage_decode(&h, data, size, fds, (int)head->fds);
	if (rc == 0 && h.start == COHORT_START_SPAWN)
		rc = coh_proc_exec(&h);
	if (rc == 0)
		rc = coh_proc_close_others(&h);
	if (rc == 0)
		z->fn(&h);
	return rc;
}

static _Noreturn void child_main(const struct zygote *z, const int *fds)
{
	int rc = child_begin(z, fds);

	if (request.head.report &&
	    write(fds[request.head.fds], &rc, sizeof rc) != (ssize_t)sizeof rc)
		_exit(COH_CODE_UNKNOWN); /* nobody waits for the reason */
	_exit(COH_CODE_UNKNOWN);
}

/* Watch the new child PID; without a descriptor for that it has to go. */
static int watch(int pid)
{
	int e, fd = pidfd_open(pid, 0);

	if (fd >= 0)
		return fd;
	e = errno;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -e;
}

static void start_child(const struct zygote *z, int *fds, int nfds)
{
	struct coh_zygote_reply r = {.word = COH_ZYGOTE_ANSWER, .number = request.head.number};
	int pidfd = -1;

	r.pid = fork();
	if (r.pid == 0)
		child_main(z, fds);
	if (r.pid < 0)
		r.value = -errno;
	else
		r.value = pidfd = watch(r.pid);
	if (pidfd >= 0)
		r.value = 0;
	send_reply(z, &r, pidfd);
	coh_fd_close(&pidfd);
	while (nfds > 0)
		coh_fd_close(&fds[--nfds]);
}

/* Only a child that was not reaped: the number cannot mean another process. */
static void kill_child(int pid)
{
	siginfo_t si;

	if (pid > 0 && waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0)
		kill(pid, SIGKILL);
}

static void serve_request(const struct zygote *z)
{
	struct coh_zygote_reply r = {.word = COH_ZYGOTE_ANSWER};
	int fds[COH_FD_PASS], nfds;
	ssize_t n = coh_fd_recv(z->control, &request, sizeof request, fds, &nfds, 0);
	const struct coh_zygote_request *head = &request.head;

	if (n == -EMFILE) {
		r.number = head->number;
		r.value = -EMFILE;
		send_reply(z, &r, -1);
		return;
	}
	if (n < (ssize_t)sizeof *head)
		_exit(0);
	if (head->op == COH_ZYGOTE_KILL)
		kill_child(head->pid);
	else if (head->size == (size_t)n - sizeof *head &&
	    (uint32_t)nfds == head->fds + head->report + head->file)
		start_child(z, fds, nfds);
	else
		_exit(COH_CODE_UNKNOWN); /* not our program */
}

static void tell_ends(const struct zygote *z)
{
	struct coh_zygote_reply r = {.word = COH_ZYGOTE_END};
	struct signalfd_siginfo drained;
	siginfo_t si;

	if (read(z->children, &drained, sizeof drained) < 0 && errno != EAGAIN)
		return;
	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
			return;
		r.pid = si.si_pid;
		r.value = si.si_code == CLD_EXITED ? si.si_status : -si.si_status;
		send_reply(z, &r, -1);
	}
}

static int set_up(struct zygote *z, int parent)
{
	sigset_t chld;

	prctl(PR_SET_NAME, "cohort-zygote");
	coh_proc_mask_signals(COH_MASK_ALL);
	coh_proc_reset_signals();
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	if (coh_fd_close_except(STDERR_FILENO + 1, &z->control, 1) < 0 ||
	    coh_proc_null_stdin() < 0)
		return -1;
	z->children = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	z->parent = pidfd_open(parent, 0);
	z->pid = getpid();
	return z->children < 0 || z->parent < 0 || getppid() != parent ? -1 : 0;
}

_Noreturn void coh_zygote_main(int control, int parent, coh_child_fn fn)
{
	struct zygote z = {.control = control, .fn = fn};

	if (set_up(&z, parent) < 0)
		_exit(COH_CODE_UNKNOWN);
	for (;;) {
		struct pollfd p[] = {{.fd = z.control, .events = POLLIN},
		    {.fd = z.children, .events = POLLIN}, {.fd = z.parent, .events = POLLIN}};

		if (poll(p, 3, -1) < 0)
			continue; /* no signal is unblocked: only memory can lack, and may return */
		if (p[2].revents)
			_exit(0);
		if (p[1].revents)
			tell_ends(&z);
		if (p[0].revents)
			serve_request(&z);
	}
}
