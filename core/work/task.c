/*
 * task.c - the registry: which functions a program can run for others.
 *
 * Tasks register themselves before main into a list, where nothing can go wrong; cohort_init
 * then judges them all, in one place that can say what is wrong with which.  From there on
 * the registry is a sorted table: two programs that register the same tasks in any order
 * number them alike, and a number is what frames carry.
 *
 * Whether two registries are the same is told by a 64-bit digest (FNV-1a; no secret and no
 * adversary here, a peer that lies gains an error), and what differs by the list as text.
 */
#include "work/task.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cohort_task *registered; /* written by one thread, before the table is made */
static int registered_count;
static struct coh_task *table;         /* sorted by name; never changes once made */
static uint64_t digest;

int cohort_task_register(struct cohort_task *t)
{
	if (table != NULL)
		return COHORT_ESTATE;
	t->next = registered;
	registered = t;
	registered_count++;
	return 0;
}

static int check_format(const struct cohort_task *t, const char *what, const char *text,
    const struct coh_format **out, struct cohort_error *err)
{
	struct cohort_error why = {.code = 0};

	*out = text != NULL ? coh_format_get(text, &why) : NULL;
	if (*out != NULL)
		return 0;
	if (text == NULL)
		return coh_fail(err, COHORT_EFORMAT, "task '%s': no format of its %s", t->name, what);
	return coh_fail(err, why.code, "task '%s': format of its %s: %s", t->name, what, why.text);
}

static int check_task(const struct cohort_task *t, struct coh_task *out, struct cohort_error *err)
{
	int rc;

	if (t->name == NULL || !coh_name_valid(t->name, strlen(t->name)))
		return coh_fail(err, COHORT_ENAME,
		    "task '%s': the name is not of the form [A-Za-z0-9_.-]{1,64}",
		    t->name != NULL ? t->name : "");
	if (t->fn == NULL)
		return coh_fail(err, COHORT_EARGUMENT, "task '%s': it has no function", t->name);
	*out = (struct coh_task){.task = t};
	rc = check_format(t, "arguments", t->args, &out->args, err);
	return rc != 0 ? rc : check_format(t, "result", t->result, &out->result, err);
}

static int by_name(const void *a, const void *b)
{
	const struct coh_task *x = a, *y = b;

	return strcmp(x->task->name, y->task->name);
}

/* Number the sorted tasks at T; two of one name are refused. */
static int number_tasks(struct coh_task *t, struct cohort_error *err)
{
	for (int i = 0; i < registered_count; i++) {
		t[i].number = i;
		if (i > 0 && by_name(&t[i - 1], &t[i]) == 0)
			return coh_fail(err, COHORT_ENAME, "task '%s': registered twice",
			    t[i].task->name);
	}
	return 0;
}

/* FNV-1a over S and its NUL. */
static uint64_t hash_text(uint64_t h, const char *s)
{
	do
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	while (*s++ != '\0');
	return h;
}

static uint64_t hash_tasks(const struct coh_task *t)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (int i = 0; i < registered_count; i++) {
		h = hash_text(h, t[i].task->name);
		h = hash_text(h, t[i].task->args);
		h = hash_text(h, t[i].task->result);
	}
	return h;
}

int coh_task_check(struct cohort_error *err)
{
	struct coh_task *made;
	int rc = 0, n = 0;

	if (table != NULL)
		return coh_fail(err, COHORT_ESTATE, "the tasks have been checked already");
	made = coh_calloc(sizeof *made * ((size_t)registered_count + 1));
	if (made == NULL)
		return coh_fail_code(err, -ENOMEM);
	for (const struct cohort_task *t = registered; t != NULL && rc == 0; t = t->next)
		rc = check_task(t, &made[n++], err);
	if (rc == 0) {
		qsort(made, (size_t)n, sizeof *made, by_name);
		rc = number_tasks(made, err);
	}
	if (rc != 0) {
		coh_free(made);
		return rc;
	}
	digest = hash_tasks(made);
	table = made;
	return 0;
}

const struct coh_task *coh_task_find(const char *name, struct cohort_error *err)
{
	struct cohort_task key = {.name = name};
	struct coh_task wanted = {.task = &key};
	const struct coh_task *t = NULL;

	if (table != NULL)
		t = bsearch(&wanted, table, (size_t)registered_count, sizeof *table, by_name);
	if (t == NULL)
		coh_fail(err, COHORT_ENOTASK, "no task is registered under the name '%.64s'", name);
	return t;
}

