/*
 * fuzz_network.c - bytes read as a list of networks.
 *
 * What must hold: they are refused with a sentence, or every network of the list holds its own address,
 * and does so no longer when the last bit that counts is another.  PLANT: a network of 17 bits is
 * taken for one of 16.
 */
#include "addr/network.h"
#include "base/object.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Is ADDRESS in N alone? */
static bool in_one(const struct coh_network *n, const unsigned char address[16])
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct coh_network_list list = {.count = 1, .at = {*n}};

#ifdef PLANT
	if (n->bits == 17)
		list.at[0].bits = 16;
#endif
	memcpy(&in6.sin6_addr, address, 16);
	return coh_network_has(&list, (struct sockaddr *)&in6, sizeof in6);
}

static void check_network(const struct coh_network *n)
{
	unsigned char other[16];

	COH_ASSERT(n->bits >= 0 && n->bits <= 128);
	COH_ASSERT(in_one(n, n->address));
	memcpy(other, n->address, sizeof other);
	if (n->bits > 0) {
		other[(n->bits - 1) / 8] ^= (unsigned char)(0x80 >> (n->bits - 1) % 8);
		COH_ASSERT(!in_one(n, other));
	}
	memcpy(other, n->address, sizeof other);
	if (n->bits < 128) {
		other[n->bits / 8] ^= (unsigned char)(0x80 >> n->bits % 8);
		COH_ASSERT(in_one(n, other));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coh_network_list list;
	struct cohort_error err = {0};
	char text[512];

	if (size >= sizeof text)
		return 0;
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (coh_network_parse(&list, text, &err) != 0) {
		COH_ASSERT(err.code == COHORT_EADDRESS && strlen(err.text) > 10);
		return 0;
	}
	COH_ASSERT(list.count >= 0 && list.count <= COH_NETWORK_MAX);
	for (int i = 0; i < list.count; i++)
		check_network(&list.at[i]);
	return 0;
}
