/*
 * plan.c - the scheduler: events in, actions out.
 *
 * The rule that matters: the head of the queue goes to a member with an idle slot if there
 * is one, else ahead to a member that is expected to need it soon, else it waits.  So a
 * member's level (idle, ahead, full, away) says all that an assignment needs to know; each
 * level is a ring in which turns are taken, and every event puts the one member it touched
 * into the ring where it belongs.  No event looks at any other member or task, save the death
 * of a member (what it held) and fail_all (everything).
 *
 * A task of a kind that was never measured may last for ever: while a member holds one,
 * nothing is sent behind it.  After N results of a kind at most N are sent ahead to a slot
 * (each counts as an N-th of the time allowed), so that one lucky sample costs little: with
 * durations over many decades the worst of 100000 simulated jobs came from ten times the ideal
 * to three.
 *
 * Rejected: work stealing (a task that was sent would have to be asked back, a round trip in
 * which it may have started); a heap of members by load (turns come as close with equal tasks,
 * and cost nothing); a deviation beside the average (one long sample lifts the average by an
 * eighth of it, which already ends sending ahead until it has faded).
 */
#include "work/plan.h"

#include "base/object.h"

#include <cohort/error.h>

#define AVERAGE_WEIGHT 8                  /* a sample counts 1/8: about the last 16 matter */
#define EXPECTED_MIN ((int64_t)50)        /* a free task still costs its frame */
#define SAMPLE_MAX (3600 * COHORT_SECOND) /* keeps 65535 slots of them within an int64_t */
#define AHEAD_NS_MAX (3600 * COHORT_SECOND)

/* ---- lists of tasks ---- */

static inline void list_append(struct coh_plan_list *l, struct coh_plan_task *t)
{
	t->prev = l->tail;
	t->next = NULL;
	if (l->tail != NULL)
		l->tail->next = t;
	else
		l->head = t;
	l->tail = t;
	l->count++;
	l->size += t->size;
}

static inline void list_remove(struct coh_plan_list *l, struct coh_plan_task *t)
{
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		l->head = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	else
		l->tail = t->prev;
	t->prev = t->next = NULL;
	l->count--;
	l->size -= t->size;
}

/* Everything in FRONT goes before everything in L. */
static void list_splice_front(struct coh_plan_list *l, struct coh_plan_list *front)
{
	if (front->head == NULL)
		return;
	front->tail->next = l->head;
	if (l->head != NULL)
		l->head->prev = front->tail;
	else
		l->tail = front->tail;
	l->head = front->head;
	l->count += front->count;
	l->size += front->size;
	*front = (struct coh_plan_list){0};
}

/* ---- rings of members ---- */

/* M enters the ring of its level as the last to have its turn. */
static inline void ring_add(struct coh_plan *p, struct coh_plan_member *m)
{
	struct coh_plan_member *first = p->ring[m->level];

	if (first == NULL) {
		m->prev = m->next = p->ring[m->level] = m;
		return;
	}
	m->next = first;
	m->prev = first->prev;
	first->prev->next = m;
	first->prev = m;
}

static inline void ring_remove(struct coh_plan *p, struct coh_plan_member *m)
{
	if (m->next == m)
		p->ring[m->level] = NULL;
	else if (p->ring[m->level] == m)
		p->ring[m->level] = m->next;
	m->prev->next = m->next;
	m->next->prev = m->prev;
}

/*
 * M was given a task.  Tasks for idle slots go round one by one, over all members; those sent
 * ahead by as many as the member has slots, since it will ask for that many at a time.
 */
static inline void ring_turn(struct coh_plan *p, struct coh_plan_member *m)
{
	if (m->level == COH_PLAN_AHEAD && ++m->turn < m->slots)
		return;
	m->turn = 0;
	p->ring[m->level] = m->next;
}

static inline int64_t member_limit(const struct coh_plan_member *m)
{
	return m->ahead_ns * (int64_t)m->slots;
}

static inline size_t member_most(const struct coh_plan_member *m)
{
	return (size_t)m->slots * COH_PLAN_AHEAD_MAX;
}

static inline enum coh_plan_level member_level(const struct coh_plan_member *m)
{
	if (m->draining)
		return COH_PLAN_AWAY;
	if (m->held.count < m->slots)
		return COH_PLAN_IDLE;
	if (m->unmeasured == 0 && m->expected_ns < member_limit(m) &&
	    m->held.count < member_most(m) && m->held.size < COH_PLAN_AHEAD_SIZE)
		return COH_PLAN_AHEAD;
	return COH_PLAN_FULL;
}

/* After any change to what M holds. */
static inline void member_place(struct coh_plan *p, struct coh_plan_member *m)
{
	enum coh_plan_level level = member_level(m);

	if (level == m->level)
		return;
	ring_remove(p, m);
	m->level = (uint8_t)level;
	m->turn = 0;
	ring_add(p, m);
}

