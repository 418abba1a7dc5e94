/*
 * test_rotation.c - a cluster goes from one key to another while it works, and no task fails.
 *
 * The program listens, two nodes call home.  In each of the three steps the new file comes to one machine
 * after the other; after each of them both nodes are ended and started anew, so that every mixture of
 * old and new files is dialled through.  Tasks are submitted all the while.
 */
#include "contract/pool_fixture.h"
#include "trust/keyfile.h"

#include <cohort/cohort.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE cohort_in(test_span(20 * COHORT_SECOND))
#define NODES 2
#define BURST 64

struct machine {
	char file[300]; /* its copy of the key file */
	char name[16];
	int pid;
	int words; /* what the node says comes out here */
};

struct cluster {
	const char *key; /* the file that is changed, and then copied */
	struct cohort_pool *pool;
	char file[300]; /* the program's own copy */
	struct machine nodes[NODES];
	pthread_t load;
	atomic_bool enough;
	atomic_int done, failed;
};

/* The key file as it is now, in the place of FILE. */
static void copy_key(const struct cluster *c, const char *file)
{
	const char *new = test_path("copy");

	REQUIRE_EQ(link(c->key, new), 0);
	REQUIRE_EQ(rename(new, file), 0);
	unlink(new); /* when both were the same already, nothing was renamed */
}

static void node_start(struct cluster *c, struct machine *m)
{
	const char *command = getenv("COHORT_COMMAND"), *home = cohort_pool_address(c->pool);
	int fds[2];

	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	m->words = fds[0];
	m->pid = test_fork();
	if (m->pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		execl(command, command, "node", "--join", home, "--key", m->file, "--name", m->name,
		    "--slots", "1", (char *)NULL);
		_exit(127);
	}
	REQUIRE(m->pid > 0);
	close(fds[1]);
}

static void node_stop(struct machine *m)
{
	int status = -1;

	kill(m->pid, SIGTERM);
	REQUIRE_EQ(waitpid(m->pid, &status, 0), m->pid);
	CHECK_EQ(status, 0);
	close(m->words);
}

/* Send SIGHUP, and hear that the files are read again. */
static void node_tell(struct machine *m)
{
	struct pollfd p = {.fd = m->words, .events = POLLIN};
	char said[4096];
	size_t n = 0;
	ssize_t got;

	REQUIRE_EQ(kill(m->pid, SIGHUP), 0);
	do {
		REQUIRE_EQ(poll(&p, 1, (int)(test_span(20 * COHORT_SECOND) / COHORT_MS)), 1);
		got = read(m->words, said + n, sizeof said - 1 - n);
		REQUIRE(got > 0);
		n += (size_t)got;
		said[n] = '\0';
	} while (strstr(said, "SIGHUP") == NULL || said[n - 1] != '\n');
	CHECK_HAS(said, "read again");
}

static int one_burst(struct cohort_pool *p)
{
	struct cohort_future *f[BURST];
	int32_t x = 0;
	int64_t y;
	int failed = 0, n = 0;

	for (; n < BURST; n++, x++)
		if (cohort_pool_submit(p, &f[n], NULL, "square", &x) != 0)
			break;
	for (int i = 0; i < n; i++) {
		failed += cohort_future_get(f[i], PATIENCE, NULL, &y) != 0 || y != (int64_t)i * i;
		cohort_future_free(f[i]);
	}
	return failed + BURST - n;
}

static void *load_main(void *arg)
{
	struct cluster *c = arg;

	while (!atomic_load(&c->enough)) {
		atomic_fetch_add(&c->failed, one_burst(c->pool));
		atomic_fetch_add(&c->done, BURST);
	}
	return NULL;
}

/* Until COUNT nodes are there, with work as the clock. */
static void are_here(struct cluster *c, unsigned count)
{
	cohort_time deadline = PATIENCE;
	int32_t x = 1;
	int64_t y;

	while (pool_stats(c->pool).members != count && cohort_now() < deadline)
		CHECK_EQ(cohort_pool_apply(c->pool, deadline, NULL, "square", &x, &y), 0);
	CHECK_EQ(pool_stats(c->pool).members, count);
}

static void cluster_open(struct cluster *c, const char *address)
{
	struct cohort_pool_options o = {.retries = 200}; /* nodes are ended on purpose, again and again */
	struct cohort_error err = {0};

	memset(c, 0, sizeof *c);
	pool_program();
	c->key = pool_key();
	snprintf(c->file, sizeof c->file, "%s", test_path("key.program"));
	copy_key(c, c->file);
	o.key_file = c->file;
	if (cohort_pool_open(&c->pool, address, &o, &err) != 0) {
		FAIL("%s", err.text);
		REQUIRE(false);
	}
	for (int i = 0; i < NODES; i++) {
		snprintf(c->nodes[i].name, sizeof c->nodes[i].name, "node%d", i);
		snprintf(c->nodes[i].file, sizeof c->nodes[i].file, "%s", test_path(c->nodes[i].name));
		copy_key(c, c->nodes[i].file);
		node_start(c, &c->nodes[i]);
	}
	are_here(c, NODES);
	REQUIRE_EQ(pthread_create(&c->load, NULL, load_main, c), 0);
}

static void cluster_close(struct cluster *c)
{
	atomic_store(&c->enough, true);
	pthread_join(c->load, NULL);
	printf("%d tasks, %d of them failed\n", atomic_load(&c->done), atomic_load(&c->failed));
	CHECK_EQ(atomic_load(&c->failed), 0);
	CHECK(atomic_load(&c->done) > 0);
	cohort_pool_free(c->pool);
	for (int i = 0; i < NODES; i++)
		node_stop(&c->nodes[i]);
}

/* The new file reaches machine WHICH; NODES is the program's own. */
static void reaches(struct cluster *c, int which)
{
	struct cohort_error err = {0};

	copy_key(c, which == NODES ? c->file : c->nodes[which].file);
	if (which < NODES)
		node_tell(&c->nodes[which]);
	else if (!CHECK_EQ(cohort_pool_reload(c->pool, &err), 0))
		FAIL("%s", err.text);
}

/* Every node gets in again with the file it has. */
static void rejoin(struct cluster *c)
{
	for (int i = 0; i < NODES; i++) {
		node_stop(&c->nodes[i]);
		are_here(c, NODES - 1); /* its end is noticed: the next to be counted is the new one */
		node_start(c, &c->nodes[i]);
		are_here(c, NODES);
	}
}

static void goes_over(const char *address)
{
	static const enum coh_keyfile_step steps[] = {
	    COH_KEYFILE_ADD, COH_KEYFILE_SWAP, COH_KEYFILE_DROP};
	struct cluster c;

	cluster_open(&c, address);
	for (int step = 0; step < 3; step++) {
		REQUIRE_EQ(coh_keyfile_rotate(c.key, steps[step], NULL), 0);
		for (int i = 0; i <= NODES; i++) {
			reaches(&c, (step + i) % (NODES + 1)); /* another one first each time */
			rejoin(&c);
		}
	}
	cluster_close(&c);
}

TEST_TIMEOUT(rotation, under_load_fails_no_task, 60)
{
	goes_over("listen:tcp://127.0.0.1:0");
}

TEST_TIMEOUT(rotation, under_load_and_tls_fails_no_task, 60)
{
	goes_over("listen:tls://127.0.0.1:0");
}
