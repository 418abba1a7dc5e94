/*
 * test_proto.c - the control bodies between a pool and its members: there and back, and refused.
 */
#include "support/test.h"
#include "work/proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

TEST(proto, a_hello_comes_back_as_it_went)
{
	struct coh_hello h = {.version = COH_PROTO_VERSION,
	    .pid = 4711,
	    .slots = 8,
	    .digest = UINT64_MAX - 1,
	    .name = "node-7"};
	struct coh_hello back;
	struct coh_buf out;

	coh_buf_init(&out, 4096);
	REQUIRE_EQ(coh_hello_pack(&h, &out), 0);
	REQUIRE_EQ(coh_hello_unpack(&back, coh_buf_peek(&out), coh_buf_len(&out), NULL), 0);
	CHECK_EQ(back.pid, 4711);
	CHECK_EQ(back.slots, 8);
	CHECK(back.digest == UINT64_MAX - 1);
	CHECK_STR(back.name, "node-7");
	coh_buf_fini(&back.strings);
	coh_buf_fini(&out);
}

TEST(proto, another_version_is_refused_naming_both)
{
	struct coh_hello h = {.version = 9, .name = ""}, back;
	struct cohort_error err;
	struct coh_buf out;

	coh_buf_init(&out, 4096);
	REQUIRE_EQ(coh_hello_pack(&h, &out), 0);
	CHECK_EQ(coh_hello_unpack(&back, coh_buf_peek(&out), coh_buf_len(&out), &err),
	    COHORT_EVERSION);
	CHECK_HAS(err.text, "version 9");
	CHECK_HAS(err.text, "version 1");
	coh_buf_fini(&back.strings);
	coh_buf_fini(&out);
}

static int job(struct coh_job *j, struct cohort_error *err)
{
	static const unsigned char sum[32] = {1, 2, 3};
	struct coh_job back;
	struct coh_buf out;
	int rc;

	j->version = COH_PROTO_VERSION;
	j->registry = "a\ti\ti\n";
	j->program = "/bin/prog";
	j->sha256 = sum;
	j->setup_args = "xyz";
	j->setup_size = 3;
	coh_buf_init(&out, 4096);
	REQUIRE_EQ(coh_job_pack(j, &out), 0);
	rc = coh_job_unpack(&back, coh_buf_peek(&out), coh_buf_len(&out), err);
	if (rc == 0) {
		CHECK_STR(back.program, "/bin/prog");
		CHECK_STR(back.registry, "a\ti\ti\n");
		CHECK_MEM(back.sha256, sum, 32);
		CHECK_MEM(back.setup_args, "xyz", 3);
	}
	coh_buf_fini(&back.strings);
	coh_buf_fini(&out);
	return rc;
}

TEST(proto, a_job_is_taken_only_within_its_ranges)
{
	struct cohort_error err;

	CHECK_EQ(job(&(struct coh_job){.tasks = 3, .strikes = 3}, NULL), 0);
	CHECK_EQ(job(&(struct coh_job){.tasks = 3, .strikes = 0}, &err), COHORT_EPROTOCOL);
	CHECK_EQ(job(&(struct coh_job){.tasks = 3, .strikes = 256}, &err), COHORT_EPROTOCOL);
	CHECK_EQ(job(&(struct coh_job){.tasks = 65536, .strikes = 3}, &err), COHORT_EPROTOCOL);
	CHECK_EQ(job(&(struct coh_job){.tasks = 1, .strikes = 3, .setup_number = 70000}, &err),
	    COHORT_EPROTOCOL);
}

TEST(proto, a_failure_without_a_negative_code_is_none)
{
	struct coh_failure f = {.code = 5, .text = "five"}, back;
	struct cohort_error err;
	struct coh_buf out;

	coh_buf_init(&out, 4096);
	REQUIRE_EQ(coh_failure_pack(&f, &out), 0);
	CHECK_EQ(coh_failure_unpack(&back, coh_buf_peek(&out), coh_buf_len(&out), &err),
	    COHORT_EPROTOCOL);
	coh_buf_fini(&back.strings);
	coh_buf_fini(&out);
}

TEST(proto, what_is_cut_short_anywhere_is_refused)
{
	struct coh_hello h = {.version = COH_PROTO_VERSION, .name = "n"}, back;
	struct coh_buf out;

	coh_buf_init(&out, 4096);
	REQUIRE_EQ(coh_hello_pack(&h, &out), 0);
	for (size_t n = 0; n < coh_buf_len(&out); n++) {
		void *part = malloc(n != 0 ? n : 1); /* exactly: the sanitizer sees a step too far */

		memcpy(part, coh_buf_peek(&out), n);
		CHECK(coh_hello_unpack(&back, part, n, NULL) < 0);
		coh_buf_fini(&back.strings);
		free(part);
	}
	coh_buf_fini(&out);
}

static int there_and_back(void *arg)
{
	struct coh_failure f = {.code = -1, .text = "a sentence"}, back;
	struct coh_buf out;
	int rc;

	(void)arg;
	coh_buf_init(&out, 4096);
	rc = coh_failure_pack(&f, &out);
	if (rc == 0) {
		rc = coh_failure_unpack(&back, coh_buf_peek(&out), coh_buf_len(&out), NULL);
		coh_buf_fini(&back.strings);
	}
	coh_buf_fini(&out);
	return rc;
}

TEST(proto, every_allocation_may_fail)
{
	test_every_allocation(there_and_back, NULL);
}
