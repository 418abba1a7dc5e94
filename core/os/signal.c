/*
 * signal.c - signals as events: no work is ever done in a handler (trust: H27; but for bus.c).
 */
#include "os/signal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t taken(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return set;
}

int coh_signal_open(void)
{
	sigset_t set = taken();
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return fd;
}

int coh_signal_take(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

/*
 * What comes from now on is obeyed already: let through, it would kill the program while it ends (a supervisor
 * tells the process and then its group; timeout(1) tells it twice).
 */
void coh_signal_close(int fd)
{
	if (fd >= 0)
		close(fd);
}
