/* test_session.c - signs of life and unfinished frames, in virtual time. */
#include "support/test.h"
#include "wire/session.h"

#include <cohort/error.h>

#define BEAT (2 * COHORT_SECOND)

static struct coh_session begin(cohort_time beat_out, cohort_time beat_in)
{
	struct coh_session s;
	struct coh_session_config config = {.beat_out = beat_out, .beat_in = beat_in};

	coh_session_init(&s, &config, COHORT_SECOND);
	return s;
}

/* Tick S when it asks to be, until it says something else than 0, but not beyond END: what it said. */
static int run(struct coh_session *s, cohort_time end, bool unfinished)
{
	int rc = 0;

	while (rc == 0 && s->next <= end)
		rc = coh_session_tick(s, s->next, unfinished);
	return rc;
}

TEST(session, without_promises_nothing_depends_on_time)
{
	struct coh_session s = begin(0, 0);

	CHECK(s.on);
	CHECK_EQ(s.next, COHORT_FOREVER);
	CHECK_EQ(coh_session_tick(&s, COHORT_FOREVER - 1, false), 0);
	CHECK_EQ(s.next, COHORT_FOREVER);
}

TEST(session, a_beat_is_due_before_the_promise_is_broken)
{
	struct coh_session s = begin(BEAT, 0);
	cohort_time said = s.looked;

	for (int i = 0; i < 20; i++) {
		CHECK_EQ(run(&s, said + BEAT, false), COH_SESSION_BEAT);
		CHECK(s.looked - said <= BEAT);
		CHECK(s.looked - said >= BEAT / 2);
		said = s.looked;
		coh_session_said(&s);
	}
}

TEST(session, who_says_something_needs_no_beat)
{
	struct coh_session s = begin(BEAT, 0);

	for (int i = 0; i < 100; i++) {
		coh_session_said(&s);
		CHECK_EQ(coh_session_tick(&s, s.looked + BEAT / 2, false), 0);
	}
}

TEST(session, a_silent_peer_is_given_up_within_nine_seconds)
{
	struct coh_session s = begin(0, BEAT);
	cohort_time last = s.looked;

	coh_session_heard(&s);
	CHECK_EQ(run(&s, COHORT_FOREVER, false), COHORT_ESILENT);
	CHECK(s.looked - last >= COH_SESSION_SILENCE);
	CHECK(s.looked - last <= 9 * COHORT_SECOND);
}

TEST(session, three_beats_may_be_lost_however_rare_they_are)
{
	struct coh_session s = begin(0, 5 * COHORT_SECOND);
	cohort_time last = s.looked;

	CHECK_EQ(run(&s, COHORT_FOREVER, false), COHORT_ESILENT);
	CHECK_EQ(s.looked - last, 15 * COHORT_SECOND);
}

TEST(session, a_peer_that_speaks_is_never_given_up)
{
	struct coh_session s = begin(0, BEAT);

	for (int i = 0; i < 1000; i++) {
		coh_session_heard(&s);
		CHECK_EQ(run(&s, s.looked + 7 * COHORT_SECOND, false), 0);
	}
}

TEST(session, our_own_stall_counts_as_a_late_beat)
{
	struct coh_session s = begin(0, BEAT);

	CHECK_EQ(coh_session_tick(&s, s.looked + 3600 * COHORT_SECOND, false), 0);
	CHECK_EQ(s.quiet, BEAT + BEAT / 8);
	coh_session_heard(&s);
	CHECK_EQ(run(&s, s.looked + 7 * COHORT_SECOND, false), 0);
	CHECK_EQ(coh_session_tick(&s, s.looked + 3600 * COHORT_SECOND, false), COHORT_ESILENT);
}

TEST(session, a_frame_must_be_whole_in_time)
{
	struct coh_session s = begin(0, 0);
	cohort_time start = s.looked;

	CHECK(coh_session_unmeasured(&s));
	CHECK_EQ(coh_session_tick(&s, start, true), 0);
	CHECK(!coh_session_unmeasured(&s));
	CHECK_EQ(run(&s, COHORT_FOREVER - 1, true), COHORT_ESTALLED);
	CHECK_EQ(s.looked - start, COH_SESSION_FRAME);
}

TEST(session, bytes_do_not_prolong_a_frame_but_frames_do)
{
	struct coh_session s = begin(0, BEAT);
	int rc = 0;

	for (int i = 0; i < 100 && rc == 0; i++) {
		coh_session_heard(&s);
		if (i < 20)
			coh_session_whole(&s);
		rc = coh_session_tick(&s, s.looked + COHORT_SECOND, true);
		CHECK(rc == 0 || i == 19 + 30);
	}
	CHECK_EQ(rc, COHORT_ESTALLED);
}

