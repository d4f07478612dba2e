/*
 * received: see received.h.
 *
 * Called by message with the first bytes of a message. Owns the text of the date, made once a second. Cannot fail.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "listener/door.h"
#include "listener/received.h"
#include "listener/session_say.h"
#include "listener/tx.h"
#include "proc/ev.h"
#include "mail/qid.h"

/* RFC 5322 3.3; the names are not the locale's. */
static const char *
date(void)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	static char text[64];
	static time_t when = -1;
	time_t now = (time_t)(ev_time_ms() / 1000);
	struct tm tm;
	long off;

	if (now == when || localtime_r(&now, &tm) == NULL)
		return text;
	when = now;
	off = tm.tm_gmtoff / 60;
	snprintf(text, sizeof(text), "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday], tm.tm_mday,
	    months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, off < 0 ? '-' : '+',
	    (off < 0 ? -off : off) / 60, (off < 0 ? -off : off) % 60);
	return text;
}

static void
from(struct buf *b, const struct session *s)
{
	buf_addf(b, "Received: from %s (%s [%s%s])\r\n\tby %s (Postern) with %s id %s", s->helo, s->name != NULL ? s->name : "unknown",
	    s->sa.ss_family == AF_INET6 ? "IPv6:" : "", s->addr, s->door->hostname, session_proto(s), qid_text(s->tx->id).s);
}

void
received_header(struct buf *b, const struct session *s)
{
	const struct tx *tx = s->tx;

	if (s->socket)
		buf_addf(b, "Received: by %s (Postern, from userid %u)\r\n\tid %s", s->door->hostname, (unsigned)s->uid,
		    qid_text(tx->id).s);
	else
		from(b, s);
	if (tx->nrcpt == 1)
		buf_addf(b, "\r\n\tfor <%s>", tx->rcpt[0].addr);
	buf_addf(b, "; %s\r\n", date());
}
