/*
 * flood.c - connects as fast as two threads can make them, each held until 200 more have come.  The listener
 * hears those it holds as well as it meets newcomers, and the honest join meanwhile.
 */
#include "attack/honest.h"
#include "support/test.h"

#include <sys/resource.h>
#include <unistd.h>

#define FLOODERS 2
#define HELD 200
#define SPAN (2 * COHORT_SECOND)

struct flooder {
	struct hall *hall;
	pthread_t thread;
	int host, connects;
	int held[HELD];
};

static void *flooder_main(void *arg)
{
	struct flooder *f = arg;
	cohort_time end = cohort_in(SPAN);

	for (; cohort_now() < end; f->connects++) {
		int *place = &f->held[f->connects % HELD];

		if (f->connects >= HELD)
			close(*place);
		*place = hall_stranger_from(f->hall, f->host);
	}
	for (int i = 0; i < HELD && i < f->connects; i++)
		close(f->held[i]);
	return NULL;
}

TEST_TIMEOUT(attack, a_flood_of_connects_holds_up_nobody, 60)
{
	static struct flooder flooders[FLOODERS];
	struct rlimit files = {4096, 4096};
	struct honest honest;
	struct hall h;
	int connects = 0;

	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
	hall_open(&h, NULL, 5 * COHORT_SECOND, 100);
	honest_begin(&honest, &h);
	for (int i = 0; i < FLOODERS; i++) {
		flooders[i] = (struct flooder){.hall = &h, .host = 2 + i};
		REQUIRE_EQ(pthread_create(&flooders[i].thread, NULL, flooder_main, &flooders[i]), 0);
	}
	for (int i = 0; i < FLOODERS; i++) {
		pthread_join(flooders[i].thread, NULL);
		connects += flooders[i].connects;
	}
	CHECK(honest_end(&honest) <= test_span(COHORT_SECOND));
	CHECK(honest.joins >= 10);
	CHECK(connects > 1000);
	hall_serves(&h);
	hall_close(&h);
}
