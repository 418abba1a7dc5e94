/* test_data.c - what every kind of shared data promises: names, ownership, sizes that agree, damage, full memory. */
#include "core/data_kinds.h"
#include "core/sync_page.h"
#include "sync/data.h"

#include <cohort/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

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

/* ---- full shared memory ---- */

/* A /dev/shm of this test's own, so small that not everything fits; false: this user cannot have one. */
static bool small_shared_memory(const char *size)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("tmpfs", "/dev/shm", "tmpfs", 0, size) == 0;
}

TEST(data, is_refused_when_shared_memory_is_full)
{
	struct cohort_array_options o = {.type = 'B', .count = 4 << 20};
	struct cohort_memory_options m = {.size = 4 << 20};
	struct cohort_array *a = NULL;
	struct cohort_memory *b = NULL;
	struct cohort_error err = {.code = 0};

	if (!small_shared_memory("size=1m"))
		return;
	CHECK_EQ(cohort_array_open(&a, "local:big", &o, &err), -ENOSPC);
	CHECK_HAS(err.text, "array");
	CHECK_EQ(cohort_memory_open(&b, "local:big", &m, NULL), -ENOSPC);
	o.count = m.size = 100000;
	CHECK_EQ(cohort_array_open(&a, "local:small", &o, NULL), 0);
	cohort_array_close(a);
	umount2("/dev/shm", MNT_DETACH);
}

#define BALLAST "/dev/shm/ballast"
#define LARGEST 100000

/* Another's file, which takes SIZE bytes until it is removed. */
static void lay_ballast(off_t size)
{
	int fd = open(BALLAST, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0);
	CHECK_EQ(posix_fallocate(fd, 0, size), 0);
	close(fd);
}

/* What the item or the value N is: bytes that go by N, in a buffer that the next call writes again. */
static const unsigned char *bytes_of(unsigned n)
{
	static unsigned char bytes[LARGEST];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(n * 31 + i / 7);
	return bytes;
}

/* Sizes of N: where the large ones fit no more, there is room for small ones still. */
static const size_t large_sizes[] = {LARGEST, 700, 5000}, small_sizes[] = {40, 300, 40};

/* Item N, of SIZE bytes, into OBJECT. */
typedef int (*store_fn)(void *object, unsigned n, size_t size);

/* Items N and on, one of SIZES each, until one is refused; the one that was. */
static unsigned until_full(store_fn store, void *object, const size_t *sizes, size_t *size, unsigned n)
{
	int rc;

	for (;; n++) {
		rc = store(object, n, sizes[n % 3]);
		if (rc != 0)
			break;
		REQUIRE(n < 100000);
		size[n] = sizes[n % 3];
	}
	CHECK_EQ(rc, -ENOSPC);
	return n;
}

static int put(void *object, unsigned n, size_t size)
{
	return cohort_queue_put_bytes(object, bytes_of(n), size, COHORT_NOW);
}

static void get_all(struct cohort_queue *q, const size_t *size, unsigned n)
{
	static unsigned char out[LARGEST];
	size_t got = 0;

	CHECK_EQ(cohort_queue_size(q), n);
	for (unsigned i = 0; i < n; i++) {
		REQUIRE_EQ(cohort_queue_get_into(q, out, sizeof out, &got, COHORT_NOW), 0);
		REQUIRE_EQ(got, size[i]);
		CHECK_MEM(out, bytes_of(i), got);
	}
	CHECK_EQ(cohort_queue_get_into(q, out, sizeof out, &got, COHORT_NOW), COHORT_EEMPTY);
}

/* Twice: what was got makes room, and so does what another removes. */
TEST(queue, loses_nothing_when_shared_memory_is_full)
{
	struct cohort_queue_options o = {.open = COHORT_OPEN_CREATE, .memory = 64 << 20};
	static size_t size[100001];
	struct cohort_queue *q = NULL;
	unsigned n, more;

	if (!small_shared_memory("size=4m"))
		return;
	REQUIRE_EQ(cohort_queue_open(&q, "local:full", &o, NULL), 0);
	lay_ballast(1 << 20);
	n = until_full(put, q, large_sizes, size, 0);
	n = until_full(put, q, small_sizes, size, n);
	CHECK(n > 20);
	CHECK_EQ(cohort_queue_put_bytes(q, bytes_of(n), LARGEST, cohort_in(COHORT_MS)), -ENOSPC);
	get_all(q, size, n);
	more = until_full(put, q, large_sizes, size, 0);
	CHECK(more > 20);
	CHECK_EQ(unlink(BALLAST), 0);
	n = until_full(put, q, large_sizes, size, more);
	CHECK(n > more + 10);
	get_all(q, size, n);
	cohort_queue_close(q, COHORT_NOW);
	umount2("/dev/shm", MNT_DETACH);
}

