/*
 * Is what pinned a session undone? Counting PREPAREs and DROPs would have to know rollbacks, DROP
 * SCHEMA, functions and whatever comes; the server knows. After a request that may have undone
 * something, outside of a transaction, it is asked, and the request's ReadyForQuery waits for the
 * answer. Only what the answer proves is believed: an error, or a reason that cannot be asked
 * about, keeps the pin. The question goes by the extended protocol under a name of ours, so that
 * the session's unnamed statement stays. Worker's thread.
 */
#include "proxy/base/num.h"
#include "proxy/dispatch/send_priv.h"
#include "proxy/wire/emit.h"
#include "proxy/wire/reader.h"

#define QUESTION "pgweir_question"
#define COUNT    "(SELECT pg_catalog.count(*) FROM pg_catalog."

/* The protocol's own statements, which the session must know by the same names: a bit like a
 * reason's. */
enum { NAMES_BIT = PIN_BIT(PIN_NONE) };

/* Each counts what is left. Operators are named in full: the session's search_path is in force. */
static const struct {
    uint32_t bit;
    const char *sql;
} columns[] = {
    {PIN_BIT(PIN_SQL_PREPARE), COUNT "pg_prepared_statements WHERE from_sql)"},
    {NAMES_BIT, COUNT "pg_prepared_statements WHERE NOT from_sql AND pg_catalog.left(name, 7) "
                      "OPERATOR(pg_catalog.<>) 'pgweir_')"},
    /* What DISCARD TEMP would drop: all that depends on the session's own schema. */
    {PIN_BIT(PIN_TEMP_TABLE), COUNT
     "pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 2615 AND refobjid OPERATOR(pg_catalog.=) "
     "pg_catalog.pg_my_temp_schema())"},
    {PIN_BIT(PIN_LISTEN), COUNT "pg_listening_channels())"},
    {PIN_BIT(PIN_ADVISORY_LOCK), COUNT
     "pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) "
     "pg_catalog.pg_backend_pid())"},
    {PIN_BIT(PIN_HOLD_CURSOR), COUNT "pg_cursors WHERE is_holdable)"},
};

bool pw_unpin_is_due(const struct ticket *t, const struct server *s)
{
    const struct client *c = t->client;
    return c && c->pin != PIN_NONE && c->pins_doubtful && !(c->pins & ~(uint32_t)PINS_UNDONE) &&
           s->txn == 'I' && s->expects.count == 0 && !s->broken && !s->eof &&
           c->pool->db->pool_mode != CONF_POOL_SESSION;
}

static void expect(struct server *s, struct ticket *t, uint8_t kind)
{
    pw_send_expect(s, t, NULL, kind, EXPECT_SKIP);
}

void pw_unpin_ask(struct dispatch *d, struct ticket *t, struct server *s)
{
    static const char sync[5] = {FRONT_SYNC, 0, 0, 0, 4};
    struct client *c = t->client;
    t->is_asking = true;
    t->pins_asked = c ? c->pins | (c->translate ? 0 : NAMES_BIT | PIN_BIT(PIN_SQL_PREPARE)) : 0;
    t->pins_left = t->pins_asked;
    if (c)
        c->pins_doubtful = false;
    const struct slice name = PW_SLICE_LIT(QUESTION);
    const struct emit_bind bind = {.portal = PW_SLICE_LIT(""), .statement = name};
    struct buf *out = pw_send_scratch(d);
    struct emit parse = pw_emit_begin(out, FRONT_PARSE);
    pw_emit_str(&parse, name);
    pw_buf_append_str(out, "SELECT 0");
    for (size_t i = 0; i < PW_COUNT_OF(columns); i++)
        if (t->pins_asked & columns[i].bit)
            pw_buf_printf(out, ", %s", columns[i].sql);
    pw_buf_append(out, "\0\0\0", 3); /* the end of the text, no parameter types */
    pw_emit_end(&parse);
    pw_emit_bind(out, &bind);
    pw_emit_execute(out, pw_slice("", 0), 0);
    pw_emit_close(out, 'S', name);
    pw_buf_append(out, sync, sizeof sync);
    pw_server_send(s, out->data, out->len);
    expect(s, t, EXPECT_PARSE);
    expect(s, t, EXPECT_BIND);
    expect(s, t, EXPECT_EXECUTE);
    expect(s, t, EXPECT_CLOSE);
    expect(s, t, EXPECT_SYNC);
}

void pw_unpin_row(struct ticket *t, struct slice body)
{
    const struct client *c = t->client;
    struct reader r = pw_reader(body);
    uint32_t n = pw_reader_u16(&r), left = t->pins_left;
    pw_reader_bytes(&r, pw_reader_u32(&r)); /* the 0 in front */
    for (size_t i = 0; i < PW_COUNT_OF(columns); i++) {
        uint64_t count;
        if (!(t->pins_asked & columns[i].bit))
            continue;
        n--;
        struct slice text = pw_reader_bytes(&r, pw_reader_u32(&r));
        if (!r.ok || !pw_num_parse_u64(text, &count))
            return;
        if (count == (columns[i].bit == NAMES_BIT && c ? c->stmts.map.count : 0))
            left &= ~columns[i].bit;
    }
    if (pw_reader_done(&r) && n == 1)
        t->pins_left = left;
}

/* Its names are ours on the server again; those of the client, and whatever it did to ours
 * meanwhile, go. */
static void translate_again(struct client *c, struct server *s)
{
    c->translate = true;
    s->needs_reset = SERVER_RESET_STATEMENTS;
    pw_stmt_unref(s->unnamed);
    s->unnamed = NULL;
}

static void draw_conclusions(struct client *c, const struct ticket *t, struct server *s)
{
    uint32_t pins = c->pins & ~(t->pins_asked & ~t->pins_left);
    if (!c->translate && (t->pins_left & NAMES_BIT))
        pins |= PIN_BIT(PIN_SQL_PREPARE);
    if (!c->translate && pins == 0)
        translate_again(c, s);
    pw_client_set_pins(c, pins);
}

void pw_unpin_answered(struct dispatch *d, struct ticket *t, struct server *s)
{
    t->is_asking = false;
    if (t->client) {
        draw_conclusions(t->client, t, s);
        struct buf *out = pw_send_scratch(d);
        pw_emit_ready(out, (char)t->end_status);
        pw_stream_write(t->client->stream, out->data, out->len);
    }
    pw_ticket_complete(d, t, s);
}
