/* test_cpu.c - CPUs by affinity and by the quotas of both cgroup versions. */
#include "os/cpu.h"
#include "support/test.h"

#include <cohort/process.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void put_file(const char *name, const char *text)
{
	FILE *f = fopen(test_path(name), "w");

	REQUIRE(f != NULL);
	CHECK(fputs(text, f) >= 0);
	CHECK(fclose(f) == 0);
}

static void put_folder(const char *name)
{
	REQUIRE(mkdir(test_path(name), 0700) == 0);
}

static int quota(const char *membership)
{
	put_file("cgroup", membership);
	return coh_cpu_quota(test_path("cgroup"), test_folder());
}

TEST(cpu, count_is_that_of_the_affinity)
{
	cpu_set_t all, one;
	int n = cohort_cpu_count();

	REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
	CHECK(n >= 1 && n <= CPU_COUNT(&all));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && CPU_COUNT(&one) == 0)
			CPU_SET(i, &one);
	REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
	CHECK_EQ(cohort_cpu_count(), 1);
}

TEST(cpu, quota_of_version_2_is_rounded_up)
{
	put_folder("job");
	put_file("job/cpu.max", "150000 100000\n");
	CHECK_EQ(quota("0::/job\n"), 2);
	put_file("job/cpu.max", "300000 100000\n");
	CHECK_EQ(quota("0::/job\n"), 3);
	put_file("job/cpu.max", "max 100000\n");
	CHECK_EQ(quota("0::/job\n"), INT_MAX);
}

TEST(cpu, quota_of_a_group_above_counts)
{
	put_folder("a");
	put_folder("a/b");
	put_file("a/cpu.max", "100000 100000\n");
	put_file("a/b/cpu.max", "800000 100000\n");
	CHECK_EQ(quota("0::/a/b\n"), 1);
}

TEST(cpu, quota_of_version_1_is_read)
{
	put_folder("cpu");
	put_folder("cpu/job");
	put_file("cpu/job/cpu.cfs_quota_us", "250000\n");
	put_file("cpu/job/cpu.cfs_period_us", "100000\n");
	CHECK_EQ(quota("5:memory:/job\n4:cpu,cpuacct:/job\n0::/\n"), 3);
	CHECK_EQ(quota("4:cpuset:/job\n"), INT_MAX);
	put_file("cpu/job/cpu.cfs_quota_us", "-1\n");
	CHECK_EQ(quota("4:cpuacct,cpu:/job\n"), INT_MAX);
}

TEST(cpu, without_groups_there_is_no_limit)
{
	CHECK_EQ(coh_cpu_quota(test_path("none"), test_folder()), INT_MAX);
	CHECK_EQ(quota("nonsense\n0::/nowhere/at/all\n"), INT_MAX);
}
