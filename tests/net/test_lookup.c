/* test_lookup.c - names looked up beside the caller, by a resolver of our own. */
#include "addr/lookup.h"

#include "addr/sockaddr.h"
#include "os/fd.h"
#include "support/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A resolver that answers when it is told to. */
static struct slow {
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool answers;
	int asked, done;
} slow = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static struct cohort_error err;

static struct coh_address named(const char *text)
{
	struct coh_address a;

	REQUIRE_EQ(coh_address_parse(&a, text, NULL), 0);
	return a;
}

static int resolve_slowly(const struct coh_address *a, struct coh_resolved *out, void *arg)
{
	struct coh_address number = named("tcp://192.0.2.7:1");
	int rc;

	(void)arg;
	pthread_mutex_lock(&slow.lock);
	slow.asked++;
	pthread_cond_broadcast(&slow.change);
	while (!slow.answers)
		pthread_cond_wait(&slow.change, &slow.lock);
	slow.done++;
	pthread_cond_broadcast(&slow.change);
	pthread_mutex_unlock(&slow.lock);
	number.port = a->port;
	rc = coh_sockaddr_from_address(&number, &out->at[0].sa, &out->at[0].len);
	out->n = 1;
	return strncmp(a->where, "no", 2) == 0 ? COHORT_EADDRESS : rc;
}

/* Let it answer, and wait until it has answered N. */
static void slow_answer(int n)
{
	pthread_mutex_lock(&slow.lock);
	slow.answers = true;
	pthread_cond_broadcast(&slow.change);
	while (slow.done < n)
		pthread_cond_wait(&slow.change, &slow.lock);
	pthread_mutex_unlock(&slow.lock);
}

static void slow_asked(int n)
{
	pthread_mutex_lock(&slow.lock);
	while (slow.asked < n)
		pthread_cond_wait(&slow.change, &slow.lock);
	pthread_mutex_unlock(&slow.lock);
}

TEST(lookup, answers_by_its_descriptor)
{
	struct coh_address a = named("tcp://db.example:47");
	struct coh_lookup *l;
	struct coh_resolved where;
	char text[COH_SOCKADDR_TEXT];

	coh_resolve_replace(resolve_slowly, NULL);
	REQUIRE_EQ(coh_lookup_start(&l, &a, &err), 0);
	slow_asked(1);
	CHECK_EQ(coh_lookup_take(l, &where, &err), 0);
	CHECK_EQ(coh_fd_wait(coh_lookup_fd(l), POLLIN, COHORT_NOW), 0);
	slow_answer(1);
	CHECK_EQ(coh_fd_wait(coh_lookup_fd(l), POLLIN, cohort_in(10 * COHORT_SECOND)), 1);
	CHECK_EQ(coh_lookup_take(l, &where, &err), 1);
	CHECK_EQ(where.n, 1);
	CHECK_EQ(coh_sockaddr_text((struct sockaddr *)&where.at[0].sa, where.at[0].len, text), 0);
	CHECK_STR(text, "tcp:192.0.2.7:47");
	coh_lookup_close(l);
}

TEST(lookup, passes_on_what_the_resolver_says)
{
	struct coh_address a = named("tcp://no.example:47");
	struct coh_lookup *l;
	struct coh_resolved where;

	coh_resolve_replace(resolve_slowly, NULL);
	slow_answer(0);
	REQUIRE_EQ(coh_lookup_start(&l, &a, &err), 0);
	CHECK_EQ(coh_fd_wait(coh_lookup_fd(l), POLLIN, cohort_in(10 * COHORT_SECOND)), 1);
	CHECK_EQ(coh_lookup_take(l, &where, &err), COHORT_EADDRESS);
	CHECK_HAS(err.text, "no.example");
	coh_lookup_close(l);
}

