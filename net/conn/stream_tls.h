/*
 * stream_tls.h - a connection through TLS over a connected TCP socket.
 */
#ifndef COH_CONN_STREAM_TLS_H
#define COH_CONN_STREAM_TLS_H

#include "conn/conn_priv.h"
#include "trust/tls_openssl.h"

/*
 * A connection in COH_PHASE_STRANGER over an end made as CONFIG says, whose descriptor it takes on
 * success.  The handshake of TLS goes on inside its first reads and writes.
 * 0, or as coh_tls_new.
 */
int coh_stream_tls_conn(struct cohort_conn **out, const struct coh_tls_config *config,
    const char *peer, struct cohort_error *err);

/* The end under C, which stays C's; NULL when C is another kind of connection. */
struct coh_tls *coh_stream_tls_end(const struct cohort_conn *c);

#endif
