/*
 * port_file.h - tell others, by a file, which port the system chose.
 */
#ifndef COH_NODE_PORT_FILE_H
#define COH_NODE_PORT_FILE_H

#include <cohort/error.h>

/*
 * Write ADDRESS and a newline to the file PATH, replacing a plain file of that name at once: who
 * waits for it finds it whole.  0; -EEXIST (there is something else, a pipe or a link: not ours
 * to replace); -errno of writing.
 */
int coh_port_file_write(const char *path, const char *address, struct cohort_error *err);

#endif
