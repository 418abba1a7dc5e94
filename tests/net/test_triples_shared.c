/*
 * test_triples_shared.c - every type of frame in every state of both ends of shared objects (phase SHARED).
 *
 * What each state takes is listed here, from PROTOCOL.md; everything else must end that connection without an answer, and no
 * other.  What the connection itself takes, whatever is spoken over it (PING to BLOCK_BACK), is for its own tests.
 */
#include "conn/conn_priv.h"
#include "net/served.h"
#include "work/desk_queue.h"

#include <cohort/cohort.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))
#define WAITS 7     /* the request that waits, where one does */
#define REQUEST 50  /* that of the frame in question */
#define AFTER 99    /* one that comes after it */

/* Of all but those. */
static int next_type(int type)
{
	do
		type++;
	while (type >= COH_FRAME_PING && type <= COH_FRAME_BLOCK_BACK && type != COH_FRAME_PASS);
	return type;
}

static void say(struct cohort_conn *c, struct coh_frame f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};

	(void)coh_conn_put_frame(c, &f, &iov, size != 0, COHORT_NOW);
	(void)coh_conn_push(c);
}

/* ---- a server: a client says TYPE ---- */

enum client_state { NEW, ATTACHED, WAITING, LENT, ARMED, DETACHED, CLIENT_STATES };

/* What becomes of it: the code of a REPLY, or one of these. */
#define ENDS 1000  /* the connection does, without a word */
#define LIVES 1001 /* nothing comes */

static const int server_takes[CLIENT_STATES][4] = {
    /* ATTACH, CALL, DETACH, CANCEL */
    [NEW] = {0, ENDS, ENDS, LIVES},
    [ATTACHED] = {ENDS, 0, LIVES, LIVES},
    [WAITING] = {ENDS, 0, LIVES, COHORT_EEMPTY},
    [LENT] = {ENDS, 0, LIVES, LIVES},
    [ARMED] = {ENDS, 0, LIVES, LIVES},
    [DETACHED] = {0, ENDS, ENDS, LIVES},
};

static int wanted(enum client_state state, int type)
{
	switch (type) {
	case COH_FRAME_ATTACH: return server_takes[state][0];
	case COH_FRAME_CALL: return server_takes[state][1];
	case COH_FRAME_DETACH: return server_takes[state][2];
	case COH_FRAME_CANCEL: return server_takes[state][3];
	default: return ENDS;
	}
}

/* The next frame's type, with its request in *REQUEST and code in *CODE; 0: the connection has ended. */
static int hear(struct cohort_conn *c, uint32_t *request, int *code)
{
	const void *body;
	struct coh_frame f = {.type = 0};
	int rc = coh_conn_next_frame(c, &f, &body, PATIENCE);

	REQUIRE(rc != COHORT_ETIMEDOUT);
	*request = f.flags;
	*code = (int)f.channel;
	return rc == 0 ? f.type : 0;
}

static void say_attach(struct cohort_conn *c, unsigned number, uint32_t request)
{
	static const unsigned char body[13 + 36] = {
	    0, COH_DESK_VERSION, 5, 'q', 'u', 'e', 'u', 'e', 4, 'j', 'o', 'b', 's'};

	say(c,
	    (struct coh_frame){
		.type = COH_FRAME_ATTACH, .channel = coh_desk_channel(number, 0, 0), .flags = request},
	    body, sizeof body);
}

static void say_call(struct cohort_conn *c, unsigned op, uint32_t request, uint64_t left)
{
	static const unsigned char room[8] = {0, 0, 0, 0, 0, 0, 1, 0};
	bool gets = op == COH_DESK_QUEUE_GET;

	say(c,
	    (struct coh_frame){.type = COH_FRAME_CALL,
		.channel = coh_desk_channel(1, op, 0),
		.flags = request,
		.id = left},
	    gets ? room : NULL, gets ? sizeof room : 0);
}

static void expect_reply(struct cohort_conn *c, uint32_t request, int code)
{
	uint32_t to;
	int got;

	REQUIRE_EQ(hear(c, &to, &got), COH_FRAME_REPLY);
	REQUIRE_EQ(to, request);
	REQUIRE_EQ(got, code);
}

static struct cohort_conn *bring_to(const struct served *s, enum client_state state)
{
	struct cohort_conn *c = served_bare(s, "triples");

