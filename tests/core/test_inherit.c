/* test_inherit.c - shared objects given to children, by each start method, and to workers. */
#include "core/segment_fixture.h"

#include "os/fd.h"
#include "sync/inherit.h"
#include "sync/shared.h"
#include "work/share.h"

#include <cohort/cohort.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SOON cohort_in(test_span(10 * COHORT_SECOND))

/* A handle as those of the library are: of kind queue, a counter in its memory. */
struct object {
	struct coh_shared shared;
};

static _Atomic int *counter(const struct coh_segment *s)
{
	return (_Atomic int *)segment_bytes(s);
}

static struct object object_make(const char *address)
{
	struct object o = {.shared.magic = COH_SHARED_MAGIC(COH_SEGMENT_QUEUE)};

	o.shared.segment = segment_make(address, COH_SEGMENT_EITHER);
	return o;
}

/* ---- what children do ---- */

/* Open the object of that name twice, count, ring; the exit code tells what went wrong. */
static int use(const char *name)
{
	struct coh_segment_spec spec = segment_spec();
	char address[128];
	struct coh_segment s;
	uint64_t one = 1;
	bool made;

	snprintf(address, sizeof address, "inherit:%s", name);
	for (int i = 0; i < 2; i++) {
		if (coh_segment_open(&s, address, COH_SEGMENT_EITHER, &spec, &made, NULL) != 0 ||
		    made)
			return 10;
		if (s.owner || coh_segment_check(&s, NULL) != 0)
			return 11;
		atomic_fetch_add(counter(&s), 1);
		if (write(s.bell[0], &one, sizeof one) != sizeof one)
			return 12;
		coh_segment_close(&s);
	}
	return 0;
}

static int open_shared(struct cohort_call *call)
{
	char *name;
	int rc = cohort_call_args(call, &name);

	return rc < 0 ? rc : use(name);
}
COHORT_TASK(open_shared, "s", "");

static int open_many(struct cohort_call *call)
{
	char name[24];
	int n, rc = cohort_call_args(call, &n);

	if (rc < 0)
		return rc;
	rc = 0;
	for (int i = 0; rc == 0 && i < n; i++) {
		snprintf(name, sizeof name, "object-%d", i);
		rc = use(name);
	}
	return rc;
}
COHORT_TASK(open_many, "i", "");

static int open_absent(struct cohort_call *call)
{
	struct coh_segment_spec spec = segment_spec();
	struct cohort_error err = {0};
	struct coh_segment s;
	bool made;

	(void)call;
	if (coh_segment_open(&s, "inherit:other", COH_SEGMENT_EITHER, &spec, &made, &err) !=
	    -ENOENT)
		return 20;
	if (coh_segment_open(&s, "inherit:jobs", COH_SEGMENT_CREATE, &spec, &made, &err) !=
	    COHORT_ENOTSUP)
		return 21;
	spec.kind = COH_SEGMENT_MAP;
	if (coh_segment_open(&s, "inherit:jobs", COH_SEGMENT_EITHER, &spec, &made, &err) !=
	    COHORT_ESEGMENT)
		return 22;
	return 0;
}
COHORT_TASK(open_absent, "", "");

static struct object inherited_handle; /* of the parent, in a forked child's memory */

/* The parent's handle ends in a forked child without closing what has its numbers there. */
static int close_handle_of_parent(struct cohort_call *call)
{
	struct coh_segment *s = &inherited_handle.shared.segment;
	int fds[3], n = coh_segment_fds(s, fds), own[16];

	(void)call;
	for (int i = 0; i < 16; i++)
		own[i] = coh_fd_event(); /* these take the numbers */
	coh_segment_close(s);
	for (int i = 0; i < n; i++)
		if (fcntl(fds[i], F_GETFD) < 0)
			return 30;
	return own[0] < 0 ? 31 : use("jobs");
}
COHORT_TASK(close_handle_of_parent, "", "");

static int die_once(struct cohort_call *call)
{
	struct coh_segment_spec spec = segment_spec();
	struct coh_segment s;
	bool made, first;

	(void)call;
	if (coh_segment_open(&s, "inherit:jobs", COH_SEGMENT_ATTACH, &spec, &made, NULL) != 0)
		return -EIO;
	first = atomic_fetch_add(counter(&s), 1) == 0;
	coh_segment_close(&s);
	if (first)
		kill(getpid(), SIGKILL);
	return 0;
}
COHORT_TASK(die_once, "", "");

