/* Any bytes as userlist.txt: every user listed can be found. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "conf/userlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_errors errors;
    struct userlist *l = pw_userlist_parse((const char *)data, size, "fuzz", &errors);
    for (size_t i = 0; l && i < pw_userlist_count(l); i++)
        if (pw_userlist_find(l, pw_userlist_at(l, i)->user) != pw_userlist_at(l, i))
            abort();
    pw_userlist_free(l);
    pw_conf_errors_free(&errors);
    return 0;
}
