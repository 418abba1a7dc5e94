/*
 * 10_lock.c - a lock between processes, and what is left of it when its holder dies.
 */
#include <cohort/cohort.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>

#define PATIENCE cohort_in(10 * COHORT_SECOND)

/* Take the lock, say so, and die with it. */
static int hold(struct cohort_call *call)
{
	struct cohort_lock *lock;
	struct cohort_event *held;

	if (cohort_lock_open(&lock, "inherit:lock", NULL, NULL) < 0 ||
	    cohort_event_open(&held, "inherit:held", NULL, NULL) < 0)
		return cohort_call_fail(call, "lock and event were not shared with this process");
	cohort_lock_acquire(lock, PATIENCE);
	cohort_event_set(held);
	raise(SIGKILL);
	return 0;
}
COHORT_TASK(hold, "", "");

int main(int argc, char **argv)
{
	struct cohort_process_options options = {0};
	struct cohort_process *holder;
	struct cohort_lock *lock;
	struct cohort_event *held;
	struct cohort_error e;
	int first, second;

	if (cohort_init(&argc, &argv, &e) < 0 || cohort_lock_open(&lock, "local:", NULL, &e) < 0 ||
	    cohort_event_open(&held, "local:", NULL, &e) < 0)
		errx(1, "%s", e.text);
	options.share = (struct cohort_share[]){{"lock", lock}, {"held", held}};
	options.shares = 2;
	if (cohort_process_start(&holder, &options, &e, "hold") < 0)
		errx(1, "%s", e.text);
	if (cohort_event_wait(held, PATIENCE) < 0)
		errx(1, "the child does not say that it holds the lock");

	first = cohort_lock_acquire(lock, PATIENCE);
	printf("first: %s\n", cohort_errname(first)); /* held, and told to look after what it guards */
	cohort_lock_release(lock);
	second = cohort_lock_acquire(lock, PATIENCE);
	printf("then: %s\n", cohort_errname(second));
	cohort_lock_release(lock);
	printf("once more: %s\n", cohort_errname(cohort_lock_release(lock)));

	cohort_process_join(holder, PATIENCE);
	cohort_process_free(holder);
	cohort_lock_close(lock);
	cohort_event_close(held);
	return first == COHORT_EOWNERDEAD && second == 0 ? 0 : 1;
}
