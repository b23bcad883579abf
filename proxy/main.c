/* pgweir: arguments -> configuration -> pw_control_run (or a tool). */
#include "advisor/advise.h"
#include "proxy/control/cli.h"
#include "proxy/control/control.h"

int main(int argc, char **argv)
{
    const struct cli_entry_points entry = {.serve = pw_control_run, .advise = pw_advise_main};
    return pw_cli_main(argc, argv, &entry);
}
