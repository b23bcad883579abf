/* See state_dir.h. */
#include "proxy/control/state_dir.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/alloc.h"

enum { STATE_DIR_MODE = 0750 };

bool pw_state_dir_make(const char *path)
{
    char *part = pw_strdup(path);
    for (char *slash = part; *slash && (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        mkdir(part, STATE_DIR_MODE); /* most are there; what matters is said below */
        *slash = '/';
    }
    bool usable = mkdir(part, STATE_DIR_MODE) == 0 || errno == EEXIST;
    pw_free(part);
    return usable && access(path, W_OK | X_OK) == 0;
}
