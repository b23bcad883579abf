/* What each PgBouncer setting becomes, in one table, and the writer; see import_pgbouncer.h. */
#include "proxy/control/import_pgbouncer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/file.h"
#include "conf/raw.h"
#include "proxy/base/alloc.h"
#include "proxy/base/num.h"
#include "proxy/control/import_ini.h"

enum { INI_MAX = 1 << 20, WORD_MAX_LEN = 1024 };

enum form {
    AS_IS,     /* the value in quotes */
    NUMBER,    /* the value */
    SECONDS,   /* a PgBouncer time is a number of seconds */
    LIST,      /* comma-separated users */
    ELSEWHERE, /* written by the code below */
    NOTE,      /* no equivalent: say what happens instead */
    SILENT,    /* not needed here, and nobody will miss it */
};

struct mapping {
    const char *from;
    enum form form;
    const char *section, *to; /* NOTE: `to` is the text */
};

#define POOL "databases" /* settings that pgweir has per database */

static const struct mapping mappings[] = {
#define IMPORT(from, form, section, to) {from, form, section, to},
#include "proxy/control/import_pgbouncer.def"
};

struct importer {
    const struct ini *ini;
    struct buf *out;
    struct buf notes;
    struct conf_errors *errors;
    const char *file_name;
};

static const char *get(const struct importer *im, const char *key)
{
    const char *value = pw_ini_get(im->ini, "pgbouncer", key);
    /* what PgBouncer's own sample says where nothing is set */
    return value && strcmp(value, "<system default>") == 0 ? NULL : value;
}

static const char *get_or(const struct importer *im, const char *key, const char *otherwise)
{
    const char *value = get(im, key);
    return value && *value ? value : otherwise;
}

static void quoted(struct buf *out, const char *text)
{
    pw_buf_append_str(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            pw_buf_append_str(out, "\\");
        pw_buf_append(out, text, 1);
    }
    pw_buf_append_str(out, "\"");
}

static void error_at(struct importer *im, size_t line, const char *message, const char *what)
{
    char where[CONF_WHERE_MAX];
    snprintf(where, sizeof where, "%s:%zu", im->file_name, line);
    pw_conf_error(im->errors, where, "%s: %s", what, message);
}

/* 3600 and 3600.0 are seconds; since 1.25 "1h" may be written too. */
static bool write_seconds(struct buf *out, const char *value)
{
    uint64_t us;
    char text[32];
    if (!pw_num_parse_duration(pw_slice_str(value), &us))
        return false;
    return pw_buf_append_str(out, pw_num_print_duration(us, text, sizeof text));
}

static void write_list(struct buf *out, const char *value)
{
    const char *separator = "";
    pw_buf_append_str(out, "[");
    for (const char *at = value + strspn(value, ", \t"); *at; at += strspn(at, ", \t")) {
        size_t len = strcspn(at, ", \t");
        char *item = pw_strndup(at, len);
        pw_buf_append_str(out, separator);
        quoted(out, item);
        pw_free(item);
        separator = ", ";
        at += len;
    }
    pw_buf_append_str(out, "]");
}

static bool write_form(struct buf *out, enum form form, const char *value)
{
    uint64_t number;
    switch (form) {
    case NUMBER:
        return pw_num_parse_u64(pw_slice_str(value), &number) && pw_buf_append_str(out, value);
    case SECONDS:
        return write_seconds(out, value);
    case LIST:
        write_list(out, value);
        return true;
    default:
        quoted(out, value);
        return true;
    }
}

/* "  key: value" of the mappings of one section that the file gives. */
static void write_mapped(struct importer *im, const char *section, const char *indent,
                         const char *const *skip, size_t n_skip)
{
    for (size_t i = 0; i < PW_COUNT_OF(mappings); i++) {
        const struct mapping *m = &mappings[i];
        const char *value =
            m->form <= LIST && strcmp(m->section, section) == 0 ? get(im, m->from) : NULL;
        bool skipped = !value || !*value;
        for (size_t s = 0; !skipped && s < n_skip; s++)
            skipped = strcmp(skip[s], m->to) == 0;
        if (skipped)
            continue;
        pw_buf_printf(im->out, "%s%s: ", indent, m->to);
        if (!write_form(im->out, m->form, value))
            pw_conf_error(im->errors, im->file_name, "%s: bad value \"%.80s\"", m->from, value);
        pw_buf_append_str(im->out, "\n");
    }
}

