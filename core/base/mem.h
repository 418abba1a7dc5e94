/* mem.h - every allocation of the library, so that a test can make any of them fail. */
#ifndef COH_BASE_MEM_H
#define COH_BASE_MEM_H

#include <stddef.h>

/* malloc, zeroed calloc, realloc, strdup, memdup; NULL when there is no memory. */
void *coh_alloc(size_t n);
void *coh_calloc(size_t n);
void *coh_realloc(void *p, size_t n);
char *coh_strdup(const char *s);
void *coh_memdup(const void *p, size_t n);

/* Release P (NULL is fine).  Keeps errno. */
void coh_free(void *p);

/* Overwrite N bytes at P so that the compiler cannot leave it out, then release it. */
void coh_free_wiped(void *p, size_t n);

/*
 * Tests: fail the N-th allocation from now (1 = the next), and every later one too when
 * STICKY is set; 0 turns it off.  coh_mem_count tells how many there were since.
 */
enum coh_mem_fault { COH_MEM_FAIL_ONCE, COH_MEM_FAIL_FROM };
void coh_mem_fail(unsigned long n, enum coh_mem_fault kind);
unsigned long coh_mem_count(void);

#endif
