/* URLs as PostgreSQL's manual, section 34.1.1.2, has them; strict where libpq is lenient. See
 * url.h. */
#include "conf/url.h"

#include "conf/suggest.h"
#include "proxy/base/num.h"

enum { URL_MAX_LEN = 4096, HOSTS_MAX = 32 };

struct parts {
    struct slice user, password, hosts, path, query;
    bool has_user, has_password;
};

static struct slice take(struct slice *rest, size_t len)
{
    struct slice taken = pw_slice(rest->ptr, len);
    *rest = pw_slice(rest->ptr + len, rest->len - len);
    return taken;
}

static size_t find_any(struct slice s, const char *set)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] && strchr(set, s.ptr[i]))
            return i;
    return s.len;
}

static bool skip_prefix(struct slice *s, const char *prefix)
{
    size_t len = strlen(prefix);
    if (s->len < len || memcmp(s->ptr, prefix, len) != 0)
        return false;
    take(s, len);
    return true;
}

static bool fail(struct buf *why, const char *message)
{
    pw_buf_append_str(why, message);
    return false;
}

static bool split(struct slice rest, struct parts *p, struct buf *why)
{
    *p = (struct parts){0};
    struct slice authority = take(&rest, find_any(rest, "/?#"));
    if (find_any(rest, "#") < rest.len)
        return fail(why, "a # in the URL: write it as %23");
    size_t at = find_any(authority, "@");
    if (at < authority.len) {
        struct slice user = take(&authority, at);
        take(&authority, 1);
        if (find_any(authority, "@") < authority.len)
            return fail(why, "more than one @ in the URL: in a password write it as %40");
        p->has_user = true;
        p->user = take(&user, find_any(user, ":"));
        p->has_password = user.len > 0;
        if (p->has_password)
            p->password = pw_slice(user.ptr + 1, user.len - 1);
    }
    p->hosts = authority;
    if (rest.len && rest.ptr[0] == '/') {
        take(&rest, 1);
        p->path = take(&rest, find_any(rest, "?"));
    }
    if (rest.len)
        p->query = pw_slice(rest.ptr + 1, rest.len - 1);
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decoded text in the box, or NULL. */
static const char *decode(struct conf_box *box, struct slice s, struct buf *why)
{
    struct buf out;
    pw_buf_init(&out, URL_MAX_LEN);
    for (size_t i = 0; i < s.len; i++) {
        int c = (unsigned char)s.ptr[i];
        if (c == '%') {
            int high = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex(s.ptr[i + 2]) : -1;
            c = high >= 0 && low >= 0 ? high * 16 + low : 0;
            i += 2;
        }
        if (c == 0) {
            pw_buf_free(&out);
            fail(why, "bad percent-encoding in the URL: a % itself is written %25");
            return NULL;
        }
        pw_buf_append_u8(&out, (uint8_t)c);
    }
    const char *text = pw_box_text(box, pw_buf_slice(&out));
    pw_buf_free(&out);
    return text;
}

static bool parse_port(struct slice text, uint16_t *port, struct buf *why)
{
    uint64_t number;
    if (!pw_num_parse_u64(text, &number) || number < 1 || number > 65535)
        return fail(why, "a port is a number, 1 .. 65535");
    *port = (uint16_t)number;
    return true;
}

/* "host", "host:port", "[v6]:port", "%2Fdir" or "" (PostgreSQL's socket directory on this machine).
 */
static bool parse_host(struct conf_box *box, struct slice text, uint16_t default_port,
                       struct conf_host *out, struct buf *why)
{
    struct slice name;
    if (text.len && text.ptr[0] == '[') {
        size_t end = find_any(text, "]");
        if (end == text.len)
            return fail(why, "[ without ] in the URL's host");
        name = take(&text, end + 1);
        name = pw_slice(name.ptr + 1, name.len - 2);
    } else {
        name = take(&text, find_any(text, ":"));
    }
    out->port = default_port;
    if (text.len > 1 &&
        (text.ptr[0] != ':' || !parse_port(pw_slice(text.ptr + 1, text.len - 1), &out->port, why)))
        return why->len ? false : fail(why, "unexpected text after the URL's host");
    if (text.len == 1 && text.ptr[0] != ':')
        return fail(why, "unexpected text after the URL's host");
    out->host = name.len ? decode(box, name, why) : "/var/run/postgresql";
    return out->host != NULL;
}

static bool parse_hosts(struct conf_box *box, struct slice text, struct conf_upstream *out,
                        struct buf *why)
{
    struct conf_host *hosts = pw_box_alloc(box, HOSTS_MAX * sizeof *hosts);
    out->n_hosts = 0;
    out->hosts = hosts;
    for (;;) {
        if (out->n_hosts == HOSTS_MAX)
            return fail(why, "more than 32 hosts in the URL");
        if (!parse_host(box, take(&text, find_any(text, ",")), 5432, &hosts[out->n_hosts++], why))
            return false;
        if (text.len == 0)
            return true;
        take(&text, 1);
    }
}

/* ?port=5433 or ?port=5433,5434: one for all hosts, or one each. */
static bool set_ports(struct conf_upstream *out, struct slice text, struct buf *why)
{
    struct conf_host *hosts =
        (struct conf_host *)(uintptr_t)out->hosts; /* ours, still being built */
    size_t n = 0;
    for (; n < out->n_hosts; n++) {
        if (!parse_port(take(&text, find_any(text, ",")), &hosts[n].port, why))
            return false;
        if (text.len == 0)
            break;
        take(&text, 1);
    }
    for (size_t i = n + 1; n == 0 && i < out->n_hosts; i++)
        hosts[i].port = hosts[0].port;
    if (text.len == 0 && (n == 0 || n + 1 == out->n_hosts))
        return true;
    return fail(why, "as many ports as hosts, or one");
}

static bool set_sslmode(struct conf_upstream *out, const char *value, struct buf *why)
{
    static const struct {
        const char *word;
        enum conf_tls_server mode;
    } modes[] = {
        {"disable", CONF_TLS_SERVER_DISABLE},     {"allow", CONF_TLS_SERVER_PREFER},
        {"prefer", CONF_TLS_SERVER_PREFER},       {"require", CONF_TLS_SERVER_REQUIRE},
        {"verify-ca", CONF_TLS_SERVER_VERIFY_CA}, {"verify-full", CONF_TLS_SERVER_VERIFY_FULL}};
    for (size_t i = 0; i < PW_COUNT_OF(modes); i++)
        if (strcmp(value, modes[i].word) == 0) {
            out->sslmode = modes[i].mode;
            return true;
        }
    return fail(why, "sslmode is disable, allow, prefer, require, verify-ca or verify-full");
}

static bool set_timeout(struct conf_upstream *out, const char *value, struct buf *why)
{
    uint64_t seconds;
    if (!pw_num_parse_u64(pw_slice_str(value), &seconds) || seconds > 86400)
        return fail(why, "connect_timeout is a number of seconds");
    if (seconds)
        out->connect_timeout_us = seconds * 1000000;
    return true;
}

static bool set_session_attrs(struct conf_upstream *out, const char *value, struct buf *why)
{
    static const char *const words[] = {"any",     "read-write", "read-only",
                                        "primary", "standby",    "prefer-standby"};
    for (size_t i = 0; i < PW_COUNT_OF(words); i++)
        if (strcmp(value, words[i]) == 0) {
            out->target_session_attrs = value;
            return true;
        }
    return fail(
        why,
        "target_session_attrs is any, read-write, read-only, primary, standby or prefer-standby");
}

/* Good for libpq, which asks our own questions with this URL; of no consequence for clients'
 * connections. */
static bool is_libpq_only(const char *key)
{
    static const char *const words[] = {"application_name",
                                        "fallback_application_name",
                                        "channel_binding",
                                        "keepalives",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "client_encoding",
                                        "gssencmode",
                                        "sslcompression",
                                        "sslcrl",
                                        "ssl_min_protocol_version",
                                        "sslsni",
                                        "sslpassword",
                                        "passfile",
                                        "options",
                                        "hostaddr"};
    for (size_t i = 0; i < PW_COUNT_OF(words); i++)
        if (strcmp(key, words[i]) == 0)
            return true;
    return false;
}

static bool unknown_parameter(const char *key, struct buf *why)
{
    static const char *const words[] = {"sslmode",
                                        "sslrootcert",
                                        "sslcert",
                                        "sslkey",
                                        "host",
                                        "port",
                                        "user",
                                        "password",
                                        "dbname",
                                        "connect_timeout",
                                        "target_session_attrs",
                                        "application_name",
                                        "options"};
    struct suggestion closest;
    pw_suggest_init(&closest, pw_slice_str(key));
    for (size_t i = 0; i < PW_COUNT_OF(words); i++)
        pw_suggest_offer(&closest, words[i]);
    pw_buf_printf(why, "unknown parameter \"%.40s\" in the URL", key);
    if (closest.best)
        pw_buf_printf(why, "; did you mean \"%s\"?", closest.best);
    return false;
}

static bool set_parameter(struct conf_box *box, struct conf_upstream *out, const char *key,
                          const char *value, bool *has_sslmode, struct buf *why)
{
    const struct {
        const char *key;
        const char **field;
    } texts[] = {{"user", &out->user},     {"password", &out->password},
                 {"dbname", &out->dbname}, {"sslcert", &out->sslcert},
                 {"sslkey", &out->sslkey}, {"sslrootcert", &out->sslrootcert}};
    for (size_t i = 0; i < PW_COUNT_OF(texts); i++)
        if (strcmp(key, texts[i].key) == 0) {
            *texts[i].field = value;
            return true;
        }
    if (strcmp(key, "sslmode") == 0) {
        *has_sslmode = true;
        return set_sslmode(out, value, why);
    }
    if (strcmp(key, "connect_timeout") == 0)
        return set_timeout(out, value, why);
    if (strcmp(key, "target_session_attrs") == 0)
        return set_session_attrs(out, value, why);
    if (strcmp(key, "host") == 0)
        return parse_hosts(box, pw_slice_str(value), out, why);
    return is_libpq_only(key) || unknown_parameter(key, why);
}

static bool parse_query(struct conf_box *box, struct slice query, struct conf_upstream *out,
                        bool *has_sslmode, struct buf *why)
{
    const char *ports = NULL;
    while (query.len) {
        struct slice pair = take(&query, find_any(query, "&"));
        if (query.len)
            take(&query, 1);
        size_t equals = find_any(pair, "=");
        if (equals == pair.len || equals == 0)
            return fail(why, "expected key=value after ? in the URL");
        const char *key = decode(box, take(&pair, equals), why);
        const char *value = decode(box, pw_slice(pair.ptr + 1, pair.len - 1), why);
        if (!key || !value)
            return false;
        if (strcmp(key, "port") == 0)
            ports = value; /* hosts may still follow */
        else if (!set_parameter(box, out, key, value, has_sslmode, why))
            return false;
    }
    return !ports || set_ports(out, pw_slice_str(ports), why);
}

static bool has_control(struct slice url)
{
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.ptr[i] <= ' ' || url.ptr[i] == 127)
            return true;
    return false;
}

