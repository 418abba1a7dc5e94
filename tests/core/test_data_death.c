/* test_data_death.c - lists and dictionaries whose users are killed at every step, while others work. */
#include "core/sync_page.h"
#include "sync/dict_priv.h"
#include "sync/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VICTIMS 300
#define KEYS 24

/* What all processes share, and what the victim says of its doing: before each step what it will be, after it that it is. */
struct scene {
	struct cohort_dict *d;
	struct cohort_list *l;
	const char *prefix;
	unsigned long fatal;
	unsigned skip;                     /* random numbers: not the same steps in each */
	_Atomic int key;                   /* in whose step it is; -1: none */
	_Atomic long old[KEYS], new[KEYS]; /* -1: absent; else what its value is made of */
	_Atomic bool stop;
	_Atomic int rounds;
};

static struct scene *scene_open(void)
{
	struct scene *s =
	    mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct cohort_dict_options o = {.memory = 1 << 20};
	struct cohort_list_options lo = {.count = KEYS, .room = 200};

	REQUIRE(s != MAP_FAILED);
	REQUIRE_EQ(cohort_dict_open(&s->d, "local:", &o, NULL), 0);
	REQUIRE_EQ(cohort_list_open(&s->l, "local:", &lo, NULL), 0);
	for (int k = 0; k < KEYS; k++)
		s->old[k] = s->new[k] = -1;
	s->key = -1;
	coh_fault_share();
	return s;
}

static void scene_close(struct scene *s)
{
	cohort_dict_close(s->d);
	cohort_list_close(s->l);
}

static struct cohort_dict_bytes key_of(char key[32], const char *who, int k)
{
	snprintf(key, 32, "%s-%d", who, k);
	return (struct cohort_dict_bytes){key, strlen(key)};
}

/* The value that N makes: of its own size, full of its own byte; 8 bytes are common. */
static struct cohort_dict_bytes value_of(unsigned char *buffer, long n)
{
	size_t size = n % 3 == 0 ? 8 : (size_t)(n % 190);

	memset(buffer, (int)(n % 251), size);
	return (struct cohort_dict_bytes){buffer, size};
}

/* ---- the dictionary ---- */

static bool dict_has(struct scene *s, int k, long n)
{
	unsigned char got[256], want[256];
	struct cohort_dict_bytes v = value_of(want, n < 0 ? 0 : n);
	size_t size = 0;
	char key[32];
	int rc = cohort_dict_get(s->d, key_of(key, "victim", k), got, sizeof got, &size);

	if (n < 0)
		return rc == -ENOENT;
	return rc == 0 && size == v.size && memcmp(got, want, size) == 0;
}

static void dict_step(struct scene *s, int k)
{
	unsigned char buffer[256];
	long n = test_random_below(4) == 0 ? -1 : (long)test_random_below(10000);
	char key[32];

	s->new[k] = n;
	s->key = k;
	if (n < 0)
		(void)cohort_dict_remove(s->d, key_of(key, "victim", k), NULL, 0, NULL);
	else
		CHECK_EQ(cohort_dict_set(s->d, key_of(key, "victim", k), value_of(buffer, n)), 0);
	s->key = -1;
	s->old[k] = n;
}

static void dict_victim(void *arg)
{
	struct scene *s = arg;

	for (unsigned i = 0; i < s->skip; i++)
		(void)test_random();
	coh_fault_arm(s->prefix, s->fatal);
	for (int i = 0; i < 60; i++)
		dict_step(s, (int)test_random_below(KEYS));
	coh_fault_arm("none", 0);
}

/* Others' keys come and go meanwhile, so that the table grows; now and then all are cleared, but not under a victim. */
static void dict_worker(void *arg)
{
	struct scene *s = arg;
	unsigned char buffer[256];
	char key[32];

	while (!s->stop) {
		int k = (int)test_random_below(200);

		if (test_random_below(3) == 0)
			(void)cohort_dict_remove(s->d, key_of(key, "worker", k), NULL, 0, NULL);
		else
			CHECK_EQ(
			    cohort_dict_set(s->d, key_of(key, "worker", k), value_of(buffer, k)),
			    0);
		CHECK_EQ(cohort_dict_incr(s->d, key_of(key, "sum", 0), 1, NULL), 0);
		s->rounds++;
	}
}

