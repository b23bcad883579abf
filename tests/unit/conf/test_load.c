/* The loader: values, places in errors, precedence, conflicts, secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "conf/table.h"

static struct conf_errors errors;

static struct pw_conf *load_with(const char *text, struct conf_sources sources)
{
    struct pw_conf *conf = NULL;
    enum pw_status status =
        pw_conf_load_text(text, strlen(text), "f.yaml", &sources, &conf, &errors);
    assert_int_equal(status == PW_OK, conf != NULL);
    return conf;
}

static struct pw_conf *load(const char *text)
{
    return load_with(text, (struct conf_sources){.upstream_optional = true});
}

static void assert_error(const char *expected)
{
    for (size_t i = 0; i < errors.n; i++)
        if (strcmp(errors.items[i].text, expected) == 0)
            return;
    for (size_t i = 0; i < errors.n; i++)
        print_error("got: %s\n", errors.items[i].text);
    fail_msg("no error \"%s\"", expected);
}

static void fails(const char *text, const char *expected)
{
    assert_null(load(text));
    assert_error(expected);
    pw_conf_errors_free(&errors);
}

static struct pw_conf *loads(const char *text)
{
    struct pw_conf *conf = load(text);
    if (!conf)
        fail_msg("%s", errors.items[0].text);
    pw_conf_errors_free(&errors);
    return conf;
}

static void test_defaults(void **state)
{
    (void)state;
    struct pw_conf *c = loads("");
    assert_int_equal(c->pgweir.mode, CONF_MODE_OPTIMIZE);
    assert_string_equal(c->pgweir.listen, "127.0.0.1:6432");
    assert_int_equal(c->pgweir.workers, 0);
    assert_int_equal(c->pgweir.shutdown_timeout_us, 30000000);
    assert_int_equal(c->cache.memory_bytes, 256 << 20);
    assert_int_equal(c->batch.slow_us, 5000);
    assert_true(c->batch.merge);
    assert_true(c->planner.explain_share > 0.00499 && c->planner.explain_share < 0.00501);
    assert_int_equal(c->advisor.unused_after_us, 7ULL * 86400 * 1000000);
    assert_int_equal(c->tls.server_mode, CONF_TLS_SERVER_PREFER);
    assert_string_equal(c->redis.url, "");
    assert_int_equal(c->n_databases, 0);
    pw_conf_unref(c);
}

static void test_values(void **state)
{
    (void)state;
    struct pw_conf *c = loads(
        "pgweir: {mode: observe, workers: 4, log_level: debug, http: off}\n"
        "databases:\n"
        "  \"*\": {upstream: \"postgres://u:p%40ss@h1:5433,[::1]:5434,h3/?sslmode=verify-full\"}\n"
        "  app:\n"
        "    upstream: postgresql:///app?host=/tmp&port=7777\n"
        "    pool_mode: session\n"
        "    query_wait_timeout: 1.5s\n"
        "auth: {admin_users: [ann, bob], stats_users: []}\n"
        "cache: {memory: 1GB, consistency: off, rules: [{match: /^select 1/, cache: force, ttl: "
        "30s},"
        " {match: public.users, cache: off}, {match: 0123456789abcdef}]}\n"
        "batch: {merge: no, delay: 200us}\n"
        "planner: {explain_share: 2%}\n"
        "redis: {url: \"redis://:secret@cachehost/3\"}\n"
        "advisor: {rebuild_density: 70%, budget: 500MB}\n");
    assert_int_equal(c->pgweir.mode, CONF_MODE_OBSERVE);
    assert_int_equal(c->pgweir.workers, 4);
    assert_int_equal(c->pgweir.log_level, PW_LOG_DEBUG);
    assert_string_equal(c->pgweir.http, "");
    assert_int_equal(c->n_databases, 2);
    const struct conf_database *star = &c->databases[1], *app = &c->databases[0];
    assert_string_equal(star->name, "*");
    assert_string_equal(star->upstream.password, "p@ss");
    assert_string_equal(star->upstream.masked,
                        "postgres://u:***@h1:5433,[::1]:5434,h3/?sslmode=verify-full");
    assert_int_equal(star->upstream.n_hosts, 3);
    assert_string_equal(star->upstream.hosts[1].host, "::1");
    assert_int_equal(star->upstream.hosts[1].port, 5434);
    assert_int_equal(star->upstream.hosts[2].port, 5432);
    assert_int_equal(star->upstream.sslmode, CONF_TLS_SERVER_VERIFY_FULL);
    assert_string_equal(app->upstream.hosts[0].host, "/tmp");
    assert_int_equal(app->upstream.hosts[0].port, 7777);
    assert_int_equal(app->pool_mode, CONF_POOL_SESSION);
    assert_int_equal(app->query_wait_timeout_us, 1500000);
    assert_int_equal(app->pool_size, 20);
    assert_ptr_equal(pw_conf_database_find(c, "app"), app);
    assert_ptr_equal(pw_conf_database_find(c, "other"), star);
    assert_string_equal(pw_conf_database_dbname(star, "other"), "other");
    assert_int_equal(c->auth.n_admin_users, 2);
    assert_string_equal(c->auth.admin_users[1], "bob");
    assert_int_equal(c->cache.consistency, CONF_CACHE_OFF);
    assert_int_equal(c->n_cache_rules, 3);
    assert_int_equal(c->cache_rules[0].kind, CONF_RULE_REGEX);
    assert_string_equal(c->cache_rules[0].match, "^select 1");
    assert_int_equal(c->cache_rules[0].cache, CONF_RULE_FORCE);
    assert_int_equal(c->cache_rules[0].ttl_us, 30000000);
    assert_int_equal(c->cache_rules[1].kind, CONF_RULE_TABLE);
    assert_int_equal(c->cache_rules[1].ttl_us, 60000000);
    assert_int_equal(c->cache_rules[2].kind, CONF_RULE_FAMILY);
    assert_false(c->batch.merge);
    assert_int_equal(c->batch.delay_us, 200);
    assert_string_equal(c->redis.password, "secret");
    assert_string_equal(c->redis.host, "cachehost");
    assert_int_equal(c->redis.port, 6379);
    assert_int_equal(c->redis.database, 3);
    assert_string_equal(pw_conf_get(c, "redis.url"), "redis://:***@cachehost/3");
    assert_int_equal(c->advisor.rebuild_density, 70);
    pw_conf_unref(c);
}

static void test_errors(void **state)
{
    (void)state;
    fails("batch:\n  maxx: 3\n",
          "f.yaml:2:3: unknown key \"maxx\" in batch; did you mean \"max\"?");
    fails("batch:\n  max: lots\n",
          "f.yaml:2:8: batch.max: expected a whole number, 1 .. 10000, got \"lots\"");
    fails("batch: {max: 0}\n",
          "f.yaml:1:14: batch.max: expected a whole number, 1 .. 10000, got \"0\"");
    fails("batch: {max: 1, max: 2}\n", "f.yaml:1:17: max given twice, first at f.yaml:1:14");
    fails("bacth: {}\n", "f.yaml:1:1: unknown section \"bacth\"; did you mean \"batch\"?");
    fails("batch: {ttl: 3s}\n", "f.yaml:1:9: unknown key \"ttl\" in batch; it belongs to cache");
    fails("batch: [1]\n", "f.yaml:1:8: batch: expected \"key: value\" pairs");
    fails("batch: {max: {a: b}}\n", "f.yaml:1:14: max: expected a single value");
    fails("pgweir: {mode: fast}\n",
          "f.yaml:1:16: pgweir.mode: expected one of optimize|observe, got \"fast\"");
    fails("cache: {ttl: 5 parsecs}\n", "f.yaml:1:14: cache.ttl: expected a duration such as 250ms, "
                                       "30s, 10m, 1h or 7d, 1ms .. 366d, got \"5 parsecs\"");
    fails("planner: {explain_share: 0.5}\n", "f.yaml:1:26: planner.explain_share: expected a "
                                             "percentage such as 0.5%, 0 .. 100, got \"0.5\"");
    fails("pgweir: {listen: 6432}\n", "f.yaml:1:18: pgweir.listen: expected ADDRESS:PORT, "
                                      "[IPV6]:PORT, *:PORT or off, got \"6432\"");
    fails("a: b: c\n", "f.yaml:1:5: mapping values are not allowed in this context");
    fails("cache: {rules: [{cache: on}]}\n", "f.yaml:1:17: cache.rules[1] has no match");
    fails("--- {}\n--- {}\n", "f.yaml:2:1: a second document; only one is read");
    fails("databases: {a: {pool_size: 5}}\n", "f.yaml:1:13: databases.a has no upstream");
    fails("x: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n", "f.yaml:1:20: nested too deeply");
}

static void test_all_errors_are_reported(void **state)
{
    (void)state;
    assert_null(load("batch: {max: 0, depth: x}\ncache: {ttl: q}\nnonsense: 1\n"));
    assert_int_equal(errors.n, 4);
    pw_conf_errors_free(&errors);
}

static void test_conflicts(void **state)
{
    (void)state;
    fails("databases:\n  a: {upstream: \"postgres://h\", pool_size: 2, min_pool_size: 3}\n",
          "f.yaml:2:62: databases.a: min_pool_size 3 is more than pool_size 2");
    pw_conf_unref(loads(
        "databases:\n  a: {upstream: \"postgres://h\", pool_size: 2, reserve_pool_size: 3}\n"));
    fails("tls: {cert: /etc/hostname}\n", "f.yaml:1:13: tls.cert without tls.key");
    fails("tls: {client_mode: require}\n",
          "f.yaml:1:20: tls.client_mode needs tls.cert and tls.key");
    fails(
        "pgweir: {admin: 0.0.0.0:6433}\n",
        "f.yaml:1:17: pgweir.admin can be reached from other machines: set pgweir.admin_auth: on");
    fails("pgweir: {admin_auth: on}\nauth: {admin_users: [a]}\n",
          "f.yaml:1:22: pgweir.admin_auth needs auth.file, where AUTH finds the passwords: nobody "
          "could log in");
    fails("pgweir: {admin: 127.0.0.1:6432}\n",
          "f.yaml:1:17: pgweir.admin has the address of another listener, 127.0.0.1:6432");
    fails("auth: {type: md5}\n",
          "f.yaml:1:14: auth.type md5 needs auth.file or auth.query to find verifiers");
    fails("auth: {file: /nonexistent/x}\n",
          "f.yaml:1:14: auth.file: cannot read /nonexistent/x: No such file or directory");
    fails("cache: {memory: 1MB, max_entry: 2MB}\n",
          "f.yaml:1:33: cache.max_entry is larger than cache.memory");
    fails("cache: {rules: [{match: /(/}]}\n",
          "f.yaml:1:25: cache.rules[1].match: Unmatched ( or \\(");
    fails("databases: {pgweir: {upstream: \"postgres://h\"}}\n",
          "f.yaml:1:13: the database name pgweir is the console's");
    fails("databases: {a: {upstream: \"postgres://localhost:6432/\"}}\n",
          "f.yaml:1:27: databases.a.upstream is the address that pgweir itself listens on");
}

static void bad_url(const char *url, const char *reason)
{
    struct conf_sources sources = {.upstream = url};
    char expected[512];
    assert_null(load_with("", sources));
    snprintf(expected, sizeof expected, "--upstream: databases.*.upstream: %s", reason);
    assert_error(expected);
    for (size_t i = 0; i < errors.n; i++)
        assert_null(strstr(errors.items[i].text, "hunter2"));
    pw_conf_errors_free(&errors);
}

static void test_urls(void **state)
{
    (void)state;
    bad_url("mysql://u:hunter2@h/d", "expected postgres://user:password@host:port/dbname");
    bad_url("postgres://u:hunter2@x@h/d",
            "more than one @ in the URL: in a password write it as %40");
    bad_url("postgres://u:hunter2%4@h/d",
            "bad percent-encoding in the URL: a % itself is written %25");
    bad_url("postgres://u:hunter2%@h",
            "bad percent-encoding in the URL: a % itself is written %25");
    bad_url("postgres://u:hunter2%00@h/d",
            "bad percent-encoding in the URL: a % itself is written %25");
    bad_url("postgres://u:hunter2@h:0/d", "a port is a number, 1 .. 65535");
    bad_url("postgres://u:hunter2@h:65536/d", "a port is a number, 1 .. 65535");
    bad_url("postgres://u:hunter2@[::1/d", "[ without ] in the URL's host");
    bad_url("postgres://h/d?sslmod=require",
            "unknown parameter \"sslmod\" in the URL; did you mean \"sslmode\"?");
    bad_url("postgres://h/d?sslmode=maybe",
            "sslmode is disable, allow, prefer, require, verify-ca or verify-full");
    bad_url("postgres://h,i,j/d?port=1,2", "as many ports as hosts, or one");
    bad_url("postgres://h/d?password", "expected key=value after ? in the URL");
}

static void test_precedence(void **state)
{
    (void)state;
    char *env[] = {"PGWEIR_BATCH_MAX=20", "PGWEIR_BATCH_DEPTH=30", "PGWEIR_SERVICE_HOST=10.0.0.1",
                   "PGWEIR_AUTH_ADMIN_USERS=ann, bob", NULL};
    struct conf_override sets[] = {
        {"batch.depth", "40"}, {"databases.*.pool_size", "7"}, {"batch.depth", "41"}};
    struct conf_sources sources = {
        .environ_ = env, .sets = sets, .n_sets = 3, .upstream = "postgres://u:hunter2@cmd/d"};
    struct pw_conf *c =
        load_with("batch: {max: 10, depth: 10, slow: 9ms}\n"
                  "databases: {\"*\": {upstream: \"postgres://file\", pool_mode: session}}\n",
                  sources);
    assert_non_null(c);
    assert_int_equal(errors.n, 0);
    assert_int_equal(c->batch.max, 20);
    assert_int_equal(c->batch.depth, 41);
    assert_int_equal(c->batch.slow_us, 9000);
    assert_int_equal(c->auth.n_admin_users, 2);
    assert_string_equal(c->databases[0].upstream.hosts[0].host, "cmd");
    assert_int_equal(c->databases[0].pool_mode, CONF_POOL_SESSION);
    assert_int_equal(c->databases[0].pool_size, 7);
    struct conf_setting s;
    size_t seen = 0;
    for (size_t i = 0; pw_conf_setting(c, i, &s); i++) {
        assert_null(strstr(s.value, "hunter2"));
        if (strcmp(s.key, "batch.max") == 0)
            seen += s.source == CONF_FROM_ENVIRONMENT && strcmp(s.default_value, "1000") == 0;
        if (strcmp(s.key, "batch.depth") == 0)
            seen += s.source == CONF_FROM_COMMAND_LINE && strcmp(s.range, "1 .. 1000") == 0;
        if (strcmp(s.key, "batch.slow") == 0)
            seen += s.source == CONF_FROM_FILE && strcmp(s.value, "9ms") == 0;
        if (strcmp(s.key, "batch.merge") == 0)
            seen += s.source == CONF_FROM_DEFAULT && s.reloadable;
        if (strcmp(s.key, "databases.*.upstream") == 0)
            seen += strcmp(s.value, "postgres://u:***@cmd/d") == 0;
    }
    assert_int_equal(seen, 5);
    pw_conf_unref(c);
    pw_conf_errors_free(&errors);
}

static void test_errors_are_in_the_order_of_the_file(void **state)
{
    static const char *const expected[] = {
        "f.yaml:2:9: pgweir.mode: expected one of optimize|observe, got \"optimise\"; did you mean "
        "\"optimize\"?",
        "f.yaml:3:3: unknown key \"listn\" in pgweir; did you mean \"listen\"?",
        "f.yaml:5:3: unknown key \"tttl\" in cache; did you mean \"ttl\"?",
        "f.yaml:6:16: cache.consistency: expected one of auto|off|ttl|proxy|poll|wal, got "
        "\"wall\"; did you mean \"wal\"?",
    };
    (void)state;
    assert_null(
        load("pgweir:\n  mode: optimise\n  listn: x\ncache:\n  tttl: 1s\n  consistency: wall\n"));
    assert_int_equal(
        errors.n, PW_COUNT_OF(expected)); /* not "no database": that is not where the trouble is */
    for (size_t i = 0; i < errors.n; i++)
        assert_string_equal(errors.items[i].text, expected[i]);
    pw_conf_errors_free(&errors);
}

