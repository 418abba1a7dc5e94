/*
 * dialer.c - out to an address, in steps that never wait.
 *
 *   PAUSING -> RESOLVING -> CONNECTING -> GREETING -> DONE
 *      ^           |             |            |
 *      +-----------+-------------+------------+-> FAILED
 *
 * A new dialer is at the end of a pause.  A try that fails pauses, if its failure may pass and
 * another try can begin before the deadline; else the dialer has failed, with that failure.
 *
 * Each way to fail, and the code it ends in:
 *   the deadline, or the time of a step, is over                COHORT_ETIMEDOUT
 *   the resolver                                                COHORT_EADDRESS -EAGAIN -ENOMEM
 *   clear text would leave the machine, no such mode            what coh_mode_choose says
 *   no address connects                                         -errno of the one that says most
 *   a Unix socket's queue is full, the peer takes nobody        COHORT_EBUSY
 *   the greeting                                                what coh_greeting_step says
 *
 * Once something answered, its answer is the result of the try, also when it is a refusal: asking the
 * host's next address would let whoever sits at one address send callers to another.
 */
#include "conn/dialer.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "conn/mode.h"
#include "os/fd.h"
#include "trust/hmac_openssl.h"

#include <errno.h>
#include <poll.h>

#define STEP_LIMIT (10 * COHORT_SECOND) /* twice what a listener gives a stranger: it may be busy */

#define WORDLESS 20

enum { WAIT = 0, MOVED = 1 }; /* what a stage returns, or the failure of the try */

/* Without options.retry, for those turned away: soon again, since strangers come and go. */
static const struct cohort_backoff soon = {.first = 20 * COHORT_MS, .last = 500 * COHORT_MS};

static int dialer_enter(struct cohort_dialer *d, enum coh_dialer_state state, cohort_time limit)
{
	d->state = state;
	d->limit = limit;
	return MOVED;
}

/* Who is at d->where[AT]: under OPTIONS it is met in *MODE.  0 or a code. */
static int dialer_mode(struct cohort_dialer *d, int at, enum coh_mode *mode)
{
	int rc = coh_mode_choose(mode, &d->address, (const struct sockaddr *)&d->where.at[at].sa,
	    d->where.at[at].len, d->how.options, &d->why);

	return rc == 0 ? 0 : coh_fail_in(&d->why, rc, "cannot dial");
}

/* The addresses are known.  None is tried unless all may be. */
static int dialer_connect(struct cohort_dialer *d)
{
	enum coh_mode mode;
	int rc = 0;

	for (int i = 0; i < d->where.n && rc == 0; i++)
		rc = dialer_mode(d, i, &mode);
	if (rc != 0)
		return rc;
	coh_eyeballs_order(&d->where);
	coh_race_init(&d->race, &d->where);
	return dialer_enter(d, COH_DIALER_CONNECTING, cohort_in(STEP_LIMIT));
}

static int stage_pausing(struct cohort_dialer *d)
{
	int rc;

	if (!coh_clock_passed(d->limit))
		return WAIT;
	d->tries++;
	if (coh_resolve_known(&d->address, &d->where))
		return dialer_connect(d);
	rc = coh_lookup_start(&d->lookup, &d->address, &d->why);
	if (rc != 0)
		return coh_fail_in(&d->why, rc, "cannot dial %s", d->text);
	return dialer_enter(d, COH_DIALER_RESOLVING, COHORT_FOREVER);
}

static int stage_resolving(struct cohort_dialer *d)
{
	int rc = coh_lookup_take(d->lookup, &d->where, &d->why);

	if (rc == 0)
		return WAIT;
	if (rc < 0)
		return coh_fail_in(&d->why, rc, "cannot dial %s", d->text);
	coh_lookup_close(d->lookup);
	d->lookup = NULL;
	return dialer_connect(d);
}

/* None of the addresses connected; number AT says most, and it says -errno RC. */
static int dialer_refused(struct cohort_dialer *d, int at, int rc)
{
	char where[COH_SOCKADDR_TEXT] = "";

	if (rc == -EAGAIN && d->where.at[at].sa.ss_family == AF_UNIX)
		return coh_fail(&d->why, COHORT_EBUSY,
		    "cannot dial %s: its queue is full, nobody accepts fast enough", d->text);
	if (d->where.n > 1)
		(void)coh_sockaddr_text(
		    (const struct sockaddr *)&d->where.at[at].sa, d->where.at[at].len, where);
	if (rc == -ETIMEDOUT)
		return coh_fail(
		    &d->why, COHORT_ETIMEDOUT, "cannot dial %s: no answer in time", d->text);
	return coh_fail_errno(&d->why, -rc, "cannot dial %s%s%s", d->text,
	    where[0] != '\0' ? ", which is " : "", where);
}

