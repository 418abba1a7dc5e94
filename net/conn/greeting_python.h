/*
 * greeting_python.h - Python's handshake carried over a connection: the parts of greeting.h for it.
 *
 * The connection speaks Python's framing (mode.h made it so), and CPython's listener speaks first.
 */
#ifndef COH_CONN_GREETING_PYTHON_H
#define COH_CONN_GREETING_PYTHON_H

#include "conn/greeting.h"

/* As the functions of greeting.h.  A server's init sends its challenge. */
int coh_greeting_python_init(struct coh_greeting *g, const struct coh_identity *id,
    enum coh_handshake_role role, struct cohort_error *err);
int coh_greeting_python_step(struct coh_greeting *g, struct cohort_error *err);
void coh_greeting_python_admit(struct coh_greeting *g);

#endif
