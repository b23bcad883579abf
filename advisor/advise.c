/* See advise.h. */
#include "advisor/advise.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advisor/history.h"
#include "advisor/run.h"
#include "proxy/base/alloc.h"
#include "proxy/base/num.h"

#define STACK_BYTES    ((size_t)64 << 20)
#define FILE_MAX_BYTES ((size_t)256 << 20)
#define REPORT_MAX     ((size_t)256 << 20)
#define STANDBYS_MAX   16

enum { EXIT_DONE, EXIT_PARTIAL, EXIT_USAGE, EXIT_UNREACHED };

typedef bool (*renderer)(const struct advice_set *s, struct buf *out);

struct command {
    struct advise_job job;
    const char *workload_path, *output_path;
    renderer render;
    bool pgss, from_history;
    const char *standbys[STANDBYS_MAX];
    int status;
};

static const char usage[] =
    "usage: pgweir advise --upstream URL [--workload FILE.sql | --pg-stat-statements | --history]\n"
    "       [--budget 500MB] [--max-columns N] [--format text|json|html|sql] [-o FILE]\n"
    "       [--state-dir DIR] [--unused-after 7d] [--min-index-size 1MB] [--standby URL]... "
    "[--no-hypopg]\n"
    "       [--jit | --functions]     (--jit executes the workload's reads, read-only)\n";

static void progress(void *arg, const char *phase, size_t done, size_t total)
{
    (void)arg;
    if (total)
        fprintf(stderr, "advise: %s %zu of %zu\n", phase, done, total);
    else
        fprintf(stderr, "advise: %s\n", phase);
}

/* On a terminal every step; otherwise only where a phase begins. */
static void quiet_progress(void *arg, const char *phase, size_t done, size_t total)
{
    if (done == 0)
        progress(arg, phase, 0, total ? total : 0);
}

static bool choose_format(struct command *c, const char *name)
{
    static const struct {
        const char *name;
        renderer render;
    } formats[] = {{"text", pw_advice_render_text},
                   {"json", pw_advice_render_json},
                   {"html", pw_advice_render_html},
                   {"sql", pw_advice_render_sql}};
    for (size_t k = 0; k < PW_COUNT_OF(formats); k++)
        if (strcmp(formats[k].name, name) == 0) {
            c->render = formats[k].render;
            return true;
        }
    return false;
}

static bool take_option(struct command *c, int option, const char *value)
{
    struct advisor_options *o = &c->job.o;
    uint64_t n;
    switch (option) {
    case 'u':
        c->job.conninfo = value;
        return true;
    case 'w':
        c->workload_path = value;
        return true;
    case 'p':
        c->pgss = true;
        return true;
    case 'h':
        c->from_history = true;
        return true;
    case 'b':
        return pw_num_parse_bytes(pw_slice_str(value), &o->budget_bytes);
    case 'i':
        return pw_num_parse_bytes(pw_slice_str(value), &o->min_index_size);
    case 'm':
        if (!pw_num_parse_u64(pw_slice_str(value), &n) || n < 1 || n > 32)
            return false;
        o->max_columns = (int)n;
        return true;
    case 'f':
        return choose_format(c, value);
    case 'o':
        c->output_path = value;
        return true;
    case 'd':
        o->state_dir = value;
        return true;
    case 'a':
        return pw_num_parse_duration(pw_slice_str(value), &o->unused_after_us);
    case 's':
        if (o->n_standbys >= STANDBYS_MAX)
            return false;
        c->standbys[o->n_standbys++] = value;
        return true;
    case 'n':
        c->job.no_hypopg = true;
        return true;
    case 'j':
        c->job.what = ADVISE_JIT;
        return true;
    case 'F':
        c->job.what = ADVISE_FUNCTIONS;
        return true;
    default:
        return false;
    }
}

