/*
 * codec_tpl.c - formats with arrays through tpl; the only file that sees tpl.h.
 *
 * tpl keeps its memory and its errors in one struct of hooks for the whole process, and
 * expects its fatal hook not to return.  Here the hooks look at a thread-local pointer:
 * inside one of our calls memory comes from the message's arena and fatal jumps out to
 * where the call began; outside they do what the hooks found in place do, so that a program
 * may use tpl too, and set hooks of its own before or after.  The arena is dropped whole, so
 * nothing leaks wherever tpl was left.
 *
 * tpl never sees an image that coh_codec_check has not passed, never a descriptor, never a
 * format from outside, and never the same map twice: state that an image leaves behind on a
 * map misreads the next one.  All pointers of a map lead to slots in our own struct, so the
 * variadic call is the same for every format.
 */
#include "wire/codec_tpl.h"

#include "base/mem.h"
#include "base/object.h"
#include "wire/arena.h"
#include "wire/codec_priv.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <string.h>
#include <tpl.h>

#define UNPACKED_MAX (4 * COHORT_MESSAGE_MAX) /* trust: unpacked size within 4 x the frame */

extern tpl_hook_t tpl_hook; /* exported by libtpl, declared nowhere */

union slot {
	char number[8];
	char *string;
	tpl_bin bytes;
};

struct coh_codec_tpl {
	const struct coh_format *format;
	struct coh_arena arena;
	tpl_node *root; /* in the arena; NULL while empty */
	size_t size;    /* packing: of the image so far */
	size_t outside; /* packing: what index 0 has in it */
	bool broken;    /* unpacking: an element was lost for want of memory */
	jmp_buf escape;
	union slot slot[COH_FORMAT_PARTS]; /* as the values are written in the format */
};

/* What one guarded call does. */
struct step {
	int index;
	void *image;
	size_t size;
	struct coh_buf *out;
};

/* Whose call this thread is in, NULL outside. */
static _Thread_local struct coh_codec_tpl *current;

/*
 * The hooks as they were at first, and as they were when last seen not to be ours.  A hook
 * that a program set after us may call the one it replaced, which is ours: a call that comes
 * back in this way goes to the first ones.
 */
static tpl_hook_t first;
static tpl_hook_t found; /* fields by HOOK_GET and HOOK_SET; written under the lock */
static pthread_once_t first_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t found_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool in_found, in_fatal;

/* tpl reads its hooks unlocked, so these are atomic only for our own threads among themselves. */
#define HOOK_GET(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define HOOK_SET(field, to) __atomic_store_n(&(field), (to), __ATOMIC_RELAXED)

static void *hook_malloc(size_t n)
{
	void *p;

	if (current != NULL)
		return coh_arena_alloc(&current->arena, n);
	in_fatal = false;
	if (in_found)
		return first.malloc(n);
	in_found = true;
	p = HOOK_GET(found.malloc)(n);
	in_found = false;
	return p;
}

/* tpl reallocates for '#' only, which none of our formats has. */
static void *hook_realloc(void *old, size_t n)
{
	void *p;

	COH_ASSERT(current == NULL);
	if (in_found)
		return first.realloc(old, n);
	in_found = true;
	p = HOOK_GET(found.realloc)(old, n);
	in_found = false;
	return p;
}

static void hook_free(void *p)
{
	if (current != NULL)
		return; /* the arena goes as a whole */
	if (in_found) {
		first.free(p);
		return;
	}
	in_found = true;
	HOOK_GET(found.free)(p);
	in_found = false;
}

COHORT_PRINTF(1, 2)
static int hook_oops(const char *format, ...)
{
	char text[COHORT_ERROR_TEXT];
	va_list ap;
	int n;

	if (current != NULL)
		return 0;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (in_found)
		return first.oops("%s", text);
	in_found = true;
	n = HOOK_GET(found.oops)("%s", text);
	in_found = false;
	return n;
}

COHORT_PRINTF(1, 2)
static void hook_fatal(const char *format, ...)
{
	char text[COHORT_ERROR_TEXT];
	va_list ap;

	if (current != NULL)
		longjmp(current->escape, 1);
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (in_fatal)
		first.fatal("%s", text);
	in_fatal = true; /* until the next malloc or call of ours: the hook may well jump away */
	HOOK_GET(found.fatal)("%s", text);
}

