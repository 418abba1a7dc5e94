/*
 * init.c - the first call of main: a child's life, or a program with its zygote.
 *
 * Three kinds of process come through here: the program, which goes on to its own main; an
 * exec'd child, known by one argument; and, without a call of their own, the children the
 * zygote forked while it stood in this very function.  All children live one life and
 * leave by exit, so that their own handlers run and their output is flushed; the
 * program's main is never seen by them.
 */
#include "work/init.h"

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/zygote.h"
#include "sync/inherit.h"
#include "sync/party.h"
#include "work/process.h"
#include "work/shutdown.h"
#include "work/task.h"
#include "work/worker.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define AT_EXIT (5 * COHORT_SECOND) /* what process.h promises */

/* What a child lives as; the exit code is what it returns. */
static int (*const roles[])(const struct coh_heritage *h) = {
    [COH_ROLE_PROCESS] = coh_process_main,
    [COH_ROLE_WORKER] = coh_worker_main,
};

static int owner;         /* pid of the process all this is about; 0 before cohort_init */
static atomic_bool ended; /* by cohort_shutdown */

bool coh_init_here(void)
{
	return owner == getpid();
}

void coh_init_end(void)
{
	ended = true;
}

static void shut_down_at_exit(void)
{
	if (!ended)
		cohort_shutdown(cohort_in(AT_EXIT));
}

static void set_up_log(const struct coh_heritage *h)
{
	coh_log_name(h->name);
	cohort_log_to(h->log_level > 0 ? cohort_log_stderr : NULL,
	    (enum cohort_log_level)h->log_level, NULL);
}

void coh_init_child_life(const struct coh_heritage *h)
{
	owner = getpid();
	ended = false;
	prctl(PR_SET_NAME, program_invocation_short_name); /* else that of the zygote */
	coh_party_reset();
	coh_zygote_reset();
	coh_shutdown_reset();
	coh_process_reset();
	coh_process_become(h);
	set_up_log(h);
	if (coh_inherit_begin(h) != 0)
		exit(COH_CODE_UNKNOWN); /* one name twice: no parent of this library */
	if (h->role >= sizeof roles / sizeof *roles || roles[h->role] == NULL)
		exit(COH_CODE_UNKNOWN); /* a heritage of another program */
	exit(roles[h->role](h));
}

/* ARGUMENT is --cohort-child=FD: live the life that is written there. */
static int exec_child(const char *argument, struct cohort_error *err)
{
	static struct coh_heritage h;
	static void *memory; /* what h lends from */
	const char *number = argument + strlen(COH_CHILD_ARGUMENT);
	char *end;
	long fd = strtol(number, &end, 10);
	int rc = COHORT_EPROTOCOL;

	if (end != number && *end == '\0' && fd >= 0 && fd <= INT_MAX)
		rc = coh_proc_adopt((int)fd, &h, &memory);
	if (rc == 0)
		coh_init_child_life(&h);
	return coh_fail(err, rc, "%s: there is no heritage under this descriptor: %s", argument,
	    cohort_strerror(rc));
}

static int check_first(struct cohort_error *err)
{
	int threads = coh_proc_threads();

	if (owner != 0)
		return coh_fail(err, COHORT_ESTATE, "cohort_init: it has been called before");
	if (threads > 1)
		return coh_fail(err, COHORT_ETHREADS,
		    "cohort_init: the process has %d threads already, allowed is 1", threads);
	return coh_task_check(err);
}

int cohort_init(int *argc, char ***argv, struct cohort_error *err)
{
	int rc = check_first(err);

	if (rc != 0)
		return rc;
	if (atexit(shut_down_at_exit) != 0) /* before the fork: children inherit it */
		return coh_fail(err, -ENOMEM, "cohort_init: %s", cohort_strerror(-ENOMEM));
	if (argc != NULL && *argc > 1 &&
	    strncmp((*argv)[1], COH_CHILD_ARGUMENT, strlen(COH_CHILD_ARGUMENT)) == 0)
		return exec_child((*argv)[1], err);
	rc = coh_zygote_open(coh_init_child_life, err);
	if (rc == 0)
		owner = getpid();
	return rc;
}

int coh_init_children(enum cohort_start start, struct cohort_error *err)
{
	if (!coh_init_here())
		return coh_fail(err, COHORT_EINIT, "%s", cohort_strerror(COHORT_EINIT));
	if (ended)
		return coh_fail(err, COHORT_ESTATE, "cohort_shutdown has been called");
	if (coh_process_daemon())
		return coh_fail(err, COHORT_ESTATE, "%s is a daemon: it may have no children",
		    cohort_process_current());
	if (start == COHORT_START_FORK || coh_zygote_pid() != 0)
		return 0;
	return coh_zygote_open(coh_init_child_life, err);
}
