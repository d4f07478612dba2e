/*
 * crowd: see crowd.h.
 *
 * Owns what this listener saw last of the pools' states; these are in the shared table (counts). Stress has hysteresis: it begins at nine
 * tenths of a share and ends below three quarters.
 */
#include <unistd.h>

#include "program/child.h"
#include "listener/client_count.h"
#include "listener/crowd.h"
#include "base/log.h"
#include "conf/match.h"
#include "listener/session.h"

#define SOCKET_SHARE	4		/* the submission socket has this part of `limit connections`, on top */
#define SOCKET_MIN	32
#define USER_SHARE	4		/* of which one user has this part at most */
#define ROOT_RESERVE	8		/* and root this one for itself */
#define STRESS_COMMAND	(10 * 1000)
#define STRESS_SILENCE	(20 * 1000)
#define STRESS_PROGRESS	(60 * 1000)
#define STRESS_RATE	10
#define TABLE_SHORT	256		/* networks that are looked through for each client */

static bool seen[POOL__N];

static unsigned
limit_of(enum pool pool)
{
	uint64_t n = child_conf()->limit[LIM_CONNECTIONS];

	if (pool != POOL_SOCKET)
		return (unsigned)n;
	return n / SOCKET_SHARE < SOCKET_MIN ? SOCKET_MIN : (unsigned)(n / SOCKET_SHARE);
}

/* Root, or who runs all this. */
static bool
trusted(const struct session_peer *p)
{
	return p->socket && (p->uid == 0 || p->uid == geteuid());
}

const char *
crowd_over_own(const struct session_peer *p)
{
	const struct conf *conf = child_conf();

	if (p->socket)
		return !trusted(p) && counts_client(p->key) >= limit_of(POOL_SOCKET) / USER_SHARE ? "too many connections of this user" : NULL;
	if (p->exempt)
		return NULL;
	if (counts_event(p->key, RATE_CONNECT) > conf->limit[LIM_CONNECTION_RATE])
		return "too many connections from your host in a short time";
	return counts_client(p->key) >= conf->limit[LIM_PER_CLIENT] ? "too many connections from your host" : NULL;
}

bool
crowd_full(const struct session_peer *p)
{
	unsigned limit = limit_of(p->pool);

	if (p->socket && !trusted(p))
		limit -= limit / ROOT_RESERVE;
	return counts_total(p->pool) >= limit;
}

void
crowd_look(enum pool pool)
{
	static const char *const whose[] = { [POOL_NET] = "strangers", [POOL_LOOPBACK] = "loopback", [POOL_SOCKET] = "the local socket" };
	unsigned n = counts_total(pool), limit = limit_of(pool);

	if (!counts_stress(pool) && n * 10 >= limit * 9 && counts_set_stress(pool, true))
		log_warn("stress: %u of %u connections of %s are taken: idle clients make room, time-outs are short", n, limit, whose[pool]);
	else if (counts_stress(pool) && n * 4 < limit * 3 && counts_set_stress(pool, false))
		log_info("stress is over: %u of %u connections of %s are taken", n, limit, whose[pool]);
}

bool
crowd_stress(enum pool pool)
{
	return pool != POOL_SOCKET && counts_stress(pool);
}

bool
crowd_changed(void)
{
	bool changed = false;
	unsigned i;

	for (i = 0; i < POOL__N; i++) {
		changed = changed || seen[i] != counts_stress(i);
		seen[i] = counts_stress(i);
	}
	return changed;
}

uint64_t
crowd_time(enum pool pool, enum conf_limit which)
{
	uint64_t ms = child_conf()->limit[which];
	uint64_t most = which == LIM_T_COMMAND ? STRESS_COMMAND : which == LIM_T_DATA ? STRESS_SILENCE : STRESS_PROGRESS;

	return crowd_stress(pool) && ms > most ? most : ms;
}

uint64_t
crowd_data_rate(enum pool pool)
{
	return child_conf()->limit[LIM_DATA_RATE] * (crowd_stress(pool) ? STRESS_RATE : 1);
}

/* A table that is written in the configuration is at hand; a long one, as a file's, would be a question to lookup before each banner. */
static bool
in_table(const struct conf_table *t, const struct sockaddr *sa)
{
	struct cidr c;

	for (size_t i = 0; i < t->n && t->n <= TABLE_SHORT; i++)
		if (cidr_parse(t->keys[i], &c) && cidr_match(&c, sa))
			return true;
	return false;
}

/* A network that is served by a rule is no stranger. */
static bool
has_rule(const struct sockaddr *sa)
{
	const struct conf *conf = child_conf();
	const struct conf_match *m;

	for (size_t i = 0; i < conf->nmatch; i++) {
		m = &conf->match[i];
		if (m->verdict != VERDICT_ACTION || m->from_not)
			continue;
		if (m->from == FROM_CIDR ? cidr_match(&m->from_cidr, sa) : m->from == FROM_TABLE && in_table(&conf->table[m->from_table], sa))
			return true;
	}
	return false;
}

uint64_t
crowd_greet_pause(const struct session_peer *p)
{
	uint64_t ms = child_conf()->limit[LIM_GREET_PAUSE];

	if (ms == 0 || p->exempt || p->local || counts_greeted(p->key) || has_rule((const struct sockaddr *)&p->sa))
		return 0;
	return ms;
}
