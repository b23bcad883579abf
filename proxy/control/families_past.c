/*
 * Query families and index uses of earlier runs: read from the history store at start, added to
 * what the workers count when people ask, written back every minute and at the end. Owns the
 * stores' handles. Control thread. Without state_dir, or with advisor.history off, there is no
 * past.
 */
#include "proxy/control/families_past.h"

#include "advisor/families_store.h"
#include "advisor/index_store.h"
#include "proxy/base/alloc.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/control/show.h"

enum { SAVE_EVERY_US = 60 * 1000000 };

struct past_name {
    uint32_t id;
    char *name; /* OWN */
};

struct families_past {
    struct control *control;         /* BORROW */
    struct families_store *store;    /* OWN */
    struct index_store *index_store; /* OWN; NULL: none */
    struct index_log *log;           /* BORROW: whose uses are kept */
    struct families_snapshot *past;  /* OWN: as it was at the start */
    struct families_snapshot
        *last;               /* OWN: what the workers counted a moment ago; NULL: nothing yet */
    struct past_name *names; /* OWN, n_names of them */
    size_t n_names;
    uint64_t saved_us;
    bool is_final; /* last is of workers that ended */
};

static uint32_t id_of(void *arg, const char *database)
{
    struct families_past *p = arg;
    uint32_t id = pw_databases_id(p->control->databases, database);
    for (size_t i = 0; i < p->n_names; i++)
        if (p->names[i].id == id)
            return id;
    p->names = pw_realloc(p->names, (p->n_names + 1) * sizeof *p->names);
    p->names[p->n_names++] = (struct past_name){id, pw_strdup(database)};
    return id;
}

const char *pw_families_past_database(const struct families_past *p, uint32_t id)
{
    for (size_t i = 0; p && i < p->n_names; i++)
        if (p->names[i].id == id)
            return p->names[i].name;
    return "";
}

static const char *name_of(void *arg, uint32_t id)
{
    struct families_past *p = arg;
    const char *name = pw_database_name(p->control, id);
    return *name ? name : pw_families_past_database(p, id);
}

struct families_past *pw_families_past_new(struct control *c, struct index_log *log)
{
    char *error = NULL;
    if (!c->conf->advisor.history)
        return NULL;
    struct families_store *store = pw_families_store_open(c->conf->pgweir.state_dir, &error);
    if (!store) {
        pw_log_warn("event=families_not_remembered error=\"%s\"", error);
        pw_free(error);
        return NULL;
    }
    struct families_past *p = pw_alloc(sizeof *p);
    p->control = c;
    p->store = store;
    p->past = pw_families_store_load(store, id_of, p);
    p->log = log;
    p->index_store = pw_index_store_open(c->conf->pgweir.state_dir, &error);
    if (p->index_store) {
        pw_index_store_load(p->index_store, log, id_of, p);
    } else {
        pw_log_warn("event=index_uses_not_remembered error=\"%s\"", error);
        pw_free(error);
    }
    p->saved_us = pw_clock_us();
    return p;
}

void pw_families_past_add(const struct families_past *p, struct families_snapshot *live)
{
    if (!p)
        return;
    pw_families_merge(live, pw_families_copy(p->past));
    pw_families_sort(live);
}

static void save(struct families_past *p)
{
    p->saved_us = pw_clock_us();
    if (p->index_store)
        pw_index_store_save(p->index_store, p->log, name_of, p);
    if (!p->last)
        return;
    struct families_snapshot *all = pw_families_copy(p->last);
    pw_families_past_add(p, all);
    pw_families_store_save(p->store, all, name_of, p);
    pw_families_snapshot_free(all);
}

void pw_families_past_take(struct families_past *p, const struct families_snapshot *live)
{
    if (!p)
        return;
    pw_families_snapshot_free(p->last);
    p->last = pw_families_copy(live);
    if (pw_clock_us() - p->saved_us >= SAVE_EVERY_US)
        save(p);
}

void pw_families_past_final(struct families_past *p, struct families_snapshot *of_worker)
{
    if (!p || !of_worker) {
        pw_families_snapshot_free(of_worker);
        return;
    }
    if (!p->is_final) {
        pw_families_snapshot_free(p->last);
        p->last = of_worker;
        p->is_final = true;
    } else {
        pw_families_merge(p->last, of_worker);
    }
}

void pw_families_past_free(struct families_past *p)
{
    if (!p)
        return;
    save(p);
    pw_families_store_close(p->store);
    pw_index_store_close(p->index_store);
    pw_families_snapshot_free(p->past);
    pw_families_snapshot_free(p->last);
    for (size_t i = 0; i < p->n_names; i++)
        pw_free(p->names[i].name);
    pw_free(p->names);
    pw_free(p);
}
