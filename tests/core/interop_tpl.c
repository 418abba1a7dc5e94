/*
 * interop_tpl.c - our images and plain tpl's are the same, and a program may use tpl too.
 *
 * The one test that includes tpl.h: "plain" here is tpl_map .. tpl_free as tpl's guide has it.
 */
#include "support/test.h"
#include "wire/codec.h"

#include <cohort/message.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tpl.h>

extern tpl_hook_t tpl_hook;

#define SLOTS COH_FORMAT_PARTS
#define DEPTH 4 /* of made-up formats */

union value {
	char number[8];
	const char *string;
	tpl_bin bin;
	struct cohort_bytes bytes;
};

/* A made-up format, and for each index its values (by their place in the format). */
struct shape {
	char text[COH_FORMAT_LENGTH + 1];
	char type[SLOTS];
	int index[SLOTS], values;
	int around[COH_FORMAT_LENGTH]; /* index around index */
	int indices;
};

struct sides {
	const struct shape *shape;
	tpl_node *tpl;
	union value slot[SLOTS]; /* where tpl's map leads */
	struct cohort_message *ours;
};

/* --- making up formats and values --- */

static void shape_parts(struct shape *s, int index, int depth)
{
	int parts = (int)test_random_below(4) + (depth > 0);

	for (int i = 0; i < parts && s->values < 12; i++) {
		size_t end = strlen(s->text);

		if (depth < DEPTH && strlen(s->text) < 60 && test_random_below(3) == 0) {
			int inner = s->indices++;

			s->around[inner] = index;
			strcat(s->text, "A(");
			shape_parts(s, inner, depth + 1);
			if (s->text[strlen(s->text) - 1] == '(')
				strcat(s->text, "c"), s->type[s->values] = 'c',
				    s->index[s->values++] = inner;
			strcat(s->text, ")");
			continue;
		}
		s->text[end] = "cjviuIUfsB"[test_random_below(10)];
		s->type[s->values] = s->text[end];
		s->index[s->values++] = index;
	}
}

static struct shape shape_make(void)
{
	struct shape s = {.indices = 1};

	shape_parts(&s, 0, 0);
	return s;
}

static const char *random_text(void)
{
	static char pool[4][40];
	static unsigned next;
	char *p = pool[next++ % 4];
	size_t n = test_random_below(sizeof pool[0]);

	if (test_random_below(5) == 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(1 + test_random_below(255));
	p[n] = '\0';
	return p;
}

static void value_make(char type, union value *tpl, union value *ours)
{
	static char bytes[64];
	uint64_t number = test_random();

	memset(ours, 0, sizeof *ours);
	if (type == 's') {
		tpl->string = ours->string = random_text();
	} else if (type == 'B') {
		ours->bytes = (struct cohort_bytes){bytes, test_random_below(sizeof bytes)};
		tpl->bin = (tpl_bin){bytes, (uint32_t)ours->bytes.size};
		bytes[test_random_below(sizeof bytes)] ^= (char)number;
	} else {
		memcpy(ours->number, &number, sizeof number);
		*tpl = *ours;
	}
}

/* Call CALL on our message with pointers to V as cohort_message_pack and _unpack want them. */
static int call_ours(struct sides *s, int (*call)(struct cohort_message *, int, ...), int index,
    union value *v)
{
	union value *p[12] = {0};
	int n = 0;

	for (int i = 0; i < s->shape->values; i++)
		if (s->shape->index[i] == index)
			p[n++] = &v[i];
	return call(s->ours, index, p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9],
	    p[10], p[11]);
}

static void sides_open(struct sides *s, const struct shape *shape)
{
	union value *v = s->slot;
	char text[sizeof shape->text];

	memcpy(text, shape->text, sizeof text);
	s->shape = shape;
	s->tpl = tpl_map(text, v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7, v + 8, v + 9,
	    v + 10, v + 11);
	REQUIRE(s->tpl != NULL);
	REQUIRE_EQ(cohort_message_new(&s->ours, shape->text, NULL), 0);
}

static void sides_close(struct sides *s)
{
	tpl_free(s->tpl);
	cohort_message_free(s->ours);
}

