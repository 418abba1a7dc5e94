/*
 * agent.h - the daemon on a node: it owns a pool of local workers and lends it to coordinators.
 *
 * Each coordinator that shows the key names its own program (a path and a SHA-256) and gets a
 * pool of `slots` workers that run it; they end with its connection.  Runs until SIGTERM or
 * SIGINT; on SIGHUP it reads its key, certificates and revocations again.
 */
#ifndef COH_NODE_AGENT_H
#define COH_NODE_AGENT_H

#include <cohort/listener.h>
#include <stdbool.h>

struct coh_agent_options {
	const char *listen;    /* serve whoever dials this address; NULL: not */
	const char *join;      /* call home to the pool that listens there, again and again; NULL: not */
	struct cohort_net_options net; /* how coordinators are met; its name is replaced by NAME */
	const char *port_file; /* write the address really bound to it; NULL: not */
	const char *name;      /* of this node; NULL: HOST.PID */
	const char *const *programs; /* the only paths it will run; none: any */
	unsigned program_count;
	unsigned slots;        /* tasks at once for each coordinator; 0: the CPUs it may use */
};

/*
 * Be an agent until told to end.  Exactly one of listen and join is set; cohort_init was called.
 * 0 after SIGTERM or SIGINT, or why it could not begin (as cohort_listen; COHORT_EKEY).
 */
int coh_agent_run(const struct coh_agent_options *o, struct cohort_error *err);

#endif
