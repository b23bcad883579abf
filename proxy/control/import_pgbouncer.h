/* pgbouncer.ini (1.25) as pgweir.yaml. Pure but for reading the file. */
#ifndef PROXY_CONTROL_IMPORT_PGBOUNCER_H
#define PROXY_CONTROL_IMPORT_PGBOUNCER_H

#include "conf/conf.h"
#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

/* Appends YAML to out; what has no equivalent becomes a "# note:" there. False: errors hold
 * "FILE:LINE: message". *errors is initialised; free it in any case. */
bool pw_import_pgbouncer(struct slice text, const char *file_name, struct buf *out,
                         struct conf_errors *errors);
bool pw_import_pgbouncer_load(const char *path, struct buf *out, struct conf_errors *errors);

#endif