/* One element of INDEX, its inner arrays first, packed by both. */
static void pack_element(struct sides *s, int index)
{
	union value ours[SLOTS];

	for (int inner = index + 1; inner < s->shape->indices; inner++)
		if (s->shape->around[inner] == index)
			for (uint64_t n = test_random_below(4); n > 0; n--)
				pack_element(s, inner);
	for (int i = 0; i < s->shape->values; i++)
		if (s->shape->index[i] == index)
			value_make(s->shape->type[i], &s->slot[i], &ours[i]);
	REQUIRE_EQ(tpl_pack(s->tpl, index), 0);
	REQUIRE_EQ(call_ours(s, cohort_message_pack, index, ours), 0);
}

static bool value_same(char type, union value *tpl, const union value *ours)
{
	size_t size = strchr("c", type) ? 1 : strchr("jv", type) ? 2 : strchr("iu", type) ? 4 : 8;
	bool same;

	if (type == 's') {
		same = (tpl->string == NULL) == (ours->string == NULL) &&
		    (tpl->string == NULL || strcmp(tpl->string, ours->string) == 0);
		free((void *)(uintptr_t)tpl->string);
		return same;
	}
	if (type == 'B') {
		same = tpl->bin.sz == ours->bytes.size &&
		    (tpl->bin.sz == 0 || memcmp(tpl->bin.addr, ours->bytes.data, tpl->bin.sz) == 0);
		free(tpl->bin.addr);
		return same;
	}
	return memcmp(tpl->number, ours->number, size) == 0;
}

/* All elements of INDEX, unpacked by both. */
static void unpack_elements(struct sides *s, int index)
{
	union value ours[SLOTS];

	do {
		bool left = tpl_unpack(s->tpl, index) > 0;

		REQUIRE_EQ(call_ours(s, cohort_message_unpack, index, ours), left);
		if (!left)
			return;
		for (int i = 0; i < s->shape->values; i++)
			if (s->shape->index[i] == index)
				CHECK(value_same(s->shape->type[i], &s->slot[i], &ours[i]));
		for (int inner = index + 1; inner < s->shape->indices; inner++)
			if (s->shape->around[inner] == index)
				unpack_elements(s, inner);
	} while (index != 0);
}

static void there_and_back(const struct shape *shape)
{
	struct sides out, in;
	const void *ours;
	void *theirs;
	size_t size, n;

	sides_open(&out, shape);
	sides_open(&in, shape);
	pack_element(&out, 0);
	REQUIRE_EQ(tpl_dump(out.tpl, TPL_MEM, &theirs, &n), 0);
	REQUIRE_EQ(cohort_message_image(out.ours, &ours, &size), 0);
	if (!CHECK_EQ(size, n) || !CHECK_MEM(ours, theirs, n))
		FAIL("of format \"%s\"", shape->text);
	REQUIRE_EQ(tpl_load(in.tpl, TPL_MEM, ours, size), 0);
	REQUIRE_EQ(cohort_message_load(in.ours, theirs, n, NULL), 0);
	unpack_elements(&in, 0);
	free(theirs);
	sides_close(&out);
	sides_close(&in);
}

TEST(interop, made_up_formats_and_values_are_the_same_both_ways)
{
	for (int i = 0; i < 3000; i++) {
		struct shape shape = shape_make();

		there_and_back(&shape);
	}
}

/* Images that are damaged anywhere are refused, or are right images of other values. */
TEST(interop, what_the_check_passes_tpl_can_read)
{
	struct shape shape = {.text = "sA(iBA(s))", .type = "siBs", .index = {0, 1, 1, 2}, .values = 4,
	    .around = {0, 0, 1}, .indices = 3};
	int passed = 0;

	for (int i = 0; i < 3000; i++) {
		struct sides out, in;
		unsigned char *image;
		size_t size;

		sides_open(&out, &shape);
		sides_open(&in, &shape);
		pack_element(&out, 0);
		REQUIRE_EQ(tpl_dump(out.tpl, TPL_MEM, &image, &size), 0);
		image[test_random_below(size)] ^= (unsigned char)(1 << test_random_below(8));
		if (cohort_message_load(in.ours, image, size, NULL) == 0) {
			passed++;
			REQUIRE_EQ(tpl_load(in.tpl, TPL_MEM, image, size), 0);
			unpack_elements(&in, 0);
		}
		free(image);
		sides_close(&out);
		sides_close(&in);
	}
	CHECK(passed > 0 && passed < 3000);
}

