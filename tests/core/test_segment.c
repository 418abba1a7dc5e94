/* test_segment.c - shared memory: made, named, attached, refused, gone. */
#include "support/test.h"

#include "core/segment_fixture.h"
#include "os/fd.h"
#include "sync/party.h"

#include <cohort/error.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(segment, an_anonymous_one_is_zero_reserved_and_sealed)
{
	struct coh_segment s = segment_make("local:", COH_SEGMENT_EITHER);
	struct stat st;

	CHECK_EQ(s.header->magic, COH_SEGMENT_MAGIC);
	CHECK_EQ(s.header->kind, COH_SEGMENT_QUEUE);
	CHECK_EQ(s.header->size, SEGMENT_SIZE);
	CHECK(s.header->owner == coh_party_self());
	for (size_t i = sizeof *s.header; i < s.size; i++)
		REQUIRE(((unsigned char *)s.header)[i] == 0);
	REQUIRE(fstat(s.fd, &st) == 0);
	CHECK_EQ(st.st_blocks * 512, SEGMENT_SIZE);
	CHECK(ftruncate(s.fd, 0) != 0);
	CHECK(ftruncate(s.fd, 2 * SEGMENT_SIZE) != 0);
	coh_segment_close(&s);
	coh_segment_close(&s);
}

TEST(segment, a_sparse_tail_is_mapped_and_takes_no_memory)
{
	struct coh_segment_spec spec = segment_spec();
	struct coh_segment s;
	struct stat st;
	bool made;

	spec.tail = (size_t)1 << 30;
	REQUIRE_EQ(coh_segment_open(&s, "local:", COH_SEGMENT_EITHER, &spec, &made, NULL), 0);
	CHECK_EQ(s.size, SEGMENT_SIZE + spec.tail);
	REQUIRE(fstat(s.fd, &st) == 0);
	CHECK_EQ(st.st_blocks * 512, SEGMENT_SIZE);
	((char *)s.header)[s.size - 1] = 1;
	coh_segment_close(&s);
}

TEST(segment, its_bells_are_descriptors_that_do_not_block)
{
	static const char *const addresses[] = {"local:", "local:bells"};

	for (int i = 0; i < 2; i++) {
		struct coh_segment s = segment_make(addresses[i], COH_SEGMENT_EITHER);

		for (int b = 0; b < COH_SEGMENT_BELLS; b++) {
			uint64_t one = 1;

			CHECK_EQ(coh_fd_wait(s.bell[b], POLLIN, COHORT_NOW), 0);
			CHECK_EQ(write(s.bell[b], &one, sizeof one), sizeof one);
			CHECK_EQ(coh_fd_wait(s.bell[b], POLLIN, COHORT_NOW), 1);
			CHECK_EQ(read(s.bell[b], &one, sizeof one), sizeof one);
			CHECK(read(s.bell[b], &one, sizeof one) < 0 && errno == EAGAIN);
		}
		coh_segment_close(&s);
	}
}

TEST(segment, a_name_is_found_only_once_it_is_published)
{
	struct coh_segment a = segment_begin("local:jobs", COH_SEGMENT_CREATE), b;
	struct cohort_error err;

	CHECK_EQ(segment_attach(&b, "local:jobs", &err), -ENOENT);
	CHECK_HAS(err.text, "jobs");
	REQUIRE_EQ(segment_publish(&a), 0);
	REQUIRE_EQ(segment_attach(&b, "local:jobs", &err), 0);
	CHECK(!b.owner);
	CHECK_MEM(a.id, b.id, sizeof a.id);
	segment_bytes(&a)[7] = 42;
	CHECK_EQ(segment_bytes(&b)[7], 42);
	coh_segment_close(&b);
	coh_segment_close(&a);
}

TEST(segment, its_name_goes_with_its_maker_and_with_nobody_else)
{
	struct coh_segment a = segment_make("local:jobs", COH_SEGMENT_CREATE), b, c;

	REQUIRE_EQ(segment_attach(&b, "local:jobs", NULL), 0);
	coh_segment_close(&b);
	REQUIRE_EQ(segment_attach(&b, "local:jobs", NULL), 0);
	coh_segment_close(&a);
	CHECK_EQ(segment_attach(&c, "local:jobs", NULL), -ENOENT);
	segment_bytes(&b)[0] = 1; /* who has it open keeps it */
	coh_segment_close(&b);
	CHECK(!segment_root_there());
}

