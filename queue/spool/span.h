/* span: times, sizes and numbers in words, for people. Pure code. Used by the control verbs. */
#ifndef SPAN_H
#define SPAN_H

#include <stdint.h>

struct span { char s[32]; };
/* "59s", "9m59s", "59m", "9h30m", "23h", "4d23h", "12d": to the nearest of the last unit. */
struct span span(int64_t ms);
struct span size_text(uint64_t bytes);		/* "9999", "12K", "12M" */
struct span plural(uint64_t n, const char *what);	/* "1 message", "2 messages", "2 deliveries" */

#endif
