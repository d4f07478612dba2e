/*
 * dns: libunbound in the event loop. Called by mx_query and dns_ptr (questions) and by resolver (configuration). It owns the
 * contexts of libunbound: the current one, and old ones that still have questions under way.
 *
 * libunbound does its work in one thread of its own and tells a descriptor when answers are there. What a server or the
 * network does wrong is DNS_TEMPFAIL; a context that cannot be made is fatal, and the parent starts us again.
 */
#include <sys/queue.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>
#include "resolver/dns.h"
#include "resolver/dns_hosts.h"
#include "resolver/dns_parse.h"
#include "proc/ev.h"
#include "base/log.h"
#include "base/xmalloc.h"

#define RUNNING_MAX	2048		/* questions that libunbound has at one time; the others wait here */
#define RR_MAX		4096		/* records of an answer that are looked at */

struct dns_ctx {
	TAILQ_ENTRY(dns_ctx)	 next;
	struct ub_ctx		*ub;
	struct ev_fd		 ev;
	size_t			 running;
};

struct dns_req {
	TAILQ_ENTRY(dns_req)	 next;		/* while it waits */
	struct dns_ctx		*ctx;		/* NULL: it waits */
	int			 id;
	enum dns_type		 type;
	dns_cb			*cb;
	void			*arg;
	char			 name[];
};

static struct {
	TAILQ_HEAD(, dns_ctx)	 ctxs;		/* the first is the current one */
	TAILQ_HEAD(, dns_req)	 waiting;
	size_t			 running;
	struct ev_defer		 start, reap, renew;
	const struct conf	*conf;
	bool			 stale;		/* the current context is not of this conf and these files */
	int			 resolv_conf, hosts;	/* the files, -1: none yet */
} dns = {
	.resolv_conf = -1, .hosts = -1,
	.ctxs = TAILQ_HEAD_INITIALIZER(dns.ctxs),
	.waiting = TAILQ_HEAD_INITIALIZER(dns.waiting)
};

/* ---- contexts ---- */

/*
 * Many questions at once to one or two resolvers nearby; nothing is validated without a trust anchor; private
 * addresses have names too, and a resolver on this host is the usual case.
 */
static const struct {
	const char	*name, *value;
} options[] = {
	{ "do-not-query-localhost:",	"no" },
	{ "unblock-lan-zones:",		"yes" },
	{ "insecure-lan-zones:",	"yes" },
	{ "outgoing-range:",		"1024" },
	{ "num-queries-per-thread:",	"2048" },
	{ "outgoing-num-tcp:",		"64" },
	{ "msg-cache-size:",		"16m" },
	{ "rrset-cache-size:",		"32m" },
	{ "infra-cache-numhosts:",	"20000" },
	{ "cache-max-negative-ttl:",	"900" },
	{ "infra-cache-max-rtt:",	"3000" },	/* a server that is silent: given up after 5 s, not 17 */
	{ "infra-host-ttl:",		"5" }		/* and asked again soon, not after 15 minutes */
};

static void
must(int err, const char *what)
{
	if (err != 0)
		fatalx("libunbound: %s: %s", what, ub_strerror(err));
}

static void
add_server(void *arg, const char *address)
{
	int	 err = ub_ctx_set_fwd(arg, address);

	if (err != 0)
		log_warn("/etc/resolv.conf: nameserver %s is passed over: %s", address, ub_strerror(err));
}

static void
set_servers(struct ub_ctx *ub, const struct conf *conf)
{
	size_t	 i;

	for (i = 0; i < conf->nresolvers; i++)
		must(ub_ctx_set_fwd(ub, conf->resolvers[i]), conf->resolvers[i]);
	if (conf->nresolvers > 0 || dns_servers_read(dns.resolv_conf, add_server, ub) > 0)
		return;
	if (dns.resolv_conf != -1)
		log_warn("/etc/resolv.conf names no name server; 127.0.0.1 is asked until it does");
	must(ub_ctx_set_fwd(ub, "127.0.0.1"), "127.0.0.1");
}

