/* sync_fixture.c - helpers of each kind, and the objects as they see them. */
#include "contract/sync_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODIES 64
#define OBJECTS 11

static struct {
	const char *name;
	sync_body_fn fn;
} bodies[BODIES];
static int body_count;

void sync_body_add(const char *name, sync_body_fn fn)
{
	if (body_count == BODIES)
		abort();
	bodies[body_count].name = name;
	bodies[body_count++].fn = fn;
}

static sync_body_fn body_named(const char *name)
{
	for (int i = 0; i < body_count; i++)
		if (strcmp(bodies[i].name, name) == 0)
			return bodies[i].fn;
	FAIL("no body is called %s", name);
	test_require(false);
	return NULL;
}

static enum sync_kind kind_wanted(void)
{
	static const char *const names[] = {"thread", "fork", "zygote", "spawn", "named"};
	const char *kind = getenv("COHORT_CONTRACT");

	for (int i = 0; i < 5; i++)
		if (kind != NULL && strcmp(kind, names[i]) == 0)
			return (enum sync_kind)i;
	FAIL("COHORT_CONTRACT is %s, wanted thread, fork, zygote, spawn or named", kind);
	test_require(false);
	return SYNC_THREAD;
}

bool sync_is_thread(void)
{
	return kind_wanted() == SYNC_THREAD;
}

