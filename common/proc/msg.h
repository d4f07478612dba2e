/*
 * msg: every message that crosses a process, declared once.
 *
 * A payload is a list of fields; from it come its struct (struct p_NAME), its writer, reader and free (msg.c). An edge
 * is a list of messages M(NAME, payload, carries_descriptor) from one program to another; from the lists come the
 * type numbers and names here, the send functions of the sender (MSG_SENDER) and the dispatch rows of the receiver
 * (MSG_RECEIVER). A message on an edge that does not list it has no send function; a listed one without a handler is
 * a link error; at the receiver a type its peer may not send, a payload that does not decode to its last byte, or an
 * unexpected (or missing) descriptor ends that peer's connection and is logged.
 *
 * Decoded strings and blobs point into the frame: they are valid while the handler runs. A descriptor that is sent
 * belongs to the edge from then on (dup it to keep it); one that is received belongs to the handler.
 *
 * The on-disk envelope (p_env) uses the same fields, so a transaction and a spool record are encoded by one function.
 */
#ifndef MSG_H
#define MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "mail/bodyscan.h"

enum prog { PROG_PARENT, PROG_LISTENER, PROG_LOOKUP, PROG_RESOLVER, PROG_QUEUE, PROG_DELIVER, PROG_AGENT, PROG__MAX };

const char *prog_name(enum prog);		/* "listener" */

/* Largest payload of a frame. Senders split: data by 64 KiB, recipients by batches. */
#define MSG_MAX (256 * 1024)

/* ---- payloads: F(type, field), L(payload, field) = a list; types u8 u16 u32 u64 i64 str blob ---- */

#define P_none(F, L)
#define P_number(F, L)		F(u32, value)
#define P_text(F, L)		F(str, text)
#define P_conf(F, L)		F(u32, generation) F(u8, verbose)
#define P_edge(F, L)		F(u8, peer) F(u16, instance)
#define P_named(F, L)		F(u16, index) F(str, name)
#define P_limits(F, L)		F(u16, slot) F(u16, slots)
#define P_proc(F, L)		F(str, name) F(u32, pid) F(i64, started) F(u32, restarts)
#define P_procs(F, L)		F(str, version) F(i64, started) F(u32, generation) L(proc, procs)
#define P_died(F, L)		F(u8, prog) F(u8, crashed)

/* A question to lookup: enum ask_kind, the table's index in the configuration, the key. */
#define P_question(F, L)	F(u8, kind) F(u16, table) F(str, key)
#define P_ask(F, L)		F(u32, generation) L(question, questions)
/* In the order of the questions: enum answer_status and the value, if there is one. */
#define P_value(F, L)		F(u8, status) F(str, value)
#define P_answer(F, L)		L(value, values)

/* DNS: status is enum dns_status, text says what happened in words. */
#define P_ptr(F, L)		F(u8, status) F(str, name)
#define P_mx_ask(F, L)		F(str, domain) F(u8, literal_host)
#define P_mx_host(F, L)		F(u16, preference) F(str, host) F(str, address)
#define P_mx(F, L)		F(u8, status) F(u8, secure) F(str, text) F(u32, ttl) L(mx_host, hosts)

/* The envelope, in a transaction and on disk. Times are ms since 1970. */
#define P_env_rcpt(F, L)	F(str, addr) F(str, orig) F(str, orcpt) F(u8, notify) F(str, action) F(str, sender) F(str, trail)
#define P_env(F, L)		F(u8, version) F(u64, id) F(i64, arrival) F(str, sender) F(u8, ret) F(str, envid) F(u8, body) \
				F(u8, smtputf8) F(str, client_addr) F(str, client_name) F(str, helo) F(str, proto) \
				F(str, user) F(i64, uid) F(str, tag) F(u32, flags) F(u64, parent) F(u8, birth) F(u32, birth_attempt) \
				L(env_rcpt, rcpts)
#define P_rcpts(F, L)		L(env_rcpt, rcpts)
#define P_data(F, L)		F(blob, bytes)
#define P_lease(F, L)		F(u64, first) F(u32, count)
/* The reply to a transaction, ready for the client. */
#define P_tx_done(F, L)		F(u16, code) F(str, dsn) F(str, text)
#define P_space(F, L)		F(u8, low)

