/*
 * cohort.c - main of the command `cohort`: a table of subcommands, nothing else.
 *
 * Adding one?  A file cmd_NAME.c with its entry, a line here, net/man/cohort.1.
 */
#include "cmd/cmd.h"
#include "os/proc.h"

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

/*
 * Whatever the command is, it may hold a key.  Children may not gain privileges either, but their core
 * files and memory are their user's business: the zygote is made in between.
 */
static int begin(int *argc, char ***argv)
{
	struct cohort_error err = {0};
	int rc = coh_proc_renounce();

	if (rc == 0)
		rc = cohort_init(argc, argv, &err);
	if (rc == 0)
		rc = coh_proc_seal();
	if (rc != 0)
		fprintf(stderr, "cohort: %s\n", err.code != 0 ? err.text : cohort_strerror(rc));
	return rc;
}

int main(int argc, char **argv)
{
	if (begin(&argc, &argv) != 0)
		return COH_CMD_FAILED;
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
