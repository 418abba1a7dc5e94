/*
 * gateway_client.c - one client: a request is a task, a task that has ended is an answer.
 *
 * The thread waits for the connection and for an eventfd that ended tasks ring.  Requests:
 *   the tpl image of "UsB":  id, name of the task, image of its arguments
 * answers, in the order in which tasks end:
 *   the tpl image of "UssB": id, name of the error and its sentence (both NULL: none), image of the result
 * The empty name is the list of tasks: "" -> "A(sss)", each with its name and its two formats.  What is
 * no request at all is answered with id 0.
 */
#include "gateway_client.h"

#include "gateway_tasks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct request {
	struct gateway_client *client;
	uint64_t id;
	struct cohort_future *future;
	struct request *next;
};

struct gateway_client {
	struct cohort_conn *conn;
	struct cohort_pool *pool;
	struct cohort_message *request, *answer;
	pthread_t thread;
	int bell;
	unsigned under_way;   /* the thread's own */
	pthread_mutex_t lock; /* guards the rest */
	struct request *ended, **last;
	int stop, over;
};

static void ring(struct gateway_client *c)
{
	uint64_t one = 1;

	if (write(c->bell, &one, sizeof one) < 0)
		return; /* it is ringing already */
}

/* ---- answers ---- */

/* Tell request ID how it ended.  0, or the connection's end. */
static int answer(struct gateway_client *c, uint64_t id, const struct cohort_error *e,
    const struct cohort_bytes *result)
{
	const char *name = e->code != 0 ? cohort_errname(e->code) : NULL;
	const char *sentence = e->code != 0 ? e->text : NULL;
	const void *image;
	size_t size;
	int rc;

	cohort_message_reset(c->answer);
	rc = cohort_message_pack(c->answer, 0, &id, &name, &sentence, result);
	if (rc == 0)
		rc = cohort_message_image(c->answer, &image, &size);
	return rc == 0 ? cohort_conn_put_bytes(c->conn, image, size, cohort_in(GATEWAY_PATIENCE))
		       : rc;
}

static int refuse(struct gateway_client *c, uint64_t id, const struct cohort_error *e)
{
	return answer(c, id, e, &(struct cohort_bytes){NULL, 0});
}

/* The list of what there is. */
static int answer_list(struct gateway_client *c, uint64_t id)
{
	struct cohort_error e = {0};
	struct cohort_bytes result;
	struct cohort_message *m;
	int rc = cohort_message_new(&m, "A(sss)", &e);

	for (const struct gateway_task *t = gateway_tasks; t->name != NULL && rc == 0; t++)
		rc = cohort_message_pack(m, 1, &t->name, &t->task->args, &t->task->result);
	if (rc == 0)
		rc = cohort_message_image(m, &result.data, &result.size);
	if (rc == 0)
		rc = answer(c, id, &e, &result);
	cohort_message_free(m);
	return rc;
}

/* F has ended; on some thread of the library's. */
static void ended_cb(struct cohort_future *f, void *arg)
{
	struct request *r = arg;
	struct gateway_client *c = r->client;

	(void)f;
	pthread_mutex_lock(&c->lock);
	*c->last = r;
	c->last = &r->next;
	ring(c);
	pthread_mutex_unlock(&c->lock);
}

/* Answer what has ended; with SEND 0 only let go of it.  0, or the connection's end. */
static int answer_ended(struct gateway_client *c, int send)
{
	struct cohort_error e = {0};
	struct cohort_bytes result;
	struct request *r, *next;
	uint64_t rings;
	int rc = 0;

	if (read(c->bell, &rings, sizeof rings) < 0)
		return 0;
	pthread_mutex_lock(&c->lock);
	r = c->ended;
	c->ended = NULL;
	c->last = &c->ended;
	pthread_mutex_unlock(&c->lock);
	for (; r != NULL; r = next) {
		next = r->next;
		e.code = cohort_future_error(r->future, &e);
		(void)cohort_future_image(r->future, &result.data, &result.size);
		if (send && rc == 0)
			rc = answer(c, r->id, &e, &result);
		cohort_future_free(r->future);
		free(r);
		c->under_way--;
	}
	return rc == 0 && send ? cohort_conn_flush(c->conn, cohort_in(GATEWAY_PATIENCE)) : rc;
}

/* ---- requests ---- */

/* Give TASK with the arguments in ARGS to the pool.  0, or why that cannot be. */
static int submit(struct gateway_client *c, uint64_t id, const struct cohort_task *task,
    struct cohort_bytes args, struct cohort_error *e)
{
	struct request *r = calloc(1, sizeof *r);
	struct cohort_message *m;
	int rc = cohort_message_new(&m, task->args, e);