static const char *masked(struct conf_box *box, struct slice url)
{
    struct buf text;
    pw_buf_init(&text, URL_MAX_LEN + 64);
    pw_url_mask(url, &text);
    const char *kept = pw_box_text(box, pw_buf_slice(&text));
    pw_buf_free(&text);
    return kept;
}

bool pw_url_parse_upstream(struct conf_box *box, struct slice url, struct conf_upstream *out,
                           bool *has_sslmode, struct buf *why)
{
    struct slice rest = url;
    struct parts p;
    *has_sslmode = false;
    *out = (struct conf_upstream){.target_session_attrs = "any", .connect_timeout_us = 15000000};
    out->user = out->password = out->dbname = out->sslrootcert = out->sslcert = out->sslkey = "";
    if (url.len > URL_MAX_LEN)
        return fail(why, "the URL is longer than 4096 bytes");
    if (!skip_prefix(&rest, "postgres://") && !skip_prefix(&rest, "postgresql://"))
        return fail(why, "expected postgres://user:password@host:port/dbname");
    if (has_control(url))
        return fail(why, "a blank or control character in the URL: write it as %20");
    if (!split(rest, &p, why))
        return false;
    out->url = pw_box_text(box, url);
    out->masked = masked(box, url);
    if (!(out->user = decode(box, p.user, why)) ||
        !(out->password = decode(box, p.password, why)) ||
        !(out->dbname = decode(box, p.path, why)))
        return false;
    return parse_hosts(box, p.hosts, out, why) && parse_query(box, p.query, out, has_sslmode, why);
}

