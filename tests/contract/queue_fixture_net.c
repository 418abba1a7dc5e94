/* queue_fixture_net.c - queues of a server in another process, for the contract of queues. */
#include "contract/queue_fixture.h"
#include "net/served.h"

#include <string.h>

#define QUEUES 8 /* at a time, of one test */

static struct {
	struct cohort_queue *q; /* NULL: free */
	struct served served;
} all[QUEUES];

static struct cohort_queue *net_open(const char *kind, const struct cohort_queue_options *options)
{
	int i = 0;

	while (i < QUEUES - 1 && all[i].q != NULL)
		i++;
	REQUIRE(all[i].q == NULL);
	served_begin(&all[i].served, kind, options);
	all[i].q = served_open(&all[i].served);
	return all[i].q;
}

static struct cohort_queue *net_again(struct cohort_queue *q)
{
	for (int i = 0; i < QUEUES; i++)
		if (all[i].q != NULL && strcmp(cohort_queue_address(q), all[i].served.address) == 0)
			return served_open(&all[i].served);
	return NULL;
}

static void net_close(struct cohort_queue *q)
{
	for (int i = 0; i < QUEUES; i++)
		if (all[i].q == q) {
			all[i].q = NULL;
			served_end(&all[i].served);
		}
}

const struct queue_fixture_net queue_fixture_net = {net_open, net_again, net_close};