	if (state == NEW)
		return c;
	say_attach(c, 1, 1);
	expect_reply(c, 1, 0);
	if (state == WAITING)
		say_call(c, COH_DESK_QUEUE_GET, WAITS, COH_DESK_NO_LIMIT);
	if (state == LENT || state == ARMED) {
		say_call(c, state == LENT ? COH_DESK_QUEUE_TAKE : COH_DESK_ARM, 2, 0);
		expect_reply(c, 2, 0);
	}
	if (state == DETACHED)
		say(c, (struct coh_frame){.type = COH_FRAME_DETACH, .channel = coh_desk_channel(1, 0, 0)}, NULL, 0);
	return c;
}

/* TYPE, as it is said in the states that take it. */
static void say_type(struct cohort_conn *c, int type)
{
	if (type == COH_FRAME_ATTACH)
		say_attach(c, 1, REQUEST);
	else if (type == COH_FRAME_CALL)
		say_call(c, COH_DESK_QUEUE_SIZE, REQUEST, 0);
	else if (type == COH_FRAME_DETACH)
		say(c, (struct coh_frame){.type = COH_FRAME_DETACH, .channel = coh_desk_channel(1, 0, 0)}, NULL, 0);
	else if (type == COH_FRAME_CANCEL)
		say(c, (struct coh_frame){.type = COH_FRAME_CANCEL, .flags = WAITS}, NULL, 0);
	else
		say(c, (struct coh_frame){.type = (uint8_t)type}, NULL, 0);
}

/* What became of TYPE in STATE.  What lives is asked for something else, which must be answered next. */
static int outcome(const struct served *s, enum client_state state, int type)
{
	struct cohort_conn *c = bring_to(s, state);
	uint32_t request = 0;
	int code = 0, got;

	say_type(c, type);
	if (wanted(state, type) == LIVES)
		say_attach(c, 2, AFTER);
	got = hear(c, &request, &code);
	cohort_conn_close(c);
	if (got == COH_FRAME_REPLY && request == AFTER)
		return LIVES;
	if (got == COH_FRAME_REPLY && request != (type == COH_FRAME_CANCEL ? WAITS : REQUEST))
		FAIL("a reply to request %u", request);
	return got == 0 ? ENDS : code;
}

/* Another client, of good manners, is served; what was lent to a bad one is there again. */
static void is_well(struct cohort_queue *q)
{
	char c = 0;

	CHECK_EQ(cohort_queue_get_into(q, &c, 1, NULL, PATIENCE), 0);
	CHECK_EQ(c, 'x');
	CHECK_EQ(cohort_queue_size(q), 0);
}

static void client_triples(enum client_state state)
{
	struct cohort_queue *q;
	struct served s;

	served_begin(&s, "unix", NULL);
	q = served_open(&s);
	for (int type = 0; type < 256; type = next_type(type)) {
		if (state == LENT)
			CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, PATIENCE), 0);
		if (!CHECK_EQ(outcome(&s, state, type), wanted(state, type)))
			FAIL("type 0x%02x", type);
		if (state != LENT && type % 16 == 0)
			CHECK_EQ(cohort_queue_put_bytes(q, "x", 1, PATIENCE), 0);
		if (state == LENT || type % 16 == 0)
			is_well(q);
	}
	cohort_queue_close(q, COHORT_NOW);
	served_end(&s);
}

TEST_TIMEOUT(triples_shared, of_a_server_whose_client_is_new, 60)
{
	client_triples(NEW);
}

TEST_TIMEOUT(triples_shared, of_a_server_whose_client_is_attached, 60)
{
	client_triples(ATTACHED);
}

TEST_TIMEOUT(triples_shared, of_a_server_whose_client_waits, 60)
{
	client_triples(WAITING);
}

TEST_TIMEOUT(triples_shared, of_a_server_whose_client_was_lent_something, 60)
{
	client_triples(LENT);
}

TEST_TIMEOUT(triples_shared, of_a_server_whose_client_asks_to_be_rung, 60)
{
	client_triples(ARMED);
}

TEST_TIMEOUT(triples_shared, of_a_server_whose_client_has_detached, 60)
{
	client_triples(DETACHED);
}

TEST(triples_shared, of_a_server_that_is_given_the_number_of_a_call_that_waits)
{
	struct cohort_conn *c;
	uint32_t request;
	struct served s;
	int code;

	served_begin(&s, "unix", NULL);
	c = bring_to(&s, WAITING);
	say_call(c, COH_DESK_QUEUE_SIZE, WAITS, 0);
	CHECK_EQ(hear(c, &request, &code), 0);
	cohort_conn_close(c);
	served_end(&s);
}

