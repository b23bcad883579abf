/* `pgweir doctor`: tries what the proxy will need. Blocking, main thread. */
#ifndef PROXY_CONTROL_DOCTOR_H
#define PROXY_CONTROL_DOCTOR_H

#include "conf/conf.h"

/* One line per check on standard output: OK, WARN or FAIL, what was found and its fix. Exit status
 * 0, or 3 after a FAIL. */
int pw_doctor_run(const struct pw_conf *conf);

#endif
