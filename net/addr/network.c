/*
 * network.c - a list of hosts and networks.
 *
 * Every address is held as 16 bytes, IPv4 ones mapped (RFC 4291, 2.5.5.2), so that there is one comparison.
 * No names: they would be looked up once and mean something else later.
 */
#include "addr/network.h"

#include "addr/sockaddr.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define MAPPED 96 /* bits in front of a mapped IPv4 address */
#define ALL 128

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

/* The number in TEXT of at most MAX, -1 when it is none. */
static int number(const char *text, int max)
{
	int n = 0;

	if (*text == '\0' || strlen(text) > 3)
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		n = 10 * n + (*text - '0');
	}
	return n <= max ? n : -1;
}

static int fail_number(const char *text, struct cohort_error *err)
{
	return coh_fail(err, COHORT_EADDRESS,
	    "\"%.64s\" is no address by number; allowed are such as 10.1.2.3, 10.1.0.0/16 and fd00::/8",
	    text);
}

/* One item, "ADDRESS" or "ADDRESS/BITS". */
static int item_parse(struct coh_network *out, const char *item, struct cohort_error *err)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(item, '/');
	size_t n = slash != NULL ? (size_t)(slash - item) : strlen(item);
	int front = 0;

	if (n >= sizeof host)
		n = sizeof host - 1; /* too long for any address: it will not be one */
	memcpy(host, item, n);
	host[n] = '\0';
	if (inet_pton(AF_INET6, host, out->address) != 1) {
		memcpy(out->address, mapped, sizeof mapped);
		front = MAPPED;
		if (inet_pton(AF_INET, host, out->address + sizeof mapped) != 1)
			return fail_number(item, err);
	}
	out->bits = slash == NULL ? ALL - front : number(slash + 1, ALL - front);
	if (out->bits < 0)
		return coh_fail(err, COHORT_EADDRESS, "\"%.64s\": after the / stands a number of 0 to %d",
		    item, ALL - front);
	out->bits += front;
	return 0;
}

int coh_network_parse(
    struct coh_network_list *list, const char *text, struct cohort_error *err)
{
	char item[INET6_ADDRSTRLEN + 8];
	size_t n;
	int rc;

	*list = (struct coh_network_list){0};
	if (text == NULL || *text == '\0')
		return 0;
	for (;; text += n + 1) {
		n = strcspn(text, ",");
		if (n >= sizeof item)
			return fail_number(text, err);
		if (list->count == COH_NETWORK_MAX)
			return coh_fail(err, COHORT_EADDRESS, "more than %d networks", COH_NETWORK_MAX);
		memcpy(item, text, n);
		item[n] = '\0';
		rc = item_parse(&list->at[list->count], item, err);
		if (rc != 0)
			return rc;
		list->count++;
		if (text[n] == '\0')
			return 0;
	}
}

static bool network_has(const struct coh_network *n, const unsigned char address[16])
{
	int whole = n->bits / 8, rest = n->bits % 8;

	return memcmp(n->address, address, (size_t)whole) == 0 &&
	    (rest == 0 || (n->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

bool coh_network_has(
    const struct coh_network_list *list, const struct sockaddr *sa, socklen_t len)
{
	unsigned char address[16];
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (len >= sizeof in4 && sa->sa_family == AF_INET) {
		memcpy(&in4, sa, sizeof in4);
		memcpy(address, mapped, sizeof mapped);
		memcpy(address + sizeof mapped, &in4.sin_addr, sizeof in4.sin_addr);
	} else if (len >= sizeof in6 && sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof in6);
		memcpy(address, &in6.sin6_addr, sizeof address);
	} else {
		return false;
	}
	for (int i = 0; i < list->count; i++)
		if (network_has(&list->at[i], address))
			return true;
	return false;
}
