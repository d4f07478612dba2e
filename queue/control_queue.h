/* control_queue: the verbs about queued messages. Used by the table in control_verbs.c; each answers or leaves a step. */
#ifndef CONTROL_QUEUE_H
#define CONTROL_QUEUE_H

#include "control.h"

void	 verb_list(struct client *, char **argv, int argc);
void	 verb_mailq(struct client *, char **argv, int argc);
void	 verb_show(struct client *, char **argv, int argc);
void	 verb_cat(struct client *, char **argv, int argc);
void	 verb_retry(struct client *, char **argv, int argc);
void	 verb_remove(struct client *, char **argv, int argc);

#endif