bool pw_url_parse_redis(struct conf_box *box, struct slice url, struct conf_redis *out,
                        struct buf *why)
{
    struct slice rest = url;
    struct parts p;
    struct conf_host host;
    uint64_t database = 0;
    if (url.len > URL_MAX_LEN || has_control(url) || !skip_prefix(&rest, "redis://"))
        return fail(why, "expected redis://[user:password@]host:port/number");
    if (!split(rest, &p, why))
        return false;
    if (p.query.len)
        return fail(why, "a Redis URL takes no parameters");
    if (p.hosts.len == 0 || p.hosts.ptr[0] == ':')
        return fail(why, "a Redis URL needs a host");
    if (!parse_host(box, p.hosts, 6379, &host, why))
        return false;
    if (p.path.len && (!pw_num_parse_u64(p.path, &database) || database > 1000000))
        return fail(why, "a Redis database is a number");
    out->url = pw_box_text(box, url);
    out->host = host.host;
    out->port = host.port;
    out->database = (uint32_t)database;
    return (out->user = decode(box, p.user, why)) && (out->password = decode(box, p.password, why));
}

void pw_url_mask(struct slice url, struct buf *out)
{
    struct slice rest = url;
    for (size_t i = 0; i + 2 < url.len; i++)
        if (memcmp(url.ptr + i, "://", 3) == 0) {
            pw_buf_append(out, take(&rest, i + 3).ptr, i + 3);
            break;
        }
    size_t at = 0; /* past the last @: a malformed password may hold others, and slashes */
    size_t end = find_any(rest, "?");
    for (size_t i = 0; i < end; i++)
        if (rest.ptr[i] == '@')
            at = i + 1;
    struct slice user = take(&rest, at);
    size_t colon = find_any(user, ":");
    if (colon < user.len) {
        pw_buf_append(out, user.ptr, colon);
        pw_buf_append_str(out, ":***@");
    } else {
        pw_buf_append(out, user.ptr, user.len);
    }
    while (rest.len) {
        struct slice piece = take(&rest, find_any(rest, "?&"));
        bool secret = skip_prefix(&piece, "password=") || skip_prefix(&piece, "sslpassword=");
        if (secret)
            pw_buf_append_str(out, "password=***");
        else
            pw_buf_append(out, piece.ptr, piece.len);
        if (rest.len)
            pw_buf_append(out, take(&rest, 1).ptr, 1);
    }
}