static int count_in_pool(struct cohort_call *call)
{
	(void)call;
	return -use("jobs");
}
COHORT_TASK(count_in_pool, "", "");

/* ---- processes ---- */

static void init(void)
{
	struct cohort_error err = {0};

	if (!CHECK_EQ(cohort_init(&test_argc, &test_argv, &err), 0))
		FAIL("%s", err.text);
}

static int finish(struct cohort_process *p)
{
	int code = -1000;

	CHECK_EQ(cohort_process_join(p, SOON), 0);
	CHECK_EQ(cohort_process_exit_code(p, &code), 0);
	cohort_process_free(p);
	return code;
}

/* Run TASK, by each start method, with the N shares; each must end with 0. */
static void run_each(const char *task, const void *arg, const struct cohort_share *share, int n)
{
	struct cohort_process_options o = {.share = share, .shares = n};
	struct cohort_process *p;
	struct cohort_error err;

	for (o.start = COHORT_START_ZYGOTE; o.start <= COHORT_START_FORK; o.start++) {
		err.code = 0;
		if (CHECK_EQ(cohort_process_start(&p, &o, &err, task, arg), 0))
			CHECK_EQ(finish(p), 0);
		else
			FAIL("start method %d: %s", (int)o.start, err.text);
	}
}

TEST(inherit, a_child_opens_what_is_shared_with_it)
{
	struct object named, plain;
	const char *jobs = "jobs", *lock = "a.b_C-9";

	init();
	named = object_make("local:named");
	plain = object_make("local:");
	const struct cohort_share share[] = {{"jobs", &plain}, {"a.b_C-9", &named}};

	run_each("open_shared", &jobs, share, 2);
	run_each("open_shared", &lock, share, 2);
	CHECK_EQ(atomic_load(counter(&plain.shared.segment)), 6);
	CHECK_EQ(atomic_load(counter(&named.shared.segment)), 6);
	CHECK_EQ(coh_fd_wait(plain.shared.segment.bell[0], POLLIN, COHORT_NOW), 1);
	CHECK_EQ(coh_fd_wait(named.shared.segment.bell[0], POLLIN, COHORT_NOW), 1);
	CHECK_EQ(coh_fd_wait(named.shared.segment.bell[1], POLLIN, COHORT_NOW), 0);
	coh_segment_close(&plain.shared.segment);
	coh_segment_close(&named.shared.segment);
}

TEST(inherit, thirty_two_objects_with_three_descriptors_each)
{
	struct object o[COH_HERITAGE_SHARES];
	struct cohort_share share[COH_HERITAGE_SHARES];
	char names[COH_HERITAGE_SHARES][24];
	int n = COH_HERITAGE_SHARES;

	init();
	for (int i = 0; i < n; i++) {
		o[i] = object_make("local:");
		snprintf(names[i], sizeof names[i], "object-%d", i);
		share[i] = (struct cohort_share){names[i], &o[i]};
	}
	run_each("open_many", &n, share, n);
	for (int i = 0; i < n; i++) {
		CHECK_EQ(atomic_load(counter(&o[i].shared.segment)), 6);
		coh_segment_close(&o[i].shared.segment);
	}
}

TEST(inherit, what_was_not_shared_is_named)
{
	struct object o;

	init();
	o = object_make("local:");
	run_each("open_absent", NULL, (struct cohort_share[]){{"jobs", &o}}, 1);
	coh_segment_close(&o.shared.segment);
}

TEST(inherit, a_handle_of_the_parent_closes_nothing_in_a_forked_child)
{
	struct cohort_process_options o = {.start = COHORT_START_FORK, .shares = 1};
	struct object shared;
	struct cohort_process *p;

	init();
	shared = object_make("local:");
	inherited_handle = object_make("local:");
	o.share = (struct cohort_share[]){{"jobs", &shared}};
	REQUIRE_EQ(cohort_process_start(&p, &o, NULL, "close_handle_of_parent"), 0);
	CHECK_EQ(finish(p), 0);
	CHECK_EQ(atomic_load(counter(&shared.shared.segment)), 2);
	coh_segment_close(&shared.shared.segment);
	coh_segment_close(&inherited_handle.shared.segment);
}

