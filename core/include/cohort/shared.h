/*
 * shared.h - what all shared objects have in common: where they are, who owns them, how they go
 * away.
 *
 * Locks, semaphores, conditions, events, barriers (sync.h), values, arrays, arenas, blocks, lists,
 * maps (data.h) and queues (queue.h) lie in memory that processes of one machine share.  Each is
 * opened at an address:
 *
 *   local:          a new one without a name: it ends with its last handle, and nothing can leak
 *   local:NAME      the one that this user has under NAME: attached, or made, as the option `open` says
 *   inherit:NAME    the one that this process's parent shared with it under NAME (cohort_share)
 *
 * A queue can be opened over a network too (queue.h); the others cannot yet: COHORT_ENOTSUP.
 *
 * A handle may be used by all threads of the process.  A child made by fork has all handles of its
 * parent; one that was started otherwise has those that are shared with it by name.  What a process
 * held when it died is given to whoever comes next, who is told; no object is ever stuck for it.
 *
 * Objects are shared within one pid namespace (their locks hold thread ids): from another one, as of a container beside,
 * they are COHORT_ENOTSUP; a queue can be reached through a server there.
 *
 * Who makes a named object owns it: closing that handle removes the name, and so does a sweep once
 * its maker is dead and nobody has it open.  Attaching and detaching destroy nothing.  NAME is 1 to
 * 255 bytes without '/', not "." or "..".
 */
#ifndef COHORT_SHARED_H
#define COHORT_SHARED_H

#include <cohort/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What to do about a name.  An object without one is always made. */
enum cohort_open {
	COHORT_OPEN_EITHER = 0, /* attach it, or make it when it is not there */
	COHORT_OPEN_CREATE,     /* make it: -EEXIST when it is there */
	COHORT_OPEN_ATTACH,     /* attach it: -ENOENT when it is not there */
};

/*
 * Remove NAME of this user, whoever made it; handles that are open work on.
 * Returns 0, -ENOENT, COHORT_ENAME.  Any thread.
 */
COHORT_API int cohort_shared_unlink(const char *name, struct cohort_error *err);

/*
 * Remove every named object of this user whose maker is dead and which nobody has open.  It also
 * happens by itself, whenever a named object is made.  Returns how many were removed, or -errno.
 * Any thread.
 */
COHORT_API int cohort_shared_sweep(void);

#ifdef __cplusplus
}
#endif
#endif
