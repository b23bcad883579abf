/* What to do next when the leg from pgweir to the server failed, by SQLSTATE or by what the network
 * said. Pure. */
#include <string.h>

#include "proxy/dispatch/login.h"
#include "proxy/wire/errfields.h"

static const struct {
    const char *sqlstate, *next;
} by_state[] = {
    {"28P01", "Correct the password: the server did not accept it. pgweir uses the client's own, "
              "or the one in the "
              "upstream URL, auth.file or auth.query."},
    {"28000", "Let pgweir's address and this user in (the server's pg_hba.conf), and check that "
              "the role exists and may "
              "log in."},
    {"3D000", "Create the database on the server, or correct its name in the client's connection "
              "string or in pgweir.yaml."},
    {"42501", "Grant the role CONNECT on the database."},
    {"53300", "The server has no connection left: raise its max_connections or the role's limit, "
              "or lower pool_size in "
              "pgweir.yaml."},
    {"57P03", "The server is starting, stopping or recovering: try again when it is up."},
    {"55000", "The database does not accept connections now (see datallowconn on the server)."},
    {"22023", "Correct the setting that the client sends at start-up."},
    {"42704", "Correct the setting that the client sends at start-up."},
};

static const struct {
    const char *word, *next;
} by_text[] = {
    {"does not support TLS",
     "Turn ssl on at the server, or lower sslmode in the upstream URL or tls.server_mode."},
    {"certificate", "Compare the server's certificate with sslmode and sslrootcert of the upstream "
                    "URL, or tls.ca."},
    {"TLS",
     "Compare TLS versions and certificates of the server with sslmode of the upstream URL."},
    {"asks for", "Give pgweir the password: in the upstream URL, auth.file or auth.query."},
    {"refused", "Start the server, or correct host and port of the upstream URL; `pgweir doctor` "
                "checks each step."},
    {"name", "Correct the host name in the upstream URL."},
    {"time", "Look at the network between pgweir and the server, and at the server's load."},
};

const char *pw_login_next_step(struct slice error, const char *text)
{
    struct slice state = pw_errfields_sqlstate(error);
    for (size_t i = 0; error.len && i < PW_COUNT_OF(by_state); i++)
        if (pw_slice_is(state, by_state[i].sqlstate))
            return by_state[i].next;
    for (size_t i = 0; !error.len && text && i < PW_COUNT_OF(by_text); i++)
        if (strstr(text, by_text[i].word))
            return by_text[i].next;
    return "Look at the server's log and state; `pgweir doctor` checks each step from here.";
}