static void write_listen(struct importer *im)
{
    const char *addr = get_or(im, "listen_addr", ""), *port = get_or(im, "listen_port", "6432");
    size_t len = strcspn(addr, ", ");
    if (!*addr) {
        pw_buf_append_str(im->out, "  listen: off\n");
        if (!get(im, "unix_socket_dir"))
            pw_buf_append_str(im->out, "  unix_socket: \"/tmp\"\n");
        return;
    }
    if (addr[len])
        pw_buf_printf(&im->notes,
                      "# note: listen_addr: pgweir listens on one address; \"*\" is all\n");
    bool v6 = memchr(addr, ':', len) != NULL;
    pw_buf_printf(im->out, "  listen: \"%s%.*s%s:%s\"\n", v6 ? "[" : "", (int)len, addr,
                  v6 ? "]" : "", port);
}

static void write_auth_type(struct importer *im)
{
    static const char *const words[][3] = {
        {"md5", "md5", NULL},
        {"scram-sha-256", "scram-sha-256", NULL},
        {"cert", "cert", NULL},
        {"trust", "trust", NULL},
        {"hba", "upstream",
         "auth_type hba: the rules of auth.hba_file decide; upstream where they say md5 or scram"},
        {"any", "trust", "auth_type any: pgweir logs clients in by the name they give"},
        {"plain", "md5", "auth_type plain: the password is not asked for in plain text any more"},
        {"pam", "upstream", "auth_type pam is not supported: the server's own log-in decides"},
        {"ldap", "upstream", "auth_type ldap is not supported: the server's own log-in decides"},
    };
    const char *type = get_or(im, "auth_type", "md5");
    for (size_t i = 0; i < PW_COUNT_OF(words); i++)
        if (strcmp(words[i][0], type) == 0) {
            bool has_verifiers = get(im, "auth_file") || get(im, "auth_query");
            bool needs =
                strcmp(words[i][1], "md5") == 0 || strcmp(words[i][1], "scram-sha-256") == 0;
            pw_buf_printf(im->out, "  type: %s\n",
                          needs && !has_verifiers ? "upstream" : words[i][1]);
            if (words[i][2])
                pw_buf_printf(&im->notes, "# note: %s\n", words[i][2]);
            return;
        }
    pw_conf_error(im->errors, im->file_name, "auth_type: unknown \"%.60s\"", type);
}

static const char *tls_word(struct importer *im, const char *key, bool client, const char *value)
{
    static const char *const server[] = {"disable", "prefer", "require", "verify-ca",
                                         "verify-full"};
    if (strcmp(value, "allow") == 0 || strcmp(value, "prefer") == 0)
        return client ? "allow" : "prefer";
    if (client && strcmp(value, "verify-ca") == 0) {
        pw_buf_printf(&im->notes, "# note: %s verify-ca has become verify-full\n", key);
        return "verify-full";
    }
    for (size_t i = 0; i < PW_COUNT_OF(server); i++)
        if (strcmp(value, server[i]) == 0)
            return server[i];
    pw_conf_error(im->errors, im->file_name, "%s: unknown mode \"%.60s\"", key, value);
    return "disable";
}

