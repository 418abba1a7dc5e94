/*
 * proto.h - the bodies of the control frames between a pool and its members; pure.
 *
 * Each body is a tpl image of a format fixed here (PROTOCOL.md lists the fields).
 */
#ifndef COH_WORK_PROTO_H
#define COH_WORK_PROTO_H

#include "base/buf.h"

#include <cohort/error.h>
#include <stdint.h>

#define COH_PROTO_VERSION 1

/* HELLO, member to pool, the first frame of either. */
struct coh_hello {
	uint32_t version, pid, slots;
	uint64_t digest;      /* of the member's registry; 0: it has none of its own (an agent) */
	const char *name;     /* of the node; "" for a worker */
	struct coh_buf strings; /* unpacked: what the text lies in; coh_buf_fini it */
};

/* FAILED and ERROR. */
struct coh_failure {
	int32_t code;
	const char *text;
	struct coh_buf strings; /* as above */
};

/* JOB, pool to agent: which program to run, and what its workers run first. */
struct coh_job {
	uint32_t version, tasks, strikes;
	uint64_t digest;
	const char *registry;      /* as text */
	const char *program;       /* the path, as the coordinator sees it */
	const void *sha256;        /* 32 bytes */
	uint32_t has_setup, setup_number;
	const void *setup_args;
	size_t setup_size;
	struct coh_buf strings;    /* as above */
};

/* Append to OUT.  0, COHORT_ETOOBIG, -ENOMEM. */
int coh_hello_pack(const struct coh_hello *h, struct coh_buf *out);
int coh_failure_pack(const struct coh_failure *f, struct coh_buf *out);
int coh_job_pack(const struct coh_job *j, struct coh_buf *out);

/*
 * Out of BODY, which comes from a peer; bytes point into it, text into `strings`, which is to be
 * freed after a failure too.  COHORT_ECODEC, COHORT_EFORMAT,
 * COHORT_EVERSION (both versions are named).
 */
int coh_hello_unpack(struct coh_hello *h, const void *body, size_t size, struct cohort_error *err);
int coh_failure_unpack(
    struct coh_failure *f, const void *body, size_t size, struct cohort_error *err);
int coh_job_unpack(struct coh_job *j, const void *body, size_t size, struct cohort_error *err);

#endif
