/*
 * test_node_names.c - a name has one bearer at a time among the nodes of a pool.
 */
#include "conn/conn_priv.h"
#include "contract/pool_fixture.h"
#include "work/proto.h"

#include <cohort/cohort.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))

/* An agent that listens, with two more pairs of arguments; its address, static for two of them. */
static const char *listening(const char *file, const char *const extra[4])
{
	static char address[2][512];
	static int next;

	pool_program();
	pool_agent((const char *const[]){"--listen", "tcp://127.0.0.1:0", "--key", pool_key(),
	    "--port-file", test_path(file), "--slots", "1", extra[0], extra[1], extra[2], extra[3],
	    NULL});
	next = !next;
	snprintf(address[next], sizeof address[next], "%s", pool_line(test_path(file)));
	return address[next];
}

#define NAMED(name) ((const char *const[4]){"--name", name})

static int opens(const char *address, const struct cohort_net_options *net, struct cohort_error *err)
{
	struct cohort_pool_options o = {.key_file = pool_key(), .net = net};
	struct cohort_pool *p;
	int rc = cohort_pool_open(&p, address, &o, err);

	cohort_pool_free(p);
	return rc;
}

TEST(node_names, two_nodes_of_one_name_are_refused_with_both_addresses)
{
	const char *one = listening("one", NAMED("alpha")), *two = listening("two", NAMED("alpha"));
	struct cohort_error err = {0};
	char list[1100];

	snprintf(list, sizeof list, "%s,%s", one, two);
	CHECK_EQ(opens(list, NULL, &err), COHORT_ENAME);
	CHECK_HAS(err.text, "alpha");
	CHECK_HAS(err.text, one);
	CHECK_HAS(err.text, two);
	CHECK_EQ(opens(two, NULL, &err), 0);
	pool_end(NULL);
}

/* By two addresses, that is: the same one twice is not even a list. */
TEST(node_names, one_node_listed_twice_is_refused)
{
	const char *one = listening("one", NAMED("alpha"));
	struct cohort_error err = {0};
	char list[1100];

	snprintf(list, sizeof list, "%s,tcp://localhost%s", one, strrchr(one, ':'));
	CHECK_EQ(opens(list, NULL, &err), COHORT_ENAME);
	CHECK_HAS(err.text, "name it once");
	pool_end(NULL);
}

TEST(node_names, a_pool_reaches_nodes_of_the_cluster_its_options_name)
{
	const char *one = listening("one", (const char *const[4]){"--cluster", "blue"});
	struct cohort_net_options net = {.cluster = "blue", .name = "boss"};
	struct cohort_error err = {0};

	CHECK_EQ(opens(one, NULL, &err), COHORT_ECLUSTER);
	CHECK_EQ(opens(one, &net, &err), 0);
	net.name = "two words";
	CHECK_EQ(opens(one, &net, &err), COHORT_ENAME);
	CHECK_HAS(err.text, "\"two words\"");
	pool_end(NULL);
}

/* ---- a pool that listens ---- */

struct ear {
	const char *words;
	int heard; /* an eventfd: readable once a line of the log has WORDS */
};

static void ear_log(enum cohort_log_level level, const char *line, void *arg)
{
	const struct ear *e = arg;

	(void)level;
	if (strstr(line, e->words) != NULL)
		eventfd_write(e->heard, 1);
}

static void ear_open(struct ear *e, const char *words)
{
	*e = (struct ear){words, eventfd(0, EFD_CLOEXEC)};
	REQUIRE(e->heard >= 0);
	cohort_log_to(ear_log, COHORT_LOG_DEBUG, e);
}

static void ear_wait(struct ear *e)
{
	struct pollfd p = {.fd = e->heard, .events = POLLIN};

	CHECK_EQ(poll(&p, 1, (int)(test_span(15 * COHORT_SECOND) / COHORT_MS)), 1);
	cohort_log_to(NULL, COHORT_LOG_ERROR, NULL);
	close(e->heard);
}

static struct cohort_pool *home_at(const char *address)
{
	struct cohort_pool_options o = {0};
	struct cohort_pool *p;

	pool_program();
	o.key_file = pool_key();
	REQUIRE_EQ(cohort_pool_open(&p, address, &o, NULL), 0);
	return p;
}

static struct cohort_pool *home(void)
{
	return home_at("listen:tcp://127.0.0.1:0");
}

static void joining(const struct cohort_pool *p, const char *name)
{
	pool_agent((const char *const[]){"--join", cohort_pool_address(p), "--key", pool_key(),
	    "--slots", "1", "--name", name, NULL});
}

static void second_bearer(struct cohort_pool *p)
{
	int32_t x = 4;
	int64_t y = 0;
	struct ear e;

	joining(p, "alpha");
	REQUIRE_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
	ear_open(&e, "alpha is not admitted: another node of this name is at alpha at tcp://127.0.0.1:");
	joining(p, "alpha");
	ear_wait(&e);
	CHECK_EQ(pool_stats(p).members, 1);
	CHECK_EQ(pool_stats(p).deaths, 0);
	ear_open(&e, "is up with 1 slot");
	joining(p, "beta");
	ear_wait(&e);
	CHECK_EQ(pool_stats(p).members, 2);
	pool_end(p);
}

