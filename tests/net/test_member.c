/*
 * test_member.c - a node that holds the key and does wrong: the pool stays whole.
 *
 * The node is a process of this program that dials a listening pool and speaks the protocol by
 * hand, up to the one thing it does wrong.  (It is a process since nobody may dial himself.)
 */
#include "conn/conn_priv.h"
#include "contract/pool_fixture.h"
#include "work/proto.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))

enum sin { GARBAGE_RESULT, OTHER_FORMAT, UNKNOWN_ID, TWICE, UNKNOWN_TASK, OUT_OF_PHASE, NO_SLOTS, VERSION };

static int say(struct cohort_conn *c, struct coh_frame f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};

	coh_conn_put_frame(c, &f, &iov, size != 0, PATIENCE);
	return cohort_conn_flush(c, PATIENCE);
}

static int hear(struct cohort_conn *c, uint8_t type, struct coh_frame *f)
{
	const void *body;

	do {
		if (coh_conn_next_frame(c, f, &body, PATIENCE) != 0)
			return -EPIPE;
	} while (f->type != type);
	return 0;
}

static void hello(struct cohort_conn *c, uint32_t version)
{
	struct coh_hello h = {.version = version, .pid = 1, .slots = 1, .name = "wrong"};
	struct coh_buf body;

	coh_buf_init(&body, 4096);
	coh_hello_pack(&h, &body);
	say(c, (struct coh_frame){.type = COH_FRAME_HELLO}, coh_buf_peek(&body), coh_buf_len(&body));
	coh_buf_fini(&body);
}

/* A result of "square": 49, whatever was asked. */
static void result(struct cohort_conn *c, uint64_t id)
{
	struct coh_frame f = {.type = COH_FRAME_RESULT, .id = id, .channel = 1000, .flags = 77};
	struct cohort_message *m;
	const void *image;
	int64_t y = 49;
	size_t size;

	cohort_message_new(&m, "I", NULL);
	cohort_message_pack(m, 0, &y);
	cohort_message_image(m, &image, &size);
	say(c, f, image, size);
	cohort_message_free(m);
}

static void answer(struct cohort_conn *c, enum sin sin, uint64_t id)
{
	struct coh_frame f = {.type = COH_FRAME_RESULT, .id = id, .channel = 1000};
	struct coh_failure failure = {.code = COHORT_ENOTASK, .text = "no task 12345 here"};
	struct coh_buf body;

	coh_buf_init(&body, 4096);
	if (sin == GARBAGE_RESULT)
		say(c, f, "tpl\0\1\2\3\4 garbage", 16);
	else if (sin == OTHER_FORMAT && coh_failure_pack(&failure, &body) == 0)
		say(c, f, coh_buf_peek(&body), coh_buf_len(&body));
	else if (sin == UNKNOWN_TASK && coh_failure_pack(&failure, &body) == 0) {
		f.type = COH_FRAME_ERROR;
		say(c, f, coh_buf_peek(&body), coh_buf_len(&body));
	} else if (sin == UNKNOWN_ID || sin == TWICE) {
		result(c, sin == TWICE ? id : id + 1);
		result(c, id);
	} else
		say(c, (struct coh_frame){.type = COH_FRAME_JOB}, "x", 1);
	coh_buf_fini(&body);
}

static int wrong_node(struct cohort_call *call)
{
	struct cohort_net_options o = {0};
	struct cohort_conn *c;
	const char *address;
	struct coh_frame f;
	int32_t sin;

	cohort_call_args(call, &address, &o.key_file, &sin);
	if (cohort_dial(&c, address, &o, PATIENCE, NULL) != 0)
		return 1;
	coh_conn_set_phase(c, COH_PHASE_MEMBER);
	hello(c, sin == VERSION ? 9 : COH_PROTO_VERSION);
	if (hear(c, COH_FRAME_JOB, &f) == 0) {
		say(c, (struct coh_frame){.type = COH_FRAME_READY, .id = sin != NO_SLOTS}, NULL, 0);
		while (hear(c, COH_FRAME_TASK, &f) == 0)
			answer(c, (enum sin)sin, f.id);
	}
	cohort_conn_close(c);
	return 0;
}
COHORT_TASK(wrong_node, "ssi", "");