	if (rc == 0)
		rc = cohort_message_load(m, args.data, args.size, e); /* checked to the last byte */
	if (rc == 0 && r == NULL) {
		*e = (struct cohort_error){-ENOMEM, "no memory for the request"};
		rc = e->code;
	}
	if (rc == 0)
		rc = cohort_pool_submit_message(c->pool, &r->future, e, task->name, m);
	cohort_message_free(m);
	if (rc != 0) {
		free(r);
		return rc;
	}
	r->client = c;
	r->id = id;
	c->under_way++;
	cohort_future_then(r->future, ended_cb, r);
	return 0;
}

/* One request.  0, or the connection's end. */
static int request(struct gateway_client *c, const void *data, size_t size)
{
	const struct cohort_task *task;
	struct cohort_error e = {0};
	struct cohort_bytes args;
	const char *name;
	uint64_t id = 0;

	if (size > GATEWAY_REQUEST_MAX) {
		e = (struct cohort_error){COHORT_ETOOBIG, "the request is larger than 1 MiB"};
		return refuse(c, id, &e);
	}
	e.code = cohort_message_load(c->request, data, size, &e);
	if (e.code == 0 && cohort_message_unpack(c->request, 0, &id, &name, &args) != 1)
		e = (struct cohort_error){-ENOMEM, "no memory for the request"};
	if (e.code != 0)
		return refuse(c, id, &e);
	if (name != NULL && name[0] == '\0')
		return answer_list(c, id);
	task = name != NULL ? gateway_task_find(name) : NULL;
	if (task == NULL)
		e = (struct cohort_error){
		    COHORT_ENOTASK, "the gateway exposes no task of this name"};
	else
		e.code = submit(c, id, task, args, &e);
	return e.code != 0 ? refuse(c, id, &e) : 0;
}

/* What has come, as long as there is room for it.  0, or the connection's end. */
static int requests(struct gateway_client *c)
{
	const void *data;
	size_t size;
	int rc = 0;

	while (rc == 0 && c->under_way < GATEWAY_UNDER_WAY) {
		rc = cohort_conn_recv_bytes(c->conn, &data, &size, COHORT_NOW);
		if (rc == COHORT_ETIMEDOUT)
			break;
		if (rc == 0)
			rc = request(c, data, size);
	}
	return rc == 0 || rc == COHORT_ETIMEDOUT
	    ? cohort_conn_flush(c->conn, cohort_in(GATEWAY_PATIENCE))
	    : rc;
}

/* ---- its life ---- */

static int stopped(struct gateway_client *c)
{
	int stop;

	pthread_mutex_lock(&c->lock);
	stop = c->stop;
	pthread_mutex_unlock(&c->lock);
	return stop;
}

static void *client_thread(void *arg)
{
	struct gateway_client *c = arg;
	struct cohort_wait_item items[2] = {{.fd = c->bell}, {.conn = c->conn}};
	int rc = 0, room;

	while (rc == 0 && !stopped(c)) {
		room = c->under_way < GATEWAY_UNDER_WAY;
		rc = cohort_wait(items, room ? 2 : 1, COHORT_FOREVER);
		if (rc > 0)
			rc = answer_ended(c, 1);
		if (rc == 0 && room && items[1].ready)
			rc = requests(c);
	}
	while (c->under_way != 0 && cohort_wait(items, 1, COHORT_FOREVER) >= 0)
		answer_ended(c, 0);
	pthread_mutex_lock(&c->lock);
	c->over = 1;
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void client_free(struct gateway_client *c)
{
	cohort_message_free(c->request);
	cohort_message_free(c->answer);
	if (c->bell >= 0)
		close(c->bell);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct gateway_client *gateway_client_start(struct cohort_conn *conn, struct cohort_pool *pool)
{
	struct gateway_client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->conn = conn;
	c->pool = pool;
	c->last = &c->ended;
	c->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&c->lock, NULL);
	if (c->bell < 0 || cohort_message_new(&c->request, "UsB", NULL) != 0 ||
	    cohort_message_new(&c->answer, "UssB", NULL) != 0 ||
	    pthread_create(&c->thread, NULL, client_thread, c) != 0) {
		client_free(c);
		return NULL;
	}
	return c;
}

int gateway_client_over(struct gateway_client *c)
{
	int over;

	pthread_mutex_lock(&c->lock);
	over = c->over;
	pthread_mutex_unlock(&c->lock);
	return over;
}

void gateway_client_stop(struct gateway_client *c)
{
	pthread_mutex_lock(&c->lock);
	c->stop = 1;
	ring(c);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	cohort_conn_close(c->conn);
	client_free(c);
}
