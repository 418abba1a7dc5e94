/*
 * cmd_keygen.c - `cohort keygen FILE`: a new key for a cluster.
 *
 * The key never appears on a terminal or a command line; an existing file is never overwritten.
 */
#include "cmd/cmd.h"

#include <cohort/auth.h>

static int keygen_run(const struct coh_cmd *cmd, int argc, char **argv)
{
	int c = coh_cmd_option(cmd, argc, argv);
	struct cohort_error err;

	if (c == COH_CMD_HELP)
		return COH_CMD_DONE;
	if (c != COH_CMD_END || coh_cmd_operands(cmd, argc, argv, 1) != 0)
		return COH_CMD_USAGE;
	if (cohort_key_generate(argv[optind], &err) != 0)
		return coh_cmd_failed(cmd, &err);
	return COH_CMD_DONE;
}

static const struct option keygen_options[] = {{0}};

const struct coh_cmd coh_cmd_keygen = {
    .name = "keygen",
    .summary = "Write a new key to FILE, which must not exist, for your eyes only",
    .usage = "FILE",
    .help = "Copy the file to each machine of the cluster, mode 0600.\n",
    .options = keygen_options,
    .letters = "",
    .run = keygen_run,
};