/* ---- what is expected of a kind ---- */

/* How long a task of K will keep a slot of M; 0: nobody knows. */
static inline int64_t kind_expected(
    const struct coh_plan_kind *k, const struct coh_plan_member *m)
{
	int64_t least = EXPECTED_MIN;

	if (k->samples == 0)
		return 0;
	if (k->samples < COH_PLAN_AHEAD_MAX && m->ahead_ns / k->samples > least)
		least = m->ahead_ns / k->samples;
	return k->average_ns < least ? least : k->average_ns;
}

static inline void kind_sample(struct coh_plan_kind *k, int64_t ns)
{
	if (ns > SAMPLE_MAX)
		ns = SAMPLE_MAX;
	if (k->samples != 0)
		k->average_ns += (ns - k->average_ns) / AVERAGE_WEIGHT;
	else
		k->average_ns = ns;
	if (k->samples < COH_PLAN_AHEAD_MAX)
		k->samples++;
}

/* ---- a task's moves ---- */

static inline void task_hold(struct coh_plan *p, struct coh_plan_member *m, struct coh_plan_task *t)
{
	t->state = COH_PLAN_ASSIGNED;
	t->member = m;
	t->expected_ns = kind_expected(t->kind, m);
	m->expected_ns += t->expected_ns;
	m->unmeasured += t->expected_ns == 0;
	list_append(&m->held, t);
	p->assigned++;
}

/* M's sums forget T, which is about to leave M's list. */
static inline void task_release(struct coh_plan *p, struct coh_plan_task *t)
{
	struct coh_plan_member *m = t->member;

	m->expected_ns -= t->expected_ns;
	m->unmeasured -= t->expected_ns == 0;
	t->expected_ns = 0;
	t->member = NULL;
	p->assigned--;
}

static void task_fail(struct coh_plan *p, struct coh_plan_task *t, int code)
{
	t->state = COH_PLAN_FAILING;
	t->code = code;
	list_append(&p->failing, t);
}

/* ---- events ---- */

void coh_plan_init(struct coh_plan *p, unsigned strikes)
{
	COH_ASSERT(strikes >= 1 && strikes <= UINT8_MAX);
	*p = (struct coh_plan){.strikes = (uint8_t)strikes};
}

void coh_plan_submit(struct coh_plan *p, struct coh_plan_task *t)
{
	COH_ASSERT(t->state == COH_PLAN_NEW && t->kind != NULL);
	t->state = COH_PLAN_QUEUED;
	t->member = NULL;
	t->expected_ns = 0;
	t->code = 0;
	t->strikes = 0;
	list_append(&p->queue, t);
}

void coh_plan_member_up(
    struct coh_plan *p, struct coh_plan_member *m, unsigned slots, int64_t ahead_ns)
{
	COH_ASSERT(slots >= 1 && slots <= UINT16_MAX);
	COH_ASSERT(m->next == NULL && m->held.count == 0);
	m->slots = slots;
	m->ahead_ns = ahead_ns < 0 ? 0 : ahead_ns > AHEAD_NS_MAX ? AHEAD_NS_MAX : ahead_ns;
	m->draining = false;
	m->level = COH_PLAN_IDLE;
	ring_add(p, m);
	p->members++;
	p->slots += slots;
}

void coh_plan_member_drain(struct coh_plan *p, struct coh_plan_member *m)
{
	m->draining = true;
	member_place(p, m);
}

/*
 * A strike for each task that M was running.  Until member_requeue has seen it the task's
 * code marks it, so that one named twice is not struck twice.
 */
static void member_strike(
    struct coh_plan_member *m, struct coh_plan_task *const *running, size_t n)
{
	struct coh_plan_task *t = m->held.head;

	if (running == NULL)
		n = m->held.count < m->slots ? m->held.count : m->slots;
	for (size_t i = 0; i < n; i++) {
		if (running != NULL)
			t = running[i];
		if (t->state == COH_PLAN_ASSIGNED && t->member == m && t->code == 0) {
			t->code = COHORT_EDIED;
			t->strikes++;
		}
		if (running == NULL)
			t = t->next;
	}
}

/* What M held goes back to the head of the queue, or fails. */
static void member_requeue(struct coh_plan *p, struct coh_plan_member *m)
{
	struct coh_plan_list back = {0};
	struct coh_plan_task *t;

	while ((t = m->held.head) != NULL) {
		list_remove(&m->held, t);
		task_release(p, t);
		if (t->strikes >= p->strikes) {
			task_fail(p, t, COHORT_EPOISON);
			continue;
		}
		t->code = 0;
		t->state = COH_PLAN_QUEUED;
		list_append(&back, t);
	}
	list_splice_front(&p->queue, &back);
}

