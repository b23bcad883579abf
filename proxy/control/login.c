/* AUTH user password on the line console: users of auth.file named in admin_users or stats_users.
 */
#include <string.h>

#include "conf/userlist.h"
#include "proxy/control/control_priv.h"
#include "proxy/wire/client_auth.h"
#include "proxy/wire/emit.h"

static bool in_list(const char *const *list, size_t n, const char *user)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], user))
            return true;
    return false;
}

/* The password machine of the data path, fed at once. A derivation takes a millisecond or two;
 * consoles are few. */
static bool matches(struct control *c, const char *user, const char *secret, const char *password)
{
    struct client_auth auth;
    struct buf out, body;
    pw_buf_init(&out, 4096);
    pw_buf_init(&body, 8192);
    bool right = false;
    if (pw_client_auth_init(&auth, AUTH_METHOD_PASSWORD, pw_slice_str(user), pw_slice_str(secret),
                            c->shared.auth_seed)) {
        enum auth_result r = pw_client_auth_start(&auth, &out);
        if (r == AUTH_MORE && pw_buf_append_cstr(&body, password))
            r = pw_client_auth_feed(&auth, FRONT_PASSWORD, pw_buf_slice(&body), &out);
        struct scram_keys keys;
        if (r == AUTH_NEED_DERIVE) {
            bool ok = pw_scram_derive(auth.job.password, auth.job.salt, auth.job.iterations, &keys);
            r = pw_client_auth_resume(&auth, ok ? &keys : NULL, &out);
            explicit_bzero(&keys, sizeof keys);
        }
        right = r == AUTH_OK;
    }
    pw_client_auth_wipe(&auth);
    if (body.data)
        explicit_bzero(body.data, body.len);
    pw_buf_free(&body);
    pw_buf_free(&out);
    return right;
}

bool pw_console_login(void *control, const char *user, const char *password,
                      enum admin_level *level)
{
    struct control *c = control;
    const struct conf_auth *auth = &c->conf->auth;
    bool is_admin = in_list(auth->admin_users, auth->n_admin_users, user);
    bool known = is_admin || in_list(auth->stats_users, auth->n_stats_users, user);
    const struct userlist *list = pw_secrets_users(c->secrets);
    const struct userlist_entry *entry = list ? pw_userlist_find(list, user) : NULL;
    bool right = matches(c, user, entry ? entry->secret : "", password);
    *level = is_admin ? ADMIN_ADMIN : ADMIN_STATS;
    return known && entry && right;
}
