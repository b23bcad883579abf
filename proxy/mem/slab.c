/* Size classes, slabs and their mappings; see slab.h. The caller holds the pool's mutex. */
#include "proxy/mem/slab.h"

#include <string.h>
#include <sys/mman.h>

#include "proxy/base/check.h"
#include "proxy/mem/poison.h"
#include "proxy/mem/pool.h"

enum { PAGE = 4096 };

_Static_assert(sizeof(struct slab) <= PW_POOL_ALIGN, "a slab's header takes one line");

static void add_class(struct slab_set *s, size_t chunk)
{
    if (s->n_classes > 0 && s->classes[s->n_classes - 1].chunk >= chunk)
        return;
    PW_CHECK(s->n_classes < PW_SLAB_CLASSES_MAX);
    struct slab_class *c = &s->classes[s->n_classes++];
    c->chunk = chunk;
    c->capacity = (uint32_t)((s->slab_size - PW_POOL_ALIGN) / chunk);
    pw_list_init(&c->partial);
}

/*
 * Small classes are 64 bytes apart up to 512, then four to a doubling. From 1/32 of a slab on they
 * are exact divisors of a slab, again about four to a doubling, so that no tail is lost.
 */
static void add_classes(struct slab_set *s)
{
    static const uint8_t divisors[] = {28, 24, 20, 16, 14, 12, 10, 8, 7, 6, 5, 4};
    for (size_t chunk = PW_POOL_ALIGN; chunk < 512; chunk += PW_POOL_ALIGN)
        add_class(s, chunk);
    for (size_t base = 512; base < s->slab_size / 32; base *= 2)
        for (size_t step = 0; step < 4; step++)
            add_class(s, base + base / 4 * step);
    for (size_t i = 0; i < sizeof divisors; i++) {
        size_t chunk = (s->slab_size - PW_POOL_ALIGN) / divisors[i];
        add_class(s, chunk / PW_POOL_ALIGN * PW_POOL_ALIGN);
    }
}

void pw_slab_set_init(struct slab_set *s, size_t slab_size)
{
    *s = (struct slab_set){.slab_size = slab_size};
    pw_list_init(&s->spare);
    add_classes(s);
    s->chunk_max = s->classes[s->n_classes - 1].chunk;
    size_t last = s->chunk_max / PW_POOL_ALIGN;
    PW_CHECK(last < PW_SLAB_LOOKUP_MAX);
    for (size_t i = 0, cls = 0; i <= last; i++) {
        if (i * PW_POOL_ALIGN > s->classes[cls].chunk)
            cls++;
        s->lookup[i] = (uint8_t)cls;
    }
}

void pw_slab_set_free(struct slab_set *s)
{
    PW_CHECK(s->live_bytes == 0 && s->active_bytes == 0);
    while (pw_slab_unmap_spare(s))
        ;
}

static uint32_t class_of(const struct slab_set *s, size_t size)
{
    return s->lookup[(size + PW_POOL_ALIGN - 1) / PW_POOL_ALIGN];
}

/* ---- mappings */

bool pw_slab_try_map(struct slab_set *s)
{
    size_t want = s->slab_size * 2; /* twice, so that an aligned half lies within */
    char *raw = mmap(NULL, want, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return false;
    size_t head = (s->slab_size - (uintptr_t)raw % s->slab_size) % s->slab_size;
    if (head)
        munmap(raw, head);
    if (s->slab_size - head)
        munmap(raw + head + s->slab_size, s->slab_size - head);
    struct slab *slab = (struct slab *)(void *)(raw + head);
    *slab = (struct slab){.set = s};
    PW_POISON((char *)slab + PW_POOL_ALIGN, s->slab_size - PW_POOL_ALIGN);
    pw_list_push_front(&s->spare, &slab->link);
    s->n_slabs++;
    return true;
}

bool pw_slab_unmap_spare(struct slab_set *s)
{
    struct list_node *n = pw_list_pop_front(&s->spare);
    if (!n)
        return false;
    struct slab *slab = PW_LIST_ENTRY(n, struct slab, link);
    PW_UNPOISON(slab, s->slab_size);
    munmap(slab, s->slab_size);
    s->n_slabs--;
    return true;
}

size_t pw_slab_big_bytes(size_t size)
{
    return size > SIZE_MAX - PAGE ? 0 : (size + PAGE - 1) / PAGE * PAGE;
}

void *pw_slab_try_map_big(size_t size)
{
    size_t bytes = pw_slab_big_bytes(size);
    void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ptr == MAP_FAILED)
        return NULL;
    PW_POISON((char *)ptr + size, bytes - size);
    return ptr;
}

void pw_slab_unmap_big(void *ptr, size_t size)
{
    PW_CHECK((uintptr_t)ptr % PAGE == 0);
    size_t bytes = pw_slab_big_bytes(size);
    PW_UNPOISON(ptr, bytes);
    munmap(ptr, bytes);
}

/* ---- chunks */

static struct slab *adopt_spare(struct slab_set *s, uint32_t cls)
{
    struct list_node *n = pw_list_pop_front(&s->spare);
    if (!n)
        return NULL;
    struct slab_class *c = &s->classes[cls];
    struct slab *slab = PW_LIST_ENTRY(n, struct slab, link);
    *slab = (struct slab){.set = s, .cls = cls, .capacity = c->capacity};
    pw_list_push_front(&c->partial, &slab->link);
    s->active_bytes += s->slab_size;
    s->capacity_bytes += c->capacity * c->chunk;
    return slab;
}

static void *take_chunk(struct slab *slab, size_t chunk)
{
    void *ptr = slab->free_list;
    if (ptr) {
        PW_UNPOISON(ptr, sizeof slab->free_list);
        memcpy(&slab->free_list, ptr, sizeof slab->free_list);
    } else {
        ptr = (char *)slab + PW_POOL_ALIGN + slab->carved++ * chunk;
    }
    slab->live++;
    return ptr;
}

void *pw_slab_try_take(struct slab_set *s, size_t size)
{
    uint32_t cls = class_of(s, size);
    struct slab_class *c = &s->classes[cls];
    struct list_node *n = pw_list_first(&c->partial);
    struct slab *slab = n ? PW_LIST_ENTRY(n, struct slab, link) : adopt_spare(s, cls);
    if (!slab)
        return NULL;
    void *ptr = take_chunk(slab, c->chunk);
    if (slab->live == slab->capacity)
        pw_list_remove(&c->partial, &slab->link);
    s->live_bytes += c->chunk;
    PW_UNPOISON(ptr, size);
    return ptr;
}

void pw_slab_give(struct slab_set *s, void *ptr, size_t size)
{
    struct slab *slab = (struct slab *)((uintptr_t)ptr & ~(uintptr_t)(s->slab_size - 1));
    PW_CHECK(slab->set == s && slab->live > 0 && slab->cls == class_of(s, size));
    struct slab_class *c = &s->classes[slab->cls];
    PW_UNPOISON(ptr, sizeof slab->free_list);
    memcpy(ptr, &slab->free_list, sizeof slab->free_list);
    slab->free_list = ptr;
    PW_POISON(ptr, c->chunk);
    if (slab->live-- == slab->capacity)
        pw_list_push_front(&c->partial, &slab->link);
    s->live_bytes -= c->chunk;
    if (slab->live > 0)
        return;
    /* Empty: any class may have it now. */
    pw_list_remove(&c->partial, &slab->link);
    pw_list_push_front(&s->spare, &slab->link);
    s->active_bytes -= s->slab_size;
    s->capacity_bytes -= c->capacity * c->chunk;
}
