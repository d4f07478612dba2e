/* recovery: opens the spool and the index, and brings them to agree. Used by main, once. */
#ifndef RECOVERY_H
#define RECOVERY_H

#include "index/index.h"

/* -> the latest run (id.h) that an id of what was scanned is from */
uint32_t recovery_open(struct spool **, struct index **);

#endif