void coh_plan_member_down(struct coh_plan *p, struct coh_plan_member *m,
    struct coh_plan_task *const *running, size_t n)
{
	member_strike(m, running, n);
	member_requeue(p, m);
	ring_remove(p, m);
	p->members--;
	p->slots -= m->slots;
	*m = (struct coh_plan_member){0};
}

bool coh_plan_result(struct coh_plan *p, struct coh_plan_member *m, struct coh_plan_task *t,
    int64_t elapsed_ns)
{
	if (t->state != COH_PLAN_ASSIGNED || t->member != m)
		return false;
	list_remove(&m->held, t);
	task_release(p, t);
	t->state = COH_PLAN_NEW;
	if (elapsed_ns >= 0)
		kind_sample(t->kind, elapsed_ns);
	member_place(p, m);
	return true;
}

bool coh_plan_cancel(struct coh_plan *p, struct coh_plan_task *t)
{
	if (t->state != COH_PLAN_QUEUED)
		return false;
	list_remove(&p->queue, t);
	t->state = COH_PLAN_NEW;
	return true;
}

static void member_fail_held(struct coh_plan *p, struct coh_plan_member *m, int code)
{
	struct coh_plan_task *t;

	while ((t = m->held.head) != NULL) {
		list_remove(&m->held, t);
		task_release(p, t);
		task_fail(p, t, code);
	}
	member_place(p, m);
}

/* For a ring whose members stay in it however little they hold. */
static void ring_fail_held(struct coh_plan *p, enum coh_plan_level level, int code)
{
	struct coh_plan_member *m = p->ring[level];

	if (m == NULL)
		return;
	do
		member_fail_held(p, m, code);
	while ((m = m->next) != p->ring[level]);
}

void coh_plan_fail_all(struct coh_plan *p, int code)
{
	struct coh_plan_task *t;

	COH_ASSERT(code < 0);
	while (p->ring[COH_PLAN_FULL] != NULL) /* each of them becomes idle */
		member_fail_held(p, p->ring[COH_PLAN_FULL], code);
	while (p->ring[COH_PLAN_AHEAD] != NULL)
		member_fail_held(p, p->ring[COH_PLAN_AHEAD], code);
	ring_fail_held(p, COH_PLAN_IDLE, code);
	ring_fail_held(p, COH_PLAN_AWAY, code);
	while ((t = p->queue.head) != NULL) {
		list_remove(&p->queue, t);
		task_fail(p, t, code);
	}
}

/* ---- actions ---- */

static struct coh_plan_action next_failure(struct coh_plan *p)
{
	struct coh_plan_task *t = p->failing.head;

	list_remove(&p->failing, t);
	t->state = COH_PLAN_NEW;
	return (struct coh_plan_action){.act = COH_PLAN_FAIL, .task = t};
}

struct coh_plan_action coh_plan_next(struct coh_plan *p)
{
	struct coh_plan_task *t = p->queue.head;
	struct coh_plan_member *m;

	if (p->failing.head != NULL)
		return next_failure(p);
	if (t == NULL)
		return (struct coh_plan_action){.act = COH_PLAN_NOTHING};
	m = p->ring[COH_PLAN_IDLE];
	if (m == NULL && t->kind->samples != 0)
		m = p->ring[COH_PLAN_AHEAD];
	if (m == NULL)
		return (struct coh_plan_action){.act = COH_PLAN_NOTHING};
	list_remove(&p->queue, t);
	ring_turn(p, m);
	task_hold(p, m, t);
	member_place(p, m);
	return (struct coh_plan_action){.act = COH_PLAN_ASSIGN, .task = t, .member = m};
}

/* ---- questions ---- */

/* How many tasks of KIND (NULL: one that is not to be sent ahead) M would take in a row. */
static size_t member_room(const struct coh_plan_member *m, const struct coh_plan_kind *kind)
{
	size_t idle = m->held.count < m->slots ? m->slots - m->held.count : 0;
	size_t most = member_most(m) - m->held.count;
	int64_t left = member_limit(m) - m->expected_ns;
	int64_t expected = kind != NULL ? kind_expected(kind, m) : 0;
	size_t ahead;

	if (expected == 0 || m->unmeasured != 0 || left <= 0 ||
	    m->held.size >= COH_PLAN_AHEAD_SIZE)
		return idle;
	ahead = (size_t)((left + expected - 1) / expected);
	if (ahead > most)
		ahead = most;
	return ahead > idle ? ahead : idle;
}

static size_t ring_room(
    const struct coh_plan_member *first, const struct coh_plan_kind *kind)
{
	const struct coh_plan_member *m = first;
	size_t n = 0;

	if (m == NULL)
		return 0;
	do
		n += member_room(m, kind);
	while ((m = m->next) != first);
	return n;
}

