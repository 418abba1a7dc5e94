/*
 * heritage.h - everything a child inherits, in one struct.
 *
 * Whatever the start method, a child gets this and nothing else: its role, who it is, what
 * it is to run, and the descriptors named here.  Standard input is /dev/null, standard
 * output and error are the parent's, every other descriptor is closed.
 *
 * As bytes it is what the zygote is sent and what an exec'd child reads from a memory file;
 * the descriptors travel beside the bytes and are numbered again on arrival.
 * Not thread-safe; no state.
 */
#ifndef COH_OS_HERITAGE_H
#define COH_OS_HERITAGE_H

#include "base/buf.h"

#include <cohort/process.h>
#include <stdbool.h>

/* What a child lives as.  Adding one?  Also: a row in the table of work/init.c. */
enum coh_role {
	COH_ROLE_PROCESS = 1, /* work/process.c: runs one task, ends with its exit code */
	COH_ROLE_WORKER = 2,  /* work/worker.c: serves a pool over its connection */
};

/* The descriptors a child may be given; -1 where it is not. */
enum coh_heritage_fd {
	COH_HERITAGE_CONN,    /* connected stream socket to the parent */
	COH_HERITAGE_STATUS,  /* memory file shared with the parent, for the role's use */
	COH_HERITAGE_PROGRAM, /* executable to run instead of this program; START_SPAWN only */
	COH_HERITAGE_FDS,
};

#define COH_HERITAGE_NAME 128 /* longest name of a process or task in bytes */

/*
 * Shared objects that a child is given, each a name (base/name.h) and its descriptors; what they
 * are is not known here.
 */
#define COH_HERITAGE_SHARES 32
#define COH_HERITAGE_SHARE_FDS 3 /* memory, and two bells (sync/segment.h) */

struct coh_heritage_share {
	const char *name;
	int n;
	int fd[COH_HERITAGE_SHARE_FDS];
};

/* The most descriptors a child is given. */
#define COH_HERITAGE_ALL_FDS (COH_HERITAGE_FDS + COH_HERITAGE_SHARES * COH_HERITAGE_SHARE_FDS)

/* Designate what you need, and start from COH_HERITAGE_INIT so that no descriptor is 0. */
struct coh_heritage {
	enum coh_role role;
	enum cohort_start start;
	bool daemon;            /* may have no children */
	int log_level;          /* as coh_log_level() */
	int parent;             /* pid of the process that asks for the child */
	const char *name;       /* of the process, as in logs */
	const char *task;       /* "" where the role has none */
	const void *args;       /* tpl image of the task's arguments */
	size_t args_size;
	const void *work;       /* for the role; opaque here */
	size_t work_size;
	int fd[COH_HERITAGE_FDS];
	int shares;
	struct coh_heritage_share share[COH_HERITAGE_SHARES];
};

#define COH_HERITAGE_INIT                                                                   \
	{                                                                                   \
		.role = COH_ROLE_PROCESS, .name = "", .task = "", .fd = { -1, -1, -1 }      \
	}

/* The most bytes a heritage has: the largest arguments, and room for the rest. */
#define COH_HERITAGE_MAX (COHORT_MESSAGE_MAX + ((size_t)1 << 20))

/*
 * Append the bytes of H to OUT and its descriptors (borrowed) to FDS; *NFDS says how many. 0,
 * COHORT_EARGUMENT (a name is too long, or the shares are out of their bounds), COHORT_ETOOBIG,
 * -ENOMEM.
 */
int coh_heritage_encode(const struct coh_heritage *h, struct coh_buf *out,
    int fds[COH_HERITAGE_ALL_FDS], int *nfds);

/* All descriptors of H, borrowed, into FDS; how many. */
int coh_heritage_fds(const struct coh_heritage *h, int fds[COH_HERITAGE_ALL_FDS]);

/*
 * Read H out of SIZE bytes at DATA and the NFDS descriptors that came with them.  H lends
 * from DATA.  0, or COHORT_EPROTOCOL when anything at all is out of order; H is then not set.
 */
int coh_heritage_decode(struct coh_heritage *h, const void *data, size_t size, const int *fds,
    int nfds);

#endif
