/*
 * msg: see msg.h. Writers, readers and frees of all payloads, made from the field lists; the names for logs.
 *
 * A list is a u32 count and its elements. A count that cannot be true for the bytes that are left makes the reader bad
 * before anything is allocated for it.
 */
#include <stdlib.h>
#include "proc/msg.h"
#include "base/xmalloc.h"

/* A payload may hold lists of another one; prototypes are in msg.h, so order does not matter. */
#define PUT_F(type, name)	put_##type(b, p->name);
#define PUT_L(payload, name) \
	put_u32(b, p->name##_n); \
	for (uint32_t i_ = 0; i_ < p->name##_n; i_++) \
		p_##payload##_put(b, &p->name[i_]);

/* The smallest encoding of an element is a byte, so a count over the bytes left is a lie. */
#define GET_F(type, name)	p->name = get_##type(r);
#define GET_L(payload, name) \
	p->name = NULL; \
	p->name##_n = 0; \
	uint32_t name##_count = get_u32(r); \
	if (name##_count > r->left) \
		r->bad = true; \
	if (!r->bad && name##_count > 0) \
		p->name = xcalloc(name##_count, sizeof *p->name); \
	while (!r->bad && p->name##_n < name##_count) \
		p_##payload##_get(r, &p->name[p->name##_n++]);

#define FREE_F(type, name)
#define FREE_L(payload, name) \
	for (uint32_t i_ = 0; i_ < p->name##_n; i_++) \
		p_##payload##_free(&p->name[i_]); \
	free(p->name);

#define CODEC(name) \
	void \
	p_##name##_put(struct buf *b, const struct p_##name *p) \
	{ \
		(void)b; \
		(void)p; \
		P_##name(PUT_F, PUT_L) \
	} \
	void \
	p_##name##_get(struct rd *r, struct p_##name *p) \
	{ \
		(void)r; \
		(void)p; \
		P_##name(GET_F, GET_L) \
	} \
	void \
	p_##name##_free(struct p_##name *p) \
	{ \
		(void)p; \
		P_##name(FREE_F, FREE_L) \
	}
MSG_PAYLOADS(CODEC)

#define NAME_M(NAME, payload, fd)	#NAME,
#define NAME_E(EDGE)			EDGE(NAME_M)

const char *
msg_name(unsigned type)
{
	static const char *const names[] = { MSG_EDGES(NAME_E) };

	return type < MSG__MAX ? names[type] : "unknown";
}

const char *
prog_name(enum prog p)
{
	static const char *const names[PROG__MAX] = {
		[PROG_PARENT] = "parent", [PROG_LISTENER] = "listener", [PROG_LOOKUP] = "lookup", [PROG_RESOLVER] = "resolver",
		[PROG_QUEUE] = "queue", [PROG_DELIVER] = "deliver", [PROG_AGENT] = "agent"
	};

	return names[p];
}
