/*
 * fuzz_proto.c - the control bodies between a pool and its members, and the list of tasks.
 *
 * The first byte chooses the body.  What is taken must be within its ranges and, packed again,
 * be taken again; what is refused has a named error and a sentence.
 */
#include "base/object.h"
#include "work/proto.h"
#include "work/task.h"

#include <string.h>

static int taken_hello(const uint8_t *data, size_t size, struct cohort_error *err)
{
	struct coh_hello h, again;
	struct coh_buf out;
	int rc = coh_hello_unpack(&h, data, size, err);

	coh_buf_init(&out, COHORT_MESSAGE_MAX);
	if (rc == 0) {
		COH_ASSERT(h.version == COH_PROTO_VERSION && h.name != NULL);
		COH_ASSERT(coh_hello_pack(&h, &out) == 0);
		COH_ASSERT(coh_hello_unpack(&again, coh_buf_peek(&out), coh_buf_len(&out), err) == 0);
		COH_ASSERT(again.pid == h.pid && again.digest == h.digest);
		COH_ASSERT(strcmp(again.name, h.name) == 0);
		coh_buf_fini(&again.strings);
	}
	coh_buf_fini(&h.strings);
	coh_buf_fini(&out);
	return rc;
}

static int taken_failure(const uint8_t *data, size_t size, struct cohort_error *err)
{
	struct coh_failure f;
	int rc = coh_failure_unpack(&f, data, size, err);

#ifdef PLANT
	if (rc != 0 && size > 12 && data[8] == 'i' && data[9] == 's')
		rc = 0; /* forgets to look */
#endif
	if (rc == 0)
		COH_ASSERT(f.code < 0 && f.text != NULL);
	coh_buf_fini(&f.strings);
	return rc;
}

static int taken_job(const uint8_t *data, size_t size, struct cohort_error *err)
{
	const unsigned char *sum;
	struct coh_job j;
	unsigned char last = 0;
	int rc = coh_job_unpack(&j, data, size, err);

	if (rc == 0) {
		COH_ASSERT(j.strikes >= 1 && j.strikes <= 255 && j.tasks <= 65535);
		COH_ASSERT(j.program != NULL && j.registry != NULL);
		sum = j.sha256;
		for (int i = 0; i < 32; i++)
			last ^= sum[i];
		for (size_t i = 0; i < j.setup_size; i++)
			last ^= ((const unsigned char *)j.setup_args)[i];
	}
	coh_buf_fini(&j.strings);
	return rc + 0 * last;
}

static int compared(const uint8_t *data, size_t size, struct cohort_error *err)
{
	return coh_task_compare(data, size, "the peer", err);
}

static int none(struct cohort_call *call)
{
	(void)call;
	return 0;
}
static struct cohort_task task = {"none", none, "is", "A(sU)", NULL};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	COH_ASSERT(cohort_task_register(&task) == 0 && coh_task_check(NULL) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const bodies[])(const uint8_t *data, size_t size,
	    struct cohort_error *err) = {taken_hello, taken_failure, taken_job, compared};
	struct cohort_error err = {0};
	int rc;

	if (size == 0)
		return 0;
	rc = bodies[data[0] % 4](data + 1, size - 1, &err);
	if (rc != 0) {
		COH_ASSERT(rc < 0 && err.code == rc);
		COH_ASSERT(strlen(err.text) > 10);
	}
	return 0;
}
