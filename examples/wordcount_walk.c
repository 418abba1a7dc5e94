/*
 * wordcount_walk.c - fts(3), one step at a time, and large files cut into slices.
 */
#include "wordcount_walk.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
	FTS *fts;
	char **roots;
	walk_problem_fn problem;
	void *arg;
	struct slice slice;    /* the one given last */
	uint64_t size, files;  /* of its file, 0 when no further slice is to come; files so far */
};

static char *absolute(const char *path)
{
	char *cwd, *out = NULL;

	if (path[0] == '/')
		return strdup(path);
	if ((cwd = getcwd(NULL, 0)) != NULL && asprintf(&out, "%s/%s", cwd, path) < 0)
		out = NULL;
	free(cwd);
	return out;
}

struct walk *walk_open(const char *const *roots, walk_problem_fn problem, void *arg)
{
	struct walk *w = calloc(1, sizeof *w);
	size_t n = 0;

	while (roots[n] != NULL)
		n++;
	if (w == NULL || (w->roots = calloc(n + 1, sizeof *w->roots)) == NULL)
		goto fail;
	w->problem = problem;
	w->arg = arg;
	for (size_t i = 0; i < n; i++)
		if ((w->roots[i] = absolute(roots[i])) == NULL)
			goto fail;
	if ((w->fts = fts_open(w->roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL)) == NULL)
		goto fail;
	return w;
fail:
	walk_close(w);
	return NULL;
}

static void walk_tell(struct walk *w, const FTSENT *e)
{
	char text[SLICE_PROBLEM];

	snprintf(text, sizeof text, "%s: %s", e->fts_path, strerror(e->fts_errno));
	w->problem(text, w->arg);
}

/* The next regular file that fts finds; NULL at the end. */
static const FTSENT *walk_file(struct walk *w)
{
	const FTSENT *e;

	while ((e = fts_read(w->fts)) != NULL) {
		if (e->fts_info == FTS_F)
			return e;
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
			walk_tell(w, e);
	}
	return NULL;
}

static bool sliceable(const FTSENT *e)
{
	size_t n = e->fts_namelen;

	return n < 3 || strcmp(e->fts_name + n - 3, ".gz") != 0;
}

bool walk_next(struct walk *w, struct slice *slice)
{
	const FTSENT *e;

	if (w->size > 0) {
		w->slice.from = w->slice.to;
	} else if ((e = walk_file(w)) != NULL) {
		w->slice = (struct slice){.path = e->fts_path};
		w->size = sliceable(e) ? (uint64_t)e->fts_statp->st_size : 0;
		w->files++;
	} else {
		return false;
	}
	w->slice.to = w->slice.from + SLICE_BYTES;
	if (w->slice.to >= w->size) {
		w->slice.to = UINT64_MAX; /* also what was written to it since */
		w->size = 0;
	}
	*slice = w->slice;
	return true;
}

static void walk_hush(const char *problem, void *arg)
{
	(void)problem;
	(void)arg;
}

uint64_t walk_count(const char *const *roots)
{
	struct walk *w = walk_open(roots, walk_hush, NULL);
	struct slice slice;
	uint64_t n = 0;

	while (w != NULL && walk_next(w, &slice))
		n++;
	walk_close(w);
	return n;
}

uint64_t walk_files(const struct walk *w)
{
	return w->files;
}

void walk_close(struct walk *w)
{
	if (w == NULL)
		return;
	if (w->fts != NULL)
		fts_close(w->fts);
	for (size_t i = 0; w->roots != NULL && w->roots[i] != NULL; i++)
		free(w->roots[i]);
	free(w->roots);
	free(w);
}
