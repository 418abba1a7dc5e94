/* queue_fixture.c - queues of any kind.  What needs an address is in another file, where there is a network half. */
#include "contract/queue_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char *queue_kind(void)
{
	const char *kind = getenv("COHORT_CONTRACT");

	return kind != NULL ? kind : "local";
}

static bool is(const char *kind)
{
	return strcmp(queue_kind(), kind) == 0;
}

static bool is_net(void)
{
	return !is("local") && !is("named") && !is("thread");
}

bool queue_kills(void)
{
	return !is("thread");
}

cohort_time queue_patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

cohort_time queue_shortly(void)
{
	return cohort_in(30 * COHORT_MS);
}

struct cohort_queue *queue_open(const struct cohort_queue_options *options)
{
	struct cohort_queue_options o = options != NULL ? *options : (struct cohort_queue_options){0};
	static unsigned number;
	struct cohort_error err = {0};
	struct cohort_queue *q = NULL;
	char address[64] = "local:";

	if (is_net()) {
		REQUIRE(&queue_fixture_net != NULL);
		q = queue_fixture_net.open(queue_kind(), options);
		REQUIRE(q != NULL);
		return q;
	}
	o.open = COHORT_OPEN_CREATE;
	if (is("named"))
		snprintf(address, sizeof address, "local:test-queue-%d-%u", (int)getpid(), number++);
	if (cohort_queue_open(&q, address, &o, &err) != 0)
		FAIL("%s", err.text);
	REQUIRE(q != NULL);
	return q;
}

int queue_close(struct cohort_queue *q)
{
	int left = cohort_queue_close(q, COHORT_NOW);

	if (is_net())
		queue_fixture_net.close(q);
	return left;
}

/* By a connection to ourselves: what has no name is passed on. */
static struct cohort_queue *pass(struct cohort_queue *q)
{
	struct cohort_conn *a, *b;
	struct cohort_queue *copy = NULL;
	struct cohort_error err = {0};

	REQUIRE_EQ(cohort_conn_pair(&a, &b, NULL), 0);
	CHECK_EQ(cohort_queue_send(q, a, queue_patience()), 0);
	if (cohort_queue_recv(&copy, b, NULL, queue_patience(), &err) != 0)
		FAIL("%s", err.text);
	cohort_conn_close(a);
	cohort_conn_close(b);
	return copy;
}

struct cohort_queue *queue_again(struct cohort_queue *q)
{
	struct cohort_queue_options o = {.open = COHORT_OPEN_ATTACH};
	struct cohort_error err = {0};
	struct cohort_queue *copy = NULL;

	if (is_net())
		copy = queue_fixture_net.again(q);
	else if (is("named")) {
		if (cohort_queue_open(&copy, cohort_queue_address(q), &o, &err) != 0)
			FAIL("%s", err.text);
	} else {
		copy = pass(q);
	}
	REQUIRE(copy != NULL);
	return copy;
}

struct cohort_queue *queue_here(struct cohort_queue *q)
{
	return is_net() ? queue_again(q) : q; /* a server's is the parent's alone */
}

/* ---- others ---- */

static void *thread_main(void *arg)
{
	struct queue_other *o = arg;

	o->result = o->fn(o->q, o->arg);
	return NULL;
}

static int process_main(struct queue_other *o)
{
	struct cohort_queue *q = is("local") ? o->q : queue_again(o->q);
	int result = o->fn(q, o->arg);

	if (q != o->q)
		queue_close(q);
	return result;
}

void queue_begin(struct queue_other *o, struct cohort_queue *q, int (*fn)(struct cohort_queue *, void *),
    void *arg)
{
	*o = (struct queue_other){.fn = fn, .q = q, .arg = arg};
	if (is("thread")) {
		REQUIRE_EQ(pthread_create(&o->thread, NULL, thread_main, o), 0);
		return;
	}
	o->pid = test_fork();
	REQUIRE(o->pid >= 0);
	if (o->pid == 0)
		_exit(process_main(o));
}

int queue_end(struct queue_other *o)
{
	int status;

	if (is("thread")) {
		REQUIRE_EQ(pthread_join(o->thread, NULL), 0);
		return o->result;
	}
	REQUIRE_EQ(waitpid(o->pid, &status, 0), o->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void queue_kill(struct queue_other *o)
{
	REQUIRE(queue_kills());
	kill(o->pid, SIGKILL);
}
