/*
 * address.h - where something runs or listens, as text and as a struct.  Pure.
 *
 *   inline:                   this thread
 *   thread:N   thread:        N threads; as many as CPUs
 *   local:N    local:         N worker processes; as many as CPUs
 *   unix:/PATH                a Unix socket
 *   tcp://HOST:PORT           HOST: a name, IPv4, or IPv6 in brackets
 *   tls://HOST:PORT           the same, encrypted
 *   python+tcp://HOST:PORT    a peer that is Python's multiprocessing.connection
 *   python+unix:/PATH
 *   listen:ADDRESS            of unix, tcp or tls: be dialled there instead of dialling
 *   ADDRESS,ADDRESS,...       several of unix, tcp and tls
 *   ADDRESS/NAME              of unix, tcp and tls: an object that the server there has (parse_object alone)
 *
 * Numbers are decimal and hosts are kept in one spelling (lower case, IPv6 as inet_ntop
 * writes it), so that two addresses are the same when their text is.  Nothing is looked up.
 * No state: any thread, and after fork.
 */
#ifndef COH_ADDR_ADDRESS_H
#define COH_ADDR_ADDRESS_H

#include <cohort/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum coh_address_kind {
	COH_ADDRESS_INLINE,
	COH_ADDRESS_THREAD,
	COH_ADDRESS_LOCAL,
	COH_ADDRESS_UNIX,
	COH_ADDRESS_TCP,
	COH_ADDRESS_TLS,
	COH_ADDRESS_PYTHON_TCP,
	COH_ADDRESS_PYTHON_UNIX,
};

#define COH_ADDRESS_COUNT_MAX 4096 /* threads or workers one address may ask for */
#define COH_ADDRESS_LIST_MAX 1024  /* addresses in one list */
#define COH_ADDRESS_HOST_MAX 253   /* RFC 1035: a name in text */
#define COH_ADDRESS_PATH_MAX 107   /* sun_path less its end */
#define COH_ADDRESS_OBJECT_MAX 255 /* bytes of the name of an object at a server */
#define COH_ADDRESS_TEXT 288       /* room for any address as text, with its end */

/* One address.  Plain data: copy it as you like. */
struct coh_address {
	enum coh_address_kind kind;
	bool listen;                           /* "listen:" stood in front */
	unsigned count;                        /* thread, local: how many; 0: as many as CPUs */
	uint16_t port;                         /* with a host; 0: the system's choice, to listen only */
	char where[COH_ADDRESS_HOST_MAX + 1];  /* host without brackets, or path */
};

/* What someone wants to do with an address. */
enum coh_address_use {
	COH_ADDRESS_DIAL, /* connect to it */
	COH_ADDRESS_BIND, /* listen on it */
};

/*
 * Read one address out of TEXT into A.  0, or COHORT_EADDRESS with what was got, where and
 * what is allowed; A is then undefined.
 */
int coh_address_parse(struct coh_address *a, const char *text, struct cohort_error *err);

/*
 * Read the address of a shared object at a server: one to dial, "/" and the object's name, which is
 * NAME then (room for COH_ADDRESS_OBJECT_MAX bytes and an end; may be NULL).  A is the server's.
 * 0, or COHORT_EADDRESS.
 */
int coh_address_parse_object(
    struct coh_address *a, const char *text, char *name, struct cohort_error *err);

/*
 * Read one address or a list of them.  *LIST (COUNT of them) is given: coh_free it.  In a list
 * of several each must be of unix, tcp or tls without "listen:", and none may stand twice.
 * 0, COHORT_EADDRESS, -ENOMEM; on failure *LIST is NULL.
 */
int coh_address_parse_list(struct coh_address **list, size_t *count, const char *text,
    struct cohort_error *err);

/* A as text that parses to A again, at OUT. */
void coh_address_print(const struct coh_address *a, char out[COH_ADDRESS_TEXT]);

/* True when both name the same thing. */
bool coh_address_equal(const struct coh_address *a, const struct coh_address *b);

/* The word in front of the colon: "tcp". */
const char *coh_address_scheme(enum coh_address_kind kind);

/* True for unix, tcp and tls: something of the network that may be a node, not of this process. */
bool coh_address_is_node(const struct coh_address *a);

/* True for the two kinds where a Python peer is met: data only, never a node. */
bool coh_address_is_python(const struct coh_address *a);

/* True when A is a path, false when it is host and port. */
bool coh_address_is_path(const struct coh_address *a);

/*
 * May A be used so?  0; COHORT_EADDRESS (nothing that is met by a connection; port 0 to dial;
 * "listen:" to dial).
 */
int coh_address_check(
    const struct coh_address *a, enum coh_address_use use, struct cohort_error *err);

#endif
