/*
 * fuzz_handshake_server.c - a stranger's frames at the server's end; handshake_world.h says what
 * must hold.  PLANT: what follows a client's hello is not looked at.
 */
#include "handshake_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef PLANT
static int feed(struct world *w, const struct piece *p, struct cohort_error *err)
{
	int rc = world_feed(w, p, err);

	return strstr(err->text, "bytes follow its hello") != NULL ? COH_HANDSHAKE_MORE : rc;
}
#else
#define feed world_feed
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_run(COH_HANDSHAKE_SERVER, feed, data, size);
	return 0;
}
