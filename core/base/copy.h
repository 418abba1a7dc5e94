/* copy.h - copies that somebody on another CPU will read. */
#ifndef COH_BASE_COPY_H
#define COH_BASE_COPY_H

#include <stddef.h>

/*
 * As memcpy.  A large one (512 KiB and more) goes past the caches to memory: where another CPU has read the place
 * before, taking each line back from it costs four times the copy, and so much is not kept in our own cache either.
 * All of it is there for whoever sees a store that is made behind it.  Any thread, any time.
 */
void coh_copy_out(void *to, const void *from, size_t n);

#endif