#define P_seg(F, L)		F(u32, segment)
#define P_job_rcpt(F, L)	F(u32, n) F(str, addr) F(str, orig) F(str, orcpt) F(u8, notify)
/*
 * offset and length are those of the message itself in its segment; action is its index in that generation; old: it waited before;
 * hurry: the administrator wants it tried now, so the hosts of its destination rest no more; ask: JOB_AT is to tell whither it goes.
 */
#define P_job(F, L)		F(u64, job) F(u64, id) F(u32, generation) F(u16, action) F(str, domain) F(str, sender) F(u8, ret) \
				F(str, envid) F(u8, body) F(u8, smtputf8) F(u32, flags) F(i64, arrival) F(i64, handed) F(u32, attempt) \
				F(u8, old) F(u8, hurry) F(u8, ask) \
				F(u32, segment) F(u64, offset) F(u64, length) F(u32, crc) L(job_rcpt, rcpts)
#define P_job_ref(F, L)		F(u64, job)
#define P_job_at(F, L)		F(u64, job) F(u64, hosts)
#define P_held_rcpt(F, L)	F(u32, n)
#define P_job_held(F, L)	F(u64, job) F(u64, id) L(held_rcpt, rcpts)
/*
 * outcome is enum outcome; remote_dsn: the host that took it tells the sender itself (DSN); relay is the host that this recipient's result is
 * of, "host[address]:port", or the mailbox, "": none (an agent names none); mx is the best MX of the domain, whose policy holds, or "";
 * rest_ms goes with OUT_NOT_BEFORE.
 */
#define P_result(F, L)		F(u32, n) F(u8, outcome) F(u16, code) F(str, dsn) F(str, text) F(u8, remote_dsn) F(str, relay)
#define P_job_result(F, L)	F(u64, job) F(u64, id) F(str, mx) F(u64, rest_ms) L(result, results)

#define P_source(F, L)		F(str, name)
#define P_sources(F, L)		L(source, sources)

/*
 * What would become of mail for that domain by that relay action, which is what an administrator asks. mx: the host whose policy holds, "":
 * none is known; trouble: with the hosts, in words; pool "": the system chooses the source; state is enum source_state; a rest is of a host
 * by a source, "": by none in particular.
 */
#define P_explain(F, L)		F(u32, generation) F(u16, action) F(str, domain)
#define P_explain_source(F, L)	F(str, name) F(u32, weight) F(u8, state)
#define P_explain_rest(F, L)	F(str, source) F(u64, ms) F(str, why)
#define P_explain_host(F, L)	F(u16, preference) F(str, host) F(str, address) F(u16, port) L(explain_rest, rests)
#define P_explained(F, L)	F(str, mx) F(str, trouble) F(str, pool) L(explain_source, sources) L(explain_host, hosts)

/* never: as this account none will ever be started. */
#define P_no_agent(F, L)	F(u8, never) F(str, text)
#define P_agent_ask(F, L)	F(u32, generation) F(u16, action) F(str, account)
#define P_agent_set(F, L)	F(str, path) F(str, home) F(str, user) F(str, hostname) F(u8, kind)
#define P_mail_rcpt(F, L)	F(u32, n) F(str, addr)
/* arrival: wall ms; again: it may have been tried before, by an agent that did not tell. */
#define P_mail(F, L)		F(u64, job) F(u64, id) F(i64, arrival) F(u8, again) F(str, sender) F(u64, length) L(mail_rcpt, rcpts)
#define P_mail_result(F, L)	F(u64, job) L(result, results)

#define MSG_PAYLOADS(P) P(none) P(number) P(text) P(conf) P(edge) P(named) P(limits) P(proc) P(procs) P(died) \
	P(question) P(ask) P(value) P(answer) P(ptr) P(mx_ask) P(mx_host) P(mx) \
	P(env_rcpt) P(env) P(rcpts) P(data) P(lease) P(tx_done) P(space) P(seg) P(job_rcpt) P(job) P(job_ref) P(job_at) P(held_rcpt) \
	P(job_held) P(result) P(job_result) P(source) P(sources) P(explain) \
	P(explain_source) P(explain_rest) P(explain_host) P(explained) P(no_agent) P(agent_ask) P(agent_set) P(mail_rcpt) P(mail) P(mail_result)

