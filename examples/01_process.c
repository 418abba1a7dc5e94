/*
 * 01_process.c - run a function in a process of its own, talk to it, and see how it ended.
 */
#include <cohort/cohort.h>
#include <err.h>
#include <stdio.h>

/* In the child: sum numbers the parent sends until a negative one comes, and answer. */
static int adder(struct cohort_call *call)
{
	struct cohort_conn *parent = cohort_process_parent_conn();
	struct cohort_message *m;
	int32_t start, n;
	int64_t sum;

	cohort_call_args(call, &start);
	sum = start;
	if (cohort_message_new(&m, "i", NULL) < 0)
		return cohort_call_fail(call, "no memory for a message");
	while (cohort_conn_recv(parent, m, COHORT_FOREVER) == 0 &&
	       cohort_message_unpack(m, 0, &n) > 0 && n >= 0)
		sum += n;
	cohort_message_free(m);

	if (cohort_message_new(&m, "I", NULL) < 0 || cohort_message_pack(m, 0, &sum) < 0 ||
	    cohort_conn_send(parent, m, COHORT_FOREVER) < 0)
		return cohort_call_fail(call, "the sum cannot be sent");
	cohort_message_free(m);
	return 7; /* becomes the exit code */
}
COHORT_TASK(adder, "i", "");

int main(int argc, char **argv)
{
	const struct cohort_process_options options = {.name = "adder", .connected = 1};
	struct cohort_process *child;
	struct cohort_message *number, *answer;
	struct cohort_conn *conn;
	struct cohort_error e;
	int32_t start = 1000;
	int64_t sum;
	int code;

	if (cohort_init(&argc, &argv, &e) < 0 ||
	    cohort_process_start(&child, &options, &e, "adder", &start) < 0 ||
	    cohort_message_new(&number, "i", &e) < 0 || cohort_message_new(&answer, "I", &e) < 0)
		errx(1, "%s", e.text);
	conn = cohort_process_conn(child);

	for (int32_t n = 10; n >= -1; n--) {
		cohort_message_reset(number);
		cohort_message_pack(number, 0, &n);
		if (cohort_conn_send(conn, number, cohort_in(5 * COHORT_SECOND)) < 0)
			errx(1, "%s", cohort_conn_error(conn));
	}
	if (cohort_conn_recv(conn, answer, cohort_in(5 * COHORT_SECOND)) < 0)
		errx(1, "%s", cohort_conn_error(conn));
	cohort_message_unpack(answer, 0, &sum);

	if (cohort_process_join(child, cohort_in(5 * COHORT_SECOND)) < 0 ||
	    cohort_process_exit_code(child, &code) < 0)
		errx(1, "%s does not end", cohort_process_name(child));
	printf("%s says %lld and ended with %d\n", cohort_process_name(child), (long long)sum, code);

	cohort_message_free(number);
	cohort_message_free(answer);
	cohort_process_free(child);
	return sum == 1055 && code == 7 ? 0 : 1;
}
