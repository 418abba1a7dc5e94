/*
 * pool_priv.h - a pool from inside: its futures, its members, and seam 2, the launcher.
 *
 * Everything here is guarded by the engine lock (engine.h), which each function expects to be
 * held unless it says otherwise.
 *
 * One pool is used by three parties: the user's calls (pool.c, future.c, iter.c), the members'
 * connections (member.c), and a node agent that serves tasks it knows by number only (a raw pool).
 */
#ifndef COH_WORK_POOL_PRIV_H
#define COH_WORK_POOL_PRIV_H

#include "conn/conn_priv.h"
#include "wire/codec.h"
#include "work/engine.h"
#include "work/plan.h"
#include "work/pulse.h"
#include "work/task.h"

#include <cohort/pool.h>
#include <stdbool.h>

/* ---- tasks of one function, as a pool knows it ---- */

struct coh_pool_kind {
	struct coh_plan_kind plan;
	uint32_t number;
	const char *name;            /* "?" in a raw pool, until its owner knows better */
	const struct coh_task *task; /* NULL in a raw pool */
};

/* ---- a future: one task under way, or ended ---- */

struct coh_inherit;

struct cohort_future {
	uint32_t magic;
	unsigned refs;               /* the user's, the plan's, a callback's */
	struct cohort_pool *pool;    /* counted */
	struct coh_pool_kind *kind;
	struct coh_plan_task plan;
	uint64_t id;                 /* place in the pool's table, and a serial number; 0: not in it */
	bool done;
	int code;                    /* how it ended */
	char *text;                  /* the sentence of an error, or of the last death; may be NULL */
	struct coh_member *member;   /* who ran it; the pool's */
	uint32_t pid;                /* the process there */
	int64_t elapsed_ns;
	void (*on_done)(struct cohort_future *f, void *owner); /* internal: iterator, agent */
	void *owner;
	uint64_t tag;                /* the owner's */
	struct cohort_future *next;  /* in its iterator's list */
	cohort_future_fn then_fn;
	void *then_arg;
	struct coh_engine_call call; /* of then_fn */
	struct cohort_message *reader; /* of a result with arrays, from first use */
	struct coh_buf strings;      /* of a flat result, from first use */
	const unsigned char *result; /* in BODY when it fits, else its own block */
	size_t result_size, body_size, args_size;
	_Alignas(16) unsigned char body[]; /* the arguments, later a small result */
};

/*
 * A future of KIND for P with the image of its arguments (copied), refs 1; coh_pool_enter comes
 * next.  NULL: no memory.  [no lock needed]
 */
struct cohort_future *coh_future_new(struct cohort_pool *p, struct coh_pool_kind *kind,
    const void *args, size_t size);
void coh_future_unref(struct cohort_future *f);

/* Free F, which never entered a pool.  [no lock needed] */
void coh_future_discard(struct cohort_future *f);

/* F ends: with a result (copied; code 0), or with CODE and a sentence (TEXT may be NULL). */
void coh_future_succeed(struct cohort_future *f, const void *image, size_t size);
void coh_future_fail(struct cohort_future *f, int code, const char *text);

/* What killed a worker that ran F; kept for the sentence of COHORT_EPOISON. */
void coh_future_note(struct cohort_future *f, const char *text);

/* ---- members ---- */

enum coh_member_state {
	COH_MEMBER_DOWN = 0, /* not started, or ended */
	COH_MEMBER_GREETING, /* connected; its HELLO is awaited */
	COH_MEMBER_SETUP,    /* told what to do first; its READY is awaited */
	COH_MEMBER_UP,       /* takes tasks */
	COH_MEMBER_STOPPING, /* told to end */
};

/* How a member ended. */
struct coh_member_end {
	uint64_t running;    /* the task it was running, 0 none */
	bool known;          /* RUNNING says all there is; else the oldest ones count as running */
	char text[200];      /* "worker local/123 died by signal 9 (Killed)" */
};

struct coh_member;

