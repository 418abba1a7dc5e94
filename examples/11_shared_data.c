/*
 * 11_shared_data.c - a counter and a dictionary that all workers of a pool share.
 */
#include <cohort/cohort.h>
#include <err.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = {"one", "two", "three", "two", "three", "three"};
#define COUNT (sizeof words / sizeof *words)
#define TIMES 100

/* Count WORD: in the dictionary, and in the counter of all. */
static int count(struct cohort_call *call)
{
	static struct cohort_dict *tally;
	static struct cohort_value *total;
	int64_t now;
	char *word;

	cohort_call_args(call, &word);
	if (tally == NULL && cohort_dict_open(&tally, "inherit:tally", NULL, NULL) < 0)
		return cohort_call_fail(call, "the dictionary was not shared with this worker");
	if (total == NULL && cohort_value_open(&total, "inherit:total", NULL, NULL) < 0)
		return cohort_call_fail(call, "the counter was not shared with this worker");
	cohort_value_add(total, 1, NULL); /* atomic: no lock is needed */
	cohort_dict_incr(tally, (struct cohort_dict_bytes){word, strlen(word)}, 1, &now);
	return cohort_call_result(call, &now);
}
COHORT_TASK(count, "s", "I");

int main(int argc, char **argv)
{
	const struct cohort_value_options number = {.type = 'q'};
	struct cohort_pool_options options = {0};
	struct cohort_dict *tally;
	struct cohort_value *total;
	struct cohort_pool *pool;
	struct cohort_error e;
	int64_t results[COUNT], all = 0, three = 0;
	size_t size;

	if (cohort_init(&argc, &argv, &e) < 0 || cohort_dict_open(&tally, "local:", NULL, &e) < 0 ||
	    cohort_value_open(&total, "local:", &number, &e) < 0)
		errx(1, "%s", e.text);
	options.share = (struct cohort_share[]){{"tally", tally}, {"total", total}};
	options.shares = 2;
	if (cohort_pool_open(&pool, "local:2", &options, &e) < 0)
		errx(1, "%s", e.text);
	for (int i = 0; i < TIMES; i++)
		if (cohort_pool_map(pool, "count", COHORT_MAP(words, results, COUNT),
			cohort_in(20 * COHORT_SECOND), &e) < 0)
			errx(1, "%s", e.text);
	cohort_pool_free(pool);

	cohort_value_load(total, &all);
	cohort_dict_get(tally, (struct cohort_dict_bytes){"three", 5}, &three, sizeof three, &size);
	printf("%lld words, \"three\" %lld times, %zu different ones\n", (long long)all, (long long)three,
	    cohort_dict_count(tally));
	cohort_value_close(total);
	cohort_dict_close(tally);
	return all == TIMES * (int64_t)COUNT && three == 3 * TIMES ? 0 : 1;
}
