/* `pgweir advise`: index advice without running the proxy. Runs its work on a thread with a 64 MB
 * stack. */
#ifndef ADVISOR_ADVISE_H
#define ADVISOR_ADVISE_H

/* argv[0] is "advise". --upstream URL, --workload FILE.sql | --pg-stat-statements | --history,
 * --budget 500MB,
 * --max-columns N, --format text|json|html|sql, -o FILE, --state-dir DIR, --unused-after 35d,
 * --standby URL (repeatable), --no-hypopg, --jit, --functions. Progress on stderr. Exit status: 0
 * complete, 1 partial (the report says what is missing), 2 usage, 3 the server could not be
 * reached. */
int pw_advise_main(int argc, char **argv);

#endif
