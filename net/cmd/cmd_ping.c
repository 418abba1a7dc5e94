/*
 * cmd_ping.c - `cohort ping ADDRESS`: can I get in there, how is it guarded, how far is it?
 *
 * Dials as a coordinator would, so what it proves (address, key, protocol) is what a pool needs.
 * Both sides judge the frames of a pool; those that a member says by itself are passed over.
 * A Python peer knows no ping: it shows its key, and no round trip is measured.
 */
#include "base/err.h"
#include "cmd/cmd.h"
#include "conn/conn_priv.h"
#include "conn/framing.h"

#include <cohort/dial.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_MAX 1000
#define PATIENCE (10 * COHORT_SECOND) /* to get in, and for each answer */

struct ping {
	const char *address;
	struct cohort_net_options net;
	unsigned count;
	cohort_time entry;          /* spent on connecting and the handshake */
	cohort_time trip[COUNT_MAX]; /* each round trip */
};

static int ping_once(struct cohort_conn *c, unsigned number, cohort_time *trip,
    struct cohort_error *err)
{
	struct coh_frame f = {.type = COH_FRAME_PING, .id = number};
	cohort_time begin = cohort_now(), deadline = cohort_in(PATIENCE);
	const void *body;
	int rc = coh_conn_put_frame(c, &f, NULL, 0, deadline);

	if (rc == 0)
		rc = cohort_conn_flush(c, deadline);
	do {
		if (rc == 0)
			rc = coh_conn_next_frame(c, &f, &body, deadline);
		if (rc != 0)
			return coh_fail(err, rc, "%s: no answer to ping %u: %s",
			    cohort_conn_peer(c), number, cohort_strerror(rc));
	} while (f.type != COH_FRAME_PONG || f.id != number);
	*trip = cohort_now() - begin;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	cohort_time x = *(const cohort_time *)a, y = *(const cohort_time *)b;

	return (x > y) - (x < y);
}

static double ms(cohort_time t)
{
	return (double)t / (double)COHORT_MS;
}

static void ping_report(struct ping *p, const struct cohort_conn *c)
{
	cohort_time *t = p->trip;

	printf("%s: %s\n", p->address, cohort_conn_peer(c));
	printf("mode: %s\n", cohort_conn_guard(c));
	printf("connect and handshake: %.3f ms\n", ms(p->entry));
	if (p->count == 0) {
		printf("round trips: none, Python's peers do not answer by themselves\n");
		return;
	}
	qsort(t, p->count, sizeof *t, by_time);
	printf("round trips: %u, min %.3f ms, median %.3f ms, max %.3f ms\n", p->count, ms(t[0]),
	    ms(t[p->count / 2]), ms(t[p->count - 1]));
}

static int ping_all(struct ping *p, struct cohort_error *err)
{
	cohort_time begin = cohort_now();
	struct cohort_conn *c;
	int rc = cohort_dial(&c, p->address, &p->net, cohort_in(PATIENCE), err);

	if (rc != 0)
		return rc;
	p->entry = cohort_now() - begin;
	if (coh_conn_is_foreign(c))
		p->count = 0;
	else
		coh_conn_set_phase(c, COH_PHASE_MEMBER);
	for (unsigned i = 0; rc == 0 && i < p->count; i++)
		rc = ping_once(c, i + 1, &p->trip[i], err);
	if (rc == 0)
		ping_report(p, c);
	cohort_conn_close(c);
	return rc;
}

static int ping_run(const struct coh_cmd *cmd, int argc, char **argv)
{
	static const struct coh_cmd_range counts = {"--count", 1, COUNT_MAX};
	struct ping p = {.count = 10};
	struct cohort_error err;
	int c, rc = 0;

	while (rc == 0 && (c = coh_cmd_option(cmd, argc, argv)) != COH_CMD_END) {
		switch (c) {
		case COH_CMD_HELP: return COH_CMD_DONE;
		case 'c': rc = coh_cmd_number(cmd, &p.count, optarg, &counts); break;
		case 'm': p.net.python_md5 = 1; break;
		default:
			if (!coh_cmd_net_option(&p.net, c))
				return COH_CMD_USAGE;
		}
	}
	if (rc != 0 || coh_cmd_operands(cmd, argc, argv, 1) != 0 ||
	    coh_cmd_net_check(cmd, argv[optind], &p.net) != 0)
		return COH_CMD_USAGE;
	p.address = argv[optind];
	return ping_all(&p, &err) == 0 ? COH_CMD_DONE : coh_cmd_failed(cmd, &err);
}

static const struct option ping_options[] = {
    {"count", required_argument, NULL, 'c'},
    COH_CMD_NET_OPTIONS,
    {"python-md5", no_argument, NULL, 'm'},
    {0},
};

const struct coh_cmd coh_cmd_ping = {
    .name = "ping",
    .summary = "Say whether ADDRESS lets this key in, how it is guarded, and how far it is",
    .usage = "ADDRESS " COH_CMD_NET_USAGE " [OPTION...]",
    .help = "  --count N             round trips to measure (10)\n"
	    COH_CMD_NET_HELP
	    "  --python-md5          python+...: accept Python 3.11 and older, which know MD5 only\n",
    .options = ping_options,
    .letters = "",
    .run = ping_run,
};
