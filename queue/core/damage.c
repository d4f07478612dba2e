/* damage: see damage.h. Owns nothing but what it found of the result that is being looked at. What cannot be copied is logged; it is held all the same. */
#include "notice/bounce.h"
#include "core/damage.h"
#include "core/history.h"
#include "base/log.h"
#include "mail/qid.h"
#include "core/ready.h"

static struct {
	struct spool	*spool;
	uint32_t	 n;		/* recipients that were found */
} dg;

void
damage_init(struct spool *sp)
{
	dg.spool = sp;
}

void
damage_found(struct message *m, uint32_t n, const char *dsn, const char *text)
{
	rcpt_last(m, n, 0, dsn, text, "");
	history_add(m, n, HISTORY_DEFERRED, 0, dsn, text, "");
	m->rcpts[n].job = NULL;
	ready_mark(m, n, MARK_HELD);
	dg.n++;
}

void
damage_tell(struct message *m)
{
	if (dg.n == 0)
		return;
	dg.n = 0;
	log_error("%s: damaged on the disk: from=<%s>, size=%llu; held, nothing of it was sent", qid_text(m->id).s, m->env.sender,
	    (unsigned long long)m->len);
	if (spool_aside(dg.spool, m->loc) == -1)
		log_error("%s: no copy of it can be kept in quarantine/", qid_text(m->id).s);
	bounce_damaged(m);
}
