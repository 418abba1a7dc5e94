/* test_segment_lack.c - no room, no descriptors, no memory, no right: an error, and nothing left. */
#include "core/segment_fixture.h"

#include "os/fd.h"
#include "sync/party.h"
#include "sync/segment_priv.h"

#include <cohort/error.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static const char *const addresses[] = {"local:", "local:lack"};

static int open_new(
    struct coh_segment *s, const char *address, size_t size, struct cohort_error *err)
{
	struct coh_segment_spec spec = segment_spec();
	bool made;

	spec.size = size;
	return coh_segment_open(s, address, COH_SEGMENT_EITHER, &spec, &made, err);
}

/* A file system of OPTIONS at /dev/shm, seen by this test alone; false where that is not allowed. */
static bool small_shm(const char *options)
{
	return unshare(CLONE_NEWNS) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

static unsigned long blocks_used(void)
{
	struct statvfs fs;

	REQUIRE(statvfs("/dev/shm", &fs) == 0);
	return fs.f_blocks - fs.f_bfree;
}

TEST(segment_lack, a_full_file_system_is_an_error_when_it_is_made)
{
	struct cohort_error err;
	struct coh_segment s, t;
	unsigned long used;

	if (!small_shm("size=256k"))
		return;
	used = blocks_used();
	CHECK_EQ(open_new(&s, "local:lack", (size_t)1 << 20, &err), -ENOSPC);
	CHECK_HAS(err.text, "1048576 bytes");
	CHECK_HAS(err.text, "lack");
	CHECK(!segment_root_there());
	REQUIRE_EQ(open_new(&s, "local:lack", 128 << 10, &err), 0);
	CHECK_EQ(open_new(&t, "local:more", 200 << 10, &err), -ENOSPC);
	memset(segment_bytes(&s), 1, s.size - sizeof *s.header); /* no SIGBUS */
	coh_segment_close(&s);
	CHECK(!segment_root_there());
	CHECK_EQ(blocks_used(), used);
}

/* Whichever inode is the one too many: the folders, the file, the bells. */
TEST(segment_lack, a_file_system_without_inodes_is_an_error_at_each)
{
	char options[64];
	struct cohort_error err;
	struct coh_segment s;
	int rc = -1;

	for (int n = 1; rc != 0 && n < 20; n++) {
		snprintf(options, sizeof options, "size=1m,nr_inodes=%d", n);
		if (!small_shm(options))
			return;
		rc = open_new(&s, "local:lack", SEGMENT_SIZE, &err);
		if (rc != 0) {
			CHECK_EQ(rc, -ENOSPC);
			CHECK_EQ(err.code, -ENOSPC);
			CHECK(s.header == NULL);
		} else {
			CHECK(n > 7);
			REQUIRE_EQ(segment_publish(&s), 0);
			coh_segment_close(&s);
		}
		CHECK(!segment_root_there());
		umount("/dev/shm");
	}
	CHECK_EQ(rc, 0);
}

TEST(segment_lack, more_than_the_machine_has_is_an_error_and_kills_nobody)
{
	static const size_t sizes[] = {(size_t)1 << 42, (size_t)1 << 50, (size_t)1 << 62, SIZE_MAX};
	struct cohort_error err;
	struct coh_segment s;

	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
			int rc = open_new(&s, addresses[i], sizes[k], &err);

			CHECK(rc == -ENOSPC || rc == -EFBIG);
			CHECK_EQ(err.code, rc);
		}
	CHECK(!segment_root_there());
}

TEST(segment_lack, the_limit_on_file_sizes_is_an_error_and_no_signal)
{
	struct rlimit limit = {SEGMENT_SIZE + 8, SEGMENT_SIZE + 8}; /* the marks of a named one */
	struct coh_segment_spec spec = segment_spec();
	struct cohort_error err;
	struct coh_segment s;
	bool made;

	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(open_new(&s, addresses[i], SEGMENT_SIZE + 9, &err), -EFBIG);
		spec.tail = 9;
		CHECK_EQ(coh_segment_open(&s, addresses[i], COH_SEGMENT_EITHER, &spec, &made, &err),
		    -EFBIG);
		REQUIRE_EQ(open_new(&s, addresses[i], SEGMENT_SIZE, &err), 0);
		coh_segment_close(&s);
	}
	CHECK(!segment_root_there());
}

TEST(segment_lack, each_descriptor_that_cannot_be_had_is_an_error)
{
	struct coh_segment_spec spec = segment_spec();
	struct coh_segment s;
	bool made;
	int rc;

	for (int i = 0; i < 2; i++)
		for (unsigned long n = 1; n < 100; n++) {
			coh_fd_fail(n, EMFILE);
			rc = coh_segment_open(
			    &s, addresses[i], COH_SEGMENT_EITHER, &spec, &made, NULL);
			if (rc == 0)
				rc = segment_publish(&s);
			if (coh_fd_count() < n)
				n = 100;
			else
				CHECK(rc == -EMFILE || rc == 0); /* 0: a sweep did without */
			coh_fd_fail(0, 0);
			coh_segment_close(&s);
			CHECK(!segment_root_there());
		}
}

TEST(segment_lack, attaching_without_descriptors_is_an_error_and_leaves_the_name)
{
	struct coh_segment a = segment_make("local:lack", COH_SEGMENT_CREATE), b;
	int rc = -1;

	for (unsigned long n = 1; rc != 0; n++) {
		coh_fd_fail(n, EMFILE);
		rc = segment_attach(&b, "local:lack", NULL);
		CHECK(rc == 0 || rc == -EMFILE);
	}
	coh_fd_fail(0, 0);
	coh_segment_close(&b);
	REQUIRE_EQ(segment_attach(&b, "local:lack", NULL), 0);
	coh_segment_close(&b);
	coh_segment_close(&a);
}

