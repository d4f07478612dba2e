/*
 * class: see class.h. What a class means is in the configuration (conf_policy_class). Owns nothing, cannot fail.
 */
#include "bounce.h"
#include "class.h"

/* Copies for the archive have no sender, but are no bounces; and they are kept as long as any mail, whatever they are copies of. */
enum mail_class
class_of(const struct p_env *e)
{
	if (e->birth == BIRTH_ARCHIVE)
		return CLASS_NORMAL;
	if (*e->sender == '\0')
		return CLASS_BOUNCE;
	return e->flags & MAIL_BULK ? CLASS_BULK : CLASS_NORMAL;
}

const char *
class_name(enum mail_class class)
{
	static const char *const names[CLASS__N] = { [CLASS_NORMAL] = "normal", [CLASS_BULK] = "bulk", [CLASS_BOUNCE] = "bounce" };

	return names[class];
}

struct dest_policy
class_policy(const struct conf *c, const struct p_env *e, const char *action, const char *domain, const char *mx)
{
	int i = conf_action(c, action);
	struct dest_policy p = conf_policy(c, i >= 0 ? &c->action[i] : NULL, domain, mx);

	conf_policy_class(c, class_of(e), &p);
	return p;
}
