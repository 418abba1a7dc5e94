/*
 * 07_poll_loop.c - connections inside a loop of your own: poll(2), nothing hidden.
 *
 * usage: 07_poll_loop [ADDRESS]     tcp://127.0.0.1:0; or tls://127.0.0.1:0, unix:/some/path
 *
 * A switchboard: whatever one caller says, all others hear.  It waits in one place only, for all of them
 * and the listener together, and no caller who is slow to listen keeps another waiting.
 * The key is in the file $COHORT_KEY_FILE (`cohort keygen FILE` makes one).
 *
 * The whole of it for each connection: wait for cohort_conn_events on cohort_conn_fd, at most until the
 * moment that cohort_conn_step last gave; then step, and receive with COHORT_NOW while it says so.
 */
#include <cohort/cohort.h>
#include <cohort/dial.h>
#include <cohort/listener.h>
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define CALLERS 3

struct board {
	struct cohort_conn *line[CALLERS]; /* NULL: hung up, or not there yet */
	cohort_time next[CALLERS];         /* when that line must be looked at again */
	int came, left;
};

/* A child: says who it is, and hangs up when it has heard all the others. */
static int caller(struct cohort_call *call)
{
	cohort_time deadline = cohort_in(10 * COHORT_SECOND);
	const char *address;
	struct cohort_conn *c;
	struct cohort_error e;
	char name[32];
	const void *data;
	size_t size;
	int number, heard = 0;

	cohort_call_args(call, &address, &number);
	if (cohort_dial(&c, address, NULL, deadline, &e) < 0)
		return cohort_call_fail(call, "%s", e.text);
	snprintf(name, sizeof name, "caller %d", number);
	/* the board says "go" when all are there */
	while (heard < CALLERS && cohort_conn_recv_bytes(c, &data, &size, deadline) == 0)
		if (heard++ == 0)
			cohort_conn_send_bytes(c, name, strlen(name), deadline);
	cohort_conn_close(c);
	return heard == CALLERS ? 0 : cohort_call_fail(call, "heard %d of %d", heard, CALLERS);
}
COHORT_TASK(caller, "si", "");

/* Put DATA on every line but FROM.  A line that is full beyond measure is cut. */
static void board_tell(struct board *b, int from, const void *data, size_t size)
{
	for (int i = 0; i < CALLERS; i++)
		if (i != from && b->line[i] != NULL &&
		    cohort_conn_put_bytes(b->line[i], data, size, COHORT_NOW) < 0)
			warnx(
			    "%s: %s", cohort_conn_peer(b->line[i]), cohort_conn_error(b->line[i]));
}

static void board_hang_up(struct board *b, int i)
{
	printf("%s hung up\n", cohort_conn_peer(b->line[i]));
	cohort_conn_close(b->line[i]);
	b->line[i] = NULL;
	b->left++;
}

/* Pass on what line I has said. */
static void board_hear(struct board *b, int i)
{
	const void *data;
	size_t size;
	int rc;

	while ((rc = cohort_conn_recv_bytes(b->line[i], &data, &size, COHORT_NOW)) == 0) {
		printf("%.*s\n", (int)size, (const char *)data);
		board_tell(b, i, data, size);
	}
	if (rc != COHORT_ETIMEDOUT)
		board_hang_up(b, i);
}

static void board_accept(struct board *b, struct cohort_listener *l)
{
	struct cohort_error e;

	while (
	    b->came < CALLERS && cohort_listener_accept(l, &b->line[b->came], COHORT_NOW, &e) == 0)
		if (++b->came == CALLERS)
			board_tell(b, -1, "go", 2);
}

/* Do what there is to do on every line; when one must be looked at again. */
static cohort_time board_step(struct board *b)
{
	cohort_time soonest = COHORT_FOREVER;

	for (int i = 0; i < b->came; i++) {
		while (b->line[i] != NULL && cohort_conn_step(b->line[i], &b->next[i]) == 1)
			board_hear(b, i);
		if (b->line[i] != NULL && b->next[i] < soonest)
			soonest = b->next[i];
	}
	return soonest;
}

static void board_run(struct board *b, struct cohort_listener *l)
{
	struct pollfd p[CALLERS + 1];
	cohort_time soonest;
	int ms;

	while (soonest = board_step(b), b->left < CALLERS) {
		p[CALLERS] = (struct pollfd){cohort_listener_fd(l), POLLIN, 0};
		for (int i = 0; i < CALLERS; i++)
			p[i] = b->line[i] == NULL ? (struct pollfd){.fd = -1}
						  : (struct pollfd){cohort_conn_fd(b->line[i]),
							cohort_conn_events(b->line[i]), 0};
		ms = soonest == COHORT_FOREVER ? -1
					       : (int)((soonest - cohort_now()) / COHORT_MS) + 1;
		if (poll(p, CALLERS + 1, ms < -1 ? 0 : ms) < 0)
			err(1, "poll");
		if (p[CALLERS].revents != 0)
			board_accept(b, l);
	}
}

int main(int argc, char **argv)
{
	struct cohort_process *child[CALLERS];
	struct cohort_listener *l;
	struct board board = {0};
	struct cohort_error e;
	const char *address;

	if (cohort_init(&argc, &argv, &e) < 0 ||
	    cohort_listen(&l, argc > 1 ? argv[1] : "tcp://127.0.0.1:0", NULL, &e) < 0)
		errx(1, "%s", e.text);
	address = cohort_listener_address(l);
	for (int i = 0; i < CALLERS; i++)
		if (cohort_process_start(&child[i], NULL, &e, "caller", &address, &i) < 0)
			errx(1, "%s", e.text);
	board_run(&board, l);
	for (int i = 0; i < CALLERS; i++) {
		cohort_process_join(child[i], cohort_in(5 * COHORT_SECOND));
		cohort_process_free(child[i]);
	}
	cohort_listener_close(l);
	return 0;
}
