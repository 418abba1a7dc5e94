/*
 * cmd.h - what the subcommands of `cohort` share: their entry, and reading a command line.
 *
 * Each subcommand is a file with one const struct coh_cmd; cohort.c has the table of them.
 * Exit codes: 0 done, 1 it did not work (one sentence on standard error), 2 wrong usage.
 */
#ifndef COH_CMD_CMD_H
#define COH_CMD_CMD_H

#include <cohort/listener.h>
#include <getopt.h>
#include <stdbool.h>
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

extern const struct coh_cmd coh_cmd_echo, coh_cmd_keygen, coh_cmd_node, coh_cmd_ping, coh_cmd_version;

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

/* Say "cohort NAME: " and ERR's sentence; COH_CMD_FAILED, or COH_CMD_USAGE when the options asked for clear text. */
int coh_cmd_failed(const struct coh_cmd *cmd, const struct cohort_error *err);

/* TEXT, given to OPTION, as a number from MIN to MAX.  0, or COH_CMD_USAGE when it has been said. */
struct coh_cmd_range {
	const char *option;
	unsigned min, max;
};
int coh_cmd_number(const struct coh_cmd *cmd, unsigned *out, const char *text,
    const struct coh_cmd_range *range);

/* TEXT, given to OPTION or NULL when it was not given, must be a name (base/name.h).  As above. */
int coh_cmd_name(const struct coh_cmd *cmd, const char *option, const char *text);

/* COUNT operands and no other must be left.  0, or COH_CMD_USAGE when it has been said. */
int coh_cmd_operands(const struct coh_cmd *cmd, int argc, char **argv, int count);

/*
 * The options of every command that meets peers, as rows of its table and lines of its help:
 * who we are to them, and how the link is guarded.
 */
enum {
	COH_CMD_NET_KEY = 0x200, /* beyond any letter */
	COH_CMD_NET_CERT,
	COH_CMD_NET_CA,
	COH_CMD_NET_CRL,
	COH_CMD_NET_CLUSTER,
	COH_CMD_NET_INSECURE,
};
#define COH_CMD_NET_OPTIONS                                                                       \
	{"key", required_argument, NULL, COH_CMD_NET_KEY},                                        \
	    {"cert", required_argument, NULL, COH_CMD_NET_CERT},                                  \
	    {"ca", required_argument, NULL, COH_CMD_NET_CA},                                      \
	    {"crl", required_argument, NULL, COH_CMD_NET_CRL},                                    \
	    {"cluster", required_argument, NULL, COH_CMD_NET_CLUSTER},                            \
	{                                                                                         \
		"insecure-plaintext", no_argument, NULL, COH_CMD_NET_INSECURE                     \
	}
#define COH_CMD_NET_USAGE "[--key FILE | --cert FILE --ca FILE]"
#define COH_CMD_NET_HELP                                                                          \
	"  --key FILE            the cluster's key; without it, the file $COHORT_KEY_FILE names\n" \
	"  --cert FILE           TLS by certificates: ours, its chain and its private key (PEM)\n" \
	"  --ca FILE             whose signature peers must show; goes with --cert (PEM)\n"       \
	"  --crl FILE            certificates that it has taken back (PEM)\n"                     \
	"  --cluster NAME        both ends must name the same (cohort)\n"                         \
	"  --insecure-plaintext  let clear text leave this machine\n"

/* Is C one of them?  Then true, and what was said (borrowed from the command line) is in NET. */
bool coh_cmd_net_option(struct cohort_net_options *net, int c);

/*
 * NET must name a key or a certificate for ADDRESS (NULL: none was given), of Python's a key, and what belongs
 * together.  0, or COH_CMD_USAGE.
 */
int coh_cmd_net_check(
    const struct coh_cmd *cmd, const char *address, const struct cohort_net_options *net);

/* Write CMD's help to standard output. */
void coh_cmd_help(const struct coh_cmd *cmd);

#endif
