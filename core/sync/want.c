/* want.c - judging an item by what is wanted. */
#include "sync/want.h"

#include <string.h>

int coh_want_judge(const struct coh_want *w, bool typed, const void *data, size_t size)
{
	if (w->form != COH_WANT_ANY && typed != (w->form == COH_WANT_TYPED))
		return COHORT_ESTATE;
	if (w->form == COH_WANT_TYPED && w->text != NULL &&
	    (size < COH_WANT_AT + w->length + 1 ||
		memcmp((const char *)data + COH_WANT_AT, w->text, w->length) != 0 ||
		((const char *)data)[COH_WANT_AT + w->length] != '\0'))
		return COHORT_EFORMAT;
	if (size > w->most)
		return COHORT_ETOOBIG;
	return w->fits != NULL ? w->fits(w->arg, size) : 0;
}
