/* control_explain: explain ADDRESS. Used by the table in control_verbs.c. */
#ifndef CONTROL_EXPLAIN_H
#define CONTROL_EXPLAIN_H

#include "control/control.h"

void	 verb_explain(struct client *, char **argv, int argc);

#endif
