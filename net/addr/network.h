/*
 * network.h - a list of hosts and networks, as people write it: "10.1.0.0/16,192.168.7.9,fd00::/8".  Pure.
 *
 * Addresses are compared as the kernel gives them; an IPv4 address mapped into IPv6 counts as the IPv4 one.
 * No state: any thread, and after fork.
 */
#ifndef COH_ADDR_NETWORK_H
#define COH_ADDR_NETWORK_H

#include <cohort/error.h>
#include <stdbool.h>
#include <sys/socket.h>

#define COH_NETWORK_MAX 32 /* of one list */

struct coh_network_list {
	int count;
	struct coh_network {
		unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
		int bits;
	} at[COH_NETWORK_MAX];
};

/*
 * Read TEXT: addresses by number, each with a "/BITS" or standing for itself, and commas between them.
 * NULL and "" are the empty list.  0, or COHORT_EADDRESS with what is wrong.
 */
int coh_network_parse(
    struct coh_network_list *list, const char *text, struct cohort_error *err);

/* Is SA in one of LIST?  Never for a Unix address. */
bool coh_network_has(
    const struct coh_network_list *list, const struct sockaddr *sa, socklen_t len);

#endif
