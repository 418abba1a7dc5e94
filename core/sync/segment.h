/*
 * segment.h - a piece of memory that processes share: made, named, attached, handed on, swept away.
 *
 * Every shared object is one segment: a header, then the object.  Anonymous ones are memory files
 * (memfd), sealed against any change of size, known by their descriptor alone: nothing can leak.
 * Named ones are folders /dev/shm/cohort-UID/names/NAME/ with a file `segment` and the object's
 * bells: made in /dev/shm/cohort-UID/making/ and put in place by one rename, so that whoever
 * finds a name finds a finished object; taken away by one rename back.  Everyone who has one open
 * holds a shared flock(2) on it, which ends with the process: what nobody holds and whose maker
 * is dead is swept away, and is as good as swept for who wants to attach it. The one who made it
 * owns it: detaching the maker's handle removes the name, attaching and detaching never do. A
 * name lives on while others have it open after its maker died.
 *
 * Shared memory holds offsets, never addresses.  Pages are reserved when a segment is made
 * (-ENOSPC there, never a SIGBUS later), but for a sparse tail, whose user reserves them piece by
 * piece (os/shm.h).  The file of a named one can be cut short by who has our rights: cut.h.
 */
#ifndef COH_SYNC_SEGMENT_H
#define COH_SYNC_SEGMENT_H

#include <cohort/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COH_SEGMENT_MAGIC UINT64_C(0x31676573746f6843) /* "Chotseg1" */
#define COH_SEGMENT_VERSION 3
#define COH_SEGMENT_NAME_MAX 255 /* bytes: what a file system takes (NAME_MAX) */
#define COH_SEGMENT_BELLS 2

/* What lies in a segment.  Adding one?  Also: its word in segment.c. */
enum coh_segment_kind {
	COH_SEGMENT_LOCK = 1,
	COH_SEGMENT_SEMAPHORE,
	COH_SEGMENT_CONDITION,
	COH_SEGMENT_EVENT,
	COH_SEGMENT_BARRIER,
	COH_SEGMENT_RWLOCK,
	COH_SEGMENT_VALUE,
	COH_SEGMENT_ARRAY,
	COH_SEGMENT_ARENA,
	COH_SEGMENT_MEMORY,
	COH_SEGMENT_LIST,
	COH_SEGMENT_MAP,
	COH_SEGMENT_QUEUE,
	COH_SEGMENT_KINDS,
};

/*
 * Which words mark a segment of KIND as whole: that of the lock which values and arrays have inside, then its own.  They stand at
 * the end of a file that can be cut, where no cut leaves them; else in the header.  They are what handles begin with (shared.h).
 */
#define COH_SEGMENT_MARK(kind) (0x53480000u | (uint32_t)(kind)) /* "SH" */
#define COH_SEGMENT_MARKS 2

/* The first bytes of every segment. */
struct coh_segment_header {
	uint64_t magic;
	uint32_t version, kind;
	uint64_t size;  /* of the whole file: sparse tail, and marks at the end, included */
	uint64_t owner; /* party.h: who made it */
	uint8_t id[16]; /* random: two handles of one segment are known by it */
	uint64_t detail; /* for the object: what it is beyond its kind; as it is when published */
	uint64_t space;  /* party.h: where its maker's pids, and the thread ids in its locks, mean something */
	uint32_t mark[COH_SEGMENT_MARKS];
	uint64_t spare[6];
	uint64_t check;  /* over all of the above, by coh_segment_publish */
};

/* How an object is opened: what the scheme of its address, and the option `open`, say. */
enum coh_segment_open {
	COH_SEGMENT_EITHER = 0, /* attach, or make it when it is not there */
	COH_SEGMENT_CREATE,     /* make it: -EEXIST when it is there */
	COH_SEGMENT_ATTACH,     /* -ENOENT when it is not there */
};

struct coh_segment {
	struct coh_segment_header *header; /* mapped: SIZE bytes, and marks */
	size_t size;
	const uint32_t *mark;      /* COH_SEGMENT_MARK(KIND) as long as all of it is there; never NULL once opened, nor when closed */
	size_t mapped; /* bytes in all */
	uint32_t kind;
	int fd;
	int bell[COH_SEGMENT_BELLS]; /* readable descriptors (bell.h), or -1 */
	bool owner;                  /* this handle made it: its name goes with it */
	bool published;
	enum coh_segment_open how;   /* as it was opened */
	uint64_t party;              /* who has this handle: not its forked children */
	unsigned life;               /* inherit.h: in which its descriptors are open */
	uint8_t id[16];              /* as in the header */
	char *name;                  /* NULL: anonymous */
};

