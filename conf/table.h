/*
 * conf.def as arrays, and a value's way between text and field. Rooms other than conf read settings
 * through conf.h; this header is for the loader and the documents. Static data only.
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include "conf/conf.h"
#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

enum conf_kind {
    CONF_KIND_BOOL,     /* bool */
    CONF_KIND_ENUM,     /* an enum, by names */
    CONF_KIND_COUNT,    /* uint32_t; names: words that stand for 0 */
    CONF_KIND_PERCENT,  /* uint32_t, "60" or "60%" */
    CONF_KIND_FRACTION, /* double 0 .. 1, "0.5%" */
    CONF_KIND_DURATION, /* uint64_t microseconds */
    CONF_KIND_BYTES,    /* uint64_t */
    CONF_KIND_TEXT,     /* const char * */
    CONF_KIND_ADDRESS,  /* const char *, "host:port" or "" */
    CONF_KIND_LIST,     /* const char *const * followed by size_t */
    CONF_KIND_URL,      /* parsed by url.h, not here */
};

enum conf_flags { CONF_RESTART = 0, CONF_RELOAD = 1 };

struct conf_row {
    const char *section, *key;
    enum conf_kind kind;
    size_t offset, size;      /* in struct pw_conf, conf_database or conf_cache_rule */
    const char *const *names; /* NULL-terminated */
    const char *def;
    uint64_t min, max;
    unsigned flags;
    const char *help;
};

struct conf_section {
    const char *name, *help;
};

extern const struct conf_row pw_conf_rows[];
extern const size_t pw_conf_n_rows;
extern const struct conf_row pw_conf_database_rows[];
extern const size_t pw_conf_n_database_rows;
extern const struct conf_row pw_conf_rule_rows[];
extern const size_t pw_conf_n_rule_rows;
extern const struct conf_section pw_conf_sections[];
extern const size_t pw_conf_n_sections;

bool pw_conf_section_exists(struct slice name);
/* In one of the arrays above; section NULL: any. NULL when there is none. */
const struct conf_row *pw_conf_row_find(const struct conf_row *rows, size_t n, const char *section,
                                        struct slice key);

/* Parses text into the row's field of *base for every kind but TEXT, ADDRESS, LIST and URL (those
 * are only checked: the caller stores the text). False: *why holds what was expected. */
bool pw_conf_value_parse(const struct conf_row *row, struct slice text, void *base,
                         struct buf *why);
/* The field's canonical text; TEXT and ADDRESS as they are, LIST as [a, b]. */
void pw_conf_value_print(const struct conf_row *row, const void *base, struct buf *out);

const char *pw_conf_row_type(const struct conf_row *row);
void pw_conf_row_range(const struct conf_row *row, struct buf *out); /* "1 .. 100", "a|b" or "" */

/* Splits "host:port" into its parts; false when it is neither that nor "[v6]:port", ":port" or
 * "*:port". */
bool pw_conf_address_split(struct slice text, struct slice *host, uint16_t *port);
bool pw_conf_address_is_loopback(struct slice text);

#endif
