/*
 * cmd_node.c - `cohort node`: lend this machine's slots to coordinators that hold the key.
 */
#include "addr/address.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "node/agent.h"

#include <cohort/log.h>
#include <string.h>

enum {
	OPT_LISTEN = 'l',
	OPT_JOIN = 'j',
	OPT_SLOTS = 's',
	OPT_PORT_FILE = 'f',
	OPT_PROGRAM = 'p',
	OPT_NAME = 'n',
	OPT_EXEMPT = 'x',
	OPT_VERBOSE = 'v',
};

struct node_line {
	struct coh_agent_options agent;
	const char **programs; /* what agent.programs shows; room for every argument */
	int verbose;
};

static int node_option(const struct coh_cmd *cmd, struct node_line *l, int c)
{
	static const struct coh_cmd_range slots = {"--slots", 1, COH_ADDRESS_COUNT_MAX};

	switch (c) {
	case OPT_LISTEN: l->agent.listen = optarg; return 0;
	case OPT_JOIN: l->agent.join = optarg; return 0;
	case OPT_SLOTS: return coh_cmd_number(cmd, &l->agent.slots, optarg, &slots);
	case OPT_PORT_FILE: l->agent.port_file = optarg; return 0;
	case OPT_NAME: l->agent.name = optarg; return 0;
	case OPT_EXEMPT: l->agent.net.exempt = optarg; return 0;
	case OPT_VERBOSE: l->verbose++; return 0;
	case OPT_PROGRAM: l->programs[l->agent.program_count++] = optarg; return 0;
	default: return coh_cmd_net_option(&l->agent.net, c) ? 0 : COH_CMD_USAGE;
	}
}

static int node_check(const struct coh_cmd *cmd, const struct node_line *l, int argc, char **argv)
{
	const char *address = l->agent.listen != NULL ? l->agent.listen : l->agent.join;

	if (coh_cmd_operands(cmd, argc, argv, 0) != 0)
		return COH_CMD_USAGE;
	if ((l->agent.listen == NULL) == (l->agent.join == NULL))
		return coh_cmd_wrong(cmd, "got %s of --listen and --join: exactly one is allowed",
		    l->agent.listen == NULL ? "none" : "both");
	if (l->agent.port_file != NULL && l->agent.listen == NULL)
		return coh_cmd_wrong(cmd, "got --port-file without --listen, which it goes with");
	/* It would serve nobody: Python's protocol carries bytes only. */
	if (strncmp(address, "python+", 7) == 0)
		return coh_cmd_wrong(cmd,
		    "got '%.120s', where Python peers exchange data and no tasks: tls://HOST:PORT, "
		    "tcp://HOST:PORT and unix:/PATH are allowed (examples/gateway.c serves Python)",
		    address);
	if (coh_cmd_name(cmd, "--name", l->agent.name) != 0)
		return COH_CMD_USAGE;
	return coh_cmd_net_check(cmd, address, &l->agent.net);
}

static int node_serve(const struct coh_cmd *cmd, const struct node_line *l)
{
	struct cohort_error err;

	cohort_log_to(cohort_log_stderr,
	    l->verbose == 0       ? COHORT_LOG_WARN
		: l->verbose == 1 ? COHORT_LOG_INFO
				  : COHORT_LOG_DEBUG,
	    NULL);
	return coh_agent_run(&l->agent, &err) == 0 ? COH_CMD_DONE : coh_cmd_failed(cmd, &err);
}

static int node_run(const struct coh_cmd *cmd, int argc, char **argv)
{
	struct node_line l = {.programs = coh_calloc((size_t)argc * sizeof *l.programs)};
	struct cohort_error err = {0, "out of memory"};
	int c, rc = 0;

	if (l.programs == NULL)
		return coh_cmd_failed(cmd, &err);
	l.agent.programs = l.programs;
	while (rc == 0 && (c = coh_cmd_option(cmd, argc, argv)) != COH_CMD_END) {
		if (c == COH_CMD_HELP)
			goto out;
		rc = node_option(cmd, &l, c);
	}
	if (rc == 0)
		rc = node_check(cmd, &l, argc, argv);
	if (rc == 0)
		rc = node_serve(cmd, &l);
out:
	coh_free(l.programs);
	return rc;
}

static const struct option node_options[] = {
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"join", required_argument, NULL, OPT_JOIN},
    {"slots", required_argument, NULL, OPT_SLOTS},
    {"port-file", required_argument, NULL, OPT_PORT_FILE},
    {"program", required_argument, NULL, OPT_PROGRAM},
    {"name", required_argument, NULL, OPT_NAME},
    {"exempt", required_argument, NULL, OPT_EXEMPT},
    COH_CMD_NET_OPTIONS,
    {"verbose", no_argument, NULL, OPT_VERBOSE},
    {0},
};

const struct coh_cmd coh_cmd_node = {
    .name = "node",
    .summary = "Lend this machine's CPUs to programs whose coordinator holds the key",
    .usage = "--listen ADDRESS | --join ADDRESS " COH_CMD_NET_USAGE " [OPTION...]",
    .help = "  --listen ADDRESS      serve coordinators that dial ADDRESS (tls://HOST:PORT, unix:/PATH)\n"
	    "  --join ADDRESS        call the pool that listens at ADDRESS, again and again\n"
	    "  --slots N             tasks at once for each coordinator (the CPUs it may use)\n"
	    "  --port-file FILE      write the address really bound to FILE: port 0 is allowed\n"
	    "  --program PATH        run this program only; may be given several times (any)\n"
	    "  --name NAME           of this node (HOST.PID)\n"
	    "  --exempt NETWORKS     where strangers are not limited by their address (10.1.0.0/16,fd00::/8)\n"
	    COH_CMD_NET_HELP
	    "  -v, --verbose         log beginnings and ends to standard error; twice: more\n",
    .options = node_options,
    .letters = "v",
    .run = node_run,
};