/* Replace what is not ours, and remember it. */
static void hooks_take(void)
{
	pthread_mutex_lock(&found_lock);
#define TAKE(field)                                                                        \
	do {                                                                               \
		if (HOOK_GET(tpl_hook.field) != hook_##field) {                            \
			HOOK_SET(found.field, HOOK_GET(tpl_hook.field));                   \
			HOOK_SET(tpl_hook.field, hook_##field);                            \
		}                                                                          \
	} while (0)
	TAKE(malloc);
	TAKE(realloc);
	TAKE(free);
	TAKE(oops);
	TAKE(fatal);
#undef TAKE
	pthread_mutex_unlock(&found_lock);
}

static void hooks_first(void)
{
	first = tpl_hook;
	hooks_take();
}

static bool hooks_ours(void)
{
	return HOOK_GET(tpl_hook.malloc) == hook_malloc && HOOK_GET(tpl_hook.free) == hook_free &&
	    HOOK_GET(tpl_hook.realloc) == hook_realloc && HOOK_GET(tpl_hook.fatal) == hook_fatal &&
	    HOOK_GET(tpl_hook.oops) == hook_oops;
}

/* Do STEP with C's arena under tpl; what STEP returned, or -ENOMEM when tpl gave up. */
static int guarded(struct coh_codec_tpl *c,
    int (*step)(struct coh_codec_tpl *, const struct step *), const struct step *what)
{
	int rc;

	pthread_once(&first_once, hooks_first);
	if (!hooks_ours())
		hooks_take();
	in_fatal = false;
	current = c;
	if (setjmp(c->escape) == 0)
		rc = step(c, what);
	else
		rc = -ENOMEM; /* tpl is fatal about nothing else once format and image are checked */
	current = NULL;
	return rc;
}

/* The map, whose pointers all lead to our slots; tpl takes as many as the format has. */
static tpl_node *map(struct coh_codec_tpl *c)
{
	union slot *s = c->slot;
	char *text = (char *)(uintptr_t)c->format->text; /* tpl wants char *, and only reads it */

	_Static_assert(COH_FORMAT_PARTS == 32, "map passes every slot");
	if (c->root == NULL)
		c->root = tpl_map(text, &s[0], &s[1], &s[2], &s[3], &s[4], &s[5], &s[6], &s[7],
		    &s[8], &s[9], &s[10], &s[11], &s[12], &s[13], &s[14], &s[15], &s[16], &s[17],
		    &s[18], &s[19], &s[20], &s[21], &s[22], &s[23], &s[24], &s[25], &s[26], &s[27],
		    &s[28], &s[29], &s[30], &s[31]);
	COH_ASSERT(c->root != NULL); /* every format we take, tpl takes */
	return c->root;
}

static void make_empty(struct coh_codec_tpl *c)
{
	c->root = NULL;
	c->outside = c->format->index[0].least;
	c->size = c->format->head_size + c->outside;
	c->broken = false;
	c->arena.max = SIZE_MAX;
}

struct coh_codec_tpl *coh_codec_tpl_new(const struct coh_format *f)
{
	struct coh_codec_tpl *c = coh_calloc(sizeof *c);

	if (c != NULL) {
		c->format = f;
		make_empty(c);
	}
	return c;
}

void coh_codec_tpl_free(struct coh_codec_tpl *c)
{
	if (c != NULL)
		coh_arena_fini(&c->arena);
	coh_free(c);
}

void coh_codec_tpl_reset(struct coh_codec_tpl *c)
{
	coh_arena_reset(&c->arena);
	make_empty(c);
}

/* The I-th value of INDEX: its part and its slot. */
static const struct coh_part *part_of(const struct coh_format *f, int index, uint8_t i)
{
	return &f->part[f->order[f->index[index].first + i]];
}

static void slot_fill(union slot *s, const struct coh_part *part, const void *at)
{
	const struct cohort_bytes *b = at;

	switch (part->type) {
	case 's':
		memcpy(&s->string, at, sizeof s->string);
		break;
	case 'B':
		s->bytes.addr = (void *)(uintptr_t)b->data; /* tpl only copies it */
		s->bytes.sz = (uint32_t)b->size;            /* measured: at most COHORT_MESSAGE_MAX */
		break;
	default:
		memcpy(s->number, at, part->size);
	}
}

static void slot_take(const union slot *s, const struct coh_part *part, void *at)
{
	switch (part->type) {
	case 's':
		memcpy(at, &s->string, sizeof s->string);
		break;
	case 'B':
		*(struct cohort_bytes *)at =
		    (struct cohort_bytes){.data = s->bytes.addr, .size = s->bytes.sz};
		break;
	default:
		memcpy(at, s->number, part->size);
	}
}

static int step_pack(struct coh_codec_tpl *c, const struct step *what)
{
	return tpl_pack(map(c), what->index);
}

int coh_codec_tpl_pack(struct coh_codec_tpl *c, int index, va_list ap)
{
	struct coh_values v;
	size_t size, replaced = index == 0 ? c->outside : 0;
	int rc = coh_codec_measure(c->format, index, &v, ap);

	if (rc != 0)
		return rc;
	size = c->size - replaced + v.total;
	if (size > COHORT_MESSAGE_MAX)
		return COHORT_ETOOBIG;
	for (uint8_t i = 0; i < c->format->index[index].count; i++) {
		const struct coh_part *part = part_of(c->format, index, i);

		slot_fill(&c->slot[part->value], part, v.at[i]);
	}
	rc = guarded(c, step_pack, &(struct step){.index = index});
	if (rc != 0) {
		coh_codec_tpl_reset(c);
		return rc;
	}
	c->size = size;
	if (index == 0)
		c->outside = v.total;
	return 0;
}

static int step_dump(struct coh_codec_tpl *c, const struct step *what)
{
	size_t size = 0;
	int rc;

	tpl_dump(map(c), TPL_GETSIZE, &size);
	rc = coh_buf_reserve(what->out, size);
	if (rc != 0)
		return rc;
	tpl_dump(c->root, TPL_MEM | TPL_PREALLOCD, what->out->data + what->out->tail, size);
	what->out->tail += size;
	return 0;
}

int coh_codec_tpl_dump(struct coh_codec_tpl *c, struct coh_buf *out)
{
	int rc = guarded(c, step_dump, &(struct step){.out = out});

	if (rc != 0 && c->root == NULL)
		coh_codec_tpl_reset(c); /* half a map */
	return rc;
}

/* Index 0 at once: for tpl, taking it again would rewind the arrays and copy the strings anew. */
static int step_open(struct coh_codec_tpl *c, const struct step *what)
{
	if (tpl_load(map(c), TPL_MEM, what->image, what->size) != 0)
		return COHORT_ECODEC;
	return tpl_unpack(c->root, 0) > 0 ? 0 : COHORT_ECODEC;
}

int coh_codec_tpl_open(struct coh_codec_tpl *c, const void *image, size_t size)
{
	struct step what = {.image = (void *)(uintptr_t)image, .size = size};
	int rc;

	coh_codec_tpl_reset(c);
	c->arena.max = UNPACKED_MAX;
	rc = guarded(c, step_open, &what);
	if (rc != 0)
		coh_codec_tpl_reset(c);
	return rc;
}

static int step_unpack(struct coh_codec_tpl *c, const struct step *what)
{
	return tpl_unpack(c->root, what->index) > 0; /* tpl: how many were left */
}

int coh_codec_tpl_unpack(struct coh_codec_tpl *c, int index, va_list ap)
{
	int rc = c->broken ? -ENOMEM : 1;

	if (rc > 0 && index > 0)
		rc = guarded(c, step_unpack, &(struct step){.index = index});
	if (rc < 0)
		c->broken = true; /* tpl has counted the element already */
	if (rc <= 0)
		return rc;
	for (uint8_t i = 0; i < c->format->index[index].count; i++) {
		const struct coh_part *part = part_of(c->format, index, i);

		slot_take(&c->slot[part->value], part, va_arg(ap, void *));
	}
	return 1;
}
