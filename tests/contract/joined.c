/*
 * joined.c - two connected ends of any kind.
 *
 * What needs an address is in joined_net.c, so that core is tested without the other half.
 */
#include "contract/joined.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *joined_kind(void)
{
	const char *kind = getenv("COHORT_CONTRACT");

	return kind != NULL ? kind : "pair";
}

bool joined_bare(void)
{
	return strcmp(joined_kind(), "memory") != 0 && strncmp(joined_kind(), "tls", 3) != 0;
}

cohort_time joined_patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

/* joined_net.c, where there is a network half. */
__attribute__((weak)) struct joined joined_by_net(const char *address);

struct joined joined_open(void)
{
	const char *kind = joined_kind();
	char address[512];
	struct joined j = {0};

	REQUIRE(strcmp(kind, "pair") == 0 || strcmp(kind, "memory") == 0 || joined_by_net != NULL);
	if (strcmp(kind, "pair") == 0) {
		REQUIRE_EQ(cohort_conn_pair(&j.a, &j.b, NULL), 0);
	} else if (strcmp(kind, "memory") == 0) {
		REQUIRE_EQ(cohort_conn_memory(&j.a, &j.b, NULL), 0);
	} else if (strcmp(kind, "unix") == 0) {
		snprintf(address, sizeof address, "unix:%s", test_path("socket"));
		j = joined_by_net(address);
	} else {
		j = joined_by_net(strcmp(kind, "tcp6") == 0    ? "tcp://[::1]:0"
			: strncmp(kind, "tls", 3) == 0 ? "tls://127.0.0.1:0"
						   : "tcp://127.0.0.1:0");
	}
	REQUIRE(j.a != NULL && j.b != NULL);
	return j;
}

void joined_close(struct joined *j)
{
	cohort_conn_close(j->a);
	cohort_conn_close(j->b);
	*j = (struct joined){0};
}

void joined_raw(struct cohort_conn *c, const void *data, size_t size)
{
	struct iovec iov = {.iov_len = size};
	ssize_t n;

	memcpy(&iov.iov_base, &data, sizeof data);
	while (iov.iov_len != 0) {
		n = c->ops->write(c->self, &iov, 1, joined_patience());
		REQUIRE(n > 0);
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
	}
}

void joined_raw_header(struct cohort_conn *c, uint8_t type, uint32_t length)
{
	struct coh_frame f = {.type = type, .length = length};
	unsigned char header[COH_FRAME_SIZE];

	coh_frame_encode(&f, header);
	joined_raw(c, header, sizeof header);
}
