/*
 * test_triples.c - every type of frame in every state of both ends of a pool on nodes.
 *
 * What each state takes is listed here, from PROTOCOL.md; everything else must end the connection
 * without an answer.  (Which types may come in which phase of a connection at all, and in which state
 * of the handshake, is for test_frame.c and test_handshake_bytes.c.)
 *
 * An agent is the real command; a pool is visited by a process of its own, since nobody may dial himself.
 */
#include "base/buf.h"
#include "conn/conn_priv.h"
#include "contract/pool_fixture.h"
#include "node/program.h"
#include "work/proto.h"
#include "work/task.h"

#include <cohort/cohort.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))
#define TYPES 256

/* What the connection itself answers or takes, whatever the state: PING to BLOCK_BACK. */
static bool is_the_connections(int type)
{
	return type >= 0x12 && type <= 0x1f;
}

static int say(struct cohort_conn *c, struct coh_frame f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};

	coh_conn_put_frame(c, &f, &iov, size != 0, PATIENCE);
	return cohort_conn_flush(c, PATIENCE);
}

/* The type of the next frame; 0 when the connection has ended. */
static int hear(struct cohort_conn *c)
{
	const void *body;
	struct coh_frame f;
	int rc = coh_conn_next_frame(c, &f, &body, PATIENCE);

	return rc == 0 ? f.type : rc == COHORT_ETIMEDOUT ? -1 : 0;
}

/* Connected to ADDRESS by the key in FILE, as one of a pool and its members. */
static struct cohort_conn *connect_member(const char *address, const char *file)
{
	struct cohort_net_options o = {.key_file = file, .name = "triples"};
	struct cohort_conn *c;

	if (cohort_dial(&c, address, &o, PATIENCE, NULL) != 0)
		return NULL;
	coh_conn_set_phase(c, COH_PHASE_MEMBER);
	return c;
}

/* ---- an agent: a coordinator says TYPE when it should say another ---- */

enum agent_state { GREETED, READY, AGENT_STATES };

static const int agent_takes[AGENT_STATES] = {COH_FRAME_JOB, COH_FRAME_TASK};

/* A job for this very program. */
static void say_job(struct cohort_conn *c)
{
	const struct coh_program *self;
	struct coh_buf list, body;
	struct coh_job job = {.version = COH_PROTO_VERSION,
	    .tasks = (uint32_t)coh_task_count(),
	    .strikes = 3,
	    .digest = coh_task_digest(),
	    .setup_args = ""};

	coh_buf_init(&list, COH_TASK_LIST_MAX);
	coh_buf_init(&body, COH_FRAME_CONTROL_MAX);
	REQUIRE_EQ(coh_program_self(&self, NULL), 0);
	REQUIRE_EQ(coh_task_list(&list), 0);
	REQUIRE_EQ(coh_buf_put(&list, "", 1), 0);
	job.registry = (const char *)coh_buf_peek(&list);
	job.program = self->path;
	job.sha256 = self->sha256;
	REQUIRE_EQ(coh_job_pack(&job, &body), 0);
	say(c, (struct coh_frame){.type = COH_FRAME_JOB}, coh_buf_peek(&body), coh_buf_len(&body));
	coh_buf_fini(&list);
	coh_buf_fini(&body);
}

/* TYPE, said to the agent at ADDRESS in STATE: what it answers, 0 for the end. */
static int agent_hears(const char *address, enum agent_state state, int type)
{
	struct cohort_conn *c = connect_member(address, pool_key());
	int answer;

	REQUIRE(c != NULL);
	REQUIRE_EQ(hear(c), COH_FRAME_HELLO);
	if (state == READY) {
		say_job(c);
		REQUIRE_EQ(hear(c), COH_FRAME_READY);
	}
	say(c, (struct coh_frame){.type = (uint8_t)type, .channel = UINT32_MAX}, NULL, 0);
	answer = hear(c);
	cohort_conn_close(c);
	return answer;
}

static void agent_triples(enum agent_state state)
{
	const char *address;

	pool_program();
	pool_agent((const char *const[]){"--listen", "tcp://127.0.0.1:0", "--key", pool_key(),
	    "--slots", "1", "--port-file", test_path("port"), NULL});
	address = pool_line(test_path("port"));
	for (int type = 0; type < TYPES; type++)
		if (type != agent_takes[state] && !is_the_connections(type) &&
		    !CHECK_EQ(agent_hears(address, state, type), 0))
			FAIL("type 0x%02x", type);
	/* what is taken is answered: a job that is none, a task that nobody knows */
	CHECK_EQ(agent_hears(address, state, agent_takes[state]),
	    state == GREETED ? COH_FRAME_FAILED : COH_FRAME_ERROR);
	pool_end(NULL);
}

