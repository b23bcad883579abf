/*
 * The command line: pgweir [serve] | check | advise | console | config | doctor | import-pgbouncer.
 * Parses, loads the configuration and calls; the commands that are more than that come in as entry
 * points, so that this file needs neither the proxy nor the advisor. Main thread, before any other.
 */
#ifndef PROXY_CONTROL_CLI_H
#define PROXY_CONTROL_CLI_H

#include "conf/conf.h"

enum cli_exit { CLI_OK = 0, CLI_CONFIG = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3 };

/* What `serve` was told, alive until it returns: a reload is pw_conf_load(&options->sources, ...),
 * so that the command line and the environment stay stronger than the file. */
struct control_options {
    struct conf_sources sources;
};

struct cli_entry_points {
    int (*serve)(const struct pw_conf *conf,
                 const struct control_options *options); /* exit status; borrows conf */
    int (*advise)(int argc, char **argv);                /* argv[0] is "advise" */
};

/* The process's exit status. */
int pw_cli_main(int argc, char **argv, const struct cli_entry_points *entry);

#endif
