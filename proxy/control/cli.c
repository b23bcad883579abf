/* The commands and their help, in one table; see cli.h. */
#include "proxy/control/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/document.h"
#include "conf/suggest.h"
#include "conf/userlist.h"
#include "proxy/base/alloc.h"
#include "proxy/control/cli_sources.h"
#include "proxy/control/console_client.h"
#include "proxy/control/doctor.h"
#include "proxy/control/import_pgbouncer.h"

enum { OUTPUT_MAX = 16 << 20, FLAG_DEFAULTS = 512, FLAG_MARKDOWN };

typedef int (*run_command)(int argc, char **argv, const struct cli_entry_points *entry);

struct command {
    const char *name;
    run_command run;
    const char *usage, *summary;
};

static const struct command *find_command(const char *name);

static int command_help(const char *name)
{
    const struct command *c = find_command(name);
    printf("usage: pgweir %s\n\n%s\n", c->usage, c->summary);
    return CLI_OK;
}

static int print_all(struct buf *out)
{
    size_t written = fwrite(out->data, 1, out->len, stdout);
    bool complete = written == out->len && fflush(stdout) == 0 && !out->failed;
    pw_buf_free(out);
    if (complete)
        return CLI_OK;
    perror("pgweir: cannot write");
    return CLI_CONFIG;
}

/* Every command's beginning. False: *status says how it ended (a wrong argument, or its help was
 * asked for). */
static bool begin(struct cli_sources *s, int argc, char **argv, const struct option *own,
                  int max_rest, const char *name, int *status)
{
    *status = CLI_USAGE;
    if (!pw_cli_sources_parse(s, argc, argv, own, max_rest))
        return false;
    if (s->help)
        *status = command_help(name);
    return !s->help;
}

static int run_serve(int argc, char **argv, const struct cli_entry_points *entry)
{
    struct cli_sources s;
    int status;
    if (!begin(&s, argc, argv, NULL, 0, "serve", &status))
        goto out;
    status = CLI_CONFIG;
    struct pw_conf *conf = pw_cli_load(&s.sources);
    if (conf) {
        struct control_options options = {.sources = s.sources};
        status = entry->serve(conf, &options);
        pw_conf_unref(conf);
    }
out:
    pw_cli_sources_free(&s);
    return status;
}

/* The files that the configuration names must be good too; the load itself has read auth.hba_file.
 */
static bool check_files(const struct pw_conf *conf)
{
    struct conf_errors errors = {0};
    bool good = true;
    if (*conf->auth.file) {
        struct userlist *list = pw_userlist_load(conf->auth.file, &errors);
        good &= list != NULL;
        pw_userlist_free(list);
        pw_cli_print_errors(&errors);
        pw_conf_errors_free(&errors);
    }
    return good;
}

static int run_check(int argc, char **argv, const struct cli_entry_points *entry)
{
    struct cli_sources s;
    int status;
    (void)entry;
    if (!begin(&s, argc, argv, NULL, 1, "check", &status))
        goto out;
    if (!s.sources.file)
        s.sources.file = s.rest;
    if (!s.sources.file && !s.sources.upstream) {
        fprintf(stderr, "pgweir: check needs -c FILE\n");
        goto out;
    }
    struct pw_conf *conf = pw_cli_load(&s.sources);
    status = conf && check_files(conf) ? CLI_OK : CLI_CONFIG;
    if (status == CLI_OK)
        printf("%s: ok\n", s.sources.file ? s.sources.file : "configuration");
    pw_conf_unref(conf);
out:
    pw_cli_sources_free(&s);
    return status;
}

static int run_config(int argc, char **argv, const struct cli_entry_points *entry)
{
    static const struct option own[] = {{"defaults", no_argument, NULL, FLAG_DEFAULTS},
                                        {"markdown", no_argument, NULL, FLAG_MARKDOWN},
                                        {0}};
    struct cli_sources s;
    struct buf out;
    int status;
    (void)entry;
    pw_buf_init(&out, OUTPUT_MAX);
    if (!begin(&s, argc, argv, own, 0, "config", &status))
        goto out;
    s.sources.upstream_optional = true;
    struct pw_conf *conf = NULL;
    if (s.flag == FLAG_DEFAULTS)
        pw_document_defaults(&out);
    else if (s.flag == FLAG_MARKDOWN)
        pw_document_markdown(&out);
    else if ((conf = pw_cli_load(&s.sources)))
        pw_document_settings(conf, &out);
    status = s.flag || conf ? print_all(&out) : CLI_CONFIG;
    pw_conf_unref(conf);
out:
    pw_buf_free(&out);
    pw_cli_sources_free(&s);
    return status;
}

static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], word, strlen(word)) == 0 && strchr("=", argv[i][strlen(word)]))
            return true; /* "--word" or "--word=value" */
    return false;
}

/* The history is where a pgweir of this user keeps it, unless --state-dir says otherwise. */
static int advise_by_history(int argc, char **argv, const struct cli_entry_points *entry)
{
    const struct conf_sources sources = {.environ_ = environ, .upstream_optional = true};
    struct pw_conf *conf = pw_cli_load(&sources);
    if (!conf)
        return CLI_CONFIG;
    char **with = pw_alloc(((size_t)argc + 3) * sizeof(*with));
    char *dir = pw_strdup(conf->pgweir.state_dir), option[] = "--state-dir";
    with[0] = argv[0];
    with[1] = option;
    with[2] = dir;
    memcpy(with + 3, argv + 1, ((size_t)argc - 1) * sizeof(*with));
    int status = entry->advise(argc + 2, with);
    pw_free(with);
    pw_free(dir);
    pw_conf_unref(conf);
    return status;
}

