/*
 * format.c - a tpl format string, parsed once into a table.
 *
 * A program has few formats and many messages, so the table is made once and kept for the
 * life of the process; it is never changed afterwards and may be read by any thread.  What
 * is accepted is what the codec promises to move, a part of what tpl itself takes: tpl
 * accepts "A" without brackets, for instance, and reads foreign memory for "#".  Formats are
 * the program's own, never a peer's; the bound on their number is for programs that make
 * them up as they go.
 */
#include "wire/codec_priv.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define CHAINS 256       /* power of two; a program has tens of formats */
#define FORMATS_MAX 4096 /* about 4 MiB of tables */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct coh_format *chains[CHAINS]; /* guarded by lock */
static unsigned formats;                  /* guarded by lock */

struct parser {
	struct coh_format *f;
	const char *text;
	size_t at;
	uint8_t open[COH_FORMAT_DEPTH]; /* parts of the arrays we are inside of */
	int depth;
	struct cohort_error *err;
};

const char *coh_format_show(char out[COH_FORMAT_SHOWN], const char *text)
{
	size_t used = 0;

	for (; *text != '\0' && used < COH_FORMAT_SHOWN - 8; text++) {
		if (*text >= 0x20 && *text < 0x7f && *text != '\\')
			out[used++] = *text;
		else
			used += (size_t)snprintf(
			    out + used, 5, "\\x%02x", (unsigned)(unsigned char)*text);
	}
	snprintf(out + used, 4, "%s", *text != '\0' ? "..." : "");
	return out;
}

static int fail_at(struct parser *p, const char *why)
{
	char shown[COH_FORMAT_SHOWN];

	return coh_fail(p->err, COHORT_EFORMAT, "format \"%s\": at character %zu: %s",
	    coh_format_show(shown, p->text), p->at + 1, why);
}

/* Bytes of a part in an image, 0 for what is no part. */
static uint8_t part_size(char type)
{
	static const char letters[] = "cjviusBAfIU";
	static const uint8_t sizes[] = {1, 2, 2, 4, 4, 4, 4, 4, 8, 8, 8};
	const char *found = type != '\0' ? strchr(letters, type) : NULL;

	return found != NULL ? sizes[found - letters] : 0;
}

static struct coh_part *part_add(struct parser *p, char type)
{
	struct coh_format *f = p->f;
	struct coh_part *part = &f->part[f->parts++];
	uint8_t around = p->depth > 0 ? f->part[p->open[p->depth - 1]].inner : 0;
	struct coh_index *index = &f->index[around];

	*part = (struct coh_part){
	    .type = type, .size = part_size(type), .index = around, .value = f->values};
	index->least += part->size;
	if (type == 's' || type == 'B' || type == 'A')
		index->fixed = false;
	return part;
}

static int parse_value(struct parser *p)
{
	struct coh_format *f = p->f;

	if (f->values == COH_FORMAT_PARTS)
		return fail_at(p, "more than 32 values");
	f->index[part_add(p, p->text[p->at])->index].count++;
	f->values++;
	if (p->text[p->at] == 's')
		f->strings = true;
	p->at++;
	return 0;
}

static int parse_open(struct parser *p)
{
	struct coh_format *f = p->f;
	struct coh_part *part;

	if (p->text[p->at + 1] != '(')
		return fail_at(p, "'A' without '(' behind it");
	if (p->depth == COH_FORMAT_DEPTH)
		return fail_at(p, "arrays nested more than 8 deep");
	part = part_add(p, 'A');
	f->index[part->index].arrays++;
	part->inner = f->indices;
	f->index[f->indices++].fixed = true;
	f->flat = false;
	p->open[p->depth++] = (uint8_t)(part - f->part);
	p->at += 2;
	return 0;
}

static int parse_close(struct parser *p)
{
	if (p->depth == 0)
		return fail_at(p, "')' closes nothing");
	if (p->text[p->at - 1] == '(')
		return fail_at(p, "an array of nothing");
	p->f->part[p->open[--p->depth]].end = p->f->parts;
	p->at++;
	return 0;
}

