/*
 * data.h - data that processes of one machine share: values, arrays, blocks, lists, dictionaries,
 * and memory to allocate from.
 *
 * Addresses, names and ownership are those of shared.h.  Options may be NULL where a kind has a
 * default; those that describe the object count when it is made, and must agree when it is
 * attached, or be zero (COHORT_EARGUMENT says what it is).
 *
 * Every open gives *OUT, end it with the close of its kind, and returns 0 or, as all of shared.h:
 * COHORT_EADDRESS, COHORT_ENAME, COHORT_ENOTSUP (an address of a network, or one that does not offer what `open` says), COHORT_EARGUMENT,
 * -EEXIST, -ENOENT, COHORT_ESEGMENT, -EACCES, -ENOSPC (shared memory is full), -EMFILE, -ENOMEM.
 * Every close accepts NULL; pointers into the object end with it.  Where a named one's file is cut short they lead to zeroes,
 * calls return COHORT_ESEGMENT, and those that give a count, 0 (shared.h).
 *
 * Python's SharedMemoryManager, which ends many blocks and lists together, is an arena here, or
 * handles that are closed together.
 *
 * All are zero at first.  A process that dies at any instruction leaves each of them whole: an
 * operation has happened or it has not.  Any thread; after fork the child uses the same handle.
 * Where a call waits at all it is for another's operation on the same object, which is short; one
 * whose process is stopped in the middle of it holds up the others.
 */
#ifndef COHORT_DATA_H
#define COHORT_DATA_H

#include <cohort/shared.h>
#include <cohort/sync.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Value, Array ---- */

/*
 * Types are Python's codes:
 *
 *   c char   b int8_t   h int16_t   i int32_t   l long            q int64_t   f float
 *   u wchar_t B uint8_t H uint16_t  I uint32_t  L unsigned long   Q uint64_t  d double
 *
 * or 0: a struct of `size` bytes (and no pointers).
 */
enum cohort_data_lock {
	COHORT_DATA_LOCKED = 0, /* with a recursive lock of its own: Value, Array */
	COHORT_DATA_RAW,        /* without: RawValue, RawArray */
};

struct cohort_value_options {
	enum cohort_open open;
	char type;                  /* as above; 0: a struct */
	size_t size;                /* of the struct, 1 to 2^30 bytes; else 0 */
	enum cohort_data_lock lock;
	struct cohort_lock *with;   /* a lock in place of its own; borrowed until close;
				       the same one must be given whenever it is attached */
	const void *init;           /* its first value; borrowed for the call; NULL: zero */
};

struct cohort_value;

COHORT_API int cohort_value_open(struct cohort_value **out, const char *address,
    const struct cohort_value_options *options, struct cohort_error *err);
COHORT_API void cohort_value_close(struct cohort_value *v);

/*
 * Where it lies, aligned for its type (a struct: 64 bytes), until close.  Who reads and writes
 * there takes the lock.
 */
COHORT_API void *cohort_value_data(struct cohort_value *v);
COHORT_API size_t cohort_value_size(const struct cohort_value *v);
COHORT_API char cohort_value_type(const struct cohort_value *v);

/*
 * Its lock, for read-change-write of more than one step; it is V's, and ends with V (or the one
 * that was given).  NULL when it is raw.
 */
COHORT_API struct cohort_lock *cohort_value_lock(struct cohort_value *v);

/*
 * Copy it to OUT, or IN to it, with the lock held when there is one (else without tearing, up to 8
 * bytes). Waits until DEADLINE for the lock.  Returns 0, COHORT_ETIMEDOUT, COHORT_EOWNERDEAD (done,
 * but a holder died before: what it was doing may be half done; told once), -EDEADLK (this thread
 * holds the lock that was given, and that is not recursive).
 */
COHORT_API int cohort_value_get(struct cohort_value *v, void *out, cohort_time deadline);
COHORT_API int cohort_value_set(struct cohort_value *v, const void *in, cohort_time deadline);

/*
 * Atomic on integer types (b B h H i I l L q Q; sums wrap), whether it has a lock or not, without
 * waiting.  *OLD (may be NULL) is the value before.  compare: only if it is EXPECTED; returns 1
 * when it was, else 0 with *OLD. Each returns 0 (compare: 0 or 1) or COHORT_ENOTSUP (another type).
 */
