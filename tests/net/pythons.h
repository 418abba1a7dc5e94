/*
 * pythons.h - the CPythons of this machine, and one of them at work on a script of ours.
 *
 * They are looked for in $PYENV_ROOT/versions or ~/.pyenv/versions, and as python3 on the PATH.
 */
#ifndef TESTS_NET_PYTHONS_H
#define TESTS_NET_PYTHONS_H

#include <stdbool.h>
#include <sys/types.h>

#define PYTHONS_MAX 32

struct python {
	char path[256];
	int major, minor;
};

/* Into LIST, the oldest first; how many.  None: it has been said that the test is skipped. */
int pythons_find(struct python list[PYTHONS_MAX]);

/* Whether it knows only MD5. */
bool python_is_old(const struct python *p);

/* A script at work. */
struct python_peer {
	pid_t pid;
	int out; /* what it prints */
};

/* Run P on SCRIPT, of this folder, with ARGV (its arguments, NULL at the end). */
struct python_peer python_start(
    const struct python *p, const char *script, const char *const *argv);

/* The first line it prints; false when it ended without. */
bool python_line(struct python_peer *peer, char *line, size_t size);

/* Wait for its end: the exit code, -1 when it was killed. */
int python_end(struct python_peer *peer);

#endif
