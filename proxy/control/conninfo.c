/* libpq connection strings for our own questions, from a database row's parsed upstream. */
#include <string.h>

#include "proxy/base/alloc.h"
#include "proxy/base/buf.h"
#include "proxy/control/control_priv.h"

static void append(struct buf *b, const char *key, const char *value)
{
    if (!value || !value[0])
        return;
    pw_buf_printf(b, "%s%s='", b->len ? " " : "", key);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            pw_buf_append_u8(b, '\\');
        pw_buf_append_u8(b, (uint8_t)*value);
    }
    pw_buf_append_str(b, "'");
}

char *pw_conninfo_for(const struct conf_upstream *up, const char *dbname)
{
    static const char *const modes[] = {
        [CONF_TLS_SERVER_DISABLE] = "disable",         [CONF_TLS_SERVER_PREFER] = "prefer",
        [CONF_TLS_SERVER_REQUIRE] = "require",         [CONF_TLS_SERVER_VERIFY_CA] = "verify-ca",
        [CONF_TLS_SERVER_VERIFY_FULL] = "verify-full",
    };
    struct buf out, hosts, ports;
    pw_buf_init(&out, 1 << 16);
    pw_buf_init(&hosts, 1 << 14);
    pw_buf_init(&ports, 1 << 12);
    for (size_t i = 0; i < up->n_hosts; i++) {
        pw_buf_printf(&hosts, "%s%s", i ? "," : "", up->hosts[i].host);
        pw_buf_printf(&ports, "%s%u", i ? "," : "", up->hosts[i].port);
    }
    pw_buf_append_u8(&hosts, 0);
    pw_buf_append_u8(&ports, 0);
    append(&out, "host", hosts.data);
    append(&out, "port", ports.data);
    append(&out, "user", up->user);
    append(&out, "password", up->password);
    append(&out, "dbname", dbname);
    append(&out, "sslmode", modes[up->sslmode]);
    append(&out, "sslrootcert", up->sslrootcert);
    append(&out, "sslcert", up->sslcert);
    append(&out, "sslkey", up->sslkey);
    append(&out, "target_session_attrs", up->target_session_attrs);
    pw_buf_append_u8(&out, 0);
    pw_buf_free(&hosts);
    pw_buf_free(&ports);
    return out.data; /* the caller's now */
}
