/* See gather.h. */
#include "proxy/control/gather.h"

#include "proxy/base/alloc.h"

struct gather_part {
    struct gather *gather;
    unsigned worker;
    void *part; /* OWN */
};

static void finish(struct gather *g)
{
    g->kind->done(g);
    for (unsigned i = 0; i < g->n; i++)
        if (g->parts[i])
            g->kind->free_part(g->parts[i]);
    pw_free(g);
}

/* Control thread: run, or dropped when its mailbox closes. */
static void arrive(void *arg)
{
    struct gather_part *p = arg;
    struct gather *g = p->gather;
    g->parts[p->worker] = p->part;
    pw_free(p);
    if (--g->left == 0)
        finish(g);
}

static void on_arrived(struct control *c, void *arg)
{
    (void)c;
    arrive(arg);
}

static void send_back(void *arg)
{
    struct gather_part *p = arg;
    pw_control_call(p->gather->control, on_arrived, arrive, p);
}

static void collect(struct worker *w, void *arg)
{
    struct gather_part *p = arg;
    p->part = p->gather->kind->collect(w, p->gather->question);
    send_back(p);
}

void pw_gather_start(struct control *c, const struct gather_kind *kind, void *question)
{
    struct gather *g = pw_alloc(sizeof(*g));
    g->control = c;
    g->kind = kind;
    g->question = question;
    g->n = g->left = c->stopped ? 0 : c->n_workers;
    if (g->n == 0) {
        finish(g);
        return;
    }
    for (unsigned i = 0; i < c->n_workers; i++) {
        struct gather_part *p = pw_alloc(sizeof(*p));
        *p = (struct gather_part){.gather = g, .worker = i};
        pw_worker_call_or(c->workers[i], collect, send_back, p);
    }
}
