/* cpu.h - the cgroup's share in cohort_cpu_count, with its files named so that tests can make them. */
#ifndef COH_OS_CPU_H
#define COH_OS_CPU_H

/*
 * The CPUs that the groups listed in file MEMBERSHIP (as /proc/self/cgroup) may use by the
 * quotas below ROOT (as /sys/fs/cgroup), rounded up; INT_MAX without a limit.  Any thread.
 */
int coh_cpu_quota(const char *membership, const char *root);

#endif
