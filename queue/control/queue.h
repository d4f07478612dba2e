/* The verbs about queued messages. Used by the table in control_verbs.c; each answers or leaves a step. */
#ifndef CONTROL_QUEUE_H
#define CONTROL_QUEUE_H

#include "core/act.h"
#include "control/control.h"

/* control_queue.c */
void	 verb_list(struct client *, char **argv, int argc);
void	 verb_mailq(struct client *, char **argv, int argc);
void	 verb_show(struct client *, char **argv, int argc);
void	 verb_cat(struct client *, char **argv, int argc);
/* control_count.c */
void	 verb_count(struct client *, char **argv, int argc);
void	 verb_summary(struct client *, char **argv, int argc);
/* control_act.c */
void	 act_on_selection(struct client *, char **argv, int argc, enum act);	/* that act, on what the words select */
void	 verb_retry(struct client *, char **argv, int argc);
void	 verb_act(struct client *, char **argv, int argc);	/* the second word is the act's name */
void	 retry_resumed(struct client *, char *what);	/* a condition, such as "domain=x" */
/* control_suspend.c */
void	 verb_suspended(struct client *, char **argv, int argc);
void	 verb_suspend_domain(struct client *, char **argv, int argc);
void	 verb_suspend_source(struct client *, char **argv, int argc);
void	 verb_resume_domain(struct client *, char **argv, int argc);
void	 verb_resume_source(struct client *, char **argv, int argc);

#endif