/* ---- edges: M(NAME, payload, carries a descriptor) ---- */

#define PARENT_TO_ANY(M)	M(CONF, conf, 1) M(EDGE, edge, 1) M(START, none, 0) M(DRAIN, none, 0)
/* ALONE: the edge to that peer ended a while ago, and no other came. */
#define ANY_TO_PARENT(M)	M(READY, none, 0) M(ALONE, edge, 0)
#define PARENT_TO_LISTENER(M)	M(LISTEN, named, 1) M(LIMITS, limits, 1) M(ACCEPT, number, 0)
#define PARENT_TO_LOOKUP(M)	M(TABLE, named, 1)
/* /etc/resolv.conf and /etc/hosts as they are now, at the start, with each configuration and when they change; empty where there is none. */
#define PARENT_TO_RESOLVER(M)	M(RESOLV_CONF, none, 1) M(HOSTS, none, 1)
#define PARENT_TO_QUEUE(M)	M(CONTROL, number /* gid that may look at everything, 0: none */, 1) M(PROCS, procs, 0) M(DIED, died, 0) M(RELOADED, text, 0)
#define QUEUE_TO_PARENT(M)	M(RELOAD, none, 0) M(STOP, none, 0) M(PAUSE_LISTENERS, number, 0)
#define PARENT_TO_DELIVER(M)	M(AGENT, none, 1) M(NO_AGENT, no_agent, 0)
#define DELIVER_TO_PARENT(M)	M(AGENT_ASK, agent_ask, 0)
#define PARENT_TO_AGENT(M)	M(AGENT_SET, agent_set, 1)

#define LISTENER_TO_LOOKUP(M)	M(ASK, ask, 0)
#define LOOKUP_TO_LISTENER(M)	M(ANSWER, answer, 0)
#define QUEUE_TO_LOOKUP(M)	M(QASK, ask, 0)
#define LOOKUP_TO_QUEUE(M)	M(QANSWER, answer, 0)
#define LISTENER_TO_RESOLVER(M)	M(PTR_ASK, text, 0)
#define RESOLVER_TO_LISTENER(M)	M(PTR, ptr, 0)
#define DELIVER_TO_RESOLVER(M)	M(MX_ASK, mx_ask, 0)
#define RESOLVER_TO_DELIVER(M)	M(MX, mx, 0)

/* The frame's id is the listener's number of the transaction, for TX_*. */
#define LISTENER_TO_QUEUE(M)	M(TX_BEGIN, env, 0) M(TX_RCPT, rcpts, 0) M(TX_DATA, data, 0) M(TX_COMMIT, none, 0) \
				M(TX_ABORT, none, 0) M(LEASE_ASK, none, 0)
#define QUEUE_TO_LISTENER(M)	M(TX_DONE, tx_done, 0) M(LEASE, lease, 0) M(SPACE, space, 0)
/*
 * A new edge begins with JOB_HELD for each job deliver still has, then JOBS_TOLD; only then does the queue send jobs. REST_OVER: all is to be
 * tried now, no host rests any more. SUSPENDED: by these sources nothing leaves; all of them, told anew on each edge before the first job.
 * JOB_AT: its hosts are known, and no connection was made yet; jobs with the same number (never 0) go to the same hosts.
 * The frame's id is the queue's number of the question, for EXPLAIN and EXPLAINED.
 */
#define QUEUE_TO_DELIVER(M)	M(SEG, seg, 1) M(SEG_GONE, seg, 0) M(JOB, job, 0) M(JOB_ACK, job_ref, 0) M(REST_OVER, none, 0) \
				M(SUSPENDED, sources, 0) M(EXPLAIN, explain, 0)
#define DELIVER_TO_QUEUE(M)	M(JOB_HELD, job_held, 0) M(JOBS_TOLD, none, 0) M(JOB_RESULT, job_result, 0) M(JOB_AT, job_at, 0) \
				M(EXPLAINED, explained, 0)
