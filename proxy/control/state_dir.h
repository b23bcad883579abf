/* pgweir.state_dir, made before anything is kept in it. */
#ifndef PROXY_CONTROL_STATE_DIR_H
#define PROXY_CONTROL_STATE_DIR_H

#include <stdbool.h>

/* Makes the directory and those above it (0750: SQL is kept there). False, with errno: it cannot be
 * written. */
bool pw_state_dir_make(const char *path);

#endif
