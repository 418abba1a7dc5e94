/*
 * segment_priv.h - what the files of segment share: segment.c memory and checks, segment_named.c
 * names, segment_root.c the folder of this user, segment_sweep.c what the dead left.
 */
#ifndef COH_SYNC_SEGMENT_PRIV_H
#define COH_SYNC_SEGMENT_PRIV_H

#include "sync/segment.h"

#include <sys/stat.h>

/* ---- segment.c ---- */

/* Nothing is in it, and no descriptor is 0. */
#define COH_SEGMENT_NONE                                                                           \
	{                                                                                          \
		.mark = &coh_segment_unmarked, .fd = -1, .bell = { -1, -1 }                                                     \
	}

/* How long a file is that can be cut: SIZE bytes, room up to a multiple of 8, and the marks, which are 8 bytes. */
#define COH_SEGMENT_END(size) (((size) + 7) / 8 * 8 + COH_SEGMENT_MARKS * sizeof(uint32_t))

/* Write the marks of KIND at the end of FD, whose memory shall have SIZE bytes; 0 or -errno. */
int coh_segment_sign(int fd, uint32_t kind, size_t size);

/* What the field `check` of H should be. */
uint64_t coh_segment_sum(const struct coh_segment_header *h);

/*
 * S, whose file is open and as large as SPEC says, new: map it and fill in its header.  0 or a
 * code with a sentence.
 */
int coh_segment_begin(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err);

/* S, whose file is open, from somebody else: check it against SPEC and map it. */
int coh_segment_check_in(
    struct coh_segment *s, const struct coh_segment_spec *spec, struct cohort_error *err);

/* The header of FD as it lies in the file; false when it is no sound one. */
bool coh_segment_read(int fd, struct coh_segment_header *h);

/* Unmap, close, free; no name is touched.  *S holds nothing then. */
void coh_segment_drop(struct coh_segment *s);

/* The same, but S keeps its name: it is tried again. */
void coh_segment_drop_open(struct coh_segment *s);

/* ---- segment_named.c ---- */

/* NAME may be one: 0, or COHORT_ENAME. */
int coh_segment_name_check(const char *name, struct cohort_error *err);

/* Make S in the folder `making`; 0 or a code, nothing is left then. */
int coh_segment_make_named(struct coh_segment *s, const char *name,
    const struct coh_segment_spec *spec, struct cohort_error *err);

/*
 * Attach what NAME is: 0, -ENOENT (nothing is), -EBUSY (it is being swept), or a code with a
 * sentence.
 */
int coh_segment_attach_named(struct coh_segment *s, const char *name,
    const struct coh_segment_spec *spec, struct cohort_error *err);

/* Put S in its place: 0, -EEXIST, or a code with a sentence. */
int coh_segment_publish_named(struct coh_segment *s, struct cohort_error *err);

/* Remove what S, made here, has in the file system: its name, or what is unfinished.  Closes S. */
void coh_segment_end_named(struct coh_segment *s);

/* ---- segment_root.c: /dev/shm/cohort-UID, with the folders names and making ---- */

#define COH_SEGMENT_ROOT_TEXT 64  /* its path */
#define COH_SEGMENT_PATH 320      /* of anything below it: "names/", NAME_MAX, "/segment" */
#define COH_SEGMENT_UNFINISHED 64 /* a name in the folder making: PARTY-RANDOM in hexadecimal */

/*
 * Where others may have removed what was empty, again and again: each time means that somebody
 * got on.
 */
#define COH_SEGMENT_TRIES 1000

enum coh_segment_need { COH_SEGMENT_LOOK, COH_SEGMENT_MAKE };

/*
 * A descriptor of the root, which is this user's alone.  MAKE makes it, and its folders, where
 * they are not.  -ENOENT (LOOK: it is not there), -EAGAIN (MAKE: it was removed just then), or a
 * code with a sentence.
 */
int coh_segment_root_open(enum coh_segment_need need, struct cohort_error *err);

/* Remove the root and its folders if they are empty. */
void coh_segment_root_tidy(int root);

/* The name of something unfinished of this process: random, or with ID.  0 or -errno. */
int coh_segment_root_name(char out[COH_SEGMENT_UNFINISHED], const uint8_t id[16]);
int coh_segment_root_random(uint8_t id[16]);

/* Remove the folder making/NAME with what we put into such a folder; true when it is gone. */
bool coh_segment_root_clear(int root, const char *name);

/*
 * Take NAME away, if it is still the file WHICH (NULL: whatever it is).  0; -ENOENT: it is not,
 * or not there; -errno.
 */
int coh_segment_root_remove(int root, const char *name, const struct stat *which);

/* ---- segment_sweep.c ---- */

/* Now and then, when something is made. */
void coh_segment_sweep_sometimes(void);

#endif
