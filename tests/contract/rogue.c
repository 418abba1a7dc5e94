/* rogue.c - a peer that writes raw frames. */
#include "contract/rogue.h"

#include "contract/joined.h"
#include "os/fd.h"
#include "support/test.h"

#include <sys/socket.h>
#include <unistd.h>

struct rogue rogue_open(enum coh_frame_phase phase)
{
	struct rogue r;
	int fds[2];

	REQUIRE_EQ(coh_fd_pair(fds, SOCK_STREAM), 0);
	REQUIRE_EQ(coh_conn_from_fd(&r.conn, fds[0], phase, "rogue", NULL), 0);
	r.socket = fds[1];
	return r;
}

void rogue_close(struct rogue *r)
{
	cohort_conn_close(r->conn);
	close(r->socket);
}

void rogue_send(struct rogue *r, struct coh_frame f, const void *body, const int *fds, int n)
{
	unsigned char header[COH_FRAME_SIZE];
	struct iovec iov[2] = {{header, sizeof header}, {(void *)(uintptr_t)body, f.length}};

	coh_frame_encode(&f, header);
	CHECK_EQ(coh_fd_send(r->socket, iov, 2, fds, n), (ssize_t)(sizeof header + f.length));
}

struct coh_frame rogue_hear(struct rogue *r)
{
	unsigned char header[COH_FRAME_SIZE];
	struct coh_frame f = {0};

	REQUIRE_EQ(recv(r->socket, header, sizeof header, MSG_WAITALL), (ssize_t)sizeof header);
	CHECK_EQ(coh_frame_decode(&f, header, r->conn->phase, NULL), 0);
	CHECK_EQ(f.length, 0);
	return f;
}

void rogue_expect_end(struct rogue *r, const char *why)
{
	const void *data;
	size_t size;
	int rc;

	while ((rc = cohort_conn_recv_bytes(r->conn, &data, &size, joined_patience())) == 0)
		;
	CHECK_EQ(rc, COHORT_EPROTOCOL);
	CHECK_HAS(cohort_conn_error(r->conn), why);
	rogue_close(r);
}