static void test_bad_overrides(void **state)
{
    (void)state;
    char *env[] = {"PGWEIR_BATCH_MAX=many", "PGWEIR_BATCH_DETPH=1", NULL};
    struct conf_override sets[] = {{"bach.depth", "40"}, {"batch.dept", "4"}, {"nodot", "4"}};
    struct conf_sources sources = {
        .environ_ = env, .sets = sets, .n_sets = 3, .upstream_optional = true};
    assert_null(load_with("", sources));
    assert_error("environment PGWEIR_BATCH_MAX: batch.max: expected a whole number, 1 .. 10000, "
                 "got \"many\"");
    assert_error("environment PGWEIR_BATCH_DETPH: warning: no such setting; did you mean "
                 "PGWEIR_BATCH_DEPTH?");
    assert_error("--set bach.depth: unknown section \"bach\"; did you mean \"batch\"?");
    assert_error("--set batch.dept: unknown key \"dept\" in batch; did you mean \"depth\"?");
    assert_error("--set nodot: expected SECTION.KEY, got \"nodot\"");
    pw_conf_errors_free(&errors);
    assert_null(load_with("", (struct conf_sources){0}));
    assert_error("configuration: no database: give --upstream URL, or databases: in the file");
    pw_conf_errors_free(&errors);
}

