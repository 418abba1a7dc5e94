/*
 * wordcount_slice.c - reading a slice of a file, a .gz file through zlib, into a table of words.
 *
 * Files are read rather than mapped: one that shrinks meanwhile ends early, where a mapping
 * would kill the worker.
 */
#include "wordcount_slice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define PART ((size_t)64 << 10) /* read at a time: stays in the cache */

/* A file being read; gz is NULL for one that is not compressed. */
struct source {
	int fd;
	gzFile gz;
	const char *problem; /* why it failed */
};

static bool is_gz(const char *path)
{
	size_t n = strlen(path);

	return n > 3 && strcmp(path + n - 3, ".gz") == 0;
}

static void source_close(struct source *s)
{
	if (s->gz != NULL)
		gzclose_r(s->gz);
	else if (s->fd >= 0)
		close(s->fd);
}

static bool source_open(struct source *s, const struct slice *slice)
{
	struct stat st;

	*s = (struct source){.fd = open(slice->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		s->problem = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		s->problem = "not a regular file any more";
	else if (slice->from > 0 && lseek(s->fd, (off_t)slice->from, SEEK_SET) < 0)
		s->problem = strerror(errno);
	else if (is_gz(slice->path) && (s->gz = gzdopen(s->fd, "rb")) == NULL)
		s->problem = strerror(ENOMEM);
	if (s->gz != NULL)
		gzbuffer(s->gz, (unsigned)PART);
	return s->problem == NULL;
}

/* The next bytes: how many, 0 at the end, -1 with the problem told. */
static ssize_t source_read(struct source *s, unsigned char *buf, size_t size)
{
	ssize_t n;
	int code = Z_OK;

	if (s->gz == NULL) {
		while ((n = read(s->fd, buf, size)) < 0 && errno == EINTR)
			continue;
		if (n < 0)
			s->problem = strerror(errno);
		return n;
	}
	n = gzread(s->gz, buf, (unsigned)size);
	if (n <= 0)
		s->problem = gzerror(s->gz, &code);
	if (code == Z_ERRNO)
		s->problem = strerror(errno);
	return code == Z_OK || code == Z_STREAM_END ? n : -1;
}

static const unsigned char *separator(const unsigned char *p, const unsigned char *end)
{
	while (p < end && words_letter(*p))
		p++;
	return p;
}

/* Feed the words of the slice out of what the source gives; 0, -errno, or -EIO with a problem. */
static int slice_feed(
    const struct slice *s, struct source *source, struct words *words, uint64_t *bytes)
{
	unsigned char buf[PART];
	const unsigned char *p, *end, *last;
	bool skipping = s->from > 0;
	uint64_t at = s->from, left;
	ssize_t n;
	int r = 0;

	for (last = NULL; last == NULL; at += (uint64_t)n) {
		if ((n = source_read(source, buf, sizeof buf)) <= 0)
			return n < 0 ? -EIO : words_end(words);
		end = buf + n;
		left = at < s->to ? s->to - at : 0; /* bytes of buf that are the slice's own */
		*bytes += left < (uint64_t)n ? left : (uint64_t)n;
		p = skipping ? separator(buf, end) : buf;
		skipping = skipping && p == end;
		if (left < (uint64_t)n) {
			last = separator(p > buf + left ? p : buf + left, end);
			if (last == end)
				last = skipping ? end : NULL; /* skipped past the end: nothing is ours */
			else
				end = last;
		}
		if ((r = words_feed(words, p, (size_t)(end - p))) < 0)
			return r;
	}
	return words_end(words);
}

bool slice_count(const struct slice *s, struct words *words, uint64_t *bytes,
    char problem[SLICE_PROBLEM])
{
	struct source source;
	int r = -EIO;

	if (source_open(&source, s))
		r = slice_feed(s, &source, words, bytes);
	if (r < 0) {
		snprintf(problem, SLICE_PROBLEM, "%s: %s", s->path,
		    source.problem != NULL ? source.problem
			: r == -E2BIG      ? "a word of more than a million letters"
					   : strerror(-r));
	}
	source_close(&source);
	return r == 0;
}