static int set(void *object, unsigned n, size_t size)
{
	struct cohort_dict_bytes key = {&n, sizeof n}, value = {bytes_of(n), size};

	return cohort_dict_set(object, key, value);
}

static void expect_values(struct cohort_dict *d, const size_t *size, unsigned n)
{
	static unsigned char out[LARGEST];
	size_t got = 0;

	CHECK_EQ(cohort_dict_count(d), n);
	for (unsigned i = 0; i < n; i++) {
		REQUIRE_EQ(cohort_dict_get(d, (struct cohort_dict_bytes){&i, sizeof i}, out, sizeof out, &got), 0);
		REQUIRE_EQ(got, size[i]);
		CHECK_MEM(out, bytes_of(i), got);
	}
	CHECK_EQ(cohort_dict_get(d, (struct cohort_dict_bytes){&n, sizeof n}, out, sizeof out, &got), -ENOENT);
}

TEST(dict, loses_nothing_when_shared_memory_is_full)
{
	struct cohort_dict_options o = {.open = COHORT_OPEN_CREATE, .memory = 64 << 20};
	unsigned n, first = 0, second = 1;
	struct cohort_dict_bytes key = {&first, sizeof first}, large = {bytes_of(0), LARGEST};
	static size_t size[100001];
	struct cohort_dict *d = NULL;

	if (!small_shared_memory("size=4m"))
		return;
	REQUIRE_EQ(cohort_dict_open(&d, "local:full", &o, NULL), 0);
	lay_ballast(1 << 20);
	n = until_full(set, d, large_sizes, size, 0);
	n = until_full(set, d, small_sizes, size, n);
	CHECK(n > 20);
	CHECK_EQ(cohort_dict_set(d, (struct cohort_dict_bytes){&second, sizeof second}, large), -ENOSPC);
	expect_values(d, size, n); /* the one that was to be replaced too */
	CHECK_EQ(cohort_dict_remove(d, key, NULL, 0, NULL), 0);
	CHECK_EQ(cohort_dict_set(d, key, (struct cohort_dict_bytes){bytes_of(0), LARGEST}), 0);
	expect_values(d, size, n);
	CHECK_EQ(unlink(BALLAST), 0);
	CHECK(until_full(set, d, large_sizes, size, n) > n + 10);
	CHECK_EQ(cohort_dict_clear(d), 0);
	n = until_full(set, d, large_sizes, size, 0);
	expect_values(d, size, n);
	cohort_dict_close(d);
	umount2("/dev/shm", MNT_DETACH);
}

/* A dictionary that is born without room for its table has no keys, and takes some as soon as there is room. */
TEST(dict, whose_table_has_no_room_is_empty_until_it_has)
{
	struct cohort_dict_options o = {.open = COHORT_OPEN_CREATE, .memory = 64 << 20};
	struct cohort_dict_bytes key = {"key", 3}, value = {"a value", 7};
	struct cohort_dict *d = NULL;
	struct statvfs room;
	char out[8];
	size_t got;

	if (!small_shared_memory("size=1m"))
		return;
	REQUIRE_EQ(cohort_dict_open(&d, "local:full", &o, NULL), 0);
	REQUIRE_EQ(statvfs("/dev/shm", &room), 0);
	lay_ballast((off_t)(room.f_bavail * room.f_bsize));
	CHECK_EQ(cohort_dict_set(d, key, value), -ENOSPC);
	CHECK_EQ(cohort_dict_get(d, key, out, sizeof out, &got), -ENOENT);
	CHECK_EQ(cohort_dict_count(d), 0);
	CHECK_EQ(unlink(BALLAST), 0);
	CHECK_EQ(cohort_dict_set(d, key, value), 0);
	CHECK_EQ(cohort_dict_get(d, key, out, sizeof out, &got), 0);
	CHECK_EQ(got, 7);
	cohort_dict_close(d);
	umount2("/dev/shm", MNT_DETACH);
}
