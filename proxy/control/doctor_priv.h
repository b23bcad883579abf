/* Between the doctor's two files. Main thread. */
#ifndef PROXY_CONTROL_DOCTOR_PRIV_H
#define PROXY_CONTROL_DOCTOR_PRIV_H

#include "conf/conf.h"

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

struct doctor {
    const struct pw_conf *conf; /* BORROW */
    size_t counts[3];           /* by verdict */
};

/* One line; fix is printed unless all is well. */
void pw_doctor_say(struct doctor *d, enum verdict verdict, const char *fix, const char *fmt, ...)
    PW_PRINTF(4, 5);
/* Everything about one database: both legs. */
void pw_doctor_upstream(struct doctor *d, const struct conf_database *db);

#endif