/* A name in /etc/hosts has that address; for everything else it is in the DNS as before ("typetransparent"). */
static void
add_host(void *arg, const char *address, const char *name, bool first)
{
	struct ub_ctx	*ub = arg;
	char		 rr[2 * DNS_NAME_MAX + 32], reverse[DNS_NAME_MAX + 1];
	int		 family;

	snprintf(rr, sizeof(rr), "%s. IN %s %s", name, strchr(address, ':') != NULL ? "AAAA" : "A", address);
	if (ub_ctx_zone_add(ub, name, "typetransparent") != 0 || ub_ctx_data_add(ub, rr) != 0)
		log_warn("/etc/hosts: %s %s is passed over", address, name);
	if (!first || strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0)
		return;
	if (dns_reverse(address, reverse, &family)) {
		snprintf(rr, sizeof(rr), "%s. IN PTR %s.", reverse, name);
		ub_ctx_data_add(ub, rr);
	}
}

static void
answers_ready(void *arg, int what)
{
	struct dns_ctx	*ctx = arg;

	(void)what;
	must(ub_process(ctx->ub), "ub_process");
}

static void
ctx_free(struct dns_ctx *ctx)
{
	TAILQ_REMOVE(&dns.ctxs, ctx, next);
	ev_fd_clear(&ctx->ev);
	ub_ctx_delete(ctx->ub);
	free(ctx);
}

/* Old contexts without questions go; never from inside their own callbacks. */
static void
reap(void *arg)
{
	struct dns_ctx	*ctx, *after;

	(void)arg;
	for (ctx = TAILQ_NEXT(TAILQ_FIRST(&dns.ctxs), next); ctx != NULL; ctx = after) {
		after = TAILQ_NEXT(ctx, next);
		if (ctx->running == 0)
			ctx_free(ctx);
	}
}

static void renew(void *);

/* ---- answers ---- */

static enum dns_status
status_of(const struct ub_result *r, const char **why)
{
	static const char *const	 rcodes[] = {
		"no such record", "FORMERR", "SERVFAIL", "no such name", "NOTIMP", "REFUSED"
	};

	*why = "an error of the name server";
	if (r->rcode >= 0 && (size_t)r->rcode < sizeof(rcodes) / sizeof(rcodes[0]))
		*why = rcodes[r->rcode];
	if (r->havedata)
		return DNS_OK;
	if (r->rcode == 0 && !dns_says_no_data((struct blob){ r->answer_packet, (size_t)r->answer_len }, (unsigned)r->qtype)) {
		*why = "the answer is too large, or cut off";
		return DNS_TEMPFAIL;
	}
	return r->rcode == 0 || r->nxdomain ? DNS_NONE : DNS_TEMPFAIL;
}

static size_t
count_rr(const struct ub_result *r)
{
	size_t	 n = 0;

	while (r->havedata && r->data[n] != NULL && n < RR_MAX)
		n++;
	return n;
}

/* From here on the request is the asker's no more. */
static void
finish(struct dns_req *req, const struct dns_answer *a)
{
	if (req->ctx != NULL) {
		if (--req->ctx->running == 0 && req->ctx != TAILQ_FIRST(&dns.ctxs))
			ev_defer(&dns.reap);
		if (dns.running-- == RUNNING_MAX)
			ev_defer(&dns.start);
	}
	if (a != NULL)
		req->cb(req->arg, a);
	free(req);
}

static void
answered(void *arg, int err, struct ub_result *r)
{
	struct dns_answer	 a = { .status = DNS_TEMPFAIL, .why = ub_strerror(err) };
	struct blob		*rdata = NULL;
	size_t			 i;

	if (err == 0) {
		a.status = status_of(r, &a.why);
		a.ttl = r->ttl > 0 ? (uint32_t)r->ttl : 0;
		a.n = count_rr(r);
		rdata = xcalloc(a.n + 1, sizeof(*rdata));
		for (i = 0; i < a.n; i++)
			rdata[i] = (struct blob){ (const uint8_t *)r->data[i], (size_t)r->len[i] };
		a.rdata = rdata;
	}
	finish(arg, &a);
	free(rdata);
	ub_resolve_free(r);
}