COHORT_API int cohort_value_add(struct cohort_value *v, int64_t delta, int64_t *old);
COHORT_API int cohort_value_exchange(struct cohort_value *v, int64_t value, int64_t *old);
COHORT_API int cohort_value_compare(
    struct cohort_value *v, int64_t expected, int64_t value, int64_t *old);
COHORT_API int cohort_value_load(struct cohort_value *v, int64_t *value);

struct cohort_array_options {
	enum cohort_open open;
	char type;                  /* as above; 0: structs */
	size_t size;                /* of one struct; else 0 */
	size_t count;               /* elements, 1 to 2^40 bytes of them */
	enum cohort_data_lock lock;
	struct cohort_lock *with;   /* as of a value */
	const void *init;           /* COUNT elements; borrowed for the call; NULL: zeros */
};

struct cohort_array;

COHORT_API int cohort_array_open(struct cohort_array **out, const char *address,
    const struct cohort_array_options *options, struct cohort_error *err);
COHORT_API void cohort_array_close(struct cohort_array *a);

/* As of a value: all elements one after another. */
COHORT_API void *cohort_array_data(struct cohort_array *a);
COHORT_API size_t cohort_array_count(const struct cohort_array *a);
COHORT_API size_t cohort_array_size(const struct cohort_array *a);
COHORT_API char cohort_array_type(const struct cohort_array *a);
COHORT_API struct cohort_lock *cohort_array_lock(struct cohort_array *a);

/*
 * Copy COUNT elements from FIRST on; as value_get and _set, and COHORT_EARGUMENT: they are not all
 * there.
 */
COHORT_API int cohort_array_get(
    struct cohort_array *a, size_t first, size_t count, void *out, cohort_time deadline);
COHORT_API int cohort_array_set(
    struct cohort_array *a, size_t first, size_t count, const void *in, cohort_time deadline);

/* Atomic on element AT, as of a value; COHORT_EARGUMENT: there is no such element. */
COHORT_API int cohort_array_add(struct cohort_array *a, size_t at, int64_t delta, int64_t *old);
COHORT_API int cohort_array_exchange(
    struct cohort_array *a, size_t at, int64_t value, int64_t *old);
COHORT_API int cohort_array_compare(
    struct cohort_array *a, size_t at, int64_t expected, int64_t value, int64_t *old);

/*
 * Type c as text: up to its first NUL (Python's .value), into the SIZE bytes at OUT with a NUL
 * behind; and TEXT into it, with a NUL if there is room.  Returns its length; COHORT_ETOOBIG (it
 * does not fit: nothing was copied); COHORT_ENOTSUP (another type); as get.
 */
COHORT_API int cohort_array_text(
    struct cohort_array *a, char *out, size_t size, cohort_time deadline);
COHORT_API int cohort_array_set_text(
    struct cohort_array *a, const char *text, cohort_time deadline);

/* ---- a block of memory: SharedMemory ---- */

struct cohort_memory_options {
	enum cohort_open open;
	size_t size; /* bytes, 1 to 2^40; exactly that many; attaching: 0, or at most what it has */
};

struct cohort_memory;

COHORT_API int cohort_memory_open(struct cohort_memory **out, const char *address,
    const struct cohort_memory_options *options, struct cohort_error *err);
COHORT_API void cohort_memory_close(struct cohort_memory *m);

/* Its bytes, aligned to 64, until close; how many; its name, NULL without. */
COHORT_API void *cohort_memory_data(struct cohort_memory *m);
COHORT_API size_t cohort_memory_size(const struct cohort_memory *m);
COHORT_API const char *cohort_memory_name(const struct cohort_memory *m);

/* ---- a list of fixed length whose items may be of any type: ShareableList ---- */

enum cohort_item_type {
	COHORT_ITEM_NONE = 0,
	COHORT_ITEM_BOOL,
	COHORT_ITEM_INT,
	COHORT_ITEM_DOUBLE,
	COHORT_ITEM_TEXT,  /* bytes that are text: any, a NUL too, kept as they are */
	COHORT_ITEM_BYTES,
};

