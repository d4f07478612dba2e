/* control_pause: pause and resume of delivery and of the listeners. Used by main and the table of verbs. */
#ifndef CONTROL_PAUSE_H
#define CONTROL_PAUSE_H

#include "control/control.h"
#include "core/suspend.h"

void	 control_pause_init(void);		/* after suspend_init, before any peer speaks: what was paused is paused */
void	 control_pause_ended(enum suspend_kind, const char *half);	/* for suspend_init */
void	 verb_pause(struct client *, char **argv, int argc);
void	 verb_resume(struct client *, char **argv, int argc);
/* Of DELIVERY or LISTENERS: "running", "paused", "paused until 2026-11-28 16:40:00 (for 2h)" */
void	 pause_text(struct buf *, const char *half);
void	 pause_json(struct buf *, const char *half);	/* "delivery": "paused", "delivery_until": seconds since 1970, if it ends by itself */

#endif