TEST(node_names, a_second_bearer_who_calls_home_is_not_let_in)
{
	second_bearer(home());
}

TEST(node_names, a_second_bearer_who_calls_home_through_tls_is_not_let_in)
{
	second_bearer(home_at("listen:tls://127.0.0.1:0"));
}

TEST(node_names, the_name_is_free_again_when_its_bearer_is_gone)
{
	struct cohort_pool *p = home();
	int32_t x = 4;
	int64_t y = 0;

	for (int i = 0; i < 2; i++) {
		int pid = pool_agent((const char *const[]){"--join", cohort_pool_address(p), "--key",
		    pool_key(), "--name", "alpha", NULL});

		REQUIRE_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
		kill(pid, SIGKILL);
	}
	CHECK_EQ(y, 16);
	pool_end(p);
}

/* ---- one process that calls twice, speaking the protocol by hand ---- */

static void say(struct cohort_conn *c, struct coh_frame f, const void *body, size_t size)
{
	struct iovec iov = {(void *)(uintptr_t)body, size};

	coh_conn_put_frame(c, &f, &iov, size != 0, PATIENCE);
	cohort_conn_flush(c, PATIENCE);
}

/* Call home and be ready for one task at a time; NULL on failure. */
static struct cohort_conn *call_home(const char *address, const char *key)
{
	struct cohort_net_options o = {.key_file = key, .name = "twice"};
	struct coh_hello h = {.version = COH_PROTO_VERSION, .pid = 1, .slots = 1, .name = "twice"};
	struct cohort_conn *c;
	struct coh_buf hello;
	const void *body;
	struct coh_frame f;

	if (cohort_dial(&c, address, &o, PATIENCE, NULL) != 0)
		return NULL;
	coh_conn_set_phase(c, COH_PHASE_MEMBER);
	coh_buf_init(&hello, 4096);
	coh_hello_pack(&h, &hello);
	say(c, (struct coh_frame){.type = COH_FRAME_HELLO}, coh_buf_peek(&hello), coh_buf_len(&hello));
	coh_buf_fini(&hello);
	do {
		if (coh_conn_next_frame(c, &f, &body, PATIENCE) != 0) {
			cohort_conn_close(c);
			return NULL;
		}
	} while (f.type != COH_FRAME_JOB);
	say(c, (struct coh_frame){.type = COH_FRAME_READY, .id = 1}, NULL, 0);
	return c;
}

/* Answer every task that comes over C with -7, until it ends. */
static void answer_all(struct cohort_conn *c)
{
	struct coh_failure failure = {.code = COHORT_ETASK, .text = "seen by the second connection"};
	struct coh_buf body;
	struct coh_frame f;
	const void *seen;

	coh_buf_init(&body, 4096);
	coh_failure_pack(&failure, &body);
	while (coh_conn_next_frame(c, &f, &seen, PATIENCE) == 0)
		if (f.type == COH_FRAME_TASK)
			say(c, (struct coh_frame){.type = COH_FRAME_ERROR, .id = f.id, .channel = 1000},
			    coh_buf_peek(&body), coh_buf_len(&body));
	coh_buf_fini(&body);
}

static int twice_node(struct cohort_call *call)
{
	struct cohort_conn *first, *second;
	const char *address, *key;
	const void *body;
	struct coh_frame f;
	int rc;

	cohort_call_args(call, &address, &key);
	first = call_home(address, key);
	if (first == NULL || coh_conn_next_frame(first, &f, &body, PATIENCE) != 0 ||
	    f.type != COH_FRAME_TASK)
		return 1;
	second = call_home(address, key);
	if (second == NULL)
		return 2;
	while ((rc = coh_conn_next_frame(first, &f, &body, PATIENCE)) == 0)
		; /* a beat, say */
	answer_all(second);
	cohort_conn_close(first);
	cohort_conn_close(second);
	return rc != COHORT_ETIMEDOUT ? 0 : 3;
}
COHORT_TASK(twice_node, "ss", "");

TEST(node_names, the_same_process_takes_the_place_of_its_old_connection)
{
	struct cohort_pool *p = home();
	const char *address = cohort_pool_address(p), *key = pool_key();
	struct cohort_process *node;
	struct cohort_future *f;
	struct cohort_error err = {0};
	int32_t x = 4;
	int code = -1;

	REQUIRE_EQ(cohort_process_start(&node, NULL, NULL, "twice_node", &address, &key), 0);
	REQUIRE_EQ(cohort_pool_submit(p, &f, NULL, "square", &x), 0);
	CHECK_EQ(cohort_future_wait(f, PATIENCE), 0);
	CHECK_EQ(cohort_future_error(f, &err), COHORT_ETASK); /* run again on the second */
	CHECK_HAS(err.text, "seen by the second connection");
	cohort_future_free(f);
	CHECK_EQ(pool_stats(p).members, 1);
	pool_end(p);
	CHECK_EQ(cohort_process_join(node, PATIENCE), 0);
	CHECK_EQ(cohort_process_exit_code(node, &code), 0);
	CHECK_EQ(code, 0);
	cohort_process_free(node);
}