int coh_task_count(void)
{
	return table != NULL ? registered_count : 0;
}

const struct coh_task *coh_task_at(uint32_t n)
{
	return n < (uint32_t)coh_task_count() ? &table[n] : NULL;
}

uint64_t coh_task_digest(void)
{
	return digest;
}

int coh_task_list(struct coh_buf *out)
{
	char line[COH_NAME_MAX + 2 * COH_FORMAT_LENGTH + 4];
	int rc = 0, n;

	for (int i = 0; i < coh_task_count() && rc == 0; i++) {
		const struct cohort_task *t = table[i].task;

		n = snprintf(line, sizeof line, "%s\t%s\t%s\n", t->name, t->args, t->result);
		rc = coh_buf_put(out, line, (size_t)n);
	}
	return rc;
}

/* A line of a peer's list: three texts within it, none of them closed. */
struct line {
	const char *part[3];
	int length[3];
};

/* Printable ASCII up to CLOSING, at most MAX bytes; NULL otherwise, else what follows CLOSING. */
static const char *read_part(const char *s, const char *end, char closing, int max, int *length)
{
	const char *p = s;

	while (p < end && *p > ' ' && *p < 0x7f)
		p++;
	*length = (int)(p - s);
	return p < end && *p == closing && p - s <= max ? p + 1 : NULL;
}

/* Read one line at S; what follows it, or NULL when it is none. */
static const char *read_line(const char *s, const char *end, struct line *l)
{
	static const int max[3] = {COH_NAME_MAX, COH_FORMAT_LENGTH, COH_FORMAT_LENGTH};

	for (int i = 0; i < 3 && s != NULL; i++) {
		l->part[i] = s;
		s = read_part(s, end, i < 2 ? '\t' : '\n', max[i], &l->length[i]);
	}
	return s != NULL && l->length[0] > 0 ? s : NULL;
}

static int compare_part(const struct line *l, int i, const char *mine)
{
	int n = (int)strlen(mine), least = n < l->length[i] ? n : l->length[i];
	int order = memcmp(mine, l->part[i], (size_t)least);

	return order != 0 ? order : n - l->length[i];
}

/* < 0: only we have the task MINE; > 0: only the peer has that of L; either may be NULL. */
static int compare_name(const struct coh_task *mine, const struct line *l)
{
	if (mine == NULL || l == NULL)
		return mine == NULL ? 1 : -1;
	return compare_part(l, 0, mine->task->name);
}

static bool equal(const struct coh_task *mine, const struct line *l)
{
	return compare_name(mine, l) == 0 && compare_part(l, 1, mine->task->args) == 0 &&
	    compare_part(l, 2, mine->task->result) == 0;
}

static int fail_differs(const struct coh_task *mine, const struct line *l, const char *peer,
    struct cohort_error *err)
{
	int order = compare_name(mine, l);

	if (order > 0)
		return coh_fail(err, COHORT_EREGISTRY,
		    "%s has a task '%.*s' (\"%.*s\" -> \"%.*s\") that is not registered here", peer,
		    l->length[0], l->part[0], l->length[1], l->part[1], l->length[2], l->part[2]);
	if (order < 0)
		return coh_fail(err, COHORT_EREGISTRY,
		    "task '%s' (\"%s\" -> \"%s\") is not registered at %s", mine->task->name,
		    mine->task->args, mine->task->result, peer);
	return coh_fail(err, COHORT_EREGISTRY,
	    "task '%s' is \"%s\" -> \"%s\" here and \"%.*s\" -> \"%.*s\" at %s", mine->task->name,
	    mine->task->args, mine->task->result, l->length[1], l->part[1], l->length[2],
	    l->part[2], peer);
}

int coh_task_compare(const void *list, size_t size, const char *peer, struct cohort_error *err)
{
	const char *s = list, *end = s + size;
	const struct coh_task *mine;
	struct line line, *l;

	for (uint32_t i = 0;; i++) {
		mine = coh_task_at(i);
		l = s < end ? &line : NULL;
		if (l != NULL)
			s = size <= COH_TASK_LIST_MAX ? read_line(s, end, l) : NULL;
		if (s == NULL)
			return coh_fail(err, COHORT_EPROTOCOL,
			    "%s sent something that is no list of tasks", peer);
		if (mine == NULL && l == NULL)
			return 0;
		if (!equal(mine, l))
			return fail_differs(mine, l, peer, err);
	}
}