static int run_advise(int argc, char **argv, const struct cli_entry_points *entry)
{
    if (has_word(argc, argv, "--help") || has_word(argc, argv, "-h"))
        return command_help("advise");
    if (has_word(argc, argv, "--history") && !has_word(argc, argv, "--state-dir"))
        return advise_by_history(argc, argv, entry);
    return entry->advise(argc, argv);
}

static int run_console(int argc, char **argv, const struct cli_entry_points *entry)
{
    struct cli_sources s;
    int status;
    (void)entry;
    if (!begin(&s, argc, argv, NULL, 1, "console", &status))
        goto out;
    s.sources.upstream_optional = true;
    struct pw_conf *conf = pw_cli_load(&s.sources);
    status = CLI_CONFIG;
    if (conf)
        status =
            pw_console_client_run(s.rest ? s.rest : conf->pgweir.admin, conf->pgweir.state_dir);
    pw_conf_unref(conf);
out:
    pw_cli_sources_free(&s);
    return status;
}

static int run_doctor(int argc, char **argv, const struct cli_entry_points *entry)
{
    struct cli_sources s;
    int status;
    (void)entry;
    if (!begin(&s, argc, argv, NULL, 0, "doctor", &status))
        goto out;
    struct pw_conf *conf = pw_cli_load(&s.sources);
    status = conf ? pw_doctor_run(conf) : CLI_CONFIG;
    pw_conf_unref(conf);
out:
    pw_cli_sources_free(&s);
    return status;
}

static int run_import(int argc, char **argv, const struct cli_entry_points *entry)
{
    struct cli_sources s;
    struct buf out;
    int status;
    (void)entry;
    pw_buf_init(&out, OUTPUT_MAX);
    if (!begin(&s, argc, argv, NULL, 1, "import-pgbouncer", &status))
        goto out;
    if (!s.rest) {
        fprintf(stderr, "pgweir: import-pgbouncer needs FILE.ini\n");
    } else {
        struct conf_errors errors;
        bool good = pw_import_pgbouncer_load(s.rest, &out, &errors);
        pw_cli_print_errors(&errors);
        pw_conf_errors_free(&errors);
        status = good ? print_all(&out) : CLI_CONFIG;
    }
out:
    pw_buf_free(&out);
    pw_cli_sources_free(&s);
    return status;
}

static const struct command commands[] = {
    {"serve", run_serve,
     "[serve] [-c FILE] [--upstream URL] [--listen ADDR:PORT] [--admin ADDR:PORT]\n"
     "              [--http ADDR:PORT] [--set SECTION.KEY=VALUE]...",
     "Run the proxy. --upstream URL alone is enough."},
    {"check", run_check, "check -c FILE",
     "Check a configuration: exit 0, or every error with its place and exit 1."},
    {"advise", run_advise,
     "advise --upstream URL [--workload FILE.sql | --pg-stat-statements | --history]\n"
     "              [--budget 500MB] [--max-columns N] [--format text|json|html|sql] [-o FILE]",
     "Index advice without running the proxy. FILE.sql: statements separated by ;, an optional\n"
     "      \"-- weight: N\" line before each. --history: what a pgweir kept, in its "
     "pgweir.state_dir or\n"
     "      --state-dir DIR. Further: [--unused-after 7d] [--min-index-size 1MB] [--standby "
     "URL]...\n"
     "      [--no-hypopg] [--jit | --functions] (--jit executes the workload's reads, read-only)."},
    {"console", run_console, "console [ADDR:PORT] [-c FILE]",
     "Talk to a running pgweir: line editing, history, completion; reads a pipe too."},
    {"config", run_config, "config [--defaults | --markdown] [-c FILE]",
     "Every setting, its value and where it comes from."},
    {"doctor", run_doctor, "doctor [-c FILE | --upstream URL]",
     "Try everything pgweir needs: OK, WARN or FAIL, each with its fix."},
    {"import-pgbouncer", run_import, "import-pgbouncer FILE.ini",
     "Print a pgweir.yaml that does what FILE.ini does, with notes on what has no equivalent."},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < PW_COUNT_OF(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int help(void)
{
    printf("pgweir %s: a PostgreSQL proxy that pools, batches and caches queries and advises on "
           "indexes\n\nusage:\n",
           PW_VERSION);
    for (size_t i = 0; i < PW_COUNT_OF(commands); i++)
        printf("  pgweir %s\n      %s\n", commands[i].usage, commands[i].summary);
    printf("  pgweir --version | --help\n\n"
           "Settings: command line, then PGWEIR_SECTION_KEY in the environment, then the file, "
           "then the default;\n"
           "`pgweir config --defaults` prints them all. Signals: HUP reload, TERM drain and stop, "
           "USR1 reopen the log.\n"
           "Exit status: 0 ended as asked, 1 configuration, 2 usage, 3 could not listen or reach "
           "what it must.\n");
    return CLI_OK;
}

static int unknown_command(const char *name)
{
    struct suggestion closest;
    pw_suggest_init(&closest, pw_slice_str(name));
    for (size_t i = 0; i < PW_COUNT_OF(commands); i++)
        pw_suggest_offer(&closest, commands[i].name);
    if (closest.best)
        fprintf(stderr, "pgweir: unknown command \"%s\"; did you mean \"%s\"?\n", name,
                closest.best);
    else
        fprintf(stderr, "pgweir: unknown command \"%s\"; see pgweir --help\n", name);
    return CLI_USAGE;
}

int pw_cli_main(int argc, char **argv, const struct cli_entry_points *entry)
{
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0)
        return help();
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        printf("pgweir %s\n", PW_VERSION);
        return CLI_OK;
    }
    if (!*first || *first == '-')
        return run_serve(argc, argv, entry);
    const struct command *c = find_command(first);
    return c ? c->run(argc - 1, argv + 1, entry) : unknown_command(first);
}