TEST(inherit, in_a_plain_fork_handles_just_work)
{
	struct coh_segment s = segment_make("local:jobs", COH_SEGMENT_CREATE), other;
	uint64_t one = 1;
	pid_t pid = fork();

	if (pid == 0) {
		atomic_fetch_add(counter(&s), 1);
		_exit(write(s.bell[1], &one, sizeof one) != sizeof one ||
		    coh_segment_check(&s, NULL) != 0);
	}
	REQUIRE_EQ(segment_exit(pid), 0);
	CHECK_EQ(atomic_load(counter(&s)), 1);
	CHECK_EQ(coh_fd_wait(s.bell[1], POLLIN, COHORT_NOW), 1);
	REQUIRE_EQ(segment_attach(&other, "local:jobs", NULL), 0);
	coh_segment_close(&other);
	coh_segment_close(&s);
}

TEST(inherit, wrong_shares_are_refused_by_name)
{
	struct object o = object_make("local:"), closed = {.shared.magic = COH_SHARED_MAGIC(1)};
	_Alignas(16) char text[sizeof o] = "no handle at all";
	const struct {
		struct cohort_share share[2];
		int n, rc;
		const char *has;
	} bad[] = {{{{"a", NULL}}, 1, COHORT_EARGUMENT, "'a'"},
	    {{{"a", text}}, 1, COHORT_EARGUMENT, "handle"},
	    {{{"a", (char *)&o + 1}}, 1, COHORT_EARGUMENT, "handle"},
	    {{{"a", &closed}}, 1, COHORT_EARGUMENT, "handle"},
	    {{{"a", &o}, {"a", &o}}, 2, COHORT_EARGUMENT, "two objects"},
	    {{{"a/b", &o}}, 1, COHORT_ENAME, "a/b"}, {{{"", &o}}, 1, COHORT_ENAME, "name"},
	    {{{NULL, &o}}, 1, COHORT_ENAME, "name"}, {{{"a", &o}}, -1, COHORT_EARGUMENT, "-1"},
	    {{{"a", &o}}, 33, COHORT_EARGUMENT, "33"}};
	struct cohort_process_options options = {.start = COHORT_START_ZYGOTE};
	struct cohort_process *p;
	struct cohort_error err;

	init();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		options.share = bad[i].share;
		options.shares = bad[i].n;
		CHECK_EQ(cohort_process_start(&p, &options, &err, "open_absent"), bad[i].rc);
		CHECK_EQ(err.code, bad[i].rc);
		CHECK_HAS(err.text, bad[i].has);
	}
	coh_segment_close(&o.shared.segment);
}

/* ---- pools ---- */

TEST(inherit, workers_of_a_pool_open_what_is_shared_with_it)
{
	static const char *const addresses[] = {"inline:", "thread:2", "local:2"};
	struct cohort_future *f[8];
	struct cohort_pool *pool;
	struct cohort_error err;

	init();
	for (int i = 0; i < 3; i++) {
		struct object o = object_make(i == 0 ? "local:" : "local:named");
		struct cohort_share share = {"jobs", &o};
		struct cohort_pool_options options = {.share = &share, .shares = 1};
		_Atomic int *count;

		REQUIRE_EQ(cohort_pool_open(&pool, addresses[i], &options, &err), 0);
		for (int k = 0; k < 8; k++)
			REQUIRE_EQ(cohort_pool_submit(pool, &f[k], &err, "count_in_pool"), 0);
		for (int k = 0; k < 8; k++) {
			CHECK_EQ(cohort_future_get(f[k], SOON, &err), 0);
			cohort_future_free(f[k]);
		}
		count = counter(&o.shared.segment);
		CHECK_EQ(atomic_load(count), 16);
		cohort_pool_free(pool);
		coh_segment_close(&o.shared.segment);
	}
}

/* Run TASK in POOL until it has succeeded. */
static void run_in(struct cohort_pool *pool, const char *task)
{
	struct cohort_error err = {.code = 0};
	struct cohort_future *f;

	REQUIRE_EQ(cohort_pool_submit(pool, &f, &err, task), 0);
	if (!CHECK_EQ(cohort_future_get(f, SOON, &err), 0))
		FAIL("%s", err.text);
	cohort_future_free(f);
}