struct scene {
	struct cohort_pool *pool;
	struct cohort_process *node;
};

static void scene_begin(struct scene *s, int32_t sin)
{
	struct cohort_pool_options o = {0};
	const char *address;

	pool_program();
	o.key_file = pool_key();
	REQUIRE_EQ(cohort_pool_open(&s->pool, "listen:tcp://127.0.0.1:0", &o, NULL), 0);
	address = cohort_pool_address(s->pool);
	REQUIRE_EQ(cohort_process_start(
		       &s->node, NULL, NULL, "wrong_node", &address, &o.key_file, &sin),
	    0);
}

static void scene_end(struct scene *s)
{
	pool_end(s->pool);
	CHECK_EQ(cohort_process_join(s->node, PATIENCE), 0);
	cohort_process_free(s->node);
}

/* What comes of one task when the node commits SIN. */
static int outcome(int32_t sin, struct cohort_error *err)
{
	struct scene s;
	int32_t x = 7;
	int64_t y = 0;
	int rc;

	scene_begin(&s, sin);
	rc = cohort_pool_apply(s.pool, PATIENCE, err, "square", &x, &y);
	if (rc == 0)
		CHECK_EQ(y, 49);
	/* the pool and the connection live on */
	CHECK_EQ(cohort_pool_apply(s.pool, PATIENCE, NULL, "square", &x, &y), rc);
	CHECK_EQ(pool_stats(s.pool).deaths, 0);
	scene_end(&s);
	return rc;
}

TEST(member, a_result_that_cannot_be_decoded_is_that_futures_error)
{
	struct cohort_error err;

	CHECK_EQ(outcome(GARBAGE_RESULT, &err), COHORT_ERESULT);
	CHECK_HAS(err.text, "square");
	CHECK_HAS(err.text, "127.0.0.1");
}

TEST(member, a_result_of_another_format_is_that_futures_error)
{
	struct cohort_error err;

	CHECK_EQ(outcome(OTHER_FORMAT, &err), COHORT_ERESULT);
	CHECK_HAS(err.text, "\"I\"");
}

TEST(member, a_task_unknown_there_is_that_futures_error)
{
	struct cohort_error err;

	CHECK_EQ(outcome(UNKNOWN_TASK, &err), COHORT_ENOTASK);
	CHECK_HAS(err.text, "12345");
}

TEST(member, answers_to_nothing_and_second_answers_are_dropped)
{
	struct cohort_error err;

	CHECK_EQ(outcome(UNKNOWN_ID, &err), 0);
	CHECK_EQ(outcome(TWICE, &err), 0);
}

/* The pool must cut the node off; it goes on waiting for others. */
static void cut_off(int32_t sin)
{
	struct scene s;
	struct cohort_future *f;
	int32_t x = 7;
	int code = -1;

	scene_begin(&s, sin);
	REQUIRE_EQ(cohort_pool_submit(s.pool, &f, NULL, "square", &x), 0);
	CHECK_EQ(cohort_process_join(s.node, PATIENCE), 0); /* the connection ended */
	CHECK_EQ(cohort_process_exit_code(s.node, &code), 0);
	CHECK_EQ(code, 0);
	CHECK_EQ(cohort_future_done(f), 0);
	CHECK_EQ(pool_stats(s.pool).members, 0);
	cohort_future_free(f);
	scene_end(&s);
}

TEST(member, a_frame_out_of_phase_ends_the_connection)
{
	cut_off(OUT_OF_PHASE);
}

TEST(member, a_node_without_slots_is_cut_off)
{
	cut_off(NO_SLOTS);
}

TEST(member, a_node_of_another_version_is_cut_off)
{
	cut_off(VERSION);
}