TEST(segment, a_forked_child_that_closes_leaves_the_name)
{
	struct coh_segment a = segment_make("local:jobs", COH_SEGMENT_CREATE), b;
	pid_t pid = fork();

	if (pid == 0) {
		coh_segment_close(&a);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	CHECK_EQ(segment_attach(&b, "local:jobs", NULL), 0);
	coh_segment_close(&b);
	coh_segment_close(&a);
}

TEST(segment, what_is_closed_unpublished_was_never_there)
{
	struct coh_segment a = segment_begin("local:jobs", COH_SEGMENT_CREATE);

	coh_segment_close(&a);
	CHECK(!segment_root_there());
}

TEST(segment, exclusive_making_refuses_what_is_there)
{
	struct coh_segment a = segment_make("local:jobs", COH_SEGMENT_CREATE), b;
	struct coh_segment_spec spec = segment_spec();
	struct cohort_error err;
	bool made;

	CHECK_EQ(
	    coh_segment_open(&b, "local:jobs", COH_SEGMENT_CREATE, &spec, &made, &err), -EEXIST);
	CHECK_HAS(err.text, "jobs");
	coh_segment_close(&a);
}

TEST(segment, two_exclusive_makers_at_once_are_told_at_publishing)
{
	struct coh_segment a = segment_begin("local:jobs", COH_SEGMENT_CREATE);
	struct coh_segment b = segment_begin("local:jobs", COH_SEGMENT_CREATE);

	CHECK_EQ(segment_publish(&b), 0);
	CHECK_EQ(segment_publish(&a), -EEXIST);
	CHECK(a.owner);
	coh_segment_close(&a);
	CHECK_EQ(segment_attach(&a, "local:jobs", NULL), 0);
	coh_segment_close(&a);
	coh_segment_close(&b);
}

TEST(segment, either_attaches_what_another_published_first)
{
	struct coh_segment a = segment_begin("local:jobs", COH_SEGMENT_EITHER);
	struct coh_segment b = segment_begin("local:jobs", COH_SEGMENT_EITHER);

	segment_bytes(&b)[0] = 7;
	CHECK_EQ(segment_publish(&b), 0);
	CHECK_EQ(segment_publish(&a), -EEXIST);
	CHECK(!a.owner);
	CHECK_EQ(segment_bytes(&a)[0], 7);
	coh_segment_close(&a);
	coh_segment_close(&b);
	CHECK(!segment_root_there());
}

TEST(segment, removing_a_name_removes_it_whoever_made_it_and_once)
{
	struct coh_segment a = segment_make("local:jobs", COH_SEGMENT_CREATE), b;
	struct cohort_error err;

	CHECK_EQ(coh_segment_unlink("jobs", &err), 0);
	CHECK_EQ(coh_segment_unlink("jobs", &err), -ENOENT);
	CHECK_HAS(err.text, "jobs");
	b = segment_make("local:jobs", COH_SEGMENT_CREATE);
	coh_segment_close(&a); /* the name is another's now */
	CHECK_EQ(segment_attach(&a, "local:jobs", NULL), 0);
	coh_segment_close(&a);
	coh_segment_close(&b);
}

TEST(segment, names_are_what_a_file_system_takes)
{
	char name[COH_SEGMENT_NAME_MAX + 2], address[sizeof name + 8];
	struct coh_segment a, b;

	memset(name, 'n', sizeof name);
	name[COH_SEGMENT_NAME_MAX] = '\0';
	snprintf(address, sizeof address, "local:%s", name);
	a = segment_make(address, COH_SEGMENT_CREATE);
	REQUIRE_EQ(segment_attach(&b, address, NULL), 0);
	coh_segment_close(&b);
	coh_segment_close(&a);
	a = segment_make("local: two\nlines \xff.", COH_SEGMENT_CREATE);
	coh_segment_close(&a);
	a = segment_make("local:...", COH_SEGMENT_CREATE);
	CHECK_EQ(coh_segment_sweep(), 0);
	CHECK_EQ(coh_segment_unlink("...", NULL), 0);
	coh_segment_close(&a);
}

TEST(segment, bad_names_and_addresses_are_refused)
{
	static const struct {
		const char *address;
		int rc;
	} bad[] = {{"local:.", COHORT_ENAME}, {"local:..", COHORT_ENAME},
	    {"local:a/b", COHORT_ENAME}, {"local:/", COHORT_ENAME}, {"", COHORT_EADDRESS},
	    {NULL, COHORT_EADDRESS}, {"local", COHORT_EADDRESS}, {"tcp://a:1/b", COHORT_EADDRESS},
	    {"inherit:nothing", -ENOENT}};
	struct coh_segment_spec spec = segment_spec();
	char name[COH_SEGMENT_NAME_MAX + 2] = "", address[sizeof name + 8];
	struct cohort_error err;
	struct coh_segment s;
	bool made;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK_EQ(
		    coh_segment_open(&s, bad[i].address, COH_SEGMENT_EITHER, &spec, &made, &err),
		    bad[i].rc);
		CHECK_EQ(err.code, bad[i].rc);
		CHECK(s.header == NULL);
	}
	memset(name, 'n', sizeof name - 1);
	snprintf(address, sizeof address, "local:%s", name);
	CHECK_EQ(
	    coh_segment_open(&s, address, COH_SEGMENT_EITHER, &spec, &made, &err), COHORT_ENAME);
	CHECK_HAS(err.text, "256");
	CHECK_EQ(coh_segment_unlink("", NULL), COHORT_ENAME);
	CHECK_EQ(coh_segment_open(&s, "local:", COH_SEGMENT_ATTACH, &spec, &made, &err),
	    COHORT_ENOTSUP);
}

