/*
 * block.c - the figure of large messages on one machine: 64 MiB by memory that both ends map.
 *
 * The peer is what one would write by hand: a memfd mapped on both sides and used again and
 * again; the message is copied in, a byte over the socket says so, the reader looks at one byte
 * of each page where it lies, and says so by a byte back.  Ours is a message of plain bytes, read
 * likewise, and a message of one byte back.
 */
#include "bench.h"

#include "conn/conn_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE ((size_t)64 << 20)
#define WARM 8 /* not timed: the first ones go by the socket or make the pages */
#define COUNT 20
#define PAGE 4096

static long look_at(const char *data)
{
	long sum = 0;

	for (size_t i = 0; i < SIZE; i += PAGE)
		sum += data[i];
	return sum;
}

/* The message, of ones; NULL when there is no memory. */
static char *message(void)
{
	char *p = malloc(SIZE);

	if (p != NULL)
		memset(p, 1, SIZE);
	return p;
}

/* ---- ours ---- */

struct ends {
	struct cohort_conn *a, *b;
};

static int reader(void *arg)
{
	struct ends *e = arg;
	const void *data;
	size_t size;
	int rc = 0;

	cohort_conn_close(e->a);
	while (rc == 0) {
		rc = cohort_conn_recv_bytes(e->b, &data, &size, COHORT_FOREVER);
		if (rc == 0 && (size != SIZE || look_at(data) != (long)(SIZE / PAGE)))
			return 1;
		if (rc == 0)
			rc = cohort_conn_send_bytes(e->b, "", 1, COHORT_FOREVER);
	}
	return rc == COHORT_EOF ? 0 : 1;
}

/* Send one and hear that it was read. */
static int once(struct cohort_conn *c, const char *data)
{
	const void *answer;
	size_t size;
	int rc = cohort_conn_send_bytes(c, data, SIZE, COHORT_FOREVER);

	return rc == 0 ? cohort_conn_recv_bytes(c, &answer, &size, COHORT_FOREVER) : rc;
}

static int ours(const void *unused, double *bytes_per_s)
{
	char *data = message();
	struct ends e;
	int64_t start = 0;
	pid_t pid;
	int rc = data == NULL ? -1 : cohort_conn_pair(&e.a, &e.b, NULL);

	(void)unused;
	if (rc != 0)
		return BENCH_FAILED;
	pid = bench_peer(reader, &e);
	bench_pin(0);
	cohort_conn_close(e.b);
	for (int i = 0; i < WARM + COUNT && rc == 0; i++) {
		if (i == WARM)
			start = bench_now();
		rc = once(e.a, data);
	}
	*bytes_per_s = (double)SIZE * COUNT / bench_since(start);
	if (rc != 0)
		bench_say(BENCH_FAILED, "%s", cohort_conn_error(e.a));
	cohort_conn_close(e.a);
	free(data);
	return bench_reap(pid) == BENCH_OK && rc == 0 ? BENCH_OK : BENCH_FAILED;
}

/* ---- bare calls ---- */

struct bare {
	int fds[2], memory;
};

static char *bare_map(const struct bare *b, int protection)
{
	void *p = mmap(NULL, SIZE, protection, MAP_SHARED, b->memory, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int bare_reader(void *arg)
{
	struct bare *b = arg;
	char *p = bare_map(b, PROT_READ), byte;

	close(b->fds[0]);
	if (p == NULL)
		return 1;
	while (bench_read(b->fds[1], &byte, 1) == 0)
		if (look_at(p) != (long)(SIZE / PAGE) || bench_write(b->fds[1], &byte, 1) != 0)
			return 1;
	return 0;
}

static int bare(const void *unused, double *bytes_per_s)
{
	struct bare b = {.memory = memfd_create("bare", MFD_CLOEXEC)};
	char *data = message(), *p, byte = 0;
	int64_t start = 0;
	pid_t pid;
	int rc = 0;

	(void)unused;
	if (b.memory < 0 || ftruncate(b.memory, (off_t)SIZE) != 0 || data == NULL ||
	    bench_pair(BENCH_SOCKETPAIR, b.fds) != BENCH_OK)
		return BENCH_FAILED;
	p = bare_map(&b, PROT_READ | PROT_WRITE);
	pid = bench_peer(bare_reader, &b);
	bench_pin(0);
	close(b.fds[1]);
	for (int i = 0; i < WARM + COUNT && rc == 0 && p != NULL; i++) {
		if (i == WARM)
			start = bench_now();
		memcpy(p, data, SIZE);
		rc = bench_write(b.fds[0], &byte, 1);
		if (rc == 0)
			rc = bench_read_answer(b.fds[0], &byte, 1);
	}
	*bytes_per_s = (double)SIZE * COUNT / bench_since(start);
	close(b.fds[0]);
	close(b.memory);
	if (p != NULL)
		munmap(p, SIZE);
	free(data);
	return bench_reap(pid) == BENCH_OK && rc == 0 && p != NULL ? BENCH_OK : BENCH_FAILED;
}

static const struct bench_figure figures[] = {
	{
	    .name = "block.message_64MiB",
	    .unit = "bytes/s",
	    .ours = {"ours", ours, NULL},
	    .peer = {"memfd by hand", bare, NULL},
	    .bar = 0.8,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
