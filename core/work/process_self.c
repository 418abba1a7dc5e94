/*
 * process_self.c - this process, as its own code sees it: name, parent, and its one task.
 *
 * In the first process all of it is empty.  In a child it is what the heritage said; the
 * parent is known by pid for printing, and alive as long as whoever holds this child's
 * life is: the zygote, which does not outlive the parent, or, after a plain fork, the
 * parent itself.  So nothing here can be fooled by a number that was used again.
 */
#include "work/process.h"

#include "base/mem.h"
#include "conn/conn_priv.h"
#include "os/fd.h"
#include "work/call.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define LAST_WORDS (5 * COHORT_SECOND) /* for what the task has put and not sent */

static struct {
	char name[COH_HERITAGE_NAME + 1];
	bool daemon;
	int parent;                /* pid of who asked for this process, 0 in the first */
	int holder;                /* pid of its parent as the system sees it */
	struct cohort_conn *conn;  /* to the parent */
} self = {.name = "main"}; /* set once at a child's birth */

void coh_process_become(const struct coh_heritage *h)
{
	snprintf(self.name, sizeof self.name, "%s", h->name);
	self.daemon = h->daemon;
	self.parent = h->parent;
	self.holder = getppid();
	if (self.conn != NULL) /* the copy of the parent's own: memory, its descriptor is closed */
		(void)coh_conn_release_fd(self.conn);
	self.conn = NULL;
}

bool coh_process_daemon(void)
{
	return self.daemon;
}

const char *cohort_process_current(void)
{
	return self.name;
}

int cohort_process_parent(void)
{
	return self.parent;
}

int cohort_process_parent_alive(void)
{
	return self.parent != 0 && getppid() == self.holder;
}

struct cohort_conn *cohort_process_parent_conn(void)
{
	return self.conn;
}

static int connect_parent(const struct coh_heritage *h, struct cohort_error *err)
{
	char peer[32];

	if (h->fd[COH_HERITAGE_CONN] < 0)
		return 0;
	snprintf(peer, sizeof peer, "parent %d", h->parent);
	return coh_conn_from_fd(&self.conn, h->fd[COH_HERITAGE_CONN], COH_PHASE_USER, peer, err);
}

static int run_task(const struct coh_heritage *h, struct cohort_error *err)
{
	const struct coh_task *t = coh_task_find(h->task, err);
	struct cohort_call *call = t != NULL ? coh_call_new() : NULL;
	int rc;

	if (t == NULL)
		return err->code;
	if (call == NULL)
		return -ENOMEM;
	rc = coh_call_run(call, t, h->args, h->args_size);
	if (rc < 0)
		*err = *coh_call_error(call);
	coh_call_free(call);
	return rc;
}

int coh_process_main(const struct coh_heritage *h)
{
	struct cohort_error err = {.code = 0};
	int rc = connect_parent(h, &err);

	if (rc == 0)
		rc = run_task(h, &err);
	if (rc < 0) /* promised in process.h: the only reader the sentence can have */
		fprintf(stderr, "%s: %s\n", self.name,
		    err.code != 0 ? err.text : cohort_strerror(rc));
	if (self.conn != NULL) {
		cohort_conn_flush(self.conn, cohort_in(LAST_WORDS));
		cohort_conn_close(self.conn);
		self.conn = NULL;
	}
	return rc < 0 ? 1 : rc > 255 ? 255 : rc;
}