TEST(segment, another_kind_or_a_smaller_one_is_refused)
{
	struct coh_segment a = segment_make("local:jobs", COH_SEGMENT_CREATE), b;
	struct coh_segment_spec spec = segment_spec();
	struct cohort_error err;
	bool made;

	spec.kind = COH_SEGMENT_MAP;
	CHECK_EQ(coh_segment_open(&b, "local:jobs", COH_SEGMENT_EITHER, &spec, &made, &err),
	    COHORT_ESEGMENT);
	CHECK_HAS(err.text, "queue");
	spec = segment_spec();
	spec.size *= 2;
	CHECK_EQ(coh_segment_open(&b, "local:jobs", COH_SEGMENT_EITHER, &spec, &made, &err),
	    COHORT_ESEGMENT);
	CHECK_HAS(err.text, "8192");
	spec.least = sizeof(struct coh_segment_header);
	CHECK_EQ(coh_segment_open(&b, "local:jobs", COH_SEGMENT_EITHER, &spec, &made, &err), 0);
	CHECK(!made);
	coh_segment_close(&b);
	coh_segment_close(&a);
}

TEST(segment, every_changed_byte_of_the_header_is_refused)
{
	struct coh_segment a = segment_make("local:jobs", COH_SEGMENT_CREATE), b;
	unsigned char *bytes = (unsigned char *)a.header;
	struct cohort_error err;

	for (size_t i = 0; i < sizeof *a.header; i++)
		for (int bit = 0; bit < 8; bit++) {
			bytes[i] ^= (unsigned char)(1 << bit);
			CHECK_EQ(segment_attach(&b, "local:jobs", &err), COHORT_ESEGMENT);
			CHECK_HAS(err.text, "open the queue: ");
			bytes[i] ^= (unsigned char)(1 << bit);
		}
	CHECK_EQ(segment_attach(&b, "local:jobs", NULL), 0);
	coh_segment_close(&b);
	coh_segment_close(&a);
}

TEST(segment, a_cut_file_is_refused_and_found)
{
	struct coh_segment a = segment_make("local:jobs", COH_SEGMENT_CREATE), b;
	struct cohort_error err;

	CHECK_EQ(coh_segment_check(&a, &err), 0);
	for (off_t size = SEGMENT_SIZE - 1; size >= 0; size -= size > 64 ? 64 : 1) {
		REQUIRE(ftruncate(a.fd, size) == 0);
		CHECK_EQ(coh_segment_check(&a, &err), COHORT_ESEGMENT);
		CHECK_EQ(segment_attach(&b, "local:jobs", &err), COHORT_ESEGMENT);
	}
	coh_segment_close(&a);
	CHECK(!segment_root_there());
}

TEST(segment, what_is_no_segment_is_refused)
{
	struct coh_segment a = segment_make("local:keep", COH_SEGMENT_CREATE), b;
	char folder[128], file[160];
	struct cohort_error err;

	snprintf(folder, sizeof folder, "%s/names/odd", segment_root());
	snprintf(file, sizeof file, "%s/segment", folder);
	REQUIRE(mkdir(folder, 0700) == 0);
	CHECK_EQ(segment_attach(&b, "local:odd", &err), -ENOENT);
	REQUIRE(mkdir(file, 0700) == 0);
	CHECK_EQ(segment_attach(&b, "local:odd", &err), COHORT_ESEGMENT);
	REQUIRE(rmdir(file) == 0 && mkfifo(file, 0600) == 0);
	CHECK_EQ(segment_attach(&b, "local:odd", &err), COHORT_ESEGMENT);
	REQUIRE(unlink(file) == 0 && symlink("/dev/zero", file) == 0);
	CHECK_EQ(segment_attach(&b, "local:odd", &err), COHORT_ESEGMENT);
	REQUIRE(unlink(file) == 0 && rmdir(folder) == 0);
	REQUIRE(symlink("keep", folder) == 0 && unlink(folder) == 0);
	coh_segment_close(&a);
}

