/*
 * cmd_keygen.c - `cohort keygen FILE`: a new key for a cluster, and the way from one to another.
 *
 * The key never appears on a terminal or a command line; an existing file is never overwritten.
 */
#include "cmd/cmd.h"
#include "trust/keyfile.h"

enum { OPT_ADD = 'a', OPT_SWAP = 's', OPT_DROP = 'd' };

static enum coh_keyfile_step keygen_step(int option)
{
	return option == OPT_ADD    ? COH_KEYFILE_ADD
	    : option == OPT_SWAP ? COH_KEYFILE_SWAP
				 : COH_KEYFILE_DROP;
}

static int keygen_run(const struct coh_cmd *cmd, int argc, char **argv)
{
	int c, option = 0, rc;
	struct cohort_error err;

	while ((c = coh_cmd_option(cmd, argc, argv)) != COH_CMD_END) {
		if (c == COH_CMD_HELP)
			return COH_CMD_DONE;
		if (c == COH_CMD_WRONG)
			return COH_CMD_USAGE;
		if (option != 0)
			return coh_cmd_wrong(cmd, "got two of --add, --swap and --drop: one step at a time");
		option = c;
	}
	if (coh_cmd_operands(cmd, argc, argv, 1) != 0)
		return COH_CMD_USAGE;
	rc = option == 0 ? cohort_key_generate(argv[optind], &err)
			 : coh_keyfile_rotate(argv[optind], keygen_step(option), &err);
	return rc == 0 ? COH_CMD_DONE : coh_cmd_failed(cmd, &err);
}

static const struct option keygen_options[] = {
    {"add", no_argument, NULL, OPT_ADD},
    {"swap", no_argument, NULL, OPT_SWAP},
    {"drop", no_argument, NULL, OPT_DROP},
    {0},
};

const struct coh_cmd coh_cmd_keygen = {
    .name = "keygen",
    .summary = "Write a new key to FILE, which must not exist, for your eyes only",
    .usage = "[--add | --swap | --drop] FILE",
    .help = "Copy the file to each machine of the cluster, mode 0600.\n\n"
	    "To another key without a pause; after each step copy FILE to every machine and send each\n"
	    "node SIGHUP:\n"
	    "  --add   a new key behind the one in FILE: both are let in\n"
	    "  --swap  the new one first: it is dialled with\n"
	    "  --drop  the old one away\n",
    .options = keygen_options,
    .letters = "",
    .run = keygen_run,
};
