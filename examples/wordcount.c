/*
 * wordcount [--pool ADDRESS] [--tsv] [DIR...] - count the words of all files below DIR.
 *
 * The same program on one machine or on many: the address says where.  What is of no interest to
 * Cohort (walking directories, reading files, the table of words, printing) is in the files
 * wordcount_*.c beside this one.
 */
#include "wordcount_options.h"
#include "wordcount_report.h"
#include "wordcount_walk.h"

#include <cohort/cohort.h>
#include <err.h>

/*
 * The task, run in a worker that may be on another machine: a slice of a file goes in; what is
 * wrong with it ("": nothing), its bytes, and each word with its count come out.
 */
static int count(struct cohort_call *call)
{
	char text[SLICE_PROBLEM] = "";
	const char *problem = text, *word;
	struct words words = {0};
	struct slice slice;
	uint64_t bytes = 0, n;
	size_t place = 0;
	int r = 0;

	cohort_call_args(call, &slice.path, &slice.from, &slice.to);
	if (slice_count(&slice, &words, &bytes, text))
		while (r == 0 && (word = words_next(&words, &place, &n)) != NULL)
			r = cohort_call_result_row(call, 1, &word, &n);
	words_free(&words);
	return r < 0 ? r : cohort_call_result(call, &problem, &bytes);
}
COHORT_TASK(count, "sUU", "sUA(sU)");

/* The input: the arguments of the next task, as long as there is one. */
static int next_slice(struct cohort_message *args, void *walk)
{
	struct slice slice;

	if (!walk_next(walk, &slice))
		return COHORT_EOF;
	return cohort_message_pack(args, 0, &slice.path, &slice.from, &slice.to);
}

/* Add what one task found. */
static void add_result(struct totals *t, struct cohort_future *f)
{
	const char *problem, *word;
	struct cohort_error e;
	char worker[128];
	uint64_t bytes, n;

	if (cohort_future_get(f, COHORT_NOW, &e, &problem, &bytes) < 0) {
		totals_failure(t, e.text);
		return;
	}
	if (problem[0] != '\0')
		totals_problem(t, problem);
	while (cohort_future_row(f, 1, &word, &n) > 0)
		if (words_add(&t->words, word, n) < 0)
			errx(1, "out of memory");
	t->bytes += bytes;
	cohort_future_worker(f, worker, sizeof worker);
	tally_add(&t->workers, worker);
}

static void cannot_look(const char *problem, void *totals)
{
	totals_problem(totals, problem);
}

/* Run the tasks, and add up their results in whatever order they come. */
static int count_all(struct cohort_pool *pool, const char *const *roots, struct totals *t,
    struct cohort_error *e)
{
	struct walk *walk = walk_open(roots, cannot_look, t);
	struct cohort_iter *it = NULL;
	struct cohort_future *f;
	int r;

	if (walk == NULL)
		errx(1, "out of memory");
	totals_begin(t);
	if (t->terminal)
		t->expected = walk_count(roots);
	r = cohort_pool_imap(pool, &it, "count",
	    &(struct cohort_imap){.input = next_slice, .arg = walk}, e);
	while (r >= 0 && (r = cohort_iter_next(it, &f, COHORT_FOREVER)) > 0) {
		add_result(t, f);
		cohort_future_free(f);
		totals_progress(t);
	}
	t->files = walk_files(walk);
	if (it != NULL && r < 0)
		cohort_iter_error(it, e);
	cohort_iter_free(it);
	walk_close(walk);
	return r;
}

int main(int argc, char **argv)
{
	struct options options;
	struct cohort_pool *pool;
	struct cohort_error e;
	struct totals totals = {0};
	int r;

	if (cohort_init(&argc, &argv, &e) < 0)
		errx(1, "%s", e.text);
	options_read(&options, argc, argv);
	if (cohort_pool_open(&pool, options.pool, NULL, &e) < 0 ||
	    count_all(pool, options.roots, &totals, &e) < 0)
		errx(1, "%s", e.text);
	cohort_pool_free(pool);
	if (!(options.tsv ? totals_print_tsv(&totals) : totals_print(&totals)))
		err(1, "standard output");
	r = totals.failed > 0;
	totals_free(&totals);
	return r;
}