struct cohort_list_item {
	enum cohort_item_type type;
	int64_t number;    /* INT; BOOL: 0 or 1 */
	double real;       /* DOUBLE */
	const void *data;  /* TEXT, BYTES */
	size_t size;
};

struct cohort_list_options {
	enum cohort_open open;
	size_t count;                        /* items, 1 to 2^24 */
	size_t room;                         /* bytes that each TEXT or BYTES may have at least; 0: 64 */
	const struct cohort_list_item *init; /* COUNT items; borrowed for the call; NULL: NONE.
						One longer than ROOM keeps that much */
};

struct cohort_list;

COHORT_API int cohort_list_open(struct cohort_list **out, const char *address,
    const struct cohort_list_options *options, struct cohort_error *err);
COHORT_API void cohort_list_close(struct cohort_list *l);
COHORT_API size_t cohort_list_count(const struct cohort_list *l);

/*
 * Item AT into ITEM; its bytes, if it has any, are copied into the SIZE bytes at BUFFER.  Returns
 * 0; COHORT_EARGUMENT (no such item); COHORT_ETOOBIG (BUFFER is too small: item->size is what is
 * needed); COHORT_ESEGMENT (the list was damaged).
 */
COHORT_API int cohort_list_get(struct cohort_list *l, size_t at, struct cohort_list_item *item,
    void *buffer, size_t size);

/*
 * Replace item AT.  Returns 0; COHORT_EARGUMENT (no such item, or ITEM is none that can be);
 * COHORT_ETOOBIG (longer than the room of that item: nothing changed); COHORT_ESEGMENT.
 */
COHORT_API int cohort_list_set(
    struct cohort_list *l, size_t at, const struct cohort_list_item *item);

/*
 * The first item equal to ITEM (of the same type: true is no 1, text is no bytes) from FROM on, or
 * -ENOENT, COHORT_EARGUMENT, COHORT_ESEGMENT; and how many there are.
 */
COHORT_API int64_t cohort_list_index(
    struct cohort_list *l, const struct cohort_list_item *item, size_t from);
COHORT_API size_t cohort_list_tally(struct cohort_list *l, const struct cohort_list_item *item);

/* ---- memory to allocate from ---- */

struct cohort_arena_options {
	enum cohort_open open;
	size_t size; /* bytes for blocks and their 16-byte heads, 4096 to 2^40;
			pages are taken from the system as they are used */
};

struct cohort_arena;

COHORT_API int cohort_arena_open(struct cohort_arena **out, const char *address,
    const struct cohort_arena_options *options, struct cohort_error *err);
COHORT_API void cohort_arena_close(struct cohort_arena *a);

/*
 * Allocate SIZE bytes (1 to the arena's), aligned to 16 (from 64 KiB on to a page, if there is room
 * for that), not zeroed; *AT is where, for every
 * process: cohort_arena_at gives the address here.  Best fit; freed neighbours join.  What a
 * process that died had allocated stays allocated: note in the arena itself what must be found
 * again. Returns 0; -ENOMEM (no free block is so large); -ENOSPC (the system has no memory for its
 * pages); COHORT_EARGUMENT; COHORT_ESEGMENT (it was damaged).
 */
COHORT_API int cohort_arena_alloc(struct cohort_arena *a, size_t size, uint64_t *at);

/*
 * Free the block at AT.  Returns 0; COHORT_EARGUMENT: no block begins there (it was freed, or never
 * given): nothing was done.
 */
COHORT_API int cohort_arena_free(struct cohort_arena *a, uint64_t at);

/*
 * The address in this process of AT, until close; NULL when no block begins there.  And the size it
 * was asked for.
 */
COHORT_API void *cohort_arena_at(struct cohort_arena *a, uint64_t at);
COHORT_API size_t cohort_arena_size_at(struct cohort_arena *a, uint64_t at);

struct cohort_arena_stats {
	size_t size, used; /* bytes in all, and in use (heads too) */
	size_t blocks;     /* in use */
	size_t largest;    /* bytes that one could be allocated with */
};
COHORT_API void cohort_arena_stats(struct cohort_arena *a, struct cohort_arena_stats *stats);

