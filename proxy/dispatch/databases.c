#include "proxy/dispatch/databases.h"

#include <pthread.h>
#include <string.h>

#include "proxy/base/alloc.h"

struct database {
    struct database *next;
    char *name;
    uint32_t id;   /* 0: nobody has logged in to it yet */
    uint32_t rows; /* of pools that are not proven; with id 0 and none of them it is forgotten */
    bool paused, disabled;
    _Atomic uint32_t clients;
    bool keeps_sequences;
    char *hosts, *dbname; /* OWN; NULL: not known yet */
};

struct databases {
    pthread_mutex_t lock; /* guards list, pause_new and the insertion into rows */
    struct database *list;
    struct pool_row *_Atomic rows; /* OWN */
    struct hashmap row_map;        /* the same rows, to be found; under the lock */
    uint32_t last_id;
    bool pause_new;
    _Atomic bool has_siblings; /* some two names lead to one database */
    void (*on_new)(void *arg, uint32_t id, const char *name);
    void *arg;
};

struct databases *pw_databases_new(void (*on_new)(void *arg, uint32_t id, const char *name),
                                   void *arg)
{
    struct databases *d = pw_alloc(sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    pw_hashmap_init(&d->row_map);
    d->on_new = on_new;
    d->arg = arg;
    return d;
}

static void free_entry(struct database *entry)
{
    pw_free(entry->name);
    pw_free(entry->hosts);
    pw_free(entry->dbname);
    pw_free(entry);
}

void pw_databases_free(struct databases *d)
{
    while (d->list) {
        struct database *entry = d->list;
        d->list = entry->next;
        free_entry(entry);
    }
    for (struct pool_row *row = d->rows, *next; row; row = next) {
        next = row->next;
        pw_free(row->database);
        pw_free(row->user);
        pw_free(row);
    }
    pw_hashmap_free(&d->row_map);
    pthread_mutex_destroy(&d->lock);
    pw_free(d);
}

static struct database *find_locked(struct databases *d, const char *name)
{
    struct database *entry = d->list;
    while (entry && strcmp(entry->name, name) != 0)
        entry = entry->next;
    return entry;
}

void pw_databases_pause(struct databases *d, const char *name, bool paused)
{
    pthread_mutex_lock(&d->lock);
    for (struct database *entry = d->list; entry; entry = entry->next)
        if (!name || strcmp(entry->name, name) == 0)
            entry->paused = paused;
    if (!name)
        d->pause_new = paused;
    pthread_mutex_unlock(&d->lock);
}

void pw_databases_disable(struct databases *d, const char *name, bool disabled)
{
    pthread_mutex_lock(&d->lock);
    struct database *entry = find_locked(d, name);
    if (entry)
        entry->disabled = disabled;
    pthread_mutex_unlock(&d->lock);
}

bool pw_databases_is_paused(struct databases *d, const char *name)
{
    pthread_mutex_lock(&d->lock);
    const struct database *entry = find_locked(d, name);
    bool paused = entry && entry->paused;
    pthread_mutex_unlock(&d->lock);
    return paused;
}

bool pw_databases_is_disabled(struct databases *d, const char *name)
{
    pthread_mutex_lock(&d->lock);
    const struct database *entry = find_locked(d, name);
    bool disabled = entry && entry->disabled;
    pthread_mutex_unlock(&d->lock);
    return disabled;
}

static struct database *enter_locked(struct databases *d, const char *name)
{
    struct database *entry = find_locked(d, name);
    if (entry)
        return entry;
    entry = pw_alloc(sizeof *entry);
    entry->name = pw_strdup(name);
    entry->paused = d->pause_new;
    entry->next = d->list;
    d->list = entry;
    return entry;
}

static void forget_locked(struct databases *d, struct database *entry)
{
    if (entry->id || entry->rows || entry->disabled)
        return;
    struct database **at = &d->list;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    free_entry(entry);
}

/* A name that counts from now on. */
uint32_t pw_databases_id(struct databases *d, const char *name)
{
    pthread_mutex_lock(&d->lock);
    struct database *entry = enter_locked(d, name);
    bool is_new = entry->id == 0;
    if (is_new)
        entry->id = ++d->last_id;
    uint32_t id = entry->id;
    pthread_mutex_unlock(&d->lock);
    if (is_new && d->on_new)
        d->on_new(d->arg, id, name);
    return id;
}

/* ---- several names of one database */

/* Is a line of one list in the other? */
static bool share_a_line(const char *a, const char *b)
{
    for (size_t n; *a; a += n + 1) {
        n = strcspn(a, "\n");
        for (const char *p = b; *p; p += strcspn(p, "\n") + 1)
            if (strcspn(p, "\n") == n && memcmp(p, a, n) == 0)
                return true;
    }
    return false;
}

static bool is_sibling(const struct database *a, const struct database *b)
{
    return a != b && a->hosts && b->hosts && a->id != b->id && strcmp(a->dbname, b->dbname) == 0 &&
           share_a_line(a->hosts, b->hosts);
}

void pw_databases_place(struct databases *d, const char *name, const char *hosts,
                        const char *dbname)
{
    pthread_mutex_lock(&d->lock);
    struct database *entry = find_locked(d, name);
    if (entry &&
        (!entry->hosts || strcmp(entry->hosts, hosts) != 0 || strcmp(entry->dbname, dbname) != 0)) {
        pw_free(entry->hosts);
        pw_free(entry->dbname);
        entry->hosts = pw_strdup(hosts);
        entry->dbname = pw_strdup(dbname);
        for (const struct database *other = d->list; other; other = other->next)
            if (is_sibling(entry, other))
                atomic_store(&d->has_siblings, true);
    }
    pthread_mutex_unlock(&d->lock);
}

size_t pw_databases_siblings(struct databases *d, uint32_t id, uint32_t *out, size_t max)
{
    if (!atomic_load(&d->has_siblings))
        return 0;
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    const struct database *entry = d->list;
    while (entry && entry->id != id)
        entry = entry->next;
    for (const struct database *other = d->list; entry && other; other = other->next)
        if (other->id && is_sibling(entry, other) && n++ < max)
            out[n - 1] = other->id;
    pthread_mutex_unlock(&d->lock);
    return n;
}

bool pw_databases_keep_sequences(struct databases *d, uint32_t id, bool learn)
{
    pthread_mutex_lock(&d->lock);
    struct database *entry = d->list;
    while (entry && entry->id != id)
        entry = entry->next;
    bool keeps = entry && (entry->keeps_sequences |= learn);
    pthread_mutex_unlock(&d->lock);
    return keeps;
}

static uint64_t row_hash(const char *database, const char *user, unsigned worker)
{
    return pw_hash_mix(
        pw_hash_mix(pw_hash_bytes(database, strlen(database)), pw_hash_bytes(user, strlen(user))),
        worker);
}

struct pool_row *pw_databases_pool_row(struct databases *d, const char *database, const char *user,
                                       unsigned worker)
{
    uint64_t hash = row_hash(database, user, worker);
    struct pool_row *row = NULL;
    pthread_mutex_lock(&d->lock);
    for (struct hash_node *n = pw_hashmap_first(&d->row_map, hash); n && !row;
         n = pw_hashmap_next(n)) {
        row = PW_CONTAINER_OF(n, struct pool_row, node);
        if (row->worker != worker || strcmp(row->database, database) != 0 ||
            strcmp(row->user, user) != 0)
            row = NULL;
    }
    if (!row) {
        struct database *entry = enter_locked(d, database);
        entry->rows++;
        row = pw_alloc(sizeof *row);
        row->database = pw_strdup(database);
        row->user = pw_strdup(user);
        row->worker = worker;
        row->database_clients = &entry->clients;
    }
    pthread_mutex_unlock(&d->lock);
    return row;
}

void pw_databases_row_proven(struct databases *d, struct pool_row *row)
{
    if (row->database_id)
        return;
    uint64_t hash = row_hash(row->database, row->user, row->worker);
    row->database_id = pw_databases_id(d, row->database);
    pthread_mutex_lock(&d->lock);
    find_locked(d, row->database)->rows--;
    row->next = atomic_load(&d->rows);
    atomic_store(&d->rows, row);
    pw_hashmap_insert(&d->row_map, &row->node, hash);
    pthread_mutex_unlock(&d->lock);
}

void pw_databases_row_drop(struct databases *d, struct pool_row *row)
{
    if (row->database_id)
        return; /* it stays for the figures, and for the pool's return */
    pthread_mutex_lock(&d->lock);
    struct database *entry = find_locked(d, row->database);
    entry->rows--;
    forget_locked(d, entry);
    pthread_mutex_unlock(&d->lock);
    pw_free(row->database);
    pw_free(row->user);
    pw_free(row);
}

struct pool_row *pw_databases_rows(struct databases *d)
{
    return atomic_load(&d->rows);
}