#define DELIVER_TO_AGENT(M)	M(MAIL, mail, 1)
#define AGENT_TO_DELIVER(M)	M(MAIL_RESULT, mail_result, 0)

#define MSG_EDGES(E) E(PARENT_TO_ANY) E(ANY_TO_PARENT) E(PARENT_TO_LISTENER) E(PARENT_TO_LOOKUP) E(PARENT_TO_RESOLVER) E(PARENT_TO_QUEUE) \
	E(QUEUE_TO_PARENT) E(PARENT_TO_DELIVER) E(DELIVER_TO_PARENT) E(PARENT_TO_AGENT) E(LISTENER_TO_LOOKUP) \
	E(LOOKUP_TO_LISTENER) E(QUEUE_TO_LOOKUP) E(LOOKUP_TO_QUEUE) E(LISTENER_TO_RESOLVER) E(RESOLVER_TO_LISTENER) \
	E(DELIVER_TO_RESOLVER) E(RESOLVER_TO_DELIVER) E(LISTENER_TO_QUEUE) E(QUEUE_TO_LISTENER) E(QUEUE_TO_DELIVER) \
	E(DELIVER_TO_QUEUE) E(DELIVER_TO_AGENT) E(AGENT_TO_DELIVER)

/* ---- values of small fields ---- */

enum ask_kind {
	ASK_ADDRESS,		/* full address in a table: user+tag@d, user@d, @d, d, .parent, * */
	ASK_LOCAL,		/* bare keys are local parts (users, aliases): ... user@d, user+tag, user, @d, .parent, * */
	ASK_DOMAIN,		/* d, .parent, * */
	ASK_NETWORK,		/* an address in a table of CIDRs */
	ASK_ACCOUNT,		/* a system account (table unused); value: its name as the system spells it */
	ASK_ACCOUNT_NAMED	/* likewise, for whom a rule names: an account below first-uid without a login shell too */
};
enum answer_status { ANSWER_NO, ANSWER_YES, ANSWER_TEMPFAIL };
enum dns_status { DNS_OK, DNS_NONE /* no such name, or no data */, DNS_NULL_MX, DNS_TEMPFAIL, DNS_BAD };
enum outcome { OUT_SENT, OUT_DEFER, OUT_BOUNCE, OUT_NOT_BEFORE /* not an attempt */,
	OUT_DAMAGED /* the bytes in the spool are not those that were accepted: nothing was sent */ };

/* The enhanced code of what keeps mail on this host, whatever the other side would say. */
#define DSN_OURS	"4.3.2"
/* Begins the reason of what no source is left for because of SUSPENDED: who waits for one is found by it. */
#define NO_SOURCE_LEFT	"no source is left; suspended:"

enum source_state { SOURCE_USABLE, SOURCE_AWAY /* not on this host */, SOURCE_UNFIT /* does not reach the hosts */, SOURCE_SUSPENDED };

/* p_env_rcpt.action of mail that no action has: match is asked anew, and says that it is held. No action can have that name. */
#define ACTION_NONE	"*"

enum { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME, BODY_NONE /* no BODY= was given */ };
enum { RET_NONE, RET_FULL, RET_HDRS };
#define NOTIFY_DEFAULT	0
#define NOTIFY_NEVER	1
#define NOTIFY_SUCCESS	2
#define NOTIFY_FAILURE	4
#define NOTIFY_DELAY	8

/* ---- what is made from the lists ---- */

#define MSG_ENUM_M(NAME, payload, fd)	MSG_##NAME,
#define MSG_ENUM_E(EDGE)		EDGE(MSG_ENUM_M)
enum msg_type { MSG_EDGES(MSG_ENUM_E) MSG__MAX };

#define MSG_T_u8	uint8_t
#define MSG_T_u16	uint16_t
#define MSG_T_u32	uint32_t
#define MSG_T_u64	uint64_t
#define MSG_T_i64	int64_t
#define MSG_T_str	const char *
#define MSG_T_blob	struct blob
#define MSG_FIELD(type, name)	MSG_T_##type name;
#define MSG_LIST(payload, name)	struct p_##payload *name; uint32_t name##_n;
#define MSG_STRUCT(name) \
	struct p_##name { P_##name(MSG_FIELD, MSG_LIST) }; \
	void	p_##name##_put(struct buf *, const struct p_##name *); \
	void	p_##name##_get(struct rd *, struct p_##name *); /* check rd.bad; free also then */ \
	void	p_##name##_free(struct p_##name *);