TEST_TIMEOUT(triples, of_an_agent_that_was_greeted, 60)
{
	agent_triples(GREETED);
}

TEST_TIMEOUT(triples, of_an_agent_that_is_ready, 120)
{
	agent_triples(READY);
}

/* ---- a pool: a node says TYPE when it should say another ---- */

enum member_state { GREETING, SETUP, UP, MEMBER_STATES };

/* Whether a pool takes TYPE from a member in STATE. */
static bool member_takes(enum member_state state, int type)
{
	static const int takes[MEMBER_STATES][3] = {{COH_FRAME_HELLO, COH_FRAME_FAILED},
	    {COH_FRAME_READY, COH_FRAME_FAILED},
	    {COH_FRAME_RESULT, COH_FRAME_ERROR, COH_FRAME_FAILED}};

	return is_the_connections(type) || type == takes[state][0] || type == takes[state][1] ||
	    (takes[state][2] != 0 && type == takes[state][2]);
}

static void say_hello(struct cohort_conn *c)
{
	struct coh_hello h = {.version = COH_PROTO_VERSION, .pid = 1, .slots = 1, .name = "triples"};
	struct coh_buf body;

	coh_buf_init(&body, COH_FRAME_CONTROL_MAX);
	coh_hello_pack(&h, &body);
	say(c, (struct coh_frame){.type = COH_FRAME_HELLO}, coh_buf_peek(&body), coh_buf_len(&body));
	coh_buf_fini(&body);
}

/* TYPE, said to the pool at ADDRESS in STATE: true when that was the end, without an answer. */
static bool pool_ends(const char *address, const char *file, enum member_state state, int type)
{
	struct cohort_conn *c = connect_member(address, file);
	bool good = c != NULL;

	if (good && state >= SETUP) {
		say_hello(c);
		good = hear(c) == COH_FRAME_JOB;
	}
	if (good && state == UP)
		good = say(c, (struct coh_frame){.type = COH_FRAME_READY, .id = 1}, NULL, 0) == 0;
	if (good) {
		say(c, (struct coh_frame){.type = (uint8_t)type}, NULL, 0);
		good = hear(c) == 0;
	}
	cohort_conn_close(c);
	return good;
}

/* The first type that the pool at ADDRESS bore, TYPES when there is none: the process's exit code. */
static int visitor(struct cohort_call *call)
{
	const char *address, *file;
	int32_t state;
	int type = 0;

	cohort_call_args(call, &address, &file, &state);
	while (type < TYPES && (member_takes((enum member_state)state, type) ||
				   pool_ends(address, file, (enum member_state)state, type)))
		type++;
	return type == TYPES ? 0 : 1 + type % 255;
}
COHORT_TASK(visitor, "ssi", "");

static void member_triples(int32_t state)
{
	struct cohort_pool_options o = {0};
	struct cohort_process *node;
	struct cohort_pool *pool;
	const char *address;
	int code = -1;

	pool_program();
	o.key_file = pool_key();
	REQUIRE_EQ(cohort_pool_open(&pool, "listen:tcp://127.0.0.1:0", &o, NULL), 0);
	address = cohort_pool_address(pool);
	REQUIRE_EQ(
	    cohort_process_start(&node, NULL, NULL, "visitor", &address, &o.key_file, &state), 0);
	CHECK_EQ(cohort_process_join(node, cohort_in(test_span(50 * COHORT_SECOND))), 0);
	CHECK_EQ(cohort_process_exit_code(node, &code), 0);
	CHECK_EQ(code, 0); /* else 1 more than the type that was borne */
	CHECK_EQ(pool_stats(pool).members, 0);
	cohort_process_free(node);
	pool_end(pool);
}

TEST_TIMEOUT(triples, of_a_pool_that_greets, 60)
{
	member_triples(GREETING);
}

TEST_TIMEOUT(triples, of_a_pool_that_waits_for_ready, 60)
{
	member_triples(SETUP);
}

TEST_TIMEOUT(triples, of_a_pool_that_has_the_member, 60)
{
	member_triples(UP);
}
