/*
 * pool_tasks.c - the tasks that the pool's tests run, in whatever process or thread.
 */
#include <cohort/process.h>
#include <cohort/task.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int square(struct cohort_call *call)
{
	int32_t x;
	int64_t y;

	cohort_call_args(call, &x);
	y = (int64_t)x * x;
	return cohort_call_result(call, &y);
}
COHORT_TASK(square, "i", "I");

static int echo(struct cohort_call *call)
{
	const char *text;

	cohort_call_args(call, &text);
	return cohort_call_result(call, &text);
}
COHORT_TASK(echo, "s", "s");

/* "a b b" -> the words of a text, one by one. */
static int split(struct cohort_call *call)
{
	char copy[256], *word, *rest;
	const char *text;
	uint64_t length;

	cohort_call_args(call, &text);
	snprintf(copy, sizeof copy, "%s", text);
	for (word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		length = strlen(word);
		if (cohort_call_result_row(call, 1, &word, &length) != 0)
			return -ENOMEM;
	}
	return 0;
}
COHORT_TASK(split, "s", "A(sU)");

/* The sum of the elements. */
static int total(struct cohort_call *call)
{
	int64_t sum = 0;
	int32_t x;

	while (cohort_call_args_row(call, 1, &x) > 0)
		sum += x;
	return cohort_call_result(call, &sum);
}
COHORT_TASK(total, "A(i)", "I");

static int blob(struct cohort_call *call)
{
	struct cohort_bytes bytes;
	uint64_t size;
	void *data;
	int rc;

	cohort_call_args(call, &size);
	data = calloc(1, size);
	if (data == NULL)
		return -ENOMEM;
	bytes = (struct cohort_bytes){data, size};
	rc = cohort_call_result(call, &bytes);
	free(data);
	return rc;
}
COHORT_TASK(blob, "U", "B");

static int weigh(struct cohort_call *call)
{
	struct cohort_bytes bytes;
	uint64_t size;

	cohort_call_args(call, &bytes);
	size = bytes.size;
	return cohort_call_result(call, &size);
}
COHORT_TASK(weigh, "B", "U");

static int refuse(struct cohort_call *call)
{
	return cohort_call_fail(call, "no, said %s", "the task");
}
COHORT_TASK(refuse, "", "i");

static int whoami(struct cohort_call *call)
{
	int32_t pid = getpid();

	return cohort_call_result(call, &pid);
}
COHORT_TASK(whoami, "", "i");

/* Die by signal N, or exit when N is 0; appends a byte to FILE first, so that runs can be counted. */
static int die(struct cohort_call *call)
{
	const char *file;
	int32_t n;
	int fd;

	cohort_call_args(call, &file, &n);
	fd = open(file, O_WRONLY | O_APPEND | O_CREAT, 0600);
	if (fd >= 0 && write(fd, "x", 1) == 1)
		close(fd);
	if (n == 0)
		_exit(7);
	signal(n, SIG_DFL);
	raise(n);
	return 0;
}
COHORT_TASK(die, "si", "");

/* Die the first time, when FILE is not there; succeed the second. */
static int die_once(struct cohort_call *call)
{
	const char *file;
	int32_t one = 1;

	cohort_call_args(call, &file);
	if (open(file, O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0)
		raise(SIGKILL);
	return cohort_call_result(call, &one);
}
COHORT_TASK(die_once, "s", "i");

/* Die the first time in the middle of saying the result; succeed the second. */
static int die_speaking(struct cohort_call *call)
{
	static const unsigned char half[] = {0x43, 0xc7, 1, 0x31, 0, 1, 0, 0, 0, 0, 0, 9};
	const char *file;
	int32_t one = 1;
	struct stat st;

	cohort_call_args(call, &file);
	if (open(file, O_WRONLY | O_CREAT | O_EXCL, 0600) < 0)
		return cohort_call_result(call, &one);
	for (int fd = 3; fd < 20; fd++) /* the connection to the pool is one of these */
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
		    write(fd, half, sizeof half) != (ssize_t)sizeof half)
			return -EPIPE;
	return raise(SIGKILL);
}
COHORT_TASK(die_speaking, "s", "i");

/* Say one is running by opening the FIFO, then never end. */
static int loop(struct cohort_call *call)
{
	const char *fifo;

	cohort_call_args(call, &fifo);
	if (open(fifo, O_WRONLY) < 0)
		return -errno;
	for (;;)
		pause();
}
COHORT_TASK(loop, "s", "");

/* Say one is running by opening the FIFO, and end when its other end is closed. */
static int held(struct cohort_call *call)
{
	const char *fifo;
	char byte;
	int fd;

	cohort_call_args(call, &fifo);
	fd = open(fifo, O_RDONLY);
	if (fd < 0 || read(fd, &byte, 1) < 0)
		return -errno;
	return close(fd);
}
COHORT_TASK(held, "s", "");

static _Thread_local int32_t prepared; /* the initializer runs in each worker */

static int prepare(struct cohort_call *call)
{
	cohort_call_args(call, &prepared);
	return 0;
}
COHORT_TASK(prepare, "i", "");

static int prepared_with(struct cohort_call *call)
{
	return cohort_call_result(call, &prepared);
}
COHORT_TASK(prepared_with, "", "i");

static int unprepared(struct cohort_call *call)
{
	return cohort_call_fail(call, "the licence has run out");
}
COHORT_TASK(unprepared, "", "");

/* A failure with a code of the task's own. */
static int missing(struct cohort_call *call)
{
	(void)call;
	return -ENOENT;
}
COHORT_TASK(missing, "", "");

static int positive(struct cohort_call *call)
{
	(void)call;
	return 3;
}
COHORT_TASK(positive, "", "");

static int silent(struct cohort_call *call)
{
	(void)call;
	return 0; /* gives no result, though its format has one */
}
COHORT_TASK(silent, "", "i");
