/*
 * cohort.c - main of the command `cohort`: a table of subcommands, nothing else.
 *
 * Adding one?  A file cmd_NAME.c with its entry, a line here, net/man/cohort.1.
 */
#include "cmd/cmd.h"

#include <cohort/process.h>
#include <stdio.h>
#include <string.h>

static const struct coh_cmd *const commands[] = {
    &coh_cmd_echo,
    &coh_cmd_keygen,
    &coh_cmd_node,
    &coh_cmd_ping,
    &coh_cmd_version,
};
#define COMMANDS (sizeof commands / sizeof *commands)

static int overview(FILE *out, int code)
{
	fprintf(out, "usage: cohort COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fprintf(out, "\n'cohort COMMAND --help' tells more of one.\n");
	return code;
}

static int wrong_command(const char *got)
{
	fprintf(stderr, "cohort: got '%s', which is none of the commands:", got);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(stderr, " %s%s", commands[i]->name, i + 1 < COMMANDS ? "," : "\n");
	return COH_CMD_USAGE;
}

int main(int argc, char **argv)
{
	struct cohort_error err;

	if (cohort_init(&argc, &argv, &err) != 0) {
		fprintf(stderr, "cohort: %s\n", err.text);
		return COH_CMD_FAILED;
	}
	if (argc < 2)
		return overview(stderr, COH_CMD_USAGE);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return overview(stdout, COH_CMD_DONE);
	if (strcmp(argv[1], "--version") == 0)
		argv[1] += 2;
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i]->name) == 0)
			return commands[i]->run(commands[i], argc - 1, argv + 1);
	return wrong_command(argv[1]);
}
