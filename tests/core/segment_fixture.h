/* segment_fixture.h - segments as tests make them: of kind queue, a page, two bells. */
#ifndef TESTS_CORE_SEGMENT_FIXTURE_H
#define TESTS_CORE_SEGMENT_FIXTURE_H

#include "support/test.h"

#include "sync/segment.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT_SIZE 4096

static inline struct coh_segment_spec segment_spec(void)
{
	return (struct coh_segment_spec){
	    .kind = COH_SEGMENT_QUEUE, .size = SEGMENT_SIZE, .bells = 2, .what = "queue"};
}

/* The bytes behind the header. */
static inline unsigned char *segment_bytes(const struct coh_segment *s)
{
	return (unsigned char *)(s->header + 1);
}

/* New at ADDRESS, and not published yet. */
static inline struct coh_segment segment_begin(const char *address, enum coh_segment_open how)
{
	struct coh_segment_spec spec = segment_spec();
	struct cohort_error err = {.code = 0};
	struct coh_segment s;
	bool made;

	if (!CHECK_EQ(coh_segment_open(&s, address, how, &spec, &made, &err), 0))
		FAIL("%s", err.text);
	REQUIRE(s.header != NULL && made && s.owner);
	return s;
}

static inline int segment_publish(struct coh_segment *s)
{
	struct coh_segment_spec spec = segment_spec();

	return coh_segment_publish(s, &spec, NULL);
}

static inline struct coh_segment segment_make(const char *address, enum coh_segment_open how)
{
	struct coh_segment s = segment_begin(address, how);

	REQUIRE_EQ(segment_publish(&s), 0);
	return s;
}

static inline int segment_attach(
    struct coh_segment *s, const char *address, struct cohort_error *err)
{
	struct coh_segment_spec spec = segment_spec();
	bool made;

	return coh_segment_open(s, address, COH_SEGMENT_ATTACH, &spec, &made, err);
}

/* PID has ended: with this code, or -N by signal N. */
static inline int segment_exit(pid_t pid)
{
	int status = 0;

	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The folder of this user's named objects; whether it is there. */
static inline const char *segment_root(void)
{
	static char path[64];

	snprintf(path, sizeof path, "/dev/shm/cohort-%u", (unsigned)geteuid());
	return path;
}

static inline bool segment_root_there(void)
{
	return access(segment_root(), F_OK) == 0;
}

#endif
