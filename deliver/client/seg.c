/*
 * seg: see seg.h. A short list: the queue keeps few segments in use at a time. Handlers of SEG and SEG_GONE stand here.
 */
#include <sys/queue.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include "proc/msg.h"
#include "client/seg.h"
#include "base/xmalloc.h"

MSG_PROTOTYPES(QUEUE_TO_DELIVER)

struct seg {
	TAILQ_ENTRY(seg) entry;
	uint32_t	 number;
	int		 fd;
	unsigned	 held;
	bool		 gone;
};

static TAILQ_HEAD(, seg) segs = TAILQ_HEAD_INITIALIZER(segs);

static struct seg *
find(uint32_t number)
{
	struct seg *s;

	TAILQ_FOREACH(s, &segs, entry)
		if (s->number == number && !s->gone)
			return s;
	return NULL;
}

static void
gone(struct seg *s)
{
	s->gone = true;
	if (s->held > 0)
		return;
	TAILQ_REMOVE(&segs, s, entry);
	close(s->fd);
	free(s);
}

struct seg *
seg_hold(uint32_t number)
{
	struct seg *s = find(number);

	if (s != NULL)
		s->held++;
	return s;
}

void
seg_drop(struct seg *s)
{
	if (s == NULL)
		return;
	s->held--;
	if (s->gone)
		gone(s);
}

int
seg_fd(const struct seg *s)
{
	return s->fd;
}

void
seg_forget_all(void)
{
	struct seg *s, *next;

	for (s = TAILQ_FIRST(&segs); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		gone(s);
	}
}

void
on_SEG(struct edge *queue, uint32_t id, struct p_seg *p, int fd)
{
	struct seg *s = find(p->segment);

	(void)queue;
	(void)id;
	if (s != NULL)
		gone(s);
	s = xcalloc(1, sizeof *s);
	s->number = p->segment;
	s->fd = fd;
	/* The newest is asked for most. */
	TAILQ_INSERT_HEAD(&segs, s, entry);
}

void
on_SEG_GONE(struct edge *queue, uint32_t id, struct p_seg *p, int fd)
{
	struct seg *s = find(p->segment);

	(void)queue;
	(void)id;
	(void)fd;
	if (s != NULL)
		gone(s);
}
