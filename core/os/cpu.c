/*
 * cpu.c - how many CPUs this process may use: its affinity, cut by the quota of its cgroup.
 *
 * The quota is rounded up and that of every group above counts too.  Both cgroup versions
 * are looked at, because machines run both at once.  Files that are not there mean no limit:
 * a container often sees only its own group, mounted at the root.
 */
#include "os/cpu.h"

#include "os/fd.h"

#include <cohort/process.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MASK_MAX (1 << 16) /* CPUs; the kernel's own limit is 8192 */

static int affinity_count(void)
{
	for (int cpus = 1024; cpus <= MASK_MAX; cpus *= 4) {
		cpu_set_t *set = CPU_ALLOC(cpus);
		int n = 0;

		if (set == NULL)
			return 1;
		if (sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), set) == 0)
			n = CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set);
		CPU_FREE(set);
		if (n > 0)
			return n;
	}
	return 1;
}

/* The first SIZE - 1 bytes of PATH as a string; false when it cannot be read. */
static bool read_text(const char *path, char *out, size_t size)
{
	int fd = coh_fd_open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	coh_fd_close(&fd);
	if (n < 0)
		return false;
	out[n] = '\0';
	return true;
}

static int cpus_of(long long quota, long long period)
{
	long long n;

	if (quota <= 0 || period <= 0)
		return INT_MAX;
	n = quota / period + (quota % period != 0);
	return n > INT_MAX ? INT_MAX : (int)n;
}

/* The quota of the one group in FOLDER. */
static int group_quota(const char *folder)
{
	char path[PATH_MAX], text[64];
	long long quota = -1, period = -1;

	if (snprintf(path, sizeof path, "%s/cpu.max", folder) < (int)sizeof path &&
	    read_text(path, text, sizeof text)) /* version 2: "max 100000" or two numbers */
		return sscanf(text, "%lld %lld", &quota, &period) == 2 ? cpus_of(quota, period)
								       : INT_MAX;
	if (snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder) < (int)sizeof path &&
	    read_text(path, text, sizeof text))
		quota = strtoll(text, NULL, 10);
	if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder) < (int)sizeof path &&
	    read_text(path, text, sizeof text))
		period = strtoll(text, NULL, 10);
	return cpus_of(quota, period);
}

/* The least quota of the group PATH below ROOT and of all groups above it. */
static int branch_quota(const char *root, const char *path)
{
	char folder[PATH_MAX];
	size_t base = strlen(root);
	int least = INT_MAX, quota;
	char *slash;

	if (snprintf(folder, sizeof folder, "%s%s", root, path) >= (int)sizeof folder)
		return INT_MAX;
	for (;;) {
		quota = group_quota(folder);
		if (quota < least)
			least = quota;
		slash = strrchr(folder, '/');
		if (slash == NULL || strlen(folder) <= base)
			return least;
		*slash = '\0';
	}
}

/* True if the comma-separated LIST has the controller "cpu". */
static bool has_cpu(const char *list)
{
	for (const char *s = list; s != NULL; s = strchr(s, ',')) {
		s += *s == ',';
		if (strncmp(s, "cpu", 3) == 0 && (s[3] == ',' || s[3] == '\0'))
			return true;
	}
	return false;
}

/* One line of /proc/self/cgroup: "0::/path" or "4:cpu,cpuacct:/path". */
static int line_quota(char *line, const char *root)
{
	char *list = strchr(line, ':'), *path = list != NULL ? strchr(list + 1, ':') : NULL;
	char v1[PATH_MAX];

	if (path == NULL)
		return INT_MAX;
	*path++ = '\0';
	list++;
	if (*list == '\0')
		return branch_quota(root, path);
	if (!has_cpu(list) || snprintf(v1, sizeof v1, "%s/cpu", root) >= (int)sizeof v1)
		return INT_MAX;
	return branch_quota(v1, path);
}

int coh_cpu_quota(const char *membership, const char *root)
{
	char text[8192], *next = NULL;
	int least = INT_MAX, quota;

	if (!read_text(membership, text, sizeof text))
		return INT_MAX;
	for (char *line = strtok_r(text, "\n", &next); line != NULL;
	     line = strtok_r(NULL, "\n", &next)) {
		quota = line_quota(line, root);
		if (quota < least)
			least = quota;
	}
	return least;
}

int cohort_cpu_count(void)
{
	int n = affinity_count(), quota = coh_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");

	return quota < n ? quota : n;
}
