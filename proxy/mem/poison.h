/*
 * Under AddressSanitizer, memory that a pool holds back is marked unusable, so that a use after
 * release is found although free() was never called. Elsewhere these are nothing. No state.
 */
#ifndef PROXY_MEM_POISON_H
#define PROXY_MEM_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define PW_HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PW_HAVE_ASAN 1
#endif
#endif

#ifdef PW_HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define PW_POISON(ptr, size)   __asan_poison_memory_region((ptr), (size))
#define PW_UNPOISON(ptr, size) __asan_unpoison_memory_region((ptr), (size))
#else
#define PW_POISON(ptr, size)   ((void)(ptr), (void)(size))
#define PW_UNPOISON(ptr, size) ((void)(ptr), (void)(size))
#endif

#endif
