/*
 * test_address.c - addresses as text, and as the kernel's.
 */
#include "addr/address.h"
#include "addr/sockaddr.h"
#include "base/mem.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* TEXT parses, and prints as WANT. */
static void spells(const char *text, const char *want)
{
	struct cohort_error err = {0};
	struct coh_address a, again;
	char out[COH_ADDRESS_TEXT];

	if (coh_address_parse(&a, text, &err) < 0) {
		FAIL("%s: %s", text, err.text);
		return;
	}
	coh_address_print(&a, out);
	CHECK_STR(out, want);
	REQUIRE_EQ(coh_address_parse(&again, out, &err), 0);
	CHECK(coh_address_equal(&a, &again));
}

/* TEXT is refused with a sentence that has HINT in it. */
static void refused(const char *text, const char *hint)
{
	struct cohort_error err = {0};
	struct coh_address a;

	if (!CHECK_EQ(coh_address_parse(&a, text, &err), COHORT_EADDRESS))
		FAIL("it was \"%s\"", text);
	CHECK_EQ(err.code, COHORT_EADDRESS);
	CHECK_HAS(err.text, hint);
	CHECK_HAS(err.text, "at byte ");
}

TEST(address, is_printed_as_it_was_read)
{
	spells("inline:", "inline:");
	spells("thread:", "thread:");
	spells("thread:4", "thread:4");
	spells("local:", "local:");
	spells("local:4096", "local:4096");
	spells("unix:/run/x y", "unix:/run/x y");
	spells("tcp://127.0.0.1:0", "tcp://127.0.0.1:0");
	spells("tls://node7:65535", "tls://node7:65535");
	spells("listen:tcp://0.0.0.0:47000", "listen:tcp://0.0.0.0:47000");
	spells("listen:unix:/run/x", "listen:unix:/run/x");
}

TEST(address, has_one_spelling_for_one_host)
{
	spells("tcp://Node-7.Example.ORG:1", "tcp://node-7.example.org:1");
	spells("tcp://[::1]:47000", "tcp://[::1]:47000");
	spells("tcp://[0:0:0:0:0:0:0:1]:047000", "tcp://[::1]:47000");
	spells("tcp://[FE80::A]:1", "tcp://[fe80::a]:1");
	spells("local:007", "local:7");
}

TEST(address, of_an_unknown_scheme_is_refused_with_those_allowed)
{
	refused("", "allowed are inline:, thread:N");
	refused("tcp", "allowed are");
	refused("TCP://h:1", "allowed are");
	refused("udp://h:1", "allowed are");
	refused("node7:47000", "allowed are");
	refused(" tcp://h:1", "allowed are");
	refused("listen:", "allowed are");
	refused("listen:listen:tcp://h:1", "allowed are");
	refused("listen:local:2", "only unix:, tcp:// and tls://");
}

TEST(address, without_a_port_is_refused)
{
	refused("tcp://node7", "no port");
	refused("tcp://", "no port");
	refused("tcp://[::1]", "no port");
	refused("tcp://node7:", "the port must be a number from 0 to 65535");
}

TEST(address, with_a_bad_port_is_refused)
{
	static const char *const bad[] = {"65536", "99999999999999999999", "-1", "+1", "1x", " 1",
	    "0x10", "http", "1/name", "1 "};
	char text[64];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "tcp://h:%s", bad[i]);
		refused(text, "the port must be a number from 0 to 65535");
	}
}

TEST(address, with_a_bad_host_is_refused)
{
	refused("tcp://:1", "the host is empty");
	refused("tcp://*:1", "a host is letters");
	refused("tcp://a b:1", "a host is letters");
	refused("tcp://user@h:1", "a host is letters");
	refused("tcp://-h:1", "may not begin with");
	refused("tcp://::1:47000", "in brackets");
	refused("tcp://[]:1", "IPv6");
	refused("tcp://[::1:1", "brackets");
	refused("tcp://[127.0.0.1]:1", "IPv6");
	refused("tcp://[::1%lo]:1", "IPv6");
	refused("tcp://127.1:1", "four numbers");
	refused("tcp://256.0.0.1:1", "four numbers");
	refused("tcp:/h:1", "// and HOST:PORT");
	refused("tcp:h:1", "// and HOST:PORT");
	refused("tls:", "// and HOST:PORT");
}

