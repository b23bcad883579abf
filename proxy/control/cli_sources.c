/* See cli_sources.h. */
#include "proxy/control/cli_sources.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/suggest.h"
#include "proxy/base/alloc.h"

enum { OPTIONS_MAX = 16, OPT_UPSTREAM = 256, OPT_SET };

static const struct option common[] = {
    {"config", required_argument, NULL, 'c'}, {"upstream", required_argument, NULL, OPT_UPSTREAM},
    {"listen", required_argument, NULL, 'l'}, {"admin", required_argument, NULL, 'a'},
    {"http", required_argument, NULL, 'w'},   {"set", required_argument, NULL, OPT_SET},
    {"help", no_argument, NULL, 'h'},
};

static bool add_set(struct cli_sources *s, const char *key, const char *value)
{
    if (s->sources.n_sets == CLI_SETS_MAX) {
        fprintf(stderr, "pgweir: too many --set\n");
        return false;
    }
    s->sets[s->sources.n_sets++] = (struct conf_override){key, value};
    return true;
}

static bool add_pair(struct cli_sources *s, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals) {
        fprintf(stderr, "pgweir: --set needs SECTION.KEY=VALUE, got \"%s\"\n", pair);
        return false;
    }
    if (s->n_keys == CLI_SETS_MAX)
        return add_set(s, "", "");
    char *key = s->keys[s->n_keys++] = pw_strndup(pair, (size_t)(equals - pair));
    return add_set(s, key, equals + 1);
}

static bool unknown_option(const char *word, const struct option *options)
{
    struct suggestion closest;
    const char *name = strncmp(word, "--", 2) == 0 ? word + 2 : word;
    pw_suggest_init(&closest, pw_slice(name, strcspn(name, "=")));
    for (; options->name; options++)
        pw_suggest_offer(&closest, options->name);
    if (closest.best)
        fprintf(stderr, "pgweir: unknown option %s; did you mean --%s?\n", word, closest.best);
    else
        fprintf(stderr, "pgweir: unknown option %s; see pgweir --help\n", word);
    return false;
}

static bool take_option(struct cli_sources *s, int option)
{
    switch (option) {
    case 'c':
        s->sources.file = optarg;
        return true;
    case OPT_UPSTREAM:
        s->sources.upstream = optarg;
        return true;
    case 'l':
        return add_set(s, "pgweir.listen", optarg);
    case 'a':
        return add_set(s, "pgweir.admin", optarg);
    case 'w':
        return add_set(s, "pgweir.http", optarg);
    case OPT_SET:
        return add_pair(s, optarg);
    case 'h':
        s->help = true;
        return true;
    default:
        s->flag = option;
        return true;
    }
}

static bool take_rest(struct cli_sources *s, int argc, char **argv, int most)
{
    if (argc - optind > most) {
        fprintf(stderr, "pgweir: unexpected argument \"%s\"; see pgweir --help\n",
                argv[optind + most]);
        return false;
    }
    s->rest = optind < argc ? argv[optind] : NULL;
    return true;
}

bool pw_cli_sources_parse(struct cli_sources *s, int argc, char **argv, const struct option *own,
                          int most)
{
    struct option options[OPTIONS_MAX] = {0};
    size_t n = PW_COUNT_OF(common);
    int option;
    *s = (struct cli_sources){.sources = {.environ_ = environ, .sets = s->sets}};
    memcpy(options, common, sizeof common);
    for (; own && own->name && n < OPTIONS_MAX - 1; own++)
        options[n++] = *own;
    opterr = 0;
    optind = 0; /* glibc: start afresh */
    for (;;) {
        const char *word = argv[optind ? optind : 1];
        option = getopt_long(argc, argv, ":c:h", options, NULL);
        if (option == -1)
            return take_rest(s, argc, argv, most);
        if (option == ':') {
            fprintf(stderr, "pgweir: option %s needs a value\n", argv[optind - 1]);
            return false;
        }
        if (option == '?')
            return unknown_option(optind > 1 ? argv[optind - 1] : word, options);
        if (!take_option(s, option))
            return false;
    }
}

void pw_cli_sources_free(struct cli_sources *s)
{
    for (size_t i = 0; i < s->n_keys; i++)
        PW_FREE(s->keys[i]);
    s->n_keys = 0;
}

void pw_cli_print_errors(const struct conf_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        fprintf(stderr, "%s\n", errors->items[i].text);
}

struct pw_conf *pw_cli_load(const struct conf_sources *sources)
{
    struct conf_errors errors;
    struct pw_conf *conf;
    if (pw_conf_load(sources, &conf, &errors) != PW_OK)
        conf = NULL;
    pw_cli_print_errors(&errors);
    pw_conf_errors_free(&errors);
    return conf;
}
