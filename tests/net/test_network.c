/*
 * test_network.c - lists of networks: what they hold, and what is none.
 */
#include "addr/network.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static struct cohort_error err;

/* Is HOST in the list TEXT? */
static bool has(const char *text, const char *host)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct sockaddr_in in4 = {.sin_family = AF_INET};
	struct coh_network_list list;

	REQUIRE_EQ(coh_network_parse(&list, text, &err), 0);
	if (inet_pton(AF_INET, host, &in4.sin_addr) == 1)
		return coh_network_has(&list, (struct sockaddr *)&in4, sizeof in4);
	REQUIRE_EQ(inet_pton(AF_INET6, host, &in6.sin6_addr), 1);
	return coh_network_has(&list, (struct sockaddr *)&in6, sizeof in6);
}

TEST(network, of_ipv4_holds_its_hosts)
{
	CHECK(has("10.1.0.0/16", "10.1.255.9"));
	CHECK(!has("10.1.0.0/16", "10.2.0.9"));
	CHECK(has("10.1.2.128/25", "10.1.2.129"));
	CHECK(!has("10.1.2.128/25", "10.1.2.127"));
	CHECK(has("10.1.2.3", "10.1.2.3"));
	CHECK(!has("10.1.2.3", "10.1.2.2"));
	CHECK(has("0.0.0.0/0", "203.0.113.1"));
	CHECK(!has("0.0.0.0/0", "2001:db8::1"));
	CHECK(has("10.1.9.9/16", "10.1.0.1")); /* what is beyond the bits does not matter */
}

TEST(network, of_ipv6_holds_its_hosts)
{
	CHECK(has("fd00::/8", "fd12:3456::1"));
	CHECK(!has("fd00::/8", "fe80::1"));
	CHECK(has("2001:db8:0:7::/64", "2001:db8:0:7:ffff::1"));
	CHECK(!has("2001:db8:0:7::/63", "2001:db8:0:8::1"));
	CHECK(has("2001:db8::1", "2001:db8::1"));
	CHECK(has("::/0", "2001:db8::1"));
}

TEST(network, of_ipv4_holds_hosts_that_came_through_ipv6)
{
	CHECK(has("10.1.0.0/16", "::ffff:10.1.2.3"));
	CHECK(has("::ffff:10.1.0.0/112", "10.1.2.3"));
}

TEST(network, lists_hold_what_any_of_them_holds)
{
	CHECK(has("10.1.0.0/16,fd00::/8,192.168.7.9", "192.168.7.9"));
	CHECK(has("10.1.0.0/16,fd00::/8,192.168.7.9", "fd00::1"));
	CHECK(!has("10.1.0.0/16,fd00::/8,192.168.7.9", "192.168.7.8"));
	CHECK(!has("", "10.1.2.3"));
	CHECK(!has(NULL, "10.1.2.3"));
}

TEST(network, holds_no_unix_address_and_none_that_is_cut_short)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in4 = {.sin_family = AF_INET};
	struct coh_network_list list;

	REQUIRE_EQ(coh_network_parse(&list, "0.0.0.0/0,::/0", &err), 0);
	CHECK(!coh_network_has(&list, (struct sockaddr *)&un, sizeof un));
	CHECK(coh_network_has(&list, (struct sockaddr *)&in4, sizeof in4));
	CHECK(!coh_network_has(&list, (struct sockaddr *)&in4, sizeof in4 - 1));
}

TEST(network, refuses_what_is_none)
{
	static const char *const wrong[] = {"host", "10.1.2", "10.1.2.3/33", "10.1.2.3/", "10.1.2.3/-1",
	    "10.1.2.3/8/8", "10.1.2.3/0008", "10.1.2.3 ", ",", "10.1.2.3,", ",10.1.2.3", "::/129", "::g",
	    "[::1]", "10.1.2.3/1x", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/64"};
	struct coh_network_list list;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		memset(&err, 0, sizeof err);
		if (!CHECK_EQ(coh_network_parse(&list, wrong[i], &err), COHORT_EADDRESS))
			FAIL("%s", wrong[i]);
		CHECK_EQ(err.code, COHORT_EADDRESS);
		CHECK(strlen(err.text) > 10);
	}
}

TEST(network, lists_have_32_places)
{
	char text[COH_NETWORK_MAX * 12 + 20] = "10.0.0.0";
	struct coh_network_list list;

	for (int i = 1; i < COH_NETWORK_MAX; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), ",10.0.0.%d", i);
	CHECK_EQ(coh_network_parse(&list, text, &err), 0);
	CHECK_EQ(list.count, COH_NETWORK_MAX);
	strncat(text, ",10.0.1.1", sizeof text - strlen(text) - 1);
	CHECK_EQ(coh_network_parse(&list, text, &err), COHORT_EADDRESS);
	CHECK_HAS(err.text, "32");
}
