/*
 * want.h - which item a get wants: data, so that a server can judge for a client that is elsewhere.
 *
 * An item is plain bytes, or typed: a message whose bytes name its format from COH_WANT_AT on, as a
 * tpl image does.  What lies here knows no more of images than that.
 */
#ifndef COH_SYNC_WANT_H
#define COH_SYNC_WANT_H

#include <cohort/error.h>
#include <stdbool.h>
#include <stddef.h>

#define COH_WANT_AT 8 /* where an image has the text of its format, with a NUL behind: codec_priv.h, COH_IMAGE_PREFIX */

enum coh_want_form {
	COH_WANT_ANY = 0, /* plain or typed */
	COH_WANT_BYTES,   /* plain */
	COH_WANT_TYPED,   /* of the format `text` */
};

struct coh_want {
	enum coh_want_form form;
	const char *text; /* TYPED: its format, borrowed; NULL: any */
	size_t length;    /* of text, without its NUL */
	size_t most;      /* bytes there is room for */
	/*
	 * NULL, or asked last about an item of SIZE bytes that is wanted: 0, or why it must stay where it is.  For one who has to
	 * pass it on, and may find no memory for that.  A lock may be held: short, and no call of the queue's.
	 */
	int (*fits)(void *arg, size_t size);
	void *arg;
};

/*
 * Would W be content with the item of SIZE bytes at DATA?  0; COHORT_ESTATE (the other form);
 * COHORT_EFORMAT; COHORT_ETOOBIG; what `fits` says.
 */
int coh_want_judge(const struct coh_want *w, bool typed, const void *data, size_t size);

#endif
