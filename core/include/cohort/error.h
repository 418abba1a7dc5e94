/*
 * error.h - one list of error codes, and the sentence that goes with a failure.
 *
 * Every function of the library that can fail returns an int: 0 or a count on
 * success, a negative code on failure.  Codes from -1 to -4095 are -errno, as
 * the system gave them; the codes below are Cohort's own.  Where a failure is
 * worth a sentence the function takes a last argument `struct cohort_error *`,
 * which may be NULL; the sentence says where, what was got, what is allowed and
 * which peer it was, and is complete: print it as it stands.
 *
 * Everything here may be called from any thread, and after fork.
 */
#ifndef COHORT_ERROR_H
#define COHORT_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define COHORT_API __attribute__((visibility("default")))
#define COHORT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define COHORT_API
#define COHORT_PRINTF(fmt, args)
#endif

/* X(name, number, sentence): the only list; enum, names and sentences are made from it. */
#define COHORT_ERRORS(X)                                                                      \
	X(COHORT_ETIMEDOUT, -10001, "the deadline passed")                                    \
	X(COHORT_ECLOSED, -10002, "it was closed on this side")                               \
	X(COHORT_EOF, -10003, "the peer closed the connection between two messages")          \
	X(COHORT_ETRUNCATED, -10004, "the peer vanished in the middle of a message")          \
	X(COHORT_EPEER, -10005, "the peer is gone")                                           \
	X(COHORT_EPROTOCOL, -10006, "the peer broke the protocol")                            \
	X(COHORT_ETOOBIG, -10007, "the message is larger than is allowed")                    \
	X(COHORT_EFORMAT, -10008, "the format is not a valid tpl format, or not the expected one") \
	X(COHORT_ECODEC, -10009, "the bytes are not a valid tpl image of the format")         \
	X(COHORT_EAUTH, -10010, "authentication failed")                                      \
	X(COHORT_EVERSION, -10011, "no common protocol version")                              \
	X(COHORT_ESELF, -10012, "the peer is this very process")                              \
	X(COHORT_ECLUSTER, -10013, "the peer belongs to another cluster")                     \
	X(COHORT_EADDR, -10014, "the address dialled is not the address that answered")       \
	X(COHORT_EADDRESS, -10015, "the address cannot be understood")                        \
	X(COHORT_EPLAINTEXT, -10016, "clear text would leave this machine")                   \
	X(COHORT_EKEY, -10017, "the key cannot be used")                                      \
	X(COHORT_EREGISTRY, -10018, "the two programs register different tasks")              \
	X(COHORT_ENOTASK, -10019, "no task is registered under this name")                    \
	X(COHORT_ETASK, -10020, "the task failed by its own word")                            \
	X(COHORT_EDIED, -10021, "the worker died while it ran the task")                      \
	X(COHORT_ELOST, -10022, "the node that ran the task is gone")                         \
	X(COHORT_EPOISON, -10023, "the task killed every worker that ran it")                 \
	X(COHORT_ECANCELLED, -10024, "it was cancelled")                                      \
	X(COHORT_ESTATE, -10025, "the object is not in a state that allows this")             \
	X(COHORT_ETHREADS, -10026, "fork is refused while more than one thread lives")        \
	X(COHORT_EINIT, -10027, "cohort_init has not been called first in main")              \
	X(COHORT_EZYGOTE, -10028, "the process that starts processes is gone")                \
	X(COHORT_EPROGRAM, -10029, "the program cannot be run on the node")                   \
	X(COHORT_EBROKEN, -10030, "the pool has no worker left and cannot start one")         \
	X(COHORT_ERESULT, -10031, "the result cannot be decoded")                             \
	X(COHORT_ENAME, -10032, "the name is not of the form [A-Za-z0-9_.-]{1,64}")           \
	X(COHORT_EBUSY, -10033, "the limit on peers is reached")                              \
	X(COHORT_ENOTSUP, -10034, "this kind of object or address does not offer that")       \
	X(COHORT_EARGUMENT, -10035, "an argument is out of its range")                        \
	X(COHORT_ESILENT, -10036, "the peer promised signs of life and gave none")            \
	X(COHORT_ESTALLED, -10037, "the peer began a message and did not finish it in time")  \
	X(COHORT_EFULL, -10038, "the queue is full")                                          \
	X(COHORT_EEMPTY, -10039, "the queue is empty")                                        \
	X(COHORT_ESHUTDOWN, -10040, "the queue was shut down")                                \
	X(COHORT_EOWNERDEAD, -10041, "its holder died: it is held now, what it guards may be half done") \
	X(COHORT_ENOTOWNER, -10042, "it is not held by who releases it")                      \
	X(COHORT_EBARRIER, -10043, "the barrier is broken")                                   \
	X(COHORT_ESEGMENT, -10044, "the memory is no shared object of this kind, or it was damaged, or cut") \
	X(COHORT_EOVER, -10045, "it was released, or done, more often than it was taken")

enum cohort_code {
	COHORT_OK = 0,
#define COHORT_ERROR_ENUM(name, number, text) name = number,
	COHORT_ERRORS(COHORT_ERROR_ENUM)
#undef COHORT_ERROR_ENUM
};

/* Room for one sentence.  Longer ones are cut, never overrun. */
#define COHORT_ERROR_TEXT 512

/* A failure: its code and its sentence.  The caller's storage; zero it or not, as you like. */
struct cohort_error {
	int code;
	char text[COHORT_ERROR_TEXT];
};

/*
 * The sentence for CODE, a negative code or 0; never NULL.  Lives for ever for Cohort's
 * codes; for -errno until the same thread calls strerror again.
 */
COHORT_API const char *cohort_strerror(int code);

/* The name of CODE as written in a program ("COHORT_EOF", "ENOENT"); "?" when unknown. */
COHORT_API const char *cohort_errname(int code);

#ifdef __cplusplus
}
#endif
#endif