static void write_sections(struct importer *im)
{
    pw_buf_append_str(im->out, "pgweir:\n");
    write_listen(im);
    write_mapped(im, "pgweir", "  ", NULL, 0);
    if (strcmp(get_or(im, "verbose", "0"), "0") != 0)
        pw_buf_append_str(im->out, "  log_level: debug\n");
    pw_buf_append_str(im->out, "auth:\n");
    write_auth_type(im);
    write_mapped(im, "auth", "  ", NULL, 0);
    pw_buf_append_str(im->out, "tls:\n");
    pw_buf_printf(
        im->out, "  client_mode: %s\n",
        tls_word(im, "client_tls_sslmode", true, get_or(im, "client_tls_sslmode", "disable")));
    pw_buf_printf(
        im->out, "  server_mode: %s\n",
        tls_word(im, "server_tls_sslmode", false, get_or(im, "server_tls_sslmode", "prefer")));
    write_mapped(im, "tls", "  ", NULL, 0);
}

/* ---- databases ----------------------------------------------------------------------------------
 */

static void url_encode(struct buf *out, const char *text)
{
    for (; *text; text++)
        if (isalnum((unsigned char)*text) || strchr("-._~", *text))
            pw_buf_append(out, text, 1);
        else
            pw_buf_printf(out, "%%%02X", (unsigned char)*text);
}

struct database {
    char host[WORD_MAX_LEN], port[WORD_MAX_LEN], dbname[WORD_MAX_LEN], user[WORD_MAX_LEN],
        password[WORD_MAX_LEN];
    struct buf pool;         /* "    key: value" lines */
    const char *written[16]; /* pool keys the database sets itself */
    size_t n_written;
};

static void write_hosts(struct buf *out, const struct database *db)
{
    const char *host = db->host, *port = db->port;
    do {
        size_t len = strcspn(host, ","), port_len = strcspn(port, ",");
        char one[WORD_MAX_LEN];
        snprintf(one, sizeof one, "%.*s", (int)len, host);
        if (strchr(one, ':'))
            pw_buf_printf(out, "[%s]", one);
        else
            url_encode(out, one);
        if (port_len)
            pw_buf_printf(out, ":%.*s", (int)port_len, port);
        host += len;
        port += port[port_len] ? port_len + 1 : 0;
        if (*host)
            pw_buf_append_str(out, ",");
    } while (*host++);
}

static void write_parameter(struct buf *out, const char **separator, const char *key,
                            const char *value)
{
    if (!value || !*value)
        return;
    pw_buf_printf(out, "%s%s=", *separator, key);
    url_encode(out, value);
    *separator = "&";
}

static void write_url(struct importer *im, const struct database *db, struct buf *url)
{
    const char *separator = "?";
    pw_buf_append_str(url, "postgres://");
    url_encode(url, db->user);
    if (*db->password) {
        pw_buf_append_str(url, ":");
        url_encode(url, db->password);
    }
    pw_buf_append_str(url, *db->user ? "@" : "");
    write_hosts(url, db);
    pw_buf_append_str(url, "/");
    url_encode(url, db->dbname);
    write_parameter(url, &separator, "sslrootcert", get(im, "server_tls_ca_file"));
    write_parameter(url, &separator, "sslcert", get(im, "server_tls_cert_file"));
    write_parameter(url, &separator, "sslkey", get(im, "server_tls_key_file"));
    write_parameter(url, &separator, "connect_timeout", get(im, "server_connect_timeout"));
}

static void take_pool_word(struct importer *im, struct database *db, const struct ini_entry *e,
                           const char *key, const char *value)
{
    static const struct mapping words[] = {
        {"pool_size", NUMBER, NULL, "pool_size"},
        {"min_pool_size", NUMBER, NULL, "min_pool_size"},
        {"reserve_pool", NUMBER, NULL, "reserve_pool_size"},
        {"reserve_pool_size", NUMBER, NULL, "reserve_pool_size"},
        {"max_db_client_connections", NUMBER, NULL, "max_clients"},
        {"server_lifetime", SECONDS, NULL, "server_lifetime"},
        {"query_timeout", SECONDS, NULL, "query_timeout"},
        {"idle_transaction_timeout", SECONDS, NULL, "idle_transaction_timeout"},
    };
    for (size_t i = 0; i < PW_COUNT_OF(words); i++)
        if (strcmp(words[i].from, key) == 0 && db->n_written < PW_COUNT_OF(db->written)) {
            pw_buf_printf(&db->pool, "    %s: ", words[i].to);
            if (!write_form(&db->pool, words[i].form, value))
                error_at(im, e->line, "bad value", key);
            pw_buf_append_str(&db->pool, "\n");
            db->written[db->n_written++] = words[i].to;
            return;
        }
    pw_buf_printf(&im->notes, "# note: database %s: %s has no equivalent\n", e->key, key);
}

