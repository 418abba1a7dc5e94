/*
 * wordcount_options.c - the command line of wordcount.
 */
#include "wordcount_options.h"

#include <err.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void options_read(struct options *o, int argc, char **argv)
{
	static const char *const defaults[] = {
	    "/usr/share/doc", "/usr/share/common-licenses", NULL};
	static const struct option options[] = {{"pool", required_argument, NULL, 'p'},
	    {"tsv", no_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'}, {0}};
	static const char usage[] = "usage: wordcount [--pool ADDRESS] [--tsv] [DIR...]\n";
	struct stat st;
	int c;

	*o = (struct options){.roots = defaults};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			o->pool = optarg;
		else if (c == 't')
			o->tsv = true;
		else
			exit(fputs(usage, c == 'h' ? stdout : stderr) < 0 || c != 'h' ? 2 : 0);
	}
	for (int i = optind; i < argc; i++)
		if (lstat(argv[i], &st) < 0)
			err(2, "%s", argv[i]);
	if (optind < argc)
		o->roots = (const char *const *)argv + optind;
}
