/*
 * bus.c - the handler of SIGBUS, and who had it before.
 *
 * It runs on the thread's alternate stack if there is one, and with the mask that the handler before it asked for.
 */
#include "os/bus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static bool (*_Atomic asked)(void *address);
static struct sigaction former; /* written before the handler is there */
static atomic_bool plain;       /* the default was put in our place since: the former one counts no more */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The instruction is tried again, and dies; a signal that was sent does not come again by itself. */
COH_BUS_BARE static void die(const siginfo_t *info)
{
	struct sigaction def = {.sa_handler = SIG_DFL};

	sigaction(SIGBUS, &def, NULL);
	if (info->si_code <= 0)
		raise(SIGBUS);
}

COH_BUS_BARE static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (atomic_load(&plain) || former.sa_handler == SIG_DFL)
		die(info);
	else if (former.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	else if (former.sa_handler == SIG_IGN)
		die(info); /* as the kernel does: an instruction cannot be ignored */
	else if ((former.sa_flags & SA_SIGINFO) != 0)
		former.sa_sigaction(sig, info, context);
	else
		former.sa_handler(sig);
}

/* Of all reasons only that there is nothing at the address: broken hardware is not ours to hide. */
COH_BUS_BARE static void on_bus(int sig, siginfo_t *info, void *context)
{
	bool (*ask)(void *address) = atomic_load(&asked);
	int before = errno;

	if (info->si_code != BUS_ADRERR || !ask(info->si_addr))
		pass_on(sig, info, context);
	errno = before;
}

static void install(void)
{
	struct sigaction ours = {.sa_sigaction = on_bus};

	ours.sa_mask = former.sa_mask;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | (former.sa_flags & SA_NODEFER);
	sigaction(SIGBUS, &ours, NULL);
}

static void install_first(void)
{
	sigaction(SIGBUS, NULL, &former);
	install();
}

void coh_bus_watch(bool (*owner)(void *address))
{
	struct sigaction now;

	atomic_store(&asked, owner);
	pthread_once(&once, install_first);
	if (sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL) {
		atomic_store(&plain, true);
		install();
	}
}
