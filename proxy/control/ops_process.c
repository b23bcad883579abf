/* What an operator does to the process: RELOAD, SET, SHUTDOWN. Control thread. */
#include <string.h>
#include <strings.h>

#include "proxy/base/alloc.h"
#include "proxy/control/show.h"

static void run_reload(struct admin_call *call)
{
    char *error = NULL;
    if (pw_control_try_reload(call->arg, &error)) {
        pw_admin_finish(call);
        return;
    }
    call->result.hint = pw_strdup("Nothing was changed.");
    pw_admin_finish_error(call, "F0000", "%s", error ? error : "the configuration has errors");
    pw_free(error);
}

/* SET key = value; value may be several words. */
static void run_set(struct admin_call *call)
{
    struct control *c = call->arg;
    struct pw_conf *changed = NULL;
    char *error = NULL;
    if (call->n_args != 3 || strcmp(call->args[1], "=") != 0) {
        pw_admin_finish_error(call, "42601",
                              "usage: SET section.key = value (quote 'a value' of several words)");
        return;
    }
    if (pw_conf_set(c->conf, call->args[0], call->args[2], &changed, &error) != PW_OK) {
        pw_admin_finish_error(call, "22023", "%s", error ? error : "not changed");
        pw_free(error);
        return;
    }
    if (pw_control_publish(c, changed, &error))
        pw_admin_finish(call);
    else
        pw_admin_finish_error(call, "22023", "%s", error ? error : "not changed");
    pw_free(error);
}

/* The answer leaves before the process does: stopping is a message to ourselves. */
static void stop_gracefully(struct control *c, void *arg)
{
    (void)arg;
    pw_control_stop(c, true);
}

static void stop_now(struct control *c, void *arg)
{
    (void)arg;
    pw_control_stop(c, false);
}

static void run_shutdown(struct admin_call *call)
{
    struct control *c = call->arg;
    bool waits = call->n_args == 1 && strncasecmp(call->args[0], "WAIT", 4) == 0;
    if (call->n_args && !waits) {
        pw_admin_finish_error(call, "42601", "usage: SHUTDOWN [WAIT]");
        return;
    }
    pw_admin_finish(call);
    pw_control_call(c, waits ? stop_gracefully : stop_now, NULL, NULL);
}

static const struct admin_command commands[] = {
    {"RELOAD", ADMIN_ADMIN, NULL, "Reads the configuration again; an error changes nothing.",
     run_reload},
    {"SET", ADMIN_ADMIN, "section.key = value", "Changes a setting until the next reload.",
     run_set},
    {"SHUTDOWN", ADMIN_ADMIN, "[WAIT]",
     "Ends pgweir at once; with WAIT when no client is in a request or transaction.", run_shutdown},
};

void pw_show_register_process_ops(struct control *c)
{
    pw_admin_register(c->admin, commands, PW_COUNT_OF(commands), c);
}
