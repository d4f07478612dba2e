/* clock: the queue's time in ms since 1970, which runs with the monotonic clock: a jump of the wall clock moves no retry. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

int64_t	 clock_now(void);

#endif
