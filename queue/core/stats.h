/* stats: what the queue counted since it began. Plain counters, written where things happen, read by control. */
#ifndef STATS_H
#define STATS_H

#include <stdint.h>

#define STATS(X) \
	X(accepted, "messages accepted") \
	X(accepted_bytes, "bytes accepted") \
	X(refused, "messages refused at the end of data") \
	X(failed, "messages answered with a temporary failure") \
	X(aborted, "transactions aborted") \
	X(finished, "messages finished") \
	X(jobs, "jobs given to deliver") \
	X(sent, "recipients delivered") \
	X(deferred, "attempts deferred") \
	X(bounced, "recipients bounced") \
	X(expired, "recipients given up for their age") \
	X(removed, "recipients removed by the administrator") \
	X(notices, "notices written") \
	X(loaded, "messages loaded from the index")

#define STATS_FIELD(name, text)	uint64_t name;
struct stats { STATS(STATS_FIELD) };
extern struct stats stats;

#endif
