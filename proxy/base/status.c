#include "proxy/base/status.h"

#include "proxy/base/check.h"

static const struct status_row {
    const char *name, *sqlstate, *text;
    bool fatal;
} rows[] = {
#define PW_STATUS(name, sqlstate, fatal, text) {#name, sqlstate, text, fatal},
#include "proxy/base/status.def"
#undef PW_STATUS
};

static const struct status_row *row(enum pw_status s)
{
    PW_CHECK(s < PW_STATUS_COUNT);
    return &rows[s];
}

const char *pw_status_name(enum pw_status s)
{
    return row(s)->name;
}

const char *pw_status_sqlstate(enum pw_status s)
{
    return row(s)->sqlstate;
}

const char *pw_status_text(enum pw_status s)
{
    return row(s)->text;
}

bool pw_status_is_fatal(enum pw_status s)
{
    return row(s)->fatal;
}