/* The last descriptors of the process are its own: it needs no more to remove the name. */
TEST(segment_lack, a_name_is_removed_where_no_descriptor_is_left)
{
	struct coh_segment a = segment_make("local:lack", COH_SEGMENT_CREATE);
	int fds[256], n = 0;
	struct rlimit limit = {128, 128};

	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (n < 256 && (fds[n] = coh_fd_event()) >= 0)
		n++;
	coh_segment_close(&a);
	CHECK(!segment_root_there());
	while (n > 0)
		coh_fd_close(&fds[--n]);
}

TEST(segment_lack, an_exhausted_address_space_is_an_error)
{
	const size_t size = (size_t)64 << 20;
	struct coh_segment_spec spec = segment_spec();
	struct coh_segment a, b;
	struct rlimit limit;
	bool made;

	if (test_span(1) != 1)
		return; /* a sanitizer has more address space than any limit */
	spec.size = size;
	REQUIRE_EQ(coh_segment_open(&a, "local:there", COH_SEGMENT_CREATE, &spec, &made, NULL), 0);
	REQUIRE_EQ(coh_segment_publish(&a, &spec, NULL), 0);
	limit.rlim_cur = limit.rlim_max = size + ((rlim_t)16 << 20);
	REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(coh_segment_open(&b, addresses[i], COH_SEGMENT_EITHER, &spec, &made, NULL),
		    -ENOMEM);
	CHECK_EQ(
	    coh_segment_open(&b, "local:there", COH_SEGMENT_ATTACH, &spec, &made, NULL), -ENOMEM);
	coh_segment_close(&a);
	CHECK(!segment_root_there());
}

static int make_and_attach(void *arg)
{
	struct coh_segment_spec spec = segment_spec();
	struct coh_segment a, b;
	bool made;
	int rc = coh_segment_open(&a, arg, COH_SEGMENT_EITHER, &spec, &made, NULL);

	if (rc == 0)
		rc = segment_publish(&a);
	if (rc == 0) {
		rc = segment_attach(&b, arg, NULL);
		coh_segment_close(&b);
	}
	coh_segment_close(&a);
	return rc;
}

TEST(segment_lack, each_allocation_that_fails_is_an_error)
{
	char address[] = "local:lack";

	test_every_allocation(make_and_attach, address);
	CHECK(!segment_root_there());
}

/* ---- rights ---- */

TEST(segment_lack, a_folder_that_is_not_ours_alone_is_refused)
{
	struct cohort_error err;
	struct coh_segment s;

	REQUIRE(mkdir(segment_root(), 0700) == 0);
	REQUIRE(chmod(segment_root(), 0720) == 0);
	CHECK_EQ(open_new(&s, "local:lack", SEGMENT_SIZE, &err), -EACCES);
	CHECK_HAS(err.text, "720");
	CHECK_EQ(segment_attach(&s, "local:lack", &err), -EACCES);
	CHECK_EQ(coh_segment_unlink("lack", &err), -EACCES);
	CHECK_EQ(coh_segment_sweep(), -EACCES);
	REQUIRE(rmdir(segment_root()) == 0 && symlink(test_folder(), segment_root()) == 0);
	CHECK_EQ(open_new(&s, "local:lack", SEGMENT_SIZE, &err), -EACCES);
	CHECK_HAS(err.text, "no folder");
	REQUIRE(unlink(segment_root()) == 0);
	if (geteuid() != 0)
		return;
	REQUIRE(mkdir(segment_root(), 0700) == 0 && chown(segment_root(), 65534, 65534) == 0);
	CHECK_EQ(open_new(&s, "local:lack", SEGMENT_SIZE, &err), -EACCES);
	CHECK_HAS(err.text, "65534");
	REQUIRE(rmdir(segment_root()) == 0);
}

TEST(segment_lack, the_memory_of_another_user_is_refused)
{
	struct coh_segment a = segment_make("local:", COH_SEGMENT_EITHER), b;
	struct coh_segment_spec spec = segment_spec();
	struct cohort_error err;
	int fds[3];

	if (geteuid() == 0) {
		coh_segment_fds(&a, fds);
		REQUIRE(fchown(a.fd, 65534, 65534) == 0);
		CHECK_EQ(coh_segment_adopt(&b, fds, 3, &spec, &err), -EACCES);
		CHECK_HAS(err.text, "65534");
	}
	coh_segment_close(&a);
}

TEST(segment_lack, another_user_has_names_of_its_own)
{
	struct coh_segment a = segment_make("local:lack", COH_SEGMENT_CREATE);
	pid_t pid = geteuid() == 0 ? fork() : -1;

	if (pid == 0) {
		struct coh_segment b;
		int rc;

		if (setresuid(65534, 65534, 65534) != 0)
			_exit(9);
		rc = segment_attach(&b, "local:lack", NULL) == -ENOENT ? 0 : 1;
		b = segment_make("local:lack", COH_SEGMENT_CREATE);
		if (b.header->owner != coh_party_self())
			rc |= 2;
		coh_segment_close(&b);
		_exit(rc | (segment_root_there() ? 4 : 0));
	}
	if (pid > 0)
		CHECK_EQ(segment_exit(pid), 0);
	coh_segment_close(&a);
}