/* --- the hooks belong to the program too --- */

static int mallocs, reallocs, frees, sayings;
static char said[200];
static jmp_buf fatal_escape;
static tpl_hook_t before;

static void *count_malloc(size_t n)
{
	mallocs++;
	return before.malloc(n);
}

static void *count_realloc(void *p, size_t n)
{
	reallocs++;
	return before.realloc(p, n);
}

static void count_free(void *p)
{
	frees++;
	before.free(p);
}

COHORT_PRINTF(1, 2)
static int count_oops(const char *format, ...)
{
	va_list ap;

	sayings++;
	va_start(ap, format);
	vsnprintf(said, sizeof said, format, ap);
	va_end(ap);
	return before.oops("%s", said);
}

COHORT_PRINTF(1, 2)
static void jump_fatal(const char *format, ...)
{
	(void)format;
	longjmp(fatal_escape, 1);
}

static void hooks_count(void)
{
	before = tpl_hook;
	tpl_hook.malloc = count_malloc;
	tpl_hook.realloc = count_realloc;
	tpl_hook.free = count_free;
	tpl_hook.oops = count_oops;
	tpl_hook.fatal = jump_fatal;
}

/* A message with an array, there and back. */
static void use_ours(void)
{
	struct cohort_message *m, *got;
	const void *image;
	size_t size;
	int32_t i = 4;

	REQUIRE_EQ(cohort_message_new(&m, "A(i)", NULL), 0);
	REQUIRE_EQ(cohort_message_new(&got, "A(i)", NULL), 0);
	REQUIRE_EQ(cohort_message_pack(m, 1, &i), 0);
	REQUIRE_EQ(cohort_message_image(m, &image, &size), 0);
	REQUIRE_EQ(cohort_message_load(got, image, size, NULL), 0);
	i = 0;
	CHECK_EQ(cohort_message_unpack(got, 1, &i), 1);
	CHECK_EQ(i, 4);
	cohort_message_free(m);
	cohort_message_free(got);
}

static void use_plain(void)
{
	char format[] = "i#A(s)", text[] = "text", *s = text;
	int32_t i[3] = {1, 2, 3};
	tpl_node *t = tpl_map(format, i, 3, &s);

	REQUIRE(t != NULL);
	tpl_pack(t, 1);
	tpl_pack(t, 0);
	tpl_free(t);
}

static void hooks_work(void)
{
	char bad[] = "Q";

	mallocs = reallocs = frees = sayings = 0;
	use_ours();
	CHECK_EQ(mallocs + reallocs + frees, 0);
	use_plain();
	CHECK(mallocs > 0 && reallocs > 0);
	CHECK_EQ(frees, mallocs + 1); /* the list of '#' begins with a realloc of NULL */
	CHECK(tpl_map(bad) == NULL);
	CHECK(sayings > 0);
	CHECK_STR(said, "failed to parse Q\n");
	use_ours();
}

TEST(interop, hooks_set_before_us_work_outside_our_calls)
{
	hooks_count();
	hooks_work();
}

TEST(interop, hooks_set_after_us_work_outside_our_calls)
{
	use_ours();
	hooks_count(); /* theirs call those they replaced, which are ours */
	hooks_work();
}

static void *use_ours_and_plain(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		use_ours();
		use_plain();
	}
	return NULL;
}

/* The first use of tpl, and of its hooks, by all at once: for the thread sanitizer. */
TEST(interop, threads_use_ours_and_plain_tpl_side_by_side)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, use_ours_and_plain, NULL) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

TEST(interop, a_fatal_hook_that_jumps_is_called_each_time)
{
	volatile int caught = 0;

	hooks_count();
	use_ours();
	for (volatile int n = 0; n < 3; n++) {
		if (setjmp(fatal_escape) != 0)
			caught++;
		else
			tpl_jot(0); /* no such mode: fatal, and nothing of tpl's is left behind */
		use_ours();
	}
	CHECK_EQ(caught, 3);
}
