/* errand: see errand.h. Owns the thread, which begins with the first errand, and the tickets. */
#include <stdlib.h>
#include "spool/errand.h"
#include "spool/helper.h"
#include "base/xmalloc.h"

struct errand {
	struct helper_job job;			/* first */
	int		(*work)(void *);
	void		(*done)(void *, int);
	void		*arg;
	int		 error;
};

static struct {
	struct helper	*helper;
	uint64_t	 given, reached;
} er;

static void
work(struct helper_job *j)
{
	struct errand *e = (struct errand *)j;

	e->error = e->work(e->arg);
}

static void
done(struct helper_job *j)
{
	struct errand *e = (struct errand *)j;

	er.reached++;
	e->done(e->arg, e->error);
	free(e);
}

uint64_t
errand(int (*run)(void *), void (*over)(void *, int), void *arg)
{
	struct errand *e = xcalloc(1, sizeof(*e));

	if (er.helper == NULL)
		er.helper = helper_open();
	e->job.work = work;
	e->job.done = done;
	e->work = run;
	e->done = over;
	e->arg = arg;
	helper_add(er.helper, &e->job);
	return ++er.given;
}

bool
errand_reached(uint64_t ticket)
{
	return er.reached >= ticket;
}

void
errand_end(void)
{
	if (er.helper != NULL)
		helper_close(er.helper);
	er.helper = NULL;
}
