/*
 * cmd_version.c - `cohort version`: of the program, and of what it speaks.
 */
#include "cmd/cmd.h"
#include "wire/frame.h"

#include <stdio.h>

static int version_run(const struct coh_cmd *cmd, int argc, char **argv)
{
	int c = coh_cmd_option(cmd, argc, argv);

	if (c == COH_CMD_HELP)
		return COH_CMD_DONE;
	if (c != COH_CMD_END || coh_cmd_operands(cmd, argc, argv, 0) != 0)
		return COH_CMD_USAGE;
	printf("cohort %s, protocol %d\n", COHORT_VERSION_TEXT, COH_FRAME_VERSION);
	return COH_CMD_DONE;
}

static const struct option version_options[] = {{0}};

const struct coh_cmd coh_cmd_version = {
    .name = "version",
    .summary = "Print the version of the program and of its protocol",
    .usage = "",
    .help = "",
    .options = version_options,
    .letters = "",
    .run = version_run,
};
