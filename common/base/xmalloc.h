/*
 * xmalloc: allocation that cannot fail for its caller.
 *
 * Used by every program. Running out of memory is Postern's own trouble: the process ends by fatal() and the
 * parent starts it again; what got a 250 is on disk. Large or client-driven amounts are bounded before they
 * come here.
 */
#ifndef XMALLOC_H
#define XMALLOC_H

#include <stddef.h>

void *xmalloc(size_t);
void *xcalloc(size_t, size_t);
void *xreallocarray(void *, size_t, size_t);
char *xstrdup(const char *);
char *xstrndup(const char *, size_t);
char *xasprintf(const char *, ...) __attribute__((format(printf, 1, 2)));
void *xmemdup(const void *, size_t);

#endif
