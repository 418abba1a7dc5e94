/*
 * cmd.h - what the subcommands of `cohort` share: their entry, and reading a command line.
 *
 * Each subcommand is a file with one const struct coh_cmd; cohort.c has the table of them.
 * Exit codes: 0 done, 1 it did not work (one sentence on standard error), 2 wrong usage.
 */
#ifndef COH_CMD_CMD_H
#define COH_CMD_CMD_H

#include <cohort/error.h>
#include <getopt.h>
#include <stdint.h>

enum { COH_CMD_DONE = 0, COH_CMD_FAILED = 1, COH_CMD_USAGE = 2 };

struct coh_cmd {
	const char *name;
	const char *summary;  /* one line, for the table */
	const char *usage;    /* what follows the name */
	const char *help;     /* a line for each option, with its newline; "" without */
	const struct option *options; /* long ones, ended by zeros; "help" is known to all */
	const char *letters;  /* short ones, as getopt(3) */
	/* Do it: argv[0] is the name.  An exit code. */
	int (*run)(const struct coh_cmd *cmd, int argc, char **argv);
};

extern const struct coh_cmd coh_cmd_keygen, coh_cmd_node, coh_cmd_ping, coh_cmd_version;

/* What coh_cmd_option returns besides an option's val. */
enum {
	COH_CMD_END = -1,   /* no option is left: argv[optind] is the first operand */
	COH_CMD_HELP = -2,  /* --help: it has been answered, be done */
	COH_CMD_WRONG = -3, /* a sentence has said what was got and what is allowed: COH_CMD_USAGE */
};

/* The next option of the command line, its argument in optarg. */
int coh_cmd_option(const struct coh_cmd *cmd, int argc, char **argv);

/* Say "cohort NAME: SENTENCE", where to find help, and return COH_CMD_USAGE. */
int coh_cmd_wrong(const struct coh_cmd *cmd, const char *format, ...) COHORT_PRINTF(2, 3);

/* Say "cohort NAME: " and ERR's sentence, and return COH_CMD_FAILED. */
int coh_cmd_failed(const struct coh_cmd *cmd, const struct cohort_error *err);

/* TEXT, given to OPTION, as a number from MIN to MAX.  0, or COH_CMD_USAGE when it has been said. */
struct coh_cmd_range {
	const char *option;
	unsigned min, max;
};
int coh_cmd_number(const struct coh_cmd *cmd, unsigned *out, const char *text,
    const struct coh_cmd_range *range);

/* COUNT operands and no other must be left.  0, or COH_CMD_USAGE when it has been said. */
int coh_cmd_operands(const struct coh_cmd *cmd, int argc, char **argv, int count);

/* A key must have been named: FILE by --key, or the environment.  As above. */
int coh_cmd_need_key(const struct coh_cmd *cmd, const char *file);

/* Write CMD's help to standard output. */
void coh_cmd_help(const struct coh_cmd *cmd);

#endif
