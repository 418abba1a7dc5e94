/*
 * name.h - the one grammar of names: [A-Za-z0-9_.-]{1,64}.
 *
 * For everything that a peer may name: clusters, nodes, tasks, queues.  A name that fits can
 * stand in a log line, a sentence or a file name as it is; as a file name, mind "." and "..".
 */
#ifndef COH_BASE_NAME_H
#define COH_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define COH_NAME_MAX 64

/* True when the N bytes at S are a name. */
bool coh_name_valid(const char *s, size_t n);

#endif
