/*
 * window: see window.h. Owns nothing, cannot fail. The size is never 0: something must find out when trouble is over.
 */
#include "client/window.h"

#define SAME_MS		1000
#define FULL_MS		(60 * 1000)

void
window_init(struct window *w)
{
	*w = (struct window){ .size = WINDOW_FIRST, .goal = UINT32_MAX };
}

void
window_good(struct window *w, unsigned limit, uint64_t now)
{
	if (now < w->until || w->size >= limit)
		return;
	if (w->size >= w->goal && ++w->credit < w->size)
		return;
	w->credit = 0;
	w->size++;
}

static void
lower(struct window *w, unsigned to, uint64_t now)
{
	w->goal = w->size > 2 ? w->size / 2 : 1;
	w->size = to > 0 ? to : 1;
	w->credit = 0;
	w->lowered = now;
}

void
window_bad(struct window *w, uint64_t now)
{
	if (w->lowered == 0 || now - w->lowered >= SAME_MS)
		lower(w, w->size / 2, now);
}

void
window_full(struct window *w, unsigned n, uint64_t now)
{
	if (n < w->size)
		lower(w, n, now);
	w->goal = w->size;
	w->until = now + FULL_MS;
}

void
window_down(struct window *w, uint64_t now)
{
	if (w->size > 1)
		lower(w, 1, now);
}
