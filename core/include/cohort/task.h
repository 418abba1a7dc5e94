/*
 * task.h - functions that can be run elsewhere, known by name.
 *
 * Functions do not travel: every process of a program registers the same tasks before main,
 * and a name, checked at the handshake with the formats of arguments and result, is what goes
 * over the wire.
 *
 *	static int square(struct cohort_call *call)
 *	{
 *		int32_t x, y;
 *
 *		cohort_call_args(call, &x);
 *		y = x * x;
 *		return cohort_call_result(call, &y);
 *	}
 *	COHORT_TASK(square, "i", "i");
 */
#ifndef COHORT_TASK_H
#define COHORT_TASK_H

#include <cohort/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One task as its function sees it, for the time of the call and on its thread only. */
struct cohort_call;

/*
 * A task's function.  Returns 0, or a negative code: the future then ends in COHORT_ETASK with
 * the sentence given to cohort_call_fail, or that of the code.
 */
typedef int (*cohort_task_fn)(struct cohort_call *call);

/* A registered task.  Fill the first four, zero the rest; must live as long as the process. */
struct cohort_task {
	const char *name;   /* [A-Za-z0-9_.-]{1,64} */
	cohort_task_fn fn;
	const char *args;   /* formats as in message.h */
	const char *result;
	struct cohort_task *next;
};

/*
 * Register T.  Before cohort_init (COHORT_TASK does it before main); afterwards it is refused.
 * Names and formats are checked by cohort_init, which names the wrong one.
 * Returns 0 or COHORT_ESTATE.
 */
COHORT_API int cohort_task_register(struct cohort_task *t);

/* Register FUNCTION under its own name with the formats of its arguments and its result. */
#define COHORT_TASK(function, args_format, result_format)                                   \
	static struct cohort_task cohort_task_##function = {                                \
	    #function, function, args_format, result_format, 0};                            \
	__attribute__((constructor)) static void cohort_register_##function(void)           \
	{                                                                                   \
		cohort_task_register(&cohort_task_##function);                              \
	}                                                                                   \
	struct cohort_task /* takes the semicolon */

/*
 * The arguments outside arrays into what the pointers point at.  Strings and bytes are the
 * call's and live until the function returns.  Returns 1 (they were checked before the
 * function was called), or -ENOMEM.
 */
COHORT_API int cohort_call_args(struct cohort_call *call, ...);

/* The next element of array INDEX of the arguments: 1, 0 at the end, COHORT_EARGUMENT, -ENOMEM. */
COHORT_API int cohort_call_args_row(struct cohort_call *call, int index, ...);

/* Set the result's values outside arrays.  Returns 0, COHORT_ETOOBIG, -ENOMEM. */
COHORT_API int cohort_call_result(struct cohort_call *call, ...);

/* Add an element to array INDEX of the result.  As cohort_message_pack. */
COHORT_API int cohort_call_result_row(struct cohort_call *call, int index, ...);

/*
 * The sentence the caller will see (cut at COHORT_ERROR_TEXT).  Returns COHORT_ETASK, so that
 * a task fails with `return cohort_call_fail(call, "no such file: %s", path)`.
 */
COHORT_API int cohort_call_fail(struct cohort_call *call, const char *format, ...)
    COHORT_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
