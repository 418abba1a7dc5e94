/* bell.c - ringing and hushing: the same bytes do for an eventfd and for a fifo. */
#include "sync/bell.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#define GULP 64 /* rings taken from a fifo by one call; an eventfd gives all at once */

void coh_bell_ring(int fd)
{
	const uint64_t one = 1;
	int before = errno;

	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		; /* EAGAIN: it is as loud as it can be */
	errno = before;
}

void coh_bell_hush(int fd)
{
	uint64_t rings[GULP];
	int before = errno;
	ssize_t n;

	do
		n = read(fd, rings, sizeof rings);
	while (n > 0 || (n < 0 && errno == EINTR));
	errno = before;
}
