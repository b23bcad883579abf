/* Intrusive doubly linked list with a count. A node is in at most one list; an unlinked node has
 * next == NULL. Not thread-safe. */
#ifndef PROXY_BASE_LIST_H
#define PROXY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/attrs.h"
#include "proxy/base/check.h"

struct list_node {
    struct list_node *next, *prev; /* LINK: both NULL when not in a list */
};

struct list {
    struct list_node head;
    size_t count;
};

static inline void pw_list_init(struct list *l)
{
    l->head.next = l->head.prev = &l->head;
    l->count = 0;
}

static inline bool pw_list_linked(const struct list_node *n)
{
    return n->next != NULL;
}

static inline bool pw_list_empty(const struct list *l)
{
    return l->count == 0;
}

static inline void pw_list_insert_after(struct list *l, struct list_node *at, struct list_node *n)
{
    PW_CHECK(!pw_list_linked(n));
    n->prev = at;
    n->next = at->next;
    at->next->prev = n;
    at->next = n;
    l->count++;
}

static inline void pw_list_push_back(struct list *l, struct list_node *n)
{
    pw_list_insert_after(l, l->head.prev, n);
}

static inline void pw_list_push_front(struct list *l, struct list_node *n)
{
    pw_list_insert_after(l, &l->head, n);
}

static inline void pw_list_remove(struct list *l, struct list_node *n)
{
    PW_CHECK(pw_list_linked(n) && l->count > 0);
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = NULL;
    l->count--;
}

static inline struct list_node *pw_list_first(const struct list *l)
{
    return l->count ? l->head.next : NULL;
}

static inline struct list_node *pw_list_last(const struct list *l)
{
    return l->count ? l->head.prev : NULL;
}

static inline struct list_node *pw_list_next(const struct list *l, const struct list_node *n)
{
    return n->next == &l->head ? NULL : n->next;
}

static inline struct list_node *pw_list_pop_front(struct list *l)
{
    struct list_node *n = pw_list_first(l);
    if (n)
        pw_list_remove(l, n);
    return n;
}

#define PW_LIST_ENTRY(node, type, member) PW_CONTAINER_OF(node, type, member)
/* Safe against removal of `it` itself. */
#define PW_LIST_FOR(l, it, tmp)                                                                    \
    for (struct list_node *it = (l)->head.next, *tmp = it->next; it != &(l)->head;                 \
         it = tmp, tmp = it->next)

#endif
