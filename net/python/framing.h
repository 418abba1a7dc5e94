/*
 * framing.h - how a message of multiprocessing.connection looks on the wire.
 *
 *   0 .. 0x7fffffff bytes   4 bytes, signed, big-endian: the length; then the bytes
 *   more, since 3.8         ff ff ff ff, 8 bytes, big-endian: the length; then the bytes
 *
 * A short message in the long form is taken too; any other negative length, which CPython takes for
 * an empty message, is COHORT_EPROTOCOL.  We never send the long form: COHORT_MESSAGE_MAX is less.
 */
#ifndef COH_PYTHON_FRAMING_H
#define COH_PYTHON_FRAMING_H

#include "conn/framing.h"

/* During the handshake: COH_DIALECT_MESSAGE_MAX bytes.  Longer ones are COHORT_ETOOBIG. */
extern const struct coh_framing coh_framing_python_greeting;

/* After it: COHORT_MESSAGE_MAX bytes. */
extern const struct coh_framing coh_framing_python_data;

#endif
