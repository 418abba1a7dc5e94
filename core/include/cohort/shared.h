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
 * held when it died, or became another program (exec), is given to whoever comes next, who is told; no object is ever stuck for it.
 *
 * Objects are shared within one pid namespace (their locks hold thread ids): from another one, as of a container beside,
 * they are COHORT_ENOTSUP; a queue can be reached through a server there.
 *
 * A call with a handle that was closed returns COHORT_ECLOSED, or 0 or NULL where it can only give a count or a pointer, and to close it
 * once more does nothing; that holds for the last 256 handles that the process closed.  A handle closed before them, or closed by one
 * thread while another is in a call with it, is a pointer to freed memory.
 *
 * A named object is a file below /dev/shm, and a program of its user can cut it short under those who have it open.  Then every
 * call on it, and within a second each that sleeps in one, returns COHORT_ESEGMENT; calls that can only give a count or a pointer
 * give 0 or NULL (cohort_shared_check tells).  The call in the middle of which it happens may also succeed, to no effect.
 * Pointers into it (data.h) stay good, and lead to zeroes of this process's own, also after it is closed.  Close it, remove
 * its name, and make it anew.  A lock that a thread took before one which was cut under it is told of as one of the dead's, once the thread
 * ends, only to who waits for it.
 *
 * For that, opening a named object installs a handler of SIGBUS, the first time and whenever the default is in place again; a
 * program without named objects has none.  What is no named object's goes to the handler that was there, or ends
 * the process as it would have.  A program that installs its own later passes on to ours what is not its own (it is the one that
 * sigaction(2) gives back).  A thread that blocks SIGBUS is killed with its process where a cut object
 * would have been an error.  A forked child has the handler; exec ends it, as it ends the objects.  A system call that is given
 * memory of an object that was cut fails with EFAULT.
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

/*
 * What to do about a name.  What the address cannot offer is COHORT_ENOTSUP: "local:" is always made, as there is nothing by which
 * another could find it, and what is inherited was made by the parent.
 */
enum cohort_open {
	COHORT_OPEN_EITHER = 0, /* attach it, or make it when it is not there */
	COHORT_OPEN_CREATE,     /* make it: -EEXIST when it is there; not of inherit:NAME */
	COHORT_OPEN_ATTACH,     /* attach it: -ENOENT when it is not there; not of "local:" */
};

/*
 * Remove NAME of this user, whoever made it; handles that are open work on.
 * Returns 0, -ENOENT, COHORT_ENAME.  Any thread.
 */
COHORT_API int cohort_shared_unlink(const char *name, struct cohort_error *err);

/*
 * The memory of OBJECT, a handle of any kind, is all there.  A named object is a file, which its user, or a program of his,
 * can cut short; nobody can do that to one without a name.  The calls of a cut object return COHORT_ESEGMENT, and those that
 * can only give a count or a pointer 0 or NULL; here is the sentence: which object, what there is, what there should be, what to do.
 * Returns 0, COHORT_ESEGMENT, COHORT_EARGUMENT (no open handle).  Any thread.
 */
COHORT_API int cohort_shared_check(const void *object, struct cohort_error *err);

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
