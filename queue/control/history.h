/* control_history: the verbs about what was. Used by the table in control_verbs.c. */
#ifndef CONTROL_HISTORY_H
#define CONTROL_HISTORY_H

#include "control/control.h"

void	 verb_history(struct client *, char **argv, int argc);
void	 verb_why(struct client *, char **argv, int argc);

#endif
