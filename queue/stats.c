/* stats: the counters themselves (stats.h). Written by intake, ready, result, bounce, control and load; nothing can fail. */
#include "stats.h"

struct stats stats;