TEST(lookup, is_left_behind_without_a_descriptor)
{
	struct coh_address a = named("tcp://db.example:47");
	struct coh_lookup *l;
	int fd;

	coh_resolve_replace(resolve_slowly, NULL);
	REQUIRE_EQ(coh_lookup_start(&l, &a, &err), 0);
	fd = coh_lookup_fd(l);
	slow_asked(1);
	coh_lookup_close(l);
	CHECK_EQ(coh_fd_wait(fd, POLLIN, COHORT_NOW), -EBADF);
	slow_answer(1);
}

TEST(lookup, has_so_many_threads_and_no_more)
{
	struct coh_address a = named("tcp://db.example:47");
	struct coh_lookup *l[COH_LOOKUP_MAX], *more;

	coh_resolve_replace(resolve_slowly, NULL);
	for (int i = 0; i < COH_LOOKUP_MAX; i++)
		REQUIRE_EQ(coh_lookup_start(&l[i], &a, &err), 0);
	CHECK_EQ(coh_lookup_start(&more, &a, &err), -EAGAIN);
	CHECK(more == NULL);
	CHECK_HAS(err.text, "db.example");
	slow_answer(COH_LOOKUP_MAX);
	for (int i = 0; i < COH_LOOKUP_MAX; i++) {
		CHECK_EQ(
		    coh_fd_wait(coh_lookup_fd(l[i]), POLLIN, cohort_in(10 * COHORT_SECOND)), 1);
		coh_lookup_close(l[i]);
	}
	REQUIRE_EQ(coh_lookup_start(&more, &a, &err), 0);
	CHECK_EQ(coh_fd_wait(coh_lookup_fd(more), POLLIN, cohort_in(10 * COHORT_SECOND)), 1);
	coh_lookup_close(more);
}

TEST(lookup, ends_in_a_forked_child_by_being_closed)
{
	struct coh_address a = named("tcp://db.example:47");
	struct coh_lookup *l;
	struct coh_resolved where;
	pid_t pid;

	coh_resolve_replace(resolve_slowly, NULL);
	REQUIRE_EQ(coh_lookup_start(&l, &a, &err), 0);
	slow_asked(1);
	pid = test_fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		CHECK_EQ(coh_lookup_take(l, &where, &err), COHORT_ESTATE);
		coh_lookup_close(l);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	slow_answer(1);
	CHECK_EQ(coh_fd_wait(coh_lookup_fd(l), POLLIN, cohort_in(10 * COHORT_SECOND)), 1);
	CHECK_EQ(coh_lookup_take(l, &where, &err), 1);
	coh_lookup_close(l);
}

TEST(lookup, says_when_there_is_no_descriptor_or_memory)
{
	struct coh_address a = named("tcp://db.example:47");
	struct coh_lookup *l;

	coh_resolve_replace(resolve_slowly, NULL);
	coh_fd_fail(1, EMFILE);
	CHECK_EQ(coh_lookup_start(&l, &a, &err), -EMFILE);
	CHECK(l == NULL);
	CHECK_EQ(slow.asked, 0);
}

TEST(lookup, some_hosts_are_known_without_asking)
{
	static const char *const known[] = {"tcp://127.0.0.1:1", "tcp://[::1]:1", "unix:/s",
	    "tcp://localhost:1", "tls://LocalHost:1"};
	struct coh_resolved where;
	struct coh_address a;
	char text[COH_SOCKADDR_TEXT];

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		a = named(known[i]);
		CHECK(coh_resolve_known(&a, &where));
		CHECK_EQ(where.n, i < 3 ? 1 : 2);
	}
	CHECK_EQ(coh_sockaddr_text((struct sockaddr *)&where.at[0].sa, where.at[0].len, text), 0);
	CHECK_STR(text, "tcp:127.0.0.1:1");
	CHECK_EQ(coh_sockaddr_text((struct sockaddr *)&where.at[1].sa, where.at[1].len, text), 0);
	CHECK_STR(text, "tcp:[::1]:1");
	a = named("tcp://localhost.example:1");
	CHECK(!coh_resolve_known(&a, &where));
}