TEST(inherit, a_worker_that_takes_the_place_of_a_dead_one_has_it_too)
{
	struct cohort_pool_options options = {.shares = 1};
	struct coh_segment other;
	struct cohort_pool *pool;
	struct object o;

	init();
	o = object_make("local:named");
	options.share = (struct cohort_share[]){{"jobs", &o}};
	REQUIRE_EQ(segment_attach(&other, "local:named", NULL), 0);
	REQUIRE_EQ(cohort_pool_open(&pool, "local:1", &options, NULL), 0);
	coh_segment_close(&o.shared.segment); /* the pool has its own */
	run_in(pool, "die_once");
	CHECK_EQ(atomic_load(counter(&other)), 2);
	run_in(pool, "count_in_pool");
	CHECK_EQ(atomic_load(counter(&other)), 4);
	cohort_pool_free(pool);
	coh_segment_close(&other);
}

/* Core by itself knows no address elsewhere. */
#if defined(__has_include)
#if __has_include(<cohort/listener.h>)
#define ELSEWHERE COHORT_ENOTSUP
#endif
#endif
#ifndef ELSEWHERE
#define ELSEWHERE COHORT_EADDRESS
#endif

TEST(inherit, workers_elsewhere_cannot_be_given_any)
{
	static const char *const addresses[] = {
	    "tcp://127.0.0.1:1", "unix:/nowhere", "listen:tcp://127.0.0.1:0"};
	struct cohort_pool_options options = {.shares = 1};
	struct cohort_pool *pool;
	struct cohort_error err;
	struct object o;

	init();
	o = object_make("local:");
	options.share = (struct cohort_share[]){{"jobs", &o}};
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(cohort_pool_open(&pool, addresses[i], &options, &err), ELSEWHERE);
		CHECK_HAS(err.text, addresses[i]);
		CHECK_HAS(err.text, "local:");
	}
	options.shares = 33;
	CHECK_EQ(cohort_pool_open(&pool, "local:1", &options, &err), COHORT_EARGUMENT);
	CHECK_HAS(err.text, "33");
	coh_segment_close(&o.shared.segment);
}

TEST(inherit, two_pools_of_one_process_may_use_the_same_name)
{
	struct cohort_pool *pool[2];
	struct object o[2];

	init();
	for (int i = 0; i < 2; i++) {
		struct cohort_pool_options options = {.shares = 1};

		o[i] = object_make("local:");
		options.share = (struct cohort_share[]){{"jobs", &o[i]}};
		REQUIRE_EQ(
		    cohort_pool_open(&pool[i], i == 0 ? "thread:1" : "inline:", &options, NULL), 0);
	}
	run_in(pool[0], "count_in_pool");
	run_in(pool[1], "count_in_pool");
	run_in(pool[1], "count_in_pool");
	CHECK_EQ(atomic_load(counter(&o[0].shared.segment)), 2);
	CHECK_EQ(atomic_load(counter(&o[1].shared.segment)), 4);
	for (int i = 0; i < 2; i++) {
		cohort_pool_free(pool[i]);
		coh_segment_close(&o[i].shared.segment);
	}
}

/* ---- the lack of things ---- */

TEST(inherit, the_lack_of_descriptors_is_an_error_and_leaves_nothing)
{
	struct object o = object_make("local:");
	struct cohort_share share = {"jobs", &o};
	struct coh_inherit *t;
	struct cohort_error err;

	for (unsigned long n = 1; n <= 3; n++) {
		coh_fd_fail(n, EMFILE);
		CHECK_EQ(coh_share_keep(&t, &share, 1, &err), -EMFILE);
	}
	coh_fd_fail(0, 0);
	coh_segment_close(&o.shared.segment);
}

static int keep_once(void *arg)
{
	struct cohort_share share = {"jobs", arg};
	struct coh_inherit *t;
	int rc = coh_share_keep(&t, &share, 1, NULL);

	if (rc == 0)
		coh_share_drop(t);
	return rc;
}

TEST(inherit, keeping_survives_the_lack_of_memory)
{
	struct object o = object_make("local:");

	test_every_allocation(keep_once, &o);
	coh_segment_close(&o.shared.segment);
}
