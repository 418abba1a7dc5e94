/*
 * inherit.c - tables of names and descriptors: this process's, and the thread's scope.
 */
#include "sync/inherit.h"

#include "base/err.h"
#include "os/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct coh_inherit own; /* filled at a child's birth, while it has one thread */
static unsigned life;
static _Thread_local const struct coh_inherit *scope;

static const struct coh_inherit_entry *find(const struct coh_inherit *t, const char *name)
{
	for (int i = 0; t != NULL && i < t->count; i++)
		if (strcmp(t->entry[i].name, name) == 0)
			return &t->entry[i];
	return NULL;
}

int coh_inherit_add(struct coh_inherit *t, const char *name, const int *fds, int n)
{
	struct coh_inherit_entry *e;

	if (!coh_name_valid(name, strnlen(name, COH_NAME_MAX + 1)))
		return COHORT_ENAME;
	if (n < 1 || n > COH_HERITAGE_SHARE_FDS || t->count == COH_HERITAGE_SHARES)
		return COHORT_EARGUMENT;
	if (find(t, name) != NULL)
		return -EEXIST;
	e = &t->entry[t->count++];
	snprintf(e->name, sizeof e->name, "%s", name);
	memcpy(e->fd, fds, (size_t)n * sizeof *fds);
	e->n = n;
	return 0;
}

static void close_some(int *fds, int n)
{
	while (n > 0)
		coh_fd_close(&fds[--n]);
}

static int dup_all(const struct coh_inherit_entry *e, int *fds)
{
	for (int i = 0; i < e->n; i++) {
		int fd = coh_fd_dup(e->fd[i]);

		if (fd < 0) {
			close_some(fds, i);
			return fd;
		}
		fds[i] = fd;
	}
	return e->n;
}

void coh_inherit_close(struct coh_inherit *t)
{
	while (t->count > 0) {
		struct coh_inherit_entry *e = &t->entry[--t->count];

		close_some(e->fd, e->n);
	}
}

int coh_inherit_keep(struct coh_inherit *t)
{
	struct coh_inherit kept = {.count = 0};
	int rc = 0;

	for (; rc >= 0 && kept.count < t->count; kept.count += rc >= 0) {
		kept.entry[kept.count] = t->entry[kept.count];
		rc = dup_all(&t->entry[kept.count], kept.entry[kept.count].fd);
	}
	if (rc < 0) {
		coh_inherit_close(&kept);
		return rc;
	}
	*t = kept;
	return 0;
}

int coh_inherit_begin(const struct coh_heritage *h)
{
	int rc = 0;

	own.count = 0;
	scope = NULL;
	life++;
	for (int i = 0; rc == 0 && i < h->shares; i++)
		rc = coh_inherit_add(&own, h->share[i].name, h->share[i].fd, h->share[i].n);
	return rc;
}

unsigned coh_inherit_life(void)
{
	return life;
}

const struct coh_inherit *coh_inherit_scope(const struct coh_inherit *t)
{
	const struct coh_inherit *was = scope;

	scope = t;
	return was;
}

int coh_inherit_dup(const char *name, int fds[COH_HERITAGE_SHARE_FDS], struct cohort_error *err)
{
	const struct coh_inherit_entry *e = find(scope, name);
	int rc;

	if (e == NULL)
		e = find(&own, name);
	if (e == NULL)
		return coh_fail(err, -ENOENT,
		    "inherit:%.64s: this process inherited no shared object of that name (it has "
		    "%d); share it with the process or pool when that is started",
		    name, own.count + (scope != NULL ? scope->count : 0));
	rc = dup_all(e, fds);
	return rc < 0 ? coh_fail_errno(err, -rc, "inherit:%s: descriptors", name) : rc;
}
