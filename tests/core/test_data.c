/* test_data.c - what every kind of shared data promises: names, ownership, sizes that agree, damage. */
#include "core/data_kinds.h"
#include "core/sync_page.h"
#include "sync/data.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#define END (data_kinds + DATA_KINDS)

TEST(data, opens_without_a_name_and_ends_with_its_handle)
{
	for (const struct data_kind *k = data_kinds; k < END; k++) {
		void *a = data_kind_open(k, "local:", COHORT_OPEN_EITHER);
		void *b = data_kind_open(k, "local:", COHORT_OPEN_CREATE);

		k->close(a);
		k->close(b);
		k->close(NULL);
	}
}

TEST(data, address_that_cannot_be_attached_or_made_says_what_can)
{
	for (const struct data_kind *k = data_kinds; k < END; k++) {
		struct cohort_error err = {.code = 0};
		void *a = NULL;

		CHECK_EQ(k->open(&a, "local:", COHORT_OPEN_ATTACH, &err), COHORT_ENOTSUP);
		CHECK_HAS(err.text, "attach local:NAME, or inherit:NAME");
		CHECK_EQ(k->open(&a, "inherit:x", COHORT_OPEN_CREATE, &err), COHORT_ENOTSUP);
		CHECK_HAS(err.text, "make one at local: or local:NAME");
		CHECK(a == NULL);
	}
}

TEST(data, goes_by_name_and_its_maker_owns_it)
{
	for (const struct data_kind *k = data_kinds; k < END; k++) {
		void *a = data_kind_open(k, "local:x", COHORT_OPEN_CREATE), *b = NULL;

		CHECK_EQ(k->open(&b, "local:x", COHORT_OPEN_CREATE, NULL), -EEXIST);
		b = data_kind_open(k, "local:x", COHORT_OPEN_ATTACH);
		k->close(b);
		CHECK_EQ(k->open_any(&b, "local:x", COHORT_OPEN_ATTACH, NULL), 0); /* it stayed */
		k->close(a);
		k->close(b);
		CHECK_EQ(k->open(&b, "local:x", COHORT_OPEN_ATTACH, NULL), -ENOENT);
	}
}

TEST(data, refuses_addresses_and_names_that_cannot_be)
{
	static char longest[300] = "local:";
	void *a = NULL;

	memset(longest + 6, 'n', 256);
	for (const struct data_kind *k = data_kinds; k < END; k++) {
		struct cohort_error err = {.code = 0};

		CHECK_EQ(k->open(&a, longest, COHORT_OPEN_EITHER, NULL), COHORT_ENAME);
		CHECK_EQ(k->open(&a, "local:a/b", COHORT_OPEN_EITHER, &err), COHORT_ENAME);
		CHECK_HAS(err.text, "a/b");
		CHECK_EQ(k->open(&a, "local:..", COHORT_OPEN_EITHER, NULL), COHORT_ENAME);
		CHECK_EQ(k->open(&a, "", COHORT_OPEN_EITHER, NULL), COHORT_EADDRESS);
		CHECK_EQ(k->open(&a, "what", COHORT_OPEN_EITHER, NULL), COHORT_EADDRESS);
		CHECK(k->open(&a, "inherit:none", COHORT_OPEN_EITHER, NULL) == -ENOENT);
		CHECK(a == NULL);
	}
}

TEST(data, of_one_kind_is_not_of_another)
{
	for (const struct data_kind *k = data_kinds; k < END; k++)
		for (const struct data_kind *other = data_kinds; other < END; other++) {
			void *a = data_kind_open(k, "local:x", COHORT_OPEN_CREATE), *b = NULL;
			int rc = other->open(&b, "local:x", COHORT_OPEN_EITHER, NULL);

			CHECK_EQ(rc, k == other ? 0 : COHORT_ESEGMENT);
			other->close(b);
			k->close(a);
		}
}

TEST(data, without_a_size_can_only_be_attached)
{
	for (const struct data_kind *k = data_kinds; k < END; k++) {
		struct cohort_error err = {.code = 0};
		void *a = NULL;

		if (strcmp(k->name, "dict") == 0)
			continue; /* which has a usual one */
		CHECK_EQ(k->open_any(&a, "local:x", COHORT_OPEN_EITHER, &err), COHORT_EARGUMENT);
		CHECK_HAS(err.text, "0");
		CHECK_EQ(k->open_any(&a, "local:", COHORT_OPEN_EITHER, NULL), COHORT_EARGUMENT);
		CHECK_EQ(k->open_any(&a, "local:x", COHORT_OPEN_ATTACH, NULL), -ENOENT);
		CHECK(a == NULL);
	}
}

/* Each byte of what it says of itself, changed: refused. */
TEST(data, is_refused_when_its_shape_was_damaged)
{
	for (const struct data_kind *k = data_kinds; k < END; k++) {
		struct coh_data *a = data_kind_open(k, "local:x", COHORT_OPEN_CREATE);
		unsigned char *shape = (unsigned char *)&coh_data_head(a)->shape;
		void *b = NULL;

		for (size_t i = 0; i < sizeof(struct coh_data_shape); i++) {
			shape[i] ^= 0x40;
			CHECK_EQ(k->open(&b, "local:x", COHORT_OPEN_ATTACH, NULL), COHORT_ESEGMENT);
			shape[i] ^= 0x40;
		}
		CHECK_EQ(k->open(&b, "local:x", COHORT_OPEN_ATTACH, NULL), 0);
		k->close(b);
		k->close(a);
	}
}

static void child(void *arg)
{
	for (const struct data_kind *k = data_kinds; k < END; k++)
		k->close(data_kind_open(k, arg, COHORT_OPEN_EITHER));
	for (const struct data_kind *k = data_kinds; k < END; k++) {
		void *a = data_kind_open(k, "local:left", COHORT_OPEN_CREATE);

		(void)a; /* dies with it open */
		raise(SIGKILL);
	}
}

TEST(data, what_a_dead_maker_left_is_swept)
{
	void *a = NULL;

	CHECK_EQ(WTERMSIG(sync_join(sync_fork(child, (void *)(uintptr_t) "local:y"))), SIGKILL);
	CHECK_EQ(cohort_shared_sweep(), 1);
	for (const struct data_kind *k = data_kinds; k < END; k++)
		CHECK_EQ(k->open(&a, "local:left", COHORT_OPEN_ATTACH, NULL), -ENOENT);
}

/* A file system so small that not everything fits. */
TEST(data, is_refused_when_shared_memory_is_full)
{
	struct cohort_array_options o = {.type = 'B', .count = 4 << 20};
	struct cohort_memory_options m = {.size = 4 << 20};
	struct cohort_array *a = NULL;
	struct cohort_memory *b = NULL;
	struct cohort_error err = {.code = 0};

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1m") != 0)
		return;
	CHECK_EQ(cohort_array_open(&a, "local:big", &o, &err), -ENOSPC);
	CHECK_HAS(err.text, "array");
	CHECK_EQ(cohort_memory_open(&b, "local:big", &m, NULL), -ENOSPC);
	o.count = m.size = 100000;
	CHECK_EQ(cohort_array_open(&a, "local:small", &o, NULL), 0);
	cohort_array_close(a);
	umount2("/dev/shm", MNT_DETACH);
}
