/*
 * fuzz_handshake_client.c - a rogue server's frames at the client's end; handshake_world.h says
 * what must hold.  PLANT: a server's proof is compared without its last 4 bytes.
 */
#include "handshake_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef PLANT
static int feed(struct world *w, const struct piece *p, struct cohort_error *err)
{
	unsigned char whole[24 + COH_HASH_SIZE];
	struct piece patched = {p->f, whole};
	/* the end of the one right proof after the hello in the corpus */
	static const unsigned char end[] = {0x68, 0x8c, 0x62, 0x48};

	if (p->f.type != COH_FRAME_SERVER_PROOF || p->f.length != sizeof whole)
		return world_feed(w, p, err);
	memcpy(whole, p->body, sizeof whole - sizeof end);
	memcpy(whole + sizeof whole - sizeof end, end, sizeof end);
	return world_feed(w, &patched, err);
}
#else
#define feed world_feed
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_run(COH_HANDSHAKE_CLIENT, feed, data, size);
	return 0;
}
