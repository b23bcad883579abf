/* Private to the profile files. */
#ifndef ADVISOR_PROFILE_PRIV_H
#define ADVISOR_PROFILE_PRIV_H

#include "advisor/mem.h"
#include "advisor/profile.h"

struct profile_reading {
    const char *group, *name, *unit;
    double mean, peak;
};

struct profile_curve {
    const char *name, *unit;
    double *seconds, *v;
    size_t n;
};

/* Of one family on the server, from pg_stat_statements and pg_stat_kcache. */
struct server_family {
    uint64_t family;
    double calls, exec_ms, blks_hit, blks_read, blks_written, temp_blks, wal_bytes, jit_ms, io_ms;
    double cpu_s, disk_read, disk_written; /* kcache: seconds, bytes; NAN without it */
};

/* One process of the server on this host. */
struct server_backend {
    int64_t pid;
    double started;                 /* seconds since 1970 */
    const char *kind, *who, *where; /* backend_type, user and application, database */
    double cpu_s, memory;           /* memory: anonymous bytes now; NAN when unknown */
    double disk_read, disk_written; /* bytes; NAN when /proc/pid/io may not be read */
    bool ours;                      /* the connection that asks */
};

struct server_reading {
    struct arena mem; /* owns the rows */
    struct server_family *families;
    size_t n_families;
    struct server_backend *backends; /* empty when the server is remote */
    size_t n_backends;
    const char **notes; /* what could not be read, and why */
    size_t n_notes;
    bool has_pgss, has_kcache, local;
    double commits, blks_read, blks_hit, temp_files, temp_bytes, deadlocks, block_size;
};

enum profile_cpu { PROFILE_CPU_UNKNOWN, PROFILE_CPU_KCACHE, PROFILE_CPU_SHARE };

struct profile_row {
    struct profile_family seen;
    struct server_family server; /* differences; NAN when not known */
    double temp_bytes;           /* written to temporary files */
    enum profile_cpu cpu_from;   /* SHARE: its part of the backends' CPU, by execution time */
};

/* A backend over the window. */
struct profile_backend {
    struct server_backend b; /* cpu_s, disk_*: differences */
    const char *database;    /* the reading it is from */
};

struct profile {
    struct arena mem;
    uint64_t from_us, to_us;
    struct profile_row *rows;
    size_t n_rows;
    struct profile_reading *readings;
    size_t n_readings;
    struct profile_curve *curves;
    size_t n_curves;
    struct profile_backend *backends; /* most CPU first after pw_profile_sort */
    size_t n_backends;
    const char **notes;
    size_t n_notes;
    struct advice_set **advice; /* a reference each */
    size_t n_advice;
};

/* On the advisor's thread: parses the statements' texts. NULL: *error says why. */
struct server_reading *pw_server_read(const char *conninfo, char **error);
void pw_profile_sort(struct profile *p);
static inline double pw_profile_own_ms(const struct profile_family *f)
{
    double own = f->total_ms - f->wait_ms - f->server_ms;
    return own > 0 ? own : 0;
}

/* Every figure of a row, by the name it has in JSON. */
struct profile_figure {
    const char *name;
    double value;
};
enum { PW_PROFILE_FIGURES = 24 };
size_t pw_profile_figures(const struct profile_row *r,
                          struct profile_figure out[PW_PROFILE_FIGURES]);
const char *pw_profile_cpu_text(enum profile_cpu from); /* NULL: unknown */
/* Is this advice about one of the hot families? */
bool pw_profile_concerns(const struct profile *p, const struct advice *a);

#endif