static void write_pool_mode(struct importer *im, struct buf *out, const char *mode)
{
    if (strcmp(mode, "session") != 0 && strcmp(mode, "transaction") != 0 &&
        strcmp(mode, "statement") != 0)
        pw_conf_error(im->errors, im->file_name, "pool_mode: unknown \"%.60s\"", mode);
    pw_buf_printf(out, "    pool_mode: %s\n", mode);
}

static void take_word(struct importer *im, struct database *db, const struct ini_entry *e,
                      const char *key, const char *value, const char **pool_mode, char *mode_text)
{
    const struct {
        const char *key;
        char *field;
    } fields[] = {{"host", db->host},
                  {"port", db->port},
                  {"dbname", db->dbname},
                  {"user", db->user},
                  {"password", db->password}};
    for (size_t i = 0; i < PW_COUNT_OF(fields); i++)
        if (strcmp(key, fields[i].key) == 0) {
            memcpy(fields[i].field, value, strlen(value) + 1); /* both are WORD_MAX_LEN long */
            if (strcmp(key, "user") == 0)
                pw_buf_printf(&im->notes,
                              "# note: database %s: PgBouncer logs every client in as %s; pgweir "
                              "asks as %s for "
                              "its own questions and logs each client in as itself\n",
                              e->key, value, value);
            return;
        }
    if (strcmp(key, "pool_mode") == 0) {
        memcpy(mode_text, value, strlen(value) + 1);
        *pool_mode = mode_text;
    } else if (strcmp(key, "auth_user") == 0) {
        if (!*db->user)
            memcpy(db->user, value, strlen(value) + 1);
    } else {
        take_pool_word(im, db, e, key, value);
    }
}

static void write_database(struct importer *im, const struct ini_entry *e, struct database *db)
{
    char key[WORD_MAX_LEN], value[WORD_MAX_LEN], mode_text[WORD_MAX_LEN];
    const char *rest = e->value, *pool_mode = get_or(im, "pool_mode", "session");
    struct buf url;
    int got;
    *db = (struct database){0};
    pw_buf_init(&db->pool, INI_MAX);
    pw_buf_init(&url, INI_MAX);
    if (strcmp(e->key, "*") != 0)
        snprintf(db->dbname, sizeof db->dbname, "%s", e->key);
    while ((got = pw_ini_next_word(&rest, key, value, sizeof key)) > 0)
        take_word(im, db, e, key, value, &pool_mode, mode_text);
    if (got < 0)
        error_at(im, e->line, "expected key=value words", e->key);
    if (!*db->user && get(im, "auth_user"))
        snprintf(db->user, sizeof db->user, "%s", get(im, "auth_user"));
    if (*db->user && !*db->password)
        pw_buf_printf(&im->notes,
                      "# note: database %s: if %s needs a password, put it into the URL "
                      "(user:password@); PgBouncer finds "
                      "it in auth_file\n",
                      e->key, db->user);
    else if (!*db->user)
        pw_buf_printf(&im->notes,
                      "# note: database %s: name a user in the URL for pgweir's own questions "
                      "(catalog, verifiers, "
                      "health); PgBouncer asks none\n",
                      e->key);
    write_url(im, db, &url);
    pw_buf_append_u8(&url, 0);
    pw_buf_append_str(im->out, "  ");
    quoted(im->out, e->key);
    pw_buf_append_str(im->out, ":\n    upstream: ");
    quoted(im->out, url.data);
    pw_buf_append_str(im->out, "\n");
    write_pool_mode(im, im->out, pool_mode);
    pw_buf_append(im->out, db->pool.data, db->pool.len);
    write_mapped(im, POOL, "    ", db->written, db->n_written);
    explicit_bzero(url.data, url.len);
    explicit_bzero(value, sizeof value);
    explicit_bzero(db->password, sizeof db->password);
    pw_buf_free(&url);
    pw_buf_free(&db->pool);
}

