/*
 * peer_tpl.c - tpl as its manual has it: an int and a string packed into memory and unpacked
 * again, mapping the format anew for each message, since a tpl_node is bound to its variables
 * and is emptied only by being freed.
 */
#include "peers.h"

#include <stdlib.h>
#include <tpl.h>

/* One way and back; the sum depends on what came out. */
static int there_and_back(int32_t value, char *text, long *sum)
{
	char format[] = "is"; /* which tpl_map takes without const */
	tpl_node *node = tpl_map(format, &value, &text);
	void *image = NULL;
	size_t size = 0;
	int32_t got = 0;
	char *said = NULL;

	tpl_pack(node, 0);
	tpl_dump(node, TPL_MEM, &image, &size);
	tpl_free(node);
	node = tpl_map(format, &got, &said);
	if (tpl_load(node, TPL_MEM, image, size) < 0)
		return -1;
	tpl_unpack(node, 0);
	tpl_free(node);
	*sum += got + said[0];
	free(said);
	free(image);
	return 0;
}

int peer_tpl_packing(const void *load, double *ns)
{
	long count = ((const struct bench_load *)load)->count, sum = 0, i;
	char text[] = "a short text";
	int64_t start = bench_now();

	for (i = 0; i < count; i++) {
		if (there_and_back((int32_t)(i & 1), text, &sum) < 0)
			return bench_say(BENCH_FAILED, "tpl: its own image is refused");
	}
	*ns = bench_since(start) * 1e9 / (double)count;
	return sum == count / 2 + count * text[0] ? BENCH_OK : BENCH_FAILED;
}