TEST(segment, a_segment_without_its_bells_is_refused)
{
	struct coh_segment a = segment_make("local:jobs", COH_SEGMENT_CREATE), b;
	struct cohort_error err;
	char bell[128];

	snprintf(bell, sizeof bell, "%s/names/jobs/bell1", segment_root());
	REQUIRE(unlink(bell) == 0);
	CHECK_EQ(segment_attach(&b, "local:jobs", &err), COHORT_ESEGMENT);
	REQUIRE(symlink("segment", bell) == 0);
	CHECK_EQ(segment_attach(&b, "local:jobs", &err), COHORT_ESEGMENT);
	coh_segment_close(&a);
}

TEST(segment, descriptors_are_adopted_and_are_the_same_memory)
{
	static const char *const addresses[] = {"local:", "local:jobs"};

	for (int i = 0; i < 2; i++) {
		struct coh_segment a = segment_make(addresses[i], COH_SEGMENT_EITHER), b;
		struct coh_segment_spec spec = segment_spec();
		int fds[3], n = coh_segment_fds(&a, fds);

		REQUIRE_EQ(n, 3);
		for (int k = 0; k < n; k++)
			fds[k] = coh_fd_dup(fds[k]);
		REQUIRE_EQ(coh_segment_adopt(&b, fds, n, &spec, NULL), 0);
		segment_bytes(&a)[9] = 9;
		CHECK_EQ(segment_bytes(&b)[9], 9);
		CHECK(!b.owner);
		CHECK_MEM(a.id, b.id, sizeof a.id);
		coh_segment_close(&b);
		coh_segment_close(&a);
	}
}

TEST(segment, descriptors_that_are_no_segment_are_refused_and_kept)
{
	struct coh_segment a = segment_make("local:", COH_SEGMENT_EITHER), b;
	struct coh_segment_spec spec = segment_spec();
	int loose = coh_fd_memory("loose"), null = coh_fd_open("/dev/null", O_RDWR), fds[3];
	struct cohort_error err;

	coh_segment_fds(&a, fds);
	CHECK_EQ(coh_segment_adopt(&b, fds, 2, &spec, &err), COHORT_ESEGMENT);
	CHECK_EQ(coh_segment_adopt(&b, fds, 0, &spec, &err), COHORT_ESEGMENT);
	REQUIRE(write(loose, a.header, 4096) == 4096);
	CHECK_EQ(
	    coh_segment_adopt(&b, (int[]){loose, fds[1], fds[2]}, 3, &spec, &err), COHORT_ESEGMENT);
	CHECK_HAS(err.text, "sealed");
	CHECK_EQ(
	    coh_segment_adopt(&b, (int[]){null, fds[1], fds[2]}, 3, &spec, &err), COHORT_ESEGMENT);
	CHECK_EQ(coh_segment_adopt(&b, (int[]){fds[1], fds[1], fds[2]}, 3, &spec, &err),
	    COHORT_ESEGMENT);
	CHECK_EQ(
	    coh_segment_adopt(&b, (int[]){fds[0], null, fds[2]}, 3, &spec, &err), COHORT_ESEGMENT);
	CHECK_EQ(
	    coh_segment_adopt(&b, (int[]){fds[0], fds[1], -1}, 3, &spec, &err), COHORT_ESEGMENT);
	CHECK_EQ(
	    coh_segment_adopt(&b, (int[]){-1, fds[1], fds[2]}, 3, &spec, &err), COHORT_ESEGMENT);
	spec.kind = COH_SEGMENT_LOCK;
	CHECK_EQ(coh_segment_adopt(&b, fds, 3, &spec, &err), COHORT_ESEGMENT);
	CHECK_EQ(coh_fd_wait(fds[1], POLLIN, COHORT_NOW), 0); /* open still */
	coh_fd_close(&loose);
	coh_fd_close(&null);
	coh_segment_close(&a);
}

/* ---- other pid namespaces ---- */

/* As the first process of a namespace of its own: the object is refused in words. */
static int refuse_from_another_space(void)
{
	struct cohort_error err = {0};
	struct coh_segment s;

	if (segment_attach(&s, "local:elsewhere", &err) != COHORT_ENOTSUP)
		return 1;
	return strstr(err.text, "pid namespace") != NULL ? 0 : 2;
}

TEST(segment, is_refused_in_another_pid_namespace_where_thread_ids_mean_others)
{
	struct coh_segment s = segment_make("local:elsewhere", COH_SEGMENT_CREATE);
	pid_t pid = fork(), inner;
	int status;

	REQUIRE(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWPID) != 0)
			_exit(errno == EPERM ? 0 : 3); /* not allowed to try */
		inner = fork();
		if (inner == 0)
			_exit(refuse_from_another_space());
		_exit(inner > 0 && waitpid(inner, &status, 0) == inner && WIFEXITED(status)
			? WEXITSTATUS(status)
			: 4);
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	coh_segment_close(&s);
}