static void test_state_dir(void **state)
{
    (void)state;
    char *env[] = {"STATE_DIRECTORY=/run/a:/run/b", NULL};
    struct conf_sources sources = {.environ_ = env, .upstream_optional = true};
    struct pw_conf *c = load_with("", sources), *changed;
    char *error;
    assert_string_equal(c->pgweir.state_dir, "/run/a");
    assert_int_equal(pw_conf_set(c, "batch.max", "9", &changed, &error), PW_OK);
    assert_string_equal(changed->pgweir.state_dir, "/run/a");
    pw_conf_unref(changed);
    pw_conf_unref(c);
    pw_conf_errors_free(&errors);
}

static void test_set(void **state)
{
    (void)state;
    struct pw_conf *c = pw_conf_default("postgres://h/d"), *changed;
    char *error;
    assert_int_equal(pw_conf_set(c, "batch.max", "77", &changed, &error), PW_OK);
    assert_int_equal(changed->batch.max, 77);
    assert_int_equal(c->batch.max, 1000);
    assert_string_equal(pw_conf_get(changed, "batch.max"), "77");
    pw_conf_unref(changed);
    assert_int_equal(pw_conf_set(c, "databases.*.pool_size", "3", &changed, &error), PW_OK);
    assert_int_equal(changed->databases[0].pool_size, 3);
    pw_conf_unref(changed);
    const char *bad[][3] = {
        {"batch.max", "x", "SET: batch.max: expected a whole number, 1 .. 10000, got \"x\""},
        {"batch.mx", "1", "SET: unknown key \"mx\" in batch; did you mean \"max\"?"},
        {"pgweir.workers", "2", "SET: pgweir.workers can only be changed by a restart"},
        {"databases.new.upstream", "postgres://x",
         "SET: no such database in databases.new.upstream"},
        {"databases.*.min_pool_size", "21",
         "SET: databases.*: min_pool_size 21 is more than pool_size 20"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(pw_conf_set(c, bad[i][0], bad[i][1], &changed, &error), PW_CONFIG);
        assert_null(changed);
        assert_string_equal(error, bad[i][2]);
        free(error);
    }
    pw_conf_unref(c);
}

static void on_change(void *arg, const char *key, const char *old, const char *new, bool restart)
{
    char *out = arg;
    size_t len = strlen(out);
    snprintf(out + len, 1000 - len, "%s:%s>%s%s ", key, old, new, restart ? "!" : "");
}

static void test_diff(void **state)
{
    (void)state;
    struct pw_conf *a = loads(
        "databases: {x: {upstream: \"postgres://u:1@h\"}, y: {upstream: \"postgres://h\"}}\n");
    struct pw_conf *b =
        loads("pgweir: {workers: 3}\nbatch: {max: 5}\ncache: {rules: [{match: t}]}\n"
              "databases: {x: {upstream: \"postgres://u:2@h\"}}\n");
    char text[1000] = "";
    assert_int_equal(pw_conf_diff(a, b, on_change, text), 1);
    assert_non_null(strstr(text, "pgweir.workers:auto>3! batch.max:1000>5 "
                                 "databases.x.upstream:postgres://u:***@h>postgres://u:***@h "));
    assert_non_null(strstr(text, "databases.y.pool_size:20> "));
    assert_non_null(strstr(text, "cache.rules:0 rules>1 rules "));
    text[0] = '\0';
    assert_int_equal(pw_conf_diff(a, a, on_change, text), 0);
    assert_string_equal(text, "");
    assert_ptr_equal(pw_conf_ref(a), a);
    pw_conf_unref(a);
    pw_conf_unref(a);
    pw_conf_unref(b);
}

/* A field as wide as its kind says: conf.h is written by hand. */
static void test_table(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        [CONF_KIND_BOOL] = sizeof(bool),
        [CONF_KIND_ENUM] = 4,
        [CONF_KIND_COUNT] = 4,
        [CONF_KIND_PERCENT] = 4,
        [CONF_KIND_FRACTION] = sizeof(double),
        [CONF_KIND_DURATION] = 8,
        [CONF_KIND_BYTES] = 8,
        [CONF_KIND_TEXT] = sizeof(char *),
        [CONF_KIND_ADDRESS] = sizeof(char *),
        [CONF_KIND_LIST] = sizeof(char *),
    };
    for (size_t i = 0; i < pw_conf_n_rows; i++) {
        const struct conf_row *row = &pw_conf_rows[i];
        if (row->kind != CONF_KIND_URL)
            assert_int_equal(row->size, sizes[row->kind]);
        assert_true(row->kind != CONF_KIND_COUNT || row->max <= UINT32_MAX);
        assert_true(strlen(row->help) > 5);
        for (size_t j = 0; j < i; j++)
            assert_true(pw_conf_rows[j].offset != row->offset);
    }
}

static void test_file(void **state)
{
    (void)state;
    struct conf_sources sources = {.file = "/nonexistent.yaml"};
    struct pw_conf *conf;
    assert_int_equal(pw_conf_load(&sources, &conf, &errors), PW_CONFIG);
    assert_error("/nonexistent.yaml: No such file or directory");
    pw_conf_errors_free(&errors);
    sources.file = "/tmp";
    assert_int_equal(pw_conf_load(&sources, &conf, &errors), PW_CONFIG);
    assert_error("/tmp: Is a directory");
    pw_conf_errors_free(&errors);
    sources.file = "/dev/zero";
    assert_int_equal(pw_conf_load(&sources, &conf, &errors), PW_CONFIG);
    assert_error("/dev/zero: larger than 1 MB");
    pw_conf_errors_free(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_all_errors_are_reported),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_errors_are_in_the_order_of_the_file),
        cmocka_unit_test(test_bad_overrides),
        cmocka_unit_test(test_state_dir),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
