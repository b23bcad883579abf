/*
 * The process: the main thread's loop. Starts and stops everything in one order, hands accepted
 * sockets to the workers, answers what they ask (secrets, console commands), reloads, drains.
 * main() calls pw_control_run and nothing else.
 */
#ifndef PROXY_CONTROL_CONTROL_H
#define PROXY_CONTROL_CONTROL_H

#include "conf/conf.h"
#include "proxy/control/cli.h"

/* Runs until told to stop; the process's exit status (0, or 3: could not listen). Borrows both. */
int pw_control_run(const struct pw_conf *conf, const struct control_options *options);

#endif