/* Seam 2: how a member comes into being and how it ends. */
struct coh_launcher_ops {
	/* Bring M up as far as a connection (m->conn, m->pid).  0 or a code with a sentence. */
	int (*start)(struct coh_member *m, struct cohort_error *err);
	/* After M's HELLO: tell it what to do before tasks; NULL: SETUP as for a worker. */
	int (*greet)(struct coh_member *m, struct cohort_error *err);
	/* End M by force; its connection ends soon after.  NULL: cutting the connection does. */
	void (*kill)(struct coh_member *m);
	/* M's connection has ended: collect what is left and say how it ended.  Bounded. */
	void (*end)(struct coh_member *m, struct coh_member_end *end);
	/* Free m->data. */
	void (*fini)(struct coh_member *m);
	bool restarts;       /* a member that died is started again */
	int64_t ahead_ns;    /* how much work per slot is worth sending ahead */
};

struct coh_member {
	uint32_t magic;
	struct coh_plan_member plan;
	struct cohort_pool *pool;
	struct coh_member *next;     /* in the pool's list, for the pool's life */
	const struct coh_launcher_ops *ops;
	void *data;                  /* the launcher's */
	struct cohort_conn *conn;
	struct coh_watch *watch;
	enum coh_member_state state;
	uint32_t pid;
	unsigned events;             /* what the watch waits for */
	struct coh_pulse pulse;      /* while its connection depends on time */
	bool dirty;                  /* in the pool's list of members with unsent frames */
	struct coh_member *next_dirty;
	char where[160];             /* "local", "tcp://127.0.0.1:4000": for sentences */
};

/* A member of P through OPS, not started.  NULL: no memory. */
struct coh_member *coh_member_new(struct cohort_pool *p, const struct coh_launcher_ops *ops,
    void *data, const char *where);

/* Start M: connect, watch, greet.  0 or a code with a sentence.  May release the lock (engine.h). */
int coh_member_start(struct coh_member *m, struct cohort_error *err);

/* Give it a task, sent by coh_pool_flush at the latest.  0, or -ENOMEM: it was not given. */
int coh_member_give(struct coh_member *m, struct cohort_future *f);

/* Put a frame for M behind those not yet sent. */
void coh_member_put(struct coh_member *m, struct coh_frame *f, const void *body, size_t size);

/* Let it end once it has done what it holds; end it by force. */
void coh_member_stop(struct coh_member *m);
void coh_member_kill(struct coh_member *m);

/* Send what is held; watch for room if some is left. */
void coh_member_flush(struct coh_member *m);

/* Free M, which is DOWN. */
void coh_member_free(struct coh_member *m);

/* ---- pools ---- */

struct cohort_pool {
	uint32_t magic;
	unsigned refs;               /* the opener's, and one for each future */
	struct cohort_pool *next_open; /* in the list of open pools, for shutdown */
	struct coh_plan plan;
	struct coh_pool_kind *kinds; /* by task number */
	uint32_t kind_count;
	struct cohort_future **table; /* by id */
	uint32_t *free_places;
	uint32_t table_size, free_count;
	uint32_t serial;
	struct coh_member *members, *dirty;
	const struct coh_launcher_ops *inline_ops; /* non-NULL: tasks run in the submitting call */
	struct cohort_future *inline_head, *inline_tail;
	const struct coh_scheme *scheme;
	void *scheme_data;           /* a listener, say */
	bool closed, ended;          /* no more tasks; members told to end */
	bool joining;                /* members may still come by themselves */
	bool raw;
	struct cohort_error broken;  /* code 0 while it works */
	struct cohort_error refusal; /* why the last member could not be made to serve */
	unsigned failures;           /* starts in a row that failed */
	uint32_t setup_number;       /* the initializer */
	bool has_setup;
	unsigned char *setup_args;
	size_t setup_size;
	struct coh_inherit *shares;  /* what workers of this machine are given; NULL: nothing */
	unsigned strikes;
	uint64_t digest;             /* of the registry that members must have */
	char *registry;              /* the same as text (coh_task_list) */
	char *names;                 /* those of a raw pool's kinds; may be NULL */
	char *address;
	struct coh_buf scratch;      /* arguments being packed */
	/* Who built the pool from inside hears: a member is up, or the pool is broken; frames were sent. */
	void (*on_change)(struct cohort_pool *p, void *owner);
	void (*on_flush)(struct cohort_pool *p, void *owner);
	void *owner;
	bool disposed;               /* free it once its members are down */
	struct coh_engine_call disposal;
	struct cohort_pool_stats stats;
};

