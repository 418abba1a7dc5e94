/*
 * thousands.c - 1,000 silent strangers and 1,000 who say a byte a second, from a hundred addresses,
 * while honest peers join.  All of them are gone 5.5 s after they came (not counting what the test
 * had to wait for a CPU), whatever they say, none that kept its place before its 5 s, and the honest
 * hardly notice.
 */
#include "attack/honest.h"
#include "support/test.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define SILENT 1000
#define MANY 2000 /* the others drip */
#define PATIENCE (5 * COHORT_SECOND)
#define GRACE (COHORT_SECOND / 2)

static struct crowd {
	int fd;
	cohort_time came, went;
	cohort_time stall; /* what hall_stalled said when it came; then, of its stay */
} crowd[MANY];

/* All the crowd come, watched by SET. */
static void crowd_come(struct hall *h, int set)
{
	for (int i = 0; i < MANY; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &crowd[i]};

		crowd[i].fd = hall_stranger_from(h, 1 + i % 100);
		crowd[i].came = cohort_now();
		crowd[i].stall = hall_stalled(h);
		REQUIRE_EQ(epoll_ctl(set, EPOLL_CTL_ADD, crowd[i].fd, &e), 0);
	}
}

/* Another byte of a good header from each that drips and is still here. */
static void crowd_drip(const struct coh_frame *f, int nth)
{
	unsigned char header[COH_FRAME_SIZE];

	coh_frame_encode(f, header);
	for (int i = SILENT; i < MANY; i++)
		if (crowd[i].went == 0)
			hall_say(crowd[i].fd, header + nth % COH_FRAME_SIZE, 1);
}

/* Until all have been sent away. */
static void crowd_wait(const struct hall *h, int set, cohort_time until)
{
	struct coh_frame f = {.type = COH_FRAME_CLIENT_HELLO, .length = 200};
	struct epoll_event events[64];
	cohort_time drip = cohort_now(), now;
	int left = MANY, nth = 0, n;

	while (left > 0 && (now = cohort_now()) < until) {
		if (now >= drip) {
			crowd_drip(&f, nth++);
			drip += test_span(COHORT_SECOND);
		}
		n = epoll_wait(set, events, 64, 20);
		for (int i = 0; i < n; i++, left--) {
			struct crowd *c = events[i].data.ptr;

			c->went = cohort_now();
			c->stall = hall_stalled(h) - c->stall;
			epoll_ctl(set, EPOLL_CTL_DEL, c->fd, NULL);
		}
	}
	CHECK_EQ(left, 0);
}

TEST_TIMEOUT(attack, a_thousand_mute_strangers_hold_up_nobody, 60)
{
	int set = epoll_create1(EPOLL_CLOEXEC), stayed = 0;
	struct rlimit files = {MANY * 2 + 100, MANY * 2 + 100};
	cohort_time lasted, patience = test_span(PATIENCE);
	struct honest honest;
	struct hall h;

	REQUIRE(set >= 0);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
	hall_open(&h, NULL, PATIENCE, 1000);
	honest_begin(&honest, &h);
	crowd_come(&h, set);
	crowd_wait(&h, set, cohort_now() + 4 * patience);
	for (int i = 0; i < MANY; i++) {
		lasted = crowd[i].went - crowd[i].came;
		CHECK(lasted - crowd[i].stall <= patience + test_span(GRACE));
		stayed += lasted >= patience;
		CHECK_EQ(hall_turned_away(crowd[i].fd), 0);
	}
	CHECK(stayed > 500); /* the others went for newcomers */
	CHECK(honest_end(&honest) <= test_span(COHORT_SECOND));
	close(set);
	hall_close(&h);
}
