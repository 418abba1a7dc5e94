/*
 * plan.h - the scheduler: which member does which task, what is run again, what fails.
 *
 * Pure: events in, actions out; no clock, no memory, no descriptor, no lock.  The caller owns
 * every struct (they are embedded in the pool's futures and members), serialises the
 * calls, and after each event takes actions until there are none.
 *
 * A task waits in one queue, first come first served, until a member has room for it.  A
 * member has room while it holds fewer tasks than slots, and beyond that while what it
 * holds is expected to last less than `ahead` ns per slot (and is not large): short tasks are sent ahead in
 * batches, so that a worker never waits for its next one; long ones are not, so that no task
 * waits behind another while a slot is idle.  How long a task of a kind takes is learned from
 * results; until the first one, nothing is sent ahead, neither it nor what would go behind it,
 * and the first few results allow a few tasks only.
 *
 * When a member dies, the tasks it was running get a strike each; what it held goes back to
 * the head of the queue in its old order, except that a task with `strikes` strikes fails.
 */
#ifndef COH_WORK_PLAN_H
#define COH_WORK_PLAN_H

#include <cohort/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of all tasks of one function. */
struct coh_plan_kind {
	int64_t average_ns; /* moving average of what results reported; 0 before the first */
	uint32_t samples;   /* how many those were, counted up to COH_PLAN_AHEAD_MAX */
};

enum coh_plan_state {
	COH_PLAN_NEW = 0, /* zeroed, or left the plan: may be submitted */
	COH_PLAN_QUEUED,
	COH_PLAN_ASSIGNED,
	COH_PLAN_FAILING, /* a FAIL action for it is due */
};

struct coh_plan_member;

struct coh_plan_task {
	struct coh_plan_task *prev, *next; /* in the queue, in its member's list, or among the failing */
	struct coh_plan_member *member;    /* while assigned */
	struct coh_plan_kind *kind;        /* set by the caller before submit */
	size_t size;                       /* bytes it takes to send; set by the caller before submit */
	int64_t expected_ns;               /* what it added to its member's; 0: it is unmeasured there */
	int code;                          /* why it fails */
	uint8_t state;                     /* enum coh_plan_state */
	uint8_t strikes;                   /* members that died running it */
};

struct coh_plan_list {
	struct coh_plan_task *head, *tail;
	size_t count, size; /* of its tasks, in sum */
};

struct coh_plan_member {
	struct coh_plan_member *prev, *next; /* in the ring of its level */
	struct coh_plan_list held;           /* assigned tasks, oldest first */
	int64_t expected_ns;                 /* how long what it holds will take in sum */
	int64_t ahead_ns;                    /* how much work per slot may be sent ahead */
	size_t unmeasured;                   /* held tasks of which nothing is expected yet */
	uint32_t slots;
	uint32_t turn;                       /* tasks sent ahead to it in its present turn */
	uint8_t level;                       /* enum coh_plan_level */
	bool draining;                       /* gets nothing new */
};

/* How much a member would take now; each level is a ring in which turns are taken. */
enum coh_plan_level {
	COH_PLAN_IDLE,  /* it has an idle slot */
	COH_PLAN_AHEAD, /* no idle slot, but what it holds will not last: room for measured tasks */
	COH_PLAN_FULL,
	COH_PLAN_AWAY, /* draining */
	COH_PLAN_LEVELS,
};

struct coh_plan {
	struct coh_plan_list queue, failing;
	struct coh_plan_member *ring[COH_PLAN_LEVELS]; /* whose turn it is at each level */
	size_t members;                  /* how many are up, the draining too */
	uint64_t slots;                  /* theirs, in sum */
	size_t assigned;                 /* tasks on members */
	uint8_t strikes;                 /* that make a task fail */
};

/* A task is never held by more than this many others of one slot, however short they are. */
#define COH_PLAN_AHEAD_MAX 512

/* Nothing is sent ahead to a member that holds this many bytes: what is ahead lies in memory twice. */
#define COH_PLAN_AHEAD_SIZE ((size_t)4 << 20)

enum coh_plan_act { COH_PLAN_NOTHING, COH_PLAN_ASSIGN, COH_PLAN_FAIL };

struct coh_plan_action {
	enum coh_plan_act act;
	struct coh_plan_task *task;
	struct coh_plan_member *member; /* ASSIGN: send TASK to it; it is counted as sent */
};

/* An empty plan in which STRIKES deaths (1 to 255) make a task fail. */
void coh_plan_init(struct coh_plan *p, unsigned strikes);

/* T (state NEW, kind set) enters at the tail of the queue, with no strike against it. */
void coh_plan_submit(struct coh_plan *p, struct coh_plan_task *t);

/* M (zeroed) joins with SLOTS (1 to 65535), sending ahead up to AHEAD_NS per slot (0: nothing). */
void coh_plan_member_up(
    struct coh_plan *p, struct coh_plan_member *m, unsigned slots, int64_t ahead_ns);

/* M gets nothing new from now on; it keeps what it holds. */
void coh_plan_member_drain(struct coh_plan *p, struct coh_plan_member *m);

/*
 * M is gone.  RUNNING lists the N tasks that it was running, as far as known, each of which
 * gets one strike (one that M does not hold gets none); with RUNNING NULL the oldest
 * min(slots, held) count as running.  Tasks out of strikes FAIL with COHORT_EPOISON; the others
 * are queued again at the head.  M is zeroed and may join again.
 */
void coh_plan_member_down(struct coh_plan *p, struct coh_plan_member *m,
    struct coh_plan_task *const *running, size_t n);

/*
 * The result of T came from the member it is assigned to, after ELAPSED_NS of work (< 0: not
 * measured, such as an error before it ran).  T leaves the plan.  A result for a task that is
 * not assigned to M is late: returns false and changes nothing.
 */
bool coh_plan_result(struct coh_plan *p, struct coh_plan_member *m, struct coh_plan_task *t,
    int64_t elapsed_ns);

/* Take T out if it is still queued: true, and it has left the plan.  False: it is assigned or new. */
bool coh_plan_cancel(struct coh_plan *p, struct coh_plan_task *t);

/* Every task in the plan FAILs with CODE (< 0); members hold nothing any more. */
void coh_plan_fail_all(struct coh_plan *p, int code);

/* The next thing to do. */
struct coh_plan_action coh_plan_next(struct coh_plan *p);

/*
 * How many more small tasks (of KIND) the members would take at once, beyond those queued; 0 if none.
 * Costs a step for each member that would take some, so never more than the answer's order.
 */
size_t coh_plan_hungry(const struct coh_plan *p, const struct coh_plan_kind *kind);

/* Tasks in the plan: queued, assigned and failing. */
size_t coh_plan_load(const struct coh_plan *p);

/* Every invariant of P, for tests and simulation: NULL, or which one is broken.  O(everything). */
const char *coh_plan_check(const struct coh_plan *p);

#endif