/* All keys are as their last step left them; that of the step it died in may be as before, or as after it. */
static void dict_judge(struct scene *s)
{
	for (int k = 0; k < KEYS; k++) {
		bool done = dict_has(s, k, s->new[k]);

		if (k != s->key)
			CHECK(dict_has(s, k, s->old[k]));
		else
			CHECK(done || dict_has(s, k, s->old[k]));
		s->old[k] = k == s->key && done ? s->new[k] : s->old[k];
		s->new[k] = s->old[k];
	}
	s->key = -1;
}

static void dict_check_whole(struct scene *s)
{
	struct coh_heap_stats h;
	uint64_t cursor = 0;
	size_t n = 0, got;
	char key[64];

	while (cohort_dict_next(s->d, &cursor, key, sizeof key, &got) == 1)
		n++;
	CHECK_EQ(n, cohort_dict_count(s->d));
	CHECK_EQ(coh_heap_check(&s->d->heap), 0);
	REQUIRE_EQ(coh_heap_stats(&s->d->heap, &h), 0);
	CHECK_EQ(h.blocks, n + (coh_dict_shared(s->d)->table != 0)); /* nothing leaked */
}

static bool killed(pid_t pid)
{
	int status = sync_join(pid);

	CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	return status != 0;
}

/* Points of the prefix at which nobody died by chance. */
static void try_spared(struct scene *s, void (*victim)(void *), void (*judge)(struct scene *))
{
	const char *names[512], *prefix = s->prefix;
	int n = coh_fault_spared(names, 512);

	s->fatal = 1;
	for (int i = 0; i < n; i++) {
		bool died = strncmp(names[i], prefix, strlen(prefix)) != 0;

		s->prefix = names[i];
		for (int tries = 0; tries < 20 && !died; tries++) {
			s->skip = (unsigned)test_random_below(500);
			died = killed(sync_fork(victim, s));
			judge(s);
		}
	}
	s->prefix = prefix;
}

static int campaign(
    struct scene *s, void (*victim)(void *), void (*judge)(struct scene *), unsigned most)
{
	int died = 0;

	for (int i = 0; i < VICTIMS; i++) {
		s->skip = (unsigned)test_random_below(500);
		s->fatal = 1 + test_random_below(most);
		died += killed(sync_fork(victim, s));
		judge(s);
	}
	try_spared(s, victim, judge);
	return died;
}

TEST_TIMEOUT(data_death, leaves_a_dictionary_whole_at_every_point_while_others_work, 120)
{
	struct scene *s = scene_open();
	pid_t other = sync_fork(dict_worker, s);
	char key[32];
	int64_t sum = 0;

	s->prefix = "dict.";
	CHECK(campaign(s, dict_victim, dict_judge, 500) > VICTIMS / 3);
	s->prefix = "heap.";
	CHECK(campaign(s, dict_victim, dict_judge, 300) > VICTIMS / 3);
	s->stop = true;
	CHECK_EQ(sync_join(other), 0);
	CHECK_EQ(cohort_dict_incr(s->d, key_of(key, "sum", 0), 0, &sum), 0);
	CHECK_EQ(sum, s->rounds);
	dict_check_whole(s);
	scene_close(s);
}

/* Alone: after each death what is there is looked at to the last block. */
TEST_TIMEOUT(data_death, leaks_nothing_of_a_dictionary, 120)
{
	struct scene *s = scene_open();

	s->prefix = "";
	for (int i = 0; i < VICTIMS; i++) {
		s->skip = (unsigned)test_random_below(500);
		s->fatal = 1 + test_random_below(1500);
		(void)killed(sync_fork(dict_victim, s));
		dict_judge(s);
		dict_check_whole(s);
		if (i % 20 == 0) {
			CHECK_EQ(cohort_dict_clear(s->d), 0);
			for (int k = 0; k < KEYS; k++)
				s->old[k] = s->new[k] = -1;
		}
	}
	scene_close(s);
}