TEST(address, takes_a_host_of_253_bytes_and_not_of_254)
{
	char text[300] = "tcp://";

	memset(text + 6, 'a', 253);
	memcpy(text + 6 + 253, ":1", 3);
	spells(text, text);
	memset(text + 6, 'a', 254);
	memcpy(text + 6 + 254, ":1", 3);
	refused(text, "longer than 253");
}

TEST(address, takes_a_path_of_107_bytes_and_not_of_108)
{
	char text[300] = "unix:/";

	memset(text + 6, 'a', 106);
	spells(text, text);
	memset(text + 6, 'a', 107);
	refused(text, "the path has 108 bytes, a Unix socket allows 107");
	memset(text + 6, 'a', 290);
	text[296] = '\0';
	refused(text, "the path has 291 bytes");
}

TEST(address, with_a_bad_path_is_refused)
{
	refused("unix:", "one / in front");
	refused("unix:x", "one / in front");
	refused("unix:@x", "one / in front");
	refused("unix://run/x", "one / in front");
	refused("unix:/", "directory");
	refused("unix:/run/", "directory");
	refused("unix:/a\nb", "control character");
}

TEST(address, with_a_bad_count_is_refused)
{
	static const char *const bad[] = {"thread:0", "thread:-1", "thread:4097", "thread:x",
	    "local: 1", "local:1.5", "local:99999999999999999999"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(bad[i], "a number from 1 to 4096");
	refused("inline:1", "nothing may follow");
}

TEST(address, shows_what_was_wrong_without_its_control_characters)
{
	struct cohort_error err = {0};
	struct coh_address a;
	char text[600];

	memset(text, '\033', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	REQUIRE_EQ(coh_address_parse(&a, text, &err), COHORT_EADDRESS);
	CHECK(strchr(err.text, '\033') == NULL);
	CHECK_HAS(err.text, "???...\"");
	CHECK_EQ(coh_address_parse(&a, text, NULL), COHORT_EADDRESS);
}

TEST(address, list_is_split_at_commas)
{
	struct cohort_error err = {0};
	struct coh_address *list;
	size_t n;

	REQUIRE_EQ(coh_address_parse_list(&list, &n, "tcp://a:1,tcp://[::1]:2,unix:/c", &err), 0);
	REQUIRE_EQ(n, 3);
	CHECK_STR(list[0].where, "a");
	CHECK_EQ(list[1].port, 2);
	CHECK_EQ(list[2].kind, COH_ADDRESS_UNIX);
	coh_free(list);
}

TEST(address, list_of_one_may_be_any_address)
{
	struct coh_address *list;
	size_t n;

	REQUIRE_EQ(coh_address_parse_list(&list, &n, "local:2", NULL), 0);
	CHECK_EQ(n, 1);
	CHECK_EQ(list[0].count, 2);
	coh_free(list);
	REQUIRE_EQ(coh_address_parse_list(&list, &n, "listen:tcp://0.0.0.0:1", NULL), 0);
	CHECK(list[0].listen);
	coh_free(list);
}

static void list_refused(const char *text, const char *hint)
{
	struct cohort_error err = {0};
	struct coh_address *list;
	size_t n;

	CHECK_EQ(coh_address_parse_list(&list, &n, text, &err), COHORT_EADDRESS);
	CHECK(list == NULL);
	CHECK_HAS(err.text, hint);
}

TEST(address, list_with_a_bad_member_is_refused)
{
	char many[3 * (COH_ADDRESS_LIST_MAX + 1)];

	list_refused("", "allowed are");
	list_refused("tcp://a:1,", "allowed are");
	list_refused(",tcp://a:1", "allowed are");
	list_refused("tcp://a:1,,tcp://b:1", "allowed are");
	list_refused("tcp://a:1, tcp://b:1", "allowed are");
	list_refused("tcp://a:1,local:2", "each must be unix:, tcp:// or tls:// to dial");
	list_refused("tcp://a:1,listen:tcp://b:1", "each must be");
	list_refused("tcp://a:1,tcp://A:1", "twice");
	list_refused("tcp://a:1,tcp://b:x", "\"tcp://b:x\", at byte 8");
	memset(many, ',', sizeof many);
	many[COH_ADDRESS_LIST_MAX] = '\0';
	list_refused(many, "1025 addresses, allowed are 1024");
}

TEST(address, list_without_memory_says_so)
{
	struct coh_address *list;
	size_t n;

	coh_mem_fail(1, COH_MEM_FAIL_ONCE);
	CHECK_EQ(coh_address_parse_list(&list, &n, "tcp://a:1", NULL), -ENOMEM);
	coh_mem_fail(0, COH_MEM_FAIL_ONCE);
	CHECK(list == NULL);
}

TEST(address, alone_refuses_a_list)
{
	refused("tcp://a:1,tcp://b:1", "not a list");
}

static int checked(const char *text, enum coh_address_use use, struct cohort_error *err)
{
	struct coh_address a;

	REQUIRE_EQ(coh_address_parse(&a, text, NULL), 0);
	return coh_address_check(&a, use, err);
}

TEST(address, may_be_used_as_this_build_can)
{
	struct cohort_error err;

	CHECK_EQ(checked("tcp://h:1", COH_ADDRESS_DIAL, NULL), 0);
	CHECK_EQ(checked("unix:/x", COH_ADDRESS_DIAL, NULL), 0);
	CHECK_EQ(checked("tcp://h:0", COH_ADDRESS_BIND, NULL), 0);
	CHECK_EQ(checked("listen:tcp://h:0", COH_ADDRESS_BIND, NULL), 0);
	CHECK_EQ(checked("tcp://h:0", COH_ADDRESS_DIAL, &err), COHORT_EADDRESS);
	CHECK_HAS(err.text, "port 0 cannot be dialled");
	CHECK_EQ(checked("listen:tcp://h:1", COH_ADDRESS_DIAL, NULL), COHORT_EADDRESS);
	CHECK_EQ(checked("local:2", COH_ADDRESS_DIAL, NULL), COHORT_EADDRESS);
	CHECK_EQ(checked("tls://h:1", COH_ADDRESS_DIAL, &err), 0);
	CHECK_EQ(checked("tls://h:1", COH_ADDRESS_BIND, NULL), 0);
}

static struct sockaddr_storage in4(const char *host, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_storage out = {0};

	REQUIRE_EQ(inet_pton(AF_INET, host, &in.sin_addr), 1);
	memcpy(&out, &in, sizeof in);
	return out;
}

static struct sockaddr_storage in6(const char *host, uint16_t port)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_storage out = {0};

	REQUIRE_EQ(inet_pton(AF_INET6, host, &in.sin6_addr), 1);
	memcpy(&out, &in, sizeof in);
	return out;
}

static socklen_t size_of(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static bool local(struct sockaddr_storage sa)
{
	return coh_sockaddr_is_local((const struct sockaddr *)&sa, size_of(&sa));
}

static bool definite(struct sockaddr_storage sa)
{
	return coh_sockaddr_is_definite((const struct sockaddr *)&sa, size_of(&sa));
}

TEST(sockaddr, is_definite_where_a_socket_is_at_that_very_address)
{
	struct sockaddr_storage path = {.ss_family = AF_UNIX};

	CHECK(definite(in4("127.0.0.1", 1)));
	CHECK(definite(in4("10.0.0.1", 1)));
	CHECK(definite(in6("fe80::1", 1)));
	CHECK(!definite(in4("10.0.0.1", 0)));
	CHECK(!definite(in4("0.0.0.0", 1)));
	CHECK(!definite(in6("::", 1)));
	CHECK(!definite(in6("::1", 0)));
	CHECK(!definite(in6("::ffff:0.0.0.0", 1)));
	CHECK(!coh_sockaddr_is_definite((const struct sockaddr *)&path, sizeof(struct sockaddr_un)));
}

TEST(sockaddr, is_local_on_loopback_only)
{
	CHECK(local(in4("127.0.0.1", 1)));
	CHECK(local(in4("127.255.255.255", 1)));
	CHECK(local(in6("::1", 1)));
	CHECK(local(in6("::ffff:127.0.0.1", 1)));
	CHECK(!local(in4("126.255.255.255", 1)));
	CHECK(!local(in4("128.0.0.0", 1)));
	CHECK(!local(in4("0.0.0.0", 1)));
	CHECK(!local(in4("10.0.0.1", 1)));
	CHECK(!local(in6("::", 1)));
	CHECK(!local(in6("::ffff:10.0.0.1", 1)));
	CHECK(!local(in6("fe80::1", 1)));
	CHECK(!local(in6("::7f00:1", 1)));
}

TEST(sockaddr, that_is_cut_short_is_not_local)
{
	struct sockaddr_storage sa = in4("127.0.0.1", 1);

	for (socklen_t n = 0; n < sizeof(struct sockaddr_in); n++)
		CHECK(!coh_sockaddr_is_local((const struct sockaddr *)&sa, n));
	CHECK(!coh_sockaddr_is_local((const struct sockaddr *)&sa, sizeof sa + 1));
	sa = in6("::1", 1);
	CHECK(!coh_sockaddr_is_local((const struct sockaddr *)&sa, sizeof(struct sockaddr_in)));
}

static void text_is(struct sockaddr_storage sa, const char *transcript, const char *printed)
{
	char text[COH_SOCKADDR_TEXT], full[COH_ADDRESS_TEXT];
	struct coh_address a;

	CHECK_EQ(coh_sockaddr_text((const struct sockaddr *)&sa, size_of(&sa), text), 0);
	CHECK_STR(text, transcript);
	REQUIRE_EQ(coh_sockaddr_to_address((const struct sockaddr *)&sa, size_of(&sa), &a), 0);
	coh_address_print(&a, full);
	CHECK_STR(full, printed);
}

TEST(sockaddr, has_a_text_for_the_transcript_and_one_for_people)
{
	text_is(in4("127.0.0.1", 47000), "tcp:127.0.0.1:47000", "tcp://127.0.0.1:47000");
	text_is(in6("::1", 47000), "tcp:[::1]:47000", "tcp://[::1]:47000");
	text_is(in6("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
	    "tcp:[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	    "tcp://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

TEST(sockaddr, names_a_mapped_address_as_the_other_end_does)
{
	text_is(in6("::ffff:127.0.0.1", 5), "tcp:127.0.0.1:5", "tcp://127.0.0.1:5");
}

TEST(sockaddr, takes_unix_paths_with_and_without_an_end)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const struct sockaddr *sa = (const struct sockaddr *)&un;
	char text[COH_SOCKADDR_TEXT];

	memset(un.sun_path, 'p', sizeof un.sun_path);
	un.sun_path[0] = '/';
	CHECK_EQ(coh_sockaddr_text(sa, offsetof(struct sockaddr_un, sun_path) + 3, text), 0);
	CHECK_STR(text, "unix:/pp");
	CHECK_EQ(coh_sockaddr_text(sa, sizeof un - 1, text), 0);
	CHECK_EQ(strlen(text), 5 + COH_ADDRESS_PATH_MAX);
	un.sun_path[4] = '\0';
	CHECK_EQ(coh_sockaddr_text(sa, sizeof un, text), 0);
	CHECK_STR(text, "unix:/ppp");
	CHECK_EQ(coh_sockaddr_text(sa, offsetof(struct sockaddr_un, sun_path), text), 0);
	CHECK_STR(text, "unix:");
	CHECK(coh_sockaddr_is_local(sa, offsetof(struct sockaddr_un, sun_path)));
}

static uint64_t source(struct sockaddr_storage sa)
{
	return coh_sockaddr_source((const struct sockaddr *)&sa, size_of(&sa));
}

TEST(sockaddr, has_a_source_that_is_a_host_or_a_network)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/s"};

	CHECK_EQ(source(in4("127.0.0.9", 1)), 0);
	CHECK_EQ(source(in6("::1", 1)), 0);
	CHECK_EQ(coh_sockaddr_source((const struct sockaddr *)&un, sizeof un), 0);
	CHECK_EQ(source(in4("10.1.2.3", 1)), source(in4("10.1.2.3", 2)));
	CHECK(source(in4("10.1.2.3", 1)) != source(in4("10.1.2.4", 1)));
	CHECK_EQ(source(in4("10.1.2.3", 1)), source(in6("::ffff:10.1.2.3", 1)));
	CHECK_EQ(source(in6("2001:db8::1", 1)), source(in6("2001:db8::ffff:1:2:3", 1)));
	CHECK(source(in6("2001:db8::1", 1)) != source(in6("2001:db8:0:1::1", 1)));
	CHECK(source(in6("::2", 1)) != 0);
	CHECK(source(in4("0.0.0.0", 1)) != 0);
}

TEST(sockaddr, prints_a_source)
{
	char text[COH_SOCKADDR_SOURCE_TEXT];

	coh_sockaddr_source_text(0, text);
	CHECK_STR(text, "this machine");
	coh_sockaddr_source_text(source(in4("10.1.2.3", 1)), text);
	CHECK_STR(text, "10.1.2.3");
	coh_sockaddr_source_text(source(in6("2001:db8:1:2:3::4", 1)), text);
	CHECK_STR(text, "2001:db8:1:2::/64");
}

TEST(sockaddr, of_another_kind_is_refused)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0squatted"};
	struct sockaddr_storage sa = {.ss_family = AF_NETLINK};
	char text[COH_SOCKADDR_TEXT] = "old";

	CHECK_EQ(coh_sockaddr_text((struct sockaddr *)&un, sizeof un, text), COHORT_EADDRESS);
	CHECK_STR(text, "");
	CHECK_EQ(coh_sockaddr_text((struct sockaddr *)&sa, sizeof sa, text), COHORT_EADDRESS);
	memset(un.sun_path, 'p', sizeof un.sun_path);
	CHECK_EQ(coh_sockaddr_text((struct sockaddr *)&un, sizeof un, text), COHORT_EADDRESS);
}

static int there_and_back(const char *text)
{
	struct sockaddr_storage sa;
	struct coh_address a, b;
	socklen_t len;
	int rc;

	REQUIRE_EQ(coh_address_parse(&a, text, NULL), 0);
	rc = coh_sockaddr_from_address(&a, &sa, &len);
	if (rc == 0) {
		REQUIRE_EQ(coh_sockaddr_to_address((struct sockaddr *)&sa, len, &b), 0);
		CHECK(coh_address_equal(&a, &b));
	}
	return rc;
}

TEST(sockaddr, is_made_of_numbers_and_paths_and_not_of_names)
{
	CHECK_EQ(there_and_back("tcp://10.1.2.3:65535"), 0);
	CHECK_EQ(there_and_back("tcp://[fe80::1]:1"), 0);
	CHECK_EQ(there_and_back("unix:/run/x"), 0);
	CHECK_EQ(there_and_back("tcp://localhost:1"), COHORT_EADDRESS);
	CHECK_EQ(there_and_back("local:1"), COHORT_EADDRESS);
}

static int object_of(const char *text, char name[COH_ADDRESS_OBJECT_MAX + 1], char where[COH_ADDRESS_TEXT])
{
	struct cohort_error err = {0};
	struct coh_address a;
	int rc = coh_address_parse_object(&a, text, name, &err);

	if (rc == 0)
		coh_address_print(&a, where);
	return CHECK_EQ(rc, err.code) ? rc : 1;
}

TEST(address, of_an_object_ends_in_its_name)
{
	char name[COH_ADDRESS_OBJECT_MAX + 1], where[COH_ADDRESS_TEXT];

	CHECK_EQ(object_of("unix:/run/x/jobs", name, where), 0);
	CHECK_STR(where, "unix:/run/x");
	CHECK_STR(name, "jobs");
	CHECK_EQ(object_of("tcp://Node:4700/a,b:c", name, where), 0);
	CHECK_STR(where, "tcp://node:4700");
	CHECK_STR(name, "a,b:c");
	CHECK_EQ(object_of("tls://[::1]:4700/j", name, where), 0);
	CHECK_STR(where, "tls://[::1]:4700");
}

TEST(address, of_an_object_is_refused_when_it_names_none)
{
	static const char *const bad[] = {"unix:/jobs", "unix:/run/x/", "tcp://node:4700", "tcp://node:4700/",
	    "tcp://node/jobs", "tcp://node:0/jobs", "tcp://node:1/a/b", "tcp://node:1/..", "local:2/jobs",
	    "listen:unix:/run/x/jobs", "python+tcp://node:1/jobs", "tcp://a:1,tcp://b:1/jobs", "", "/"};
	char name[COH_ADDRESS_OBJECT_MAX + 1], where[COH_ADDRESS_TEXT], text[600] = "tcp://node:1/";

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (!CHECK_EQ(object_of(bad[i], name, where), COHORT_EADDRESS))
			FAIL("%s", bad[i]);
	memset(text + strlen(text), 'x', COH_ADDRESS_OBJECT_MAX);
	CHECK_EQ(object_of(text, name, where), 0);
	text[strlen(text)] = 'x';
	CHECK_EQ(object_of(text, name, where), COHORT_EADDRESS);
}