static struct sync_board *map_board(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *p;

	REQUIRE(fd >= 0 && ftruncate(fd, sizeof(struct sync_board)) == 0);
	p = mmap(NULL, sizeof(struct sync_board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(p != MAP_FAILED);
	close(fd);
	return p;
}

/* The action of a barrier: how many parties had come by then is noted in DONE. */
static int count_action(void *arg)
{
	struct sync_board *b = arg;

	atomic_fetch_add(&b->done, 1);
	return atomic_load(&b->most) < 0 ? -1 : 0;
}

/* BASE and NAME; static storage, for one call. */
static const char *at(const char *base, const char *name)
{
	static char address[300];

	if (strcmp(base, "local:") == 0)
		return base;
	snprintf(address, sizeof address, "%s%s", base, name);
	return address;
}

#define OPEN(kind, member, ...)                                                             \
	do {                                                                                \
		struct cohort_##kind##_options o_ = {__VA_ARGS__};                          \
		struct cohort_error e_ = {0};                                               \
		if (!CHECK_EQ(cohort_##kind##_open(&w->member, at(base, #member), &o_, &e_), 0)) \
			FAIL("%s", e_.text);                                                \
		test_require(e_.code == 0);                                                 \
	} while (0)

static void open_all(struct sync_world *w, const char *base)
{
	OPEN(lock, lock, .recursive = 0);
	OPEN(lock, rlock, .recursive = 1);
	OPEN(semaphore, semaphore, .value = PERMITS);
	OPEN(semaphore, bounded, .value = PERMITS, .bounded = 1);
	OPEN(semaphore, signals, .value = 0, .signals = 1);
	OPEN(condition, condition, .lock = NULL);
	OPEN(condition, tied, .lock = w->lock);
	OPEN(event, event, .open = COHORT_OPEN_EITHER);
	OPEN(barrier, barrier, .parties = BARRIER_PARTIES);
	OPEN(barrier, acting, .parties = BARRIER_PARTIES, .action = count_action, .arg = w->board);
	OPEN(rwlock, rwlock, .open = COHORT_OPEN_EITHER);
}

static char base[64];

void sync_world_open(struct sync_world *w)
{
	struct cohort_error err = {0};

	memset(w, 0, sizeof *w);
	w->kind = kind_wanted();
	if (w->kind >= SYNC_ZYGOTE && !CHECK_EQ(cohort_init(&test_argc, &test_argv, &err), 0))
		FAIL("%s", err.text);
	w->board = map_board(test_path("board"));
	snprintf(base, sizeof base, "local:");
	if (w->kind == SYNC_NAMED)
		snprintf(base, sizeof base, "local:sync-%d-%08x-", (int)getpid(),
		    (unsigned)test_random());
	open_all(w, base);
}

void sync_world_close(struct sync_world *w)
{
	cohort_condition_close(w->tied);
	cohort_condition_close(w->condition);
	cohort_lock_close(w->lock);
	cohort_lock_close(w->rlock);
	cohort_semaphore_close(w->semaphore);
	cohort_semaphore_close(w->bounded);
	cohort_semaphore_close(w->signals);
	cohort_event_close(w->event);
	cohort_barrier_close(w->barrier);
	cohort_barrier_close(w->acting);
	cohort_rwlock_close(w->rwlock);
	munmap(w->board, sizeof *w->board);
}

_Noreturn void sync_die(struct sync_world *w)
{
	if (w->kind == SYNC_THREAD)
		pthread_exit((void *)(intptr_t)SYNC_DIED);
	raise(SIGKILL);
	abort();
}

static void *run_thread(void *arg)
{
	struct sync_helper *h = arg;

	return (void *)(intptr_t)h->body(h->w, h->arg);
}

/* The life of a helper that is a process of process.h. */
static int sync_help(struct cohort_call *call)
{
	static struct sync_world w;
	const char *body, *path, *at_base;
	int32_t arg;
	int rc;

	cohort_call_args(call, &body, &path, &at_base, &arg);
	w.kind = SYNC_ZYGOTE;
	w.board = map_board(path);
	open_all(&w, at_base);
	rc = body_named(body)(&w, arg);
	sync_world_close(&w);
	return rc;
}
COHORT_TASK(sync_help, "sssi", "");

static void start_process(struct sync_world *w, struct sync_helper *h, const char *body, int arg)
{
	struct cohort_share shares[OBJECTS] = {{"lock", w->lock}, {"rlock", w->rlock},
	    {"semaphore", w->semaphore}, {"bounded", w->bounded}, {"signals", w->signals},
	    {"condition", w->condition}, {"tied", w->tied}, {"event", w->event},
	    {"barrier", w->barrier}, {"acting", w->acting}, {"rwlock", w->rwlock}};
	struct cohort_process_options o = {
	    .start = w->kind == SYNC_SPAWN ? COHORT_START_SPAWN : COHORT_START_ZYGOTE};
	const char *path = test_path("board"), *at_base = base;
	struct cohort_error err = {0};
	int32_t value = arg;

	if (w->kind != SYNC_NAMED) {
		o.share = shares;
		o.shares = OBJECTS;
		at_base = "inherit:";
	}
	if (!CHECK_EQ(cohort_process_start(
			  &h->process, &o, &err, "sync_help", &body, &path, &at_base, &value),
		0))
		FAIL("%s", err.text);
	test_require(h->process != NULL);
}

void sync_start(struct sync_world *w, struct sync_helper *h, const char *body, int arg)
{
	*h = (struct sync_helper){.w = w, .body = body_named(body), .arg = arg};
	if (w->kind == SYNC_THREAD) {
		REQUIRE(pthread_create(&h->thread, NULL, run_thread, h) == 0);
	} else if (w->kind == SYNC_FORK) {
		h->pid = test_fork();
		REQUIRE(h->pid >= 0);
		if (h->pid == 0)
			_exit(h->body(w, arg));
	} else {
		start_process(w, h, body, arg);
	}
}

static int finish_process(struct sync_helper *h)
{
	int code = -1;

	CHECK_EQ(cohort_process_join(h->process, SOON), 0);
	CHECK_EQ(cohort_process_exit_code(h->process, &code), 0);
	cohort_process_free(h->process);
	return code == -SIGKILL ? SYNC_DIED : code;
}

int sync_finish(struct sync_helper *h)
{
	void *result = NULL;
	int status;

	if (h->w->kind == SYNC_THREAD) {
		REQUIRE(pthread_join(h->thread, &result) == 0);
		return (int)(intptr_t)result;
	}
	if (h->w->kind != SYNC_FORK)
		return finish_process(h);
	status = sync_join(h->pid);
	return WIFSIGNALED(status) ? SYNC_DIED : WEXITSTATUS(status);
}

void sync_start_all(struct sync_world *w, struct sync_helper *h, int n, const char *body, int arg)
{
	for (int i = 0; i < n; i++)
		sync_start(w, &h[i], body, arg);
}

void sync_finish_all(struct sync_helper *h, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(sync_finish(&h[i]), 0);
}

void sync_go_in(struct sync_board *b)
{
	int in = atomic_fetch_add(&b->inside, 1) + 1, most = atomic_load(&b->most);

	while (in > most && !atomic_compare_exchange_weak(&b->most, &most, in))
		;
}

void sync_go_out(struct sync_board *b)
{
	atomic_fetch_sub(&b->inside, 1);
}
