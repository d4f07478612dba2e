/*
 * reload: a new configuration while posternd runs, at SIGHUP or for those who ask the queue for it. A file with an error changes nothing:
 * the generation in force stays.
 *
 * Called by main.c and from_kids.c. What is new goes to all programs (kids_conf).
 */
#include <string.h>
#include "base/log.h"
#include "parent/parent.h"
#include "base/xmalloc.h"

#define RELOAD_MS	1000
#define RELOADS_MAX	1000		/* questions for one */

MSG_SENDER(PARENT_TO_QUEUE)

/* When and what a reload cannot change: it says so and keeps the old value. */
static const char *
fixed(const struct parent *p, const struct conf *c)
{
	if (p->stop != UP)
		return "posternd is stopping";
	if (strcmp(p->conf->spool, c->spool) != 0)
		return "spool cannot change while posternd runs: restart it";
	if (strcmp(p->conf->runtime, c->runtime) != 0)
		return "runtime cannot change while posternd runs: restart it";
	if (p->conf->listeners != c->listeners)
		return "listeners cannot change while posternd runs: restart it";
	return parent_log_bad(p, c);
}

/* A line of the log for each line. */
static void
log_refused(const char *errors)
{
	size_t n;

	log_error("reload refused, the old configuration stays:");
	for (; *errors != '\0'; errors += n + (errors[n] == '\n')) {
		n = strcspn(errors, "\n");
		log_error("%.*s", (int)n, errors);
	}
}

const char *
parent_reload(struct parent *p, struct buf *errors)
{
	struct buf text = BUF_INIT;
	struct conf *c = parent_conf_load(p, &text, errors), *old = p->conf;
	const char *why = NULL;

	if (c == NULL || (why = fixed(p, c)) != NULL || (why = parent_accounts(p)) != NULL || (why = parent_rebind(p, c)) != NULL) {
		if (why != NULL)
			buf_addf(errors, "%s\n", why);
		if (c != NULL)
			conf_free(c);
		buf_free(&text);
		parent_log_open(p);
		log_refused(buf_str(errors));
		return buf_str(errors);
	}
	c->generation = ++p->generation;
	buf_free(&p->text);
	p->text = text;
	p->conf = c;
	parent_log_open(p);
	kids_conf(p);
	conf_free(old);
	log_info("configuration reloaded from %s (generation %u)", p->file, p->generation);
	return NULL;
}

/* ---- for those who ask ---- */

/* One for all who asked until now. Our edge to the queue outlives it. */
static void
reload(void *arg)
{
	struct parent *p = arg;
	struct buf errors = BUF_INIT;
	const char *why = parent_reload(p, &errors);
	struct edge *queue = kids_edge(p, PROG_QUEUE);
	size_t i;

	p->reloaded = ev_now_ms();
	for (i = 0; i < p->nreload && queue != NULL; i++)
		send_RELOADED(queue, p->reload[i], &(struct p_text){ why != NULL ? why : "" }, -1);
	p->nreload = 0;
	buf_free(&errors);
}

/*
 * Each costs descriptors to all programs: one a turn, and no more than one a second, however many are asked for (by a queue that was
 * captured, say).
 */
void
parent_reload_ask(struct parent *p, struct edge *queue, uint32_t id)
{
	uint64_t since = ev_now_ms() - p->reloaded;

	if (p->nreload == RELOADS_MAX) {
		send_RELOADED(queue, id, &(struct p_text){ "too many reloads are asked for at once\n" }, -1);
		return;
	}
	if (p->nreload == 0)
		ev_timer_set(&p->reload_timer, p->reloaded == 0 || since >= RELOAD_MS ? 0 : RELOAD_MS - since);
	p->reload = p->reload != NULL ? p->reload : xcalloc(RELOADS_MAX, sizeof *p->reload);
	p->reload[p->nreload++] = id;
}

void
parent_reload_init(struct parent *p)
{
	ev_timer_init(&p->reload_timer, reload, p);
}
