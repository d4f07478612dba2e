/*
 * lock: SPOOL/lock, so that one queue at a time has the spool and the index.
 *
 * Called by spool_open and index_open, whichever comes first; held until the process ends. A queue that is stopping may
 * still have it: ten seconds' patience, then exit code 75, on which the parent tries again later.
 */
#include <sys/file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include "base/log.h"
#include "spool/spool.h"
#include "base/trust.h"

#define TRIES	100

void
spool_lock(void)
{
	static int lock = -1;
	const struct timespec tenth = { 0, 100 * 1000 * 1000 };
	const char *why;
	int i;

	if (lock != -1)
		return;
	if ((lock = trust_open("lock", O_RDWR | O_CREAT, 0600, TRUST_ANYONE, &why)) == -1)
		fatalx("cannot open lock in the spool: %s", why);
	for (i = 0; flock(lock, LOCK_EX | LOCK_NB) == -1; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			fatal("cannot lock the spool");
		if (i == TRIES) {
			log_error("another queue has this spool");
			log_flush();
			exit(EX_TEMPFAIL);
		}
		nanosleep(&tenth, NULL);
	}
}
