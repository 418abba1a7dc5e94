/*
 * 09_queue.c - a queue of jobs, two processes that work on them, and one that dies in the middle.
 *
 * A job is taken, not got: it is lent until it is acknowledged, so that the job of a worker that dies goes to another.
 */
#include <cohort/cohort.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>

#define JOBS 100
#define PATIENCE cohort_in(10 * COHORT_SECOND)

/* Square numbers until there are no more.  The one who is told to dies with its first job in its hands. */
static int work(struct cohort_call *call)
{
	struct cohort_queue *jobs, *squares;
	struct cohort_item job;
	struct cohort_error e;
	int32_t dies;
	int rc;

	cohort_call_args(call, &dies);
	if (cohort_queue_open(&jobs, "inherit:jobs", NULL, &e) < 0 ||
	    cohort_queue_open(&squares, "inherit:squares", NULL, &e) < 0)
		return cohort_call_fail(call, "%s", e.text);
	while ((rc = cohort_queue_take(jobs, &job, PATIENCE)) == 0) {
		int64_t square = *(const int32_t *)job.data;

		if (dies)
			raise(SIGKILL);
		square *= square;
		cohort_queue_put_bytes(squares, &square, sizeof square, PATIENCE);
		cohort_queue_ack(jobs, &job);
	}
	cohort_queue_close(jobs, COHORT_NOW);
	cohort_queue_close(squares, COHORT_NOW);
	return rc == COHORT_ESHUTDOWN ? 0 : 1;
}
COHORT_TASK(work, "i", "");

int main(int argc, char **argv)
{
	struct cohort_queue *jobs, *squares;
	struct cohort_process *workers[3];
	struct cohort_error e;
	int64_t square, sum = 0;
	size_t size;

	if (cohort_init(&argc, &argv, &e) < 0 || cohort_queue_open(&jobs, "local:", NULL, &e) < 0 ||
	    cohort_queue_open(&squares, "local:", NULL, &e) < 0)
		errx(1, "%s", e.text);
	for (int32_t i = 0; i < 3; i++) {
		const struct cohort_process_options options = {
		    .share = (struct cohort_share[]){{"jobs", jobs}, {"squares", squares}}, .shares = 2};
		int32_t dies = i == 0;

		if (cohort_process_start(&workers[i], &options, &e, "work", &dies) < 0)
			errx(1, "%s", e.text);
	}
	for (int32_t i = 1; i <= JOBS; i++)
		if (cohort_queue_put_bytes(jobs, &i, sizeof i, PATIENCE) < 0)
			errx(1, "%s", cohort_queue_error(jobs));
	for (int i = 0; i < JOBS; i++) {
		if (cohort_queue_get_into(squares, &square, sizeof square, &size, PATIENCE) < 0)
			errx(1, "%s", cohort_queue_error(squares));
		sum += square;
	}
	cohort_queue_shutdown(jobs, COHORT_SHUTDOWN_DRAIN);
	for (int i = 0; i < 3; i++) {
		cohort_process_join(workers[i], PATIENCE);
		cohort_process_free(workers[i]);
	}
	cohort_queue_close(jobs, COHORT_NOW);
	cohort_queue_close(squares, COHORT_NOW);
	printf("the squares of 1 to %d add up to %lld\n", JOBS, (long long)sum);
	return sum == 338350 ? 0 : 1;
}