static int parse_part(struct parser *p)
{
	switch (p->text[p->at]) {
	case 'A':
		return parse_open(p);
	case ')':
		return parse_close(p);
	case 'S':
	case '$':
	case '#':
		return fail_at(p, "'S', '$' and '#' of tpl are not taken here");
	default:
		if (part_size(p->text[p->at]) == 0)
			return fail_at(p, "not one of c j v i u I U f s B A( )");
		return parse_value(p);
	}
}

/* List the values of each index, and write what every image begins with. */
static void format_finish(struct coh_format *f)
{
	uint8_t used = 0;

	for (uint8_t i = 0; i < f->indices; i++) {
		f->index[i].first = used;
		for (uint8_t n = 0; n < f->parts; n++)
			if (f->part[n].index == i && f->part[n].type != 'A')
				f->order[used++] = n;
	}
	memcpy(f->head, COH_IMAGE_MAGIC, 3);
	f->head[3] = f->strings ? COH_IMAGE_STRINGS : 0;
	f->head_size = (uint32_t)(COH_IMAGE_PREFIX + strlen(f->text) + 1);
	memcpy(f->head + COH_IMAGE_PREFIX, f->text, f->head_size - COH_IMAGE_PREFIX);
}

static int format_parse(struct coh_format *f, const char *text, struct cohort_error *err)
{
	struct parser p = {.f = f, .text = text, .err = err};
	int rc = 0;

	if (strnlen(text, COH_FORMAT_LENGTH + 1) > COH_FORMAT_LENGTH) {
		p.at = COH_FORMAT_LENGTH;
		return fail_at(&p, "longer than 128 characters");
	}
	*f = (struct coh_format){.flat = true, .indices = 1};
	while (rc == 0 && text[p.at] != '\0')
		rc = parse_part(&p);
	if (rc != 0)
		return rc;
	if (p.depth != 0)
		return fail_at(&p, "an array is not closed");
	memcpy(f->text, text, p.at + 1);
	format_finish(f);
	return 0;
}

static struct coh_format **chain_of(const char *text)
{
	uint32_t h = 2166136261u; /* FNV-1a; the formats are our own, no key is needed */

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return &chains[(h ^ h >> 16) % CHAINS];
}

/* Parse TEXT and put it into CHAIN.  With the lock held. */
static struct coh_format *format_add(
    struct coh_format **chain, const char *text, struct cohort_error *err)
{
	struct coh_format parsed, *f;

	if (format_parse(&parsed, text, err) != 0)
		return NULL;
	if (formats == FORMATS_MAX) {
		coh_fail(err, COHORT_EFORMAT, "format \"%s\": the program has %d others, no more are kept",
		    parsed.text, FORMATS_MAX);
		return NULL;
	}
	f = coh_memdup(&parsed, sizeof parsed);
	if (f == NULL) {
		coh_fail_errno(err, ENOMEM, "format \"%s\"", parsed.text);
		return NULL;
	}
	f->next = *chain;
	*chain = f;
	formats++;
	return f;
}

const struct coh_format *coh_format_get(const char *text, struct cohort_error *err)
{
	struct coh_format **chain = chain_of(text);
	struct coh_format *f;

	pthread_mutex_lock(&lock);
	for (f = *chain; f != NULL && strcmp(f->text, text) != 0; f = f->next)
		;
	if (f == NULL)
		f = format_add(chain, text, err);
	pthread_mutex_unlock(&lock);
	return f;
}

const char *coh_format_text(const struct coh_format *f)
{
	return f->text;
}

bool coh_format_flat(const struct coh_format *f)
{
	return f->flat;
}

int coh_format_parts(const struct coh_format *f, int index)
{
	return index >= 0 && index < f->indices ? f->index[index].count : -1;
}
