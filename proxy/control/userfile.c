/* See userfile.h. */
#include "proxy/control/userfile.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"

enum {
    SETTLED_US = 50 * 1000
}; /* a file younger than this may change again within its timestamp's grain */

struct userfile {
    char *path;            /* OWN */
    struct userlist *list; /* OWN */
    struct stat stamp;     /* of what was read last, good or bad */
    bool has_stamp, settled;
    uint64_t reads;
};

struct userfile *pw_userfile_new(void)
{
    return pw_alloc(sizeof(struct userfile));
}

void pw_userfile_free(struct userfile *f)
{
    pw_userlist_free(f->list);
    pw_free(f->path);
    pw_free(f);
}

void pw_userfile_forget_stamp(struct userfile *f)
{
    f->has_stamp = false;
}

uint64_t pw_userfile_reads(const struct userfile *f)
{
    return f->reads;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_unchanged(const struct userfile *f, const struct stat *now)
{
    const struct stat *then = &f->stamp;
    return f->has_stamp && f->settled && then->st_ino == now->st_ino &&
           then->st_dev == now->st_dev && then->st_size == now->st_size &&
           same_time(then->st_mtim, now->st_mtim) && same_time(then->st_ctim, now->st_ctim);
}

static void read_again(struct userfile *f)
{
    struct conf_errors errors;
    struct userlist *list = pw_userlist_load(f->path, &errors);
    for (size_t i = 0; i < errors.n; i++)
        pw_log_warn("event=userlist text=\"%s\"", errors.items[i].text);
    pw_conf_errors_free(&errors);
    f->reads++;
    if (list) {
        pw_userlist_free(f->list);
        f->list = list;
        pw_log_info("event=userlist_read path=%s users=%zu", f->path, pw_userlist_count(list));
    } else {
        pw_log_error("event=userlist_refused path=%s next=\"%s\"", f->path,
                     f->list ? "correct it; the list read before stays in force"
                             : "correct it; nobody is in it");
    }
}

const struct userlist *pw_userfile_get(struct userfile *f, const char *path)
{
    struct stat now;
    if (!path[0])
        return NULL;
    if (!f->path || strcmp(f->path, path) != 0) {
        pw_userlist_free(f->list);
        pw_free(f->path);
        *f = (struct userfile){.path = pw_strdup(path), .reads = f->reads};
    }
    if (stat(path, &now) != 0) {
        bool said = f->has_stamp && f->stamp.st_ino == 0;
        if (!said)
            pw_log_error("event=userlist_missing path=%s text=\"%s\" next=\"the list read before "
                         "stays in force\"",
                         path, strerror(errno));
        f->stamp = (struct stat){0};
        f->has_stamp = true;
        return f->list;
    }
    if (is_unchanged(f, &now))
        return f->list;
    int64_t changed_us = (int64_t)now.st_ctim.tv_sec * 1000000 + now.st_ctim.tv_nsec / 1000;
    f->stamp = now;
    f->has_stamp = true;
    f->settled = (int64_t)pw_clock_wall_us() - changed_us > SETTLED_US;
    read_again(f);
    return f->list;
}