static bool written_later(const struct ini *ini, size_t i)
{
    for (size_t j = i + 1; j < ini->n; j++)
        if (strcmp(ini->entries[j].section, "databases") == 0 &&
            strcmp(ini->entries[j].key, ini->entries[i].key) == 0)
            return true;
    return false;
}

static void write_databases(struct importer *im)
{
    struct database *db = pw_alloc(sizeof *db);
    size_t n = 0;
    pw_buf_append_str(im->out, "databases:\n");
    for (size_t i = 0; i < im->ini->n; i++) {
        const struct ini_entry *e = &im->ini->entries[i];
        if (strcmp(e->section, "databases") != 0 || written_later(im->ini, i))
            continue;
        write_database(im, e, db);
        n++;
    }
    if (n == 0)
        pw_conf_error(im->errors, im->file_name, "no [databases]");
    if (!get(im, "pool_mode"))
        pw_buf_append_str(&im->notes, "# note: PgBouncer pools sessions unless pool_mode says "
                                      "otherwise; transaction shares far more\n");
    pw_free(db);
}

/* ---- what has no equivalent ---------------------------------------------------------------------
 */

static void note_setting(struct importer *im, const struct ini_entry *e)
{
    for (size_t i = 0; i < PW_COUNT_OF(mappings); i++)
        if (strcmp(mappings[i].from, e->key) == 0) {
            if (mappings[i].form == NOTE)
                pw_buf_printf(&im->notes, "# note: %s: %s\n", e->key, mappings[i].to);
            return;
        }
    pw_buf_printf(&im->notes, "# note: line %zu: %s is not known\n", e->line, e->key);
}

static void note_others(struct importer *im)
{
    for (size_t i = 0; i < im->ini->n; i++) {
        const struct ini_entry *e = &im->ini->entries[i];
        if (strcmp(e->section, "pgbouncer") == 0)
            note_setting(im, e);
        else if (strcmp(e->section, "users") == 0)
            pw_buf_printf(&im->notes, "# note: user %s: pgweir has no settings per user (%s)\n",
                          e->key, e->value);
        else if (strcmp(e->section, "peers") == 0)
            pw_buf_printf(
                &im->notes,
                "# note: peer %s: a cancel request reaches the process it was sent to only\n",
                e->key);
        else if (strcmp(e->section, "databases") != 0)
            pw_buf_printf(&im->notes, "# note: line %zu: section [%s] is not known\n", e->line,
                          e->section);
    }
}

bool pw_import_pgbouncer(struct slice text, const char *file_name, struct buf *out,
                         struct conf_errors *errors)
{
    struct ini ini;
    struct importer im = {.ini = &ini, .out = out, .errors = errors, .file_name = file_name};
    *errors = (struct conf_errors){0};
    pw_buf_init(&im.notes, INI_MAX);
    if (pw_ini_parse(text, file_name, &ini, errors)) {
        pw_buf_append_str(out, "# Made from a pgbouncer.ini by `pgweir import-pgbouncer`; check it "
                               "with `pgweir check`.\n");
        write_sections(&im);
        write_databases(&im);
        note_others(&im);
        pw_buf_append(out, im.notes.data, im.notes.len);
    }
    pw_buf_free(&im.notes);
    pw_ini_free(&ini);
    return errors->n == errors->n_warnings;
}

bool pw_import_pgbouncer_load(const char *path, struct buf *out, struct conf_errors *errors)
{
    size_t len;
    char *text = pw_conf_read_file(path, INI_MAX, &len, errors);
    if (!text)
        return false;
    bool good = pw_import_pgbouncer(pw_slice(text, len), path, out, errors);
    explicit_bzero(text, len);
    pw_free(text);
    return good;
}
