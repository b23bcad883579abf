/* `pgweir console`: a terminal for the console's line protocol. Blocking, main thread. */
#ifndef PROXY_CONTROL_CONSOLE_CLIENT_H
#define PROXY_CONTROL_CONSOLE_CLIENT_H

/* address: ADDR:PORT, or a path of a Unix socket; "": state_dir/admin.sock. History is kept in
 * state_dir when it can be written. Standard input that is no terminal is read line by line. Exit
 * status: 0; 1 when a command of a pipe was answered with ERROR; 3 when the console could not be
 * reached or went away. */
int pw_console_client_run(const char *address, const char *state_dir);

#endif