MSG_PAYLOADS(MSG_STRUCT)

const char *msg_name(unsigned type);

struct edge;

struct msg_row {
	uint16_t	 type;
	bool		 has_fd;
	/* Decodes and calls the handler; false if the payload is malformed (fd is then still the caller's). */
	bool		(*dispatch)(struct edge *, uint32_t id, struct rd *, int fd);
};

/*
 * MSG_RECEIVER(LIST): the handlers' prototypes, void on_NAME(struct edge *, uint32_t id, struct p_X *, int fd), and static
 * dispatchers. MSG_ROWS(LIST) are the initializers of the receiver's table:
 *	MSG_RECEIVER(QUEUE_TO_LISTENER)
 *	static const struct msg_row from_queue[] = { MSG_ROWS(QUEUE_TO_LISTENER) };
 */
#define MSG_HANDLER_M(NAME, payload, fd) \
	void	on_##NAME(struct edge *, uint32_t, struct p_##payload *, int); \
	static bool \
	dispatch_##NAME(struct edge *e_, uint32_t id_, struct rd *rd_, int fd_) \
	{ \
		struct p_##payload p_; \
		bool ok_; \
		p_##payload##_get(rd_, &p_); \
		ok_ = !rd_->bad && rd_->left == 0; \
		if (ok_) \
			on_##NAME(e_, id_, &p_, fd_); \
		p_##payload##_free(&p_); \
		return ok_; \
	}
#define MSG_RECEIVER(LIST)	LIST(MSG_HANDLER_M)
#define MSG_ROW_M(NAME, payload, fd)	{ MSG_##NAME, fd, dispatch_##NAME },
#define MSG_ROWS(LIST)		LIST(MSG_ROW_M)

/* The prototypes alone, for the file that defines the handlers. */
#define MSG_PROTO_M(NAME, payload, fd)	void on_##NAME(struct edge *, uint32_t, struct p_##payload *, int);
#define MSG_PROTOTYPES(LIST)	LIST(MSG_PROTO_M)

/* The typed send functions: void send_NAME(struct edge *, uint32_t id, const struct p_X *, int fd); fd is -1 where the row has none. */
#define MSG_SEND_M(NAME, payload, carries) \
	static inline __attribute__((unused)) void \
	send_##NAME(struct edge *e_, uint32_t id_, const struct p_##payload *p_, int fd_) \
	{ \
		struct buf *b_ = edge_begin(e_, MSG_##NAME, id_); \
		p_##payload##_put(b_, p_); \
		edge_end(e_, fd_); \
	}
#define MSG_SENDER(LIST)	LIST(MSG_SEND_M)

/* ---- an edge: one end of a socketpair to another process ---- */

struct edge_ops {
	void	(*closed)(struct edge *, void *arg);	/* peer gone or thrown out; the edge is freed after this returns */
	void	(*drained)(struct edge *, void *arg);	/* pending output fell below EDGE_LOW after EDGE_HIGH; may be NULL */
};
#define EDGE_HIGH	(1024 * 1024)
#define EDGE_LOW	(256 * 1024)

struct edge *edge_new(int fd, enum prog peer, unsigned instance, const struct msg_row *, size_t rows, const struct edge_ops *, void *arg);
void	 edge_close(struct edge *);		/* no callback; safe inside handlers of the same edge */
void	 edge_cut(struct edge *);		/* throws the peer out: closed() comes from the loop */
enum prog edge_peer(const struct edge *);
unsigned edge_instance(const struct edge *);
void	*edge_arg(const struct edge *);
size_t	 edge_pending(const struct edge *);	/* bytes the kernel has not taken: senders of bulk pause above EDGE_HIGH */
void	 edge_flush(struct edge *);		/* otherwise at the end of the turn */
/* Used by the send functions. */
struct buf *edge_begin(struct edge *, unsigned type, uint32_t id);
void	 edge_end(struct edge *, int fd);

#endif
