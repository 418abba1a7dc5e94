/*
 * fuzz_codec.c - our validator and codec against plain tpl.
 *
 * The first byte chooses a format, its top bit whether the rest is an image or only the
 * values of one (the head is then put in front, so that the fuzzer gets past it).  When our
 * check says yes, a fresh map of tpl must load the image and unpack all of it without calling
 * its fatal hook or reading a byte too far, and must give the values that we give.  A flat
 * image must also come out the same when its values are packed again.  PLANT: the check does
 * not look at the byte of flags.
 *
 * The hooks of this program are in place before the library's first use of tpl, so the
 * library falls back on them outside its own calls.
 */
#include "base/mem.h"
#include "base/object.h"
#include "wire/codec_priv.h"

#include <cohort/message.h>
#include <string.h>
#include <tpl.h>

extern tpl_hook_t tpl_hook;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const formats[] = {"", "i", "is", "ss", "B", "cjviuIUfsB", "A(I)", "A(s)",
    "sA(i)", "sA(iA(s))", "A(BA(cs))", "A(A(A(A(A(A(A(A(c))))))))"};

union value {
	char number[8];
	char *string;
	tpl_bin tpl_bytes;
	struct cohort_bytes bytes;
};

struct both {
	const struct coh_format *f;
	tpl_node *tpl;
	struct cohort_message *ours;
	union value at[COH_FORMAT_PARTS]; /* where tpl's map leads */
};

static void fatal(const char *format, ...)
{
	(void)format;
	abort();
}

static int silent(const char *format, ...)
{
	(void)format;
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	tpl_hook.fatal = fatal;
	tpl_hook.oops = silent;
	return 0;
}

static tpl_node *map(struct both *b)
{
	union value *v = b->at;

	return tpl_map((char *)(uintptr_t)b->f->text, v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6,
	    v + 7, v + 8, v + 9);
}

static int check(const struct coh_format *f, unsigned char *image, size_t size)
{
	struct cohort_error err = {0};
	int rc;
#ifdef PLANT
	unsigned char flags = size > 3 ? image[3] : 0;

	if (size > 3)
		image[3] = f->head[3];
#endif
	rc = coh_codec_check(f, image, size, &err);
#ifdef PLANT
	if (size > 3)
		image[3] = flags;
#endif
	COH_ASSERT(rc == 0 || rc == COHORT_ECODEC || rc == COHORT_EFORMAT);
	COH_ASSERT(rc == err.code && (rc == 0 || strlen(err.text) > 10));
	return rc;
}

/* One value as tpl and as we unpacked it; what tpl gave is released. */
static void compare(char type, size_t size, union value *tpl, const union value *ours)
{
	switch (type) {
	case 's':
		COH_ASSERT((tpl->string == NULL) == (ours->string == NULL));
		COH_ASSERT(tpl->string == NULL || strcmp(tpl->string, ours->string) == 0);
		free(tpl->string);
		break;
	case 'B':
		COH_ASSERT(tpl->tpl_bytes.sz == ours->bytes.size);
		COH_ASSERT(ours->bytes.size == 0 ||
		    memcmp(tpl->tpl_bytes.addr, ours->bytes.data, ours->bytes.size) == 0);
		free(tpl->tpl_bytes.addr);
		break;
	default:
		COH_ASSERT(memcmp(tpl->number, ours->number, size) == 0);
	}
}

/* Unpack one element of INDEX from both; false when there is none left in both. */
static bool unpack_both(struct both *b, int index, union value v[COH_FORMAT_PARTS])
{
	const struct coh_index *x = &b->f->index[index];
	int theirs = tpl_unpack(b->tpl, index);
	int ours = cohort_message_unpack(b->ours, index, v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6,
	    v + 7, v + 8, v + 9);

	COH_ASSERT(theirs >= 0 && ours == (theirs > 0));
	for (uint8_t i = 0; i < x->count && ours > 0; i++) {
		const struct coh_part *part = &b->f->part[b->f->order[x->first + i]];

		compare(part->type, part->size, &b->at[part->value], &v[i]);
	}
	return ours > 0;
}

/* All elements of INDEX and what is in them; as deep as a format of ours. */
static void walk(struct both *b, int index)
{
	union value v[COH_FORMAT_PARTS];

	while (unpack_both(b, index, v)) {
		for (uint8_t i = 0; i < b->f->parts; i++)
			if (b->f->part[i].type == 'A' && b->f->part[i].index == index)
				walk(b, b->f->part[i].inner);
		if (index == 0)
			break;
	}
}

static void check_repacked(struct both *b, const unsigned char *image, size_t size)
{
	union value v[COH_FORMAT_PARTS];
	struct cohort_message *again = coh_message_new(b->f);
	const void *packed;
	size_t n;

	cohort_message_unpack(
	    b->ours, 0, v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7, v + 8, v + 9);
	COH_ASSERT(cohort_message_pack(again, 0, v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7,
		       v + 8, v + 9) == 0);
	COH_ASSERT(cohort_message_image(again, &packed, &n) == 0);
	COH_ASSERT(n == size && memcmp(packed, image, size) == 0);
	cohort_message_free(again);
}

static void check_taken(const struct coh_format *f, unsigned char *image, size_t size)
{
	struct both b = {.f = f, .ours = coh_message_new(f)};

	b.tpl = map(&b);
	COH_ASSERT(cohort_message_load(b.ours, image, size, NULL) == 0);
	COH_ASSERT(tpl_load(b.tpl, TPL_MEM, image, size) == 0);
	walk(&b, 0);
	if (coh_format_flat(f))
		check_repacked(&b, image, size);
	tpl_free(b.tpl);
	cohort_message_free(b.ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct coh_format *f;
	unsigned char *image;
	uint32_t n;

	if (size == 0)
		return 0;
	f = coh_format_get(formats[(data[0] & 0x7f) % (sizeof formats / sizeof *formats)], NULL);
	n = (uint32_t)size - 1 + ((data[0] & 0x80) != 0 ? f->head_size : 0);
	image = coh_alloc(n); /* exactly as large as the image, for the sanitizer */
	memcpy(image + n - (size - 1), data + 1, size - 1);
	if ((data[0] & 0x80) != 0) {
		memcpy(image, f->head, f->head_size);
		memcpy(image + 4, &n, sizeof n);
	}
	if (check(f, image, n) == 0)
		check_taken(f, image, n);
	coh_free(image);
	return 0;
}