/* Address AT is connected as FD, which is taken in any case: is it one of ours? */
static int dialer_greet(struct cohort_dialer *d, int at, int fd)
{
	const struct sockaddr *sa = (const struct sockaddr *)&d->where.at[at].sa;
	socklen_t len = d->where.at[at].len;
	bool definite = coh_sockaddr_is_definite(sa, len) && coh_greeting_end(&d->end, sa, len) == 0;
	struct coh_mode_socket s = {.fd = fd,
	    .family = sa->sa_family,
	    .role = COH_HANDSHAKE_CLIENT,
	    .id = d->how.id,
	    .peer = d->text,
	    .host = d->address.where};
	int rc = dialer_mode(d, at, &s.mode);

	if (rc == 0)
		rc = coh_mode_conn(&d->conn, &s, &d->why);
	if (rc != 0) {
		coh_fd_close(&fd);
		return rc;
	}
	rc = coh_greeting_init(&d->greeting, d->conn, d->how.id, COH_HANDSHAKE_CLIENT,
	    definite ? &d->end : NULL, &d->why);
	return rc != 0 ? rc : dialer_enter(d, COH_DIALER_GREETING, cohort_in(STEP_LIMIT));
}

static int stage_connecting(struct cohort_dialer *d)
{
	int at, fd, rc = coh_race_step(&d->race, cohort_now(), &at, &fd);

	if (rc == 1)
		return dialer_greet(d, at, fd);
	if (rc == 0 && !coh_clock_passed(d->limit))
		return WAIT;
	return dialer_refused(d, at, rc != 0 ? rc : -ETIMEDOUT);
}

static int stage_greeting(struct cohort_dialer *d)
{
	int rc = coh_greeting_step(&d->greeting, &d->why);

	if (rc == COH_HANDSHAKE_MORE && !coh_clock_passed(d->limit))
		return WAIT;
	if (rc == COH_HANDSHAKE_MORE)
		return coh_greeting_late(&d->greeting, &d->why);
	if (rc < 0)
		return rc;
	if (d->how.peer != NULL)
		*d->how.peer = d->greeting.hs.peer;
	coh_greeting_admit(&d->greeting);
	return dialer_enter(d, COH_DIALER_DONE, COHORT_FOREVER);
}

static int stage_done(struct cohort_dialer *d)
{
	(void)d;
	return WAIT;
}

static int stage_failed(struct cohort_dialer *d)
{
	return d->why.code;
}

static int (*const stages[])(struct cohort_dialer *d) = {
    [COH_DIALER_RESOLVING] = stage_resolving,
    [COH_DIALER_CONNECTING] = stage_connecting,
    [COH_DIALER_GREETING] = stage_greeting,
    [COH_DIALER_PAUSING] = stage_pausing,
    [COH_DIALER_DONE] = stage_done,
    [COH_DIALER_FAILED] = stage_failed,
};

/* Let go of all that a try has; the connection, if there is one, has come to nothing. */
static void dialer_drop(struct cohort_dialer *d)
{
	coh_lookup_close(d->lookup);
	d->lookup = NULL;
	coh_race_fini(&d->race);
	coh_greeting_fini(&d->greeting);
	cohort_conn_close(d->conn);
	d->conn = NULL;
}

/* May what failed with CODE go better a little later? */
static bool may_pass(int code)
{
	switch (code) {
	case COHORT_EBUSY:
	case COHORT_ETIMEDOUT:
	case COHORT_EOF:
	case COHORT_ETRUNCATED:
	case COHORT_EPEER:
	case -EAGAIN:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -ENOENT: /* of a Unix socket */
	case -EHOSTUNREACH:
	case -EHOSTDOWN:
	case -ENETUNREACH:
	case -ENETDOWN:
		return true;
	default:
		return false;
	}
}

/*
 * Was D turned away by one who takes nobody at the moment?  A listener that is crowded by strangers may have
 * no way to say so (in TLS), and hangs up; one that hangs up always is believed for so many tries.
 */
static bool turned_away(const struct cohort_dialer *d, int code)
{
	if (code == COHORT_EBUSY)
		return true;
	return (code == COHORT_EOF || code == COHORT_EPEER) && d->state == COH_DIALER_GREETING &&
	    !coh_greeting_spoke(&d->greeting) && d->tries < WORDLESS;
}

/* The pause after CODE, or -1 when it is not to be tried again. */
static cohort_time dialer_pause(struct cohort_dialer *d, int code)
{
	const struct cohort_backoff *rule = d->how.options != NULL ? d->how.options->retry : NULL;
	uint64_t seed = 0;

	if (!may_pass(code) || (rule == NULL && !turned_away(d, code)))
		return -1;
	if (d->backoff.failed == 0) {
		(void)coh_random_bytes(
		    &seed, sizeof seed); /* without: pauses like those of others */
		coh_backoff_init(&d->backoff, rule != NULL ? rule : &soon, seed);
	}
	return coh_backoff_failed(&d->backoff);
}

/* It ends here with CODE, whose sentence is there. */
static int dialer_give_up(struct cohort_dialer *d, int code)
{
	dialer_drop(d);
	if (d->tries > 1)
		coh_fail_in(&d->why, code, "after %u tries", d->tries);
	(void)dialer_enter(d, COH_DIALER_FAILED, COHORT_FOREVER);
	return code;
}

