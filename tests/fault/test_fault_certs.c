/* test_fault_certs.c - the same over TLS, by certificates: every system call fails, in turn (scene.h). */
#include "fault/scene.h"
#include "net/pki.h"
#include "support/test.h"

/* Certificates, keys and lists are read from files, before and within it. */
TEST_TIMEOUT(fault_certs, every_call_by_certificates, 240)
{
	struct scene s = {.address = "tls://127.0.0.1:0"};

	pki_open();
	s.options = pki_options("guest");
	s.options.crl_file = pki_list();
	scene_sweep(&s, false);
	scene_sweep(&s, true);
}
