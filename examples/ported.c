/*
 * ported.c - a small threaded program: a producer, workers, results; and the same in processes, and on machines.
 *
 * As it was written, everything is a thread of one process:
 *
 *	ported local:
 *
 * In processes of this machine; the workers may be started first, or later, or more of them:
 *
 *	ported local:primes work &
 *	ported local:primes work &
 *	ported local:primes lead
 *
 * With the workers elsewhere; all of them need the same key (`cohort keygen FILE`, COHORT_KEY_FILE=FILE), nothing else is
 * prepared there:
 *
 *	ported tls://hub:4700/primes serve &       on hub
 *	ported tls://hub:4700/primes work          anywhere
 *	ported tls://hub:4700/primes lead          anywhere
 *
 * What differs is the address.  The functions of the producer, the workers and the results do not know it.  (`lead` is the
 * producer and the results; to run all of it over TLS on one machine write tls://127.0.0.1:4700/primes; tests/cluster/
 * 30_ported.sh does it across two network namespaces.)
 */
#include <cohort/cohort.h>
#include <cohort/server.h>
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS 200    /* ranges of RANGE numbers, of which the primes are counted */
#define RANGE 500
#define THREADS 4
#define AHEAD 20    /* jobs that may wait: the producer is never far ahead */

static struct cohort_queue *jobs, *results;

static struct cohort_message *message(const char *format)
{
	struct cohort_message *m;

	if (cohort_message_new(&m, format, NULL) != 0)
		errx(1, "no memory");
	return m;
}

/* ---- the program ---- */

static void *produce(void *arg)
{
	struct cohort_message *m = message("u");

	for (uint32_t i = 0; i < JOBS; i++) {
		uint32_t from = i * RANGE;

		cohort_message_pack(m, 0, &from);
		if (cohort_queue_put(jobs, m, COHORT_FOREVER) != 0)
			errx(1, "put: %s", cohort_queue_error(jobs));
	}
	cohort_message_free(m);
	return arg;
}

static int prime(uint32_t n)
{
	for (uint32_t d = 2; d * d <= n; d++)
		if (n % d == 0)
			return 0;
	return n >= 2;
}

/* Until there is no more work. */
static void *work(void *arg)
{
	struct cohort_message *job = message("u"), *result = message("uu");
	uint32_t from, count;
	int rc;

	while ((rc = cohort_queue_get(jobs, job, COHORT_FOREVER)) == 0) {
		cohort_message_unpack(job, 0, &from);
		count = 0;
		for (uint32_t n = from; n < from + RANGE; n++)
			count += (uint32_t)prime(n);
		cohort_message_pack(result, 0, &from, &count);
		if (cohort_queue_put(results, result, COHORT_FOREVER) != 0)
			errx(1, "put: %s", cohort_queue_error(results));
	}
	if (rc != COHORT_ESHUTDOWN)
		errx(1, "get: %s", cohort_queue_error(jobs));
	cohort_message_free(job);
	cohort_message_free(result);
	return arg;
}

static void collect(void)
{
	struct cohort_message *m = message("uu");
	uint32_t from, count, sum = 0;

	for (int i = 0; i < JOBS; i++) {
		if (cohort_queue_get(results, m, COHORT_FOREVER) != 0)
			errx(1, "get: %s", cohort_queue_error(results));
		cohort_message_unpack(m, 0, &from, &count);
		sum += count;
	}
	printf("%u primes below %d\n", sum, JOBS * RANGE);
	cohort_message_free(m);
	cohort_queue_shutdown(jobs, COHORT_SHUTDOWN_DRAIN); /* the workers go home */
}

/* ---- where it runs ---- */

static struct cohort_queue *queue(const char *address, const char *which, struct cohort_queue_options o)
{
	struct cohort_queue *q;
	struct cohort_error e;
	char full[400];

	snprintf(full, sizeof full, "%s%s", address, strcmp(address, "local:") == 0 ? "" : which);
	if (cohort_queue_open(&q, full, &o, &e) != 0)
		errx(1, "%s", e.text);
	return q;
}

static void lead(int workers)
{
	pthread_t producer, worker[THREADS];

	pthread_create(&producer, NULL, produce, NULL);
	for (int i = 0; i < workers; i++)
		pthread_create(&worker[i], NULL, work, NULL);
	collect();
	pthread_join(producer, NULL);
	for (int i = 0; i < workers; i++)
		pthread_join(worker[i], NULL);
}

/* Publish both queues at ADDRESS until SIGTERM. */
static void serve(const char *address)
{
	struct cohort_server *s;
	struct cohort_error e;
	char where[400], name[300];
	const char *slash = strrchr(address, '/');
	sigset_t term;
	int sig;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	snprintf(where, sizeof where, "%.*s", (int)(slash - address), address);
	if (cohort_server_open(&s, where, NULL, &e) != 0)
		errx(1, "%s", e.text);
	snprintf(name, sizeof name, "%s-jobs", slash + 1);
	if (cohort_server_publish(s, name, jobs, &e) != 0)
		errx(1, "%s", e.text);
	snprintf(name, sizeof name, "%s-results", slash + 1);
	if (cohort_server_publish(s, name, results, &e) != 0)
		errx(1, "%s", e.text);
	printf("serving at %s\n", cohort_server_address(s));
	fflush(stdout);
	sigwait(&term, &sig);
	cohort_server_close(s);
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "local:", *role = argc > 2 ? argv[2] : "all";
	const char *queues = strcmp(role, "serve") == 0 ? "local:" : address;

	if (argc > 3 || (strcmp(role, "serve") == 0 && strrchr(address, '/') == NULL))
		errx(2, "usage: ported [ADDRESS [all|lead|work|serve]]");
	jobs = queue(queues, "-jobs", (struct cohort_queue_options){.most = AHEAD, .format = "u"});
	results = queue(queues, "-results", (struct cohort_queue_options){.format = "uu"});
	if (strcmp(role, "serve") == 0)
		serve(address);
	else if (strcmp(role, "work") == 0) {
		puts("at work");
		fflush(stdout);
		work(NULL);
	} else
		lead(strcmp(role, "all") == 0 ? THREADS : 0);
	cohort_queue_close(jobs, COHORT_NOW);
	cohort_queue_close(results, COHORT_NOW);
	return 0;
}
