/*
 * codec.c - figures of the codec: typed values to bytes and back, over plain tpl.
 *
 * One turn is what a message costs both its sides: pack two values into an image, and take
 * them out of it again.  The peer does for each what tpl's own guide shows: map, pack, dump,
 * free; map, load, unpack, free.  Ours keeps two messages, as a pool and a connection do
 * ("is"), or makes and frees both each time ("is_fresh", which shall not be slower than
 * tpl); every image that it loads is checked, which tpl's are not.
 */
#include "bench.h"

#include <cohort/message.h>
#include <stdlib.h>
#include <string.h>
#include <tpl.h>

#define TURNS 200000

static const char word[] = "measure";

static int turn_ours(struct cohort_message *out, struct cohort_message *in, int32_t i)
{
	const char *sent = word, *got = NULL;
	const void *image;
	int32_t n = 0;
	size_t size;

	cohort_message_pack(out, 0, &i, &sent);
	if (cohort_message_image(out, &image, &size) != 0 ||
	    cohort_message_load(in, image, size, NULL) != 0)
		return BENCH_FAILED;
	cohort_message_unpack(in, 0, &n, &got);
	return n == i && strcmp(got, word) == 0 ? BENCH_OK : BENCH_FAILED;
}

static int run_kept(const void *arg, double *value)
{
	struct cohort_message *out, *in;
	int rc = BENCH_OK;
	int64_t start;

	(void)arg;
	if (cohort_message_new(&out, "is", NULL) != 0 || cohort_message_new(&in, "is", NULL) != 0)
		return BENCH_FAILED;
	start = bench_now();
	for (int32_t i = 0; i < TURNS && rc == BENCH_OK; i++)
		rc = turn_ours(out, in, i);
	*value = bench_since(start) * 1e9 / TURNS;
	cohort_message_free(out);
	cohort_message_free(in);
	return rc;
}

static int run_fresh(const void *arg, double *value)
{
	struct cohort_message *out, *in;
	int64_t start = bench_now();
	int rc = BENCH_OK;

	(void)arg;
	for (int32_t i = 0; i < TURNS && rc == BENCH_OK; i++) {
		if (cohort_message_new(&out, "is", NULL) != 0 ||
		    cohort_message_new(&in, "is", NULL) != 0)
			return BENCH_FAILED;
		rc = turn_ours(out, in, i);
		cohort_message_free(out);
		cohort_message_free(in);
	}
	*value = bench_since(start) * 1e9 / TURNS;
	return rc;
}

static int turn_tpl(int32_t i)
{
	char format[] = "is", copy[sizeof word], *s = copy;
	int32_t n = 0;
	tpl_node *t = tpl_map(format, &i, &s);
	void *image;
	size_t size;
	int rc;

	memcpy(copy, word, sizeof word);
	tpl_pack(t, 0);
	rc = tpl_dump(t, TPL_MEM, &image, &size);
	tpl_free(t);
	if (rc != 0)
		return BENCH_FAILED;
	s = NULL;
	t = tpl_map(format, &n, &s);
	if (tpl_load(t, TPL_MEM, image, size) == 0)
		tpl_unpack(t, 0);
	tpl_free(t);
	free(image);
	rc = n == i && s != NULL && strcmp(s, word) == 0 ? BENCH_OK : BENCH_FAILED;
	free(s);
	return rc;
}

static int run_tpl(const void *arg, double *value)
{
	int64_t start = bench_now();
	int rc = BENCH_OK;

	(void)arg;
	for (int32_t i = 0; i < TURNS && rc == BENCH_OK; i++)
		rc = turn_tpl(i);
	*value = bench_since(start) * 1e9 / TURNS;
	return rc;
}

static const struct bench_figure figures[] = {
	{
		.name = "codec.is",
		.unit = "ns",
		.ours = {"two messages kept", run_kept, NULL},
		.peer = {"tpl_map to tpl_free", run_tpl, NULL},
		.sense = BENCH_AT_MOST,
		.bar = 0.5,
	},
	{
		.name = "codec.is_fresh",
		.unit = "ns",
		.ours = {"two messages made", run_fresh, NULL},
		.peer = {"tpl_map to tpl_free", run_tpl, NULL},
		.sense = BENCH_AT_MOST,
		.bar = 1.0,
	},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
