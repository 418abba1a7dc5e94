/*
 * folder.c - the private folder of a figure.  Its name has the process that will remove it, so
 * that a later run knows whether it still can.
 */
#include "folder.h"

#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE "/tmp"
#define PREFIX "cohort-bench-"
#define VARIABLE "COHORT_BENCH_FOLDER"
#define DEPTH 16 /* descriptors for walking it */

const char *bench_folder(void)
{
	const char *path = getenv(VARIABLE);

	return path != NULL ? path : PLACE;
}

int folder_make(void)
{
	char path[64];

	snprintf(path, sizeof(path), PLACE "/" PREFIX "%d-XXXXXX", (int)getpid());
	if (mkdtemp(path) == NULL)
		return bench_say(BENCH_FAILED, "%s: %s", path, strerror(errno));
	return setenv(VARIABLE, path, 1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void folder_remove(void)
{
	const char *path = getenv(VARIABLE);

	if (path != NULL)
		remove_tree(path);
	unsetenv(VARIABLE);
}

/* Does NAME belong to a run that has ended?  Then only its own user may remove it. */
static int is_left(const char *name)
{
	char *end;
	long pid;

	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
		return 0;
	pid = strtol(name + sizeof(PREFIX) - 1, &end, 10);
	return pid > 0 && *end == '-' && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void folder_sweep(void)
{
	char path[sizeof(PLACE) + 256];
	DIR *dir = opendir(PLACE);
	struct dirent *entry;
	struct stat st;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), PLACE "/%s", entry->d_name);
		if (is_left(entry->d_name) && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
		    st.st_uid == geteuid())
			remove_tree(path);
	}
	if (dir != NULL)
		closedir(dir);
}
