/* The options that say where the configuration comes from, common to several commands. */
#ifndef PROXY_CONTROL_CLI_SOURCES_H
#define PROXY_CONTROL_CLI_SOURCES_H

#include <getopt.h>

#include "conf/conf.h"

enum { CLI_SETS_MAX = 256 };

struct cli_sources {
    struct conf_sources sources;
    struct conf_override sets[CLI_SETS_MAX];
    char *keys[CLI_SETS_MAX]; /* OWN: the keys cut out of --set KEY=VALUE */
    size_t n_keys;
    int flag;   /* val of the command's own option that was given, 0: none */
    char *rest; /* BORROW: the one argument that is no option, NULL: none */
    bool help;
};

/* Parses argv[1...]; `own` are the command's own long options without arguments (ends with a zero
 * row), `most` how many other arguments it takes (0 or 1). False: the error has been printed, exit
 * with CLI_USAGE. */
bool pw_cli_sources_parse(struct cli_sources *s, int argc, char **argv, const struct option *own,
                          int most);
void pw_cli_sources_free(struct cli_sources *s);

/* Loads and prints every error and warning on stderr; NULL after errors. */
struct pw_conf *pw_cli_load(const struct conf_sources *sources);
void pw_cli_print_errors(const struct conf_errors *errors);

#endif