/* ---- a dictionary: keys to bytes ---- */

struct cohort_dict_options {
	enum cohort_open open;
	size_t memory; /* bytes that keys, values (each with a head of 56) and its table may take,
			  64 KiB to 2^40; 0: 64 MiB; taken from the system as it grows */
	size_t keys;   /* how many are expected, up to memory / 64: for so many the table is made when the dictionary is (8 to
			  16 bytes each), and anew after a clear; 0: it grows with them */
};

/*
 * A table that has become too small is doubled in the call that finds it so, which holds up all others: some 0.15 us for each key
 * (7 ms for 64 Ki keys, 75 ms for 512 Ki, twice as long with each doubling after that).  With `keys` it is not, up to twice as many;
 * nor where there is no memory for it: then it stays, and is slower.
 */
struct cohort_dict;

#define COHORT_DICT_KEY_MAX 65536 /* bytes of a key, at least 1 */

COHORT_API int cohort_dict_open(struct cohort_dict **out, const char *address,
    const struct cohort_dict_options *options, struct cohort_error *err);
COHORT_API void cohort_dict_close(struct cohort_dict *d);

/*
 * KEY and VALUE are any bytes; both are borrowed for the call and copied.  In all calls:
 * COHORT_EARGUMENT for a key out of its range, COHORT_ESEGMENT when the dictionary was damaged.
 */
struct cohort_dict_bytes {
	const void *data;
	size_t size;
};

/*
 * Set KEY to VALUE.  0, -ENOMEM (`memory` is used up; the old value goes only once the new one has
 * its place), -ENOSPC.
 */
COHORT_API int cohort_dict_set(
    struct cohort_dict *d, struct cohort_dict_bytes key, struct cohort_dict_bytes value);

/* The same if it is absent: 1, else 0. */
COHORT_API int cohort_dict_add(
    struct cohort_dict *d, struct cohort_dict_bytes key, struct cohort_dict_bytes value);

/*
 * The value of KEY into the SIZE bytes at BUFFER; *GOT is how many it has.  0; -ENOENT;
 * COHORT_ETOOBIG (nothing was copied).
 */
COHORT_API int cohort_dict_get(struct cohort_dict *d, struct cohort_dict_bytes key, void *buffer,
    size_t size, size_t *got);

/*
 * Remove KEY, after giving its value as get does when BUFFER is not NULL.  0; -ENOENT;
 * COHORT_ETOOBIG (it is still there).
 */
COHORT_API int cohort_dict_remove(struct cohort_dict *d, struct cohort_dict_bytes key,
    void *buffer, size_t size, size_t *got);

/*
 * Set KEY to VALUE only if it is EXPECTED now (data NULL: absent).  1 done, 0 not; -ENOMEM,
 * -ENOSPC.
 */
COHORT_API int cohort_dict_compare(struct cohort_dict *d, struct cohort_dict_bytes key,
    struct cohort_dict_bytes expected, struct cohort_dict_bytes value);

/*
 * Add DELTA to the 8-byte integer at KEY (absent: 0), in the machine's byte order; *NOW is the sum.
 * 0; COHORT_EFORMAT (its value has not 8 bytes); -EOVERFLOW (nothing changed).
 */
COHORT_API int cohort_dict_incr(
    struct cohort_dict *d, struct cohort_dict_bytes key, int64_t delta, int64_t *now);

/* How many keys there are; and remove all. */
COHORT_API size_t cohort_dict_count(struct cohort_dict *d);
COHORT_API int cohort_dict_clear(struct cohort_dict *d);

/*
 * The next key behind *CURSOR (0 at first) into the SIZE bytes at BUFFER.  What is there all the
 * time is given exactly once; what comes or goes meanwhile may be given or not.  1; 0 at the end;
 * COHORT_ETOOBIG (*GOT is what is needed, *CURSOR stays).
 */
COHORT_API int cohort_dict_next(
    struct cohort_dict *d, uint64_t *cursor, void *buffer, size_t size, size_t *got);

#ifdef __cplusplus
}
#endif
#endif
