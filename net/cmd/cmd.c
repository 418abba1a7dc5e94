/*
 * cmd.c - reading a command line, with sentences for what is wrong.
 *
 * getopt_long does the reading and is kept silent: it names what it got, we also name what is
 * allowed.  Everything goes by the entry's tables, so that help and sentences cannot disagree
 * with what is accepted.
 */
#include "cmd/cmd.h"

#include "base/name.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int coh_cmd_wrong(const struct coh_cmd *cmd, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "cohort %s: ", cmd->name);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: cohort %s %s\n", cmd->name, cmd->usage);
	return COH_CMD_USAGE;
}

int coh_cmd_failed(const struct coh_cmd *cmd, const struct cohort_error *err)
{
	fprintf(stderr, "cohort %s: %s\n", cmd->name, err->text);
	/* Nothing was tried: the command line asks for what is never done. */
	return err->code == COHORT_EPLAINTEXT ? COH_CMD_USAGE : COH_CMD_FAILED;
}

void coh_cmd_help(const struct coh_cmd *cmd)
{
	printf("usage: cohort %s %s\n\n%s.\n", cmd->name, cmd->usage, cmd->summary);
	if (cmd->help[0] != '\0')
		printf("\n%s", cmd->help);
}

/* "--key, --count, --help": the options there are, for a sentence. */
static void allowed(const struct coh_cmd *cmd, char *out, size_t size)
{
	size_t used = 0;

	for (const struct option *o = cmd->options; o->name != NULL && used < size; o++)
		used += (size_t)snprintf(out + used, size - used, "--%s, ", o->name);
	if (used < size)
		snprintf(out + used, size - used, "--help");
}

#define OPTIONS_MAX 24
#define OPTION_HELP 256 /* beyond any letter */

int coh_cmd_option(const struct coh_cmd *cmd, int argc, char **argv)
{
	struct option all[OPTIONS_MAX + 2] = {{"help", no_argument, NULL, OPTION_HELP}};
	char letters[OPTIONS_MAX * 2 + 2], names[384];
	int n = 0, c;

	for (; n < OPTIONS_MAX && cmd->options[n].name != NULL; n++)
		all[n + 1] = cmd->options[n];
	snprintf(letters, sizeof letters, ":%s", cmd->letters);
	opterr = 0;
	c = getopt_long(argc, argv, letters, all, NULL);
	if (c == OPTION_HELP) {
		coh_cmd_help(cmd);
		return COH_CMD_HELP;
	}
	if (c == ':') {
		coh_cmd_wrong(cmd, "%s needs an argument and got none", argv[optind - 1]);
		return COH_CMD_WRONG;
	}
	if (c == '?') {
		allowed(cmd, names, sizeof names);
		coh_cmd_wrong(cmd, "got '%s', which is none of the options: %s", argv[optind - 1], names);
		return COH_CMD_WRONG;
	}
	return c;
}

int coh_cmd_number(const struct coh_cmd *cmd, unsigned *out, const char *text,
    const struct coh_cmd_range *range)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n < range->min ||
	    n > range->max)
		return coh_cmd_wrong(cmd, "%s got '%s': a number from %u to %u is allowed",
		    range->option, text, range->min, range->max);
	*out = (unsigned)n;
	return 0;
}

int coh_cmd_name(const struct coh_cmd *cmd, const char *option, const char *text)
{
	if (text == NULL || coh_name_valid(text, strlen(text)))
		return 0;
	return coh_cmd_wrong(cmd, "%s got '%.80s': 1 to %d of letters, digits, '_', '.' and '-' are allowed",
	    option, text, COH_NAME_MAX);
}

int coh_cmd_operands(const struct coh_cmd *cmd, int argc, char **argv, int count)
{
	if (argc - optind < count)
		return coh_cmd_wrong(
		    cmd, "got %d operands where %d must be", argc - optind, count);
	if (argc - optind > count)
		return coh_cmd_wrong(cmd, "got '%s' beyond the %d operands it takes",
		    argv[optind + count], count);
	return 0;
}

bool coh_cmd_net_option(struct cohort_net_options *net, int c)
{
	switch (c) {
	case COH_CMD_NET_KEY: net->key_file = optarg; return true;
	case COH_CMD_NET_CERT: net->cert_file = optarg; return true;
	case COH_CMD_NET_CA: net->ca_file = optarg; return true;
	case COH_CMD_NET_CRL: net->crl_file = optarg; return true;
	case COH_CMD_NET_CLUSTER: net->cluster = optarg; return true;
	case COH_CMD_NET_INSECURE: net->insecure_plaintext = 1; return true;
	default: return false;
	}
}

int coh_cmd_net_check(
    const struct coh_cmd *cmd, const char *address, const struct cohort_net_options *net)
{
	bool python = address != NULL && strncmp(address, "python+", 7) == 0;
	const char *variable = python ? "COHORT_PYTHON_KEY_FILE" : "COHORT_KEY_FILE";
	const char *set = getenv(variable);

	if ((net->cert_file == NULL) != (net->ca_file == NULL))
		return coh_cmd_wrong(cmd, "got --%s without --%s: they go together",
		    net->cert_file != NULL ? "cert" : "ca", net->cert_file != NULL ? "ca" : "cert");
	if (net->crl_file != NULL && net->cert_file == NULL)
		return coh_cmd_wrong(cmd, "got --crl without --cert, which it goes with");
	if (net->key_file == NULL && (python || net->cert_file == NULL) &&
	    (set == NULL || set[0] == '\0'))
		return coh_cmd_wrong(cmd,
		    "no key: give --key FILE or set $%s (cohort keygen FILE makes one)%s", variable,
		    python ? "" : ", or give certificates by --cert FILE --ca FILE");
	return coh_cmd_name(cmd, "--cluster", net->cluster);
}
