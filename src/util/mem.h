/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_MEM_H
#define UTIL_MEM_H

/*
 * Memory: small allocations end the process when they fail (state is in the
 * store, supervisors outlive the daemon); a size that came from outside goes
 * through try_alloc().
 *
 * Context: any thread, any process.
 */

#include <stdlib.h>
#include <string.h>

#include "util/defs.h"
#include "util/err.h"

/** xcalloc() - zeroed memory for @n objects of @size bytes; never NULL */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));

/** xrealloc() - resize to @n objects of @size bytes; never NULL */
void *xrealloc(void *old, size_t n, size_t size) __attribute__((returns_nonnull));

/** xstrdup() - copy of @s, or NULL when @s is NULL */
char *xstrdup(const char *s);

/** xstrndup() - copy of the first @n bytes of @s, NUL-terminated */
char *xstrndup(const char *s, size_t n);

/** xasprintf() - formatted string, owned by the caller */
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);

/** xnew() - one zeroed object of a type */
#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

/**
 * try_alloc() - zeroed memory of a size that came from outside
 * @n:       bytes wanted
 * @max:     refuse more than this many bytes
 * @ret_buf: the memory, owned by the caller (free())
 *
 * Return: NULL, or ERR_LIMIT.
 */
struct err *try_alloc(size_t n, size_t max, void **ret_buf) MUST_USE;

/**
 * mem_huge() - a hint that the kernel may back @n bytes at @p, several MiB of an xcalloc() or
 * xrealloc(), by huge pages: for arrays that are filled from end to end
 */
void mem_huge(void *p, size_t n);

/** own_mem_release() - for OWN(mem) char *s = NULL, any malloc()ed pointer */
static inline void own_mem_release(void *slot)
{
	free(*(void **)slot);
}

/** streq() - equal strings; NULL equals only NULL */
static inline int streq(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/** str_set() - replace an owned string by a copy of @value (NULL allowed) */
void str_set(char **slot, const char *value);

#endif