/* The try failed with CODE and has its sentence.  MOVED when there will be another, else CODE. */
static int dialer_failed(struct cohort_dialer *d, int code)
{
	cohort_time pause;

	if (d->state == COH_DIALER_FAILED)
		return code;
	pause = dialer_pause(d, code);
	if (pause < 0 || pause >= coh_clock_left(d->deadline))
		return dialer_give_up(d, code);
	dialer_drop(d);
	return dialer_enter(d, COH_DIALER_PAUSING, cohort_in(pause));
}

/* The deadline has passed. */
static int dialer_late(struct cohort_dialer *d)
{
	if (d->state == COH_DIALER_GREETING)
		coh_greeting_late(&d->greeting, &d->why);
	else if (d->state != COH_DIALER_PAUSING) /* there the last try has said why */
		coh_fail(&d->why, COHORT_ETIMEDOUT, "cannot dial %s: %s", d->text,
		    d->state == COH_DIALER_RESOLVING ? "the resolver did not answer in time"
						     : "no answer in time");
	return dialer_give_up(d, d->why.code);
}

static cohort_time earlier(cohort_time a, cohort_time b)
{
	return a < b ? a : b;
}

int cohort_dialer_step(struct cohort_dialer *d, cohort_time *next, struct cohort_error *err)
{
	int rc;

	do {
		rc = stages[d->state](d);
		if (rc == WAIT && d->state != COH_DIALER_DONE && coh_clock_passed(d->deadline))
			rc = dialer_late(d);
		else if (rc < 0)
			rc = dialer_failed(d, rc);
	} while (rc == MOVED);
	*next = earlier(d->deadline, d->limit);
	if (d->state == COH_DIALER_CONNECTING)
		*next = earlier(*next, coh_race_next(&d->race));
	if (rc < 0)
		return coh_fail(err, rc, "%s", d->why.text);
	return d->state == COH_DIALER_DONE;
}

static int dialer_watch(const struct cohort_dialer *d, short *events)
{
	*events = POLLIN;
	switch (d->state) {
	case COH_DIALER_RESOLVING:
		return coh_lookup_fd(d->lookup);
	case COH_DIALER_CONNECTING:
		return coh_race_fd(&d->race, events);
	case COH_DIALER_GREETING:
		*events = coh_conn_events(d->conn);
		return coh_conn_fd(d->conn);
	default:
		*events = 0;
		return -1;
	}
}

int cohort_dialer_fd(const struct cohort_dialer *d)
{
	short events;

	return dialer_watch(d, &events);
}

short cohort_dialer_events(const struct cohort_dialer *d)
{
	short events;

	(void)dialer_watch(d, &events);
	return events;
}

bool coh_dialer_is_near(const struct cohort_dialer *d)
{
	return d->state == COH_DIALER_GREETING && !d->greeting.python &&
	    d->greeting.hs.config.reach == COH_HANDSHAKE_LOCAL;
}

struct cohort_conn *cohort_dialer_take(struct cohort_dialer *d)
{
	struct cohort_conn *conn = d->state == COH_DIALER_DONE ? d->conn : NULL;

	if (conn != NULL)
		d->conn = NULL;
	return conn;
}

int coh_dialer_init(struct cohort_dialer *d, const char *address, const struct coh_dial *how,
    cohort_time deadline, struct cohort_error *err)
{
	int rc;

	*d = (struct cohort_dialer){.how = *how, .deadline = deadline};
	coh_race_init(&d->race, &d->where);
	(void)dialer_enter(d, COH_DIALER_PAUSING, COHORT_NOW);
	rc = coh_address_parse(&d->address, address, err);
	if (rc == 0)
		rc = coh_address_check(&d->address, COH_ADDRESS_DIAL, err);
	if (rc != 0)
		return rc;
	coh_address_print(&d->address, d->text);
	if (how->id != NULL)
		return 0;
	d->how.id = &d->own;
	return coh_address_is_python(&d->address)
	    ? coh_identity_init_python(&d->own, how->options, err)
	    : coh_identity_init(&d->own, how->options, err);
}

void coh_dialer_fini(struct cohort_dialer *d)
{
	dialer_drop(d);
	coh_identity_fini(&d->own);
}

int cohort_dialer_start(struct cohort_dialer **out, const char *address,
    const struct cohort_net_options *options, cohort_time deadline, struct cohort_error *err)
{
	struct cohort_dialer *d = coh_calloc(sizeof *d);
	struct coh_dial how = {.options = options};
	int rc;

	*out = NULL;
	if (d == NULL)
		return coh_fail(err, -ENOMEM, "cannot dial %.200s: no memory", address);
	rc = coh_dialer_init(d, address, &how, deadline, err);
	if (rc == 0)
		*out = d;
	else
		cohort_dialer_close(d);
	return rc;
}

void cohort_dialer_close(struct cohort_dialer *d)
{
	if (d == NULL)
		return;
	coh_dialer_fini(d);
	coh_free(d);
}