TEST(session, time_before_a_frame_began_is_not_its_own)
{
	struct coh_session s = begin(0, 0);
	cohort_time start;

	CHECK_EQ(coh_session_tick(&s, s.looked + 3600 * COHORT_SECOND, true), 0);
	start = s.looked;
	CHECK_EQ(run(&s, COHORT_FOREVER - 1, true), COHORT_ESTALLED);
	CHECK_EQ(s.looked - start, COH_SESSION_FRAME);
}

/* Two ends in a loop that steps them at their moments and when something comes: who beats of itself? */
TEST(session, one_end_beats_and_the_other_answers)
{
	struct coh_session first = begin(BEAT, BEAT), second = begin(BEAT, BEAT);
	cohort_time end = first.looked + 100 * BEAT;
	int beats = 0;

	second.answers = true;
	while (coh_session_rest(&first) < end) {
		REQUIRE(coh_session_rest(&first) < coh_session_rest(&second));
		REQUIRE_EQ(coh_session_tick(&first, coh_session_rest(&first), false), COH_SESSION_BEAT);
		coh_session_said_then(&first);
		coh_session_heard(&second);
		REQUIRE_EQ(coh_session_tick(&second, first.looked, false), COH_SESSION_BEAT);
		coh_session_said_then(&second);
		coh_session_heard(&first);
		CHECK_EQ(coh_session_tick(&first, first.looked, false), 0);
		beats++;
	}
	CHECK(beats >= 99 && beats <= 101);
}

TEST(session, who_steps_rests_until_a_beat_or_a_silence)
{
	struct coh_session s = begin(0, BEAT);
	int rc = 0;

	CHECK_EQ(coh_session_rest(&s), s.looked + BEAT + BEAT / 8);
	while (rc == 0)
		rc = coh_session_tick(&s, coh_session_rest(&s), false);
	CHECK_EQ(rc, COHORT_ESILENT);
	CHECK_EQ(s.looked, COHORT_SECOND + COH_SESSION_SILENCE);
	s = begin(0, 0);
	CHECK_EQ(coh_session_rest(&s), COHORT_FOREVER);
	CHECK_EQ(coh_session_tick(&s, s.looked, true), 0);
	CHECK_EQ(coh_session_rest(&s), s.next);
}

/* Whoever began when: those who speak first do so together. */
TEST(session, beats_of_one_process_fall_into_step)
{
	struct coh_session_config config = {.beat_out = BEAT, .beat_in = BEAT};
	cohort_time step = BEAT / 16, at;
	struct coh_session s;

	for (int i = 0; i < 100; i++) {
		coh_session_init(
		    &s, &config, COHORT_SECOND + (cohort_time)test_random_below(COHORT_SECOND));
		at = coh_session_rest(&s);
		CHECK_EQ(at % step, 0);
		CHECK(at <= s.looked + BEAT && at > s.looked + BEAT - step);
		CHECK_EQ(coh_session_tick(&s, at + step / 4, false), COH_SESSION_BEAT);
		coh_session_said_then(&s);
		coh_session_heard(&s);
		CHECK_EQ(coh_session_rest(&s), at + BEAT); /* however late the tick was */
	}
}

/* One look of S at NOW: what has arrived, and the beat for the other end, which takes a while. */
static int look(struct coh_session *s, cohort_time now, cohort_time *arrives, cohort_time *sent)
{
	int rc;

	if (*arrives != 0 && *arrives <= now) {
		coh_session_heard(s);
		*arrives = 0;
	}
	rc = coh_session_tick(s, now, false);
	if (rc != COH_SESSION_BEAT)
		return rc;
	coh_session_said(s);
	if (*sent == 0)
		*sent = now + (cohort_time)test_random_below(COHORT_SECOND);
	return 0;
}

/* Two ends that look at random times, over a link that delays; both may sleep for an hour. */
TEST(session, no_false_alarm_whoever_sleeps)
{
	for (int world = 0; world < 300; world++) {
		struct coh_session ends[2] = {begin(BEAT, BEAT), begin(BEAT, BEAT)};
		cohort_time arrives[2] = {0, 0}, now = ends[0].looked;

		for (int i = 0; i < 400; i++) {
			bool sleep = test_random_below(20) == 0;

			now += (cohort_time)test_random_below((sleep ? 3600 : 1) * COHORT_SECOND);
			REQUIRE_EQ(look(&ends[0], now, &arrives[0], &arrives[1]), 0);
			now += (cohort_time)test_random_below(COHORT_SECOND / 2);
			REQUIRE_EQ(look(&ends[1], now, &arrives[1], &arrives[0]), 0);
		}
	}
}
