/*
 * leaks.c - what a process has open, what is shared on this machine, who descends from whom.
 *
 * All from /proc, so that nothing must cooperate.  Other programs make segments too: where
 * the system lets us, a test program has a /dev/shm and SysV segments of its own; and
 * everywhere a segment counts only while no process holds it, for then its maker is gone.
 */
#include "support/support_priv.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void things_add(struct test_things *t, const char *line)
{
	t->lines = realloc(t->lines, (t->n + 1) * sizeof *t->lines);
	if (t->lines == NULL)
		abort();
	t->lines[t->n++] = strdup(line);
}

void test_things_free(struct test_things *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->lines[i]);
	free(t->lines);
	*t = (struct test_things){0};
}

static bool things_have(const struct test_things *t, const char *line)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->lines[i], line) == 0)
			return true;
	return false;
}

int test_things_more(
    const struct test_things *before, const struct test_things *t, char *text, size_t size)
{
	size_t used = 0;
	int n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < t->n; i++) {
		if (things_have(before, t->lines[i]))
			continue;
		if (used < size)
			used += (size_t)snprintf(
			    text + used, size - used, "%s%s", n != 0 ? ", " : "", t->lines[i]);
		n++;
	}
	return n;
}

void test_things_open(struct test_things *t)
{
	char path[64], target[160], line[256];
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	ssize_t n;

	*t = (struct test_things){0};
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == dirfd(d))
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%.20s", e->d_name);
		n = readlink(path, target, sizeof target - 1);
		target[n < 0 ? 0 : n] = '\0';
		snprintf(line, sizeof line, "%.20s -> %s", e->d_name, target);
		things_add(t, line);
	}
	if (d != NULL)
		closedir(d);
}

void test_hide_shared(void)
{
	if (getenv("COHORT_TEST_SHARED") != NULL)
		return; /* a test that looks at what its own run leaves */
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, NULL) == 0)
		return;
	/* not allowed here: the tests then see the segments of others, see above */
}

/* Some process has PATH mapped or open. */
static bool held_in_process(const char *pid, const char *path)
{
	char name[320], line[512];
	struct dirent *e;
	bool held = false;
	DIR *d;
	FILE *f;
	ssize_t n;

	snprintf(name, sizeof name, "/proc/%.20s/maps", pid);
	f = fopen(name, "re");
	while (!held && f != NULL && fgets(line, sizeof line, f) != NULL)
		held = strstr(line, path) != NULL;
	if (f != NULL)
		fclose(f);
	snprintf(name, sizeof name, "/proc/%.20s/fd", pid);
	d = opendir(name);
	while (!held && d != NULL && (e = readdir(d)) != NULL) {
		n = readlinkat(dirfd(d), e->d_name, line, sizeof line - 1);
		line[n < 0 ? 0 : n] = '\0';
		held = strcmp(line, path) == 0;
	}
	if (d != NULL)
		closedir(d);
	return held;
}

static bool held_by_anyone(const char *path)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	bool held = false;

	while (!held && d != NULL && (e = readdir(d)) != NULL)
		held = isdigit((unsigned char)e->d_name[0]) && held_in_process(e->d_name, path);
	if (d != NULL)
		closedir(d);
	return held;
}

static void shared_posix(struct test_things *t)
{
	DIR *d = opendir("/dev/shm");
	char path[300];
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof path, "/dev/shm/%s", e->d_name);
		if (e->d_name[0] != '.' && !held_by_anyone(path))
			things_add(t, path);
	}
	if (d != NULL)
		closedir(d);
}

/* The columns of /proc/sysvipc/KIND begin with key and id; of shm the 7th is who is attached. */
static void shared_sysv(struct test_things *t, const char *kind)
{
	char path[64], line[512], name[64];
	int id, attached;
	FILE *f;

	snprintf(path, sizeof path, "/proc/sysvipc/%s", kind);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		attached = 0;
		if (sscanf(line, "%*d %d %*o %*u %*d %*d %d", &id, &attached) < 1)
			continue;
		if (strcmp(kind, "shm") == 0 && attached != 0)
			continue;
		snprintf(name, sizeof name, "SysV %s %d", kind, id);
		things_add(t, name);
	}
	if (f != NULL)
		fclose(f);
}

void test_things_shared(struct test_things *t)
{
	*t = (struct test_things){0};
	shared_posix(t);
	shared_sysv(t, "shm");
	shared_sysv(t, "sem");
	shared_sysv(t, "msg");
}

struct process {
	pid_t pid, parent;
	char state, name[32];
	bool below;
};

static bool process_read(const char *pid, struct process *p)
{
	char path[64], line[512], *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, line, sizeof line - 1);
	close(fd);
	line[n < 0 ? 0 : n] = '\0';
	end = strrchr(line, ')'); /* the name may hold anything */
	p->below = false;
	return end != NULL && sscanf(line, "%d (%31[^)]", &p->pid, p->name) == 2 &&
	    sscanf(end + 1, " %c %d", &p->state, &p->parent) == 2;
}

static size_t processes_read(struct process **out)
{
	DIR *d = opendir("/proc");
	struct process *all = NULL;
	struct dirent *e;
	size_t n = 0;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		all = realloc(all, (n + 1) * sizeof *all);
		if (all == NULL)
			abort();
		n += process_read(e->d_name, &all[n]);
	}
	if (d != NULL)
		closedir(d);
	*out = all;
	return n;
}

/* Mark P when its parent is ROOT or marked. */
static bool process_mark(struct process *all, size_t n, pid_t root, struct process *p)
{
	for (size_t i = 0; !p->below && i < n; i++)
		p->below = p->parent == root || (all[i].pid == p->parent && all[i].below);
	return p->below;
}

int test_descendants(pid_t root, pid_t *pids, int n)
{
	struct process *all;
	size_t count = processes_read(&all);
	bool more = true;
	int found = 0;

	while (more) {
		more = false;
		for (size_t i = 0; i < count; i++)
			if (!all[i].below && process_mark(all, count, root, &all[i]))
				more = true;
	}
	for (size_t i = 0; i < count && found < n; i++)
		if (all[i].below)
			pids[found++] = all[i].pid;
	free(all);
	return found;
}

void test_process_words(pid_t pid, char *text, size_t size)
{
	struct process p;
	char number[24];

	snprintf(number, sizeof number, "%d", pid);
	if (process_read(number, &p))
		snprintf(text, size, "%d (%s) child of %d%s", pid, p.name, p.parent,
		    p.state == 'Z' ? ", dead but not waited for" : "");
	else
		snprintf(text, size, "%d", pid);
}
