/* test_wait.c - cohort_wait over what a server waits for: callers, peers, children and a bell. */
#include "net/hall.h"
#include "support/test.h"

#include <cohort/process.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int idle(struct cohort_call *c)
{
	(void)c;
	while (pause() != 0)
		;
	return 0;
}
COHORT_TASK(idle, "", "");

static cohort_time soon(void)
{
	return cohort_in(test_span(10 * COHORT_SECOND));
}

static void *caller(void *arg)
{
	struct hall *h = arg;
	struct cohort_conn *c;
	const void *data;
	size_t size;

	REQUIRE_EQ(hall_dial(h, &h->options, &c, NULL), 0);
	CHECK_EQ(cohort_conn_send_bytes(c, "hello", 5, soon()), 0);
	CHECK_EQ(cohort_conn_recv_bytes(c, &data, &size, soon()), COHORT_EOF);
	cohort_conn_close(c);
	return NULL;
}

TEST(wait, serves_callers_peers_children_and_a_bell_in_one_call)
{
	enum { LISTENER, CHILD, BELL, PEER };
	struct hall h = {.options = {.name = "caller"}};
	struct cohort_wait_item items[4] = {{0}};
	struct cohort_process *p;
	struct cohort_conn *peer = NULL;
	uint64_t one = 1;
	bool heard = false;
	pthread_t thread;

	REQUIRE_EQ(cohort_init(&test_argc, &test_argv, NULL), 0);
	REQUIRE_EQ(cohort_process_start(&p, NULL, NULL, "idle"), 0);
	h.key = hall_key();
	h.options.key = h.key;
	REQUIRE_EQ(cohort_listen(&h.listener, "tcp://127.0.0.1:0", &h.options, NULL), 0);
	coh_listener_identity(h.listener)->uuid[0] ^= 1;
	items[LISTENER].fd = cohort_listener_fd(h.listener);
	items[CHILD].fd = cohort_process_sentinel(p);
	items[BELL].fd = eventfd(0, EFD_CLOEXEC);
	CHECK_EQ(cohort_wait(items, 3, COHORT_NOW), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, caller, &h), 0);
	while (!heard) {
		REQUIRE(cohort_wait(items, peer != NULL ? 4 : 3, soon()) > 0);
		CHECK(!items[CHILD].ready && !items[BELL].ready);
		if (items[LISTENER].ready && peer == NULL &&
		    cohort_listener_accept(h.listener, &peer, COHORT_NOW, NULL) == 0)
			items[PEER].conn = peer;
		heard = peer != NULL && items[PEER].ready;
	}
	CHECK_EQ(write(items[BELL].fd, &one, sizeof one), sizeof one);
	CHECK_EQ(cohort_process_kill(p), 0);
	CHECK_EQ(cohort_wait(items + CHILD, 1, soon()), 1);
	CHECK_EQ(cohort_wait(items, 4, soon()), 3);
	CHECK(!items[LISTENER].ready && items[CHILD].ready && items[BELL].ready);
	cohort_conn_close(peer);
	pthread_join(thread, NULL);
	CHECK_EQ(cohort_process_join(p, soon()), 0);
	cohort_process_free(p);
	close(items[BELL].fd);
	cohort_listener_close(h.listener);
	cohort_key_free(h.key);
}