/* How a pool finds its members; the schemes of this program stand in coh_schemes. */
struct coh_scheme {
	const char *name; /* what comes before the first colon of an address */
	bool children;    /* its members are processes started here */
	bool shares;      /* memory can be shared with its members */
	/* Make P's members.  ADDRESS is all of it.  Called without the lock. */
	int (*open)(struct cohort_pool *p, const char *address,
	    const struct cohort_pool_options *options, struct cohort_error *err);
	/* P ends: stop looking for members.  [lock held]  NULL: nothing to stop. */
	void (*close)(struct cohort_pool *p);
	/* Read again what members are let in by.  [lock held]  NULL: there is nothing to read. */
	int (*reload)(struct cohort_pool *p, struct cohort_error *err);
};

/* Ends with NULL.  Defined once a program: by core alone, or by the half that knows addresses. */
extern const struct coh_scheme *const coh_schemes[];
extern const struct coh_scheme coh_scheme_inline, coh_scheme_thread, coh_scheme_local;

/*
 * An empty pool for a registry of COUNT tasks (raw), or for this program's (COUNT 0).  The engine of a raw one
 * must be kept open by its owner until it is gone: it ends in the engine's own thread (coh_pool_dispose),
 * which cannot be the one to end the engine.
 */
int coh_pool_new(struct cohort_pool **out, uint32_t count, struct cohort_error *err);
void coh_pool_ref(struct cohort_pool *p);
void coh_pool_unref(struct cohort_pool *p);

/* Take F (its plan reference is added) into P.  0, COHORT_ECLOSED, the code P is broken by, -ENOMEM. */
int coh_pool_enter(struct cohort_pool *p, struct cohort_future *f);
struct cohort_future *coh_pool_find(struct cohort_pool *p, uint64_t id);

/* F has left the plan: out of the table; then it ends by coh_future_succeed or _fail. */
void coh_pool_leave(struct cohort_pool *p, struct cohort_future *f);

/* Do what the plan wants done, then send. */
void coh_pool_act(struct cohort_pool *p);
void coh_pool_flush(struct cohort_pool *p);

/* On inline pools: run what was given; releases the lock while a task runs. */
void coh_pool_run_inline(struct cohort_pool *p);

/* M came up, or went down and how. */
void coh_pool_member_up(struct cohort_pool *p, struct coh_member *m, unsigned slots);
void coh_pool_member_down(struct cohort_pool *p, struct coh_member *m);

/* No member is left and none will come: every task fails with CODE and TEXT. */
void coh_pool_break(struct cohort_pool *p, int code, const char *text);

/* End P, a raw pool, by force and free it once its members are down.  [lock held; does not wait] */
void coh_pool_dispose(struct cohort_pool *p);

/* No pool is left: what coh_engine_wait takes, for owners who disposed of theirs. */
bool coh_pool_none(void *unused);

/* End every open pool and wait for their members until DEADLINE.  [lock not held] */
int coh_pool_shutdown(cohort_time deadline);

/*
 * Take F, just made, into P and set it going; on inline: it has ended when this returns.  On
 * failure F is freed and the code returned.  [lock not held]
 */
int coh_pool_submit(struct cohort_pool *p, struct cohort_future *f, struct cohort_error *err);

/* A registered task as P's kind; COHORT_ENOTASK. */
int coh_pool_kind(struct cohort_pool *p, const char *task, struct coh_pool_kind **out,
    struct cohort_error *err);

#endif