size_t coh_plan_hungry(const struct coh_plan *p, const struct coh_plan_kind *kind)
{
	const struct coh_plan_task *head = p->queue.head;
	size_t n;

	if (kind->samples == 0 || (head != NULL && head->kind->samples == 0))
		kind = NULL; /* nor does anything pass a head that waits for an idle slot */
	n = ring_room(p->ring[COH_PLAN_IDLE], kind);
	if (kind != NULL)
		n += ring_room(p->ring[COH_PLAN_AHEAD], kind);
	return n > p->queue.count ? n - p->queue.count : 0;
}

size_t coh_plan_load(const struct coh_plan *p)
{
	return p->queue.count + p->assigned + p->failing.count;
}

/* ---- the invariants ---- */

#define CHECK(condition, words)                                                            \
	do {                                                                               \
		if (!(condition))                                                          \
			return (words);                                                    \
	} while (0)

/* L's links and count, and that its tasks are all in STATE and on M. */
static const char *check_list(const struct coh_plan_list *l, enum coh_plan_state state,
    const struct coh_plan_member *m)
{
	const struct coh_plan_task *t, *prev = NULL;
	size_t n = 0, size = 0;

	for (t = l->head; t != NULL && n <= l->count; prev = t, t = t->next, n++) {
		size += t->size;
		CHECK(t->prev == prev, "a task's prev is not the one before it");
		CHECK(t->state == (uint8_t)state, "a task is in a list of another state");
		CHECK(t->member == m, "a task does not name the member that holds it");
		CHECK(m != NULL || t->expected_ns == 0, "a task on no member is expected there");
		CHECK((t->code != 0) == (state == COH_PLAN_FAILING), "a code without a failure");
	}
	CHECK(n == l->count, "a list's count is not its length");
	CHECK(size == l->size, "a list's size is not its tasks' sum");
	CHECK(l->tail == prev, "a list's tail is not its last");
	return NULL;
}

static const char *check_strikes(const struct coh_plan *p, const struct coh_plan_list *l)
{
	for (const struct coh_plan_task *t = l->head; t != NULL; t = t->next)
		CHECK(t->strikes < p->strikes, "a task out of strikes has not failed");
	return NULL;
}

static const char *check_member(
    const struct coh_plan *p, const struct coh_plan_member *m, int level)
{
	const char *broken = check_list(&m->held, COH_PLAN_ASSIGNED, m);
	int64_t expected = 0;
	size_t unmeasured = 0;

	if (broken == NULL)
		broken = check_strikes(p, &m->held);
	if (broken != NULL)
		return broken;
	for (const struct coh_plan_task *t = m->held.head; t != NULL; t = t->next) {
		CHECK(t->expected_ns >= 0, "a task is expected to last less than nothing");
		expected += t->expected_ns;
		unmeasured += t->expected_ns == 0;
	}
	CHECK(expected == m->expected_ns, "a member's expected_ns is not its tasks' sum");
	CHECK(unmeasured == m->unmeasured, "a member's unmeasured is not its tasks' count");
	CHECK(m->held.count <= member_most(m), "a member holds more than it may");
	CHECK(m->next->prev == m && m->prev->next == m, "a ring's links disagree");
	CHECK(m->level == level, "a member is in the ring of another level");
	CHECK(m->level == (uint8_t)member_level(m), "a member's level is out of date");
	return NULL;
}

/* What the rings add up to, to be compared with the plan's own sums. */
struct census {
	size_t members, assigned;
	uint64_t slots;
};

static const char *check_ring(const struct coh_plan *p, int level, struct census *sum)
{
	const struct coh_plan_member *m = p->ring[level];
	const char *broken;

	if (m == NULL)
		return NULL;
	do {
		if ((broken = check_member(p, m, level)) != NULL)
			return broken;
		sum->members++;
		sum->assigned += m->held.count;
		sum->slots += m->slots;
		CHECK(sum->members <= p->members, "there are more members than were counted");
	} while ((m = m->next) != p->ring[level]);
	return NULL;
}

const char *coh_plan_check(const struct coh_plan *p)
{
	struct census sum = {0};
	const char *broken = check_list(&p->queue, COH_PLAN_QUEUED, NULL);

	if (broken == NULL)
		broken = check_strikes(p, &p->queue);
	if (broken == NULL)
		broken = check_list(&p->failing, COH_PLAN_FAILING, NULL);
	for (int level = 0; level < COH_PLAN_LEVELS && broken == NULL; level++)
		broken = check_ring(p, level, &sum);
	if (broken != NULL)
		return broken;
	CHECK(sum.members == p->members, "members is not how many there are");
	CHECK(sum.slots == p->slots, "slots is not the members' sum");
	CHECK(sum.assigned == p->assigned, "assigned is not what the members hold");
	return NULL;
}
