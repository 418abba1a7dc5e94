/*
 * pythons.c - finding and running interpreters.
 */
#include "net/pythons.h"

#include "support/test.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run ARGV with its output into a pipe; its pid, and the other end in *OUT. */
static pid_t run(const char *const *argv, int *out)
{
	int ends[2];
	pid_t pid;

	REQUIRE_EQ(pipe2(ends, O_CLOEXEC), 0);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(ends[1]);
	*out = ends[0];
	return pid;
}

/* Ask the interpreter at PATH for its version; false when it is none that has what we need. */
static bool ask(struct python *p, const char *path)
{
	const char *argv[] = {path, "-c",
	    "import sys, multiprocessing.connection; print('%d %d' % sys.version_info[:2])", NULL};
	struct python_peer peer;
	char line[64];
	bool known;

	if (strlen(path) >= sizeof p->path)
		return false;
	strcpy(p->path, path);
	peer.pid = run(argv, &peer.out);
	known = python_line(&peer, line, sizeof line) &&
	    sscanf(line, "%d %d", &p->major, &p->minor) == 2;
	return python_end(&peer) == 0 && known;
}

static int find_in(struct python *list, const char *root, const char *below)
{
	char pattern[512];
	glob_t found;
	int n = 0;

	snprintf(pattern, sizeof pattern, "%s%s/versions/*/bin/python", root, below);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc && n < PYTHONS_MAX - 1; i++)
			n += ask(&list[n], found.gl_pathv[i]);
		globfree(&found);
	}
	return n;
}

static int by_version(const void *a, const void *b)
{
	const struct python *p = a, *q = b;

	return p->major != q->major ? p->major - q->major : p->minor - q->minor;
}

int pythons_find(struct python list[PYTHONS_MAX])
{
	const char *root = getenv("PYENV_ROOT"), *home = getenv("HOME");
	int n = 0;

	if (root != NULL)
		n = find_in(list, root, "");
	if (n == 0 && home != NULL)
		n = find_in(list, home, "/.pyenv");
	if (n == 0)
		n = ask(&list[0], "python3");
	qsort(list, (size_t)n, sizeof *list, by_version);
	for (int i = 0; i < n; i++)
		printf("%s%d.%d", i == 0 ? "Python " : ", ", list[i].major, list[i].minor);
	if (n == 0)
		printf("skipped: there is no CPython with multiprocessing on this machine\n");
	return n;
}

bool python_is_old(const struct python *p)
{
	return p->major < 3 || (p->major == 3 && p->minor < 12);
}

struct python_peer python_start(const struct python *p, const char *script, const char *const *argv)
{
	char path[512];
	const char *all[16] = {p->path, path};
	struct python_peer peer;

	snprintf(path, sizeof path, "%s/%s", PYTHON_SCRIPTS, script);

	for (int i = 0; argv[i] != NULL; i++) {
		REQUIRE(i + 3 < 16);
		all[i + 2] = argv[i];
	}
	peer.pid = run(all, &peer.out);
	return peer;
}

bool python_line(struct python_peer *peer, char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(peer->out, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	return n != 0;
}

int python_end(struct python_peer *peer)
{
	int status;

	close(peer->out);
	REQUIRE_EQ(waitpid(peer->pid, &status, 0), peer->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
