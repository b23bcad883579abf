/* See slow.h. */
#include "planner/slow.h"

#include <string.h>

#include "proxy/base/log.h"

enum { LINES_PER_SECOND = 10, TEXT_MAX = 1000, SECOND_US = 1000000 };

/* A quoted identifier may hold anything: no quote, no line break and no control byte gets out. */
static void clean(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; *text && n + 5 < size; text++) {
        unsigned char c = (unsigned char)*text;
        out[n++] = c < ' ' || c == 127 ? ' ' : c == '"' ? '\'' : *text;
    }
    if (*text) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = 0;
}

static bool may_write(struct slow_log *log, uint64_t now_us)
{
    if (now_us - log->second_us >= SECOND_US) {
        if (log->suppressed)
            pw_log_info("event=slow_queries not_logged=%u", log->suppressed);
        log->second_us = now_us;
        log->written = log->suppressed = 0;
    }
    if (log->written >= LINES_PER_SECOND) {
        log->suppressed++;
        return false;
    }
    log->written++;
    return true;
}

void pw_slow_log(struct slow_log *log, const struct plan *plan, const struct family_sample *s,
                 const char *database, const char *user)
{
    static const char *const outcomes[FAMILY_OUTCOMES] = {"server", "cache", "joined", "pipelined",
                                                          "merged"};
    if (!may_write(log, s->now_us))
        return;
    char text[TEXT_MAX];
    clean(text, sizeof text, plan->family_text);
    uint64_t elsewhere = s->wait_us + s->server_us;
    pw_log_info(
        "family=%016llx event=slow_query database=%s user=%s ms=%.3f server_ms=%.3f wait_ms=%.3f "
        "proxy_ms=%.3f rows=%llu bytes=%llu by=%s%s%s text=\"%s\"",
        (unsigned long long)plan->family, database, user, (double)s->total_us / 1e3,
        (double)s->server_us / 1e3, (double)s->wait_us / 1e3,
        s->total_us > elsewhere ? (double)(s->total_us - elsewhere) / 1e3 : 0.0,
        (unsigned long long)s->rows, (unsigned long long)s->bytes,
        (unsigned)s->outcome < FAMILY_OUTCOMES ? outcomes[s->outcome] : "?",
        s->sqlstate ? " sqlstate=" : "", s->sqlstate ? s->sqlstate : "", text);
}
