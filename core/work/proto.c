/*
 * proto.c - control bodies to bytes and back.
 *
 * The formats are literals of this file, never what a peer says; every body is checked in full
 * before a field is read.
 */
#include "work/proto.h"

#include "base/err.h"
#include "wire/codec.h"

#include <errno.h>
#include <stdarg.h>

#define HELLO_FORMAT "uuuUs"
#define FAILURE_FORMAT "is"
#define JOB_FORMAT "uuuUssBuuB"
#define SHA256_SIZE 32

static int pack(struct coh_buf *out, const char *format, ...)
{
	const struct coh_format *f = coh_format_get(format, NULL);
	va_list ap;
	int rc;

	if (f == NULL)
		return -ENOMEM;
	va_start(ap, format);
	rc = coh_codec_pack(f, out, ap);
	va_end(ap);
	return rc;
}

struct body {
	const void *data;
	size_t size;
	struct coh_buf *strings;
};

static int unpack(const struct body *body, struct cohort_error *err, const char *format, ...)
{
	const struct coh_format *f = coh_format_get(format, err);
	va_list ap;
	int rc;

	if (f == NULL)
		return -ENOMEM;
	rc = coh_codec_check(f, body->data, body->size, err);
	if (rc != 0)
		return rc;
	va_start(ap, format);
	coh_buf_init(body->strings, COHORT_MESSAGE_MAX);
	rc = coh_codec_unpack(f, body->data, body->strings, ap);
	va_end(ap);
	return rc;
}

static int version_check(uint32_t version, struct cohort_error *err)
{
	if (version == COH_PROTO_VERSION)
		return 0;
	return coh_fail(err, COHORT_EVERSION,
	    "the peer speaks version %u of the pool protocol, this side version %u", version,
	    COH_PROTO_VERSION);
}

static const char *text_or_empty(const char *s)
{
	return s != NULL ? s : "";
}

int coh_hello_pack(const struct coh_hello *h, struct coh_buf *out)
{
	return pack(out, HELLO_FORMAT, &h->version, &h->pid, &h->slots, &h->digest, &h->name);
}

int coh_hello_unpack(struct coh_hello *h, const void *body, size_t size, struct cohort_error *err)
{
	struct body b = {body, size, &h->strings};
	int rc;

	*h = (struct coh_hello){0};
	rc = unpack(
	    &b, err, HELLO_FORMAT, &h->version, &h->pid, &h->slots, &h->digest, &h->name);

	if (rc != 0)
		return rc;
	h->name = text_or_empty(h->name);
	return version_check(h->version, err);
}

int coh_failure_pack(const struct coh_failure *f, struct coh_buf *out)
{
	return pack(out, FAILURE_FORMAT, &f->code, &f->text);
}

int coh_failure_unpack(
    struct coh_failure *f, const void *body, size_t size, struct cohort_error *err)
{
	struct body b = {body, size, &f->strings};
	int rc;

	*f = (struct coh_failure){0};
	rc = unpack(&b, err, FAILURE_FORMAT, &f->code, &f->text);

	if (rc != 0)
		return rc;
	f->text = text_or_empty(f->text);
	if (f->code < 0)
		return 0;
	return coh_fail(err, COHORT_EPROTOCOL, "the peer reports a failure with code %d, which is none",
	    f->code);
}

int coh_job_pack(const struct coh_job *j, struct coh_buf *out)
{
	struct cohort_bytes sha = {j->sha256, SHA256_SIZE};
	struct cohort_bytes args = {j->setup_args, j->setup_size};

	return pack(out, JOB_FORMAT, &j->version, &j->tasks, &j->strikes, &j->digest, &j->registry,
	    &j->program, &sha, &j->has_setup, &j->setup_number, &args);
}

int coh_job_unpack(struct coh_job *j, const void *body, size_t size, struct cohort_error *err)
{
	struct cohort_bytes sha, args;
	struct body b = {body, size, &j->strings};
	int rc;

	*j = (struct coh_job){0};
	rc = unpack(&b, err, JOB_FORMAT, &j->version, &j->tasks, &j->strikes, &j->digest,
	    &j->registry, &j->program, &sha, &j->has_setup, &j->setup_number, &args);

	if (rc != 0)
		return rc;
	j->registry = text_or_empty(j->registry);
	j->program = text_or_empty(j->program);
	j->sha256 = sha.data;
	j->setup_args = args.data;
	j->setup_size = args.size;
	if (sha.size != SHA256_SIZE || j->strikes < 1 || j->strikes > 255 || j->tasks > 65535 ||
	    j->setup_number >= 65536)
		return coh_fail(err, COHORT_EPROTOCOL, "the peer's job is out of range");
	return version_check(j->version, err);
}
