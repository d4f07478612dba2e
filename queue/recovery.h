/* recovery: opens the spool and the index, and brings them to agree. Used by main, once. */
#ifndef RECOVERY_H
#define RECOVERY_H

#include "index.h"

void	 recovery_open(struct spool **, struct index **);

#endif