/*
 * What to make, or what is expected where one is attached.  LEAST lets one attach what was made
 * smaller.
 */
struct coh_segment_spec {
	enum coh_segment_kind kind;
	size_t size;      /* in bytes, header included; of a sparse one: pages reserved at once */
	size_t tail;      /* sparse bytes behind them */
	size_t least;     /* of one that is attached, sparse tail included; 0: SIZE */
	int bells;        /* 0 to COH_SEGMENT_BELLS */
	const char *what; /* "queue": for sentences */
};

/*
 * Open the segment at ADDRESS: "local:" makes an anonymous one, "local:NAME" makes or attaches
 * the one of this user under NAME, as HOW says, "inherit:NAME" is the one a parent shared under
 * NAME (process.h, pool.h).  *MADE: it is new, all zero behind its header, and nobody else sees
 * it before coh_segment_publish.  An attached one was checked: magic, version, kind, size (of the
 * file and in the header), owner's uid.  Gives *S.
 *
 * A segment is for the processes of one pid namespace, since its locks hold thread ids: COHORT_ENOTSUP from another.
 *
 * 0; COHORT_EADDRESS; COHORT_ENOTSUP (local: attached, inherit: made); COHORT_ENAME (empty, over 255 bytes, with '/', "." or ".."); -EEXIST;
 * -ENOENT (the sentence says which name, and what to do); COHORT_ESEGMENT (it is no segment, of
 * another version, kind or size: got and wanted); -EACCES (another user's); -ENOSPC; -EFBIG
 * (RLIMIT_FSIZE); -EMFILE; -ENOMEM; -EBUSY (the name is being swept away by a process that does
 * not get on).  On failure *S holds nothing, and nothing is left behind.
 */
int coh_segment_open(struct coh_segment *s, const char *address, enum coh_segment_open how,
    const struct coh_segment_spec *spec, bool *made, struct cohort_error *err);

/*
 * A segment that was made is complete (named or not; nothing in its header changes any more): let
 * others see it. 0; -EEXIST: another was quicker.  Under EITHER S is now that one, attached, and
 * what you wrote is gone; under CREATE, as after any other error, S is as it was: close it.  One
 * that is closed unpublished was never there.
 */
int coh_segment_publish(struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err);

/*
 * Attach what came as descriptors: FDS[0] the memory, then its bells (N in all).  Takes them on
 * success.  Errors as coh_segment_open.
 */
int coh_segment_adopt(struct coh_segment *s, const int *fds, int n,
    const struct coh_segment_spec *spec, struct cohort_error *err);

/*
 * The descriptors that another process needs to adopt S, borrowed: into FDS (room for 1 +
 * COH_SEGMENT_BELLS); how many.
 */
int coh_segment_fds(const struct coh_segment *s, int *fds);

/* What a segment of KIND is called: "queue". */
const char *coh_segment_word(uint32_t kind);

/*
 * All of it is there (a named one can be cut): 0, or COHORT_ESEGMENT with a sentence: which object, the bytes there are and
 * those there should be, what to do.
 */
int coh_segment_check(const struct coh_segment *s, struct cohort_error *err);

/* What `mark` leads to of a segment that was closed: no mark. */
extern const uint32_t coh_segment_unmarked;

/*
 * Unmap and close; the maker's handle removes the name (of the object it made, and of no other
 * that has the name by now).  In a forked child it only unmaps and closes.  A zeroed struct is
 * fine.
 */
void coh_segment_close(struct coh_segment *s);

/*
 * Remove the name NAME of this user, whoever made it: who has it open keeps it.  0, -ENOENT,
 * COHORT_ENAME.
 */
int coh_segment_unlink(const char *name, struct cohort_error *err);

/*
 * Remove all named objects of this user whose maker is dead and that nobody has open, and what
 * makers left unfinished; how many, or -errno.  Making a named object does it too, once a second
 * at most.
 */
int coh_segment_sweep(void);

#endif
