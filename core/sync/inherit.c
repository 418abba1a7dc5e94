/*
 * inherit.c - a table of names and descriptors.
 */
#include "sync/inherit.h"

#include "base/err.h"
#include "base/name.h"
#include "os/fd.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct entry {
	char name[COH_NAME_MAX + 1];
	int fd[COH_INHERIT_FDS];
	int n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards both below */
static struct entry entries[COH_INHERIT_MAX];
static int count;

/* With the lock held. */
static const struct entry *find(const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	return NULL;
}

static int add(const char *name, const int *fds, int n)
{
	struct entry *e;

	if (find(name) != NULL)
		return -EEXIST;
	if (count == COH_INHERIT_MAX)
		return COHORT_EARGUMENT;
	e = &entries[count++];
	snprintf(e->name, sizeof e->name, "%s", name);
	memcpy(e->fd, fds, (size_t)n * sizeof *fds);
	e->n = n;
	return 0;
}

int coh_inherit_add(const char *name, const int *fds, int n)
{
	int rc;

	if (!coh_name_valid(name, strlen(name)))
		return COHORT_ENAME;
	if (n < 1 || n > COH_INHERIT_FDS)
		return COHORT_EARGUMENT;
	pthread_mutex_lock(&lock);
	rc = add(name, fds, n);
	pthread_mutex_unlock(&lock);
	return rc;
}

static int dup_all(const struct entry *e, int *fds)
{
	for (int i = 0; i < e->n; i++) {
		fds[i] = coh_fd_dup(e->fd[i]);
		if (fds[i] < 0) {
			int rc = fds[i];

			while (--i >= 0)
				coh_fd_close(&fds[i]);
			return rc;
		}
	}
	return e->n;
}

int coh_inherit_dup(const char *name, int *fds, struct cohort_error *err)
{
	const struct entry *e;
	int rc;

	pthread_mutex_lock(&lock);
	e = find(name);
	rc = e == NULL ? -ENOENT : dup_all(e, fds);
	pthread_mutex_unlock(&lock);
	if (rc == -ENOENT)
		return coh_fail(err, rc,
		    "inherit:%s: this process inherited no shared object of that name (it has %d); share it when it is started",
		    name, count);
	if (rc < 0)
		return coh_fail_errno(err, -rc, "inherit:%s: descriptors", name);
	return rc;
}

void coh_inherit_clear(void)
{
	for (int i = 0; i < count; i++)
		for (int k = 0; k < entries[i].n; k++)
			coh_fd_close(&entries[i].fd[k]);
	count = 0;
	pthread_mutex_init(&lock, NULL);
}
