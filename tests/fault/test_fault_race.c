/*
 * test_fault_race.c - every system call of a race between addresses fails, in turn.
 *
 * Two addresses swallow what is sent to them, so that their sockets are under way side by side and an
 * epoll set watches them; the third answers.  Whatever fails of the first two must not cost the third.
 */
#include "conn/race.h"
#include "fault/faults.h"
#include "net/dialing.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEPS 8 /* of one delay each; the third address begins in the third */

struct field {
	struct coh_resolved where;
	struct dialing_hole holes[2];
	int listening;
};

static void field_place(struct field *f, const char *number, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	REQUIRE_EQ(inet_pton(AF_INET, number, &sin.sin_addr), 1);
	memcpy(&f->where.at[f->where.n].sa, &sin, sizeof sin);
	f->where.at[f->where.n++].len = sizeof sin;
}

static void field_open(struct field *f)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof sin;
	uint16_t port;

	*f = (struct field){.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE_EQ(bind(f->listening, (struct sockaddr *)&sin, sizeof sin), 0);
	REQUIRE_EQ(listen(f->listening, 1024), 0);
	REQUIRE_EQ(getsockname(f->listening, (struct sockaddr *)&sin, &len), 0);
	port = ntohs(sin.sin_port);
	dialing_hole_open(&f->holes[0], "127.0.0.2", port);
	dialing_hole_open(&f->holes[1], "127.0.0.3", port);
	field_place(f, "127.0.0.2", port);
	field_place(f, "127.0.0.3", port);
	field_place(f, "127.0.0.1", port);
}

static void field_close(struct field *f)
{
	dialing_hole_close(&f->holes[0]);
	dialing_hole_close(&f->holes[1]);
	close(f->listening);
}

static int race(void *arg, struct cohort_error *err)
{
	struct field *f = arg;
	struct coh_race r;
	cohort_time now = cohort_now();
	int won = -1, fd = -1, rc = 0;
	short events;

	coh_race_init(&r, &f->where);
	for (int i = 0; i < STEPS && rc == 0; i++, now += COH_EYEBALLS_DELAY) {
		rc = coh_race_step(&r, now, &won, &fd);
		if (rc == 0)
			CHECK(coh_race_fd(&r, &events) >= 0); /* something to wait for, always */
	}
	coh_race_fini(&r);
	if (rc == 1) {
		CHECK_EQ(won, 2);
		close(fd);
		return 0;
	}
	*err = (struct cohort_error){rc != 0 ? rc : -ETIMEDOUT, "nobody answered"};
	return err->code;
}

TEST(fault_race, is_won_by_the_one_that_answers)
{
	struct cohort_error err = {0};
	struct field f;

	field_open(&f);
	CHECK_EQ(race(&f, &err), 0);
	field_close(&f);
}

TEST_TIMEOUT(fault_race, every_call_of_a_race, 60)
{
	struct field f;

	field_open(&f);
	CHECK(faults_sweep(race, &f) > 30);
	field_close(&f);
}
