/*
 * share.c - from handles to descriptors, and those to other processes.
 *
 * Over a connection an object is nothing but its descriptors one after the other: what it is
 * stands in its memory, and is checked there (segment.c).
 */
#include "work/share.h"

#include "base/err.h"
#include "base/mem.h"
#include "os/fd.h"
#include "sync/shared.h"

#include <errno.h>

static int collect_one(
    struct coh_inherit *t, const struct cohort_share *share, struct cohort_error *err)
{
	struct cohort_error why = {0};
	const struct coh_segment *s = coh_shared_segment(share->object, &why);
	int fds[COH_HERITAGE_SHARE_FDS], rc;

	if (share->name == NULL)
		return coh_fail(err, COHORT_ENAME, "share: an object without a name");
	if (s == NULL)
		return coh_fail(err, why.code, "share '%.64s': %.200s", share->name, why.text);
	rc = coh_inherit_add(t, share->name, fds, coh_segment_fds(s, fds));
	if (rc == -EEXIST)
		return coh_fail(
		    err, COHORT_EARGUMENT, "share: two objects have the name '%s'", share->name);
	if (rc == COHORT_ENAME)
		return coh_fail(
		    err, rc, "share: '%.100s' is no name: %s", share->name, cohort_strerror(rc));
	return rc == 0 ? 0 : coh_fail_code(err, rc);
}

int coh_share_collect(
    struct coh_inherit *t, const struct cohort_share *share, int n, struct cohort_error *err)
{
	int rc = 0;

	t->count = 0;
	if (n < 0 || n > COH_HERITAGE_SHARES || (n > 0 && share == NULL))
		return coh_fail(err, COHORT_EARGUMENT, "share: %d objects, allowed are 0 to %d%s",
		    n, COH_HERITAGE_SHARES, share == NULL ? ", and a list of them" : "");
	for (int i = 0; rc == 0 && i < n; i++)
		rc = collect_one(t, &share[i], err);
	return rc;
}

int coh_share_keep(
    struct coh_inherit **out, const struct cohort_share *share, int n, struct cohort_error *err)
{
	struct coh_inherit *t = coh_alloc(sizeof *t);
	int rc;

	if (t == NULL)
		return coh_fail_code(err, -ENOMEM);
	rc = coh_share_collect(t, share, n, err);
	if (rc == 0) {
		rc = coh_inherit_keep(t);
		if (rc != 0)
			coh_fail_errno(err, -rc, "share: descriptors");
	}
	if (rc != 0) {
		coh_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void coh_share_drop(struct coh_inherit *t)
{
	if (t == NULL)
		return;
	coh_inherit_close(t);
	coh_free(t);
}

void coh_share_bequeath(const struct coh_inherit *t, struct coh_heritage *h)
{
	h->shares = t != NULL ? t->count : 0;
	for (int i = 0; i < h->shares; i++) {
		h->share[i].name = t->entry[i].name;
		h->share[i].n = t->entry[i].n;
		for (int k = 0; k < t->entry[i].n; k++)
			h->share[i].fd[k] = t->entry[i].fd[k];
	}
}

int coh_share_send(struct cohort_conn *c, const struct coh_segment *s, cohort_time deadline)
{
	int fds[1 + COH_SEGMENT_BELLS], n = coh_segment_fds(s, fds), rc = 0;

	for (int i = 0; rc == 0 && i < n; i++)
		rc = cohort_conn_send_fd(c, fds[i], deadline);
	return rc;
}

int coh_share_recv(
    struct cohort_conn *c, int bells, int fds[COH_HERITAGE_SHARE_FDS], cohort_time deadline)
{
	int n = 0, rc = 0;

	while (rc == 0 && n < 1 + bells) {
		rc = cohort_conn_recv_fd(c, &fds[n], deadline);
		if (rc == 0)
			n++;
	}
	if (rc == 0)
		return n;
	while (n > 0)
		coh_fd_close(&fds[--n]);
	return rc;
}
