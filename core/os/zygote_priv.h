/*
 * zygote_priv.h - what a program and its zygote say to each other.
 *
 * Over a SEQPACKET pair between two halves of one image, so plain structs travel.  The
 * program sends requests; the zygote answers each with one ANSWER, always before any END of
 * that child, and sends one END for each child that ended.
 */
#ifndef COH_OS_ZYGOTE_PRIV_H
#define COH_OS_ZYGOTE_PRIV_H

#include "os/proc.h"

#include <stdint.h>

/*
 * A heritage up to this size travels in the request itself, a larger one in a memory file.
 * Well below the 208 KiB a Unix socket takes by default.
 */
#define COH_ZYGOTE_INLINE ((size_t)64 << 10)

enum coh_zygote_op {
	COH_ZYGOTE_START = 1,
	COH_ZYGOTE_KILL, /* SIGKILL to child `pid`, unless it was reaped */
};

/*
 * After it come SIZE bytes of heritage, or none and a memory file with them.  Descriptors:
 * the heritage's, then the write end of the report pipe, then the memory file.
 */
struct coh_zygote_request {
	uint32_t op;
	uint32_t number; /* repeated in the answer */
	uint32_t size;
	uint32_t fds;    /* of the heritage alone */
	uint32_t report; /* 1: a pipe that takes the errno of a failed exec */
	uint32_t file;   /* 1: the heritage is in a memory file */
	int32_t pid;
};

enum coh_zygote_word { COH_ZYGOTE_ANSWER = 1, COH_ZYGOTE_END };

struct coh_zygote_reply {
	uint32_t word;
	uint32_t number; /* ANSWER: of the request */
	int32_t pid;
	int32_t value;   /* ANSWER: 0 or -errno; END: the exit code */
};

/* The zygote's whole life; ends with _exit. */
_Noreturn void coh_zygote_main(int control, int parent, coh_child_fn fn);

#endif