/* ---- a client: a server says TYPE ---- */

enum server_state { OPENING, IDLE, CALLED, SERVER_STATES };

/* What the rogue server does with the connection that comes next; shared with it. */
static struct script {
	int state, type; /* TYPE 0: nothing out of place */
	char address[400];
} *script;

static void reply(struct cohort_conn *c, uint32_t request, const void *body, size_t size)
{
	say(c, (struct coh_frame){.type = COH_FRAME_REPLY, .flags = request}, body, size);
}

/* A REPLY to what nobody asked; a RING for what is not attached; of the others only the type counts. */
static void say_script(struct cohort_conn *c)
{
	if (script->type != 0)
		say(c, (struct coh_frame){.type = (uint8_t)script->type, .channel = 77U << 16, .flags = 0x7777}, NULL, 0);
}

static void serve_one(struct cohort_conn *c)
{
	static const unsigned char about[20] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 1, 0, 0};
	const void *body;
	struct coh_frame f;
	bool said = false;

	coh_conn_set_phase(c, COH_PHASE_SHARED);
	while (coh_conn_next_frame(c, &f, &body, PATIENCE) == 0) {
		bool opens = f.type == COH_FRAME_ATTACH;

		if (f.type != COH_FRAME_ATTACH && f.type != COH_FRAME_CALL)
			continue;
		if (!said && script->state == (opens ? OPENING : CALLED)) {
			say_script(c);
			said = true;
		}
		reply(c, f.flags, opens ? about : NULL, opens ? sizeof about : 0);
		if (opens && script->state == IDLE)
			say_script(c);
	}
	cohort_conn_close(c);
}

static void be_rogue(int out)
{
	struct cohort_net_options o = {.key_file = served_key(), .name = "rogue"};
	struct cohort_listener *l;
	struct cohort_conn *c;
	char at[300];

	snprintf(at, sizeof at, "unix:%s", test_path("rogue"));
	if (cohort_listen(&l, at, &o, NULL) != 0)
		_exit(1);
	snprintf(script->address, sizeof script->address, "%s/jobs", cohort_listener_address(l));
	(void)!write(out, "u", 1);
	for (;;)
		if (cohort_listener_accept(l, &c, COHORT_FOREVER, NULL) == 0)
			serve_one(c);
}

static pid_t start_rogue(void)
{
	int up[2];
	char byte;
	pid_t pid;

	(void)served_key();
	script = mmap(NULL, sizeof *script, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(script != MAP_FAILED && pipe2(up, O_CLOEXEC) == 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_rogue(up[1]);
	}
	REQUIRE_EQ(read(up[0], &byte, 1), 1);
	close(up[0]);
	close(up[1]);
	return pid;
}

/* The code of opening a queue there, and of a call; 0 when both went well. */
static int use_rogue(int state, int type)
{
	struct cohort_queue_options o = {.key_file = served_key(), .deadline = PATIENCE};
	struct cohort_error err = {0};
	struct cohort_queue *q;
	int rc;

	script->state = state;
	script->type = type;
	rc = cohort_queue_open(&q, script->address, &o, &err);
	if (rc != 0) {
		CHECK_EQ(state, OPENING);
		CHECK_HAS(err.text, "is gone");
		return rc;
	}
	rc = (int)cohort_queue_size(q);
	cohort_queue_close(q, COHORT_NOW);
	return rc;
}

static void server_triples(int state)
{
	pid_t pid = start_rogue();
	struct cohort_queue *other;
	struct served s;

	served_begin(&s, "unix", NULL);
	other = served_open(&s);
	for (int type = 1; type < 256; type = next_type(type)) {
		int want = type == COH_FRAME_RING ? 0 : COHORT_EPEER;

		if (!CHECK_EQ(use_rogue(state, type), want))
			FAIL("type 0x%02x", type);
		if (type % 8 == 0) { /* the same place again, and another server's */
			CHECK_EQ(use_rogue(state, 0), 0);
			CHECK_EQ(cohort_queue_size(other), 0);
		}
	}
	cohort_queue_close(other, COHORT_NOW);
	served_end(&s);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST_TIMEOUT(triples_shared, of_a_client_that_attaches, 60)
{
	server_triples(OPENING);
}

TEST_TIMEOUT(triples_shared, of_a_client_that_has_nothing_to_say, 60)
{
	server_triples(IDLE);
}

TEST_TIMEOUT(triples_shared, of_a_client_that_has_called, 60)
{
	server_triples(CALLED);
}