/* A whole life of a table: its first, growth, clearing; killed at each point once. */
static void grow_and_clear(void *arg)
{
	struct scene *s = arg;
	unsigned char buffer[256];
	char key[32];

	coh_fault_arm(s->prefix, s->fatal);
	for (int k = 0; k < 20; k++)
		CHECK_EQ(cohort_dict_set(s->d, key_of(key, "grow", k), value_of(buffer, k)), 0);
	CHECK_EQ(cohort_dict_clear(s->d), 0);
	coh_fault_arm("none", 0);
}

TEST_TIMEOUT(data_death, in_growth_or_clearing_leaves_all_keys_or_none, 120)
{
	struct scene *s = scene_open();
	int died = 0;

	s->prefix = "dict.";
	for (s->fatal = 1; s->fatal < 1000; s->fatal++) {
		bool dead = killed(sync_fork(grow_and_clear, s));

		died += dead;
		dict_check_whole(s);
		CHECK(cohort_dict_count(s->d) <= 20);
		CHECK_EQ(cohort_dict_clear(s->d), 0);
		CHECK_EQ(cohort_dict_count(s->d), 0);
		if (!dead)
			break;
	}
	CHECK(died > 100);
	scene_close(s);
}

/* ---- the list ---- */

static void list_step(struct scene *s, int k)
{
	unsigned char buffer[256];
	long n = (long)test_random_below(10000);
	struct cohort_dict_bytes v = value_of(buffer, n);
	struct cohort_list_item item = {.type = COHORT_ITEM_BYTES, .data = v.data, .size = v.size};

	s->new[k] = n;
	s->key = k;
	CHECK_EQ(cohort_list_set(s->l, (size_t)k, &item), 0);
	s->key = -1;
	s->old[k] = n;
}

static void list_victim(void *arg)
{
	struct scene *s = arg;

	for (unsigned i = 0; i < s->skip; i++)
		(void)test_random();
	coh_fault_arm(s->prefix, s->fatal);
	for (int i = 0; i < 60; i++)
		list_step(s, (int)test_random_below(KEYS));
	coh_fault_arm("none", 0);
}

static bool list_has(struct scene *s, int k, long n)
{
	unsigned char got[256], want[256];
	struct cohort_dict_bytes v = value_of(want, n < 0 ? 0 : n);
	struct cohort_list_item item;

	REQUIRE_EQ(cohort_list_get(s->l, (size_t)k, &item, got, sizeof got), 0);
	if (n < 0)
		return item.type == COHORT_ITEM_NONE;
	return item.type == COHORT_ITEM_BYTES && item.size == v.size &&
	    memcmp(got, want, v.size) == 0;
}

static void list_judge(struct scene *s)
{
	for (int k = 0; k < KEYS; k++) {
		bool done = list_has(s, k, s->new[k]);

		CHECK(list_has(s, k, s->old[k]) || (k == s->key && done));
		s->old[k] = k == s->key && done ? s->new[k] : s->old[k];
		s->new[k] = s->old[k];
	}
	s->key = -1;
}

TEST_TIMEOUT(data_death, leaves_each_item_of_a_list_old_or_new, 120)
{
	struct scene *s = scene_open();

	s->prefix = "list.";
	CHECK(campaign(s, list_victim, list_judge, 200) > VICTIMS / 3);
	s->prefix = "mutex.";
	CHECK(campaign(s, list_victim, list_judge, 400) > VICTIMS / 3);
	scene_close(s);
}

/* ---- making one ---- */

static void open_named(void *arg)
{
	struct scene *s = arg;
	struct cohort_dict *d = NULL;

	coh_fault_arm(s->prefix, s->fatal);
	(void)cohort_dict_open(&d, "local:made", NULL, NULL);
	kill(getpid(), SIGKILL);
}

TEST(data_death, of_a_maker_leaves_no_name)
{
	struct scene *s = scene_open();
	struct cohort_dict *d = NULL;

	s->prefix = "data.";
	for (s->fatal = 1; s->fatal < 4; s->fatal++) {
		CHECK(killed(sync_fork(open_named, s)));
		REQUIRE_EQ(cohort_dict_open(&d, "local:made", NULL, NULL), 0);
		CHECK_EQ(cohort_dict_count(d), 0);
		cohort_dict_close(d);
	}
	CHECK(cohort_shared_sweep() >= 0);
	scene_close(s);
}

