/*
 * fuzz_tls_first.c - bytes of a stranger, in parts of any size, gathered as the first record of TLS.
 *
 * What must hold: what is gathered is never more than may be, is given back as it came and in its order, and
 * the answer does not depend on how the bytes were cut.  PLANT: a record of 300 bytes loses its last.
 */
#include "base/object.h"
#include "trust/tls_first.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gather DATA, which comes PART bytes at a time.  What the last call said; GOT holds what it gives. */
static int gather(const uint8_t *data, size_t size, size_t part, unsigned char *got, size_t *n)
{
	struct coh_tls_first f;
	int fds[2], rc = -EAGAIN;
	size_t sent = 0, more;

	COH_ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	coh_tls_first_init(&f);
	while (rc == -EAGAIN && sent < size) {
		more = size - sent < part ? size - sent : part;
		COH_ASSERT(send(fds[1], data + sent, more, 0) == (ssize_t)more);
		sent += more;
		rc = coh_tls_first_gather(&f, fds[0], false);
	}
	shutdown(fds[1], SHUT_WR);
	if (rc == -EAGAIN)
		rc = coh_tls_first_gather(&f, fds[0], false);
	COH_ASSERT(f.bytes.tail - f.bytes.head <= COH_TLS_FIRST_MAX);
	*n = 0;
	while ((more = coh_tls_first_give(&f, got + *n, 7)) != 0)
		*n += more;
#ifdef PLANT
	if (size > 5 && data[0] == 0x16 && data[3] == 1 && data[4] == 44)
		*n -= *n != 0;
#endif
	coh_tls_first_fini(&f);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char whole[2 * COH_TLS_FIRST_MAX], cut[2 * COH_TLS_FIRST_MAX];
	size_t part = size != 0 ? 1 + data[size - 1] % 97 : 1, n, m, record;
	int rc;

	if (size > COH_TLS_FIRST_MAX)
		return 0;
	rc = gather(data, size, size != 0 ? size : 1, whole, &n);
	COH_ASSERT(rc == 0 || rc == -EMSGSIZE);
	COH_ASSERT(n <= size && memcmp(whole, data, n) == 0);
	COH_ASSERT(gather(data, size, part, cut, &m) == rc);
	record = size >= 5 ? 5 + (size_t)(data[3] << 8 | data[4]) : size + 1;
	if (rc == 0 && size != 0 && data[0] == 0x16) /* all of the record is there, however it came */
		COH_ASSERT(record > size ? n == size && m == size : n >= record && m >= record);
	return 0;
}