static bool parse_arguments(struct command *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"upstream", required_argument, NULL, 'u'},
        {"workload", required_argument, NULL, 'w'},
        {"pg-stat-statements", no_argument, NULL, 'p'},
        {"history", no_argument, NULL, 'h'},
        {"budget", required_argument, NULL, 'b'},
        {"max-columns", required_argument, NULL, 'm'},
        {"format", required_argument, NULL, 'f'},
        {"state-dir", required_argument, NULL, 'd'},
        {"unused-after", required_argument, NULL, 'a'},
        {"min-index-size", required_argument, NULL, 'i'},
        {"standby", required_argument, NULL, 's'},
        {"no-hypopg", no_argument, NULL, 'n'},
        {"jit", no_argument, NULL, 'j'},
        {"functions", no_argument, NULL, 'F'},
        {NULL, 0, NULL, 0},
    };
    optind = 1;
    int at = -1;
    for (int option; (option = getopt_long(argc, argv, "o:", options, &at)) != -1; at = -1) {
        if (option == '?')
            return false;
        if (!take_option(c, option, optarg)) {
            fprintf(stderr, "advise: bad value for --%s: %s\n", at >= 0 ? options[at].name : "o",
                    optarg ? optarg : "");
            return false;
        }
    }
    c->job.o.standbys = c->standbys;
    if (optind < argc)
        fprintf(stderr, "advise: unexpected argument: %s\n", argv[optind]);
    else if (!c->job.conninfo)
        fprintf(stderr, "advise: --upstream is required\n");
    else if ((c->workload_path != NULL) + c->pgss + c->from_history > 1)
        fprintf(stderr, "advise: one of --workload, --pg-stat-statements and --history\n");
    else if (c->from_history && !c->job.o.state_dir)
        fprintf(stderr, "advise: --history needs --state-dir\n");
    else
        return true;
    return false;
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!f)
        return false;
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        pw_buf_append(out, chunk, n);
    bool ok = !ferror(f) && !out->failed;
    if (f != stdin)
        fclose(f);
    return ok;
}

static bool write_report(const struct command *c, const struct advice_set *s)
{
    struct buf out;
    pw_buf_init(&out, REPORT_MAX);
    bool ok = c->render(s, &out);
    FILE *f = c->output_path ? fopen(c->output_path, "w") : stdout;
    ok = ok && f && fwrite(out.data, 1, out.len, f) == out.len;
    if (f)
        ok = (f == stdout ? fflush(f) : fclose(f)) == 0 && ok;
    if (!ok)
        fprintf(stderr, "advise: cannot write %s: %s\n",
                c->output_path ? c->output_path : "the report", strerror(errno));
    pw_buf_free(&out);
    return ok;
}

static bool load_workload(const struct command *c, struct workload *w)
{
    struct buf text;
    pw_buf_init(&text, FILE_MAX_BYTES);
    bool ok = read_file(c->workload_path, &text);
    if (ok)
        pw_workload_add_file(w, pw_buf_slice(&text));
    else
        fprintf(stderr, "advise: cannot read %s: %s\n", c->workload_path, strerror(errno));
    pw_buf_free(&text);
    return ok;
}

/* Parsing needs a large stack, so everything runs on a thread that has one. */
static void *work(void *arg)
{
    struct command *c = arg;
    const char *source = c->pgss ? "pg_stat_statements" : c->from_history ? "history" : "workload";
    struct workload *w = pw_workload_new(source);
    if (c->workload_path && !load_workload(c, w)) {
        c->status = EXIT_USAGE;
        pw_workload_free(w);
        return NULL;
    }
    bool reached = false;
    char *error = NULL;
    const char *dir = c->job.o.state_dir;
    struct history *h = dir ? pw_history_open(dir, &error) : NULL;
    if (error)
        fprintf(stderr, "advise: history: %s\n", error);
    pw_free(error);
    struct advice_set *s = pw_advise_run(&c->job, w, h, &reached);
    pw_history_close(h);
    for (size_t k = 0; !reached && k < s->n_notes; k++)
        fprintf(stderr, "advise: %s\n", s->notes[k]);
    bool written = write_report(c, s);
    c->status = !reached ? EXIT_UNREACHED : s->partial || !written ? EXIT_PARTIAL : EXIT_DONE;
    pw_advice_set_unref(s);
    pw_workload_free(w);
    return NULL;
}

int pw_advise_main(int argc, char **argv)
{
    struct command c = {.render = pw_advice_render_text};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    if (!parse_arguments(&c, argc, argv)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    pw_advise_defaults(&c.job.o);
    c.job.progress = isatty(STDERR_FILENO) ? progress : quiet_progress;
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int failed = pthread_create(&thread, &attr, work, &c);
    pthread_attr_destroy(&attr);
    if (failed) {
        fprintf(stderr, "advise: cannot start a thread: %s\n", strerror(failed));
        return EXIT_PARTIAL;
    }
    pthread_join(thread, NULL);
    return c.status;
}
