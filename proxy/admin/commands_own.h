/* The commands that need nothing but the rooms below this one: SHOW HELP, VERSION, CONFIG, MEM,
 * MEMORY, OBJECTS, HOST, GPU, TREND and HELP. Control thread. */
#ifndef PROXY_ADMIN_COMMANDS_OWN_H
#define PROXY_ADMIN_COMMANDS_OWN_H

#include "conf/conf.h"
#include "proxy/admin/admin.h"
#include "proxy/mem/pool.h"
#include "proxy/metrics/sampler.h"

struct admin_own {
    const struct sampler *sampler;            /* BORROW; NULL: HOST, GPU, TREND are empty */
    const struct pw_conf *(*conf)(void *arg); /* the snapshot now, BORROW during the command */
    bool (*memory)(void *arg, struct mem_pool_stats *out); /* false: there is no pool */
    void *arg;                                             /* BORROW */
};

/* own is BORROW and must outlive the registry. */
void pw_admin_register_own(struct admin *a, struct admin_own *own);

/* One row per object pool: pgweir_object_pool_*; pw_collector_add(pw_admin_collect_objects, NULL).
 */
void pw_admin_collect_objects(struct metric_writer *w, void *unused);

#endif