/* ---- who mends ---- */

/* One dies in the middle of a step; nobody looks, but the next, who dies of mending it. */
TEST_TIMEOUT(data_death, of_who_mends_leaves_a_dictionary_to_the_next, 60)
{
	static const char *const at[] = {"dict.put.written", "dict.step.counts", "dict.grow.copied"};
	struct scene *s = scene_open();

	for (int i = 0; i < 9; i++) {
		s->prefix = at[i % 3];
		s->fatal = 1;
		CHECK(killed(sync_fork(grow_and_clear, s)));
		s->prefix = "dict.";
		s->fatal = 1 + (unsigned)i / 3;
		CHECK(killed(sync_fork(grow_and_clear, s)));
		dict_check_whole(s);
		CHECK_EQ(cohort_dict_clear(s->d), 0);
	}
	scene_close(s);
}

/* ---- values and arrays ---- */

#define ELEMENTS 8

struct shapes {
	struct cohort_array *locked, *raw, *text;
	const char *prefix;
	unsigned long fatal;
};

static void write_arrays(void *arg)
{
	static const int64_t ones[ELEMENTS] = {1, 1, 1, 1, 1, 1, 1, 1};
	struct shapes *s = arg;

	coh_fault_arm(s->prefix, s->fatal);
	CHECK_EQ(cohort_array_set(s->locked, 0, ELEMENTS, ones, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_array_set(s->raw, 0, ELEMENTS, ones, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_array_set_text(s->text, "after", COHORT_FOREVER), 5);
	coh_fault_arm("none", 0);
}

/* What is guarded is told to be in doubt when its writer died in it; elements without a lock are old or new. */
static void judge_arrays(struct shapes *s, bool died)
{
	int64_t got[ELEMENTS];
	char text[16] = "";
	int rc = cohort_array_get(s->locked, 0, ELEMENTS, got, COHORT_FOREVER);

	CHECK(rc == 0 || (died && rc == COHORT_EOWNERDEAD));
	CHECK_EQ(cohort_array_get(s->locked, 0, ELEMENTS, got, COHORT_FOREVER), 0);
	CHECK_EQ(cohort_array_get(s->raw, 0, ELEMENTS, got, COHORT_FOREVER), 0);
	for (int i = 1; i < ELEMENTS; i++)
		CHECK((got[i] == 0 || got[i] == 1) && got[i] <= got[i - 1]);
	rc = cohort_array_text(s->text, text, sizeof text, COHORT_FOREVER);
	CHECK(rc == COHORT_EOWNERDEAD || rc == 5 || rc == 6);
	CHECK(cohort_array_text(s->text, text, sizeof text, COHORT_FOREVER) > 0);
	CHECK(strcmp(text, "after") == 0 || strcmp(text, "before") == 0);
}

static void arrays_open(struct shapes *s)
{
	struct cohort_array_options locked = {.type = 'q', .count = ELEMENTS},
				    raw = {.type = 'q', .count = ELEMENTS, .lock = COHORT_DATA_RAW},
				    text = {.type = 'c', .count = 16};

	REQUIRE_EQ(cohort_array_open(&s->locked, "local:", &locked, NULL), 0);
	REQUIRE_EQ(cohort_array_open(&s->raw, "local:", &raw, NULL), 0);
	REQUIRE_EQ(cohort_array_open(&s->text, "local:", &text, NULL), 0);
	CHECK_EQ(cohort_array_set_text(s->text, "before", COHORT_FOREVER), 6);
}

TEST_TIMEOUT(data_death, of_a_writer_of_arrays_is_told_or_leaves_each_element_whole, 60)
{
	struct shapes s = {.prefix = ""};
	bool died = true;

	for (s.fatal = 1; died; s.fatal++) {
		arrays_open(&s);
		died = killed(sync_fork(write_arrays, &s));
		judge_arrays(&s, died);
		cohort_array_close(s.locked);
		cohort_array_close(s.raw);
		cohort_array_close(s.text);
	}
	CHECK(s.fatal > ELEMENTS + 10);
}
