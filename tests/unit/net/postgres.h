/* A throwaway PostgreSQL in a temporary directory, on its Unix socket and a free port, with a SCRAM
 * password. Started by initdb and pg_ctl, waited for by pg_ctl -w. */
#ifndef TESTS_UNIT_NET_POSTGRES_H
#define TESTS_UNIT_NET_POSTGRES_H

#include <glob.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/net/world.h"

struct postgres {
    char *dir, *bin; /* OWN */
    int port;
};

/* Runs a shell command as the user that may run PostgreSQL (never root); its exit status. */
static inline int pg_run(const char *command)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;
        if (pw && (setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0))
            _exit(126);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static inline void pg_start(struct postgres *pg)
{
    char *command = pw_asprintf("%s/pg_ctl -s -w -t 60 -D %s/data -l %s/log -o '-p %d -k %s "
                                "-c listen_addresses=127.0.0.1 -c fsync=off' start",
                                pg->bin, pg->dir, pg->dir, pg->port, pg->dir);
    assert_int_equal(pg_run(command), 0);
    pw_free(command);
}

static inline void pg_stop(struct postgres *pg)
{
    char *command = pw_asprintf("%s/pg_ctl -s -w -m immediate -D %s/data stop", pg->bin, pg->dir);
    assert_int_equal(pg_run(command), 0);
    pw_free(command);
}

static inline void pg_create(struct postgres *pg)
{
    glob_t found;
    assert_int_equal(glob("/usr/lib/postgresql/*/bin", 0, NULL, &found), 0);
    pg->bin = pw_strdup(found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    pg->dir = temp_dir();
    struct passwd *pw = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (pw)
        assert_int_equal(chown(pg->dir, pw->pw_uid, pw->pw_gid), 0);
    int fd;
    char *error = NULL;
    assert_int_equal(pw_listen_bind_tcp("127.0.0.1:0", 1, &fd, &error), PW_OK);
    pg->port = pw_listen_port(fd);
    close(fd);
    char *command = pw_asprintf(
        "echo geheim > %s/pw && %s/initdb -D %s/data -U tester -A scram-sha-256 --pwfile=%s/pw "
        "--no-sync > %s/initdb.log 2>&1",
        pg->dir, pg->bin, pg->dir, pg->dir, pg->dir);
    assert_int_equal(pg_run(command), 0);
    pw_free(command);
    pg_start(pg);
}

static inline void pg_destroy(struct postgres *pg)
{
    pg_stop(pg);
    char *command = pw_asprintf("rm -rf %s", pg->dir);
    assert_int_equal(pg_run(command), 0);
    if (geteuid() == 0)
        rmdir(pg->dir);
    pw_free(command);
    pw_free(pg->dir);
    pw_free(pg->bin);
}

static inline char *pg_url(const struct postgres *pg, const char *password)
{
    return pw_asprintf("postgres://tester:%s@127.0.0.1:%d/postgres", password, pg->port);
}

#endif