/* ---- questions ---- */

static void
start(struct dns_req *req)
{
	struct dns_answer	 failed = { .status = DNS_TEMPFAIL };
	struct dns_ctx		*ctx = TAILQ_FIRST(&dns.ctxs);
	int			 err;

	TAILQ_REMOVE(&dns.waiting, req, next);
	if ((err = ub_resolve_async(ctx->ub, req->name, (int)req->type, 1, req, answered, &req->id)) == 0) {
		req->ctx = ctx;
		ctx->running++;
		dns.running++;
		return;
	}
	failed.why = ub_strerror(err);
	finish(req, &failed);
}

static void
start_waiting(void *arg)
{
	struct dns_req	*req;

	(void)arg;
	if (dns.stale)
		renew(NULL);
	while (dns.running < RUNNING_MAX && (req = TAILQ_FIRST(&dns.waiting)) != NULL)
		start(req);
}

struct dns_req *
dns_ask(const char *name, enum dns_type type, dns_cb *cb, void *arg)
{
	struct dns_req	*req = xcalloc(1, sizeof(*req) + strlen(name) + 1);

	req->type = type;
	req->cb = cb;
	req->arg = arg;
	memcpy(req->name, name, strlen(name) + 1);
	TAILQ_INSERT_TAIL(&dns.waiting, req, next);
	ev_defer(&dns.start);
	return req;
}

void
dns_cancel(struct dns_req *req)
{
	if (req->ctx == NULL)
		TAILQ_REMOVE(&dns.waiting, req, next);
	else
		ub_cancel(req->ctx->ub, req->id);
	finish(req, NULL);
}

/* ---- configuration ---- */

/* A context cannot change once it was asked: a new one takes its place, and what is under way ends in the old one. */
static void
renew(void *arg)
{
	struct dns_ctx	*ctx = xcalloc(1, sizeof(*ctx));
	size_t		 i;

	(void)arg;
	dns.stale = false;
	if ((ctx->ub = ub_ctx_create()) == NULL)
		fatalx("libunbound: no context");
	must(ub_ctx_debugout(ctx->ub, NULL), "debugout");
	must(ub_ctx_async(ctx->ub, 1), "async");
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		must(ub_ctx_set_option(ctx->ub, options[i].name, options[i].value), options[i].name);
	set_servers(ctx->ub, dns.conf);
	/* From here on libunbound's options are final. "test." is a domain like any other in somebody's own network. */
	must(ub_ctx_zone_remove(ctx->ub, "test."), "test.");
	dns_hosts_read(dns.hosts, add_host, ctx->ub);
	ev_fd_init(&ctx->ev, ub_fd(ctx->ub), answers_ready, ctx);
	ev_fd_want(&ctx->ev, EV_R);
	TAILQ_INSERT_HEAD(&dns.ctxs, ctx, next);
	if (TAILQ_NEXT(ctx, next) != NULL)
		ev_defer(&dns.reap);
}

static void
renew_if_stale(void *arg)
{
	if (dns.stale)
		renew(arg);
}

static void
stale(void)
{
	dns.stale = true;
	ev_defer(&dns.renew);
}

void
dns_conf(const struct conf *conf)
{
	if (dns.conf == NULL) {
		ev_defer_init(&dns.start, start_waiting, NULL);
		ev_defer_init(&dns.reap, reap, NULL);
		ev_defer_init(&dns.renew, renew_if_stale, NULL);
	}
	dns.conf = conf;
	stale();
}

static void
replace(int *file, int fd)
{
	if (*file != -1)
		close(*file);
	*file = fd;
	stale();
}

void
dns_resolv_conf(int fd)
{
	replace(&dns.resolv_conf, fd);
}

void
dns_hosts(int fd)
{
	replace(&dns.hosts, fd);
}
