/*
 * bus.h - SIGBUS: what the system raises when mapped memory has nothing behind it any more.
 *
 * The one place of the library that has a handler of a signal.  It asks its owner, and passes on what is not the owner's to
 * the handler that was there before; where there was none the process dies of it, as it would have without us.
 */
#ifndef COH_OS_BUS_H
#define COH_OS_BUS_H

#include <stdbool.h>

/*
 * On all that runs in the handler: the thread sanitizer must not see it, since the instruction may be one of its own, in the
 * middle of noting an atomic operation under its locks.
 */
#if defined(__clang__)
#define COH_BUS_BARE __attribute__((disable_sanitizer_instrumentation))
#else
#define COH_BUS_BARE __attribute__((no_sanitize("thread")))
#endif

/*
 * Have OWNER called when an instruction found nothing at ADDRESS: true, it has seen to it and the instruction is tried again;
 * false, it is none of its.  It is called in the handler: only what is async-signal-safe may be done.  One owner a process.
 *
 * Installs the handler if it is not there: at the first call, and again where SIGBUS was put back to its default since.  Who
 * installed one of its own since has to call ours from it, and is left alone.  A forked child has the handler, exec ends it.
 */
void coh_bus_watch(bool (*owner)(void *address));

#endif
